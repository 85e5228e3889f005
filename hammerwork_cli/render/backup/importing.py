"""What an import did, or would do."""

from collections.abc import Iterator

from hammerwork_cli.models import WAITING, JobStatus
from hammerwork_cli.models.backup.plan import Import
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import count, plural, statuses, visible


def import_record(done: Import, *, dry_run: bool) -> Record:
    """An import or its plan.

    Keys: ``dry_run``, ``id`` (of the exported job, as it is here; null in a dry run, and if the file does not have
    it), ``jobs``, ``by`` (list of ``queue``, ``status``, ``jobs``), ``records`` (object: table of the file -> rows),
    ``outside`` (list of ids of parents that the file does not have), ``unscheduled`` and ``mentioned`` (numbers).
    """
    return {
        "dry_run": dry_run,
        "id": None if dry_run else done.top,
        "jobs": done.counts.total,
        "by": [
            {"queue": queue, "status": status, "jobs": jobs}
            for queue, counts in sorted(done.queues.items())
            for status, jobs in sorted(counts.by_status.items())
        ],
        "records": done.records,
        "outside": sorted(done.outside),
        "unscheduled": done.unscheduled,
        "mentioned": done.mentioned,
    }


def notes(done: Import, *, dry_run: bool, new_ids: bool, pending: bool) -> Iterator[str]:
    """Sentences for people, one a line."""
    for queue, counts in sorted(done.queues.items()):
        yield f"{visible(queue)}: {statuses(counts)}"
    yield f"{'Would import' if dry_run else 'Imported'} {plural(done.counts.total, 'job')}."
    due = done.counts.of(*WAITING)
    if due and not pending:
        yield f"Workers of this database will run {count(due)} of them when due."
    running = done.counts.of(JobStatus.RUNNING)
    if running:
        yield f"No worker here runs the {plural(running, 'Running job')}: hammerwork spawn doctor --older-than 0s"
    if done.outside:
        what = "these dependencies were left out" if pending else "they may be missing here"
        yield f"Jobs depend on {plural(len(done.outside), 'job')} that the file does not have; {what}."
    if done.unscheduled:
        yield f"To keep them from recurring here too, these lost their schedules: {plural(done.unscheduled, 'job')}."
    if done.mentioned and new_ids:
        yield f"Payloads mention {plural(done.mentioned, 'job')} of the file by their old ids; these do not change."
