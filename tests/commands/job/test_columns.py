"""Each column that a new job may fill, on every way that its value takes."""

import contextlib
import gzip
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job, Queue
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.database import connect
from hammerwork_cli.features.backup.models.tables import TABLES, ColumnKind, written
from hammerwork_cli.features.backup.queries.rows import Rows as Stored
from hammerwork_cli.features.job.models.new_job import COLUMNS, NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.worker.queries.claim import Claimed, claim
from hammerwork_cli.runtime.api.statement import statement
from tests.conftest import Outcome, all_databases
from tests.database.test_beside_rust import RUST_MIGRATIONS
from tests.jobs import execute, move_to_archive
from tests.rows import START, Rows
from tests.whole_tree import BATCH, WORKFLOW, others

Run = Callable[..., Outcome]
KINDS = TABLES["jobs"].columns
CLAIMED = START + timedelta(hours=1)
OWN: dict[str, Any] = {
    "queue": "films",
    "payload": '{"text": "é"}',
    "priority": JobPriority.HIGH,
    "attempts": 1,
    "depends_on": (new_id(),),
    "dependency_status": "satisfied",
    "workflow_id": WORKFLOW,
    "batch_id": BATCH,
    "retry_strategy": '{"type": "Fixed", "duration_ms": 5000}',
    "cron_schedule": "0 0 2 * * *",
    "timezone": "Europe/Oslo",
    "recurring": True,
    "result_storage": "database",
    "ancestry": json.dumps({"root": new_id(), "depth": 1, "spawner": new_id()}),
}
"""Values of the fields that cannot hold any text, number or time."""
NOT_CLAIMED = {"status", "dependency_status", "completed_at", "failed_at", "error_message", "result_storage_type"}
"""A worker does not look at these; it knows when it claimed the job."""
NOT_OF_JOBS = {
    *("queue_name", "depends_on", "timeout_seconds", "result_ttl_seconds", "result_max_size_bytes"),  # by other names
    *("batch_id", "recurring", "next_run_at", "ancestry"),
}
"""Handlers do not get these, or by another name."""
NOT_SHOWN = {
    *("queue_name", "error_message"),  # by other names
    *("result_storage_type", "result_ttl_seconds", "result_max_size_bytes", "ancestry"),
}
"""`job show` does not have these, or by another name."""
CONVERTED = {"payload", "priority", "retry_strategy"}
"""People and handlers get these in another form."""


def full_job() -> NewJob:
    """A job with a value of its own in each field that is a column."""
    job = NewJob("", "", START, START)
    for number, (name, column) in enumerate(COLUMNS.items()):
        free = {
            ColumnKind.ID: job.id,
            ColumnKind.TEXT: f"{name} é",
            ColumnKind.NUMBER: 1000 + number,
            ColumnKind.TIME: START + timedelta(seconds=number),
        }
        if name != "status":
            setattr(job, name, OWN[name] if name in OWN else free[KINDS[column]])
    return job


def as_in_files(columns: dict[str, Any]) -> dict[str, Any]:
    """The values of columns as a file has them, whatever a driver makes of them."""
    found: dict[str, Any] = {}
    for name, value in columns.items():
        found |= written(KINDS[name], name, list(value) if isinstance(value, tuple) else value)
    return found


def stored(url: str) -> dict[str, Any]:
    """The row of the only job."""
    with contextlib.closing(connect(url)) as database:
        (record,) = Stored(database, "jobs").all()
    return record


@all_databases
def test_each_column_of_a_new_job_arrives_wherever_the_job_goes(
    run: Run, migrated_url: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    def asked(*words: str, url: str = migrated_url) -> Any:
        outcome = run(*words, "--format", "json", url=url)
        assert outcome.exit_code == 0, outcome
        return outcome.json

    job = full_job()
    given = as_in_files({column: getattr(job, name) for name, column in COLUMNS.items()})
    assert given.keys() == {*COLUMNS.values()}
    with contextlib.closing(connect(migrated_url)) as database:
        for table in ("hammerwork_workflows", "hammerwork_batches"):
            Rows(database).insert(table, others()[table])
        enqueue.insert(database, [job])
        row = stored(migrated_url)
        assert {name: row.get(name) for name in given} == given

        elsewhere = new_database("sqlite", migrated=True)
        file = str(tmp_path / "jobs.jsonl")
        asked("backup", "create", "-o", file)
        asked("backup", "restore", "-i", file, "--yes", url=elsewhere)
        assert stored(elsewhere) == row

        (claimed,) = claim(database, "films", worker=new_id(), now=CLAIMED, limit=1, slots=1)
    given["attempts"] += 1
    assert {*COLUMNS.values()} - {*Claimed._fields} == NOT_CLAIMED | {"started_at"}
    read = {name: getattr(claimed, name) for name in given.keys() - NOT_CLAIMED - {"started_at"}}
    assert as_in_files(read) == {name: given[name] for name in read}

    names = {one.name for one in fields(Job)}
    assert given.keys() - NOT_CLAIMED - names == NOT_OF_JOBS

    def check_job(found: Job) -> None:
        plain = (given.keys() & names) - {*CONVERTED, "status", "started_at"}
        assert as_in_files({name: getattr(found, name) for name in plain}) == {name: given[name] for name in plain}
        for name in names:
            getattr(found, name)  # is one of a column, or read otherwise

    def check_shown() -> None:
        shown = asked("job", "show", job.id)
        assert given.keys() - shown.keys() == NOT_SHOWN
        plain = given.keys() - NOT_SHOWN - CONVERTED - {"status", "started_at", "completed_at", "failed_at"}
        assert {name: shown[name] for name in plain} == {name: given[name] for name in plain}

    check_job(Job._of(claimed))
    check_shown()

    given["recurring"] = False  # one that recurs is not archived
    execute(
        migrated_url,
        "UPDATE hammerwork_jobs SET status = 'Completed', recurring = FALSE, completed_at = started_at",
    )
    row = stored(migrated_url)
    assert asked("archive", "run", "--older-than", "0s", "--no-tree", "--yes")["changed"] == 1
    check_shown()
    with Queue(migrated_url) as queue:
        found = queue.get(job.id)
    assert found is not None
    del given["cron_schedule"]  # nobody gets that of a job that does not recur
    check_job(found)
    assert asked("archive", "restore", job.id, "--as-was", "--yes")["changed"] == 1
    again = stored(migrated_url)
    assert {name: again.get(name) for name in COLUMNS.values()} == {name: row.get(name) for name in COLUMNS.values()}


@all_databases
def test_a_program_reads_jobs_of_tables_that_lack_columns(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only hammerwork (Rust) has migrated them."""
    with contextlib.closing(connect(url)) as database:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:RUST_MIGRATIONS])
            migrations.run(database)
        rows = Rows(database)
        live, archived = (rows.job(payload={"a": 1}, trace_id="t", max_attempts=7) for _ in range(2))
    move_to_archive(url, archived, gzip.compress(b'{"a": 1}'))
    with Queue(url) as queue:
        found = [queue.get(job) for job in (live, archived)]
    assert [(one.payload, one.status, one.retry_strategy, one.result_ttl) for one in found if one] == [
        ({"a": 1}, "Completed", None, None)
    ] * 2
    assert [(one.trace_id, one.max_attempts) for one in found if one] == [("t", 7), (None, 3)]


def test_a_row_has_the_columns_that_a_job_of_its_statement_fills(lite_url: str) -> None:
    columns = [statement(job, "sqlite")[0].partition("VALUES")[0] for job in (Job("a"), Job("a", trace_id="t"))]
    assert ["trace_id" in names for names in columns] == [False, True]
    assert not any(
        name in "".join(columns) for name in ("timeout_seconds", "span_context", "cron_schedule", "is_encrypted")
    )
    jobs = [NewJob.of("a", "{}", START, id=new_id(), **{name: name}) for name in ("trace_id", "correlation_id")]
    with contextlib.closing(connect(lite_url)) as database:
        enqueue.insert(database, jobs)
        found = {(row["id"], row.get("trace_id"), row.get("correlation_id")) for row in Stored(database, "jobs").all()}
    assert found == {(jobs[0].id, "trace_id", None), (jobs[1].id, None, "correlation_id")}


def test_a_program_gives_each_column_that_a_handler_gets_by_its_name() -> None:
    full, names = full_job(), {one.name for one in fields(Job)}
    set_by_queues = {"status", "attempts", "created_at", "started_at"}
    given = {
        name: getattr(full, name) for name in (COLUMNS.keys() & names) - {"payload", "retry_strategy", *set_by_queues}
    }
    new = Job(**given)._new_job(START)
    assert {name: getattr(new, name) for name in given} == given
