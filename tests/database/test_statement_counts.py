"""No statement a job: counts do not grow with what is read, nor with the jobs that complete together."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import Database
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.spawn.queries import pending as pending_queries
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.tree.queries import tree
from hammerwork_cli.features.tree.queries.relatives import GIN_LIST, GIN_LISTS
from hammerwork_cli.features.worker.queries import ancestry, claim, finish, spawn
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.database.conftest import one_way_on_servers, readable_on_sqlite
from tests.rows import START, Rows

ASCENT = 3
"""Statements above a tree: the job, the first level's parent, the parents that do not exist."""
CONSTANT = 12


def statements(database: Database, ask: Callable[[], object]) -> int:
    """How many statements ``ask`` sends, by a connection that has just read who wants events."""
    events.readers(database)
    before = database.executed
    ask()
    return database.executed - before


def chunk(database: Database) -> int:
    if "by_gin" in database.tags:
        return GIN_LIST * GIN_LISTS
    return database.scan_chunk if "by_scan" in database.tags else database.read_chunk


def pending_parents(rows: Rows, count: int) -> None:
    with rows.at_once():
        for _ in range(count):
            rows.job(spawns=True, status="Pending")


def spawning_parents(rows: Rows, count: int, children: int) -> None:
    with rows.at_once():
        for number in range(count):
            parent = rows.job(spawns=True, created_at=START + timedelta(seconds=number))
            for _ in range(children):
                rows.job(parent)


def test_a_tree_takes_a_statement_a_level_and_list_of_ids(readable: Database, rows: Rows) -> None:
    levels, width = 4, 30
    with rows.at_once():
        root = rows.job(spawns=True)
        level = [root]
        for _ in range(levels):
            level = [rows.job(parent) for parent in level for _ in range(width if len(level) == 1 else 2)]
    assert len(level) < chunk(readable)
    sent = statements(readable, lambda: tree.tree(readable, root))
    assert sent <= levels + 1 + ASCENT + 2


def test_lists_longer_than_a_statement_holds_are_sent_in_parts(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("read_chunk", "scan_chunk"):
        monkeypatch.setattr(readable, name, 10)
    monkeypatch.setattr("hammerwork_cli.features.tree.queries.relatives.GIN_LIST", 5)
    monkeypatch.setattr("hammerwork_cli.features.tree.queries.relatives.GIN_LISTS", 2)
    with rows.at_once():
        root = rows.job(spawns=True)
        for middle in [rows.job(root) for _ in range(25)]:
            rows.job(middle)
    sent = statements(readable, lambda: tree.tree(readable, root))
    # One list of the root, three of its children, three of theirs, which have none.
    assert 7 <= sent <= 7 + CONSTANT
    assert len(tree.tree(readable, root).nodes) == 51


@readable_on_sqlite
def test_a_chain_takes_a_statement_a_level_upward(readable: Database, rows: Rows) -> None:
    job = rows.job(spawns=True)
    for _ in range(20):
        job = rows.job(job)
    sent = statements(readable, lambda: tree.lineage(readable, job, ancestors=True, descendants=False, depth=100))
    assert sent <= 20 + ASCENT + CONSTANT


@one_way_on_servers
def test_lists_and_figures_take_as_many_statements_for_many_operations_as_for_few(
    readable: Database, rows: Rows
) -> None:
    questions: dict[str, Callable[[], object]] = {
        "operations": lambda: operations.operations(readable, limit=1000),
        "stats": lambda: stats_queries.stats(readable, since=START, recent=START, detailed=True),
        "pending": lambda: pending_queries.pending(readable, limit=1000),
    }

    def counted() -> dict[str, int]:
        return {name: statements(readable, ask) for name, ask in questions.items()}

    spawning_parents(rows, 2, 2)
    pending_parents(rows, 2)
    few = counted()
    spawning_parents(rows, 60, 3)
    pending_parents(rows, 60)
    assert counted() == few
    assert max(few.values()) <= CONSTANT


def test_a_spawn_reads_the_counters_of_its_tree_by_a_statement_that_it_sends_anyway(database: Database) -> None:
    rows = Rows(database)
    rows.job(queue="parent", status="Pending")
    now = START + timedelta(days=1)
    (job,) = claim.claim(database, "parent", worker=new_id(), now=now, limit=1, slots=1)
    spawner = Spawner.of(job, ancestry.of(database, job), SpawnConfig())._replace(most_descendants=2**60)
    assert spawner.max_spawn_count is not None
    operation = spawn.Operation(new_id(), spawner, "parent", SpawnConfig(), now, 2)
    children = [NewJob("child", "{}", now, now, depends_on=(job.id,), dependency_status="satisfied") for _ in "12"]
    sent = statements(
        database,
        lambda: spawn.complete(
            database, EndedAttempt(job, AttemptEnd.COMPLETED), operation, lambda: [children], now=now
        ),
    )
    # It completes the parent, inserts the children, looks for dependents, and records. PostgreSQL also notifies;
    # MySQL also reads the counters, which its INSERT does not return.
    assert sent == {"sqlite": 4, "postgresql": 5, "mysql": 5}[database.dialect]


def test_many_jobs_complete_by_as_many_statements_as_one(database: Database) -> None:
    rows = Rows(database)
    with rows.at_once():
        for _ in range(21):
            rows.job(queue="many", status="Pending")
    now = START + timedelta(days=1)
    sent = []
    for jobs in (1, 20):
        taken = claim.claim(database, "many", worker=new_id(), now=now, limit=jobs, slots=jobs)
        ended = [EndedAttempt(job, AttemptEnd.COMPLETED, result="7") for job in taken]
        assert len(ended) == jobs
        sent.append(statements(database, lambda ended=ended: finish.finish(database, ended, now)))
    assert sent[0] == sent[1]


def test_a_claim_sends_nothing_more_where_handlers_spawn(database: Database) -> None:
    rows = Rows(database)
    with rows.at_once():
        for _ in range(40):
            rows.job(queue="many", status="Pending", max_attempts=9)
    assert database.tags  # read once a connection
    how: dict[str, Any] = {"worker": new_id(), "now": START + timedelta(days=1), "limit": 20, "slots": 20}
    counts = [
        statements(database, lambda spawning=spawning: claim.claim(database, "many", spawning=spawning, **how))
        for spawning in (False, True)
    ]
    assert counts[0] == counts[1]


def test_the_history_is_written_at_once_for_many_attempts_that_do_not_complete(
    database: Database,
) -> None:
    rows = Rows(database)
    with rows.at_once():
        for _ in range(63):
            rows.job(queue="many", status="Pending", max_attempts=9)
    now = START + timedelta(days=1)

    def sent(end: AttemptEnd, jobs: int) -> int:
        taken = claim.claim(database, "many", worker=new_id(), now=now, limit=jobs, slots=jobs)
        ended = [EndedAttempt(job, end, error="boom" if end == AttemptEnd.RETRY else None) for job in taken]
        for attempt in ended:
            attempt.at = now + timedelta(days=9) if end == AttemptEnd.RETRY else None
        assert len(ended) == jobs
        return statements(database, lambda: finish.finish(database, ended, now))

    one_failed, many_failed = sent(AttemptEnd.RETRY, 1), sent(AttemptEnd.RETRY, 20)
    assert many_failed - one_failed == 19  # each job is changed by a statement of its own


def test_a_tick_sends_six_statements_and_an_idle_check_and_a_list_send_as_many_for_many_schedules(
    database: Database,
) -> None:
    def add(number: int, **more: Any) -> None:
        options = {"queue": "work", "payload": {}, "name": f"s{number}", "schedule": "* * * * *", **more}
        changes.add(database, read_schedule(options), Author("me"), START)

    add(0)
    minute = START + timedelta(minutes=1)
    [schedule] = ticks.upcoming(database, minute, 10)
    notify = {"sqlite": 0, "postgresql": 1, "mysql": 0}[database.dialect]
    # It moves the due time, looks for runs of that time, its job and open jobs, inserts the job, and records the run.
    assert statements(database, lambda: ticks.tick(database, schedule, minute)) == 6 + notify
    assert statements(database, lambda: ticks.upcoming(database, START, 100)) == 1
    few = statements(database, lambda: schedules.listed(database))
    for number in range(1, 30):
        add(number)
    assert statements(database, lambda: schedules.listed(database)) == few <= 4
