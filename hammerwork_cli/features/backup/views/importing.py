"""What an import did, or would do."""

from collections.abc import Iterator
from typing import NamedTuple

from hammerwork_cli.core.values import WAITING, JobStatus
from hammerwork_cli.features.backup.models.plan import Import
from hammerwork_cli.features.backup.views.backups import GROUP, groups
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import count, plural, statuses, visible


class ImportOutcome(NamedTuple):
    """An import or its plan."""

    done: Import
    dry_run: bool


IMPORT = Shape[ImportOutcome](
    {
        "dry_run": key.flag(),
        "id": key.null_or(key.job_id("Id of the exported job in this database; null in a dry run")).of(
            lambda one: None if one.dry_run else one.done.top
        ),
        "jobs": key.count().of("done.counts.total"),
        "by": key.list_of(GROUP).of(lambda one: groups(one.done.queues)),
        "records": key.counts("Other records, by table of the file").of("done.records"),
        "outside": key.list_of(key.job_id(), "Parents that the file does not have").of(
            lambda one: sorted(one.done.outside)
        ),
        "unscheduled": key.count("Jobs that lost their schedule").of("done.unscheduled"),
        "mentioned": key.count("Jobs of the file whose old ids payloads mention").of("done.mentioned"),
    }
)


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
