"""Options that are given twice: what names things counts every time, and what takes one value refuses another."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.cli.context import Context
from hammerwork_cli.core.input import names
from hammerwork_cli.database import connect
from hammerwork_cli.errors import UsageError
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = START + timedelta(days=100)
ENVIRONMENT = {"HAMMERWORK_NOW": NOW.isoformat()}
QUEUES = ("alpha", "beta", "gamma")

ONE = {
    "monitor health --worker": "one worker's own report",
    "spawn again --handler": "the handler of one request",
    "job enqueue --queue": "a job is in one queue",
    "job enqueue --workflow": "a job joins one workflow",
    "batch enqueue --queue": "the queue of lines that name none",
    "cron create --queue": "a job is in one queue",
    "cron update --queue": "a job is in one queue",
    "spawn rehearse --queue": "a job is in one queue",
    "queue stats --queue": "stands for its argument",
    "queue health --queue": "stands for its argument",
    "queue clear --queue": "stands for its argument",
    "archive set-policy --queue": "a policy has one queue",
    "archive get-policy --queue": "a policy has one queue",
    "archive remove-policy --queue": "a policy has one queue",
    "monitor logs --tree": "one tree",
    "spawn wait --batch": "one end to wait for",
    "spawn wait --workflow": "one end to wait for",
    "webhook test --queue": "the queue of one event",
    "webhook test --job": "the job of one event",
    "streaming test --queue": "the queue of one event",
    "streaming test --job": "the job of one event",
    "webhook add --api-key-header": "one header",
    "webhook update --api-key-header": "one header",
    "streaming add --kinesis-stream": "one target",
    "streaming update --kinesis-stream": "one target",
}
"""What names a thing and takes one."""
ONE |= {
    f"{verb} --{option}": "a name for what is new"
    for option, verbs in {
        "id": ("job enqueue", "batch enqueue", "workflow create"),
        "operation-id": ("job enqueue", "spawn again"),
        "trace-id": ("job enqueue",),
        "correlation-id": ("job enqueue",),
        "name": (
            *("cron create", "cron convert", "worker start"),
            *("webhook add", "webhook update", "streaming add", "streaming update"),
        ),
        "source": ("cron apply",),
        "archived-by": ("archive run",),
        "spawn-handler": ("job enqueue", "cron create", "cron update"),
    }.items()
    for verb in verbs
}
NAMING = frozenset(
    {"QUEUE", "STATUS", "PRIORITY", "WORKER", "JOB", "BATCH", "WORKFLOW", "ID", "UUID", "NAME", "NAMES", "WORDS"}
    | {"CHECK", "ORIGIN"}
)
"""The words of help for what names something that exists, or a part of an answer."""
HIDDEN = frozenset({"--queue", "--job-id", "--worker-id"})
ELSEWHERE = {
    "job enqueue --priority": "one value, checked below",
    "batch enqueue --priority": "one value",
    "cron create --priority": "one value",
    "cron update --priority": "one value",
    "web serve --allow-host": "tests/web",
    "web serve --cors-origin": "tests/web",
    "worker start --queue": "below",
    "worker start --allow-env": "tests/runtime/events/test_allowed.py",
    "job enqueue --depends-on": "below",
    "job enqueue --inherit": "below",
    "job enqueue --unique-while": "below",
    "spawn again --inherit": "as job enqueue",
    **{
        f"{group} {verb} --{option}": f"tests/commands/{group}"
        for group in ("webhook", "streaming")
        for verb in ("add", "update")
        for option in ("queue", "priority")
    },
    **dict.fromkeys(
        (
            f"{path} --without-column"
            for path in (
                "archive restore",
                "backup copy",
                "backup create",
                "backup restore",
                "job export",
                "job import",
            )
        ),
        "tests/commands/backup/test_other_columns.py",
    ),
}
DRY = "--dry-run --format json"
BOTH = {
    "--queue": ("alpha", "beta"),
    "--status": ("failed", "completed"),
    "--priority": ("low", "high"),
    "--batch": ("{batch_alpha}", "{batch_beta}"),
    "--workflow": ("{workflow_alpha}", "{workflow_beta}"),
    "--operation": ("op-alpha", "op-beta"),
    "--fields": ("id", "queue"),
    "--redact": ("payload", "error"),
    "--only": ("pending", "retention"),
    "--skip": ("pending", "retention"),
    "--job-id": ("{failed_alpha}", "{failed_beta}"),
    "--worker-id": ("{worker_alpha}", "{worker_beta}"),
    "--job": ("{failed_alpha}", "{failed_beta}"),
}
"""Option -> two of its values."""
LINES: Mapping[str, str | Mapping[str, str]] = {
    "spawn list": "--format json",
    "spawn stats": "--hours 100000 --format json",
    "spawn pending": "--format json",
    "spawn tree": "{root} --format json",
    "spawn why": "--format json",
    "spawn doctor": "--format json",
    "spawn monitor": "--count 1 --format jsonl",
    "job list": "--format json --limit 1000",
    "job export": "--format json",
    "job retry": {"": DRY, "--only": f"{{root}} --tree {DRY}"},
    "job cancel": {"": DRY, "--only": f"{{root}} --tree {DRY}", "--workflow": f"--status pending {DRY}"},
    "job delete": {"": DRY, **dict.fromkeys(("--batch", "--workflow"), f"--status dead {DRY}")},
    "job purge": {"": f"--all {DRY}", "--status": DRY},
    "cron list": {"": "--format json", "--fields": "--format json"},
    "cron next": "--format json",
    "cron history": "alpha --format json",
    "batch list": "--format json",
    "batch retry": DRY,
    "batch cancel": DRY,
    "batch export": "{batch_alpha} --format json",
    "workflow retry": f"{{workflow_alpha}} {DRY}",
    "workflow list": "--format json",
    "worker list": {"": "--all --fields id --format json", "--fields": "--all --format json"},
    "worker status": "--format csv",
    "worker stop": DRY,
    "worker restart": DRY,
    "monitor health": {"": "--format json", "--skip": "--skip database --format json"},
    "monitor dashboard": "--count 1 --format jsonl",
    "monitor metrics": "--period 10000d --format json",
    "monitor logs": "--format jsonl --lines 1000",
    "archive run": f"--by job {DRY}",
    "archive list": "--format json",
    "archive stats": "--format json",
    "archive policies": "--format json",
    "archive purge": f"--older-than 1m {DRY}",
    "maintenance cleanup": f"--by job {DRY}",
    "maintenance check": "--format json",
    "maintenance dead-jobs": f"--stale-hours 0 {DRY}",
    "job requeue-stale": f"--older-than-secs 1 {DRY}",
    "maintenance sizes": "--format json",
    "backup create": "-o - --no-archive",
    "queue list": "--format json",
    "queue pause": DRY,
    "queue limit": f"--rate 5/s {DRY}",
    "queue resume": DRY,
}
"""Verb -> what else is asked."""
VALUES = {
    "job retry --status": ("failed", "dead"),
    "job retry --only": ("dead", "timedout"),
    "job cancel --status": ("pending", "retrying"),
    "job cancel --only": ("pending", "retrying"),
    "batch retry --status": ("failed", "dead"),
    "workflow retry --status": ("failed", "dead"),
    "batch cancel --status": ("pending", "retrying"),
    "batch list --fields": ("id", "name"),
    "workflow list --fields": ("id", "name"),
    "worker list --fields": ("id", "name"),
    "cron list --fields": ("name", "queue"),
    "queue list --fields": ("queue", "paused"),
    "maintenance sizes --fields": ("table", "rows"),
}


def leaves(command: Any = None, path: str = "") -> dict[str, Any]:
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        return {path: command}
    return {
        name: leaf
        for word in command.commands
        for name, leaf in leaves(command.commands[word], f"{path} {word}".strip()).items()
    }


LEAVES = leaves()


def options(path: str) -> Iterator[Any]:
    for param in LEAVES[path].params:
        if param.param_type_name == "option" and param.name != "help":
            yield param


def long_name(option: Any) -> str:
    return next(name for name in option.opts if name.startswith("--"))


def is_naming(option: Any) -> bool:
    if option.is_flag or long_name(option) == "--confirm-profile":
        return False
    return option.metavar in NAMING or (option.hidden and long_name(option) in HIDDEN)


NAMED = [f"{path} {long_name(option)}" for path in LEAVES for option in options(path) if is_naming(option)]


def option_of(case: str) -> tuple[str, Any]:
    path, _, name = case.rpartition(" ")
    return path, next(option for option in options(path) if long_name(option) == name)


def test_every_option_that_names_things_repeats_or_says_why_it_takes_one() -> None:
    single = {case for case in NAMED if not option_of(case)[1].multiple}
    priorities = {case for case in ELSEWHERE if case.endswith("--priority")}
    assert single - ONE.keys() - priorities == set()
    assert {*ONE} - single == set(), "these are no single options that name things"


@pytest.fixture(scope="module")
def filled(makers: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """A database, and the ids in it; nobody here changes it."""
    maker = makers["sqlite"]
    url = maker.migrated()
    with contextlib.closing(connect(url)) as database:
        yield url, fill(Rows(database))
    maker.drop(url)


def fill(rows: Rows) -> dict[str, str]:
    """Jobs in every state in each of the queues, of each state one more than in the queue before."""
    found: dict[str, str] = {}
    ids = {queue: str(uuid5(NAMESPACE_OID, queue)) for queue in QUEUES}
    for place, queue in enumerate(QUEUES):
        beside(rows, queue, ids[queue])
        found |= {f"{word}_{queue}": ids[queue] for word in ("batch", "workflow", "worker")}
        for number in range(place + 1):
            root = rows.job(queue=queue, spawns={"operation_id": f"op-{queue}"}, completed_at=START)
            found.setdefault("root", root)
            rows.job(queue=queue, spawns=True, status="Failed", failed_at=START, error_message=f"{queue} fell over")
            for status, columns in STATES.items():
                at = START + timedelta(minutes=number)
                facts: dict[str, Any] = dict.fromkeys(columns, at)
                if "failed_at" in columns or status == "Retrying":
                    facts["error_message"] = f"{queue} broke"
                # All batches have jobs of all queues.
                for belongs in ids.values():
                    job = rows.job(
                        root,
                        queue=queue,
                        status=status,
                        priority=place + number,
                        batch_id=belongs,
                        workflow_id=belongs,
                        **facts,
                    )
                    found.setdefault(f"{status.lower()}_{queue}", job)
            rows.job("00000000-0000-4000-8000-00000000dead", queue=queue, status="Pending", dependency_status="waiting")
            for status in ("Failed", "Completed"):
                archived(rows, queue, status, number)
    for number, status in enumerate(("failed", "completed")):
        run = {"schedule_id": ids["alpha"], "due_at": START + timedelta(minutes=number), "kind": "scheduled"}
        told = {"job_id": found[f"{status}_alpha"], "outcome": "enqueued", "created_at": START}
        rows.insert("hammerwork_schedule_runs", {**run, **told})
    return found


STATES = {
    "Completed": ("completed_at",),
    "Failed": ("failed_at",),
    "Dead": ("failed_at",),
    "TimedOut": ("timed_out_at", "failed_at"),
    "Pending": (),
    "Retrying": (),
    "Running": ("started_at",),
}
"""Status -> the times of such a job."""


def archived(rows: Rows, queue: str, status: str, number: int) -> None:
    row = {"id": str(uuid5(NAMESPACE_OID, f"{queue} {status} {number}")), "queue_name": queue, "status": status}
    row |= {"payload": b"{}", "payload_compressed": False, "priority": "High"}
    rows.insert("hammerwork_jobs_archive", {**row, "created_at": START, "scheduled_at": START, "archived_at": START})


def beside(rows: Rows, queue: str, one: str) -> None:
    """What else belongs to a queue, all with the same id."""
    facts = {"id": one, "total_jobs": 9, "status": '"Pending"', "failure_mode": '"ContinueOnError"'}
    rows.insert("hammerwork_batches", {**facts, "created_at": START, "batch_name": queue})
    facts = {"queue_name": queue, "action": "archive", "by_tree": True, "enabled": True, "completed_seconds": 60}
    rows.insert("hammerwork_retention", {**facts, "updated_at": START, "updated_by": "ops"})
    facts = {"id": one, "status": "running", "failure_policy": "manual", "created_at": START, "total_jobs": 0}
    rows.insert("hammerwork_workflows", {**facts, "name": queue})
    facts = {"id": one, "name": queue, "queues": json.dumps([queue]), "handlers": "[]", "state": "running", "host": "h"}
    facts |= {"pid": 7, "version": "1", "concurrency": 4, "lease_seconds": 3600.0, "started_at": START}
    rows.insert("hammerwork_workers", {**facts, "heartbeat_at": datetime.now(UTC)})
    facts = {"id": one, "name": queue, "queue_name": queue, "payload": "{}", "priority": 2, "max_attempts": 3}
    facts |= {"timezone": "UTC", "overlap": "skip", "catch_up": "last", "grace_seconds": 60, "jitter_seconds": 0}
    facts |= {"enabled": True, "source": "cli", "revision": 1, "created_at": START, "updated_at": START}
    rows.insert("hammerwork_schedules", {**facts, "next_run_at": NOW, "expression": "30 2 * * Mon"})


TWICE = [case for case in NAMED if case not in ONE and case not in ELSEWHERE]


@pytest.mark.parametrize("group", dict.fromkeys(case.split()[0] for case in TWICE))
def test_two_values_count_both_in_whatever_way_they_are_given(
    run: Run, filled: tuple[str, dict[str, str]], group: str
) -> None:
    url, found = filled
    wrong = []
    for case in (case for case in TWICE if case.split()[0] == group):
        path, option = option_of(case)
        flag = long_name(option)
        lines = LINES[path]
        line = lines if isinstance(lines, str) else lines.get(flag, lines[""])
        asked = [*path.split(), *(word.format(**found) for word in line.split())]
        one, two = (value.format(**found) for value in VALUES.get(case, BOTH[flag]))
        answers = []
        for values in ((one, two), (f"{one},{two}",), (one,), (two,)):
            done = run(*asked, *(word for value in values for word in (flag, value)), url=url, env=ENVIRONMENT)
            assert done.exit_code in {0, 1}, (case, values, done.stderr)
            answers.append(re.sub(r"T[\d:.]+Z|\d+\.[\de-]+", "#", done.stdout))
        if answers[0] != answers[1] or answers[0] in answers[2:]:
            wrong.append((case, answers))
    assert wrong == []


def test_an_option_that_takes_one_value_refuses_another() -> None:
    wrong = []
    for path, option in ((leaf, option) for leaf in LEAVES for option in options(leaf)):
        if option.multiple or (option.is_flag and not option.secondary_opts):
            continue
        words = (
            [option.opts[-1], *option.secondary_opts] if option.is_flag else [option.opts[-1], "1", option.opts[0], "2"]
        )
        try:
            LEAVES[path].make_context(path, words, obj=Context({}))
        except UsageError as error:
            if ("contradict" if option.is_flag else "is given twice") in str(error):
                continue
        wrong.append(f"{path} {option.opts[-1]}")
    assert wrong == []


def test_the_same_value_may_be_given_twice_and_a_secret_is_not_repeated(run: Run, migrated_url: str) -> None:
    assert run("job", "list", "--limit", "7", "-l", "7", url=migrated_url).exit_code == 0
    refused = run("job", "list", "--limit", "7", "-l", "8", url=migrated_url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "Error: --limit is given twice, with different values.\n  It takes one: leave one out.\n"
    secret = run("web", "serve", "--token", "s3cret-1", "--token", "s3cret-2")
    assert (secret.exit_code, "s3cret" in secret.stderr) == (2, False)


def test_a_database_that_is_named_before_the_group_and_another_after_the_verb_are_refused(run: Run) -> None:
    refused = run("-u", "sqlite:////a.db", "job", "list", "-u", "sqlite:////b.db")
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (
        2,
        "Error: --database-url is given twice, with different values.",
    )
    assert run("--color", "never", "schema", "--color", "never").exit_code == 0


# Names with commas.


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["a,b", "c"], ["a", "b", "c"]),
        (["a", "a,b,"], ["a", "a", "b"]),
        ([r"a\,b"], ["a,b"]),
        ([r"a\b\,c,d"], [r"a\b,c", "d"]),
        ([" a,b "], [" a", "b "]),
        ([""], []),
    ],
)
def test_commas_stand_between_names_unless_a_backslash_stands_before_them(texts: list[str], found: list[str]) -> None:
    assert names.split(texts) == found
    assert names.split([names.joined(found)]) == found


def test_a_queue_with_a_comma_in_its_name_is_reached_and_a_queue_without_jobs_is_noted(run: Run, lite_url: str) -> None:
    for queue in (r"a\,b", "a", "b"):
        assert run("job", "enqueue", "--queue", queue, "--payload", "{}", url=lite_url).exit_code == 0

    def listed(*words: str) -> list[str]:
        done = run("job", "list", *words, "--format", "json", url=lite_url)
        return sorted(job["queue"] for job in done.json)

    assert listed() == ["a", "a,b", "b"]
    assert listed("-q", r"a\,b") == ["a,b"]
    assert listed("-q", "a,b") == ["a", "b"]
    assert listed("-q", r"a\,b,b") == ["a,b", "b"]
    refused = run("job", "enqueue", "--queue", "a,b", "--payload", "{}", url=lite_url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert r"If they belong to the name: --queue 'a\,b'" in refused.stderr
    assert "Queue 'nope' has no jobs" in run("job", "list", "-q", "a,nope", url=lite_url).stderr
    for empty in ("", ","):
        refused = run("job", "delete", "-q", empty, "--yes", url=lite_url)
        assert (refused.exit_code, "needs a name" in refused.stderr) == (2, True)
    assert run("archive", "set-policy", "-q", "", "--older-than", "1d", "--yes", url=lite_url).exit_code == 2
    assert len(listed()) == 3


def test_a_new_job_depends_on_and_inherits_all_that_it_is_given(run: Run, lite_url: str) -> None:

    def enqueue(*words: str) -> str:
        done = run("job", "enqueue", "--queue", "a", "--payload", "{}", *words, url=lite_url)
        assert done.exit_code == 0, done.stderr
        return str(done.stdout).strip()

    one, two, three = enqueue(), enqueue(), enqueue()
    spawning = ("--spawn-handler", "x", "--inherit", "queue", "--inherit", "timeout,trace")
    made = enqueue("--depends-on", f"{one},{two}", "--depends-on", three, *spawning)
    shown = run("job", "show", made, "--format", "json", url=lite_url).json
    assert shown["depends_on"] == [one, two, three]
    config = shown["spawn_config"]
    wanted = {"priority": False, "queue": True, "retry_strategy": False, "timeout": True, "trace_context": True}
    assert {word: config[f"inherit_{word}"] for word in wanted} == wanted
    holder = enqueue("--unique", "k")
    while_ended = ("--unique", "k", "--unique-while", "completed", "--unique-while")
    assert enqueue(*while_ended, "failed,waiting") == holder
    assert enqueue(*while_ended, "failed,running") != holder


def test_a_worker_serves_all_queues_that_it_is_given(hammerwork: Run, lite_url: str) -> None:
    start = ("worker", "start", "--handlers", "hammerwork_cli.demonstration:app", "--drain")
    handled = ("ingest", "transcode", "thumbnail")
    done = hammerwork(*start, "-q", ",".join(handled[:2]), "-q", handled[2], url=lite_url)
    assert done.exit_code == 0, done.stderr
    (worker,) = hammerwork("worker", "list", "--format", "json", url=lite_url).json
    assert worker["queues"] == [*handled]
