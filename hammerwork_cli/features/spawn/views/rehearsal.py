"""What a spawn handler would spawn, as text and as JSON."""

import json
from collections.abc import Iterator
from datetime import timedelta
from operator import itemgetter
from typing import NamedTuple

from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.spawn.models.rehearsal import (
    Limit,
    Rehearsal,
    RehearsedFailure,
    RehearsedLevel,
    SpawnShape,
)
from hammerwork_cli.features.spawn.models.why import LIMITS
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, table_text
from hammerwork_cli.view.text import count, duration, fitted, plural, short_id, shorten, visible

_NAME_CELLS = 30
_WIDTH = 80


class _NumberedLevel(NamedTuple):
    number: int
    level: RehearsedLevel


class _Child(NamedTuple):
    job: NewJob
    key: str | None


_BY_QUEUE = Shape[tuple[str, int, int]](
    {
        "queue": key.text().of(itemgetter(0)),
        "jobs": key.count().of(itemgetter(1)),
        "bytes": key.count("Bytes of their payloads").of(itemgetter(2)),
    }
)
_LEVEL = Shape[_NumberedLevel](
    {
        "level": key.count("1 for the children of the job").of("number"),
        "parents": key.count("Jobs whose spawn handlers ran").of("level.parents"),
        "children": key.count().of("level.children"),
        "by_queue": key.list_of(_BY_QUEUE).of(
            lambda one: [(queue, jobs, one.level.bytes[queue]) for queue, jobs in sorted(one.level.jobs.items())]
        ),
    }
)
_SHAPE = Shape[SpawnShape](
    {
        "after_parent": key.count("Children of the job that wait for no sibling"),
        "after_siblings": key.count("Those that do"),
        "after_others": key.count("Those that wait for other jobs too"),
        "longest_chain": key.count("Longest chain of children that run one after the other"),
    }
)
_LIMIT = Shape[Limit](
    {
        "limit": key.text("", *LIMITS).of("name"),
        "allowed": key.null_or(key.number("Null without a limit")),
        "used": key.count(),
        "left": key.null_or(key.number("Negative if the limit would be exceeded")),
    }
)
_CHILD = Shape[_Child](
    {
        "id": key.job_id().of("job.id"),
        "queue": key.text().of("job.queue"),
        "key": key.null_or(key.text("Key of an early child")),
        "priority": key.priority().of("job.priority.word"),
        "scheduled_at": key.null_or(key.instant()).of("job.scheduled_at"),
        "depends_on": key.list_of(key.job_id()).of("job.depends_on"),
        "payload": key.anything().of(lambda child: json.loads(child.job.payload)),
    }
)
_FAILURE = Shape[RehearsedFailure](
    {
        "level": key.count("1 for the job itself"),
        "queue": key.text("Queue of the parent"),
        "parents": key.count("Jobs with this failure"),
        "code": key.text(),
        "message": key.text(),
        "hint": key.null_or(key.text()),
    }
)
REHEARSAL = Shape[Rehearsal](
    {
        "job": key.null_or(key.job_id("Null for a job that was only described")),
        "queue": key.text(),
        "handler": key.null_or(key.text("Name of the spawn handler; null if none was found")),
        "children": key.count("Children on all levels"),
        "early": key.count("Children of the job by key"),
        "bytes": key.count("Bytes of all payloads"),
        "complete": key.flag("Whether the handlers were read to their end"),
        "seconds": key.seconds("Run time of the handlers", digits=6),
        "levels": key.list_of(_LEVEL).of(
            lambda found: [_NumberedLevel(number, level) for number, level in enumerate(found.levels, 1)]
        ),
        "shape": _SHAPE,
        "limits": key.list_of(_LIMIT, "The parent with the least room"),
        "enqueued": key.counts("Jobs that are not children, by queue", in_order=True),
        "first": key.list_of(_CHILD, "The first 20 children of the job").of(
            lambda found: [_Child(child, found.keys.get(child.id)) for child in found.first]
        ),
        "failures": key.list_of(_FAILURE, "10 at most"),
    }
)


def rehearsal_text(found: Rehearsal, *, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Yields the children by queue, the limits, the first children, and the failures."""
    yield fitted(_head(found), width)
    yield fitted(_figures(found), width)
    for failure in found.failures:
        yield ""
        yield from _failure(failure, width, colour)
    rows = [(number, queue) for number, level in enumerate(found.levels, 1) for queue in sorted(level.jobs)]
    if rows:
        yield ""
        yield _by_queue(found, rows, width, colour)
    if found.limits:
        yield ""
        yield _limits(found.limits, width, colour)
    if found.enqueued:
        yield ""
        jobs = ", ".join(f"{count(jobs)} in {visible(queue)}" for queue, jobs in sorted(found.enqueued.items()))
        yield fitted(f"It would also enqueue jobs that are not children: {jobs}.", width)
    if found.first:
        yield ""
        yield paint("First children", "bold", colour)
        for child in found.first:
            yield _child(child, found.keys.get(child.id), width or _WIDTH)
        if found.levels[0].children > len(found.first):
            yield f"  … {count(found.levels[0].children - len(found.first))} more"


def _head(found: Rehearsal) -> str:
    name = f"{shorten(visible(found.queue), _NAME_CELLS)}{f' {short_id(found.job)}' if found.job else ''}"
    if found.handler is None:
        return name
    return f"{name} · spawn handler {shorten(visible(found.handler), _NAME_CELLS)}"


def _figures(found: Rehearsal) -> str:
    least = "" if found.complete else "at least "
    early = f", {count(found.early)} of them early, by key" if found.early else ""
    spawned = f"Would spawn {least}{plural(found.children, 'job')}{early}"
    if any(failure.level == 1 for failure in found.failures):
        only = f"only {plural(found.early, 'job')}, early, by key"
        spawned = f"Would spawn {only if found.early else 'nothing'}"
    parts = [spawned, plural(found.bytes, "byte"), f"in {duration(timedelta(seconds=found.seconds))}"]
    shape = found.shape
    if shape.after_siblings:
        wait = f"{count(shape.after_siblings)} {_wait(shape.after_siblings)} for siblings"
        parts.append(f"{wait}, {count(shape.longest_chain)} in the longest chain")
    if shape.after_others:
        parts.append(f"{count(shape.after_others)} {_wait(shape.after_others)} for other jobs")
    return f"{' · '.join(parts)}. Nothing was written."


def _wait(jobs: int) -> str:
    return "waits" if jobs == 1 else "wait"


def _failure(failure: RehearsedFailure, width: int | None, colour: bool) -> Iterator[str]:
    where = "" if failure.level == 1 else f" · {plural(failure.parents, 'parent')} in {visible(failure.queue)}"
    title = f"Would fail{where}"
    yield paint(title, "red", colour)
    yield fitted(f"  {visible(failure.message)}", width)
    if failure.hint:
        yield fitted(f"  {visible(failure.hint)}", width)


def _by_queue(found: Rehearsal, rows: list[tuple[int, str]], width: int | None, colour: bool) -> str:
    columns: list[Column[tuple[int, str]]] = [
        Column("level", lambda row: row[0], align="right"),
        Column("queue", lambda row: row[1], cuts=True),
        Column("jobs", lambda row: count(found.levels[row[0] - 1].jobs[row[1]]), align="right"),
        Column("bytes", lambda row: count(found.levels[row[0] - 1].bytes[row[1]]), align="right"),
    ]
    shown = columns if len(found.levels) > 1 else columns[1:]
    return table_text(rows, shown, terminal=width is not None, width=width, colour=colour)


def _limits(limits: tuple[Limit, ...], width: int | None, colour: bool) -> str:
    columns: list[Column[Limit]] = [
        column(_LIMIT, "limit"),
        Column("allowed", lambda limit: "none" if limit.allowed is None else count(limit.allowed), align="right"),
        column(_LIMIT, "used", is_count=False),
        Column("left", lambda limit: None if limit.left is None else count(limit.left), align="right"),
    ]
    return table_text(limits, columns, terminal=width is not None, width=width, colour=colour)


def _child(child: NewJob, name_by: str | None, width: int) -> str:
    name = shorten(visible(child.queue), _NAME_CELLS)
    by_key = f" {shorten(visible(name_by), _NAME_CELLS)}" if name_by else ""
    return shorten(f"  {name}{by_key}  {visible(child.payload)}", width)
