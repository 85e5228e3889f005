"""Moves jobs to the archive and back, and deletes archived jobs: the changes behind ``hammerwork archive``."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from hammerwork_cli.core.values import WAITING_SPELLINGS, JobStatus, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.archive.models.rows import OF_THE_ARCHIVE, Archival, restored, to_run_again
from hammerwork_cli.features.archive.queries.listing import NamedArchived
from hammerwork_cli.features.backup.models.tables import TABLES, Record
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import Reason
from hammerwork_cli.features.job.queries import dependencies, joins, notifications
from hammerwork_cli.features.job.queries.changes import Change, ChangeStep
from hammerwork_cli.features.job.queries.dependencies import LockedJob, lock_jobs
from hammerwork_cli.features.job.queries.finished_trees import PurgeJobs
from hammerwork_cli.features.job.queries.selections import Selection, Snapshot
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries.joins import is_join, note_parents


def runs_again(database: Database, named: NamedArchived, how: str | None, *, tree: bool, hint: str) -> bool:
    """Whether archived jobs run again when they are restored; otherwise they keep their status.

    Args:
        named: the job, or the top of the tree.
        how: ``run_again`` or ``as_was``; ``None`` if nobody chose, which is enough for a single job that failed.
    """
    if how is None and tree:
        raise UsageError("Restoring a tree needs a choice: run its jobs again, or keep their status.", hint=hint)
    if how is None and not named.have_failed(database):
        raise UsageError(
            "The job did not fail, so restoring it needs a choice: run it again, or keep its status.", hint=hint
        )
    return how != "as_was"


class Archive(PurgeJobs):
    """Moves finished jobs to the archive, with what workers recorded of them."""

    action = "archive"

    def __init__(self, how: Archival, *, whole: bool = False) -> None:
        super().__init__(how.at, whole=whole)
        self._how = how

    def _change(self, database: Database, jobs: Sequence[LockedJob], step: ChangeStep) -> None:
        ids = [job.id for job in jobs]
        jobs_table, archive = Rows(database, "jobs"), Rows(database, "archive")
        moved = [self._archived(jobs_table, archive, record) for record in jobs_table.of("id", ids)]
        copied = [job.id for job in jobs if job.archived_at is not None]
        if copied:  # hammerwork (Rust) has copied them, without all of their columns
            archive.remove([{"id": job} for job in copied])
        archive.insert(moved)
        events.jobs(database, EventType.JOB_ARCHIVED, ids, self._how.at)
        step.changed += database.run_for("archive.moving.delete_jobs", ids)

    def _archived(self, jobs: Rows, archive: Rows, record: Record) -> Record:
        elsewhere = _of_other_types(jobs, archive)
        others = {name: record.get(name) for name in sorted(elsewhere)}
        job = {name: value for name, value in jobs.values(record).items() if name not in elsewhere}
        return self._how.archived(job, others, archive.longest("retry_strategy"))


def _of_other_types(jobs: Rows, archive: Rows) -> set[str]:
    """The columns of jobs that this version does not know, and that the archive lacks or could not hold exactly."""
    return {name for name in jobs.others if archive.types.get(name) != jobs.types[name]}


class PurgeArchive(Change):
    """Deletes archived jobs for good, with what workers recorded of them."""

    action = "purge"
    accepted = in_trees = frozenset(JobStatus)

    def __init__(self, now: datetime, before: datetime) -> None:
        super().__init__(now)
        self._before = before

    def accepts(self, status: str) -> bool:
        """All of them, with unknown statuses too."""
        del status
        return True

    def may_skip(self, database: Database, selection: Selection, found: Snapshot) -> bool:
        """True if other jobs may wait for one of the jobs."""
        return selection.has_dependents(database, found)

    def kept(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> int:
        """How many of these jobs :meth:`step` would keep. It locks nothing."""
        del wanted
        return len(self._awaited(database, ids))

    @staticmethod
    def _awaited(database: Database, ids: Sequence[str]) -> set[str]:
        return {parent for parent, _ in dependencies.dependents(database, ids, "waiting", WAITING_SPELLINGS)}

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> ChangeStep:
        """Deletes the jobs that nobody has restored and no job waits for. Needs a transaction."""
        del wanted
        step = ChangeStep()
        rows = database.rows("archive.moving.lock", ids=database.ids(sorted(ids)))
        places = {str(job): (ancestry, status_of(status)) for job, ancestry, status in rows}
        locked = list(places)
        _skip(step, Reason.CHANGED_MEANWHILE, len(ids) - len(locked))
        awaited = self._awaited(database, locked)
        _skip(step, Reason.WAITED_FOR, len(awaited))
        going = [job for job in locked if job not in awaited]
        step.changed += database.run_for("archive.moving.delete", going, before=self._before)
        marks = joins.Marks()
        for job in records.forget(database, going):  # others are among the jobs, too, and counted there
            marks.add(*places[job], None)
        self._settle(database, marks, step)
        return step


class RestoreArchived(Change):
    """Moves archived jobs back.

    A job that hammerwork (Rust) has copied to the archive still has its row, with all columns: that one stays.

    Args:
        again: whether the jobs run again; otherwise they keep the status in which they were archived.
    """

    action = "restore"
    refusals = Change.refusals | {Reason.EXISTS, Reason.UNREADABLE}
    accepted = in_trees = frozenset(JobStatus)

    def __init__(self, now: datetime, *, again: bool, without: Sequence[str] = ()) -> None:
        super().__init__(now)
        self.again = again
        self._without = without
        for name in without:
            if name in TABLES["jobs"].columns:
                raise UsageError(f"This version knows the column {name}: it cannot be left out.")

    def accepts(self, status: str) -> bool:
        """All of them, with unknown statuses too."""
        del status
        return True

    def step(self, database: Database, ids: Sequence[str], wanted: JobFilter) -> ChangeStep:
        """Moves those of the jobs that are in the archive. Needs a transaction."""
        del wanted
        step = ChangeStep()
        jobs, archive = (Rows(database, word, self._without) for word in ("jobs", "archive"))
        database.rows("archive.moving.lock", ids=database.ids(sorted(ids)))
        rows = {record["id"]: archive.values(record) for record in archive.of("id", ids)}
        kept = _of_other_types(jobs, archive)  # elsewhere: if the archive has such a column, it is not that of the job
        rows = {job: {name: value for name, value in row.items() if name not in kept} for job, row in rows.items()}
        live = {job.id: job for job in lock_jobs(database, rows)}
        marked = [job.id for job in live.values() if job.archived_at is not None]
        found: dict[str, Record] = {}
        for job, row in rows.items():
            if job in live:
                continue
            back = restored(row, jobs.others, self._without)
            if back is None:
                step.left.add(Reason.UNREADABLE)
            else:
                found[job] = back
        for record in jobs.of("id", marked):
            found[record["id"]] = jobs.values(record) | dict.fromkeys(OF_THE_ARCHIVE)
        _skip(step, Reason.GONE, len(ids) - len(rows))
        _skip(step, Reason.EXISTS, len(live) - len(marked))
        ended = [
            joins.Again(job["id"], job["ancestry"], job["status"], bool(job["recurring"]), job["workflow_id"])
            for job in found.values()
        ]
        if self.again:
            found = self._to_run_again(database, found)
        if marked:
            jobs.remove([{"id": job} for job in marked])
        step.changed = jobs.insert(list(found.values()))
        archive.remove([{"id": job} for job in found])
        events.jobs(database, EventType.JOB_RESTORED, list(found), self.now)
        if self.again:
            again = joins.reopened(database, ended, self.now)
            dependencies.rerun(database, (join.workflow for join in again))
            # A join that is restored may wait for nothing any more.
            marks = joins.Marks(Counter({job.id: 0 for job in ended if is_join(job.ancestry)}))
            note_parents(database, list(marks.open))
            self._settle(database, marks, step)
            notifications.notify(database, {job["queue_name"] for job in found.values()})
        return step

    def _to_run_again(self, database: Database, found: dict[str, Record]) -> dict[str, Record]:
        """The jobs as they wait: for those of their parents that run again with them or have not completed yet."""
        parents = {parent for job in found.values() for parent in job["depends_on"]}
        statuses = dependencies.parent_statuses(database, parents - found.keys())
        statuses |= dict.fromkeys(parents & found.keys(), JobStatus.PENDING.value)
        again: dict[str, Record] = {}
        for name, job in found.items():
            state = dependencies.state_of(job["depends_on"], statuses, job["ancestry"])
            if not job["depends_on"]:
                state = "none"
            # A failed or missing parent does not hold a job that somebody wants to run.
            again[name] = to_run_again(job, self.now, "satisfied" if state == "failed" else state)
        return again


def _skip(step: ChangeStep, reason: Reason, jobs: int) -> None:
    if jobs:
        step.left.add(reason, jobs)
