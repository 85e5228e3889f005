"""The Rust original goes on working where our own migrations have run: its kinds of statements do what they did."""

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.queries import migrations, spawns, trees
from tests.jobs import identity
from tests.rows import START, Rows

OF_THE_ORIGINAL = 14
NOW = START + timedelta(hours=1)
ENQUEUED = [
    "id",
    "queue_name",
    "payload",
    "status",
    "priority",
    "attempts",
    "max_attempts",
    "timeout_seconds",
    "created_at",
    "scheduled_at",
    "error_message",
    "cron_schedule",
    "next_run_at",
    "recurring",
    "timezone",
    "batch_id",
    "result_storage_type",
    "result_ttl_seconds",
    "result_max_size_bytes",
    "depends_on",
    "dependents",
    "dependency_status",
    "workflow_id",
    "workflow_name",
    "trace_id",
    "correlation_id",
    "parent_span_id",
    "span_context",
]
ENQUEUED_ON_MYSQL = [*ENQUEUED, "started_at", "completed_at", "failed_at", "timed_out_at"]
DEFAULTS: dict[str, Any] = {
    "status": "Pending",
    "priority": 2,
    "attempts": 0,
    "max_attempts": 3,
    "recurring": False,
    "result_storage_type": "none",
    "dependency_status": "none",
}
READY = "queue_name = %s AND status = 'Pending' AND scheduled_at <= %s"
UNHINDERED = "dependency_status IN ('none', 'satisfied')"
MOST_URGENT = "ORDER BY priority DESC, scheduled_at LIMIT"
TAKE = "UPDATE hammerwork_jobs SET status = 'Running', started_at = %s, attempts = attempts + 1 WHERE"
END = "UPDATE hammerwork_jobs SET status = %s, {} = %s, error_message = %s WHERE id = %s"
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


class Original:
    """Statements as a program sends them that knows nothing of our columns, tables and indexes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rows = Rows(database)
        self.is_postgres = database.dialect == "postgresql"

    def send(self, sql: str, *values: Any) -> None:
        self.rows.run(sql, [self.rows.adapted(value) for value in values])

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.query(sql, [self.rows.adapted(value) for value in values])

    def enqueue(self, number: int, *parents: int, **columns: Any) -> None:
        created = START + timedelta(seconds=number)
        lists = {"depends_on": self.rows.ids([*map(identity, parents)]), "dependents": self.rows.ids([])}
        given = {"id": identity(number), "queue_name": "media", "created_at": created, "scheduled_at": created}
        given |= {**DEFAULTS, **lists, "payload": json.dumps({"number": number}), **columns}
        names = ENQUEUED if self.is_postgres else ENQUEUED_ON_MYSQL
        self.rows.insert("hammerwork_jobs", {name: given.get(name) for name in names})

    def dequeue(self, queue: str = "media") -> int | None:
        if self.is_postgres:
            chosen = f"SELECT id FROM hammerwork_jobs WHERE {READY} AND {UNHINDERED} {MOST_URGENT} 1"
            sql = f"{TAKE} id = ({chosen} FOR UPDATE SKIP LOCKED) RETURNING id"
            return _number(self.ask(sql, NOW, queue, NOW))
        return self.database.transaction(lambda: self._dequeue_in_two_steps(queue))

    def _dequeue_in_two_steps(self, queue: str) -> int | None:
        chosen = self.ask(f"SELECT id FROM hammerwork_jobs WHERE {READY} {MOST_URGENT} 1 FOR UPDATE", queue, NOW)
        if chosen:
            self.send(f"{TAKE} id = %s", NOW, chosen[0][0])
        return _number(chosen)

    def dequeue_weighted(self, priority: int) -> int | None:
        """The oldest of one priority among twenty, outside a transaction."""
        sql = f"SELECT id, priority FROM hammerwork_jobs WHERE {READY} {MOST_URGENT} 20 FOR UPDATE SKIP LOCKED"
        chosen = [row for row in self.ask(sql, "media", NOW) if row[1] == priority][:1]
        if chosen:
            self.send(f"{TAKE} id = %s", NOW, chosen[0][0])
        return _number(chosen)

    def complete(self, number: int) -> None:
        sql = "UPDATE hammerwork_jobs SET status = 'Completed', completed_at = %s WHERE id = %s"
        self.send(sql, NOW, identity(number))
        sql = "UPDATE hammerwork_jobs SET result_data = %s, result_stored_at = %s WHERE id = %s"
        self.send(sql, '{"frames": 25}', NOW, identity(number))

    def try_again(self, number: int) -> None:
        sql = "UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = %s, started_at = NULL WHERE id = %s"
        self.send(sql, NOW, identity(number))

    def end(self, number: int, status: str, column: str = "failed_at") -> None:
        self.send(END.format(column), status, NOW, f"{status}: no space", identity(number))

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
        self.enqueue(number, payload=gzip.decompress(bytes(row[0])).decode())
        self.send("DELETE FROM hammerwork_jobs_archive WHERE id = %s", identity(number))

    def is_paused(self, queue: str) -> bool:
        return bool(self.ask("SELECT queue_name FROM hammerwork_queue_pause WHERE queue_name = %s", queue))

    def stored(self) -> list[tuple[Any, ...]]:
        names = ", ".join([*ENQUEUED_ON_MYSQL, "result_data", "result_stored_at", "archived_at", "archival_reason"])
        rows = self.ask(f"SELECT {names} FROM hammerwork_jobs ORDER BY id")
        return [tuple(str(value) if isinstance(value, datetime) else value for value in row) for row in rows]


def _number(rows: list[tuple[Any, ...]]) -> int | None:
    return int(str(rows[0][0])[:8], 16) if rows else None


def night(original: Original) -> list[Any]:
    """What happens to jobs in the original's hands, in order."""
    original.enqueue(1, payload='{"_spawn_config": {"max_spawn_count": 2}}', priority=4)
    original.enqueue(2, priority=3)
    told: list[Any] = [original.dequeue(), original.dequeue(), original.dequeue()]
    original.complete(1)
    original.try_again(2)
    original.enqueue(3, 1, workflow_id=identity(99), workflow_name="night", trace_id="t-1")
    original.enqueue(4, 1, priority=0)
    original.enqueue(5, 1, 2, priority=0, dependency_status="satisfied", timeout_seconds=30)
    told += [original.dequeue_weighted(0), original.dequeue(), original.dequeue(), original.dequeue()]
    original.end(2, "Dead")
    original.end(3, "Failed")
    original.end(4, "TimedOut", "timed_out_at")
    original.complete(5)
    for number in (1, 4):
        original.archive(number)
    original.restore(4)
    told += [original.dequeue(), original.dequeue("other"), original.is_paused("media")]
    original.send(
        "INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by) VALUES ('media', %s, 'cli')", NOW
    )
    told.append(original.is_paused("media"))
    original.send("DELETE FROM hammerwork_queue_pause WHERE queue_name = 'media'")
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
    """A database in which only the original's have."""
    with contextlib.closing(connect(new_database(kind))) as database:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:OF_THE_ORIGINAL])
            migrations.run(database)
        yield database


def test_jobs_go_the_same_way_with_our_migrations_and_without(ours: Database, theirs: Database) -> None:
    assert ("claim_token" in ours.jobs_columns(), "claim_token" in theirs.jobs_columns()) == (True, False)
    beside, alone = Original(ours), Original(theirs)
    told = night(beside)
    assert told == [1, 2, None, 4, 2, 3, 5, 4, None, False, True]
    assert told == night(alone)
    assert beside.stored() == alone.stored()
    states = {_number([row]): row[3] for row in beside.stored()}
    assert states == {1: "Completed", 2: "Dead", 3: "Failed", 4: "Running", 5: "Completed"}


def test_our_indexes_find_what_the_original_wrote(ours: Database) -> None:
    night(Original(ours))
    assert "by_first_parent" in ours.tags
    (found,) = spawns.operations(ours, limit=5)
    assert (found.parent.id, found.children.by_status) == (identity(1), {"Failed": 1, "Completed": 1})
    tree = trees.tree(ours, identity(5))
    assert [*tree.nodes] == [identity(number) for number in (1, 2, 3, 5)]
