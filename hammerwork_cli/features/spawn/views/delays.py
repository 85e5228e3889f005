"""Renders delays for ``spawn why``: jobs that have not ended, and jobs that never spawned."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from shlex import quote

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.models.job import AttemptOutcome
from hammerwork_cli.features.job.views.attempts import OUTCOMES
from hammerwork_cli.features.queue.model import Service
from hammerwork_cli.features.queue.views.listing import SERVING
from hammerwork_cli.features.queue.views.service import obstacle_text, service_facts
from hammerwork_cli.features.spawn.models.why import Delay, DelayReason, Diagnosis, NeverSpawned
from hammerwork_cli.features.tree.views.json import NAMED
from hammerwork_cli.features.worker.models.worker import RegisteredWorker
from hammerwork_cli.view import key, names
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import (
    cells,
    count,
    duration,
    first_line,
    instant,
    plural,
    short_id,
    shorten,
    silence,
    visible,
    wrapped,
)

PATIENCE = timedelta(hours=1)
"""A job that is due within this time is worth waiting for. A job that has been due for longer suggests that no worker
serves its queue.
"""
OLD = "1h"
"""The value of ``--older-than`` in the advice to run ``spawn doctor``."""


_HEADINGS = {
    DelayReason.LONG_RUNNING: "Running for over 1 h with no live worker",
    DelayReason.SILENT_WORKER: "Running on a silent worker; if it stays silent, another worker rescues {it}",
    DelayReason.MISSPELT_STATUS: (
        "in a misspelt status: on PostgreSQL and SQLite no worker claims {it}, and on MySQL and MariaDB a Rust worker"
        " that claims {it} leaves {it} Running"
    ),
    DelayReason.BARRED: "Pending with a dependency status that no worker accepts",
    DelayReason.DISABLED: "recurring, and {its} schedule is disabled",
    DelayReason.WEBHOOK_DISABLED: "waiting until {its} webhook is enabled",
    DelayReason.RETRYING: "waiting for the next attempt after a failure",
    DelayReason.SCHEDULED: "not due yet",
    DelayReason.RUNNING: "running",
}
"""What jobs do for each reason, unless they are due."""
_HELD = frozenset({DelayReason.MISSPELT_STATUS, DelayReason.BARRED, DelayReason.DISABLED, DelayReason.WEBHOOK_DISABLED})
"""Reasons for which no time says when the jobs run."""
_LAST_ATTEMPTS: dict[AttemptOutcome | None, str] = {
    AttemptOutcome.FAILED: "; the last attempt failed",
    AttemptOutcome.TIMED_OUT: "; the last attempt timed out",
    AttemptOutcome.LOST: "; the last worker was lost",
    AttemptOutcome.STOPPED: "; the last worker was stopped",
}


_FIRST = Shape[Delay](
    {
        **{name: one.of(f"first.{name}") for name, one in NAMED.parts.items()},
        "queue": NAMED.parts["queue"].of("queue"),
        "attempts": key.count().of("first.attempts"),
        "max_attempts": key.count().of("first.max_attempts"),
        "worker": key.null_or(key.text("The worker that has claimed it; null for a Rust worker")).of("first.worker"),
    }
)
DELAY = Shape[Delay](
    {
        "reason": key.text("", *DelayReason).of("reason.value"),
        "queue": key.text(),
        "jobs": key.count(),
        "at": key.null_or(key.instant("Earliest time at which one of them may run, or has been running since")).of(
            "first.at"
        ),
        "error": key.null_or(key.text("Error of the last attempt")),
        "last_attempt": key.null_or(
            key.text("How the last attempt ended, where a job waits for another one, as far as it is known", *OUTCOMES)
        ),
        "last_worker": key.null_or(key.text("The worker of the last attempt, while its name is known")),
        "paused": key.flag().of("is_paused"),
        "workers": SERVING.of("serving"),
        "first": _FIRST.key("The job with the earliest time").of(lambda delay: delay),
    }
)
NEVER_SPAWNED = Shape[NeverSpawned](
    {"id": key.job_id(), "queue": key.text(), "why": key.null_or(key.text("As far as known"))}
)


# Commands.


def delay_commands(diagnosis: Diagnosis, now: datetime) -> list[str]:
    """Commands for delays that need an operator."""
    found = {delay.reason: delay for delay in reversed(diagnosis.delays)}
    commands = []
    if any(delay.is_waiting and delay.service.is_unfinished for delay in diagnosis.delays):
        commands.append("hammerwork migration run")
    silent = [delay.first.worker for delay in diagnosis.delays if delay.reason == DelayReason.SILENT_WORKER]
    # A silent worker of hammerwork (Rust) is not registered, and its lease is over.
    if found.keys() & {DelayReason.MISSPELT_STATUS, DelayReason.BARRED} or None in silent:
        commands.append("hammerwork spawn doctor --fix")
    if DelayReason.LONG_RUNNING in found:
        commands.append(f"hammerwork spawn doctor --older-than {OLD}")
        commands.append(f"hammerwork worker start --upkeep-only --rescue-older-than {OLD}")
    if DelayReason.DISABLED in found:
        commands.append(f"hammerwork cron enable {short_id(found[DelayReason.DISABLED].first.id)}")
    off = {delay.webhook for delay in diagnosis.delays if delay.webhook is not None}
    commands += [f"hammerwork webhook enable {quote(name)}" for name in sorted(off)[:3] if visible(name) == name]
    paused = {
        delay.queue: delay.service.pause for delay in diagnosis.delays if delay.is_paused and delay.is_taken_later
    }
    resumed = ["--all" if pause and pause.is_of_all else quote(visible(queue)) for queue, pause in paused.items()]
    commands += [f"hammerwork queue resume {which}" for which in list(dict.fromkeys(resumed))[:3]]
    for worker in _stuck_workers(diagnosis, now)[:3]:
        commands.append(f"hammerwork worker status {quote(visible(worker))}")
    unserved = list(dict.fromkeys(delay.queue for delay in diagnosis.delays if delay.has_no_worker))[:3]
    if unserved and names.can_be_typed(unserved):
        commands.append(f"hammerwork worker start{names.queue_option(unserved)} --handlers my_app:app")
    if any(silent) or any(delay.has_no_worker for delay in diagnosis.delays):
        commands.append("hammerwork worker list")
    commands += [f"hammerwork queue stats {quote(visible(queue))} --detailed" for queue in _untaken(diagnosis, now)[:3]]
    for reason in (DelayReason.RETRYING, DelayReason.SCHEDULED):
        if reason in found and (commands or not is_worth_waiting(diagnosis, now)):
            commands.append(f"hammerwork job show {short_id(found[reason].first.id)}")
    commands += [f"hammerwork spawn again {short_id(job.id)}" for job in diagnosis.never_spawned[:3]]
    return commands


def _stuck_workers(diagnosis: Diagnosis, now: datetime) -> list[str]:
    """Workers because of which jobs wait or do not end: they stop, stand still, or have slots that are held."""
    due = [delay.service for delay in diagnosis.delays if delay.is_waiting and delay.is_due]
    running = [delay for delay in diagnosis.delays if delay.reason == DelayReason.RUNNING]
    found = [worker for delay in running for worker in (*_stalled(delay), *_without(delay, now))]
    found += [worker for service in due if not service.workers for worker in service.others]
    found += [worker for service in due if service.is_busy for worker in service.held]
    return list(dict.fromkeys(worker.name for worker in found))


def _untaken(diagnosis: Diagnosis, now: datetime) -> list[str]:
    """Queues in which a job has been due for long, on a database that does not record workers."""
    return list(
        dict.fromkeys(
            delay.queue
            for delay in diagnosis.delays
            if delay.is_waiting
            and delay.serving is None
            and not delay.is_paused
            and _is_stale(delay, now)
            and not delay.service.is_unfinished
        )
    )


def _is_stale(delay: Delay, now: datetime) -> bool:
    return (timestamp(delay.first.at) or now) <= now - PATIENCE


def is_worth_waiting(diagnosis: Diagnosis, now: datetime) -> bool:
    """Whether all open jobs will soon run or end without an operator."""
    return bool(diagnosis.delays) and all(_progresses(delay, now) for delay in diagnosis.delays)


def _progresses(delay: Delay, now: datetime) -> bool:
    if delay.reason == DelayReason.RUNNING:
        return not _stalled(delay) and not _without(delay, now)
    soon = (timestamp(delay.first.at) or now) <= now + PATIENCE
    is_served = delay.serving or (delay.serving is None and not _is_stale(delay, now))
    is_held = delay.service.is_busy and bool(delay.service.held)
    is_blocked = delay.is_paused or is_held or delay.service.is_unfinished
    return bool(delay.is_waiting and soon and is_served and not is_blocked)


# Lines.


class DelayLines:
    """Draws the reasons why jobs have not ended.

    Args:
        dot: separator between two facts.
        times: sign between a queue and a number of its jobs.
        ellipsis: marks a cut.
        width: columns of the terminal, to which errors are broken; ``None`` for a pipe.
    """

    def __init__(self, now: datetime, dot: str, times: str, ellipsis: str, width: int | None) -> None:
        self.now = now
        self.dot = dot
        self.times = times
        self.ellipsis = ellipsis
        self.width = width

    def sections(self, delays: Sequence[Delay], limit: int) -> Iterator[tuple[str, list[str]]]:
        """Yields a heading for each reason, with the lines below it."""
        for heading, group in groupby(delays, key=_heading):
            found = list(group)
            lines = [line for delay in found[:limit] for line in self._lines(delay)]
            if len(found) > limit:
                rest = found[limit:]
                lines.append(f"  {self.ellipsis} {count(sum(delay.jobs for delay in rest))} more")
            jobs = sum(delay.jobs for delay in found)
            are, it, its = ("is", "it", "its") if jobs == 1 else ("are", "them", "their")
            if found[0].reason is DelayReason.LONG_RUNNING:
                are = "has been" if jobs == 1 else "have been"
            yield f"{plural(jobs, 'job')} {are} {heading.format(it=it, its=its)}", lines

    def never_spawned(self, jobs: Sequence[NeverSpawned], limit: int) -> Iterator[str]:
        for job in jobs[:limit]:
            why = f"{self.dot}{first_line(job.why)}" if job.why else ""
            yield self._cut(f"  {self._named(job.queue)} {short_id(job.id)}{why}")
        if len(jobs) > limit:
            yield f"  {self.ellipsis} {count(len(jobs) - limit)} more"

    def _cut(self, line: str) -> str:
        return shorten(line, self.width, self.ellipsis)

    def _named(self, queue: str) -> str:
        return shorten(visible(queue), 30, self.ellipsis)

    def _lines(self, delay: Delay) -> list[str]:
        name, first = self._named(delay.queue), short_id(delay.first.id)
        subject = f"{name} {first}" if delay.jobs == 1 else f"{name} {self.times}{count(delay.jobs)}"
        facts = [*self.when(delay), *self._workers(delay)]
        line = "  " + self.dot.join([subject, *facts])
        if not delay.error:
            return [line]
        whole = f"{line}{self.dot}{visible(delay.error)}"
        if self.width is None or cells(whole) <= self.width:
            return [whole]
        return [line, *wrapped(f"    {visible(delay.error)}", self.width, ellipsis=self.ellipsis)]

    def when(self, delay: Delay) -> list[str]:
        """When the jobs are due, or since when they run."""
        at, first = timestamp(delay.first.at), delay.first
        the_first = "" if delay.jobs == 1 else f"the first, {short_id(first.id)}, "
        if delay.reason in _HELD:
            return []
        if delay.is_taken_later:
            retries = delay.reason == DelayReason.RETRYING
            attempts = [f"after attempt {first.attempts} of {first.max_attempts}"] if retries else []
            if at is None:
                return attempts
            if at > self.now:
                return [f"{the_first}{'next' if retries else 'due'} {self._at(at)}", *attempts]
            return [f"{the_first}due {duration(self.now - at)} ago", *attempts]
        if at is None:
            return []
        return [f"{the_first}for {duration(self.now - at)}"]

    def _at(self, at: datetime) -> str:
        return f"{instant(at)} UTC (in {duration(at - self.now)})"

    def _workers(self, delay: Delay) -> list[str]:
        if delay.webhook is not None:
            return [visible(delay.webhook)]
        if delay.is_taken_later:
            return list(_service(delay))
        first = delay.first
        if delay.reason == DelayReason.SILENT_WORKER:
            worker = first.worker or "its worker, of hammerwork (Rust),"
            return [silence(worker, first.silent_for or 0, first.lease or 0)]
        on = [f"on {visible(first.worker)}"] if first.worker and delay.jobs == 1 else []
        on += ["it runs none: the outcome of the job is not written yet"] * bool(_without(delay, self.now))
        return on + [obstacle_text(worker) for worker in _stalled(delay)]


def _stalled(delay: Delay) -> list[RegisteredWorker]:
    """Workers that stand still and may have these running jobs."""
    known = delay.first.worker if delay.jobs == 1 else None
    return [worker for worker in delay.service.stalled if known in {None, worker.name}]


def _without(delay: Delay, now: datetime) -> list[RegisteredWorker]:
    """The worker that has had this job for two leases, and runs none: it cannot write how the job ended."""
    first, started = delay.first, timestamp(delay.first.at)
    if delay.jobs > 1 or started is None:
        return []
    return [
        worker
        for worker in delay.service.workers or ()
        if worker.name == first.worker and not worker.running and now - started > timedelta(seconds=2 * worker.lease)
    ]


def _service(delay: Delay) -> Iterator[str]:
    """What keeps jobs from running when they are due; of jobs that are due later, only the pause."""
    yield from service_facts(delay.service if delay.is_waiting else Service(delay.service.pause))
    if delay.limit is not None:
        yield f"waits for the limit of the queue {visible(delay.queue)}: {visible(str(delay.limit))}"


def hold(delay: Delay) -> str:
    """The reason why a job waits, in a word."""
    if delay.is_taken_later and delay.is_paused:
        return "paused"
    if delay.has_no_worker:
        return "no_worker"
    if delay.limit is not None:
        return "limited"
    return "busy" if delay.is_due and delay.service.is_busy else delay.reason.value


def hold_text(delay: Delay, now: datetime) -> str:
    """The reason why a job waits, in a sentence without a full stop."""
    lines = DelayLines(now, ", ", "", "", None)
    facts = [*lines.when(delay), *_service(delay)]
    heading = _HEADINGS.get(delay.reason, "").format(it="it", its="its")
    if delay.webhook is not None:
        return f"its webhook {visible(delay.webhook)} is disabled"
    if delay.reason in _HELD:
        return heading
    if delay.reason == DelayReason.RETRYING:
        return f"waits for another attempt: {', '.join(facts)}"
    waits = ["waits for a worker"] if delay.is_due and len(facts) == len(lines.when(delay)) else []
    return ", ".join([*facts, *waits])


def _heading(delay: Delay) -> str:
    if not delay.is_due:
        return _HEADINGS[delay.reason]
    if delay.limit is not None:
        return f"due, and waiting for the limit of {'its' if delay.jobs == 1 else 'their'} queue"
    return f"due, and waiting for a worker{_LAST_ATTEMPTS.get(delay.last_attempt, '')}"


def never_spawned_heading(jobs: int) -> str:
    """The number of jobs that completed with a spawn configuration and have no children."""
    carry = "carries" if jobs == 1 else "carry"
    them = "it" if jobs == 1 else "they"
    return f"{plural(jobs, 'job')} completed and spawned nothing, though {them} {carry} a spawn configuration"
