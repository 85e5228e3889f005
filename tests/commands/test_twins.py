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

from hammerwork_cli.database import connect
from hammerwork_cli.features.cron.queries import recurring
from hammerwork_cli.features.event.model import DELIVERIES
from tests.commands.test_contract import CONTRACT, ENVIRONMENT, HERE, LEAVES
from tests.conftest import each_row
from tests.rows import START, Rows

Run = Callable[..., Any]
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
NAMES = {"name", "batch_name", "queue_name"}
ALONE = "alone.db"
LATER = START + timedelta(days=9)
FRACTION = re.compile(r"(?<=:)\d+\.\d+")
"""Of seconds that went by."""
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
def twins(
    full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str], set[str]]:
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
        names = full_file[1] | more(Rows(database), full_file[1]["schedule"])
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


def more(rows: Rows, schedule: str) -> dict[str, str]:
    """Adds what else is changed here, and returns its names."""
    recurs = {"cron_schedule": "0 30 2 * * Mon-Fri", "timezone": "Europe/Oslo", "recurring": False}
    archived = {"id": str(uuid4()), "queue_name": "mail", "payload": b"{}", "payload_compressed": False}
    archived |= {"status": "Completed", "archival_reason": "Manual", "archived_by": "me"}
    rows.insert(
        "hammerwork_jobs_archive", archived | dict.fromkeys(("created_at", "scheduled_at", "archived_at"), START)
    )
    limit = {"queue_name": "segment", "rate": 5, "period_ms": 1000, "changed_by": "me", "changed_at": START}
    rows.insert("hammerwork_queue_limits", {**limit, "claims": 0})
    starts = {"queue_name": "segment", "key_hash": "0", "limit_key": "", "starts": "[]", "ends_at": START}
    rows.insert("hammerwork_limit_starts", starts)
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
def test_a_change_leaves_the_rows_of_a_twin_alone(
    run: Run, twins: tuple[Path, dict[str, str], set[str]], tmp_path: Path, path: str, line: str
) -> None:
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


SELECTING = {"--queue": ("mail", "segment"), "--batch": ("{batch}",), "--workflow": ("{workflow}",)}
AT_RANDOM = {"spawn rehearse", "cron create", "webhook test", "streaming test"}
"""Their answers have new ids or times."""


def asks() -> Iterator[tuple[str, str]]:
    """Lines that name something: those of the contract, and each option that selects by a name."""
    for path, says in CONTRACT.items():
        if path not in AT_RANDOM | HERE:
            yield from ((path, line) for line in says.lines if re.search(r"\{|--queue |^(mail|segment)\b", line))
            options = {name for param in LEAVES[path].params for name in param.opts} if not says.changes else set()
            if (
                whole := next((line for line in says.lines if "{" not in line and "--queue" not in line), None)
            ) is not None:
                for option in SELECTING.keys() & options:
                    yield from ((path, f"{whole} {option} {name}") for name in SELECTING[option])


@each_row(("path", "line"), sorted({*asks()}))
def test_an_answer_about_something_is_the_same_beside_its_twin(
    run: Run, twins: tuple[Path, dict[str, str], set[str]], path: str, line: str
) -> None:
    words = [word.format(**twins[1]) for word in line.split()]
    form = ["--format", "json"] if any("--format" in param.opts for param in LEAVES[path].params) else []
    answers = []
    for file in (ALONE, twins[0].name):
        done = run(*path.split(), *words, *form, url=f"sqlite:///{twins[0].with_name(file)}", env=ENVIRONMENT)
        answers.append((done.exit_code, FRACTION.sub("", done.stdout), done.stderr))
    assert answers[0] == answers[1]
