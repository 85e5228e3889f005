"""Renders the checks of ``monitor health``: a sentence and a command for each."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.monitor.models.health import Check, CheckName, HealthReport, Level, Trouble
from hammerwork_cli.features.queue.model import Measure
from hammerwork_cli.features.worker.models.worker import WRONG_CLOCK
from hammerwork_cli.features.worker.views import held_text, unwritten_text
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.commands import FIRST
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import (
    NOTHING,
    count,
    duration,
    first_line,
    instant,
    percent,
    plural,
    short_duration,
    short_id,
    shorten,
    visible,
    wrapped,
)

UNITS: Mapping[str, str] = {
    CheckName.DATABASE: "seconds",
    CheckName.MIGRATIONS: "migrations",
    CheckName.WORKERS: "workers",
    CheckName.LOST_WORKERS: "workers",
    CheckName.STALLED_WORKERS: "workers",
    CheckName.STOPPING_WORKERS: "seconds",
    CheckName.HELD_SLOTS: "slots",
    CheckName.UNWRITTEN_OUTCOMES: "outcomes",
    CheckName.UNSERVED_QUEUES: "queues",
    CheckName.PAUSED_QUEUES: "queues",
    CheckName.PENDING: "jobs",
    CheckName.PENDING_AGE: "seconds",
    CheckName.RUNNING_AGE: "seconds",
    CheckName.WAITING_AGE: "seconds",
    CheckName.LOST_JOBS: "jobs",
    CheckName.UNCLAIMED_JOBS: "seconds",
    CheckName.OVERDUE_JOBS: "seconds",
    CheckName.OVERDUE_SCHEDULES: "seconds",
    CheckName.GROWING_TREES: "trees",
    CheckName.RETRYING: "jobs",
    CheckName.FAILED: "jobs",
    CheckName.FAILURE_RATE: "rate",
    CheckName.RETENTION: "policies",
    CheckName.WEBHOOKS: "webhooks",
    CheckName.STREAMS: "streams",
    CheckName.CLOCKS: "hosts",
    CheckName.TIMES_IN_THE_FUTURE: "times",
    "worker": "seconds",
    "rows": "rows",
    "dead_rows": "rate",
    "invalid_indexes": "indexes",
    "open_transaction": "seconds",
}
"""Unit of a check's value and limit; none for a check without either."""
COLOURS = {Level.HEALTHY: "green", Level.UNKNOWN: "dim", Level.WARNING: "yellow", Level.CRITICAL: "red"}
_NAMED = 5
_LINES = 20
_LONGEST_TROUBLE = 200


LEVEL = key.text("", *Level)._replace(typescript="HealthLevel")
CHECK_OUTCOME = Shape[Check](
    {
        "check": key.text("", *UNITS, CheckName.WRITES, CheckName.UPKEEP).of("name"),
        "status": LEVEL.of("status.value"),
        "value": key.null_or(key.measure("Null when there is nothing to measure")),
        "limit": key.null_or(key.measure("Null without a limit")),
        "unit": key.null_or(key.text("Unit of value and limit", *dict.fromkeys(UNITS.values()))).of(
            lambda check: UNITS.get(check.name)
        ),
        "about": key.list_of(key.text(), "Queues, workers, jobs, webhooks and so on, the worst first"),
        "message": key.text("A sentence for people; its words may change").of(lambda check: message(check)),
        "hint": key.null_or(
            key.step("The next step: a command, or a sentence after an error; null while it is healthy")
        ).of(lambda check: hint(check)),
    }
)
HEALTH_REPORT = Shape[HealthReport](
    {
        "status": LEVEL.about("The worst of the checks").of("status.value"),
        "checked_at": key.instant().of("at"),
        "checks": key.list_of(CHECK_OUTCOME),
    }
)


def report_text(report: HealthReport, *, width: int | None, colour: bool) -> Iterator[str]:
    """A line that sums up, then each check, the worst first, with a command below what is not healthy.

    The checks that are unknown have the same reason and the same command, and share a line.
    """
    numbers = ", ".join(_number(report.count(level), level) for level in reversed(Level) if report.count(level))
    if report.count(report.status) == len(report.checks):
        numbers = plural(len(report.checks), "check")
    yield f"{paint(report.status, COLOURS[report.status], colour)}: {numbers}"
    words = max((len(_words(check)) for check in report.checks), default=0)
    unknown = [check for check in report.checks if check.status is Level.UNKNOWN]
    for check in sorted(report.checks, key=lambda check: -check.status.severity):
        if check in unknown[1:]:
            continue
        name, text = _words(check), message(check)
        if check in unknown and len(unknown) > 1:
            name, text = plural(len(unknown), "check"), f"{text}: {', '.join(map(_words, unknown))}"
        status = paint(f"{check.status:8}", COLOURS[check.status], colour)
        lines = wrapped(visible(text), width and width - words - 12, indent="", most=_LINES)
        first, *rest = filter(None, lines)  # the first is empty before a word that is longer than a line
        yield f"{status}  {name:{words}}  {first}"
        yield from (f"{'':{words + 12}}{line}" for line in rest)
        if step := hint(check):
            if check.name == CheckName.OVERDUE_JOBS and check.about:
                step = step.replace(check.about[0], short_id(check.about[0]))
            yield f"{'':10}{visible(step)}"


def _number(checks: int, level: Level) -> str:
    return plural(checks, "warning") if level is Level.WARNING else f"{count(checks)} {level}"


def summary(report: HealthReport) -> str:
    """The checks that are not healthy, for the error on stderr."""
    bad = sorted(
        (check for check in report.checks if check.status in {Level.WARNING, Level.CRITICAL}),
        key=lambda check: -check.status.severity,
    )
    return "; ".join(f"{check.status}: {_words(check)}: {message(check)}" for check in bad[:_NAMED]) + "."


def _words(check: Check) -> str:
    return check.name.replace("_", " ")


# Sentences.


def message(check: Check) -> str:
    """What the check found."""
    if check.error is not None:
        return check.error.rstrip(".")
    if check.status is Level.UNKNOWN:
        return "not known without all migrations of hammerwork-cli"
    return _MESSAGES[check.name](check)


def _names(check: Check) -> str:
    more = f" and {count(len(check.about) - _NAMED)} more" if len(check.about) > _NAMED else ""
    names = [name[:8] if check.name == CheckName.OVERDUE_JOBS else name for name in check.about[:_NAMED]]
    return ", ".join(names) + more


def _measure(value: Measure | None) -> str:
    if isinstance(value, timedelta):
        return duration(value)
    return percent(value) if isinstance(value, float) else NOTHING if value is None else count(value)


def _within(text: str, *, otherwise: str = "none") -> Callable[[Check], str]:
    """A measured value in a sentence, the things that it is about, and its limit."""

    def tell(check: Check) -> str:
        if check.value is None:
            return otherwise
        limit = check.limit
        most = short_duration(limit) if isinstance(limit, timedelta) else _measure(limit)
        several = len(check.about) > 1
        up_to = "up to " if several and not isinstance(check.value, int) else ""
        value = f"{up_to}{_measure(check.value)}{'+' * check.more}"
        about = f"{_names(check)}: " if check.about else ""
        of_each = " each" if several else ""
        return f"{about}{text.format(value)}{'' if limit is None else f' (at most {most}{of_each})'}"

    return tell


def _listed(text: str, *, otherwise: str = "none") -> Callable[[Check], str]:
    """The things that it is about in a sentence."""
    return lambda check: text.format(_names(check)) if check.about else otherwise


def _database(check: Check) -> str:
    seconds = check.value.total_seconds() if isinstance(check.value, timedelta) else 0.0
    return f"answers in {seconds * 1000:,.1f} ms"


def _migrations(check: Check) -> str:
    lacks = f" ({', '.join(check.lacking)})" if check.lacking else ""
    return f"missing: {_names(check)}{lacks}" if check.about else "all applied"


def _workers(check: Check) -> str:
    return f"{_measure(check.value)} running: {_names(check)}" if check.about else "none is running"


def _held_slots(check: Check) -> str:
    if not check.value:
        return "none"
    return held_text(int(check.value) if isinstance(check.value, int) else 0, _names(check))


def _unwritten_outcomes(check: Check) -> str:
    return unwritten_text(check.unwritten, _names(check)) if check.unwritten else "none"


def _upkeep(check: Check) -> str:
    if not check.about:
        return "a worker does it, or there is nothing to do"
    return f"no worker enqueues the jobs of {' and '.join(check.about)}"


def _overdue_schedules(check: Check) -> str:
    no_upkeep = "; no worker does upkeep" if check.command and check.status is not Level.HEALTHY else ""
    return _within("its job is late by {}")(check) + no_upkeep


def _lost_jobs(check: Check) -> str:
    if not check.value:
        return "none"
    number = int(check.value) if isinstance(check.value, int) else 0
    return f"{plural(number, 'running job')} of workers that are gone, in {_names(check)}"


def _failure_rate(check: Check) -> str:
    since = "in the last hour" if check.since is None else f"since {instant(check.since)} UTC"
    return _within(f"{{}} of the jobs that ended {since} failed")(check)


def _troubles(check: Check) -> str:
    more = f"; {count(len(check.troubles) - _NAMED)} more" if len(check.troubles) > _NAMED else ""
    return "; ".join(map(_trouble, check.troubles[:_NAMED])) + more if check.troubles else "none fails"


def _trouble(trouble: Trouble) -> str:
    if trouble.what == "undelivered":
        return f"deliveries have been due for {duration(trouble.length)}, and no worker makes them"
    said = shorten(first_line(trouble.said or "no reason is stored").rstrip("."), _LONGEST_TROUBLE)
    prefix = {"disabled": "disabled: ", "failing": f"has failed for {duration(trouble.length)}: "}.get(trouble.what, "")
    return f"{trouble.name}: {prefix}{said}"


def _times_in_the_future(check: Check) -> str:
    if check.advice is not None:
        return "the clock is behind: it shows a time in the past"
    return _listed("in the future, stored by a clock that was ahead: {}")(check)


def _worker(check: Check) -> str:
    _, state = check.about
    heard = f"{state}, last heartbeat {_measure(check.value)} ago (lease {_measure(check.limit)})"
    return f"{heard}; {unwritten_text(check.unwritten)}" if check.unwritten else heard


_MESSAGES: Mapping[str, Callable[[Check], str]] = {
    CheckName.DATABASE: _database,
    CheckName.WRITES: lambda _: "the database is not read-only",
    CheckName.MIGRATIONS: _migrations,
    CheckName.WORKERS: _workers,
    CheckName.LOST_WORKERS: _listed("silent, or lost in the last hour: {}"),
    CheckName.STALLED_WORKERS: _listed("the main loop, or the thread that writes outcomes, hangs: {}"),
    CheckName.STOPPING_WORKERS: _within("stopping, and has claimed no job for {}"),
    CheckName.HELD_SLOTS: _held_slots,
    CheckName.UNWRITTEN_OUTCOMES: _unwritten_outcomes,
    CheckName.UPKEEP: _upkeep,
    CheckName.UNSERVED_QUEUES: _listed("no running worker serves the ready jobs of {} (Rust workers do not register)"),
    CheckName.PAUSED_QUEUES: _listed("ready jobs wait in {}", otherwise="none has ready jobs"),
    CheckName.PENDING: _within("{} ready"),
    CheckName.PENDING_AGE: _within("a job has been ready for {}"),
    CheckName.RUNNING_AGE: _within("a job has been running for {}"),
    CheckName.WAITING_AGE: _within("a job has waited for others for {}"),
    CheckName.LOST_JOBS: _lost_jobs,
    CheckName.UNCLAIMED_JOBS: _within("a job that no worker of hammerwork-cli has claimed has been running for {}"),
    CheckName.OVERDUE_JOBS: _within("late by {}"),
    CheckName.OVERDUE_SCHEDULES: _overdue_schedules,
    CheckName.GROWING_TREES: lambda check: "; ".join(trouble.said or "" for trouble in check.troubles) or "none",
    CheckName.RETRYING: _within("{} wait for another attempt"),
    CheckName.FAILED: _within("{} failed in the last hour"),
    CheckName.FAILURE_RATE: _failure_rate,
    CheckName.RETENTION: _listed("failed, or not run for a day: {}", otherwise="no policy fails"),
    CheckName.WEBHOOKS: _troubles,
    CheckName.STREAMS: _troubles,
    CheckName.CLOCKS: _listed(
        f"more than {WRONG_CLOCK.total_seconds():.0f} s from the database's: {{}}", otherwise="none is wrong"
    ),
    CheckName.TIMES_IN_THE_FUTURE: _times_in_the_future,
    "worker": _worker,
    "rows": _within("{} rows", otherwise="not counted"),
    "dead_rows": _within("{} of the rows are dead", otherwise="not counted"),
    "invalid_indexes": _listed("invalid: {}"),
    "open_transaction": _within("the oldest has been open for {}"),
}


# Commands.


def hint(check: Check) -> str | None:
    """The next step, as a command unless an error says a better one; ``None`` while the check is healthy."""
    if check.status is Level.HEALTHY:
        return None
    if check.status is Level.UNKNOWN:
        return FIRST
    if check.error is None and check.advice is not None:
        return check.advice
    if check.name in {CheckName.DATABASE, CheckName.WRITES} and check.error is not None:
        return check.advice
    if check.command is not None:
        return f"hammerwork {check.command}"
    # A name that a terminal would not print as it is cannot be pasted.
    names = (
        shlex.quote(name)
        for name in check.about
        if name and visible(name) == name and name[0] != "-" and "," not in name
    )
    return f"hammerwork {_HINTS[check.name](next(names, None))}"


def _of_queue(command: str, otherwise: str) -> Callable[[str | None], str]:
    return lambda queue: command.format(queue) if queue else otherwise


def _why(options: str, deliveries: str) -> Callable[[str | None], str]:
    """What explains the failures of a queue: those of deliveries are the answers of webhooks."""

    def command(queue: str | None) -> str:
        if queue == DELIVERIES:
            return f"webhook deliveries{deliveries}"
        return f"spawn why{f' --queue {queue}' if queue else ''}{options}"

    return command


def _of_webhook(name: str | None) -> str:
    if name == DELIVERIES:
        return "worker start --upkeep-only"
    return "webhook list" if name is None else f"webhook show {name}"


_HINTS: Mapping[str, Callable[[str | None], str]] = {
    CheckName.DATABASE: lambda _: "monitor health --tables",
    CheckName.MIGRATIONS: lambda _: "migration run",
    CheckName.WORKERS: lambda _: "worker list --since 7d",
    CheckName.LOST_WORKERS: lambda _: "worker list",
    CheckName.STALLED_WORKERS: _of_queue("worker status {}", "worker status"),
    CheckName.STOPPING_WORKERS: _of_queue("worker status {}", "worker list"),
    CheckName.HELD_SLOTS: _of_queue("worker status {}", "worker list"),
    CheckName.UNWRITTEN_OUTCOMES: _of_queue("worker status {}", "worker list"),
    CheckName.UPKEEP: lambda _: "worker start --upkeep-only",
    CheckName.UNSERVED_QUEUES: _of_queue("worker list --since 7d --queue {}", "worker list --since 7d"),
    CheckName.PAUSED_QUEUES: lambda _: "queue list --paused",
    CheckName.PENDING: _of_queue("queue stats {} --detailed", "queue stats --detailed"),
    CheckName.PENDING_AGE: _of_queue("queue stats {} --detailed", "queue stats --detailed"),
    CheckName.RUNNING_AGE: _of_queue("job list --queue {} --status running", "job list --status running"),
    CheckName.WAITING_AGE: _of_queue("spawn doctor --queue {}", "spawn doctor"),
    CheckName.LOST_JOBS: lambda _: "spawn doctor",
    CheckName.UNCLAIMED_JOBS: _of_queue("spawn doctor --older-than 2h --queue {}", "spawn doctor --older-than 2h"),
    CheckName.OVERDUE_JOBS: _of_queue("job show {}", "job list"),
    CheckName.OVERDUE_SCHEDULES: _of_queue("cron show {}", "cron list"),
    CheckName.RETRYING: _why("", ""),
    CheckName.FAILED: _why(" --since 1h", " --failed --since 1h"),
    CheckName.FAILURE_RATE: _why(" --since 1h", " --failed --since 1h"),
    CheckName.RETENTION: lambda _: "archive policies",
    CheckName.WEBHOOKS: _of_webhook,
    CheckName.STREAMS: _of_queue("streaming show {}", "streaming list"),
    CheckName.CLOCKS: lambda _: "worker list --format json",
    CheckName.TIMES_IN_THE_FUTURE: lambda first: (
        "spawn doctor --fix" if first and first.startswith("'jobs of ") else "worker start --upkeep-only"
    ),
    "worker": _of_queue("worker status {}", "worker status"),
    "rows": lambda _: "job purge --all --tree --older-than 30d --dry-run",
    "dead_rows": lambda _: "maintenance vacuum",
    "invalid_indexes": lambda _: "maintenance reindex",
    "open_transaction": lambda _: "maintenance sizes",
}
