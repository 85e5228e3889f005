"""The log of a worker on stderr: one line per event, and the tracebacks of errors."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.runtime.host.secrets import masked
from hammerwork_cli.runtime.host.terminal import TerminalHandler
from hammerwork_cli.runtime.host.tracebacks import shown_trace
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.text import count, duration, instant, short_id, visible, visible_lines

if TYPE_CHECKING:
    from hammerwork_cli.features.worker.queries.claim import Claimed
    from hammerwork_cli.features.worker.queries.finish import EndedAttempt

TRACE = logging.DEBUG - 5
LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_THE_JOB = re.compile(r"\b[Tt]he job\b")
_SHOWN = {"completed": "done", "snoozed": "snoozed", "cancelled": "cancelled"}
"""Ends of attempts that are no failures -> the word for them on a terminal."""
_COLOURS = {"done": "green", "retry": "yellow", "recurs": "yellow", "dead": "red"}
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Fields of every record; all others were given as ``extra``."""


HANDLED: ContextVar["Claimed | None"] = ContextVar("hammerwork_handled_job", default=None)
"""The job whose handler runs; set in the context of each call."""


def handled(job: "Claimed") -> dict[str, object]:
    """Returns a job as fields of a record that is about it, for ``extra``."""
    fields: dict[str, object] = {
        "job_id": job.id,
        "queue": job.queue_name,
        "attempt": job.attempts,
        "worker": job.claim.worker,
    }
    return fields | {"trace_id": job.trace_id} if job.trace_id else fields


def configure(level: str, *, as_json: bool, stream: TextIO | None = None, colour: bool = False) -> None:
    """Sends the log of the worker, and that of its handlers unless they configured logging, to stderr.

    ``debug`` is for the worker; ``trace`` also shows the debug lines of handlers and of the libraries that they use.

    Args:
        level: a word of :data:`LEVELS`.
        as_json: one JSON object per line.
        stream: instead of stderr. A terminal gets short lines, and one for each attempt that completes.
        colour: whether a terminal knows colours.
    """
    # A closed stderr is not an error of the log.
    logging.raiseExceptions = False
    stream = stream or sys.stderr
    handler: logging.Handler
    if stream.isatty() and not as_json:
        handler = TerminalHandler(stream, _tell_more)
        handler.setFormatter(TerminalLines(colour=colour))
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines() if as_json else TextLines())
    ours, everything = logging.getLogger("hammerwork"), logging.getLogger()
    ours.handlers, ours.propagate, ours.disabled = [handler], False, False
    ours.setLevel(LEVELS[level])
    if not everything.handlers:
        everything.addHandler(handler)
        everything.setLevel(logging.DEBUG if level == "trace" else max(LEVELS[level], logging.INFO))
    logging.captureWarnings(True)


def show_ends(outcomes: "Iterable[EndedAttempt]") -> None:
    """Logs the attempts that completed, on a terminal; the worker itself logs failures, and with ``debug`` all."""
    log = logging.getLogger("hammerwork")
    terminal = next((handler for handler in log.handlers if isinstance(handler, TerminalHandler)), None)
    if terminal is None or log.isEnabledFor(logging.DEBUG) or not log.isEnabledFor(logging.INFO):
        return
    with suppress(BaseException):  # they are written: an error of the log changes nothing
        ends = [outcome for outcome in outcomes if outcome.end in _SHOWN]
        for number, outcome in enumerate(ends):
            if terminal.leaves_out(len(ends) - number):
                break
            is_back = outcome.end == "snoozed"
            said = f"until {instant(outcome.at)}" if is_back else duration(timedelta(seconds=outcome.took or 0))
            log.info("The job: %s", said, extra=handled(outcome.job) | {"outcome": _SHOWN[outcome.end]})


def tell_more() -> None:
    """Says on a terminal how many attempts were not shown."""
    for handler in logging.getLogger("hammerwork").handlers:
        if isinstance(handler, TerminalHandler):
            handler.tell()


def _tell_more(attempts: int, failed: int) -> None:
    failures = f", {count(failed)} of them failed" if failed else ""
    logging.getLogger("hammerwork").info("… and %s more%s.", count(attempts), failures)


def dropped_note(*, as_json: bool) -> Callable[[int], str]:
    """A function that makes the line about dropped lines of the log."""
    formatter = JsonLines() if as_json else TextLines()

    def note(lines: int) -> str:
        says = f"{lines:,} lines were dropped: no program read them, or they could not be written."
        record = logging.LogRecord("hammerwork", logging.WARNING, "", 0, says, None, None)
        return formatter.format(record) + "\n"

    return note


def settings() -> tuple[str, bool] | None:
    """The level, and whether the log is JSON; ``None`` when the log was not configured here."""
    ours = logging.getLogger("hammerwork")
    for handler in ours.handlers:
        if isinstance(handler.formatter, JsonLines | TextLines):
            word = next(word for word, level in LEVELS.items() if level >= ours.level)
            return word, isinstance(handler.formatter, JsonLines)
    return None


@contextmanager
def silent() -> Iterator[None]:
    """Keeps the log of a worker off the terminal of a program that shows its progress otherwise."""
    ours = logging.getLogger("hammerwork")
    before, ours.disabled = ours.disabled, True
    try:
        yield
    finally:
        ours.disabled = before


class TextLines(logging.Formatter):
    """``2026-11-24T14:18:25.393217Z warn  a message``, above the traceback of its exception.

    A line of a handler has the queue and the id of its job before the message. A line about a job names it: messages
    themselves hold no ids, so that programs that collect errors can group them.
    """

    def format(self, record: logging.LogRecord) -> str:
        source = "" if record.name == "hammerwork" else f"{record.name}: "
        if job := HANDLED.get():
            source += f"[{job.queue_name} {short_id(job.id)}] "
        line, trace = f"{source}{self.named(record)}", ""
        if error := record.exc_info[1] if record.exc_info else None:
            if str(error).partition("\n")[0] not in line:
                line += f" ({type(error).__name__}: {error})"
            trace = visible_lines(masked(shown_trace(error)).rstrip("\n"))
        return "\n    ".join((f"{self.head(record)} {visible(masked(line))}", *trace.splitlines()))

    def head(self, record: logging.LogRecord) -> str:
        """What each line begins with."""
        return f"{_time(record)} {_level(record):5}"

    def named(self, record: logging.LogRecord) -> str:
        """The message of a record, with the name of the job that it is about."""
        return named(record)


class TerminalLines(TextLines):
    """``14:18:25Z done  mail 3f2a9c1b: 12 ms``, for somebody who watches."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def head(self, record: logging.LogRecord) -> str:
        """The time of the day in UTC, and what became of an attempt, or the level."""
        word = str(getattr(record, "outcome", "") if record.name == "hammerwork" else "") or _level(record)
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%H:%M:%S}Z {paint(visible(f'{word:5}'), _COLOURS.get(word), self._colour)}"

    def named(self, record: logging.LogRecord) -> str:
        """The same, with a short name of the job."""
        return named(record, f"{getattr(record, 'queue', '')} {str(getattr(record, 'job_id', ''))[:8]}")


class JsonLines(logging.Formatter):
    """An object with ``time``, ``level``, ``logger``, ``message``, ``error`` (a traceback), and ``extra``.

    A line of a handler, or about an attempt, has ``job_id``, ``queue``, ``attempt``, ``worker`` and ``trace_id``.
    """

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record),
            "level": _level(record),
            "logger": record.name,
            "message": record.getMessage(),
            **(handled(job) if (job := HANDLED.get()) else {}),
            **{key: value for key, value in vars(record).items() if key not in _OWN},
        }
        if record.exc_info:
            event["error"] = self.formatException(record.exc_info)
        return masked(json.dumps(event, default=str))


def named(record: logging.LogRecord, short: str | None = None) -> str:
    """Returns the message of a record, with the name of the job that it is about.

    Args:
        short: the name, instead of the whole id and the queue.
    """
    message, job = record.getMessage(), getattr(record, "job_id", None)
    if job is None or record.name != "hammerwork":
        return message
    name = f"{job} ({getattr(record, 'queue', '')})"
    text, found = _THE_JOB.subn(
        lambda words: short or f"{'Job' if words[0][0] == 'T' else 'job'} {name}", message, count=1
    )
    return text if found else f"{short or f'Job {name}'}: {message}"


def _time(record: logging.LogRecord) -> str:
    return str(rfc3339(datetime.fromtimestamp(record.created, UTC)))


def _level(record: logging.LogRecord) -> str:
    return {"warning": "warn", "critical": "error"}.get(record.levelname.lower(), record.levelname.lower())
