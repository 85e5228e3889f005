"""One job in full: its shape, lines for people."""

import json as json_reader
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.payloads import SCHEDULE_KEY, due_time
from hammerwork_cli.core.values import WITH_ERROR, JobStatus, timestamp
from hammerwork_cli.features.callbacks.views import CALLBACK, callbacks_text
from hammerwork_cli.features.job.models.job import (
    ARCHIVAL_FACTS,
    ENCRYPTION_FACTS,
    FACTS,
    LATER_FACTS,
    JobDetails,
    JobWorker,
    StoredJob,
    WholeJob,
)
from hammerwork_cli.features.job.views import attempts, spawn_requests
from hammerwork_cli.features.job.views.hold import HOLDS, Hold
from hammerwork_cli.features.job.views.listing import JOB
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.views import spawns
from hammerwork_cli.features.tree.views.json import RELATIVE, RUNNING_PROGRESS
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.json import WORKER_STATES, known, parsed
from hammerwork_cli.view.shape import MISSING, Key, Shape
from hammerwork_cli.view.text import (
    count,
    duration,
    first_line,
    instant,
    percent,
    plural,
    short_id,
    shorten,
    silence,
    statuses,
    visible,
)

PAYLOAD_LINES = 40
"""Lines of a payload or a result on a terminal without ``--full``."""
LONGEST_MS = 2**53
"""Milliseconds beyond which a number is no length of time."""


class _Gone(NamedTuple):
    """A parent that does not exist."""

    id: str
    queue: None = None
    status: None = None
    error: None = None


def _fact(name: str) -> Callable[[Any], object]:
    return lambda found: found.facts.get(name, MISSING)


def _flag(name: str) -> Callable[[Any], object]:
    return lambda found: bool(found.facts[name]) if name in found.facts else MISSING


_COLUMNS = dict.fromkeys((*FACTS, *ARCHIVAL_FACTS, *ENCRYPTION_FACTS, *LATER_FACTS), key.null_or(key.text())) | {
    "timeout_seconds": key.null_or(key.count()),
    "timed_out_at": key.null_or(key.instant()),
    "next_run_at": key.null_or(key.instant()),
    "result_stored_at": key.null_or(key.instant()),
    "result_expires_at": key.null_or(key.instant()),
    "is_encrypted": key.flag(),
    "encrypted_bytes": key.null_or(key.count()),
    "retention_delete_at": key.null_or(key.instant()),
    "encrypted_at": key.null_or(key.instant()),
    "retry_strategy": key.stored_json("As hammerwork (Rust) writes it; null for the worker's"),
    "last_heartbeat_at": key.null_or(key.instant("Of the lease that version 3 of hammerwork (Rust) checks")),
    "lease_expires_at": key.null_or(key.instant()),
}
"""Fact -> its key: text unless this says more."""
FACT_KEYS = Shape[JobDetails | WholeJob](
    {
        **{name: one.of(_fact(name)).optional for name, one in _COLUMNS.items() if name != "recurring"},
        "is_encrypted": key.flag().of(_flag("is_encrypted")).optional,
        "other_columns": Key(
            key.anything("An object with the columns that this version does not know, except binary ones").schema,
            get=lambda found: dict(found.others) if found.others else MISSING,
            typescript="Record<string, unknown>",
            is_optional=True,
        ),
    }
)
"""Columns; an older database does not have all of them."""
WHOLE_JOB = Shape[JobDetails | WholeJob](
    {
        **JOB.within("job"),
        "recurring": JOB.parts["recurring"].of(
            lambda found: bool(found.facts["recurring"]) if "recurring" in found.facts else found.job.recurring
        ),
        "error": JOB.within("job")["error"].about("The whole error"),
        **FACT_KEYS.parts,
    }
)
VALUES = Shape[JobDetails | WholeJob](
    {
        "payload": key.stored_json("As JSON; text if it is not valid JSON"),
        "result": key.stored_json("As JSON; text if it is not valid JSON"),
    }
)
_WORKER = Shape[JobWorker](
    {
        "id": key.text(),
        "name": key.text(),
        "state": key.text("running, stopping, silent, lost or stopped")._replace(
            convert=lambda stored: known(stored, WORKER_STATES)
        ),
        "silent_seconds": key.seconds("Since its last heartbeat", digits=3).of("silent_for"),
        "lease_seconds": key.seconds("Time without a heartbeat after which others may rescue the job").of("lease"),
    }
)
_CHILDREN = Shape[JobDetails](
    {
        **spawns.CHILD_COUNTS.within("children"),
        "first": key.list_of(RELATIVE, "Some of them, failures first").of("first_children"),
    }
)


class DetailedJob(NamedTuple):
    """A job and the reason why it waits, if it does."""

    details: JobDetails
    hold: Hold | None = None


JOB_DETAILS = Shape[DetailedJob](
    {
        **WHOLE_JOB.within("details"),
        "in_archive": key.flag("Read from the archive table").of("details.in_archive"),
        "unique_key": key.null_or(key.text("That it holds, or was the last to hold")).of("details.unique_key"),
        **VALUES.within("details"),
        "parents": key.list_of(RELATIVE, "A deleted parent has nulls").of(lambda one: _parents_of(one.details)),
        "hold": key.null_or(key.text("Why it waits; a later version may write more", *HOLDS)).of(
            lambda one: one.hold and one.hold.word
        ),
        "hold_message": key.null_or(key.text("The same in a sentence for people; its words may change")).of(
            lambda one: one.hold and one.hold.message
        ),
        "children": _CHILDREN.key().of("details"),
        "attempt_history": attempts.ATTEMPT_HISTORY.of("details.attempts"),
        "callbacks": key.list_of(CALLBACK, "Callbacks of the job and everything below it").of("details.callbacks"),
        "worker": key.null_or(_WORKER).of("details.worker"),
        "progress": RUNNING_PROGRESS.of("details.progress"),
        "spawns": key.list_of(spawns.RECORDED_SPAWN, "Recorded operations, oldest first").of("details.spawns"),
        "spawn_requests": key.list_of(spawn_requests.SPAWN_REQUEST, "Spawn requests, newest first").of(
            "details.requests"
        ),
    }
)


def _parents_of(details: JobDetails) -> list[TreeNode | _Gone]:
    found = {parent.id: parent for parent in details.parents}
    return [found.get(parent) or _Gone(parent) for parent in details.job.node.depends_on]


def details_text(
    details: JobDetails,
    hold: Hold | None = None,
    *,
    now: datetime,
    width: int | None = None,
    colour: bool = False,
    full: bool = False,
) -> Iterator[str]:
    """Draws the facts, payload and result of a job, its parents and the jobs that depend on it.

    Args:
        width: columns of the terminal; ``None`` for a pipe, which gets the whole payload.
        full: whether a terminal gets the whole payload and result too.
    """
    node = details.job.node
    yield f"{paint(visible(node.queue), 'bold', colour)} {visible(node.id)}"
    pairs = {name: text for name, text in _pairs(details, hold, now) if text}
    longest = max(map(len, pairs))
    for name, text in pairs.items():
        shown = paint_status(node.status, text, colour) if name in {"status", "error"} else text
        yield f"  {name:<{longest}}  {shown}"
    bound = None if full or width is None else PAYLOAD_LINES
    yield from _error(node.error, bound, width, colour)
    yield from attempts.attempts_text(details.attempts, width, colour)
    yield from _value("Payload", details.payload, _hidden_payload(details), bound, width, colour)
    if details.result is not None:
        yield from _value("Result", details.result, "", bound, width, colour)
    yield from _parents(details, width, colour)
    yield from _children(details, width, colour)
    yield from callbacks_text(details.callbacks, colour)
    yield from spawn_requests.spawns_text(details.spawns, width, colour)
    yield from spawn_requests.requests_text(details.requests, width, colour)


def _pairs(details: JobDetails, hold: Hold | None, now: datetime) -> Iterator[tuple[str, str | None]]:
    job, node, facts = details.job, details.job.node, details.facts
    yield "status", f"{visible(node.status)}{_attempts(job)}"
    if node.stored_status != node.status:
        yield "stored status", f"{visible(node.stored_status)} (workers do not find it: hammerwork spawn doctor)"
    yield "why", hold.message if hold else None
    error = first_line(node.error) if node.error else None
    yield "error" if node.status != JobStatus.COMPLETED else "last error", error
    yield "priority", node.priority
    yield "created", _moment(node.created_at, now)
    yield "scheduled", _moment(job.scheduled_at, now) if job.scheduled_at != node.created_at else None
    late = job.overdue(now)
    name, preposition = ("overdue", "by") if job.recurring else ("ready", "for")
    yield name, f"{preposition} {duration(late)}" if late is not None else None
    yield "started", _moment(node.started_at, now)
    yield "worker", _worker(details.worker) if details.worker else None
    yield "progress", _progress(details.progress, now) if details.progress else None
    yield "completed", _moment(node.completed_at, now)
    yield "cancelled" if node.status == JobStatus.CANCELLED else "failed", _moment(node.failed_at, now)
    yield "ran", duration(node.run_time) if node.run_time is not None else None
    yield "timeout", _seconds(facts.get("timeout_seconds"))
    yield "retries", _strategy(facts.get("retry_strategy"))
    yield "unique key", _text(details.unique_key)
    yield "dependencies", None if job.dependency_status in {None, "none"} else _text(job.dependency_status)
    yield "workflow", _named(node.workflow_name, node.workflow_id)
    yield "batch", _text(facts.get("batch_id"))
    yield "schedule", _schedule(facts, now) or _run_of(details.payload)
    yield "trace", _text(facts.get("trace_id"))
    yield "correlation", _text(facts.get("correlation_id"))
    yield "parent span", _text(facts.get("parent_span_id"))
    yield "span context", _text(facts.get("span_context"))
    yield "result expires", _moment(facts.get("result_expires_at"), now)
    yield "archived", _archived(details, now)
    yield "encrypted", _encrypted(facts)
    yield "retention", _named(facts.get("retention_policy"), instant_or_none(facts.get("retention_delete_at")))
    yield "lease for Rust", _lease(facts, now)
    for name, value in details.others.items():
        shown = value if isinstance(value, str) else json_reader.dumps(value, ensure_ascii=False)
        yield visible(name), None if value is None else first_line(shown)


def _worker(worker: JobWorker) -> str:
    if worker.state == "silent":
        return silence(worker.name, worker.silent_for, worker.lease)
    return visible(worker.name if worker.state == "running" else f"{worker.name}, {worker.state}")


def _progress(found: JobProgress, now: datetime) -> str:
    at = timestamp(found.reported_at)
    parts = percent(found.share), first_line(found.text), f"{duration(now - at)} ago" if at and at <= now else ""
    return ", ".join(filter(None, parts))


def _attempts(job: StoredJob) -> str:
    node = job.node
    if node.attempts == 0:
        return ""
    if node.status == JobStatus.RUNNING:
        return f", attempt {node.attempts} of {job.max_attempts}"
    return f" after {node.attempts} of {plural(job.max_attempts, 'attempt')}"


def _text(value: object) -> str | None:
    return None if value is None else visible(str(value))


def _seconds(value: object) -> str | None:
    return duration(timedelta(seconds=value)) if isinstance(value, int) else None


def _strategy(stored: object) -> str | None:
    """A retry strategy as hammerwork (Rust) writes it, in words: ``exponential, base 1.0 s, multiplier 2.0``."""
    if stored is None:
        return None
    given = parsed(str(stored))
    if not isinstance(given, dict):
        return first_line(str(stored))
    terms = [
        " ".join([name, *_terms(value)]) if isinstance(value, dict) else " ".join(_terms({name: value}))
        for name, value in given.items()
        if value is not None
    ]
    return first_line(", ".join(terms))


def _terms(given: Mapping[str, object]) -> Iterator[str]:
    for name, value in given.items():
        if name == "type":
            yield str(value).lower()
        elif name.endswith("_ms") and isinstance(value, int) and 0 <= value <= LONGEST_MS:
            yield f"{name.removesuffix('_ms').replace('_', ' ')} {duration(timedelta(milliseconds=value))}"
        else:
            yield f"{name} {value}"


def _named(name: object, other: object) -> str | None:
    return visible(" ".join(str(part) for part in (name, other) if part is not None)) or None


def instant_or_none(value: Any) -> str | None:
    """A time for people."""
    return instant(value) if value is not None else None


def _moment(value: Any, now: datetime) -> str | None:
    if value is None:
        return None
    at = timestamp(value)
    if at is None:
        return visible(str(value))
    distance = f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"
    return f"{instant(at)} UTC ({distance})"


def _schedule(facts: Mapping[str, object], now: datetime) -> str | None:
    cron = facts.get("cron_schedule")
    if cron is None and not facts.get("recurring"):
        return None
    zone, next_run = facts.get("timezone"), _moment(facts.get("next_run_at"), now)
    parts = [visible(str(cron or "recurring"))]
    parts += [visible(str(zone))] if zone else []
    parts += [f"next due {next_run}"] if next_run else []
    return ", ".join(parts)


def _run_of(payload: str | None) -> str | None:
    """The schedule that made the job, and for which due time."""
    if payload is None or f'"{SCHEDULE_KEY}"' not in payload:
        return None
    value = parsed(payload)
    due = due_time(value)
    if due is None or not isinstance(value, dict):
        return None
    return f"{visible(str(value[SCHEDULE_KEY].get('name')))}, due {instant(due)} UTC"


def _archived(details: JobDetails, now: datetime) -> str | None:
    at = details.job.node.archived_at
    if at is None:
        return None
    reason, by = details.facts.get("archival_reason"), details.facts.get("archived_by")
    why = visible(", ".join(str(part) for part in (reason, by and f"by {by}") if part))
    where = "only in the archive" if details.in_archive else "in the table, with a copy in the archive"
    return f"{_moment(at, now)}{', ' + why if why else ''}; {where}"


def _lease(facts: Mapping[str, object], now: datetime) -> str | None:
    """That of hammerwork (Rust), version 3, and of workers beside it."""
    until, heartbeat = (_moment(facts.get(name), now) for name in ("lease_expires_at", "last_heartbeat_at"))
    parts = [f"until {until}" if until else None, f"last heartbeat {heartbeat}" if heartbeat else None]
    return ", ".join(part for part in parts if part) or None


def _encrypted(facts: Mapping[str, object]) -> str | None:
    if not facts.get("is_encrypted"):
        return None
    size = facts.get("encrypted_bytes")
    parts = [facts.get("encryption_algorithm"), f"key {facts.get('encryption_key_id')}"]
    parts += [f"{count(size)} bytes"] if isinstance(size, int) else []
    return visible(", ".join(str(part) for part in parts if part))


def _hidden_payload(details: JobDetails) -> str:
    return "cannot be read" if details.payload is None else ""


def _error(error: str | None, bound: int | None, width: int | None, colour: bool) -> Iterator[str]:
    """An error of several lines; of a long one the end, where a traceback names the error."""
    lines = (error or "").strip().split("\n")
    if len(lines) < 2:
        return
    yield ""
    yield paint("Error", "bold", colour)
    if bound and len(lines) > bound:
        yield f"  … {plural(len(lines) - bound, 'line')} before: --full, or --format json"
        lines = lines[-bound:]
    yield from (f"  {shorten(visible(line), width - 2 if bound and width else None)}".rstrip() for line in lines)


def _value(
    title: str, text: str | None, instead: str, bound: int | None, width: int | None, colour: bool
) -> Iterator[str]:
    yield ""
    yield paint(title, "bold", colour)
    if text is None:
        yield f"  {instead}"
        return
    lines = _pretty(text, bound)
    whole = [visible(line) for line in lines[:bound]]
    shown = [shorten(line, width - 2 if bound and width else None) for line in whole]
    yield from (f"  {line}" for line in shown)
    if bound and len(lines) > bound:
        yield f"  … {plural(len(lines) - bound, 'more line')}: --full, or --format json"
    elif shown != whole:
        yield "  A line that ends in … is longer: --full, or --format json"


def _pretty(text: str, bound: int | None) -> list[str]:
    if bound and len(text) > 1_000_000:
        # A screen shows only the start: do not parse the whole.
        return [text[:1000]] + [""] * bound
    try:
        return json_reader.dumps(json_reader.loads(text), indent=2, ensure_ascii=False).split("\n")
    except (ValueError, RecursionError):
        return [text]


def _parents(details: JobDetails, width: int | None, colour: bool) -> Iterator[str]:
    parents = details.job.node.depends_on
    if not parents:
        return
    yield ""
    yield paint(f"Depends on {plural(len(parents), 'job')}", "bold", colour)
    for node in details.parents[:PAYLOAD_LINES]:
        yield _relative_line(node, width, colour)
    if len(details.parents) > PAYLOAD_LINES:
        yield f"  … {count(len(details.parents) - PAYLOAD_LINES)} more: --format json"
    for job in details.missing[:PAYLOAD_LINES]:
        yield f"  {short_id(job)} is not in the database"
    if details.blocker:
        reason, why = details.blocker.reason.value, f"hammerwork spawn why {short_id(details.job.node.id)}"
        yield f"  {_BLOCKED[reason]} {_RELEASE if reason == 'not_released' else why}"


_RELEASE = "hammerwork spawn doctor --fix"
_BLOCKED = {
    "unfinished": "It runs once all of them have completed:",
    "parent_failed": "It cannot run, because one of them failed:",
    "parent_missing": "It cannot run, because one of them is missing:",
    "not_released": "No worker released it when they ended. To release it:",
    "stuck_above": "It cannot run, because it waits for itself:",
}


def _children(details: JobDetails, width: int | None, colour: bool) -> Iterator[str]:
    first, counts = details.first_children, details.children
    if not first and not counts.total:
        return
    yield ""
    heading = plural(max(counts.total, len(first)), "job depends on it", "jobs depend on it")
    yield paint(f"{heading}: {statuses(counts)}" if counts.total else heading, "bold", colour)
    for node in first:
        yield _relative_line(node, width, colour)
    if counts.total > len(first):
        yield f"  … {count(counts.total - len(first))} more: hammerwork spawn tree {short_id(details.job.node.id)}"


def _relative_line(node: TreeNode, width: int | None, colour: bool) -> str:
    line = f"  {short_id(node.id)}  {visible(node.queue)} · "
    error = f" · {first_line(node.error)}" if node.error and node.status in WITH_ERROR else ""
    room = None if width is None else max(width - len(line) - len(node.status), 20)
    return f"{line}{paint_status(node.status, visible(node.status), colour)}{shorten(error, room)}"
