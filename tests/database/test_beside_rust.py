"""Hammerwork (Rust) goes on working where our own migrations have run: its kinds of statements do what they did."""

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.tree.queries import tree as tree_queries
from tests.jobs import identity
from tests.rows import START
from tests.rust_worker import ENQUEUED_ON_MYSQL, RustWorker

RUST_MIGRATIONS = 14
NOW = START + timedelta(hours=1)
COPIED = [
    "attempts",
    "max_attempts",
    "created_at",
    "scheduled_at",
    "started_at",
    "completed_at",
    "failed_at",
    "timed_out_at",
    "error_message",
    "timeout_seconds",
    "cron_schedule",
    "next_run_at",
    "recurring",
    "timezone",
    "batch_id",
    "depends_on",
    "dependency_status",
    "trace_id",
    "correlation_id",
    "parent_span_id",
    "span_context",
]


class RustProgram(RustWorker):
    """The library of hammerwork (Rust) as well, with numbered jobs at one moment."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, lambda: NOW)

    def put(self, number: int, *parents: int, **columns: Any) -> None:
        created = START + timedelta(seconds=number)
        given = {"id": identity(number), "created_at": created, "scheduled_at": created, "dependency_status": "none"}
        given["payload"] = json.dumps({"number": number})
        self.enqueue("media", *map(identity, parents), **{**given, **columns})

    def archive(self, number: int) -> None:
        self.database.transaction(lambda: self._archive(identity(number)))

    def _archive(self, job: str) -> None:
        payload = gzip.compress(b'{"number": 1}', mtime=0)
        own = {"payload": payload, "payload_compressed": True, "original_payload_size": 13, "priority": "normal"}
        own |= {"archived_at": NOW, "archival_reason": "Manual", "archived_by": "cli", "result_config": '{"ttl": null}'}
        copied = ["id", "queue_name", "status", *COPIED]
        places = ", ".join(["%s"] * len(own))
        sql = f"INSERT INTO hammerwork_jobs_archive ({', '.join([*copied, *own])})"
        self.send(f"{sql} SELECT {', '.join(copied)}, {places} FROM hammerwork_jobs WHERE id = %s", *own.values(), job)
        sql = "UPDATE hammerwork_jobs SET archived_at = %s, archival_reason = %s, archival_policy_applied = %s"
        self.send(f"{sql} WHERE id = %s", NOW, "Manual", "cli", job)

    def restore(self, number: int) -> None:
        self.send("DELETE FROM hammerwork_jobs WHERE id = %s", identity(number))
        (row,) = self.ask("SELECT payload FROM hammerwork_jobs_archive WHERE id = %s", identity(number))
        self.put(number, payload=gzip.decompress(bytes(row[0])).decode())
        self.send("DELETE FROM hammerwork_jobs_archive WHERE id = %s", identity(number))

    def is_paused(self, queue: str) -> bool:
        return bool(self.ask("SELECT queue_name FROM hammerwork_queue_pause WHERE queue_name = %s", queue))

    def stored(self) -> list[tuple[Any, ...]]:
        names = ", ".join([*ENQUEUED_ON_MYSQL, "result_data", "result_stored_at", "archived_at", "archival_reason"])
        rows = self.ask(f"SELECT {names} FROM hammerwork_jobs ORDER BY id")
        return [tuple(str(value) if isinstance(value, datetime) else value for value in row) for row in rows]


def _number(job: str | None) -> int | None:
    return int(job[:8], 16) if job else None


def night(rust: RustProgram) -> list[Any]:
    """What happens to jobs in the hands of hammerwork (Rust), in order."""
    rust.put(1, payload='{"_spawn_config": {"max_spawn_count": 2}}', priority=4)
    rust.put(2, priority=3)
    told: list[Any] = [_number(rust.take("media")) for _ in range(3)]
    rust.complete(identity(1), {"frames": 25})
    rust.try_again(identity(2))
    rust.put(3, 1, workflow_id=identity(99), workflow_name="night", trace_id="t-1")
    rust.put(4, 1, priority=0)
    rust.put(5, 1, 2, priority=0, dependency_status="satisfied", timeout_seconds=30)
    told.append(_number(rust.take_weighted("media", 0)))
    told += [_number(rust.take("media")) for _ in range(3)]
    rust.end(identity(2), "Dead")
    rust.end(identity(3), "Failed")
    rust.end(identity(4), "TimedOut")
    rust.complete(identity(5), {"frames": 25})
    for number in (1, 4):
        rust.archive(number)
    rust.restore(4)
    told += [_number(rust.take("media")), rust.take("other"), rust.is_paused("media")]
    rust.send("INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by) VALUES ('media', %s, 'cli')", NOW)
    told.append(rust.is_paused("media"))
    rust.send("DELETE FROM hammerwork_queue_pause WHERE queue_name = 'media'")
    return told


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ours(kind: str, new_database: Callable[..., str]) -> Iterator[Database]:
    """A database in which all migrations have run."""
    with contextlib.closing(connect(new_database(kind, migrated=True))) as database:
        yield database


@pytest.fixture
def theirs(kind: str, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database in which only those of hammerwork (Rust) have."""
    with contextlib.closing(connect(new_database(kind))) as database:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:RUST_MIGRATIONS])
            migrations.run(database)
        yield database


def test_jobs_go_the_same_way_with_our_migrations_and_without(ours: Database, theirs: Database) -> None:
    assert ("claim_token" in ours.jobs_columns(), "claim_token" in theirs.jobs_columns()) == (True, False)
    beside, alone = RustProgram(ours), RustProgram(theirs)
    told = night(beside)
    assert told == [1, 2, None, 4, 2, 3, 5, 4, None, False, True]
    assert told == night(alone)
    assert beside.stored() == alone.stored()
    states = {_number(str(row[0])): row[3] for row in beside.stored()}
    assert states == {1: "Completed", 2: "Dead", 3: "Failed", 4: "Running", 5: "Completed"}


def test_our_indexes_find_rows_of_hammerwork_rust(ours: Database) -> None:
    night(RustProgram(ours))
    assert ours.is_current
    (found,) = operations.operations(ours, limit=5)
    assert (found.parent.id, found.children.by_status) == (identity(1), {"Failed": 1, "Completed": 1})
    tree = tree_queries.tree(ours, identity(5))
    assert [*tree.nodes] == [identity(number) for number in (1, 2, 3, 5)]
