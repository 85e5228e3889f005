"""What scripts rely on, for every command there is: formats that parse, keys that are documented, help with examples.

A new command needs an entry in ``CONTRACT``, and, when it has ``--format``, a line in ``features/schema/views.py``.
"""

import contextlib
import csv
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.schema.views import INPUTS, SCHEMAS, SENT, Schema, line_schema
from tests import night as nights
from tests.conftest import EACH_DIALECT
from tests.mermaid_parser import MermaidParser
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = START + timedelta(hours=1)
NIGHTLY = Path(__file__).parent.parent / "data" / "nightly.toml"
SCHEDULES = Path(__file__).parent.parent / "data" / "schedules.toml"
WEBHOOKS = Path(__file__).parent.parent / "data" / "webhooks.json"
ANSWERING = ["/bin/sh", "-c", "while read -r line; do echo ok; done"]
ENVIRONMENT = {"HAMMERWORK_NOW": NOW.isoformat(), "HAMMERWORK_ALLOWED_PROGRAMS": shlex.join(ANSWERING)}

HOSTILE = "q\x1b[31m \u202e[red]\"'`$(x)\n\t,;|<b>&é🎬 =1+1"
ERROR = 'line one\nline "two"\r\x1b]0;title\x07 ' + "long " * 300


@dataclass(frozen=True)
class Says:
    """What a command is asked for here, and how it may end.

    Attributes:
        lines: what follows the command; ``{name}`` is a job or a queue of :func:`fill`.
        exit_codes: on the full database.
        schema: another one than the command's own.
        schemas: line -> another schema, for lines that are answered otherwise.
        changes: whether it would change something; what is asked for here does not.
    """

    lines: tuple[str, ...] = ("",)
    exit_codes: frozenset[int] = frozenset({0})
    schema: str | None = None
    schemas: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False

    def schema_of(self, path: str, line: str) -> str:
        """The schema of the answer to a line."""
        return self.schemas.get(line) or self.schema or path.replace(" ", "-")


def reads(*lines: str, exit_codes: tuple[int, ...] = (0,), schemas: Mapping[str, str] | None = None) -> Says:
    return Says((lines or ("",)) + tuple(schemas or ()), frozenset(exit_codes), schemas=schemas or {})


def changes(*lines: str, schema: str | None = None) -> Says:
    return Says(lines, schema=schema, changes=True)


CONTRACT = {
    "spawn list": reads(
        "",
        "--detailed --limit 1000",
        "--recent",
        "--since 2h --status failed,dead,completed",
        "--failed",
        "--failed --detailed --queue video_ingest --limit 1",
    ),
    "spawn tree": reads("{root}", "{root} --full --children-only", "{cycle}", "{lonely}", "{join} --depth 1"),
    "spawn stats": reads("", "--detailed --since 1000h"),
    "spawn lineage": reads("{segment}", "{root} --descendants", "{join} --ancestors", "{cycle}"),
    "spawn pending": reads("", "--show-config --limit 1000"),
    "spawn timeline": reads("{root}", "{root} --all", "{lonely} --all", "{cycle}", "{orphan}", "{join}"),
    "spawn compare": reads("{done} {root}", "{root} {lonely} --fail-above 20%", "{cycle} {orphan}", exit_codes=(0, 1)),
    "spawn rehearse": reads(
        "{root} --handlers hammerwork_cli.demonstration:app --levels 2",
        "{done} --handlers hammerwork_cli.demonstration:app --max 1",
        exit_codes=(0, 1),
    ),
    "spawn wait": reads(
        *("{done}", "{root}"),
        exit_codes=(0, 1, 124),
        schemas={
            "--batch {batch} --timeout 0": "batch-wait",
            "--workflow {workflow} --timeout 0": "workflow-wait",
        },
    ),
    "spawn again": changes(),
    "spawn on-end": reads("{root}", "{done}"),
    "spawn monitor": reads("--count 1", "--count 2 --interval 0.1 --queue segment"),
    "spawn why": reads(
        *("{root}", "{done}", "{orphan}"),
        exit_codes=(0, 1),
        schemas=dict.fromkeys(("", "--limit 1", "--queue segment --since 1000h"), "spawn-why-all"),
    ),
    "spawn doctor": reads("", "--older-than 1m --limit 100", exit_codes=(0, 1)),
    "job list": reads("--limit 1000", "--failed --last-hours 1000", "--status pending --priority high,critical"),
    "job export": reads("", "--failed --redact payload,result,error", "--queue nowhere"),
    "job import": changes(),
    "job show": reads("{root}", "{segment} --full", "{lonely}", "{cycle}"),
    "job enqueue": changes(),
    "job retry": changes("--all --dry-run", "{root} --tree --dry-run", "--batch {batch} --dry-run"),
    "job cancel": changes("--all --dry-run", "{root} --tree --dry-run", "--workflow {workflow} --dry-run"),
    "job delete": changes("--all --dry-run", "{done} --dry-run", "--batch {batch} --dry-run"),
    "job purge": changes("--dead --older-than 1m --dry-run", "--all --dry-run"),
    "queue list": reads("", "--paused"),
    "queue stats": reads("", "--detailed --hours 1000", "{queue} --detailed"),
    "queue health": reads("", "{queue} --max-failed 0", "--max-pending off", exit_codes=(0, 1)),
    "queue paused": reads(),
    "queue pause": changes("segment --dry-run", "--all --dry-run"),
    "queue resume": changes("mail --dry-run", "--all --dry-run"),
    "queue limit": changes("", "mail", "mail --rate 5/s --per a.b --dry-run", "mail --remove --dry-run"),
    "queue clear": changes("segment --dry-run"),
    "cron list": reads("", "--active-only --queue segment", "--disabled --failed"),
    "cron show": reads("{schedule}", "{schedule} --limit 1"),
    "cron history": reads("{schedule}", "{schedule} --since 1000h --status failed,completed"),
    "cron next": reads("", "{schedule} --count 2", "--hours 1000 --queue segment"),
    "cron check": reads("@daily", "@hourly --timezone Europe/Oslo --count 2"),
    "cron create": changes("--queue segment --payload [] --every 45m --dry-run"),
    "cron update": changes("{schedule} --every 45m --dry-run"),
    "cron apply": changes(f"{SCHEDULES} --dry-run"),
    "cron enable": changes("{schedule}", "{schedule} --dry-run", "--all --dry-run"),
    "cron disable": changes("{schedule} --dry-run", "--all --dry-run"),
    "cron trigger": changes(),
    "cron backfill": changes("{schedule} --from 2026-01-01T00:00Z --to 2026-01-15T00:00Z --dry-run"),
    "cron convert": changes(),
    "cron delete": changes("{schedule} --dry-run"),
    "batch enqueue": changes(),
    "batch list": reads("", "--limit 1", "--since 1000h"),
    "batch show": reads("{batch}", "{batch} --limit 1"),
    "batch wait": reads("{batch} --timeout 0", exit_codes=(124,)),
    "batch retry": changes("{batch} --dry-run", "{batch} --queue segment --dry-run"),
    "batch cancel": changes("{batch} --dry-run"),
    "batch export": reads("{batch}", "{batch} --queue segment --status failed --redact payload,result,error"),
    "batch delete": changes("{batch} --dry-run"),
    "workflow create": changes(f"--file {NIGHTLY} --dry-run"),
    "workflow list": reads("", "--limit 1", "--running --failed --name a --since 1000h"),
    "workflow show": reads("{workflow}"),
    "workflow wait": reads("{workflow} --timeout 0", exit_codes=(124,)),
    "workflow retry": changes("{workflow} --dry-run", "{workflow} --queue join --dry-run"),
    "workflow cancel": changes("{workflow} --dry-run"),
    "workflow delete": changes("{workflow} --dry-run"),
    "workflow dependencies": reads("{join}", "{cycle} --dependents --depth 2"),
    "workflow graph": reads("{workflow}", "{workflow} --max-nodes 2"),
    "worker start": changes(),
    "worker list": reads("", "--all --limit 1000", "--all --queue mail"),
    "worker status": reads(
        *("", "{worker}", "--queue mail"),
        schemas=dict.fromkeys(("--jobs", "--jobs --queue mail", "{worker} --jobs"), "worker-status-jobs"),
    ),
    "job requeue-stale": changes("--dry-run"),
    "worker stop": changes("{worker} --dry-run", "--all --dry-run"),
    "worker restart": changes("{worker} --dry-run", "--all --dry-run"),
    "monitor health": reads(
        *("", "--worker {worker}", "--only writes,pending --strict", "--queue mail,segment", "--tables"),
        exit_codes=(0, 1),
    ),
    "monitor dashboard": reads("--count 1"),
    "monitor logs": reads("", "--limit 1000", "--queue segment", "--job {lonely}", "--tree {root}"),
    "monitor metrics": reads("", "--since 7d --queue segment"),
    "web serve": changes("--help"),
    "webhook list": reads("", "--detailed"),
    "webhook show": reads("{webhook}"),
    "webhook add": changes(),
    "webhook update": changes(),
    "webhook rotate-secret": changes(),
    "webhook enable": changes(),
    "webhook disable": changes(),
    "webhook toggle": changes(),
    "webhook remove": changes("{webhook} --dry-run"),
    "webhook deliveries": reads("{webhook}", "{webhook} --failed --limit 1", "{webhook} --since 1000h"),
    "webhook replay": changes("{webhook} --dry-run"),
    "webhook stats": reads("", "{webhook} --since 1000h"),
    "webhook test": reads("{webhook}", "{webhook} --event-type dead --job {lonely}", exit_codes=(1,)),
    "webhook verify": changes(),
    "webhook import": changes(),
    "streaming list": reads("", "--detailed"),
    "streaming show": reads("{stream}"),
    "streaming add": changes(),
    "streaming update": changes(),
    "streaming enable": changes(),
    "streaming disable": changes(),
    "streaming toggle": changes(),
    "streaming remove": changes("{stream} --dry-run"),
    "streaming replay": changes(),
    "streaming test": reads("{stream}", "{stream} --event-type dead --job {lonely}"),
    "streaming stats": reads(""),
    "streaming health": reads("", "{stream}", exit_codes=(0, 1)),
    "archive run": changes("--older-than 1m --dry-run", "--no-tree --older-than 1m --dry-run"),
    "archive list": reads("", "--limit 1", "--since 1000h --status completed"),
    "archive show": reads("{archived}"),
    "archive restore": changes("{archived} --as-was --dry-run"),
    "archive stats": reads("", "--queue nowhere"),
    "archive purge": changes("--older-than 1m --dry-run"),
    "archive set-policy": changes("--all --older-than 1d --purge-after 1d --dry-run", schema="archive-set-policy-plan"),
    "archive get-policy": reads("--queue {queue}"),
    "archive policies": reads("", "--queue mail"),
    "archive remove-policy": changes(),
    "maintenance cleanup": changes("--dry-run"),
    "maintenance purge-encrypted": changes("--dry-run"),
    "maintenance vacuum": changes(),
    "maintenance analyze": changes(),
    "maintenance reindex": changes("--dry-run"),
    "maintenance sizes": reads(),
    "maintenance health": reads("", "--max-rows 0 --max-dead-rows off", exit_codes=(0, 1)),
    "maintenance check": reads("", "--older-than 1m --limit 100", exit_codes=(0, 1)),
    "maintenance dead-jobs": changes(),
    "backup create": changes(),
    "backup restore": changes(),
    "backup verify": changes(),
    "backup list": changes(""),
    "backup copy": changes(),
    "migration run": changes("--dry-run", schema="migration-plan"),
    "migration status": reads(),
    "migration plan": reads(),
    "config show": reads("", "--show-secrets"),
    "config get": reads("default_limit", "connection_pool_size", exit_codes=(0, 1)),
    "config set": changes(),
    "config unset": changes(),
    "config reset": changes("--dry-run"),
    "config path": reads(),
    "config init": changes(),
    "schema": reads("", "spawn-tree"),
    "completion": reads("bash", "zsh", "fish"),
    "demo": changes(),
}
HERE = frozenset(
    {
        "cron check",
        "backup list",
        "backup verify",
        "webhook verify",
        "config show",
        "config get",
        "config reset",
        "config path",
        "schema",
        "completion",
    }
)
"""What does not look into a database."""


# The command line.


def leaves(command: Any = None, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command by what is typed for it."""
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        return {" ".join(path): command}
    found: dict[str, Any] = {}
    for name in command.commands:
        found |= leaves(command.commands[name], (*path, name))
    return found


LEAVES = leaves()


def formats(path: str) -> tuple[str, ...]:
    """The formats that a command offers."""
    options = [param for param in LEAVES[path].params if "--format" in param.opts]
    return tuple(str(getattr(choice, "value", choice)) for choice in options[0].type.choices) if options else ()


def test_every_command_has_an_entry_in_the_contract() -> None:
    missing, stale = LEAVES.keys() - CONTRACT.keys(), CONTRACT.keys() - LEAVES.keys()
    assert not missing, f"say in CONTRACT of {__name__} how to ask these commands: {sorted(missing)}"
    assert not stale, f"these commands are in CONTRACT of {__name__}, and do not exist: {sorted(stale)}"


def test_every_command_with_formats_has_a_schema() -> None:
    named = {path.replace(" ", "-") for path in LEAVES if {"json", "jsonl"} & {*formats(path)}}
    assert not named - SCHEMAS.keys(), f"add to features/schema/views.py: {sorted(named - SCHEMAS.keys())}"
    others = {name for says in CONTRACT.values() for name in (*says.schemas.values(), says.schema) if name}
    stale = {name.removesuffix("-line") for name in SCHEMAS} - named - others - {"error"} - INPUTS - SENT
    assert not stale, f"no command prints this: {sorted(stale)}"
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def test_help_has_an_example_and_names_no_option_that_it_does_not_explain(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = {name for leaf in LEAVES for name in _shown(leaf)}
    wrong = []
    for path in LEAVES:
        assert run(*path.split(), "--help").exit_code == 0, path
        text = capsys.readouterr().out
        examples = [line.strip() for line in text.splitlines() if line.strip().startswith("hammerwork ")]
        if not any(f"hammerwork {path}" in line for line in examples):
            wrong.append(f"{path}: no example")
        wrong += [f"{path}: {line}" for line in examples if not _is_example(line)]
        explained = {name for line in text.splitlines() if line.startswith("  -") for name in _options_in(line)}
        wrong += [f"{path}: {name} is not explained" for name in _shown(path) - explained - {"--help"}]
        wrong += [f"{path}: {name} is nowhere an option" for name in _options_in(text) - everywhere]
    assert wrong == []


def _is_example(line: str) -> bool:
    """Whether a line calls a command, with options that it has."""
    called = next((leaf for leaf in sorted(LEAVES, key=len, reverse=True) if f"hammerwork {leaf}" in line), None)
    return called is not None and _options_in(line.partition("|")[0]) <= _shown(called)


def _options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


def _shown(path: str) -> set[str]:
    options = [param for param in LEAVES[path].params if not getattr(param, "hidden", False)]
    return {name for param in options for name in (*param.opts, *param.secondary_opts) if name[:2] == "--"} | {"--help"}


def test_every_command_takes_the_shared_options_after_the_verb() -> None:
    names = {path: {name for param in leaf.params for name in param.opts} for path, leaf in LEAVES.items()}
    shared = {"-u", "--database-url", "--color", "--quiet", "--debug"}
    assert {path: shared - has for path, has in names.items() if not shared <= has} == {}


def test_groups_and_the_program_have_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], *([path.split()[0]] for path in LEAVES)):
        assert run(*words, "--help").exit_code == 0
        assert f"Usage: {' '.join(('hammerwork', *words))}" in capsys.readouterr().out


# What is asked.


@dataclass(frozen=True)
class Asked:
    """A database and what commands are asked about in it."""

    url: str
    names: dict[str, str]


def fill(url: str) -> dict[str, str]:
    """The demonstration's night, and rows that no healthy program writes."""
    with contextlib.closing(connect(url)) as database:
        night = nights.night(NOW)
        enqueue.insert(database, night)
        rows = Rows(database)
        lonely = rows.job(queue=HOSTILE, status="Dead", error_message=ERROR, payload={"text": HOSTILE}, priority=9)
        rows.job(lonely, queue="mail", status='"Pending"', workflow_name=HOSTILE, trace_id=HOSTILE)
        rows.job(queue="mail", status="running", payload=[1, 2], started_at=START)
        rows.job(queue="mail", status=HOSTILE[:40], payload="text")
        rows.job(queue="mail", spawns={"max_spawn_count": "many"}, completed_at=START + timedelta(seconds=3))
        rows.job(queue="mail", spawns=[HOSTILE], status="Failed", failed_at=START, timeout_seconds=30)
        orphan = rows.job("00000000-0000-4000-8000-00000000dead", status="Pending", dependency_status="waiting")
        cycle = "00000000-0000-4000-8000-0000000c0c1e"
        rows.job(cycle, id=cycle, status="Pending", dependency_status="waiting")
        join = rows.job(lonely, orphan, queue="join", status="TimedOut", timed_out_at=START)
        rows.insert(
            "hammerwork_queue_pause",
            {"queue_name": "mail", "paused_at": START, "paused_by": HOSTILE, "reason": None},
        )
        worker = work(rows, lonely)
        schedule = schedules(rows, lonely)
        recurs = {"cron_schedule": "0 30 2 * * Mon-Fri", "timezone": "Europe/Oslo", "recurring": True}
        recurring = rows.job(queue="mail", status="Pending", next_run_at=NOW, **recurs)
        rows.job(queue=HOSTILE, status="Failed", **{**recurs, "cron_schedule": HOSTILE, "timezone": "x"})
        archived, batch, workflow = archive(rows), batches(rows), workflows(rows)
        webhook, stream = webhooks(rows, lonely), streams(rows, lonely)
        top = {"subject": "tree", "subject_id": night[0].id, "check_at": START, "created_at": START}
        top |= {"id": night[0].id, "event": "complete", "job": '{"queue": "mail"}', "state": "fired"}
        rows.insert("hammerwork_watches", {**top, "changed_at": START})
        policy = {"queue_name": "segment", "action": "archive", "by_tree": True, "enabled": True, "updated_at": START}
        rows.insert(
            "hammerwork_retention", {**policy, "updated_by": HOSTILE, "last_error": ERROR, "last_run_at": START}
        )
    segments = [job.id for job in night if job.queue == "segment" and job.status == JobStatus.DEAD]
    return {
        "root": nights.broken_root(night),
        "done": night[0].id,
        "segment": segments[0],
        "lonely": lonely,
        "orphan": orphan,
        "cycle": cycle,
        "join": join,
        "queue": "segment",
        "worker": worker,
        "schedule": schedule,
        "schedules": str(SCHEDULES),
        "recurring": recurring,
        "archived": archived,
        "batch": batch,
        "workflow": workflow,
        "webhook": webhook,
        "disabled_webhook": webhook[:-1] + "2",
        "webhooks": str(WEBHOOKS),
        "stream": stream,
        "disabled_stream": stream[:-1] + "5",
    }


def archive(rows: Rows) -> str:
    """A job that is only in the archive."""
    job = "00000000-0000-4000-8000-00000000a4c4"
    row = {"id": job, "queue_name": HOSTILE, "status": "Dead", "payload": b'{"text": 1}', "payload_compressed": False}
    row |= {"created_at": START, "scheduled_at": START, "failed_at": START, "archived_at": START, "priority": "High"}
    rows.insert("hammerwork_jobs_archive", {**row, "archived_by": HOSTILE, "archival_reason": HOSTILE[:40]})
    return job


def batches(rows: Rows) -> str:
    """A batch with jobs in every state, and one that another program has written; the id of the first."""
    first = "00000000-0000-4000-8000-00000000ba7c"
    facts = {"total_jobs": 9, "status": '"Pending"', "failure_mode": '"ContinueOnError"', "created_at": START}
    rows.insert("hammerwork_batches", {**facts, "id": first, "batch_name": HOSTILE, "metadata": '{"a": [1]}'})
    rows.insert("hammerwork_batches", {**facts, "id": first[:-1] + "0", "batch_name": "", "failure_mode": HOSTILE[:40]})
    callback = {"subject": "batch", "subject_id": first, "check_at": START, "created_at": START, "changed_at": START}
    callback |= {"id": first, "event": HOSTILE[:20], "job": HOSTILE, "state": HOSTILE[:20]}
    rows.insert("hammerwork_watches", callback)
    for status in ("Pending", "Running", "Completed", "Dead", HOSTILE[:40]):
        rows.job(queue=HOSTILE, status=status, batch_id=first, error_message=ERROR if status == "Dead" else None)
    return first


def workflows(rows: Rows) -> str:
    """A workflow with jobs in every state and a circle, and an empty one; the id of the first."""
    first = "00000000-0000-4000-8000-00000000f107"
    facts = {"status": "running", "failure_policy": "manual", "created_at": START, "total_jobs": 0}
    rows.insert("hammerwork_workflows", {**facts, "id": first, "name": HOSTILE, "metadata": '{"a": [1]}'})
    rows.insert("hammerwork_workflows", {**facts, "id": first[:-1] + "0", "name": ""})
    jobs = [
        rows.job(queue=HOSTILE, status=status, workflow_id=first, error_message=ERROR if status == "Dead" else None)
        for status in ("Running", "Completed", "Dead", HOSTILE[:40])
    ]
    rows.job(*jobs, queue="join", status="Pending", workflow_id=first, dependency_status="waiting")
    circle = "00000000-0000-4000-8000-0000000c0c2e"
    rows.job(circle, id=circle, status="Pending", workflow_id=first, dependency_status="waiting")
    return first


def work(rows: Rows, job: str) -> str:
    """Workers: one that is lost and has taken a job, one that ended; the id of the first."""
    lost = "00000000-0000-4000-8000-00000000105e"
    facts = {"host": HOSTILE, "pid": 7, "version": HOSTILE, "concurrency": 4, "lease_seconds": 30.0}
    facts |= {"started_at": START, "heartbeat_at": START + timedelta(minutes=1), "completed": 9, "memory_bytes": 9999}
    asked = {"request": "stop", "requested_by": HOSTILE}
    for worker in (
        {"id": lost, "name": HOSTILE, "queues": json.dumps([HOSTILE]), "handlers": "[]", "state": "running", **asked},
        {"id": lost[:-1] + "0", "name": "ended", "queues": '["mail"]', "handlers": "{", "state": "stopped"},
    ):
        ended = {"ended_at": START + timedelta(minutes=2)} if worker["name"] == "ended" else {}
        rows.insert("hammerwork_workers", {**facts, **worker, **ended})
    rows.job(job, queue=HOSTILE, status="Running", started_at=START, claimed_by=lost)
    spawn = {"root_id": job, "depth": 0, "occurrence": "1", "handler": HOSTILE, "config": "{", "children": 1}
    spawn |= {"parent_id": job, "operation_id": HOSTILE, "started_at": START, "ended_at": START, "worker_id": lost}
    for number, outcome in enumerate(("spawned", "failed", "repeated")):
        errors = {"error_message": ERROR, "hook_error": ERROR}
        kind = {"id": lost[:-1] + str(number), "outcome": outcome}
        rows.insert("hammerwork_spawn_operations", {**spawn, **errors, **kind})
    request = {"id": lost, "job_id": job, "queue_name": HOSTILE, "handler": HOSTILE, "config": "[", "state": "failed"}
    request |= {"requested_at": START, "requested_by": HOSTILE, "claimed_by": lost, "error_message": ERROR}
    rows.insert("hammerwork_spawn_requests", request)
    return lost


def schedules(rows: Rows, job: str) -> str:
    """A schedule with runs, and one that another version has written; the id of the first."""
    first = "00000000-0000-4000-8000-00000000c207"
    facts = {"queue_name": "segment", "payload": json.dumps({"text": HOSTILE}), "priority": 2, "max_attempts": 3}
    facts |= {"timezone": "Europe/Oslo", "overlap": "skip", "catch_up": "last", "grace_seconds": 60}
    facts |= {"jitter_seconds": 30, "enabled": True, "source": "cli", "revision": 1, "created_at": START}
    facts |= {"updated_at": START, "next_run_at": START + timedelta(days=1), "expression": "30 2 * * Mon"}
    strange = {"queue_name": HOSTILE, "timezone": "Nowhere", "overlap": HOSTILE[:20], "expression": HOSTILE}
    strange |= {"enabled": False, "reason": HOSTILE, "changed_by": HOSTILE, "last_error": ERROR, "next_run_at": None}
    rows.insert("hammerwork_schedules", {**facts, "id": first, "name": "nightly"})
    rows.insert("hammerwork_schedules", {**facts, **strange, "id": first[:-1] + "0", "name": HOSTILE})
    rows.insert("hammerwork_schedules", {**facts, "id": first[:-1] + "1", "name": "off", "enabled": False})
    for number, outcome in enumerate(("enqueued", "skipped", "missed")):
        run = {"schedule_id": first, "due_at": START + timedelta(minutes=number), "kind": "scheduled"}
        told = {"job_id": job} if outcome == "enqueued" else {"reason": HOSTILE}
        rows.insert("hammerwork_schedule_runs", {**run, **told, "outcome": outcome, "created_at": START})
    return first


def webhooks(rows: Rows, job: str) -> str:
    """Webhooks that nobody answers: one with deliveries, and one that always failed; the id of the first."""
    first = "00000000-0000-4000-8000-00000000e0c1"
    facts = {
        "url": "http://127.0.0.1:1/hook",
        "method": "POST",
        "events": '["job.dead", "unheard.of"]',
        "body": "standard",
    }
    facts |= {"queues": "[]", "priorities": "[]", "headers": '{"X-Key": "s3cret"}', "auth": '{"bearer": "s3cret"}'}
    facts |= {
        "include_payload": True,
        "allow_private": True,
        "insecure": False,
        "timeout_seconds": 1,
        "max_retries": 8,
    }
    facts |= {
        "enabled": True,
        "enabled_at": START,
        "delivered": 3,
        "failed": 1,
        "created_at": START,
        "updated_at": START,
    }
    failing = {"failing_since": START, "last_failure_at": START, "last_answer": ERROR[:1000], "updated_by": HOSTILE}
    off = {"enabled": False, "disabled_reason": HOSTILE, "queues": json.dumps([HOSTILE]), "priorities": '["high"]'}
    rows.insert("hammerwork_webhooks", {**facts, **failing, "id": first, "name": "chat", "secret": "s3cret"})
    other = {"id": first[:-1] + "2", "name": HOSTILE, "secret": "env:KEY", "template": json.dumps(HOSTILE)}
    rows.insert("hammerwork_webhooks", {**facts, **off, **other, "updated_by": "ops"})
    event = {"id": first, "type": HOSTILE, "timestamp": "2026-01-01T00:00:00Z", "data": {"id": job}}
    payload = {"webhook": first, "name": "chat", "event": event}
    for status, more in (
        ("Completed", {"result_data": json.dumps({"status": 204, "answer": HOSTILE}), "completed_at": NOW}),
        ("Dead", {"error_message": ERROR, "failed_at": NOW}),
        ("Retrying", {"error_message": "500", "scheduled_at": NOW + timedelta(minutes=5)}),
        ("Pending", {}),
    ):
        tries = {"attempts": 0 if status == "Pending" else 2, "max_attempts": 9}
        rows.job(queue="hammerwork-webhooks", status=status, payload=payload, **tries, **more)
    return first


def streams(rows: Rows, job: str) -> str:
    """Streams: one into a program, with an event that waits, and one of another version; the id of the first."""
    first = "00000000-0000-4000-8000-0000000057e4"
    facts = {"events": '["job.dead", "unheard.of"]', "queues": "[]", "priorities": "[]", "partitioning": "job_id"}
    facts |= {"format": "json", "include_payload": True, "buffer_size": 500, "buffer_seconds": 0.5, "max_backlog": 10}
    facts |= {"enabled_at": START, "sent": 3, "failed": 1, "dropped": 1, "created_at": START, "updated_at": START}
    answering = {"command": ANSWERING}
    one = {"id": first, "name": "lake", "backend": "command", "target": json.dumps(answering), "enabled": True}
    rows.insert("hammerwork_streams", {**facts, **one, "last_error": ERROR, "updated_by": HOSTILE})
    kafka = {"brokers": HOSTILE, "topic": HOSTILE, "config": {"sasl.password": "env:KEY"}}
    other = {"id": first[:-1] + "5", "name": HOSTILE, "backend": "kafka", "target": json.dumps(kafka), "enabled": False}
    rows.insert("hammerwork_streams", {**facts, **other, "disabled_reason": HOSTILE, "updated_by": "ops"})
    event = {"id": job, "type": "job.dead", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": job}}
    waiting = {"stream_id": first, "event_type": "job.dead", "body": json.dumps(event), "created_at": START}
    rows.insert("hammerwork_stream_events", {**waiting, "job_id": job})
    return first


@pytest.fixture(scope="module", params=EACH_DIALECT)
def databases(request: pytest.FixtureRequest, makers: Any) -> Iterator[dict[str, Asked]]:
    """An empty and a full database; nobody here changes them."""
    maker = makers[request.param]
    full, empty = maker.migrated(), maker.migrated()
    names = fill(full)
    yield {"full": Asked(full, names), "empty": Asked(empty, names)}
    for url in (full, empty):
        maker.drop(url)


def asked_formats(path: str, asked: Asked, line: str | None = None) -> tuple[str | None, ...]:
    """All formats on SQLite; on servers, whose rows differ and whose formats do not, the first that a script reads.

    Of JSON and JSON Lines, and of CSV and TSV, which differ in how they separate records and values, only the first
    line of a command asks for both. Mermaid has a parser of its own below.
    """
    known = tuple(form for form in formats(path) if form != "mermaid") or (None,)
    if not asked.url.startswith("sqlite"):
        return tuple(form for form in known if form == "json") or known[:1]
    if line in {None, CONTRACT[path].lines[0]}:
        return known
    twins = {"jsonl": "json", "tsv": "csv"}
    return tuple(form for form in known if twins.get(str(form), "") not in known)


ASKED = [(path, line) for path, says in CONTRACT.items() for line in says.lines]
BY_GROUP = {group: list(asked) for group, asked in groupby(ASKED, key=lambda asked: asked[0].split()[0])}
"""A case of a test is a group of commands: a case for each line would take longer than many an answer."""


class Wrong(list[str]):
    """What is wrong with the answers to some commands, of which each is asked whatever the others answered."""

    @contextlib.contextmanager
    def unless(self, *words: str | None) -> Iterator[None]:
        try:
            yield
        except (AssertionError, ValueError, ValidationError) as error:
            self.append(f"{' '.join(filter(None, words))}: {error}")


def has_own_statements(line: str, says: Says) -> bool:
    """Whether a server may get other statements than from the first line of the command: those of filters."""
    return line in {says.lines[0], *says.schemas} or bool(re.search(r"--(queue|since|status|workflow)\b", line))


@pytest.mark.parametrize("group", BY_GROUP)
def test_every_format_parses_and_holds_what_is_documented(databases: dict[str, Asked], run: Run, group: str) -> None:
    full, wrong = databases["full"], Wrong()
    for path, line in BY_GROUP[group]:
        says = CONTRACT[path]
        if not full.url.startswith("sqlite") and (path in HERE or not has_own_statements(line, says)):
            continue
        for form in asked_formats(path, full, line):
            with wrong.unless(path, line, form):
                done = ask(run, full, path, line, form)
                assert done.exit_code in says.exit_codes, done.stderr
                check_stderr(done, form)
                if path == "schema" and line:
                    assert json.loads(done.stdout) == SCHEMAS[line]
                else:
                    check(done.stdout, form, says.schema_of(path, line))
    assert wrong == []


def test_mermaid_of_every_command_is_what_its_parser_accepts(
    new_database: Callable[..., str], run: Run, parse_mermaid: MermaidParser
) -> None:
    url = new_database("sqlite", migrated=True)
    full = Asked(url, fill(url))
    drawing = [(path, line) for path, line in ASKED if "mermaid" in formats(path)]
    assert len(drawing) > 10
    texts = [ask(run, full, path, line, "mermaid").stdout for path, line in drawing]
    refused = [asked for asked, parsed in zip(drawing, parse_mermaid.many(texts), strict=True) if not parsed.ok]
    assert refused == []


@pytest.mark.parametrize("databases", [pytest.param("sqlite", marks=pytest.mark.sqlite)], indirect=True)
@pytest.mark.parametrize("group", BY_GROUP)
def test_an_empty_database_is_answered_with_an_empty_list_or_an_error_that_parses(
    databases: dict[str, Asked], run: Run, group: str
) -> None:
    empty, wrong = databases["empty"], Wrong()
    for path, line in BY_GROUP[group]:
        known = asked_formats(path, empty)
        data = "json" if "json" in known else known[0]
        if "{" in line:
            known = (known[0], data)  # an error is text or JSON
        if line != CONTRACT[path].lines[0]:
            known = (data,)  # an empty list and an error are the same with whatever options
        for form in dict.fromkeys(known):
            with wrong.unless(path, line, form):
                done = ask(run, empty, path, line, form)
                check_stderr(done, form)
                if "{" in line:
                    assert (done.exit_code, done.stdout) == (5, ""), "what a name in braces stands for is not there"
                    continue
                hint = "write a name that fill() has made in braces"
                assert done.exit_code in ({0, 1} if path in HERE else {0}), f"{hint}: {done.stderr}"
                if path != "schema":
                    check(done.stdout, form, CONTRACT[path].schema_of(path, line))
                if is_list_of_jobs(path) and form in {"json", "jsonl"}:
                    assert done.stdout.strip() == ("[]" if form == "json" else "")
    assert wrong == []


NOWHERE = "sqlite:////nowhere/at/all.db"
# Options beside a format.

IN_ALL = {"--bytes", "--detailed", "--full", "--show-config"}
"""Options that add to the text what the other formats have anyway."""
TRIED = {"N": ("1",), "COLUMNS": ("40",), "DURATION": ("1s",)}
"""Word for a value in the help -> values with which an answer differs."""
UNTRIED = {"--clear", "--color", "--debug", "--follow", "--format", "--quiet", "--watch", "--yes"}


@pytest.mark.parametrize("databases", [pytest.param("sqlite", marks=pytest.mark.sqlite)], indirect=True)
def test_an_option_that_changes_the_text_changes_every_other_format_or_is_refused_there(
    databases: dict[str, Asked], run: Run
) -> None:
    full, ignored, refused = databases["full"], [], []
    plain = cache(lambda path, line, form: ask(run, full, path, line, form))

    def changes_it(path: str, line: str, value: str, form: str) -> bool:
        done = ask(run, full, path, f"{line} {value}", form)
        if f"has no effect with --format {form}" in done.stderr:
            refused.append((path, value, form))
        return bool(done != plain(path, line, form))

    for path, option in beside_formats():
        flag, choices = option.opts[-1], getattr(option.type, "choices", ())
        words = [str(getattr(one, "value", one)) for one in choices] or TRIED.get(option.metavar, ())
        values = [flag] if option.is_flag else [f"{flag} {word}" for word in words]
        lines = [line for line in CONTRACT[path].lines if flag not in line]
        text, *drawn = (form for form in formats(path) if form not in {"jsonl", "csv", "tsv"})
        asked = [(line, one) for one in values for line in lines]
        is_seen = any(changes_it(path, line, one, text) for line, one in asked)
        asked = asked if is_seen else asked[:1]  # may be refused all the same
        unchanged = [form for form in drawn if not any(changes_it(path, line, one, form) for line, one in asked)]
        if is_seen and unchanged and flag not in IN_ALL:
            ignored.append(f"{path} {flag}: not {unchanged}")
    assert ignored == []
    assert {path for path, _, _ in refused} == {"spawn tree", "spawn timeline", "spawn compare", "workflow show"}


def beside_formats() -> Iterator[tuple[str, Any]]:
    """The options of reading verbs that neither filter nor follow, or say how often."""
    for path, leaf in LEAVES.items():
        timed = path in {"monitor health", "spawn monitor", "spawn rehearse"} or path.endswith((" wait", " dashboard"))
        if CONTRACT[path].changes or path in HERE or not formats(path)[1:] or timed:
            continue
        for option in leaf.params:
            is_filter = option.param_type_name != "option" or (option.help or "").startswith(("Only", "With --watch"))
            if not option.hidden and not is_filter and not UNTRIED & {*option.opts}:
                yield path, option


FAILING = {
    "spawn list": "--since soon",
    "spawn tree": "{root} --timeout 1",
    "spawn stats": "--hours 0",
    "spawn lineage": "ffff",
    "spawn pending": "--limit 0",
    "spawn timeline": "{root} --min 1s",
    "spawn compare": "{root} {done} --fail-above much",
    "spawn rehearse": "{root} --handlers nowhere:app",
    "spawn wait": "{orphan} --timeout 0",
    "spawn again": "{orphan}",
    "spawn on-end": "{root} --on-complete {{",
    "spawn why": "{root}",
    "spawn doctor": "--fix",
    "job list": "--cursor x",
    "job export": "--redact id",
    "job import": "/nowhere",
    "job show": "x",
    "job enqueue": "--payload x --queue mail",
    "job retry": "--all",
    "job cancel": "--all",
    "job delete": "{done}",
    "job purge": "--all",
    "queue list": "more",
    "queue stats": "nowhere",
    "queue health": "--max-failed 0",
    "queue paused": "more",
    "queue pause": "--all",
    "queue resume": "--all",
    "queue limit": "mail --rate many",
    "queue clear": "segment",
    "cron list": "more",
    "cron show": "nothing",
    "cron history": "{schedule} --status odd",
    "cron next": "--count 0",
    "cron check": "@sometimes",
    "cron create": "--queue mail --payload x --every 45m",
    "cron update": "{schedule}",
    "cron apply": "{schedules} --handlers x:y",
    "cron enable": "--all {schedule}",
    "cron disable": "nothing",
    "cron trigger": "nothing",
    "cron backfill": "{schedule} --from 1h --to 2h",
    "cron convert": "{schedule} --name x",
    "cron delete": "{schedule}",
    "batch enqueue": "--file /nowhere",
    "batch list": "--sort more",
    "batch show": "ffff",
    "batch wait": "{batch} --interval 0",
    "batch retry": "{batch}",
    "batch cancel": "{batch} --status dead",
    "batch export": "{batch} --redact id",
    "batch delete": "{batch}",
    "workflow create": "--file /nowhere",
    "workflow list": "--cursor x",
    "workflow show": "ffff",
    "workflow graph": "x",
    "workflow wait": "{workflow} --interval 0",
    "workflow retry": "{workflow}",
    "workflow cancel": "ffff",
    "workflow delete": "ffff",
    "workflow dependencies": "x",
    "worker start": "--handlers nowhere:app",
    "worker list": "--limit 0",
    "worker status": "nobody",
    "worker stop": "nobody",
    "worker restart": "nobody",
    "monitor health": "--only nothing",
    "monitor metrics": "--period 0s",
    "webhook list": "more",
    "webhook show": "nothing",
    "webhook add": "--name new --url ftp://example.org",
    "webhook update": "{webhook}",
    "webhook rotate-secret": "nothing",
    "webhook enable": "nothing",
    "webhook disable": "nothing",
    "webhook toggle": "nothing",
    "webhook remove": "{webhook}",
    "webhook deliveries": "nothing",
    "webhook replay": "{webhook} --only some",
    "webhook stats": "nothing",
    "webhook test": "{webhook} --event-type nothing",
    "webhook verify": "--secret env:PATH --headers /nowhere --body /nowhere",
    "webhook import": "/nowhere",
    "streaming list": "more",
    "streaming show": "nothing",
    "streaming add": "--name new --backend kafka",
    "streaming update": "{stream}",
    "streaming enable": "nothing",
    "streaming disable": "nothing",
    "streaming toggle": "nothing",
    "streaming remove": "{stream}",
    "streaming replay": "nothing",
    "streaming test": "nothing",
    "streaming stats": "more",
    "streaming health": "nothing",
    "archive run": "--older-than 5",
    "archive list": "--cursor x",
    "archive show": "x",
    "archive restore": "{done}",
    "archive stats": "more",
    "archive purge": "",
    "archive set-policy": "--all",
    "archive get-policy": "--all",
    "archive policies": "more",
    "archive remove-policy": "--all --yes",
    "maintenance cleanup": "--by more",
    "maintenance purge-encrypted": "more",
    "maintenance vacuum": "more",
    "maintenance analyze": "more",
    "maintenance reindex": "more",
    "maintenance sizes": "--fields more",
    "maintenance health": "--max-rows 0",
    "maintenance check": "--fix",
    "maintenance dead-jobs": "--stale-hours 0",
    "job requeue-stale": "--older-than-secs 0",
    "backup create": "",
    "backup restore": "-i /nowhere",
    "backup verify": "/nowhere",
    "backup list": "-p /nowhere",
    "backup copy": "--to nonsense",
    "migration run": "--drop",
    "migration status": "more",
    "migration plan": "more",
    "config show": "more",
    "config get": "nothing",
    "config path": "more",
    "schema": "nothing",
}
"""How each command that can answer with JSON is made to fail, changing nothing."""


def test_every_command_that_answers_with_json_is_made_to_fail() -> None:
    wanted = {path for path in LEAVES if "json" in formats(path)}
    missing, stale = wanted - FAILING.keys(), FAILING.keys() - wanted
    assert not missing, f"say in FAILING of {__name__} how to make these commands fail: {sorted(missing)}"
    assert not stale, f"these commands are in FAILING of {__name__}, and do not exist: {sorted(stale)}"


@pytest.mark.parametrize("databases", [pytest.param("sqlite", marks=pytest.mark.sqlite)], indirect=True)
@pytest.mark.parametrize("group", BY_GROUP)
def test_with_json_stderr_is_one_object_whenever_a_command_fails(
    databases: dict[str, Asked], run: Run, group: str
) -> None:
    full, wrong = databases["full"], Wrong()
    nowhere = Asked(NOWHERE, full.names)
    for path in (path for path in FAILING if path.split()[0] == group):
        forms = [form for form in ("json", "jsonl") if form in formats(path)]
        for form in forms:
            asked = [(full, FAILING[path])]
            if form == forms[0]:
                asked.append((full, "--no-such-option"))
            if form == forms[0] and path not in HERE:
                asked.append((nowhere, (*CONTRACT[path].lines, FAILING[path])[0]))
            for database, line in asked:
                with wrong.unless(path, line, form):
                    done = ask(run, database, path, line, form)
                    assert done.exit_code != 0, done.stdout
                    check_stderr(done, form)
                    if "Confirmation required" in done.stderr:
                        hint = json.loads(done.stderr)["error"]["hint"]
                        assert ("--dry-run" in hint) == offers(path, "--dry-run"), hint
    assert wrong == []


def offers(path: str, option: str) -> bool:
    """Whether the help of the command has the option."""
    return any(option in param.opts and not param.hidden for param in LEAVES[path].params)


def check_stderr(done: Any, form: str | None) -> None:
    """With JSON, stderr holds one error when there is one, and nothing else."""
    if form not in {"json", "jsonl"}:
        return
    if done.exit_code == 0:
        assert done.stderr == ""
        return
    error = json.loads(done.stderr)
    Draft202012Validator(SCHEMAS["error"]).validate(error)
    assert error["error"]["exit_code"] == done.exit_code


def is_list_of_jobs(path: str) -> bool:
    """Whether the command lists what an empty database has nothing of."""
    never_empty = path in {*HERE, "migration status", "maintenance sizes"} or CONTRACT[path].changes
    return not never_empty and SCHEMAS[path.replace(" ", "-")].get("type") == "array"


def ask(run: Run, asked: Asked, path: str, line: str, form: str | None) -> Any:
    words = [word.format(**asked.names) for word in line.split()]
    wanted = ["--format", form] if form else []
    done = run(*path.split(), *words, *wanted, "-u", asked.url, env=ENVIRONMENT)
    if form in {None, "table"}:
        assert_pasted_commands_open_the_same_database(done.stdout + done.stderr)
    return done


PRINTED = re.compile(rf"hammerwork (?P<option>-u \S+ )?(?P<path>{'|'.join(LEAVES)})\b(?! --help)")
UNAIMED = {path for path in LEAVES if path.split()[0] in {"config", "schema", "completion", "demo"}}


def assert_pasted_commands_open_the_same_database(text: str) -> None:
    """Every printed command has the -u of the command that printed it."""
    for found in PRINTED.finditer(text):
        assert bool(found["option"]) == (found["path"] not in UNAIMED), text


# What is answered.


def check(text: str, form: str | None, name: str) -> None:
    """Parses an answer, and compares it with the schema."""
    if form == "json":
        validator(name).validate(json.loads(text))
    elif form == "jsonl":
        for line in text.splitlines():
            validator(name, of_line=True).validate(json.loads(line))
    elif form in {"csv", "tsv"}:
        check_delimited(text, form, line_schema(name))
    elif form == "dot":
        assert re.fullmatch(r"digraph [^{]*\{.*\}\n", text, re.DOTALL)
        assert_harmless(text)
    else:
        assert_harmless(text)
    if form != "table" and form is not None:
        assert text == "" or text.endswith("\n")


def validate(value: object, schema: Schema) -> None:
    """The value fits, and nothing in it is undocumented."""
    Draft202012Validator(closed(schema)).validate(value)


@cache
def validator(name: str, *, of_line: bool = False) -> Draft202012Validator:
    """What :func:`validate` does, for the many values of one schema."""
    return Draft202012Validator(closed(line_schema(name) if of_line else SCHEMAS[name]))


def closed(schema: Any) -> Any:
    """The schema without room for further keys."""
    if isinstance(schema, list):
        return [closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if "required" in schema:
        inner["additionalProperties"] = False
    return inner


def check_delimited(text: str, form: str, schema: Schema) -> None:
    assert_harmless(text)
    rows = list(csv.reader(io.StringIO(text), delimiter="," if form == "csv" else "\t"))
    header, fields = rows[0], schema["properties"]
    assert len(set(header)) == len(header)
    assert all(len(row) == len(header) for row in rows)
    assert {name.partition(".")[0] for name in header} <= fields.keys()
    for name in header:
        outer, _, inner = name.partition(".")
        assert not inner or inner in fields[outer].get("properties", {inner}), name


def assert_harmless(text: str) -> None:
    """Nothing that a terminal or a spreadsheet would obey."""
    harmful = {char for char in text if not char.isprintable()} - {"\n", "\t"}
    assert not harmful
