"""Renders the answers of ``worker``: text for terminals, records for programs."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.models import RunningJob, Worker, rfc3339, timestamp
from hammerwork_cli.models.queue_counts import Unwritten
from hammerwork_cli.models.worker import FINISHER, MAIN_LOOP, JobWorker, LeasedJob
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import WORKER_REQUESTS, WORKER_STATES, Record, known, seconds
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import NOTHING, count, duration, instant, plural, short_id, visible

COLOURS = {"running": "green", "stopping": "yellow", "silent": "red", "stalled": "red", "lost": "red"}


class WorkerStatus(NamedTuple):
    """A worker and its jobs."""

    worker: Worker
    jobs: tuple[RunningJob, ...]
    now: datetime


def _slots(worker: Worker) -> str:
    return f"{count(worker.running)} of {count(worker.concurrency)}" if worker.ended_at is None else NOTHING


def held_text(slots: int, holders: str = "") -> str:
    """How many slots take no job because handlers have not returned, and of which workers."""
    of = f" of {holders}" if holders else ""
    why = "the handler has not returned although its attempt is over"
    if slots != 1:
        why = "the handlers have not returned although their attempts are over"
    return f"{plural(slots, 'slot')}{of}: {why}"


def _held(worker: Worker) -> str:
    return held_text(worker.held) if worker.held and worker.ended_at is None else ""


def unwritten_text(unwritten: Unwritten, holders: str = "") -> str:
    """How many outcomes of which workers cannot be written, since when, and why."""
    of = f" of {holders}" if holders else ""
    since = duration(timedelta(seconds=unwritten.seconds))
    return f"{plural(unwritten.outcomes, 'outcome')}{of} cannot be written, for {since}: {visible(unwritten.error)}"


def stalled_text(worker: Worker) -> str:
    """Which threads of a worker stand still, and for how long; empty if none does."""
    return ", ".join(f"the {name} for {duration(took)}" for name, took in worker.stalled.items())


def silence_text(worker: Worker | JobWorker) -> str:
    """The time since a worker's last heartbeat, and its lease."""
    silent = duration(timedelta(seconds=worker.silent_for))
    return f"{visible(worker.name)} has been silent for {silent}; its lease is {worker.lease:g} s"


def _rate(worker: Worker) -> str:
    return NOTHING if worker.rate is None else f"{worker.rate:,.1f}/min"


def _memory(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 1_000_000:,.1f} MB"


def _asked(worker: Worker) -> str | None:
    return f"{worker.request} by {worker.requested_by or 'somebody'}" if worker.request else None


WORKERS: Sequence[Column[Worker]] = (
    Column("worker", lambda row: row.name, cuts=True),
    Column("id", lambda row: short_id(row.id), leaves=4),
    Column("state", lambda row: row.state),
    Column("requested", _asked, optional=True, cuts=True),
    Column("queues", lambda row: ", ".join(row.queue_names), cuts=True, leaves=6),
    Column("duties", lambda row: ", ".join(row.duties) or None, optional=True, cuts=True, leaves=1),
    Column("running", _slots, "right"),
    Column(
        "unwritten",
        lambda row: count(row.unwritten.outcomes) if row.unwritten else None,
        "right",
        optional=True,
    ),
    Column("completed", lambda row: count(row.completed), "right", is_count=True, narrow_header="done"),
    Column("failed attempts", lambda row: count(row.failed), "right", is_count=True, narrow_header="failed"),
    Column("rate", _rate, "right", leaves=3),
    Column("memory", lambda row: _memory(row.memory), "right", leaves=2),
    Column("up", lambda row: duration(row.up_time), "right", leaves=5),
    Column("last heartbeat", lambda row: f"{duration(timedelta(seconds=row.silent_for))} ago", "right"),
)
WORKER_KEYS = (
    "id",
    "name",
    "state",
    "host",
    "pid",
    "version",
    "queues",
    "handlers",
    "duties",
    "concurrency",
    "running",
    "held_slots",
    "completed",
    "failed",
    "jobs_per_minute",
    "memory_bytes",
    "lease_seconds",
    "silent_seconds",
    "started_at",
    "heartbeat_at",
    "ended_at",
    "main_stalled_seconds",
    "finisher_stalled_seconds",
    "unwritten_outcomes",
    "unwritten_seconds",
    "unwritten_error",
    "up_seconds",
    "request",
    "requested_by",
)
STATUS_KEYS = (*WORKER_KEYS, "jobs")
ASKED_KEYS = ("id", "name", "request", "running", "grace_seconds", "state", "asked", "dry_run", "done", "successor")


def worker_record(worker: Worker) -> Record:
    """A worker; ``silent_seconds`` since its last heartbeat, ``jobs_per_minute`` since its start."""
    unwritten = worker.unwritten
    return {
        "id": worker.id,
        "name": worker.name,
        "state": known(worker.state, WORKER_STATES),
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "queues": list(worker.queue_names),
        "handlers": list(worker.handler_names),
        "duties": list(worker.duties),
        "concurrency": worker.concurrency,
        "running": worker.running,
        "held_slots": worker.held,
        "completed": worker.completed,
        "failed": worker.failed,
        "jobs_per_minute": None if worker.rate is None else round(worker.rate, 3),
        "memory_bytes": worker.memory,
        "lease_seconds": worker.lease,
        "silent_seconds": round(max(worker.silent_for, 0.0), 3),
        "started_at": rfc3339(worker.started_at),
        "heartbeat_at": rfc3339(worker.heartbeat_at),
        "ended_at": rfc3339(worker.ended_at),
        "main_stalled_seconds": seconds(worker.stalled.get(MAIN_LOOP)),
        "finisher_stalled_seconds": seconds(worker.stalled.get(FINISHER)),
        "unwritten_outcomes": unwritten.outcomes if unwritten else 0,
        "unwritten_seconds": unwritten and round(unwritten.seconds, 3),
        "unwritten_error": unwritten and unwritten.error,
        "up_seconds": seconds(worker.up_time),
        "request": known(worker.request, WORKER_REQUESTS),
        "requested_by": worker.requested_by,
    }


def status_record(status: WorkerStatus) -> Record:
    """A worker with its ``jobs``, those that have run longest first."""
    jobs = [
        {
            "id": job.id,
            "queue": job.queue,
            "attempts": job.attempts,
            "started_at": rfc3339(job.started_at),
            "running_seconds": seconds(job.runs_for(status.now)),
        }
        for job in status.jobs
    ]
    return {**worker_record(status.worker), "jobs": jobs}


def status_text(status: WorkerStatus, *, colour: bool) -> Iterator[str]:
    worker = status.worker
    state = paint(visible(worker.state), COLOURS.get(worker.state), colour)
    asked = _asked(worker)
    yield f"{visible(worker.name)} {short_id(worker.id)} · {state}" + (
        f" · requested: {visible(asked)}" if asked else ""
    )
    facts = {
        "process": f"{worker.pid} on {visible(worker.host)}, hammerwork {visible(worker.version)}",
        "queues": ", ".join(map(visible, worker.queue_names)),
        "spawn handlers": ", ".join(map(visible, worker.handler_names)),
        "duties": ", ".join(map(visible, worker.duties)),
        "started": f"{instant(worker.started_at)} UTC, up {duration(worker.up_time)}",
        "ended": f"{instant(worker.ended_at)} UTC" if worker.ended_at else "",
        "heartbeat": f"{duration(timedelta(seconds=worker.silent_for))} ago, lease {worker.lease:g} s",
        "memory": _memory(worker.memory),
        "attempts": f"{count(worker.completed)} completed, {count(worker.failed)} failed, {_rate(worker)}",
        "stands still": stalled_text(worker),
        "running": _slots(worker),
        "held": _held(worker),
        "unwritten": unwritten_text(worker.unwritten) if worker.unwritten else "",
    }
    yield from (f"  {name:15} {text}" for name, text in facts.items() if text not in {"", NOTHING})
    for job in status.jobs:
        attempt = f"attempt {job.attempts}"
        yield f"    {visible(job.queue)} {short_id(job.id)} · {attempt} · {duration(job.runs_for(status.now))}"


# Running jobs.


class LeasedNow(NamedTuple):
    """A Running job at a time."""

    job: LeasedJob
    now: datetime


LEASED: Sequence[Column[LeasedNow]] = (
    Column("job", lambda row: short_id(row.job.id), leaves=4),
    Column("queue", lambda row: row.job.queue, cuts=True),
    Column("worker", lambda row: row.job.worker or "not registered", cuts=True),
    Column("attempt", lambda row: count(row.job.attempts), "right", leaves=2),
    Column("running", lambda row: duration(row.job.runs_for(row.now)), "right"),
    Column("heartbeat", lambda row: _heard(row), "right", optional=True, leaves=3),
    Column("lease", lambda row: row.job.lease(row.now).value),
)
LEASED_KEYS = (
    "id",
    "queue",
    "worker",
    "attempts",
    "started_at",
    "running_seconds",
    "heartbeat_at",
    "lease_expires_at",
    "lease",
)


def _heard(row: LeasedNow) -> str | None:
    at = timestamp(row.job.heartbeat_at)
    return f"{duration(max(row.now - at, timedelta()))} ago" if at else None


def leased_record(row: LeasedNow) -> Record:
    """A Running job, its worker if that is registered, and its lease."""
    job = row.job
    return {
        "id": job.id,
        "queue": job.queue,
        "worker": job.worker,
        "attempts": job.attempts,
        "started_at": rfc3339(job.started_at),
        "running_seconds": seconds(job.runs_for(row.now)),
        "heartbeat_at": rfc3339(job.heartbeat_at),
        "lease_expires_at": rfc3339(job.lease_until),
        "lease": job.lease(row.now).value,
    }


# Stop and restart.


class AskedWorker(NamedTuple):
    """A worker that was asked to stop or restart, or would be.

    Attributes:
        request: ``stop`` or ``restart``.
        running: jobs that it runs, when it was asked.
        grace: seconds that these have to finish; ``None`` for what the worker was started with.
        now: the worker after its end, or its successor; ``None`` until the wait is over.
    """

    worker: Worker
    request: str
    running: int
    grace: float | None = None
    dry_run: bool = False
    now: Worker | None = None

    @property
    def successor(self) -> Worker | None:
        """The worker that has taken its place."""
        return self.now if self.now and self.now.id != self.worker.id else None

    @property
    def unreplaced(self) -> bool:
        """Whether the worker should have restarted, but only stopped."""
        return self.request == "restart" and self.now is not None and self.successor is None


def asked_record(asked: AskedWorker) -> Record:
    """A request to a worker; ``done`` if the worker has ended or restarted in the meantime."""
    now = asked.now
    return {
        "id": asked.worker.id,
        "name": asked.worker.name,
        "request": asked.request,
        "running": asked.running,
        "grace_seconds": asked.grace,
        "state": known((now or asked.worker).state, WORKER_STATES),
        "asked": not asked.dry_run,
        "dry_run": asked.dry_run,
        "done": now is not None and not asked.unreplaced,
        "successor": asked.successor.id if asked.successor else None,
    }


def _first(asked: AskedWorker) -> str:
    """What a worker does before it stops."""
    if not asked.running:
        return "it runs no job"
    jobs = plural(asked.running, "running job")
    if asked.grace == 0:
        return f"it gives {jobs} back"
    them = "it" if asked.running == 1 else "them"
    within = "" if asked.grace is None else f", or gives {them} back after {duration(timedelta(seconds=asked.grace))}"
    return f"it first finishes {jobs}{within}"


def asked_text(asked: AskedWorker) -> str:
    name = f"{visible(asked.worker.name)} {short_id(asked.worker.id)}"
    if asked.dry_run:
        return f"Would ask {name} to {asked.request}; it runs {plural(asked.running, 'job')}."
    if asked.now is None:
        return f"Asked {name} to {asked.request}; {_first(asked)}."
    if asked.successor:
        return f"{name} has been restarted: it is {short_id(asked.successor.id)} now."
    ending = "gone: its heartbeat stopped" if asked.now.state in {"silent", "lost"} else "stopped"
    return f"{name} has {ending}{', and no worker has taken its place' if asked.unreplaced else ''}."


# The end of a worker.


def report_record(completed: int, failed: int, *, restart: bool, unreturned: int, unwritten: int) -> Record:
    """The figures of a worker at its end.

    ``unreturned`` counts abandoned attempts whose handlers still run, ``unwritten`` outcomes that are not in the
    database.
    """
    counts = {"completed": completed, "failed": failed, "restart": restart}
    return {**counts, "unreturned": unreturned, "unwritten": unwritten}


def report_text(completed: int, failed: int, *, restart: bool, unreturned: int, unwritten: int) -> str:
    text = f"{plural(completed, 'attempt')} completed, {count(failed)} failed"
    if unwritten:
        has = "the job runs again if it has" if unwritten == 1 else "the jobs run again if they have"
        text += f"; {plural(unwritten, 'outcome')} could not be written: {has} attempts left"
    if unreturned:
        text += (
            f"; {plural(unreturned, 'attempt')} {'was' if unreturned == 1 else 'were'} abandoned while still running"
        )
    return f"{text}; starting again." if restart else f"{text}."
