"""What a spawn handler would spawn, as text and as JSON."""

import json
from collections.abc import Iterator
from datetime import timedelta

from hammerwork_cli.models import NewJob, rfc3339
from hammerwork_cli.models.spawning.rehearsal import Level, Limit, Rehearsal, RehearsedFailure
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column, table_text
from hammerwork_cli.render.formats.text import count, duration, fitted, plural, short_id, shorten, visible

_NAME_CELLS = 30
_WIDTH = 80


def rehearsal_record(found: Rehearsal) -> Record:
    """A rehearsal.

    Keys: ``job`` (id, or null), ``queue``, ``handler`` (null if none ran), ``children``, ``early`` (those by key),
    ``bytes`` (of the payloads), ``complete`` (false if ``--max`` stopped a handler), ``seconds``, ``levels``
    (``level``, ``parents``, ``children``, ``by_queue``), ``shape``, ``limits`` (``limit``, ``allowed``, ``used``,
    ``left``), ``enqueued`` (queue -> jobs that are not children), ``first`` (the first children of the job),
    ``failures`` (``level``, ``queue``, ``parents``, ``code``, ``message``, ``hint``).
    """
    return {
        "job": found.job,
        "queue": found.queue,
        "handler": found.handler,
        "children": found.children,
        "early": found.early,
        "bytes": found.bytes,
        "complete": found.complete,
        "seconds": round(found.seconds, 6),
        "levels": [_level_record(number, level) for number, level in enumerate(found.levels, 1)],
        "shape": {
            "after_parent": found.shape.after_parent,
            "after_siblings": found.shape.after_siblings,
            "after_others": found.shape.after_others,
            "longest_chain": found.shape.longest_chain,
        },
        "limits": [
            {"limit": limit.name, "allowed": limit.allowed, "used": limit.used, "left": limit.left}
            for limit in found.limits
        ],
        "enqueued": dict(sorted(found.enqueued.items())),
        "first": [_child_record(child, found.keys.get(child.id)) for child in found.first],
        "failures": [
            {
                "level": failure.level,
                "queue": failure.queue,
                "parents": failure.parents,
                "code": failure.code,
                "message": failure.message,
                "hint": failure.hint,
            }
            for failure in found.failures
        ],
    }


def _level_record(number: int, level: Level) -> Record:
    return {
        "level": number,
        "parents": level.parents,
        "children": level.children,
        "by_queue": [
            {"queue": queue, "jobs": jobs, "bytes": level.bytes[queue]} for queue, jobs in sorted(level.jobs.items())
        ],
    }


def _child_record(child: NewJob, key: str | None) -> Record:
    return {
        "id": child.id,
        "queue": child.queue,
        "key": key,
        "priority": child.priority.word,
        "scheduled_at": rfc3339(child.scheduled_at),
        "depends_on": list(child.depends_on),
        "payload": json.loads(child.payload),
    }


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
        yield fitted(f"Besides, it would enqueue jobs that are not children: {jobs}.", width)
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
    early = f", {count(found.early)} of them by key" if found.early else ""
    spawned = f"Would spawn {least}{plural(found.children, 'job')}{early}"
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
        Column("limit", lambda limit: limit.name),
        Column("allowed", lambda limit: "none" if limit.allowed is None else count(limit.allowed), align="right"),
        Column("used", lambda limit: count(limit.used), align="right"),
        Column("left", lambda limit: None if limit.left is None else count(limit.left), align="right"),
    ]
    return table_text(limits, columns, terminal=width is not None, width=width, colour=colour)


def _child(child: NewJob, key: str | None, width: int) -> str:
    name = shorten(visible(child.queue), _NAME_CELLS)
    by_key = f" {shorten(visible(key), _NAME_CELLS)}" if key else ""
    return shorten(f"  {name}{by_key}  {visible(child.payload)}", width)
