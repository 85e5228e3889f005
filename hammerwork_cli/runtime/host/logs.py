"""The log of a worker on stderr: one line per event."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.runtime.host.secrets import masked
from hammerwork_cli.view.text import short_id, visible

if TYPE_CHECKING:
    from hammerwork_cli.features.worker.queries.claim import Claimed

TRACE = logging.DEBUG - 5
LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_THE_JOB = re.compile(r"\b[Tt]he job\b")
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


def configure(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Sends the log of the worker, and that of its handlers unless they configured logging, to stderr.

    ``debug`` is for the worker; ``trace`` also shows the debug lines of handlers and of the libraries that they use.

    Args:
        level: a word of :data:`LEVELS`.
        as_json: one JSON object per line.
        stream: instead of stderr.
    """
    # A closed stderr is not an error of the log.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    ours, everything = logging.getLogger("hammerwork"), logging.getLogger()
    ours.handlers, ours.propagate, ours.disabled = [handler], False, False
    ours.setLevel(LEVELS[level])
    if not everything.handlers:
        everything.addHandler(handler)
        everything.setLevel(logging.DEBUG if level == "trace" else max(LEVELS[level], logging.INFO))
    logging.captureWarnings(True)


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
    """``2026-11-24T14:18:25.393217Z warn  a message``, followed by an exception in a few words.

    A line of a handler has the queue and the id of its job before the message. A line about a job names it: messages
    themselves hold no ids, so that programs that collect errors can group them.
    """

    def format(self, record: logging.LogRecord) -> str:
        source = "" if record.name == "hammerwork" else f"{record.name}: "
        if job := HANDLED.get():
            source += f"[{job.queue_name} {short_id(job.id)}] "
        line = f"{_time(record)} {_level(record):5} {source}{named(record)}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            what = "" if str(error) in line else f"{type(error).__name__}: {error}"
            while not what and error.__cause__ is not None:  # the message has it, and lacks where it came from
                error = error.__cause__
            frames = traceback.extract_tb(error.__traceback__)
            place = f"in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
            said = " ".join(part for part in (what, place) if part)
            line += f" ({said})" if said else ""
        return visible(masked(line))


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


def named(record: logging.LogRecord) -> str:
    """Returns the message of a record, with the name of the job that it is about."""
    message, job = record.getMessage(), getattr(record, "job_id", None)
    if job is None or record.name != "hammerwork":
        return message
    name = f"{job} ({getattr(record, 'queue', '')})"
    text, found = _THE_JOB.subn(lambda words: f"{'Job' if words[0][0] == 'T' else 'job'} {name}", message, count=1)
    return text if found else f"Job {name}: {message}"


def _time(record: logging.LogRecord) -> str:
    return str(rfc3339(datetime.fromtimestamp(record.created, UTC)))


def _level(record: logging.LogRecord) -> str:
    return {"warning": "warn", "critical": "error"}.get(record.levelname.lower(), record.levelname.lower())
