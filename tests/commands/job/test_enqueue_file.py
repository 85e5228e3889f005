"""``job enqueue --file``, on every database."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.core.values import JobStatus, id_list
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job import lines
from hammerwork_cli.features.job.options import JOB_OPTIONS, OPTIONS, wanted_job
from hammerwork_cli.features.job.queries import enqueue_lines
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.conftest import Outcome, all_databases, each_row
from tests.jobs import CLOCK, identity, job, rows, write

Run = Callable[..., Outcome]
SCHEMA = Draft202012Validator(SCHEMAS["job-enqueue-file"])


@pytest.fixture
def enqueue(run: Run, migrated_url: str, tmp_path: Path) -> Callable[..., Outcome]:
    """``enqueue(lines, *options)``: lines are JSON values, or bytes as they are."""

    def call(lines: list[Any], *options: str) -> Outcome:
        path = tmp_path / "jobs.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
        return run("job", "enqueue", "--file", str(path), *options, url=migrated_url, env=CLOCK)

    return call


FULL = {
    "queue": "video",
    "payload": {"title": "東京 \u2028"},
    "id": identity(7).upper(),
    "priority": "HIGH",
    "delay": 90.5,
    "max_attempts": 7,
    "timeout": "2m",
    "depends_on": [identity(1), identity(2).upper()],
    "trace_id": "t",
    "correlation_id": "c",
    "spawn_handler": "frames",
    "spawn_config": {"max_depth": 3},
    "max_spawn_count": 9,
    "operation_id": "night",
    "spawn_delay": "1.5s",
    "batch_size": 4,
    "inherit": ["priority", "queue"],
    "unique": "k",
    "unique_within": "1h",
    "unique_while": ["waiting", "completed"],
}


def test_a_line_has_the_options_of_the_command(enqueue: Any, run: Run, migrated_url: str) -> None:
    write(migrated_url, job(1), job(2))
    assert {*FULL} | {"at", "encrypt", "pii_fields"} == {*OPTIONS}
    SCHEMA.validate(FULL)
    outcome = enqueue([FULL])
    assert (outcome.exit_code, outcome.stdout) == (0, f"{identity(7)}\n"), outcome.stderr
    columns = "queue_name, priority, max_attempts, timeout_seconds, trace_id, correlation_id, dependency_status"
    assert rows(migrated_url, columns, f"id = '{identity(7)}'") == [("video", 3, 7, 120, "t", "c", "waiting")]
    payload, parents, due = rows(migrated_url, "payload, depends_on, scheduled_at", f"id = '{identity(7)}'")[0]
    assert id_list(parents) == (identity(1), identity(2))
    assert str(due)[11:19] == "12:01:30"
    # The same by options is the same job.
    words = ["-q", "video", "-j", '{"title": "東京 \u2028"}', "--id", identity(7), "-r", "high", "--max-attempts", "7"]
    words += ["--timeout", "2m", "--depends-on", f"{identity(1)},{identity(2)}", "--trace-id", "t"]
    words += ["--correlation-id", "c", "--spawn-handler", "frames", "--spawn-config", '{"max_depth": 3}']
    words += ["--max-spawn-count", "9", "--operation-id", "night", "--spawn-delay", "1.5s", "--batch-size", "4"]
    again = run("job", "enqueue", *words, "--inherit", "priority,queue", url=migrated_url)
    assert again.exit_code == 0, again.stderr
    assert "Already exists" in again.stderr
    another = ["-q", "video", "-j", "{}", "--unique", "k"]
    held = run("job", "enqueue", *another, "--unique-within", "1h", url=migrated_url, env=CLOCK)
    assert (held.exit_code, held.stdout) == (0, f"{identity(7)}\n")
    assert "Another job holds its key" in held.stderr
    shown = [run("job", "show", identity(7), *form, url=migrated_url, env=CLOCK) for form in ((), ("--format", "json"))]
    assert "  unique key    k\n" in shown[0].stdout
    assert shown[1].json["unique_key"] == "k"
    later = CLOCK | {"HAMMERWORK_NOW": "2026-11-24T13:00:00Z"}
    assert run("job", "enqueue", *another, "--unique-within", "1h", url=migrated_url, env=later).stdout != held.stdout
    assert enqueue([{"queue": "video", "payload": 1, "unique_within": 60}]).exit_code == 2
    assert json.loads(payload)["_spawn_config"]["inherit_queue"] is True


def test_the_schema_of_a_line_allows_the_numbers_that_are_read() -> None:
    def is_read(given: dict[str, Any]) -> bool:
        try:
            wanted_job({"queue": "video", "payload": {}, **given})
        except UsageError:
            return False
        return True

    numbers = [option.name for option in JOB_OPTIONS if option.kind.spelling == "number"]
    given = [{name: number} for name in numbers for number in (-1, 0, 1, 2**31 - 1, 2**31, 1.5, True, "1")]
    assert [SCHEMA.is_valid(one) for one in given] == [is_read(one) for one in given]


def test_options_of_the_command_line_are_the_defaults_of_lines(enqueue: Any, migrated_url: str) -> None:
    lines: list[Any] = [
        {"payload": 1, "id": identity(1)},
        {"payload": None, "id": identity(2), "queue": "own", "max_attempts": 2, "at": "2026-12-24T18:00:00Z"},
        {"id": identity(3), "priority": None},
    ]
    outcome = enqueue(lines, "-q", "mail", "-r", "low", "--delay", "1h", "--max-attempts", "9", "-j", '"default"')
    assert outcome.exit_code == 0, outcome.stderr
    assert [
        (queue, priority, most, json.loads(payload))
        for queue, priority, most, payload in rows(migrated_url, "queue_name, priority, max_attempts, payload")
    ] == [("mail", 1, 9, 1), ("own", 1, 2, None), ("mail", 1, 9, "default")]
    assert [str(due)[5:13] for (due,) in rows(migrated_url, "scheduled_at")][1].replace("T", " ") == "12-24 18"


def test_ids_are_printed_in_the_order_of_the_lines(enqueue: Any) -> None:
    numbers = [5, 3, 9, 1, 3]
    lines = [{"queue": "a", "payload": {}, "id": identity(number)} for number in numbers]
    assert enqueue(lines).stdout.split() == [identity(number) for number in numbers]


def test_every_format_has_a_record_for_each_line(enqueue: Any) -> None:
    lines: list[Any] = [{"queue": "a", "payload": {}, "id": identity(number)} for number in (1, 2)]
    as_json = enqueue(lines, "--format", "json").json
    assert [(record["id"], record["created"]) for record in as_json] == [(identity(1), True), (identity(2), True)]
    again = [record | {"created": False} for record in as_json]
    assert [json.loads(line) for line in enqueue(lines, "--format", "jsonl").stdout.splitlines()] == again
    as_csv = csv.DictReader(io.StringIO(enqueue(lines, "--format", "csv").stdout))
    assert [row["id"] for row in as_csv] == [identity(1), identity(2)]


def test_a_file_can_be_enqueued_again_where_its_lines_have_ids(enqueue: Any, migrated_url: str) -> None:
    lines: list[Any] = [{"queue": "a", "payload": {}, "id": identity(number)} for number in (1, 2)]
    assert "Enqueued 2 jobs." in enqueue(lines).stderr
    lines.append({"queue": "a", "payload": {}, "id": identity(3)})
    assert "Enqueued 1 job; 2 existed and were left unchanged." in enqueue(lines).stderr
    assert len(rows(migrated_url)) == 3
    lines[0]["payload"] = 1
    other = enqueue(lines)
    assert (other.exit_code, other.stdout) == (6, "")
    assert "with a different payload" in other.stderr


def test_jobs_may_depend_on_other_lines(enqueue: Any, migrated_url: str) -> None:
    first, second = identity(1), identity(2)
    lines = [
        {"queue": "b", "payload": {}, "id": second, "depends_on": first},
        {"queue": "a", "payload": {}, "id": first},
    ]
    assert enqueue(lines, "-q", "a").exit_code == 0
    assert rows(migrated_url, "dependency_status") == [("none",), ("waiting",)]


@each_row(
    ("line", "says"),
    [
        (b"{", "It is not JSON"),
        (b"\xff", "It is not UTF-8 text"),
        (b"[1]", "It is not a JSON object"),
        (b'{"payload": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"payload": 1e999}', "a number that is too large"),
        (b'{"payload": "\\ud800"}', "half a character"),
        ({}, "No payload was given"),
        ({"payload": 1, "colour": "red"}, "'colour' is not an option of a job"),
        ({"payload": 1, "queue": "nul\0"}, "NUL"),
        ({"payload": 1, "queue": 7}, "7 is not the name of a queue"),
        ({"payload": 1, "queue": " \t"}, "is not the name of a queue"),
        ({"payload": 1, "queue": "q" * 256}, "1 to 255 characters"),
        ({"payload": 1, "priority": "urgent"}, "'urgent' is not a priority"),
        ({"payload": 1, "priority": True}, "True is not a priority"),
        ({"payload": 1, "delay": "soon"}, "'soon' is not a duration"),
        ({"payload": 1, "delay": -1}, "delay must be a duration"),
        ({"payload": 1, "delay": True}, "delay must be a duration"),
        ({"payload": 1, "delay": 1, "at": "2026-12-24T18:00:00Z"}, "not both"),
        ({"payload": 1, "at": "tomorrow"}, "not an RFC 3339 time"),
        ({"payload": 1, "at": "2106-12-24T18:00:00Z", "max_attempts": 0}, "max_attempts must be a whole number"),
        ({"payload": 1, "max_attempts": "3"}, "max_attempts must be a whole number"),
        ({"payload": 1, "timeout": 0}, "A timeout must be 1 to"),
        ({"payload": 1, "id": "1234"}, "'1234' is not a UUID"),
        ({"payload": 1, "depends_on": ["1234"]}, "'1234' is not a UUID"),
        ({"payload": 1, "depends_on": 7}, "depends_on must be text or a list of texts"),
        ({"payload": 1, "trace_id": "x" * 129}, "at most 128 characters"),
        ({"payload": 1, "inherit": "eyes"}, "'eyes' cannot be inherited"),
        (
            {"payload": [], "spawn_handler": "h"},
            "payload is a JSON object can carry a spawn configuration",
        ),
        ({"payload": {}, "max_spawn_count": "many"}, "max_spawn_count cannot be"),
        ({"payload": {}, "spawn_config": []}, "must be a JSON object"),
    ],
)
def test_a_line_that_is_not_valid_is_named_and_nothing_is_written(
    enqueue: Any, migrated_url: str, line: Any, says: str
) -> None:
    outcome = enqueue([{"queue": "a", "payload": {}}, b"", line, {"queue": "a", "payload": {}}], "-q", "a")
    assert (outcome.exit_code, outcome.stdout) == (2, ""), outcome
    assert "Line 3: " in outcome.stderr
    assert says in outcome.stderr
    assert "1 line is not valid. Nothing was enqueued." in outcome.stderr
    assert rows(migrated_url) == []


def test_all_lines_that_are_not_valid_are_named_up_to_a_bound(enqueue: Any, migrated_url: str) -> None:
    few = enqueue([{"payload": 1, "queue": "a"}, b"x\x1b[31m", {"payload": 1, "queue": "a"}, {"b\x1b": 1}])
    assert [line[:7] for line in few.stderr.splitlines()[:2]] == ["Line 2:", "Line 4:"]
    assert "2 lines are not valid" in few.stderr
    assert "\x1b" not in few.stderr
    many = enqueue([b"x"] * 50, "--format", "json")
    error = json.loads(many.stderr)["error"]
    assert (many.exit_code, error["exit_code"], error["code"]) == (2, 2, "usage")
    assert [problem["line"] for problem in error["lines"]] == [*range(1, 21)]
    assert error["message"] == "At least 20 lines are not valid. Nothing was enqueued."
    assert rows(migrated_url) == []


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_parent_that_is_missing_lets_nothing_be_written(enqueue: Any, migrated_url: str, form: str) -> None:
    lines = [{"queue": "a", "payload": {}}, {"queue": "a", "payload": {}, "depends_on": identity(9)}]
    outcome = enqueue(lines, "--format", form)
    assert (outcome.exit_code, outcome.stdout) == (5, "")
    assert rows(migrated_url) == []


@all_databases
def test_a_larger_file_is_enqueued_in_parts_and_can_be_continued(
    enqueue: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue_lines, "PART", 3)
    lines: list[Any] = [{"queue": "a", "payload": number, "id": identity(number)} for number in range(1, 11)]
    lines[1:1] = [b"", b"  "]
    lines[6]["depends_on"] = identity(99)  # line 7, in the second part, which has lines 6 to 8
    failed = enqueue(lines)
    assert failed.exit_code == 5
    assert failed.stdout.split() == [identity(number) for number in (1, 2, 3)]
    assert "Lines 1 to 5 are done: --after-line 5" in failed.stderr
    assert json.loads(enqueue(lines, "--format", "jsonl").stderr)["error"]["after_line"] == 5
    assert len(rows(migrated_url)) == 3
    del lines[6]["depends_on"]
    rest = enqueue(lines, "--after-line", "5")
    assert rest.stdout.split() == [identity(number) for number in range(4, 11)]
    assert [int(payload) for (payload,) in rows(migrated_url, "payload")] == [*range(1, 11)]


def test_lines_of_later_parts_are_checked_before_anything_is_written(
    enqueue: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue_lines, "PART", 2)
    outcome = enqueue([*[{"queue": "a", "payload": 1}] * 5, b"x"])
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "Line 6:" in outcome.stderr
    assert rows(migrated_url) == []


def test_a_job_may_depend_on_one_of_an_earlier_part(
    enqueue: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue_lines, "PART", 1)
    write(migrated_url, job(5, JobStatus.COMPLETED))
    lines = [
        {"queue": "a", "payload": 1, "id": identity(1), "depends_on": identity(5)},
        {"queue": "a", "payload": 1, "id": identity(2), "depends_on": [identity(1)]},
    ]
    assert enqueue(lines).exit_code == 0
    assert rows(migrated_url, "dependency_status")[:2] == [("satisfied",), ("waiting",)]


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    enqueue: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1000)
    outcome = enqueue([{"queue": "a", "payload": 1}, b"[" + b" " * 2000])
    assert outcome.exit_code == 2
    assert "Line 2: It is longer than 1,000 bytes." in outcome.stderr
    assert rows(migrated_url) == []


def test_jobs_come_from_stdin_too(hammerwork: Run, lite_url: str) -> None:
    lines = "\ufeff" + "\n".join(json.dumps({"payload": number}) for number in range(3)) + "\n"
    outcome = hammerwork("job", "enqueue", "--file", "-", "-q", "a", url=lite_url, input=lines)
    assert outcome.exit_code == 0, outcome.stderr
    assert {*outcome.stdout.split()} == {str(identity) for (identity,) in rows(lite_url, "id")}
    assert len(outcome.stdout.split()) == 3


def test_an_empty_file_enqueues_nothing(enqueue: Any, migrated_url: str) -> None:
    outcome = enqueue([])
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "", "Enqueued 0 jobs.\n")
    assert enqueue([], "--format", "json").json == []


@pytest.mark.parametrize(
    "words",
    [
        ("--file", "/nowhere/jobs.jsonl"),
        ("--file", "/"),
        ("--file", "-", "--id", identity(1)),
        ("--after-line", "3", "-j", "1", "-q", "a"),
        ("-q", "a"),
    ],
)
def test_options_that_do_not_fit_a_file_are_usage_errors(run: Run, migrated_url: str, words: tuple[str, ...]) -> None:
    outcome = run("job", "enqueue", *words, url=migrated_url)
    assert (outcome.exit_code, outcome.stdout) == (2, ""), outcome


def test_a_packed_file_is_not_taken_for_lines(enqueue: Any, migrated_url: str) -> None:
    outcome = enqueue([gzip.compress(b'{"queue": "a", "payload": 1}')])
    assert outcome.exit_code == 2
    assert rows(migrated_url) == []
