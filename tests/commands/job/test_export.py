"""``job export`` of the jobs that fit filters, on every database."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.features.backup.models.tables import LEASES
from hammerwork_cli.features.job.queries import export
from hammerwork_cli.features.job.views.export import EXPORTED
from hammerwork_cli.features.job.views.listing import JOB
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, execute, identity, job, write

Run = Callable[..., Outcome]


def exported(run: Run, url: str, *options: str) -> list[dict[str, Any]]:
    outcome = run("job", "export", *options, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    return [json.loads(line) for line in outcome.stdout.splitlines()]


@pytest.fixture
def several(migrated_url: str) -> str:
    write(
        migrated_url,
        job(1, priority=JobPriority.HIGH, payload='{"title": "東京", "_spawn_config": {"handler": "h"}}'),
        job(2, JobStatus.COMPLETED, queue="report", trace_id="t"),
        job(3, JobStatus.DEAD, error_message="line one\n" + "long " * 300),
    )
    execute(migrated_url, f"UPDATE hammerwork_jobs SET result_data = '{{\"rows\": 7}}' WHERE id = '{identity(2)}'")
    return migrated_url


@all_databases
def test_an_export_has_every_column_with_payload_result_and_whole_error(run: Run, several: str) -> None:
    pending, completed, dead = exported(run, several)
    assert [record["id"] for record in (pending, completed, dead)] == [identity(number) for number in (1, 2, 3)]
    assert pending["payload"] == {"title": "東京", "_spawn_config": {"handler": "h"}}
    assert (completed["result"], completed["trace_id"], pending["result"]) == ({"rows": 7}, "t", None)
    assert len(dead["error"]) > 1500
    assert {*EXPORTED.columns} - {*pending} - LEASES["jobs"] == {"other_columns"}
    assert {*pending} <= {*EXPORTED.columns}
    listed = {record["id"]: record for record in run("job", "list", "--format", "json", url=several).json}
    for record in (pending, completed):
        assert {key: record[key] for key in JOB.columns} == listed[record["id"]]


CHOSEN = [
    (["--queue", "mail"], [1, 3]),
    (["-n", "report"], [2]),
    (["--failed"], [3]),
    (["--completed", "--status", "pending"], [1, 2]),
    (["--priority", "high"], [1]),
    (["--since", "90s"], [1]),
    (["--error", "LONG long"], [3]),
    (["--queue", "nowhere"], []),
]


@all_databases
def test_an_export_has_the_jobs_that_its_filters_choose(run: Run, several: str) -> None:
    found = []
    for options, _ in CHOSEN:
        records = exported(run, several, "--fields", "id", *options)
        assert all(record.keys() == {"id"} for record in records)
        found.append((options, [int(record["id"][:8], 16) for record in records]))
    assert found == CHOSEN


def test_every_format_has_the_same_jobs(run: Run, several: str) -> None:
    lines = exported(run, several)
    assert run("job", "export", "--format", "json", url=several).json == lines
    fields = "id,payload.title,result.rows,error"
    text = run("job", "export", "--format", "csv", "--fields", fields, url=several).stdout
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == fields.split(",")
    assert rows[1:3] == [[identity(1), "東京", "", ""], [identity(2), "", "7", ""]]
    assert rows[3][3].startswith("line one\\nlong")
    empty = run("job", "export", "--format", "csv", "--queue", "nowhere", url=several).stdout
    assert empty == ",".join(EXPORTED.columns) + "\n"


def test_values_can_be_redacted_with_what_repeats_them(run: Run, several: str) -> None:
    pending, completed, dead = exported(run, several, "--redact", "payload,Result, error")
    assert pending["payload"] == completed["payload"] == pending["spawn_config"] == "[redacted]"
    assert (completed["result"], pending["result"]) == ("[redacted]", None)
    assert (dead["error"], pending["error"]) == ("[redacted]", None)
    assert (pending["queue"], completed["trace_id"]) == ("mail", "t")
    assert exported(run, several, "--redact", "result")[0]["payload"]["title"] == "東京"


@pytest.mark.parametrize("words", ["id", "", ",", "payload,trace_id"])
def test_a_key_that_cannot_be_redacted_is_a_usage_error(run: Run, several: str, words: str) -> None:
    outcome = run("job", "export", "--redact", words, url=several)
    assert (outcome.exit_code, outcome.stdout) == (2, "")


@all_databases
def test_an_export_of_many_pages_has_every_job_once(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FIRST_PAGE", 3)
    monkeypatch.setattr(export, "LARGEST_PAGE", 4)
    write(migrated_url, *(job(number) for number in range(1, 12)))
    assert exported(run, migrated_url, "--fields", "id") == [{"id": identity(number)} for number in range(1, 12)]


def test_a_page_has_fewer_jobs_where_payloads_are_large() -> None:
    assert export.next_limit([("x" * 10,)] * 100) == export.LARGEST_PAGE
    assert export.next_limit([("x" * (1 << 20), 7, None)] * 100) == 4
    assert export.next_limit([(b"x" * (1 << 25),)]) == 1


@all_databases
def test_jobs_are_written_while_they_are_read(run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(migrated_url, *(job(number) for number in range(1, 4)))
    read = export.jobs

    def failing(*given: Any) -> Iterator[Any]:
        for number, one in enumerate(read(*given)):
            if number == 2:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(export, "jobs", failing)
    outcome = run("job", "export", "--fields", "id", url=migrated_url)
    assert outcome.exit_code == 130
    assert outcome.stdout.count("\n") == 2


@pytest.mark.mysql
def test_a_database_that_is_stuck_is_exported_with_the_columns_that_it_has(
    run: Run, restored: Callable[[str], str]
) -> None:
    url = restored("stuck-at-010.mariadb")
    records = exported(run, url)
    assert len(records) == 73
    assert all("payload" in record and "is_encrypted" not in record for record in records)
