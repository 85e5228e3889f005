"""Backups: what was written, restored, copied and compared."""

from collections.abc import Iterator, Mapping, Sequence

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.models import Counts
from hammerwork_cli.models.backup.plan import CopyComparison, FileSummary, Restored
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import count, instant, plural, statuses, visible

FILE_KEYS = ("name", "bytes", "kind", "created_at", "server")
FILE_COLUMNS: Sequence[Column[Record]] = (
    Column("file", lambda row: row["name"], cuts=True),
    Column("bytes", lambda row: count(row["bytes"]), "right"),
    Column("has", lambda row: row["kind"]),
    Column("created at (UTC)", lambda row: instant(row["created_at"])),
    Column("from", lambda row: row["server"], leaves=1),
)


_NOUNS = {
    "workflows": ("workflow", "workflows"),
    "batches": ("batch", "batches"),
    "jobs": ("job", "jobs"),
    "archive": ("archived job", "archived jobs"),
    "operations": ("operation", "operations"),
    "children": ("spawn key", "spawn keys"),
    "requests": ("spawn request", "spawn requests"),
    "attempts": ("attempt", "attempts"),
    "schedules": ("schedule", "schedules"),
    "runs": ("schedule run", "schedule runs"),
    "callbacks": ("callback", "callbacks"),
    "policies": ("retention policy", "retention policies"),
    "pauses": ("pause", "pauses"),
}


def _listed(counts: Mapping[str, int]) -> str:
    """Records by table: ``41 jobs, 5 operations``."""
    named = [plural(number, *_NOUNS[word]) for word, number in counts.items() if number and word in _NOUNS]
    counters = sum(number for word, number in counts.items() if word not in _NOUNS)
    return ", ".join(named + ([plural(counters, "counter")] if counters else [])) or "no records"


def created_record(counts: Mapping[str, int], path: str) -> Record:
    """A backup. Keys: ``file``, ``records`` (object: table of the file -> rows)."""
    return {"file": path, "records": dict(counts)}


def created_text(counts: Mapping[str, int], path: str) -> str:
    """The same in a sentence."""
    return f"Wrote {_listed(counts)}{'' if path == '-' else f' to {visible(path)}'}."


def unknown_tables_text(found: Mapping[str, int]) -> Iterator[str]:
    """Tables that are left out because nobody knows what they are."""
    for name, rows in found.items():
        yield f"{visible(name)}, which this version does not know, is left out: {plural(rows, 'row')}."


def file_record(name: str, size: int, found: FileSummary) -> Record:
    """A file of a list. Keys: ``name``, ``bytes``, ``kind`` (``backup`` or ``tree``), ``created_at``, ``server``."""
    header = {key: value if isinstance(value, str) else None for key, value in found.header.items()}
    return {"name": name, "bytes": size, **{key: header.get(key) for key in ("kind", "created_at", "server")}}


def verified_record(path: str, found: FileSummary | HammerworkError) -> Record:
    """A file that was read to its end.

    Keys: ``file``, ``whole``, ``error`` (null if it is whole), ``kind``, ``created_at``, ``server``, ``records``
    (object: table of the file -> rows), ``oldest`` and ``newest`` (creations of jobs), ``sha256``.
    """
    if isinstance(found, HammerworkError):
        empty = dict.fromkeys(("kind", "created_at", "server"))
        return {
            "file": path,
            "whole": False,
            "error": found.message,
            **empty,
            "records": {},
            "oldest": None,
            "newest": None,
            "sha256": None,
        }
    header = file_record(path, 0, found)
    return {
        "file": path,
        "whole": True,
        "error": None,
        **{key: header[key] for key in ("kind", "created_at", "server")},
        "records": found.counts,
        "oldest": found.oldest,
        "newest": found.newest,
        "sha256": found.sha256,
    }


def verified_text(path: str, found: FileSummary | HammerworkError) -> Iterator[str]:
    """The same for people."""
    if isinstance(found, HammerworkError):
        yield f"{visible(path)} is damaged. {visible(found.message)}"
        return
    record = verified_record(path, found)
    yield f"{visible(path)} is complete: {_listed(found.counts)}."
    yield visible(f"Written {instant(record['created_at'])} UTC, from {record['server']}.")
    if found.oldest and found.newest:
        yield f"Jobs created from {instant(found.oldest)} to {instant(found.newest)} UTC."
    yield f"SHA-256 {found.sha256}"


def _by(queues: Mapping[str, Counts]) -> list[Record]:
    return [
        {"queue": queue, "status": status, "jobs": jobs}
        for queue, counts in sorted(queues.items())
        for status, jobs in sorted(counts.by_status.items())
    ]


def restored_record(done: Restored, *, dry_run: bool) -> Record:
    """A restore or its plan.

    Keys: ``dry_run``, ``by`` (list of ``queue``, ``status``, ``jobs``: those of the file), ``records`` (object: table
    of the file -> rows), ``written``, ``existed``, ``replaced`` (numbers of records), ``reset`` (Running jobs that
    become Pending).
    """
    return {
        "dry_run": dry_run,
        "by": _by(done.queues),
        "records": done.counts,
        "written": done.written,
        "existed": done.existed,
        "replaced": done.replaced,
        "reset": done.reset,
    }


def plan_text(plan: Restored) -> Iterator[str]:
    """What a restore would write."""
    for queue, counts in sorted(plan.queues.items()):
        yield f"{visible(queue)}: {statuses(counts)}"
    yield f"The file has {_listed(plan.counts)}."
    if plan.existed:
        yield f"{plural(plan.existed, 'record exists', 'records exist')} in this database already."
    if plan.reset:
        yield f"Running jobs become Pending, because no worker has them: {count(plan.reset)}."


def restored_text(done: Restored) -> Iterator[str]:
    """What a restore wrote."""
    yield f"Wrote {count(done.written)} of {plural(sum(done.counts.values()), 'record')} ({_listed(done.counts)})."
    if done.existed:
        yield f"{plural(done.existed, 'record')} already existed and {'was' if done.existed == 1 else 'were'} kept."
    if done.replaced:
        yield f"{plural(done.replaced, 'record')} existed and {'was' if done.replaced == 1 else 'were'} replaced."


def copied_record(done: Restored | None, found: CopyComparison | None) -> Record:
    """A copy, its plan, or a comparison alone.

    Keys: ``dry_run``, ``written`` and ``existed`` (numbers of records; null if nothing was copied), ``equal`` (null
    in a dry run), ``compared``, ``missing``, ``different`` and ``more`` (objects: table of the file -> rows),
    ``columns`` (object: table of the file -> the columns in which rows differ), ``examples`` (keys of some rows that
    are missing or different).
    """
    shown = found or CopyComparison()
    return {
        "dry_run": found is None,
        "written": done.written if done else None,
        "existed": done.existed if done else None,
        "equal": found.is_equal if found else None,
        "compared": shown.compared,
        "missing": shown.missing,
        "different": shown.different,
        "more": shown.more,
        "columns": {word: sorted(names) for word, names in shown.columns.items()},
        "examples": shown.examples,
    }


def copied_text(done: Restored | None, found: CopyComparison) -> Iterator[str]:
    """The same for people, with the next steps."""
    if done is not None:
        yield from restored_text(done)
    yield f"Compared {_listed(found.compared)}."
    if found.is_equal:
        yield "The databases have the same records."
        if done is not None:
            yield "Next: let workers and programs use the new URL, and then: hammerwork queue resume --all --yes"
        return
    for what, counts in (("missing", found.missing), ("different", found.different), ("only in the copy", found.more)):
        if counts:
            yield f"{what.capitalize()}: {_listed(counts)}."
    for word, names in found.columns.items():
        yield visible(f"{_NOUNS.get(word, (word, word))[1].capitalize()} differ in {', '.join(sorted(names))}.")
    yield from (f"  {visible(example)}" for example in found.examples)
