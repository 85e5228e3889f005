"""A change of something changes nothing of its twin: each statement has the condition that tells them apart."""

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.core.values import JobStatus, spellings
from hammerwork_cli.database import connect
from hammerwork_cli.database.statements import Columns, Names, Statement, bind, load
from hammerwork_cli.features.cron.queries import recurring
from hammerwork_cli.features.event.model import DELIVERIES
from tests.commands.test_contract import CONTRACT, ENVIRONMENT, LEAVES
from tests.conftest import each_row
from tests.database.test_states import whole_statements
from tests.rows import START, Rows

Run = Callable[..., Any]
Twins = tuple[Path, dict[str, str], set[str]]
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
NAMES = {"name", "batch_name", "queue_name"}
ALONE = "alone.db"
LATER = START + timedelta(days=9)
SHARED = ("hammerwork_migrations", "hammerwork_duties")

CHANGES = {
    "archive purge": ["--older-than 1s --queue mail"],
    "archive remove-policy": ["--queue segment"],
    "archive restore": ["{archived} --as-was"],
    "archive run": ["--older-than 1s --no-tree --queue segment"],
    "archive set-policy": ["--queue segment --older-than 1d --purge-after 1d"],
    "batch cancel": ["{batch}"],
    "batch delete": ["{batch} --force"],
    "batch retry": ["{batch}"],
    "cron backfill": ["{schedule} --from 2026-11-24T13:50Z --to 2026-11-24T14:05Z"],
    "cron delete": ["{schedule}", "{recurring}"],
    "cron disable": ["{schedule}", "{recurring}"],
    "cron enable": ["{off}", "{parked}"],
    "cron trigger": ["{schedule}", "{recurring}"],
    "cron update": ["{schedule} --every 45m", "{recurring} --priority high"],
    "job cancel": ["{cycle}", "{lonely} --tree", "--workflow {workflow} --force"],
    "job delete": ["{done}", "--batch {batch} --force", "--workflow {workflow} --force"],
    "job purge": ["--all --queue segment"],
    "job requeue-stale": ["--queue mail --older-than-secs 1"],
    "job retry": ["{root} --tree", "--batch {batch} --cancelled", "--workflow {workflow}"],
    "queue clear": ["segment"],
    "queue limit": ["mail --rate 5/s", "segment --remove"],
    "queue pause": ["segment"],
    "queue resume": ["mail"],
    "spawn again": ["{done}"],
    "streaming disable": ["{stream}"],
    "streaming enable": ["{disabled_stream}"],
    "streaming remove": ["{stream}"],
    "streaming replay": ["{stream} --since 1000h"],
    "streaming toggle": ["{stream}"],
    "streaming update": ["{stream} --max-backlog 7"],
    "webhook disable": ["{webhook}"],
    "webhook enable": ["{disabled_webhook}"],
    "webhook remove": ["{webhook}"],
    "webhook replay": ["{webhook} --since 1000h --all"],
    "webhook rotate-secret": ["{webhook}"],
    "webhook toggle": ["{webhook}"],
    "webhook update": ["{webhook} --timeout 7"],
    "worker restart": ["{worker}"],
    "worker stop": ["{worker}"],
    "workflow cancel": ["{workflow}"],
    "workflow delete": ["{workflow} --force"],
    "workflow retry": ["{workflow}"],
}
"""Verb -> lines that change what they name."""
OTHERS = {
    *("job enqueue", "job import", "cron create", "cron apply", "cron convert", "batch enqueue", "workflow create"),
    *("webhook add", "webhook import", "webhook verify", "streaming add", "worker start", "web serve", "demo"),
    *("maintenance cleanup", "maintenance purge-encrypted", "maintenance vacuum", "maintenance analyze"),
    *("maintenance reindex", "maintenance dead-jobs", "backup create", "backup restore", "backup verify"),
    *("backup list", "backup copy", "migration run", "config set", "config unset", "config reset", "config init"),
}
"""What names nothing that is there, or means all of it."""


def rows_of(database: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Table -> its rows."""
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'hammerwork%'")
    return {table: database.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables.fetchall()}


def is_of_a_twin(row: tuple[Any, ...], ids: set[str]) -> bool:
    return " twin" in str(row) or not ids.isdisjoint(ID.findall(str(row)))


@pytest.fixture(scope="module")
def twins(full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """A database with all that the contract asks about, the names of that, and the ids of the twins.

    A twin has other ids and names, and nothing else.
    """
    path, ids = Path(shutil.copy(full_file[0], tmp_path_factory.mktemp("twins") / "jobs.db")), set[str]()

    def other(found: re.Match[str]) -> str:
        ids.add(f"{int(found[0][0], 16) ^ 8:x}{found[0][1:]}")
        return f"{int(found[0][0], 16) ^ 8:x}{found[0][1:]}"

    def twin(column: str, value: Any) -> Any:
        if column in NAMES and value != DELIVERIES:
            return f"{value} twin"
        if column == "queues":
            return json.dumps([f"{queue} twin" for queue in json.loads(value)])
        # An id that is a number follows the last one.
        return ID.sub(other, value) if isinstance(value, str) else None if column == "id" else value

    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        names = full_file[1] | more(Rows(database), full_file[1])
    shutil.copy(path, path.with_name(ALONE))
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table, found in rows_of(database).items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if table not in SHARED:
                places = ", ".join("?" for _ in columns)
                made = [[twin(*one) for one in zip(columns, row, strict=True)] for row in found]
                database.executemany(f"INSERT INTO {table} VALUES ({places})", made)
        database.commit()
    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        for webhook in (names["webhook"], names["disabled_webhook"]):  # no deliveries, whatever their payloads are
            Rows(database).job(queue="mail twin", status="Pending", payload={"webhook": webhook}, scheduled_at=LATER)
    return path, names, ids


def more(rows: Rows, names: dict[str, str]) -> dict[str, str]:
    """Adds what else is changed here, and returns its names."""
    recurs = {"cron_schedule": "0 30 2 * * Mon-Fri", "timezone": "Europe/Oslo", "recurring": False}
    archived = {"id": str(uuid4()), "queue_name": "mail", "payload": b"{}", "payload_compressed": False}
    archived |= {"status": "Dead", "archival_reason": "Manual", "archived_by": "me", "failed_at": START}
    archived |= {"batch_id": names["batch"], "workflow_id": names["workflow"], "depends_on": rows.ids([names["root"]])}
    rows.insert(
        "hammerwork_jobs_archive", archived | dict.fromkeys(("created_at", "scheduled_at", "archived_at"), START)
    )
    job, root = names["lonely"], names["root"]
    rows.job(queue="mail", status="completed", completed_at=START)
    attempt = {"job_id": job, "started_at": START, "attempt": 1, "outcome": "failed", "ended_at": START}
    rows.insert("hammerwork_attempts", attempt)
    rows.insert("hammerwork_unique", {"id": job, "queue_name": "mail", "unique_key": "k", "job_id": job})
    join = {"job_id": names["join"], "parent_id": root, "scope": "children", "on_failure": "run", "checked_at": START}
    rows.insert("hammerwork_joins", {**join, "parent_ended": True, "open_jobs": 0, "failed_jobs": 1})
    child = {"parent_id": root, "occurrence": "", "spawn_key": "a", "child_id": names["segment"], "root_id": root}
    rows.insert("hammerwork_spawned_children", {**child, "spawned_at": START})
    limit = {"queue_name": "segment", "rate": 5, "period_ms": 1000, "changed_by": "me", "changed_at": START}
    rows.insert("hammerwork_queue_limits", {**limit, "claims": 0})
    starts = {"queue_name": "segment", "key_hash": "0", "limit_key": "", "starts": "[]", "ends_at": START}
    rows.insert("hammerwork_limit_starts", starts)
    schedule = names["schedule"]
    rows.run(f"UPDATE hammerwork_schedules SET expression = '* * * * *', timezone = 'UTC' WHERE id = '{schedule}'")
    alive = (
        "UPDATE hammerwork_workers SET heartbeat_at = ?, lease_seconds = 86400, request = NULL WHERE ended_at IS NULL"
    )
    rows.run(alive, [rows.adapted(rows.database.now())])
    stands_for = "UPDATE hammerwork_schedule_runs SET missed = 2, missed_from = ? WHERE outcome = 'enqueued'"
    rows.run(stands_for, [rows.adapted(START - timedelta(minutes=2))])
    return {
        "off": f"{schedule[:-1]}1",
        "parked": rows.job(queue="mail", status="Pending", scheduled_at=recurring.PARKED, **recurs),
    }


def test_every_verb_that_changes_something_of_a_name_is_asked_to() -> None:
    assert CHANGES.keys() | OTHERS == {path for path, says in CONTRACT.items() if says.changes}


@each_row(("path", "line"), [(path, line) for path, lines in CHANGES.items() for line in lines])
def test_a_change_leaves_the_rows_of_a_twin_alone(run: Run, twins: Twins, tmp_path: Path, path: str, line: str) -> None:
    original, names, ids = twins
    file = shutil.copy(original, tmp_path / "jobs.db")
    words = [word.format(**names) for word in line.split()]
    yes = ["--yes"] if any("--yes" in param.opts for param in LEAVES[path].params) else []
    with contextlib.closing(sqlite3.connect(file)) as database:
        before = rows_of(database)
        done = run(*path.split(), *words, *yes, url=f"sqlite:///{file}", env=ENVIRONMENT)
        after = rows_of(database)
    assert done.exit_code in {0, 1}, done
    gone = [(table, row) for table, rows in before.items() for row in rows if row not in after[table]]
    assert gone or sum(map(len, after.values())) > sum(map(len, before.values())), done
    assert [(table, row) for table, row in gone if is_of_a_twin(row, ids)] == []


# Statements.

LISTS = {"ids", "parents", "queues", "but_queues"}
SELECTING = LISTS | {"id", "queue", "batch", "workflow", "worker", "parent", "root", "name", "job", "stream", "webhook"}
"""Values that choose rows."""
VALUES: dict[str, Any] = {
    "queue": "mail",
    **dict.fromkeys(("columns", "options"), Columns(["j.id"])),
    **dict.fromkeys(("archival", "encryption", "more"), Columns(["NULL"])),
    "ages": Names(["completed_seconds"]),
    "failing": "[]",
    **dict.fromkeys(("offset", "kept"), 0),
    **dict.fromkeys(("since", "latest", "failures_since", "recently", "recent", "schedules"), "2020-01-01T00:00:00Z"),
    **dict.fromkeys(("until", "now", "before", "last", "first"), "2030-01-01T00:00:00Z"),
    **dict.fromkeys(("limit", "window", "most", "sample"), 100_000),
    **dict.fromkeys(("most_pending", "most_running", "most_failures", "most_parents", "most_timed_out"), 100_000),
    **dict.fromkeys(("failed", "running", "completed", "ended", "waiting", "open", "pending"), spellings(JobStatus)),
    **dict.fromkeys(("oddly_failed", "oddly_completed", "oddly_pending", "statuses", "states"), spellings(JobStatus)),
}
"""With these, a statement finds as much as it can. Another value is an id."""
OF_STATEMENT: dict[str, dict[str, Any]] = {
    "archive.policies.old": {"ended": Names(["completed_at"]), "status": "Completed"},
    "backup.of_owner": {
        "columns": Names(["attempt"]),
        "table": Names(["hammerwork_attempts"]),
        "owner": Names(["job_id"]),
    },
    "cron.schedules.list": {"columns": Columns(["s.enabled"])},
    "cron.schedules.named": {"columns": Columns(["s.enabled"]), "name": "nightly"},
    "spawn.growth.newest_parents": {"parents": 100_000},
    "streaming.list": {"columns": Columns(["s.name"])},
    "webhook.list": {"columns": Columns(["w.name"])},
    "worker.limits.keys": {"per": "$.a"},
    "worker.limits.running_keys": {"per": "$.a"},
}
"""Values that mean something else in a statement."""
OF_ALL = {("spawn.monitor.figures", "queues"), ("spawn.operations.window", "ids")}
"""Conditions that choose what some of the figures count."""


def questions(tags: frozenset[str]) -> Iterator[tuple[str, Statement, str | None]]:
    """The statements that read what some values choose, with each condition that chooses too, and without."""
    for name, variants in whole_statements().items():
        if any(wanted <= tags for wanted, _ in variants):
            found = load(name, tags)
            always = {value for line in found if line.condition is None for _, value in line.parts}
            if found.text.lstrip().startswith(("SELECT", "WITH")) and "'now'" not in found.text:
                conditions = {*found.conditions} & SELECTING | ({None} if always & SELECTING else set())
                yield from ((name, found, one) for one in conditions if (name, one) not in OF_ALL)


def bound(
    question: tuple[str, Statement, str | None], one: str, lists: dict[str, list[str]]
) -> tuple[str, tuple[Any, ...]]:
    """A statement with its values: those of a list are as the text wants them, and the others are about one thing."""
    name, statement, condition = question
    values: dict[str, Any] = {}
    for before, value in (part for line in statement for part in line.parts if part[1] is not None):
        given = lists.get(value, one)
        if value in lists and not before.endswith("IN ("):
            given = json.dumps(given)
        values[value] = OF_STATEMENT.get(name, {}).get(value, VALUES.get(value, given))
    unused = {other: None for other in statement.conditions if other != condition}
    text, found = bind(statement, values | unused, "?")
    return text, tuple(found)


def test_a_statement_reads_the_same_of_something_beside_its_twin(twins: Twins) -> None:
    path, names, _ = twins
    with (
        contextlib.closing(connect(f"sqlite:///{path.with_name(ALONE)}")) as alone,
        contextlib.closing(connect(f"sqlite:///{path}")) as beside,
    ):
        things = [name for name in names.values() if ID.fullmatch(name)]
        jobs = [
            job for table in ("jobs", "jobs_archive") for (job,) in alone.query(f"SELECT id FROM hammerwork_{table}")
        ]
        queues = [queue for (queue,) in beside.query("SELECT DISTINCT queue_name FROM hammerwork_jobs")]
        lists = {"ids": [*jobs, *things], "parents": jobs, "queues": ["mail", "segment"]}
        lists["but_queues"] = [DELIVERIES, *(queue for queue in queues if queue.endswith(" twin"))]
        found, wrong = set(), set()
        for question in questions(alone.tags):
            for statement, values in {bound(question, one, lists) for one in things}:
                here, there = (sorted(map(repr, each.query(statement, [*values]))) for each in (alone, beside))
                if here:
                    found.add(question[0])
                if here != there:
                    wrong.add((question[0], question[2]))
    assert len(found) > 100
    assert wrong == set()
