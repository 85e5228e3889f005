"""Enqueues the jobs of a file of JSON lines: all of them, or in parts that can be continued."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Any, NamedTuple

from hammerwork_cli.core.input.problems import LineError, Problems
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, advise
from hammerwork_cli.features.job.lines import numbered, wanted_in
from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue, limits, notifications
from hammerwork_cli.features.job.queries.encryption import refuse_plaintext

PART = 10_000
"""Jobs of a transaction. A larger file is enqueued in several."""


class Part(NamedTuple):
    """Jobs that were enqueued together."""

    last_line: int  # number of the line of the last one
    jobs: list[EnqueuedJob]  # one for each line, in order


def run(
    database: Database, file: IO[bytes], defaults: Mapping[str, Any], now: datetime, *, after: int = 0
) -> Iterator[Part]:
    """Enqueues the jobs of a file, a part in each transaction, and yields each part when it is committed.

    All lines are checked before the first is written. A job may depend on jobs of its own part and of those before.
    Raises LineError if lines are not valid. Raises HammerworkError if a part cannot be enqueued. Those before stay, and
    the details have their last line.

    Args:
        file: a binary file that can be read twice.
    """
    first = _checked(database, file, defaults, now, after)
    done = after
    parts = iter([first] if first else []) if first is not None else _parts(file, defaults, now, after)
    for lines in parts:
        try:
            part = _enqueue(database, lines)
        except HammerworkError as error:
            if done > after:
                error.details["after_line"] = done
                advise(error, f"Lines 1 to {done} are done: --after-line {done}")
            raise
        done = part.last_line
        yield part


def valid(
    database: Database,
    file: IO[bytes],
    defaults: Mapping[str, Any],
    now: datetime,
    problems: Problems,
    *,
    after: int = 0,
) -> Iterator[tuple[int, NewJob]]:
    """Yields the jobs of a file of JSON lines, each with the number of its line.

    Raises LineError: see :class:`Problems`; or a line is too long.

    Args:
        problems: gets the lines that are not valid.
    """
    asked: set[str] = set()
    for number, line in numbered(file, after):
        try:
            job = wanted_in(line, defaults).made(now)
            limits.check(database, job)
            if job.queue not in asked:
                refuse_plaintext(database, [job])
                asked.update([job.queue] if job.encryption is None and not job.plaintext_meant else ())
        except HammerworkError as error:
            problems.add(number, error)
        else:
            yield number, job


def _checked(
    database: Database, file: IO[bytes], defaults: Mapping[str, Any], now: datetime, after: int
) -> list[tuple[int, NewJob]] | None:
    """Checks all lines; returns their jobs if one part has them all."""
    problems = Problems(LineError)
    first: list[tuple[int, NewJob]] = []
    jobs = 0
    for number, job in valid(database, file, defaults, now, problems, after=after):
        jobs += 1
        if jobs <= PART:
            first.append((number, job))
    problems.refuse()
    return first if jobs <= PART else None


def _parts(
    file: IO[bytes], defaults: Mapping[str, Any], now: datetime, after: int
) -> Iterator[list[tuple[int, NewJob]]]:
    part: list[tuple[int, NewJob]] = []
    for number, line in numbered(file, after):
        part.append((number, wanted_in(line, defaults).made(now)))
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def _enqueue(database: Database, lines: list[tuple[int, NewJob]]) -> Part:
    jobs = [job for _, job in lines]
    for job in jobs:
        job.plaintext_meant = True  # asked for every line before the first part, which may have encrypted some
    placed = enqueue.many(database, jobs)
    notifications.notify(database, {job.queue for job in placed.values() if job.created})
    return Part(lines[-1][0], [placed[job.id] for job in jobs])
