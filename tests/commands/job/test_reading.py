"""``job list`` and ``job show``, on every database."""

import contextlib
import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.job.views.listing import JOB
from tests.commands.monitor.test_health import worker
from tests.conftest import Outcome, all_databases, one_case_on_servers
from tests.jobs import CLOCK, execute, identity, job, move_to_archive, write
from tests.rows import Rows

Run = Callable[..., Outcome]
HOSTILE = 'a\x1b[31m"b"\n\u202e[bold]<b>=1+1'


def listed(run: Run, url: str, *options: str) -> list[int]:
    """The numbers of the jobs that a list shows."""
    outcome = run("job", "list", "--format", "json", *options, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    return [int(record["id"][:8], 16) for record in outcome.json]


@pytest.fixture
def several(migrated_url: str) -> str:
    """1 is Pending, 2 Running, 3 Completed, 4 Failed, 5 Dead, 6 TimedOut; each a minute older than the one before."""
    write(
        migrated_url,
        job(1, priority=JobPriority.HIGH),
        job(2, JobStatus.RUNNING, priority=JobPriority.CRITICAL),
        job(3, JobStatus.COMPLETED, queue="report"),
        job(4, JobStatus.FAILED, queue="report"),
        job(5, JobStatus.DEAD),
        job(6, JobStatus.TIMED_OUT),
    )
    return migrated_url


CHOSEN = [
    ([], [1, 2, 3, 4, 5, 6]),
    (["--queue", "report"], [3, 4]),
    (["-n", "report"], [3, 4]),
    (["--status", "PENDING,running", "-t", "timed_out"], [1, 2, 6]),
    (["--failed"], [4, 5, 6]),
    (["--completed"], [3]),
    (["--failed", "--completed", "--queue", "report"], [3, 4]),
    (["--priority", "High,critical"], [1, 2]),
    (["-r", "normal"], [3, 4, 5, 6]),
    (["--since", "150s"], [1, 2]),
    (["--since", "2026-11-24T11:57:30Z"], [1, 2]),
    (["--until", "150s"], [3, 4, 5, 6]),
    (["--since", "5m", "--until", "2026-11-24T11:57:30Z"], [3, 4, 5]),
    (["--last-hours", "0.05"], [1, 2, 3]),
    (["--limit", "2"], [1, 2]),
    (["--queue", "nowhere"], []),
]


@all_databases
def test_a_list_shows_what_its_filters_choose(run: Run, several: str) -> None:
    assert [(options, listed(run, several, *options)) for options, _ in CHOSEN] == CHOSEN


def test_statuses_in_quotes_and_in_lower_case_are_found(run: Run, several: str) -> None:
    execute(several, f"UPDATE hammerwork_jobs SET status = '\"Dead\"' WHERE id = '{identity(5)}'")
    execute(several, f"UPDATE hammerwork_jobs SET status = 'pending' WHERE id = '{identity(1)}'")
    execute(several, f"UPDATE hammerwork_jobs SET status = 'timed_out' WHERE id = '{identity(6)}'")
    assert listed(run, several, "--status", "dead,pending,timedout") == [1, 5, 6]
    shown = run("job", "list", "--status", "pending", url=several, env=CLOCK).stdout
    assert "Pending" in shown


@all_databases
def test_a_priority_out_of_range_counts_as_normal(run: Run, several: str) -> None:
    execute(several, f"UPDATE hammerwork_jobs SET priority = 9 WHERE id = '{identity(1)}'")
    assert listed(run, several, "--priority", "normal") == [1, 3, 4, 5, 6]
    assert listed(run, several, "--priority", "low") == []


@one_case_on_servers
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
@all_databases
def test_the_cursor_of_a_page_leads_through_all_jobs_once(run: Run, migrated_url: str, form: str) -> None:
    same_moment = {"created_at": job(1).created_at, "scheduled_at": job(1).created_at}
    write(migrated_url, *(job(number, **same_moment) for number in range(1, 8)))
    found: list[str] = []
    cursor: list[str] = []
    for _ in range(4):
        outcome = run("job", "list", "--limit", "2", "--format", form, *cursor, url=migrated_url, env=CLOCK)
        found += [line for line in outcome.stdout.splitlines() if "0-4000-8000" in line or form == "table"]
        if form in {"json", "jsonl"}:
            last = re.findall(r'"id":"([^"]*)"', outcome.stdout)[-1]
            cursor = ["--cursor", last]
            continue
        note = outcome.stderr.strip()
        if not note:
            break
        cursor = note.removeprefix("There are more: ").split()
    text = "\n".join(found)
    assert [text.count(identity(number)[:8]) for number in range(1, 8)] == [1] * 7


def test_the_last_record_of_a_page_is_its_cursor(run: Run, several: str) -> None:
    outcome = run("job", "list", "--limit", "4", "--format", "json", url=several, env=CLOCK)
    last = outcome.json[-1]
    assert listed(run, several, "--cursor", f"{last['created_at']}/{last['id']}") == [5, 6]


@all_databases
def test_the_id_of_a_job_that_is_gone_is_no_cursor_but_with_its_time_it_is(run: Run, several: str) -> None:
    [last] = run("job", "list", "--limit", "1", "--format", "json", url=several, env=CLOCK).json
    execute(several, f"DELETE FROM hammerwork_jobs WHERE id = '{last['id']}'")
    gone = run("job", "list", "--cursor", last["id"], url=several)
    assert (gone.exit_code, gone.stdout) == (5, "")
    assert len(listed(run, several, "--cursor", f"{last['created_at']}/{last['id']}")) == 5


@pytest.mark.parametrize(
    "cursor", ["", "yesterday/1", "2026-11-24T12:00:00Z", "12345678", f"2026-11-24T12:00:00Z/{'x' * 36}", "\x1b[31m"]
)
def test_other_text_is_not_a_cursor(run: Run, several: str, cursor: str) -> None:
    outcome = run("job", "list", "--cursor", cursor or "/", url=several)
    assert outcome.exit_code == 2
    assert "\x1b" not in outcome.stderr


def test_every_format_of_a_list_has_its_keys(run: Run, several: str) -> None:
    as_csv = list(csv.DictReader(io.StringIO(run("job", "list", "--format", "csv", url=several).stdout)))
    as_json = run("job", "list", "--format", "json", url=several).json
    lines = run("job", "list", "--format", "jsonl", url=several).stdout.splitlines()
    assert [tuple(record) for record in as_json] == [JOB.columns] * 6
    assert [json.loads(line) for line in lines] == as_json
    assert [tuple(row) for row in as_csv] == [JOB.columns] * 6


def test_an_empty_list_is_no_failure(run: Run, migrated_url: str) -> None:
    assert run("job", "list", "--format", "json", url=migrated_url).json == []
    outcome = run("job", "list", url=migrated_url)
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == "No job matches.\n"


@pytest.mark.parametrize("options", [["--status", "ded"], ["--priority", "urgent"], ["--since", "1 moon"]])
def test_words_that_mean_nothing_are_usage_errors(run: Run, several: str, options: list[str]) -> None:
    assert run("job", "list", *options, url=several).exit_code == 2


@all_databases
def test_show_tells_everything(run: Run, migrated_url: str) -> None:
    write(
        migrated_url,
        job(9, JobStatus.COMPLETED, queue="ingest"),
        job(
            5,
            JobStatus.DEAD,
            payload='{"title": "Tromsø", "n": [1, 2]}',
            depends_on=(identity(9), identity(99)),
            dependency_status="satisfied",
            timeout_seconds=90,
            trace_id="trace-1",
            workflow_name="nightly",
            retry_strategy=json.dumps(
                {"type": "Linear", "base_ms": 500, "max_delay_ms": 10**30, "jitter": {"factor": 0.5}}
            ),
            error_message="x" * 600,
        ),
        job(3, JobStatus.FAILED, queue="part", depends_on=(identity(5),)),
        job(4, queue="part", depends_on=(identity(5),)),
    )
    outcome = run("job", "show", identity(5)[:8], "--format", "json", url=migrated_url, env=CLOCK)
    record = outcome.json
    assert record["payload"] == {"title": "Tromsø", "n": [1, 2]}
    assert record["error"] == "x" * 600
    assert (record["status"], record["attempts"]) == ("Dead", 3)
    assert record["timeout_seconds"] == 90
    assert record["parents"] == [
        {"id": identity(9), "queue": "ingest", "status": "Completed", "error": None},
        {"id": identity(99), "queue": None, "status": None, "error": None},
    ]
    children = record["children"]
    assert (children["total"], children["failed"], children["pending"]) == (2, 1, 1)
    assert [child["id"] for child in children["first"]] == [identity(3), identity(4)]
    text = run("job", "show", identity(5), url=migrated_url, env=CLOCK).stdout
    for word in ("Dead after 3 of 3 attempts", "1m 30s", "trace-1", "nightly", '"title": "Tromsø"', "x" * 600):
        assert word in text
    for word in ("linear", "base 500 ms", f"max_delay_ms {10**30}", "jitter factor 0.5"):
        assert re.search(rf"retries .*{word}\b", text)
    assert f"{identity(99)[:8]} is not in the database" in text
    assert "2 jobs depend on it: 1 pending, 1 failed" in text


def test_show_takes_several_jobs(run: Run, several: str) -> None:
    ids = [identity(one) for one in (2, 1, 2)]
    assert [job["id"] for job in run("job", "show", *ids, "--format", "json", url=several).json] == ids[:2]
    text = run("job", "show", *ids, url=several).stdout
    assert 0 <= text.index(ids[0]) < text.index(ids[1])
    missing = run("job", "show", ids[0], "99999999", url=several)
    assert (missing.exit_code, missing.stdout) == (5, "")


def test_show_reads_a_job_that_is_in_the_archive_only(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, JobStatus.COMPLETED))
    packed = gzip.compress(json.dumps({"packed": True, "_spawn_config": {"handler": "h"}}).encode())
    move_to_archive(migrated_url, 5, packed)
    record = run("job", "show", identity(5)[:6], "--format", "json", url=migrated_url).json
    assert record["payload"] == {"packed": True, "_spawn_config": {"handler": "h"}}
    assert (record["in_archive"], record["archived_by"]) == (True, "ada")
    assert record["spawn_config"] == {"handler": "h"}
    text = run("job", "show", identity(5)[:6], url=migrated_url).stdout
    assert "only in the archive" in text
    assert '"packed": true' in text


def test_show_survives_an_archived_payload_that_cannot_be_read(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, JobStatus.COMPLETED))
    move_to_archive(migrated_url, 5, b"\x1f\x8bbroken")
    outcome = run("job", "show", identity(5), url=migrated_url)
    assert outcome.exit_code == 0
    assert "cannot be read" in outcome.stdout


def test_show_says_that_a_payload_is_encrypted(run: Run, migrated_url: str, dialect: str) -> None:
    write(migrated_url, job(5))
    blob = "'\\x0102'" if dialect == "postgres" else "x'0102'"
    yes = "1" if dialect == "sqlite" else "TRUE"
    execute(
        migrated_url,
        f"UPDATE hammerwork_jobs SET is_encrypted = {yes}, encryption_key_id = 'key-7', encryption_algorithm ="
        f" 'AES256GCM', encrypted_payload = {blob}, encryption_nonce = {blob}, encryption_tag = {blob}",
    )
    assert "AES256GCM, key key-7, 2 bytes" in run("job", "show", identity(5), url=migrated_url).stdout
    record = run("job", "show", identity(5), "--format", "json", url=migrated_url).json
    assert (record["is_encrypted"], record["encrypted_bytes"]) == (True, 2)


def test_nothing_hostile_reaches_the_terminal(run: Run, migrated_url: str) -> None:
    text = json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False)
    write(migrated_url, job(5, JobStatus.DEAD, queue=HOSTILE, payload=text, error_message=HOSTILE, trace_id=HOSTILE))
    for words in (["show", identity(5)], ["list"], ["list", "--format", "csv"], ["list", "--format", "json"]):
        outcome = run("job", *words, url=migrated_url)
        assert outcome.exit_code == 0, outcome.stderr
        assert not {"\x1b", "\u202e", "\x9b"} & set(outcome.stdout)
    assert run("job", "list", "--queue", HOSTILE, "--format", "json", url=migrated_url).json[0]["error"] == HOSTILE


@all_databases
def test_any_payload_is_shown(run: Run, migrated_url: str) -> None:
    payloads = ["[]", "7", '"text"', "null", '{"_spawn_config": 3}']
    write(migrated_url, *(job(number, payload=payload) for number, payload in enumerate(payloads)))
    shown = [run("job", "show", identity(n), "--format", "json", url=migrated_url).json for n in range(len(payloads))]
    assert [record["payload"] for record in shown] == [json.loads(payload) for payload in payloads]
    if migrated_url.startswith("sqlite"):  # text is made of the same values
        assert {run("job", "show", identity(n), url=migrated_url).exit_code for n in range(len(payloads))} == {0}


@all_databases
def test_a_payload_of_a_mebibyte_is_whole_in_json(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(5, payload=json.dumps({"big": "x" * (1 << 20)})))
    record = run("job", "show", identity(5), "--format", "json", url=migrated_url).json
    assert len(record["payload"]["big"]) == 1 << 20


def test_an_unknown_id_is_not_found(run: Run, migrated_url: str) -> None:
    assert run("job", "show", "abcdef12", url=migrated_url).exit_code == 5


def test_an_ambiguous_prefix_is_a_conflict(run: Run, several: str) -> None:
    assert run("job", "show", "0000", url=several).exit_code == 6


DUMPS: list[Any] = [
    pytest.param("media.postgresql", marks=pytest.mark.postgres),
    *(pytest.param(f"{name}.mariadb", marks=pytest.mark.mysql) for name in ("damaged", "stuck-at-010")),
]


@pytest.mark.parametrize("name", DUMPS)
def test_every_job_that_hammerwork_rust_wrote_is_listed_and_one_of_every_queue_is_shown(
    run: Run, shared_restored: Callable[[str], str], expected_counts: Callable[[str], Any], name: str
) -> None:
    url, expected = shared_restored(name), expected_counts(name)
    records = run("job", "list", "--limit", "100000", "--format", "json", url=url).json
    assert len(records) == expected["jobs"]
    for word, jobs in expected["statuses"].items():
        # Retrying and cancelled jobs are stored as Pending and Failed ones.
        words = {"Pending": "pending,retrying", "Failed": "failed,cancelled"}.get(word, word)
        found = run("job", "list", "--status", words, "--limit", "100000", "--format", "jsonl", url=url).stdout
        assert found.count("\n") == jobs
    for queue, record in {record["queue"]: record for record in records}.items():
        shown = run("job", "show", record["id"], "--format", "json", url=url)
        assert shown.json["queue"] == queue
        if name.startswith("damaged"):  # text is made of the same values
            text = run("job", "show", record["id"], url=url)
            assert (text.exit_code, text.stderr) == (0, "")
            assert "\x1b" not in text.stdout


def test_an_argument_that_is_no_text_is_a_usage_error(run: Run, several: str) -> None:
    outcome = run("job", "list", "--queue", "\udcff", url=several)
    assert outcome.exit_code == 2
    assert "not valid UTF-8" in outcome.stderr


@pytest.mark.parametrize(
    ("parent", "reason", "word"),
    [
        (JobStatus.RUNNING, "unfinished", "It runs once all of them have completed"),
        (JobStatus.DEAD, "parent_failed", "one of them failed"),
        (
            JobStatus.COMPLETED,
            "not_released",
            "No worker released it when they ended. To release it: hammerwork spawn doctor --fix",
        ),
        (None, "parent_missing", "one of them is missing"),
    ],
)
def test_a_job_that_waits_says_whether_it_can_ever_run(
    run: Run, migrated_url: str, parent: JobStatus | None, reason: str, word: str
) -> None:
    write(migrated_url, job(2, depends_on=(identity(1),), dependency_status="waiting"))
    if parent:
        write(migrated_url, job(1, parent))
    shown = run("job", "show", identity(2), url=migrated_url).stdout
    assert word in shown
    assert (f"hammerwork spawn why {identity(2)[:8]}" in shown) == (reason != "not_released")
    assert run("job", "show", identity(2), "--format", "json", url=migrated_url).json["hold"] == reason


def test_a_running_job_says_which_worker_has_it_and_whether_that_is_silent(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, JobStatus.RUNNING))
    assert run("job", "show", identity(1), "--format", "json", url=migrated_url).json["worker"] is None
    with contextlib.closing(connect(migrated_url)) as database:
        alive = worker(Rows(database), "render-1")
        silent = worker(Rows(database), "render-2", heartbeat_at=datetime.now(UTC) - timedelta(minutes=5))
    for having, state, said in ((alive, "running", "  worker"), (silent, "silent", "render-2 has been silent for 5m")):
        execute(migrated_url, f"UPDATE hammerwork_jobs SET claimed_by = '{having}', claimed_at = started_at")
        shown = run("job", "show", identity(1), "--format", "json", url=migrated_url).json["worker"]
        assert (shown["id"], shown["state"], shown["lease_seconds"]) == (having, state, 30)
        assert said in run("job", "show", identity(1), url=migrated_url).stdout


def test_fields_choose_keys_and_their_order_in_every_format(run: Run, several: str) -> None:
    def shown(form: str, *options: str) -> str:
        words = ("job", "list", "--failed", "--fields", "status, id,error", "--format", form, *options)
        outcome = run(*words, url=several, env=CLOCK)
        assert outcome.exit_code == 0, outcome.stderr
        return outcome.stdout

    first = {"status": "Failed", "id": identity(4), "error": "broken 4"}
    assert [*json.loads(shown("json"))[0].items()] == [*first.items()]
    assert json.loads(shown("jsonl").splitlines()[0]) == first
    assert shown("csv").splitlines()[:2] == ["status,id,error", f"Failed,{identity(4)},broken 4"]
    assert shown("table").splitlines()[1].split() == ["Failed", identity(4), "broken", "4"]


def test_a_field_may_be_a_key_of_an_object(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1, payload='{"_spawn_config": {"handler": "frames"}}'), job(2))
    words = ("job", "list", "--fields", "spawn_config.handler,depends_on,has_spawn_config", "--format")
    lines = run(*words, "jsonl", url=migrated_url).stdout.splitlines()
    assert json.loads(lines[0]) == {"spawn_config.handler": "frames", "depends_on": [], "has_spawn_config": True}
    assert json.loads(lines[1])["spawn_config.handler"] is None
    assert run(*words, "csv", url=migrated_url).stdout.splitlines()[1] == "frames,[],true"
    assert run(*words, "table", url=migrated_url).stdout.splitlines()[1].split() == ["frames", "[]", "true"]


@pytest.mark.parametrize("fields", ["id,colour", "", ",", "a\x1b[31m"])
def test_an_unknown_field_is_a_usage_error_that_names_the_fields(run: Run, several: str, fields: str) -> None:
    outcome = run("job", "list", "--fields", fields, url=several)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "Fields: id, queue, status," in outcome.stderr
    assert "\x1b" not in outcome.stderr


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_a_list_longer_than_a_page_has_every_job_once(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(listing, "MOST_IN_A_PAGE", 3)
    write(migrated_url, *(job(number) for number in range(1, 9)))
    outcome = run("job", "list", "--limit", "7", "--format", form, "--fields", "id", url=migrated_url)
    assert re.findall(r"0000000[1-9]", outcome.stdout) == [identity(number)[:8] for number in range(1, 8)]
    assert ("--cursor" in outcome.stderr) == (form in {"table", "csv"})


@pytest.mark.mysql
def test_a_long_list_without_our_indexes_is_the_same_in_larger_pages(
    run: Run, shared_restored: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = shared_restored("media.mariadb")
    words = ("job", "list", "--limit", "300", "--format", "jsonl", "--fields", "id")
    at_once = run(*words, url=url).stdout
    limits: list[int] = []
    find = listing.find

    def counting(*given: Any, limit: int, cursor: str | None) -> Any:
        limits.append(limit)
        return find(*given, limit=limit, cursor=cursor)

    monkeypatch.setattr(listing, "find", counting)
    monkeypatch.setattr(listing, "MOST_IN_A_PAGE", 50)
    monkeypatch.setattr(listing, "MOST_WITHOUT_INDEX", 200)
    assert run(*words, url=url).stdout == at_once
    assert limits == [50, 200, 50]
