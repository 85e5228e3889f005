"""One job in full: a record for programs, lines for people."""

import json as json_reader
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.models import (
    JobDetails,
    JobStatus,
    StoredJob,
    TreeNode,
    rfc3339,
    timestamp,
)
from hammerwork_cli.models.payloads import SCHEDULE_KEY, due_time
from hammerwork_cli.models.values import WITH_ERROR
from hammerwork_cli.models.worker import JobWorker
from hammerwork_cli.render import attempts
from hammerwork_cli.render.callbacks import CALLBACK, callbacks_text
from hammerwork_cli.render.formats.colour import paint, paint_status
from hammerwork_cli.render.formats.json import WORKER_STATES, Record, known, parsed
from hammerwork_cli.render.formats.text import (
    count,
    duration,
    first_line,
    instant,
    plural,
    short_id,
    shorten,
    statuses,
    visible,
)
from hammerwork_cli.render.job.hold import Hold
from hammerwork_cli.render.job.listing import job_record
from hammerwork_cli.render.spawn import again, records
from hammerwork_cli.render.worker import silence_text

PAYLOAD_LINES = 40
"""Lines of a payload or a result on a terminal without ``--full``."""
LONGEST_MS = 2**53
"""Milliseconds beyond which a number is no length of time."""


def details_record(details: JobDetails, hold: Hold | None = None) -> Record:
    """Everything about a job.

    Keys: those of :func:`job_record` with the whole ``error``; ``payload`` and ``result`` (as JSON; as text if they are
    not readable JSON); ``parents`` (list of ``id``, ``queue``, ``status``, ``error``; with nulls if the parent does not
    exist); ``hold`` (the reason why the job waits, a word of ``HOLDS``) and ``hold_message`` (in a sentence);
    ``children`` (an object: ``total``,
    ``completed``, ``failed``, ``running``, ``pending``, and ``first``, some of them with the keys of parents, failures
    first); ``attempt_history`` (its attempts that did not complete, the oldest first, at most 50:
    :data:`hammerwork_cli.render.attempts.ATTEMPT`); ``callbacks`` (of the job and everything below it:
    :data:`hammerwork_cli.render.callbacks.CALLBACK`); ``worker`` (that has the Running job, if it is registered:
    ``id``, ``name``, ``state``, ``silent_seconds``, ``lease_seconds``); ``spawns`` (recorded ones, oldest first) and
    ``spawn_requests`` (the newest first); ``in_archive`` (read from the archive table); and the columns
    ``timeout_seconds``, ``timed_out_at``, ``cron_schedule``, ``timezone``, ``recurring``, ``next_run_at``,
    ``batch_id``, ``result_stored_at``, ``result_expires_at``, ``trace_id``, ``correlation_id``, ``parent_span_id``,
    ``span_context``, ``archival_reason``, ``archived_by``, ``is_encrypted``, ``encryption_key_id``,
    ``encryption_algorithm``, ``encrypted_bytes``, ``payload_hash``, ``retention_policy``, ``retention_delete_at``,
    ``encrypted_at``, ``retry_strategy`` (JSON), ``last_heartbeat_at``, ``lease_expires_at``, and ``other_columns``
    (those that this version does not know and are not binary, by name). Columns that an older database lacks are left
    out.
    """
    counts = details.children
    return {
        **job_record(details.job),
        **facts_record(details.facts, details.others),
        "in_archive": details.in_archive,
        "payload": parsed(details.payload),
        "result": parsed(details.result),
        "parents": [_relative(details, parent) for parent in details.job.node.depends_on],
        "hold": hold.word if hold else None,
        "hold_message": hold.message if hold else None,
        "children": records.CHILD_COUNTS.record(counts)
        | {"first": [_relative_record(child) for child in details.first_children]},
        "attempt_history": attempts.ATTEMPT.records(details.attempts),
        "callbacks": CALLBACK.records(details.callbacks),
        "worker": _worker_record(details.worker) if details.worker else None,
        "spawns": [records.spawn_record(spawn) for spawn in details.spawns],
        "spawn_requests": [again.request_record(request) for request in details.requests],
    }


def _worker_record(worker: JobWorker) -> Record:
    return {
        "id": worker.id,
        "name": worker.name,
        "state": known(worker.state, WORKER_STATES),
        "silent_seconds": round(worker.silent_for, 3),
        "lease_seconds": worker.lease,
    }


def facts_record(facts: Mapping[str, object], others: Mapping[str, object]) -> Record:
    """The further columns of a job; those that this version does not know under ``other_columns``, if there are any."""
    known = {name: _fact(name, value) for name, value in facts.items()}
    return known | {"other_columns": dict(others)} if others else known


def _fact(name: str, value: object) -> object:
    if name.endswith("_at"):
        return rfc3339(value)  # type: ignore[arg-type]  # columns with that ending contain timestamps
    if name == "retry_strategy":
        return parsed(None if value is None else str(value))
    return bool(value) if name in {"recurring", "is_encrypted"} else value


def _relative(details: JobDetails, job: str) -> Record:
    known = {parent.id: parent for parent in details.parents}
    if job in known:
        return _relative_record(known[job])
    return {"id": job, "queue": None, "status": None, "error": None}


def _relative_record(node: TreeNode) -> Record:
    return {"id": node.id, "queue": node.queue, "status": node.status, "error": node.error}


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
        details: the job.
        hold: the reason why it waits, if it does.
        width: columns of the terminal; ``None`` for a pipe, which gets the whole payload.
        colour: whether to use colours.
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
    yield from again.spawns_text(details.spawns, width, colour)
    yield from again.requests_text(details.requests, width, colour)


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
    yield "completed", _moment(node.completed_at, now)
    yield "cancelled" if node.status == JobStatus.CANCELLED else "failed", _moment(node.failed_at, now)
    yield "ran", duration(node.run_time) if node.run_time is not None else None
    yield "timeout", _seconds(facts.get("timeout_seconds"))
    yield "retries", _strategy(facts.get("retry_strategy"))
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
    yield "lease", _lease(facts, now)
    for name, value in details.others.items():
        shown = value if isinstance(value, str) else json_reader.dumps(value, ensure_ascii=False)
        yield visible(name), None if value is None else first_line(shown)


def _worker(worker: JobWorker) -> str:
    if worker.state == "silent":
        return silence_text(worker)
    return visible(worker.name if worker.state == "running" else f"{worker.name}, {worker.state}")


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
    given = _fact("retry_strategy", stored)
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
        yield f"  {_BLOCKED[details.blocker.reason.value]} hammerwork spawn why {short_id(details.job.node.id)}"


_BLOCKED = {
    "unfinished": "It runs once all of them have completed:",
    "parent_failed": "It cannot run, because one of them failed:",
    "parent_missing": "It cannot run, because one of them is missing:",
    "not_released": "No worker released it when they ended; hammerwork spawn doctor --fix does:",
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
