"""Finds and fixes damage that workers and tools have left in the database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from hammerwork_cli.core import cron as cron_models
from hammerwork_cli.core.input.spawn_config import ignored_because
from hammerwork_cli.core.values import (
    COMPLETED_SPELLINGS,
    FAILED_SPELLINGS,
    FAILURES,
    RUNNING_SPELLINGS,
    STORED,
    WAITING_SPELLINGS,
    Timestamp,
    status_of,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.queries import ahead, joins, notifications
from hammerwork_cli.features.job.queries.dependencies import Following, fail_next
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.spawn.models.doctor import FIXABLE, Damage, Finding, FoundJob, in_cycles
from hammerwork_cli.features.spawn.queries import growth
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.worker.queries import finish, rescue
from hammerwork_cli.features.worker.queries.finish import FinishReport
from hammerwork_cli.features.worker.queries.rescue import WAS_LOST, Lost

PAGE = 500
"""Jobs in one transaction."""
MOST_PUT_OFF = 10_000
"""Jobs that a wrong clock has put off, and that are counted."""
MOST_EDGES = 500_000
"""Waiting jobs among which the doctor searches for cycles."""
EVERYWHERE = (
    Damage.MISSPELT_STATUS,
    Damage.BARRED,
    Damage.UNKNOWN_STATUS,
    Damage.CRON_STOPPED,
    Damage.RAN_EARLY,
    Damage.NEVER_SPAWNED,
)
"""Kinds that one statement finds on every database and with any options."""
FINDING = {
    Damage.MISSPELT_STATUS: "spawn.doctor.misspelt_status",
    Damage.NULL_LISTS: "spawn.doctor.null_lists",
    Damage.BARRED: "spawn.doctor.barred",
    Damage.LOST: "spawn.doctor.lost",
    Damage.LOST_LAST_ATTEMPT: "spawn.doctor.lost_last_attempt",
    Damage.UNKNOWN_STATUS: "spawn.doctor.unknown_status",
    Damage.UNFINISHED_TABLES: "spawn.doctor.unfinished_tables",
    Damage.CRON_STOPPED: "spawn.doctor.cron_stopped",
    Damage.RAN_EARLY: "spawn.doctor.ran_early",
    Damage.NEVER_SPAWNED: "spawn.doctor.never_spawned",
    Damage.GONE_BUT_RECORDED: "spawn.doctor.gone_but_recorded",
}
"""The statement that finds each kind."""
FIXING = {
    Damage.NULL_LISTS: "spawn.doctor.fix_null_lists",
    Damage.BARRED: "spawn.doctor.fix_barred",
}
"""The statements that fix a kind on their own."""


WORDS = {
    "words": tuple(status.value for status in STORED),
    "plain": tuple({word for status in STORED for word in status.plain_words}),
    "pending": WAITING_SPELLINGS,
    "running": RUNNING_SPELLINGS,
    "completed": COMPLETED_SPELLINGS,
    "failed": FAILED_SPELLINGS,
}


LOST = (Damage.LOST, Damage.LOST_LAST_ATTEMPT)
"""Running jobs whose workers are gone."""


class FixedJobs(NamedTuple):
    """The ids of waiting jobs that were released, and of those that failed."""

    released: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class _Damaged(NamedTuple):
    """A row of the statements of :data:`FINDING`: a job, and how many are as it is."""

    id: Any
    queue: str | None
    written_status: Any
    jobs: int
    detail: Any


class Doctor:
    """Finds damage in the jobs of a database, and fixes the kinds that have one right fix.

    One statement finds each kind of damage. Fixes run in transactions of at most :data:`PAGE` jobs. Each UPDATE names
    the damaged state in its condition, so that it leaves a job alone that another program has changed in the meantime.

    Args:
        lost_before: jobs that have been Running since before then count as lost, unless their worker keeps a lease;
            with ``None``, only those do whose lease is over.
        only_lost: whether to look for lost jobs alone, and no other damage.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: datetime,
        queues: Sequence[str] = (),
        lost_before: datetime | None = None,
        examples: int = 5,
        only_lost: bool = False,
    ) -> None:
        self.database = database
        self.now = now
        self.queues = queues
        self.lost_before = lost_before
        self.examples = examples
        self.only_lost = only_lost

    # Finding.

    def examine(self) -> list[Finding]:
        """Returns the damage in the order of :class:`Damage`."""
        found = {kind: self._find(kind) for kind in self._kinds()}
        if not self.only_lost:
            found |= self._waiting()
            found[Damage.PUT_OFF] = self._put_off()
            found[Damage.CYCLE] = self._cycles()
            found[Damage.GROWING] = self._growing()
        return [finding for kind in Damage if (finding := found.get(kind))]

    def running(self) -> tuple[int, Timestamp, int]:
        """Counts the Running jobs that no living worker has claimed.

        Returns number of these jobs, start of the first, and number of those that belong to a worker whose heartbeat
        has stopped: other workers rescue them.
        """
        jobs, since, returned = self._rows("spawn.doctor.running")[0]
        return int(jobs), since, int(returned or 0)

    def _kinds(self) -> list[Damage]:
        kinds = list(EVERYWHERE)
        if self.database.dialect == "postgresql":
            kinds.append(Damage.NULL_LISTS)
        if self.lost_before or "leases" in self.database.tags:
            kinds += [Damage.LOST, Damage.LOST_LAST_ATTEMPT]
        if not self.queues and self.database.is_current:
            kinds.append(Damage.GONE_BUT_RECORDED)
        if migrations.is_unfinished(self.database):
            kinds.append(Damage.UNFINISHED_TABLES)
        return [kind for kind in kinds if kind in LOST or not self.only_lost]

    def _rows(self, statement: str, *, waiting: Sequence[str] = WORDS["pending"], **values: Any) -> list[Any]:
        everything: dict[str, Any] = {"ids": None, "after": None, "limit": None, "queues": self.queues}
        everything |= {"before": self.lost_before, "now": self.now}
        return self.database.rows(statement, **WORDS, waiting=waiting, **{**everything, **values})

    def _find(self, kind: Damage) -> Finding | None:
        waiting = WORDS["running"] + WORDS["completed"] if kind == Damage.RAN_EARLY else WORDS["pending"]
        schedules = self._unfinished_schedules() if kind == Damage.CRON_STOPPED else None
        found = self._damaged(kind, waiting=waiting, limit=self.examples, schedules=schedules)
        if kind == Damage.NEVER_SPAWNED:
            found = [one._replace(detail=ignored_because(one.detail)) for one in found]
        return _finding(kind, found)

    def _damaged(self, kind: Damage, **values: Any) -> list[_Damaged]:
        return [_Damaged._make(row) for row in self._rows(FINDING[kind], **values)]

    def _unfinished_schedules(self) -> list[str]:
        """Returns schedules of completed jobs that should have recurred: they are due again, or cannot be read."""
        return sorted(
            {
                cron
                for cron, timezone in self._rows("spawn.doctor.completed_schedules")
                if self._is_due_again(cron, timezone)
            }
        )

    def _is_due_again(self, cron: str, timezone: str | None) -> bool:
        try:
            return cron_models.next_run(cron, timezone, self.now) is not None
        except UsageError:
            return True

    def _waiting(self) -> dict[Damage, Finding | None]:
        found: dict[Damage, list[_Damaged]] = defaultdict(list)
        for *row, kind in self._rows("spawn.doctor.waiting", limit=self.examples):
            found[Damage(kind)].append(_Damaged._make(row))
        return {kind: _finding(kind, damaged) for kind, damaged in found.items()}

    def _put_off(self) -> Finding | None:
        found = ahead.found(self.database, self.now, queues=self.queues, limit=MOST_PUT_OFF)
        return _finding(
            Damage.PUT_OFF,
            [_Damaged(job.id, job.queue, job.status, len(found), job.scheduled_at) for job in found[: self.examples]],
        )

    def _cycles(self) -> Finding | None:
        edges = self._rows("spawn.doctor.waiting_edges", queues=(), limit=MOST_EDGES)
        members = in_cycles(edges)
        nodes = [node for part in chunks(sorted(members), PAGE) for node in Relatives(self.database).jobs(part)]
        ours = [node for node in nodes if not self.queues or node.queue in self.queues]
        shown = [
            FoundJob(node.id, node.queue, node.stored_status, node.depends_on[0]) for node in ours[: self.examples]
        ]
        return Finding(Damage.CYCLE, len(ours), tuple(shown), len(ours)) if ours else None

    def _growing(self) -> Finding | None:
        trees = growth.growing(self.database, self.now)
        trees = [tree for tree in trees if not self.queues or tree.queue in self.queues]
        shown = tuple(
            FoundJob(tree.root, tree.queue, tree.status, f"{tree.said}. To stop it: hammerwork {tree.stop}")
            for tree in trees
        )
        return Finding(Damage.GROWING, len(trees), shown, len(trees)) if trees else None

    # Fixing.

    def fix(self, found: Sequence[Finding]) -> list[Finding]:
        """Fixes all damage that has one right fix, and examines the jobs again.

        Returns the findings before and after, with the number of fixed jobs.

        Args:
            found: the result of :meth:`examine`. Damage that only comes to light by other fixes is fixed too.
        """
        fixed = self._fix_all()
        before = {finding.kind: finding for finding in found}
        after = {finding.kind: finding for finding in self.examine()}
        results = []
        for kind in Damage:
            known = before.get(kind) or after.get(kind)
            if known is None and fixed.get(kind):
                known = Finding(kind, fixed[kind], (), 0)
            if known is not None:
                left = after[kind].left if kind in after else 0
                results.append(known._replace(fixed=fixed.get(kind, 0), left=left))
        return results

    def _fix_all(self) -> dict[Damage, int]:
        fixed: dict[Damage, int] = defaultdict(int)
        for kind in self._kinds():
            if kind in FIXABLE:
                fixed[kind] += self._fix_kind(kind)
        if self.only_lost:
            return fixed
        fixed[Damage.PUT_OFF] += ahead.put_back(self.database, self.now, queues=self.queues)
        # A job that fails because of its parent may in turn have dependents that wait for it.
        while self._fix_waiting(fixed):
            pass
        return fixed

    def rescue(self) -> int:
        """Gives back the jobs that count as lost, and returns their number."""
        return sum(self._fix_kind(kind) for kind in LOST)

    def _fix_kind(self, kind: Damage) -> int:
        total = 0
        while True:
            # Read without locks: an UPDATE that fixes nothing means that other programs have changed all of the rows.
            found = self._damaged(kind, limit=PAGE)
            done = self.database.transaction(partial(self._fix_damaged, kind, found)) if found else 0
            total += done
            if not done:
                return total

    def _fix_damaged(self, kind: Damage, found: Sequence[_Damaged]) -> int:
        ids = [str(one.id) for one in found]
        if kind == Damage.MISSPELT_STATUS:
            return self._fix_misspelt(found)
        if kind in LOST:
            return self._fix_lost(ids)
        if kind == Damage.GONE_BUT_RECORDED:
            return len(records.forget(self.database, ids))
        return self._run(FIXING[kind], ids=ids)

    def _fix_misspelt(self, found: Sequence[_Damaged]) -> int:
        by_spelling: dict[str, list[str]] = defaultdict(list)
        for one in found:
            by_spelling[one.written_status].append(one.id)
        return sum(
            self._run("spawn.doctor.fix_misspelt_status", ids=ids, written=written, word=status_of(written))
            for written, ids in by_spelling.items()
        )

    def _fix_lost(self, ids: Sequence[str]) -> int:
        """Gives jobs another attempt. After the last one they are dead, or wait for their next occurrence."""
        # The lock keeps everybody from changing a job between the record of its attempt and its own change.
        jobs = [Lost(str(job), *rest) for job, *rest in self._rows("spawn.doctor.lost_among", ids=ids)]
        rescue.record(self.database, jobs, self._lost_error, self.now)
        again = [job.id for job in jobs if job.attempts < job.max_attempts]
        last = [job for job in jobs if job.attempts >= job.max_attempts]
        coming = rescue.next_runs(self.database, last, self.now)
        dead = rescue.without(last, coming.values())
        rescue.write_events(self.database, last, self._lost_error, self.now)
        done = self._run("spawn.doctor.fix_lost", ids=again) if again else 0
        events.jobs(self.database, EventType.JOB_RETRIED, again, self.now)
        done += sum(self._run("spawn.doctor.fix_lost_recurring", ids=some, at=at) for at, some in coming.items())
        if dead:
            done += self._run("spawn.doctor.fix_lost_last_attempt", ids=dead)
            events.ended(self.database, dead, self.now)
            finish.update_dependents(self.database, (), dead, self.now, FinishReport())
        return done

    @property
    def _lost_error(self) -> str:
        return f"Its worker {WAS_LOST} It was found on {self.now:%Y-%m-%d %H:%M} UTC."

    def _run(self, statement: str, **values: Any) -> int:
        everything = {
            "now": self.now,
            "before": self.lost_before,
            "error": self._lost_error,
            "waiting": WORDS["pending"],
        }
        return self.database.run(statement, **{**WORDS, **everything, **values})

    def fix_waiting_page(self, after: str | None) -> tuple[str | None, "FixedJobs"]:
        """Releases or fails the jobs on one page of those whose dependencies have ended.

        Returns the last id of this page, or ``None`` on the last page; and the fixed jobs.
        """
        page = self._waiting_page(after)
        done = self.database.transaction(partial(self._fix_page, page, to_the_end=True)) if page else {}
        failed = done.pop(Damage.PARENT_FAILED, ())
        fixed = FixedJobs(tuple(chain.from_iterable(done.values())), tuple(failed))
        return (page[-1] if len(page) == PAGE else None), fixed

    def _fix_waiting(self, fixed: dict[Damage, int]) -> int:
        """Goes over all waiting jobs once; returns the number of fixed jobs."""
        total = 0
        for page in self._waiting_pages():
            done = self.database.transaction(partial(self._fix_page, page))
            for kind, jobs in done.items():
                total += len(jobs)
                fixed[kind] += len(jobs)
        return total

    def _waiting_pages(self) -> Iterator[list[str]]:
        after = None
        while page := self._waiting_page(after):
            yield page
            after = page[-1]

    def _waiting_page(self, after: str | None) -> list[str]:
        return [job for (job,) in self._rows("spawn.doctor.waiting_ids", after=after, limit=PAGE)]

    def _fix_page(self, ids: Sequence[str], *, to_the_end: bool = False) -> dict[Damage, list[str]]:
        """Kind of damage -> the ids of the jobs that were fixed. Needs a transaction."""
        stuck: dict[Damage, dict[str, str]] = defaultdict(dict)
        for kind, job, parent in self._rows("spawn.doctor.stuck_among", ids=ids):
            stuck[Damage(kind)][job] = parent
        done = {Damage.PARENT_FAILED: self._fail(stuck[Damage.PARENT_FAILED], to_the_end=to_the_end)}
        for kind in (Damage.NOT_RELEASED, Damage.NOT_RELEASED_AFTER_FAILURE):
            done[kind] = self._change("spawn.doctor.release", list(stuck[kind]))
        return done

    def _change(self, statement: str, ids: Sequence[str], **values: Any) -> list[str]:
        """Runs a statement on those of some jobs that still wait; returns their ids.

        Another program may have claimed, cancelled, deleted or fixed the others.
        """
        locked = self._rows("spawn.doctor.lock_jobs", ids=ids) if ids else []
        waiting = [job for job, status, state in locked if state == "waiting" and status in WORDS["pending"]]
        if waiting:
            self._run(statement, ids=waiting, **values)
        return waiting

    def _fail(self, parents: dict[str, str], *, to_the_end: bool) -> list[str]:
        """Fails jobs whose parent has failed and has not been retried in the meantime; returns their ids.

        ``parents`` names the failed parent of each job. ``to_the_end`` also fails all jobs that fail because of them.
        Otherwise the next pass fails these, and each error names the parent itself.
        """
        below: dict[str, list[str]] = defaultdict(list)
        for job, parent in parents.items():
            below[parent].append(job)
        if not below:
            return []
        statuses = {
            job: status_of(status) for job, status, _ in self._rows("spawn.doctor.lock_jobs", ids=sorted(below))
        }
        failed: list[str] = []
        for parent, jobs in below.items():
            status = statuses.get(parent, "in the archive")
            if parent not in statuses or status in FAILURES:
                error = f"It depends on job {parent}, which is {status}."
                these = self._change("spawn.doctor.fail", jobs, error=error)
                events.ended(self.database, these, self.now)
                settled = joins.settle(self.database, joins.of_failed(self.database, these), self.now)
                notifications.notify(self.database, settled.released)
                failed += [*these, *settled.failed]
        following = Following(parents=list(failed) if to_the_end else ())
        while following.unfinished:
            following = fail_next(self.database, following, self.now, None)
            failed += following.changed
        return failed


def _finding(kind: Damage, found: Sequence[_Damaged]) -> Finding | None:
    if not found:
        return None
    examples = tuple(FoundJob(one.id, one.queue, _text(one.written_status), one.detail) for one in found)
    jobs = int(found[0].jobs)
    return Finding(kind, jobs, examples, jobs)


def _text(status: Any) -> str:
    return status.decode() if isinstance(status, (bytes, bytearray)) else str(status)
