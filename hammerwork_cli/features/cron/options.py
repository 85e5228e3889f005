"""The options of a schedule, as the command line, files, the web and applications have them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.cron.expressions import EVERY, Expression
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.input.reading import duration_of, instant_of
from hammerwork_cli.core.values import JobPriority, length_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.model import CatchUp, NewSchedule, Overlap, Schedule
from hammerwork_cli.features.job.options import OPTION, SPAWNING, wanted_job

NOT_GIVEN = "none"
"""The word that takes a start or an end away."""
_LONGEST = timedelta(days=366)
_FORM = 'Write [report] and below it schedule = "30 2 * * *" and payload = {kind = "nightly"}.'


def read_schedule(
    given: Mapping[str, Any], base: NewSchedule | None = None, *, payload: str | None = None
) -> NewSchedule:
    """Reads the options of a schedule; ``None`` leaves what ``base`` or the default says.

    Args:
        given: option -> value: those of :data:`OPTIONS`. Durations are text, or numbers of seconds.
        payload: the payload as it was written, to be stored unchanged unless it gets a spawn configuration.
    """
    unknown = sorted(given.keys() - OPTIONS.keys())
    if unknown:
        raise UsageError(f"{unknown[0][:40]!r} is not an option of a schedule.", hint=f"One of: {', '.join(OPTIONS)}.")
    options = {name: value for name, value in given.items() if value is not None}
    known = {} if base is None else {name: getattr(base, field) for name, field in STORED.items()}
    if base is not None:
        known["payload"] = json.loads(base.payload)
    if "payload" not in options and not options.keys() & SPAWNING:
        payload = None if base is None else base.payload
    job = wanted_job({**known, **{name: options[name] for name in _OF_JOBS if name in options}}, payload=payload)
    new = base or NewSchedule(name=job.queue, queue=job.queue, payload="", expression=_NEVER)
    new = replace(
        new,
        queue=job.queue,
        payload=job.payload,
        expression=_expression(options, base),
        **{field: _stored(job.rest[name]) for name, field in STORED.items() if name in job.rest},
    )
    for name, field, read in _READ:
        if name in options:
            new = replace(new, **{field: read(options[name], name)})
    return new


def job_options(schedule: NewSchedule | Schedule) -> dict[str, Any]:
    """The options of its jobs, beside the queue and the payload, as :meth:`NewJob.of` takes them.

    They are as they are stored: a job of hammerwork (Rust) that became a schedule may have what no option could say,
    such as a timeout of 0 s.
    """
    kept = {name: getattr(schedule, field) for name, field in STORED.items() if name not in {"queue", "payload"}}
    return {**kept, "priority": JobPriority(schedule.priority), "timeout": length_of(schedule.timeout_seconds)}


def read_schedules(tables: Any) -> list[NewSchedule]:
    """Reads the schedules of a file: name -> options, as :func:`read_schedule` has them. The queue may be left out."""
    if not isinstance(tables, dict):
        raise UsageError("A file of schedules is a table: a name and its options for each.", hint=_FORM)
    found = []
    for name, options in tables.items():
        if not isinstance(options, dict):
            raise UsageError(f"{name!r:.80} is not a table of options of a schedule.", hint=_FORM)
        if "name" in options:
            raise UsageError(f"{name!r:.80}: a schedule is named like its table, so leave out name.", hint=_FORM)
        given = {"queue": name, "payload": {}, **options, "name": name}
        try:
            found.append(
                read_schedule(given, payload=json.dumps(given["payload"], ensure_ascii=False, allow_nan=False))
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"{name!r:.80}: JSON cannot hold the payload: {error}.") from error
        except UsageError as error:
            raise UsageError(f"{name!r:.80}: {error.message}", hint=error.hint) from error
    return found


def _stored(value: Any) -> Any:
    return fields.whole_seconds(value) if isinstance(value, timedelta) else value


_NEVER = Expression("0 0 1 1 *", "unix")


def _expression(options: Mapping[str, Any], base: NewSchedule | None) -> Expression:
    if "schedule" in options and "every" in options:
        raise UsageError("Give schedule or every, not both.")
    text = None if base is None else base.expression.text
    if "schedule" in options:
        text = fields.text(options["schedule"], "schedule")
    elif "every" in options:
        text = f"{EVERY}{options['every']}"
    if text is None:
        raise UsageError(
            "No cron expression or interval was given.", hint='Add --schedule "30 2 * * *" or --every 45m.'
        )
    zone = options.get("timezone", None if base is None else base.expression.timezone)
    return Expression.of(text, None if zone is None else fields.text(zone, "timezone"))


def _name(given: Any, name: str) -> str:
    found = fields.text(given, name)
    if not found.strip():
        raise UsageError("The name of a schedule is empty.")
    return found


def _word(kind: type[StrEnum]) -> Callable[[Any, str], StrEnum]:
    def read(given: Any, name: str) -> StrEnum:
        word = str(given).strip().lower().replace("_", "-")
        if word not in [*kind]:
            raise UsageError(f"{str(given)[:40]!r} is not a value of {name}.", hint=f"One of: {', '.join(kind)}.")
        return kind(word)

    return read


def _seconds(given: Any, name: str) -> int:
    length = fields.duration(duration_of(str(given)), name, _LONGEST)
    return fields.whole_number(round(length.total_seconds()), name, 0, LARGEST_INTEGER)


def _at(given: Any, name: str) -> datetime | None:
    if isinstance(given, datetime):  # a time of TOML
        return fields.instant(given, name)
    text = fields.text(given, name)
    return None if text.strip().lower() == NOT_GIVEN else instant_of(text)


def _flag(given: Any, name: str) -> bool:
    if not isinstance(given, bool):
        raise UsageError(f"{name} must be true or false, not {given!r:.60}.")
    return given


class ScheduleOption(NamedTuple):
    """An option of a schedule, as each door has it."""

    name: str
    metavar: str = ""
    help: str = ""
    read: Callable[[Any, str], Any] | None = None  # makes a field of `NewSchedule` of the value
    field: str = ""  # there, if it has another name
    flags: tuple[str, ...] = ()  # by default, the name with two hyphens


NAME = ScheduleOption("name", "NAME", "Its name. [default: that of the queue]", _name)
ENABLED = ScheduleOption("enabled", read=_flag)
SCHEDULE_OPTIONS: tuple[ScheduleOption | str, ...] = (
    "queue",
    "payload",
    ScheduleOption(
        "schedule", "CRON", 'Due times: "30 2 * * Mon-Fri", @daily; see `cron check`.', flags=("-s", "--schedule")
    ),
    ScheduleOption("every", "DURATION", "Interval instead of a cron expression: 45m, 6h."),
    ScheduleOption("timezone", "ZONE", "Time zone, such as Europe/Oslo.", flags=("-z", "--timezone")),
    "priority",
    ScheduleOption("description", "TEXT", "Description to show.", fields.text),
    "max_attempts",
    "timeout",
    ScheduleOption("overlap", "HOW", "While a job is open: skip, skip-tree, allow.", _word(Overlap)),
    ScheduleOption("catch_up", "HOW", "After an outage, run: last, none, all.", _word(CatchUp)),
    ScheduleOption("grace", "DURATION", "With --catch-up none: maximum lateness.", _seconds, "grace_seconds"),
    ScheduleOption(
        "jitter",
        "DURATION",
        "Delay its jobs by a fixed part of this time, the same for all.",
        _seconds,
        "jitter_seconds",
    ),
    ScheduleOption("starts", "TIME", "First due time, or none: 2026-12-24T18:00:00Z.", _at, "starts_at"),
    ScheduleOption("ends", "TIME", "Last due time, or none.", _at, "ends_at"),
    "spawn_handler",
    "spawn_config",
    "max_spawn_count",
)
"""Those that ``cron create`` and ``cron update`` share, in order. A name stands for an option of its jobs."""
_OF_JOBS = [option for option in SCHEDULE_OPTIONS if isinstance(option, str)]
OWN_OPTIONS = [NAME, *(option for option in SCHEDULE_OPTIONS if not isinstance(option, str)), ENABLED]
_READ = [(option.name, option.field or option.name, option.read) for option in OWN_OPTIONS if option.read]
STORED = {name: OPTION[name].field or name for name in _OF_JOBS if name not in SPAWNING}
"""Options of its jobs that a schedule keeps -> the field of `NewSchedule`; the others are in the payload."""
OPTIONS = dict.fromkeys((*_OF_JOBS, *(option.name for option in OWN_OPTIONS)))
"""Names of all options."""
