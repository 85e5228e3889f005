"""Draws trees with joins, and histories of their jobs, and compares all counts with the jobs after each step.

``python -m chaos.counts --steps 200000 --url ...``: ends, failures, lost workers, retries, cancellations, archives,
restores, deletions and changes by hand, in any order. At the end of each history everything is repaired, in
one of several ways, and must complete.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from hammerwork_cli.core.values import FINISHED, UNSUCCESSFUL, JobStatus, status_of
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries.moving import Archive, PurgeArchive, RestoreArchived
from hammerwork_cli.features.callbacks.model import CallbackEvent, NewCallback, Subject
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import changes, enqueue
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, Delete, RetryJobs
from hammerwork_cli.features.job.queries.dependencies import EVERY_JOB
from hammerwork_cli.features.job.queries.recounts import Recounts
from hammerwork_cli.features.job.queries.selections import ByIds, Subtrees
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.worker.queries import claim, finish, rescue
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt

QUEUE = "counted"
TABLES = ("hammerwork_jobs", "hammerwork_jobs_archive", "hammerwork_joins", "hammerwork_watches")
LONGEST = 40
"""Steps of one history before its repair."""
REPAIRS = ("tree", "bottom up", "top down", "leaf by leaf", "any order")


class History:
    """One tree, and what happens to it."""

    def __init__(self, database: Database, draw: random.Random, tell: Callable[[str], None]) -> None:
        self.database, self.draw, self.tell = database, draw, tell
        self.top = self.id()
        self.below: dict[str, list[str]] = {}  # parent -> children, joins included
        self.now = database.now()
        self.touched = False  # by hand, so that counts are right only once a worker has looked

    def plant(self) -> None:
        """Inserts a tree of parents that have completed, their joins, and leaves that wait for a worker."""
        draw, rows = self.draw, list[NewJob]()
        counters: list[tuple[str, str, str, str]] = []
        counted = Counter[str]()
        done: dict[str, Any] = {"status": JobStatus.COMPLETED, "completed_at": self.now}

        def grow(parent: str, place: Ancestry, depth: int) -> None:
            own = [(self.id(), draw.choice(["children", "tree"])) for _ in range(draw.choice([0, 1, 1, 2]))]
            inherited = place.child()
            for join, scope in own:
                policy = draw.choice(["fail", "fail", "run"])
                counters.append((join, parent, scope, policy))
                mine = inherited._replace(awaits=True)
                counted.update(joins.marks(mine.stored()))
                rows.append(self._job(join, parent, mine, dependency_status="waiting"))
            marked = inherited._replace(
                joins=(*inherited.joins, *(join for join, scope in own if scope == "tree")),
                joined=tuple(join for join, scope in own if scope == "children"),
            )
            before: str | None = None
            for _ in range(draw.randint(1, 3)):
                child = self.id()
                if depth < 3 and draw.random() < 0.5:
                    rows.append(self._job(child, parent, marked, dependency_status="satisfied", **done))
                    grow(child, marked, depth + 1)
                    continue
                counted.update(joins.marks(marked.stored()))
                after = before if before and draw.random() < 0.3 else None
                state = "waiting" if after else "satisfied"
                rows.append(self._job(child, after or parent, marked, dependency_status=state))
                before = child

        place = Ancestry(self.top)
        if draw.random() < 0.5:
            place = place._replace(joins=(joins.counter_of(self.top),))
        rows.append(NewJob(QUEUE, "{}", self.now, self.now, self.top, ancestry=place.stored(), **done))
        grow(self.top, place, 0)

        def work() -> None:
            enqueue.insert(self.database, rows)
            for join, parent, scope, policy in counters:
                joins.add(self.database, join, parent, scope, policy, self.now)
            joins.parents_ended(self.database, [join for join, *_ in counters])
            if place.joins:
                options = json.dumps({"queue": "elsewhere", "payload": {}})
                callback = NewCallback(CallbackEvent.COMPLETE, options, self.id())
                enqueue.add_callbacks(self.database, Subject.TREE, self.top, [callback], self.now, jobs=0)
            joins.count(self.database, counted)

        self.database.transaction(work)
        self.correct()  # joins without jobs

    def id(self) -> str:
        return str(UUID(int=self.draw.getrandbits(128), version=4))

    def _job(self, job: str, parent: str, place: Ancestry, **columns: Any) -> NewJob:
        self.below.setdefault(parent, []).append(job)
        attempts = self.draw.choice([1, 1, 2])
        return NewJob(
            QUEUE, "{}", self.now, self.now, job, depends_on=(parent,), ancestry=place.stored(), max_attempts=attempts,
            **columns,
        )  # fmt: skip

    # Steps.

    def jobs(self, *statuses: str, table: str = "hammerwork_jobs") -> list[str]:
        rows = self.database.query(f"SELECT id, status FROM {table} WHERE queue_name = '{QUEUE}' ORDER BY id")
        return [str(job) for job, status in rows if not statuses or status_of(status) in statuses]

    def some(self, jobs: list[str]) -> list[str]:
        return self.draw.sample(jobs, min(len(jobs), self.draw.choice([1, 1, 2, 5])))

    def work(self, *, ends: Collection[AttemptEnd] = tuple(AttemptEnd), limit: int = 3) -> bool:
        """A worker claims some jobs, and ends them in one transaction."""
        worker = self.id()
        claimed = claim.claim(
            self.database, QUEUE, worker=worker, now=self.clock(), limit=limit, slots=limit, spawning=False
        )
        ended = []
        for job in claimed:
            end = self.draw.choice([one for one in ends if one in ENDS])
            if end == AttemptEnd.FAILED and job.attempts < job.max_attempts:
                ended.append(EndedAttempt(job, AttemptEnd.RETRY, error="again", at=self.now))
            else:
                ended.append(EndedAttempt(job, end, error=None if end == AttemptEnd.COMPLETED else "drawn"))
        if ended:
            finish.finish(self.database, ended, self.clock())
        return bool(ended)

    def lose(self) -> None:
        worker = self.id()
        claim.claim(self.database, QUEUE, worker=worker, now=self.clock(), limit=2, slots=2, spawning=False)
        rescue.return_lost(self.database, worker, "lost", self.clock())

    def retry(self) -> None:
        force = self.draw.random() < 0.3
        jobs = self.jobs(*(FINISHED if force else UNSUCCESSFUL))
        self.change(self.some(jobs), RetryJobs(self.clock(), cancelled=True, force=force))

    def cancel(self) -> None:
        self.change(self.some(self.jobs(JobStatus.PENDING)), CancelJobs(self.clock(), by="the checks"))

    def delete(self) -> None:
        self.change(self.some(self.jobs()), Delete(self.clock(), force=self.draw.random() < 0.5))

    def archive(self) -> None:
        how = Archival(self.clock(), ArchivalReason.MANUAL, "the checks")
        self.step(self.some(self.jobs(*FINISHED)), Archive(how, whole=False))

    def restore(self, jobs: list[str] | None = None, *, again: bool | None = None) -> None:
        found = self.some(self.jobs(table="hammerwork_jobs_archive")) if jobs is None else jobs
        again = self.draw.random() < 0.5 if again is None else again
        self.step(found, RestoreArchived(self.clock(), again=again))

    def purge(self) -> None:
        found = self.some(self.jobs(table="hammerwork_jobs_archive"))
        self.step(found, PurgeArchive(self.clock(), self.clock() + timedelta(days=1)))

    def by_hand(self) -> None:
        """Another program, or a person, changes a job and counts nothing; then a worker looks."""
        for job in self.some(self.jobs(JobStatus.PENDING)):
            sql = self.draw.choice(
                [
                    "UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at",
                    "UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at",
                    "DELETE FROM hammerwork_jobs",
                ]
            )
            self.database.script(f"{sql} WHERE id = '{job}'")
        self.touched = True

    def miscount(self) -> None:
        """Somebody changes all counts."""
        self.database.script(f"UPDATE hammerwork_joins SET open_jobs = {self.draw.randint(60, 70)}")
        self.touched = True

    def change(self, jobs: list[str], made: Change) -> None:
        if jobs:
            changes.run(self.database, ByIds(jobs), made)

    def step(self, jobs: list[str], made: Change) -> None:
        def work() -> None:
            step = made.step(self.database, jobs, EVERY_JOB)
            following = step.following
            while following.unfinished:
                following = made.follow(self.database, following)

        if jobs:
            self.database.transaction(work)

    def clock(self) -> datetime:
        self.now = max(self.database.now(), self.now + timedelta(microseconds=1))
        return self.now

    def correct(self) -> None:
        """A worker that has just started compares everything that it doubts, and what a hand has touched."""
        self.database.script("UPDATE hammerwork_joins SET checked_at = '1970-01-01 00:00:00'")
        recounts = Recounts()
        while joins.doubted(self.database, 1):
            list(recounts.look(self.database, self.clock, 60))
        self.touched = False

    # What must be true.

    def check(self) -> None:
        """Every count is right, and what waits has something to wait for."""
        if self.touched:
            self.correct()
        live = {
            str(job): (status_of(status), state, ancestry)
            for job, status, state, ancestry in self.database.query(
                "SELECT id, status, dependency_status, ancestry FROM hammerwork_jobs"
            )
        }
        everywhere = {
            str(job): (status_of(status), "archived", ancestry)
            for job, status, ancestry in self.database.query("SELECT id, status, ancestry FROM hammerwork_jobs_archive")
        } | live
        right: dict[str, list[int]] = {}
        for counted_status, _, ancestry in everywhere.values():
            place = json.loads(ancestry or "{}")
            for join in (*place.get("joins", ()), *place.get("joined", ())):
                counted = right.setdefault(join, [0, 0])
                counted[0] += counted_status not in FINISHED
                counted[1] += counted_status in UNSUCCESSFUL
        rows = self.database.query("SELECT job_id, parent_ended, open_jobs, failed_jobs FROM hammerwork_joins")
        for join, ended, open_jobs, failed in rows:
            expected = right.get(str(join), [0, 0])
            assert [open_jobs, failed] == expected, f"{join} counts {open_jobs}, {failed}; right is {expected}"
            status, state, _ = live.get(str(join), ("", "", None))
            if state == "waiting" and status == JobStatus.PENDING:
                assert not ended or open_jobs > 0, f"{join} waits for nothing"

    def repair(self, how: str) -> None:
        """Lets everything complete that is left."""
        self.restore(self.jobs(table="hammerwork_jobs_archive"), again=False)
        self._drain()
        for _ in range(len(self.jobs())):
            failed, downward = self.jobs(*UNSUCCESSFUL), self._downward()
            if not failed:
                return
            order = sorted(failed, key=lambda job: downward.index(job) if job in downward else -1)
            if how in ("bottom up", "leaf by leaf"):
                order.reverse()
            elif how == "any order":
                self.draw.shuffle(order)
            again = RetryJobs(self.clock(), cancelled=True)
            if how == "tree" and self.top in self.jobs():
                changes.run(self.database, Subtrees([self.top], UNSUCCESSFUL), again)
                order = []
            for job in order:
                self.change([job], again)
                self.check()
                if how == "leaf by leaf":
                    self._drain()
            self._drain()

    def _drain(self) -> None:
        self.check()
        while self.work(ends=[AttemptEnd.COMPLETED], limit=10):
            self.check()

    def _downward(self) -> list[str]:
        found = [self.top]
        for job in found:
            found += self.below.get(job, [])
        return found


ENDS = (AttemptEnd.COMPLETED, AttemptEnd.FAILED, AttemptEnd.TIMED_OUT, AttemptEnd.CANCELLED)
STEPS: tuple[tuple[str, int], ...] = (
    ("work", 8), ("lose", 2), ("retry", 4), ("cancel", 2), ("delete", 1), ("archive", 2), ("restore", 2), ("purge", 1),
    ("by_hand", 1), ("miscount", 1),
)  # fmt: skip


def check(database: Database, steps: int, seed: int, *, gone: bool = True) -> int:
    """Takes so many steps; returns their number. Raises AssertionError, with the seed of the history, at a difference.

    Args:
        gone: whether jobs may be deleted, with which a history need not be repairable.
    """
    taken, number = 0, 0
    while taken < steps:
        number += 1
        draw, told = random.Random(f"{seed} {number}"), list[str]()
        for table in TABLES:
            database.script(f"DELETE FROM {table}")
        keeps = draw.random() < 0.5 or not gone
        history = History(database, draw, told.append)
        try:
            history.plant()
            history.check()
            names = [name for name, _ in STEPS if not keeps or name not in LOSING]
            weights = [weight for name, weight in STEPS if name in names]
            for _ in range(draw.randint(1, LONGEST)):
                told.append(draw.choices(names, weights)[0])
                getattr(history, told[-1])()
                history.check()
                taken += 1
            told.append(f"repair: {draw.choice(REPAIRS)}")
            history.repair(told[-1].removeprefix("repair: "))
            taken += 1
            if keeps:
                rest = Counter(status for (status,) in database.query("SELECT status FROM hammerwork_jobs"))
                assert set(rest) <= {JobStatus.COMPLETED}, f"the repair left {dict(rest)}"
        except Exception as error:
            error.add_note(f"--seed {seed}, history {number}: {', '.join(told)}")
            raise
    return taken


LOSING = ("delete", "purge", "by_hand")
"""Steps after which not everything can complete."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos.counts")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--url", help="an empty database; an SQLite file that is removed by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hammerwork-counts-") as folder:
        database = connect(options.url or f"sqlite:///{Path(folder) / 'counts.db'}")
        migrations.run(database)
        print(f"{database.server}: {options.steps:,} steps, --seed {options.seed}", flush=True)
        began = time.monotonic()
        taken = check(database, options.steps, options.seed)
        print(f"{taken:,} steps in {time.monotonic() - began:.0f} s: all counts were right")
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
