"""The answers of ``worker``: their shapes, text for terminals."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.worker.models.counts import Unwritten
from hammerwork_cli.features.worker.models.worker import (
    FINISHER,
    MAIN_LOOP,
    LeasedJob,
    LeaseState,
    RegisteredWorker,
    RunningJob,
)
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.json import WORKER_REQUESTS, WORKER_STATES
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column
from hammerwork_cli.view.text import NOTHING, count, duration, instant, plural, short_id, visible

COLOURS = {"running": "green", "stopping": "yellow", "silent": "red", "stalled": "red", "lost": "red"}


class WorkerStatus(NamedTuple):
    worker: RegisteredWorker
    jobs: tuple[RunningJob, ...]
    now: datetime


def _slots(worker: RegisteredWorker) -> str:
    return f"{count(worker.running)} of {count(worker.concurrency)}" if worker.ended_at is None else NOTHING


def held_text(slots: int, holders: str = "") -> str:
    """How many slots take no job because handlers have not returned, and of which workers."""
    of = f" of {holders}" if holders else ""
    why = "the handler has not returned although its attempt is over"
    if slots != 1:
        why = "the handlers have not returned although their attempts are over"
    return f"{plural(slots, 'slot')}{of}: {why}"


def _held(worker: RegisteredWorker) -> str:
    return held_text(worker.held) if worker.held and worker.ended_at is None else ""


def unwritten_text(unwritten: Unwritten, holders: str = "") -> str:
    """How many outcomes of which workers cannot be written, since when, and why."""
    of = f" of {holders}" if holders else ""
    since = duration(timedelta(seconds=unwritten.seconds))
    return f"{plural(unwritten.outcomes, 'outcome')}{of} cannot be written, for {since}: {visible(unwritten.error)}"


def stalled_text(worker: RegisteredWorker) -> str:
    """Which threads of a worker stand still, and for how long; empty if none does."""
    return ", ".join(f"the {name} for {duration(took)}" for name, took in worker.stalled.items())


def _rate(worker: RegisteredWorker) -> str:
    return NOTHING if worker.rate is None else f"{worker.rate:,.1f}/min"


def _memory(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 1_000_000:,.1f} MB"


def _asked(worker: RegisteredWorker) -> str | None:
    return f"{worker.request} by {worker.requested_by or 'somebody'}" if worker.request else None


WORKERS: Sequence[Column[RegisteredWorker]] = (
    Column("worker", lambda row: row.name, cuts=True),
    Column("id", lambda row: short_id(row.id), drop_order=4),
    Column("state", lambda row: row.state),
    Column("requested", _asked, optional=True, cuts=True),
    Column("queues", lambda row: ", ".join(row.queue_names), cuts=True, drop_order=6),
    Column("duties", lambda row: ", ".join(row.duties) or None, optional=True, cuts=True, drop_order=1),
    Column("running", _slots, "right"),
    Column(
        "unwritten",
        lambda row: count(row.unwritten.outcomes) if row.unwritten else None,
        "right",
        optional=True,
    ),
    Column("completed", lambda row: count(row.completed), "right", is_count=True, narrow_header="done"),
    Column("failed attempts", lambda row: count(row.failed), "right", is_count=True, narrow_header="failed"),
    Column("rate", _rate, "right", drop_order=3),
    Column("memory", lambda row: _memory(row.memory), "right", drop_order=2),
    Column("up", lambda row: duration(row.up_time), "right", drop_order=5),
    Column("last heartbeat", lambda row: f"{duration(timedelta(seconds=row.silent_for))} ago", "right"),
)
WORKER = Shape[RegisteredWorker](
    {
        "id": key.uuid(),
        "name": key.text(),
        "state": key.word("", *WORKER_STATES),
        "host": key.text(),
        "pid": key.count(),
        "version": key.text(),
        "queues": key.list_of(key.text()).of("queue_names"),
        "handlers": key.list_of(key.text(), "Spawn handlers").of("handler_names"),
        "duties": key.list_of(key.text(), "Duties that it was the last to take: schedules, workflows, retention"),
        "concurrency": key.count("Most jobs at once"),
        "running": key.count("Jobs now"),
        "held_slots": key.null_or(
            key.count("Slots whose handler has not returned although its attempt is over; null before 026")
        ).of("held"),
        "clock_ahead_seconds": key.null_or(
            key.number("By how much its host's clock is ahead of the server's; negative if it is behind", digits=3)
        ).of("clock_ahead"),
        "completed": key.count("Completed attempts since its start"),
        "failed": key.count("Failed attempts since its start, retried ones included"),
        "jobs_per_minute": key.null_or(key.number("Rate since its start", digits=3)).of("rate"),
        "memory_bytes": key.null_or(
            key.count("Memory of its process and those of its handlers; null except on Linux")
        ).of("memory"),
        "lease_seconds": key.seconds("Time without a heartbeat before others take over").of("lease"),
        "silent_seconds": key.seconds("Seconds since its last heartbeat, by the server's clock", digits=3).of(
            lambda worker: max(worker.silent_for, 0.0)
        ),
        "started_at": key.null_or(key.instant()),
        "heartbeat_at": key.null_or(key.instant()),
        "ended_at": key.null_or(key.instant()),
        "main_stalled_seconds": key.null_or(
            key.seconds("For how long its main loop has been stalled; null if it is not")
        ).of(lambda worker: worker.stalled.get(MAIN_LOOP)),
        "finisher_stalled_seconds": key.null_or(key.seconds("The same for the thread that writes outcomes")).of(
            lambda worker: worker.stalled.get(FINISHER)
        ),
        "unwritten_outcomes": key.count("Outcomes that it cannot write, and tries again").of(
            lambda worker: worker.unwritten.outcomes if worker.unwritten else 0
        ),
        "unwritten_seconds": key.null_or(key.seconds("For how long it has failed to; null if it has not", digits=3)).of(
            lambda worker: worker.unwritten and worker.unwritten.seconds
        ),
        "unwritten_error": key.null_or(key.text("The last error")).of(
            lambda worker: worker.unwritten and worker.unwritten.error
        ),
        "up_seconds": key.null_or(key.seconds("Seconds from its start to its last heartbeat")).of("up_time"),
        "request": key.null_or(key.word("The open request to it", *WORKER_REQUESTS)),
        "requested_by": key.null_or(key.text()),
        "internal": key.flag("Whether it only delivers to webhooks, beside a worker of yours").of("is_internal"),
    }
)


class RunningNow(NamedTuple):
    """A job of a worker at a time."""

    job: RunningJob
    now: datetime


_RUNNING = {
    "id": key.job_id().of("job.id"),
    "queue": key.text().of("job.queue"),
    "attempts": key.count().of("job.attempts"),
    "started_at": key.null_or(key.instant()).of("job.started_at"),
    "running_seconds": key.null_or(key.seconds()).of(lambda row: row.job.runs_for(row.now)),
}
WORKER_STATUS = Shape[WorkerStatus](
    {
        **WORKER.within("worker"),
        "jobs": key.list_of(Shape[RunningNow](_RUNNING), "Its claimed jobs, longest first; at most 50").of(
            lambda status: [RunningNow(job, status.now) for job in status.jobs]
        ),
    }
)


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
        "stalled": stalled_text(worker),
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
    Column("job", lambda row: short_id(row.job.id), drop_order=4),
    Column("queue", lambda row: row.job.queue, cuts=True),
    Column("worker", lambda row: row.job.worker or "not registered", cuts=True),
    Column("attempt", lambda row: count(row.job.attempts), "right", drop_order=2),
    Column("running", lambda row: duration(row.job.runs_for(row.now)), "right"),
    Column("heartbeat", lambda row: _heard(row), "right", optional=True, drop_order=3),
    Column("lease", lambda row: row.job.lease(row.now).value),
)


def _heard(row: LeasedNow) -> str | None:
    """The last heartbeat of its worker, or, of a worker that does not register, that in the row of the job."""
    since = row.job.silent_for
    if since is None:
        at = timestamp(row.job.heartbeat_at)
        return f"{duration(max(row.now - at, timedelta()))} ago" if at else None
    return f"{duration(timedelta(seconds=max(since, 0)))} ago"


LEASED_JOB = Shape[LeasedNow](
    {
        "id": _RUNNING["id"],
        "queue": _RUNNING["queue"],
        "worker": key.null_or(key.text("Null for workers of hammerwork (Rust), which do not register")).of(
            "job.worker"
        ),
        "attempts": _RUNNING["attempts"],
        "started_at": _RUNNING["started_at"],
        "running_seconds": _RUNNING["running_seconds"],
        "heartbeat_at": key.null_or(key.instant("Of the job")).of("job.heartbeat_at"),
        "lease_expires_at": key.null_or(key.instant()).of("job.lease_until"),
        "lease": key.text("Whether a lease or a worker still covers the job", *LeaseState).of(
            lambda row: row.job.lease(row.now).value
        ),
    }
)


# Stop and restart.


class AskedWorker(NamedTuple):
    """A worker that was asked to stop or restart, or would be."""

    worker: RegisteredWorker
    request: str  # `stop` or `restart`
    running: int  # jobs that it runs, when it was asked
    grace: float | None = None  # seconds that these have to finish; `None` for what the worker was started with
    dry_run: bool = False
    now: RegisteredWorker | None = None  # the worker after its end, or its successor; `None` until the wait is over

    @property
    def successor(self) -> RegisteredWorker | None:
        """The worker that has taken its place."""
        return self.now if self.now and self.now.id != self.worker.id else None

    @property
    def unreplaced(self) -> bool:
        """Whether the worker should have restarted, but only stopped."""
        return self.request == "restart" and self.now is not None and self.successor is None


ASKED_WORKER = Shape[AskedWorker](
    {
        "id": key.uuid().of("worker.id"),
        "name": key.text().of("worker.name"),
        "request": key.text("", "stop", "restart"),
        "running": key.count("Jobs that it ran when it was asked"),
        "grace_seconds": key.null_or(key.seconds("Time for these to finish; null for the worker's own --grace")).of(
            "grace"
        ),
        "state": key.word("", *WORKER_STATES).of(lambda asked: (asked.now or asked.worker).state),
        "asked": key.flag("False in a dry run").of(lambda asked: not asked.dry_run),
        "dry_run": key.flag(),
        "done": key.flag("Whether it has stopped or restarted (--wait)").of(
            lambda asked: asked.now is not None and not asked.unreplaced
        ),
        "successor": key.null_or(key.uuid("Id of the worker that replaced it after a restart")).of(
            lambda asked: asked.successor and asked.successor.id
        ),
    }
)


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


WORKER_REPORT = Shape[Any](
    {
        "completed": key.count("Attempts"),
        "failed": key.count("Attempts, timed-out ones included"),
        "restart": key.flag("True when somebody asked for a restart; the command starts again after this"),
        "unreturned": key.count("Abandoned attempts whose handlers had not returned"),
        "unwritten": key.count("Outcomes that could not be written; these jobs run again if they have attempts left"),
    }
)
"""Of a ``WorkerReport``."""


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
