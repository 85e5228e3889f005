"""The statements that workers and lists send again and again do bounded work, whatever the statistics say.

A server plans with statistics of another time: autovacuum and ANALYZE come when they come. Each statement is run on
thousands of jobs after statistics were taken at the worst moments, and the work that the server counts is compared with
the rows that the statement was asked for. Times would tell less, and not the same on each machine.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from hammerwork_cli.core.values import FAILED_SPELLINGS, RUNNING_SPELLINGS, WAITING_SPELLINGS
from hammerwork_cli.database import Database, statements
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.worker.queries import claim
from tests.database.test_plans import MOST_OF_SCANS, analyze, bound, share_of_scans
from tests.rows import START, Rows

pytestmark = pytest.mark.fresh_database

JOBS = {"postgresql": 8_000, "mysql": 4_000}
"""Enough for the worst plans: with half as many and no statistics, PostgreSQL still finds children by their index."""
JOBS_FOR_ONE_ASKED = 80
WIDE = "x" * 500
"""The text of each payload. The narrower the rows, the less it costs PostgreSQL to read all of them."""
MOST_PER_ROW, MOST_PER_ROW_BESIDES = 10, 5
"""Rows and pages that a statement may read for each row that it returns, and for each that it could be asked for.
Reading the table, or an index of it, takes more.
"""
WORKER, TOKEN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOW = START + timedelta(days=2)
CLAIMED = NOW - timedelta(hours=1)
DUE, WAITING, FINISHED = ("Pending", "none"), ("Pending", "waiting"), ("Completed", "satisfied")
MOMENTS = {
    "never": None,
    "empty": None,
    "all due": DUE,
    "all waiting": WAITING,
    "all finished": FINISHED,
    "two parents": None,
}
"""When the statistics were taken, and what all jobs looked like then. All jobs have one parent, or the same two; after
"never", on MySQL after "empty", "one parent" is when all of them are known.
"""


class Scene:
    """A table whose statistics mislead: a quarter of its jobs ended, waits, is due later, is due, in this order."""

    def __init__(self, database: Database, moment: str) -> None:
        self.database, self.rows = database, Rows(database)
        self.number = JOBS[database.dialect]
        self.asked, self.quarter = self.number // JOBS_FOR_ONE_ASKED, self.number // 4
        self.parents = [self.rows.job(spawns=True) for _ in range(2 if moment == "two parents" else 1)]
        if database.dialect == "mysql":
            database.script("ALTER TABLE hammerwork_jobs STATS_AUTO_RECALC = 0")
        if moment == "empty":
            analyze(database, "hammerwork_jobs")
        states = MOMENTS[moment]
        self.jobs = [self._insert(number, states) for number in self._all()]
        if states:
            analyze(database, "hammerwork_jobs")
            self._settle()
        elif moment == "two parents":
            analyze(database, "hammerwork_jobs")
        self._clean()

    def know_them(self) -> None:
        """Takes the statistics of the jobs as they are."""
        analyze(self.database, "hammerwork_jobs")
        self._clean()

    def _clean(self) -> None:
        if self.database.dialect == "postgresql":
            self.database.script("VACUUM hammerwork_jobs")

    def _all(self) -> Iterator[int]:
        with self.rows.at_once():
            yield from range(self.number)

    def _insert(self, number: int, states: tuple[str, str] | None) -> str:
        at = START + timedelta(seconds=number)
        columns = self._columns(number) if states is None else dict(zip(STATES, states, strict=True))
        return self.rows.job(
            *self.parents,
            **{"created_at": at, "scheduled_at": at, "payload": {"text": WIDE}, "max_attempts": number, **columns},
        )

    def _columns(self, number: int) -> dict[str, Any]:
        if number < self.asked:
            claim = {"claim_token": TOKEN, "claimed_by": WORKER, "started_at": CLAIMED, "claimed_at": CLAIMED}
            return {"status": "Running", "dependency_status": "satisfied", **claim}
        quarter = number // self.quarter
        states = dict(zip(STATES, (FINISHED, WAITING, DUE, DUE)[quarter], strict=True))
        return {**states, "scheduled_at": NOW + timedelta(days=9)} if quarter == 2 else states

    def _settle(self) -> None:
        """Gives the jobs the states that the statistics know nothing of."""
        place, adapted = self.database.placeholder, self.rows.adapted

        def settle() -> None:
            ends = (0, self.asked, *(part * self.quarter for part in (1, 2, 3)), self.number)
            for first, end in pairwise(ends):
                columns = self._columns(first)
                self.rows.run(
                    f"UPDATE hammerwork_jobs SET {', '.join(f'{name} = {place}' for name in columns)}"
                    f" WHERE max_attempts >= {first} AND max_attempts < {end} AND queue_name = 'work'"
                    f" AND id NOT IN ({', '.join([place] * len(self.parents))})",
                    [*map(adapted, columns.values()), *self.parents],
                )

        self.database.transaction(settle)

    def ids(self, first: int) -> Any:
        """As many children as are asked for, as the statements get them."""
        return self.database.ids(self.jobs[first : first + self.asked])

    def queues(self) -> str:
        """The names of as many queues, of which one has jobs."""
        return json.dumps(["work", *(f"idle {number}" for number in range(self.asked - 1))])

    def starts(self) -> Any:
        """As many times."""
        return self.database.times(dict.fromkeys(self.jobs[: self.asked], CLAIMED))


class Asked(NamedTuple):
    """What a statement is asked.

    Attributes:
        values: of the statement.
        rows: how many rows it returns at most; ``None`` for as many as it is given ids, or asked for.
    """

    values: dict[str, Any]
    rows: int | None = None


STATES = ("status", "dependency_status")
CLAIM = {"token": TOKEN, "started": CLAIMED}
BOUNDS = {"dated": False, "limit": None, "failed": FAILED_SPELLINGS, "running": RUNNING_SPELLINGS}
HOT: dict[str, Callable[[Scene], Asked]] = {
    "worker.claim.ready": lambda at: Asked(
        {
            "columns": claim.CLAIMED_COLUMNS,
            "queue": "work",
            "now": NOW,
            "priority": None,
            "limit": at.asked,
            "large": claim.LARGE,
            "spawning": True,
        }
    ),
    "worker.claim.with_jobs": lambda at: Asked(
        {"queues": at.queues(), "before": NOW, "after": None, "once": True, "unpaused": True}
    ),
    "worker.claim.claim": lambda at: Asked(
        {"ids": at.ids(3 * at.quarter), "token": TOKEN, "worker": WORKER, "now": CLAIMED, "lease": 300}
    ),
    "worker.claim.have_spawned": lambda at: Asked({"ids": at.ids(3 * at.quarter)}, 0),
    "worker.finish.complete": lambda at: Asked({"ids": at.ids(0), "start": CLAIMED, **CLAIM, "now": NOW}),
    "worker.finish.complete_each": lambda at: Asked({"ids": at.ids(0), "starts": at.starts(), **CLAIM, "now": NOW}),
    "worker.finish.lock_free": lambda at: Asked({"ids": at.ids(0)}),
    "worker.finish.give_back": lambda at: Asked({"ids": at.ids(0), **CLAIM}),
    "worker.finish.claimed_by": lambda _: Asked({"worker": WORKER}),
    "worker.finish.outcomes": lambda at: Asked({"ids": at.ids(0)}),
    "worker.rescue.lock_jobs": lambda at: Asked({"worker": WORKER, "limit": at.asked}),
    "worker.rescue.retry": lambda at: Asked({"ids": at.ids(0), "worker": WORKER, "error": "lost"}),
    "tree.release.waiting_for": lambda at: Asked({"ids": at.ids(0)}),
    "tree.release.lock_waiting": lambda at: Asked({"ids": at.ids(at.quarter)}),
    "tree.release.touch_waiting": lambda at: Asked({"ids": at.ids(at.quarter)}),
    "tree.release.release": lambda at: Asked({"ids": at.ids(at.quarter)}),
    "tree.release.statuses": lambda at: Asked({"ids": at.ids(0)}),
    # Nobody uses joins here, and a quarter of the jobs wait for others.
    "tree.joins.waiting": lambda at: Asked({"after": None, "waiting": WAITING_SPELLINGS, "limit": at.asked}, 0),
    "tree.relatives.level": lambda at: Asked({"ids": at.ids(0), "dated": False, "joined": True, "dated_too": False}),
    "tree.relatives.children": lambda at: Asked({"ids": at.ids(0), **BOUNDS}),
    "tree.relatives.joined_children": lambda at: Asked({"ids": at.ids(0), **BOUNDS}),
    "tree.relatives.child_states": lambda at: Asked({"ids": at.ids(0)}),
    "tree.relatives.child_totals": lambda at: Asked({"ids": at.ids(0)}),
    "tree.relatives.child_ids": lambda at: Asked({"parents": json.dumps(at.jobs[: at.asked])}),
    "job.dependencies.dependents": lambda at: Asked(
        {
            "ids": at.ids(0),
            "states": ("waiting",),
            "statuses": WAITING_SPELLINGS,
            "fail_fast": True,
        }
    ),
    "job.listing.list": lambda _: Asked({**listing.chosen(JobFilter()), "limit": 20, "cursor_at": None}, 20),
    "spawn.operations.list": lambda _: Asked(
        {
            **dict.fromkeys(("queue", "statuses", "derived", "since", "until", "operation", "cursor_at", "cursor_id")),
            "roots": False,
            "ended": operations.ENDED_SPELLINGS,
            "limit": 20,
        },
        20,
    ),
}


ORDERED = {"worker.claim.ready", "worker.claim.with_jobs"}
"""Statements that the code sends in an ordered transaction."""
OF_NEVER = ("tree.relatives.children", "tree.relatives.child_states", "tree.relatives.child_totals")
OF_JOINS = ("tree.release.waiting_for", "tree.relatives.joined_children", "job.dependencies.dependents")
KNOWN = {
    "postgresql": {(statement, "never") for statement in OF_NEVER},
    "mysql": {(statement, "two parents") for statement in OF_JOINS},
}
"""What reads the table once, not once for each id. PostgreSQL analyses a table within a minute. MariaDB has no index of
all members of a list.
"""
ONLY = {"tree.relatives.level": "postgresql", "tree.relatives.child_ids": "mysql"}


def reads(database: Database, statement: str, values: dict[str, Any]) -> float:
    """Rows and pages that a statement reads, as the server counts them."""
    return READS[database.dialect](database, *given(database, statement, values))


def given(database: Database, statement: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
    """A statement with these values alone, as the driver wants it."""
    conditions = {line.condition: None for line in statements.load(statement, database.tags) if line.condition}
    return bound(database, statement, conditions | values)


def _postgresql_reads(database: Database, sql: str, values: list[Any]) -> float:
    plan = database.query(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", values)[0][0]
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    reader = top["Plans"][0] if top["Node Type"] == "ModifyTable" else top
    return _scanned(reader) + float(reader["Shared Hit Blocks"] + reader["Shared Read Blocks"])


def _scanned(node: dict[str, Any]) -> float:
    rows = 0.0
    if "Scan" in node["Node Type"]:
        kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = sum(node.get(kind, 0) for kind in kinds) * node["Actual Loops"]
    return rows + sum(_scanned(child) for child in node.get("Plans", ()))


def _mysql_reads(database: Database, sql: str, values: list[Any]) -> float:
    def counted() -> int:
        rows = database.query(
            "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name LIKE '%icp%'"
        )
        return sum(int(value) for _, value in rows)

    database.query("SELECT 1")
    before = counted()
    own = counted() - before  # what counting reads
    before = counted()
    database._execute(sql, values)
    return float(counted() - before - own)


READS = {"postgresql": _postgresql_reads, "mysql": _mysql_reads}


class _Over(Exception):  # noqa: N818  rolls a transaction back
    pass


def too_much(scene: Scene, moment: str) -> dict[str, str]:
    """The statements that read more than they may, or would in some runs, with what they read or cost."""
    found: dict[str, str] = {}
    for statement, asks in HOT.items():
        if (statement, moment) in KNOWN.get(scene.database.dialect, ()) or ONLY.get(
            statement, scene.database.dialect
        ) != scene.database.dialect:
            continue
        asked = asks(scene)
        rows = scene.asked if asked.rows is None else asked.rows
        most = MOST_PER_ROW * rows + MOST_PER_ROW_BESIDES * scene.asked

        def run(statement: str = statement, asked: Asked = asked, rows: int = rows, most: int = most) -> None:
            if rows and scene.database.dialect == "postgresql":
                share = share_of_scans(scene.database, *given(scene.database, statement, asked.values))
                if share > MOST_OF_SCANS:
                    found[statement] = f"costs {share:.0%} of what it would without indexes"
            read = reads(scene.database, statement, asked.values)
            if read > most:
                found[statement] = f"reads {read:,.0f} for {rows}"
            raise _Over

        with suppress(_Over):
            scene.database.transaction(run, ordered=statement in ORDERED)
    return found


@pytest.mark.parametrize(
    ("dialect", "moment"),
    [
        pytest.param(dialect, moment, marks=getattr(pytest.mark, dialect))
        for dialect in ("postgres", "mysql")
        for moment in MOMENTS
        # MySQL takes statistics of a table that is made, too: those of an empty one.
        if (dialect, moment) != ("mysql", "never")
    ],
)
def test_hot_statements_read_what_they_return_whatever_the_statistics_say(database: Database, moment: str) -> None:
    scene = Scene(database, moment)
    assert too_much(scene, moment) == {}
    if moment == ("never" if scene.database.dialect == "postgresql" else "empty"):
        scene.know_them()
        assert too_much(scene, "one parent") == {}
