"""Backups: what was written, restored, copied and compared."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from hammerwork_cli.core.values import Counts
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.backup.models.plan import CopyComparison, FileSummary, Restored
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import count, instant, plural, statuses, visible


class CountedGroup(NamedTuple):
    queue: str
    status: str
    jobs: int


def groups(queues: Mapping[str, Counts]) -> list[CountedGroup]:
    """The jobs of some queues, by queue and status."""
    return [
        CountedGroup(queue, status, jobs)
        for queue, counts in sorted(queues.items())
        for status, jobs in sorted(counts.by_status.items())
    ]


class ListedFile(NamedTuple):
    name: str
    bytes: int
    summary: FileSummary

    @property
    def created_at(self) -> str | None:
        return header(self.summary, "created_at")


class VerifiedFile(NamedTuple):
    """A file that was read to its end."""

    file: str
    found: FileSummary | HammerworkError

    @property
    def error(self) -> str | None:
        return self.found.message if isinstance(self.found, HammerworkError) else None

    @property
    def summary(self) -> FileSummary:
        """What it holds; nothing if it is damaged."""
        return FileSummary({}, {}, None, None, None) if isinstance(self.found, HammerworkError) else self.found


class CopyOutcome(NamedTuple):
    """A copy, its plan, or a comparison alone."""

    done: Restored | None
    found: CopyComparison | None

    @property
    def shown(self) -> CopyComparison:
        return self.found or CopyComparison()


class RestoreOutcome(NamedTuple):
    """A restore or its plan."""

    done: Restored
    dry_run: bool


def header(summary: FileSummary, name: str) -> str | None:
    """A word of the first line of a file."""
    value = summary.header.get(name)
    return value if isinstance(value, str) else None


GROUP = Shape[CountedGroup]({"queue": key.text(), "status": key.status(), "jobs": key.count()})
_RECORDS = key.counts("Rows by table of the file")
_HEADER = {
    "kind": key.null_or(key.text("", "backup", "tree")).of(lambda one: header(one.summary, "kind")),
    "created_at": Key(key.null_or(key.instant()).schema, get=lambda one: header(one.summary, "created_at")),
    "server": key.null_or(key.text("Product and version")).of(lambda one: header(one.summary, "server")),
}
BACKUP = Shape[tuple[str, Mapping[str, int]]](
    {"file": key.text().of(itemgetter(0)), "records": _RECORDS.of(itemgetter(1))}
)
BACKUP_FILE = Shape[ListedFile]({"name": key.text(), "bytes": key.count(), **_HEADER})
VERIFIED = Shape[VerifiedFile](
    {
        "file": key.text(),
        "whole": key.flag().of(lambda one: one.error is None),
        "error": key.null_or(key.text("Error in the file")),
        **_HEADER,
        "records": _RECORDS.of("summary.counts"),
        "oldest": Key(key.null_or(key.instant("First creation of a job")).schema, get="summary.oldest"),
        "newest": Key(key.null_or(key.instant("Last creation of a job")).schema, get="summary.newest"),
        "sha256": key.null_or(key.text()).of("summary.sha256"),
    }
)
RESTORED = Shape[RestoreOutcome](
    {
        "dry_run": key.flag(),
        "by": key.list_of(GROUP, "Jobs of the file").of(lambda one: groups(one.done.queues)),
        "records": _RECORDS.of("done.counts"),
        "written": key.count("Records").of("done.written"),
        "existed": key.count("Records that already existed and were kept").of("done.existed"),
        "replaced": key.count("Records that existed and were replaced").of("done.replaced"),
        "reset": key.count("Running jobs that become Pending").of("done.reset"),
    }
)
COPIED = Shape[CopyOutcome](
    {
        "dry_run": key.flag().of(lambda one: one.found is None),
        "written": key.null_or(key.count("Records; null if nothing was copied")).of(
            lambda one: one.done and one.done.written
        ),
        "existed": key.null_or(key.count("Records that already existed and were kept")).of(
            lambda one: one.done and one.done.existed
        ),
        "equal": key.null_or(key.flag("Null in a dry run")).of(lambda one: one.found and one.found.is_equal),
        "compared": _RECORDS.of("shown.compared"),
        "missing": key.counts("Rows that the copy lacks").of("shown.missing"),
        "different": key.counts("Rows with another value in the copy").of("shown.different"),
        "more": key.counts("Rows that only the copy has").of("shown.more"),
        "columns": Key(
            {
                "type": "object",
                "additionalProperties": key.list_of(key.text()).schema,
                "description": "Table -> the columns in which rows differ",
            },
            get=lambda one: {word: sorted(names) for word, names in one.shown.columns.items()},
        ),
        "examples": key.list_of(key.text(), "Keys of some rows that are missing or different").of("shown.examples"),
    }
)
FILE_COLUMNS: Sequence[Column[ListedFile]] = (
    Column("file", lambda row: row.name, cuts=True),
    column(BACKUP_FILE, "bytes", is_count=False),
    Column("has", lambda row: header(row.summary, "kind")),
    Column("created at (UTC)", lambda row: instant(row.created_at)),
    Column("from", lambda row: header(row.summary, "server"), drop_order=1),
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
    "webhooks": ("webhook", "webhooks"),
    "streams": ("stream", "streams"),
}


def _listed(counts: Mapping[str, int]) -> str:
    """Records by table: ``41 jobs, 5 operations``."""
    named = [plural(number, *_NOUNS[word]) for word, number in counts.items() if number and word in _NOUNS]
    counters = sum(number for word, number in counts.items() if word not in _NOUNS)
    return ", ".join(named + ([plural(counters, "counter")] if counters else [])) or "no records"


def created_text(counts: Mapping[str, int], path: str) -> str:
    """The same in a sentence."""
    return f"Wrote {_listed(counts)}{'' if path == '-' else f' to {visible(path)}'}."


def unknown_tables_text(found: Mapping[str, int]) -> Iterator[str]:
    """Tables that are left out because nobody knows what they are."""
    for name, rows in found.items():
        yield f"{visible(name)}, which this version does not know, is left out: {plural(rows, 'row')}."


def unsent_text(found: Mapping[str, int]) -> Iterator[str]:
    """Events of streams that a copy leaves behind."""
    for name, events in found.items():
        yield f"{plural(events, 'event')} of the stream {visible(name)} stay{'s' if events == 1 else ''} in the source."


def left_out_text(counts: Mapping[str, int]) -> Iterator[str]:
    """What no file has, by the words of the tables."""
    if any(counts.values()):
        yield f"Left out, because of their secrets: {_listed(counts)}. To take them along: hammerwork backup copy"


def orphans_text(deliveries: int) -> Iterator[str]:
    """Deliveries that have arrived without their webhooks."""
    if deliveries:
        number = plural(deliveries, "delivery", "deliveries")
        yield f"{number} will end as Cancelled: this database does not have the webhooks."


def verified_text(path: str, found: FileSummary | HammerworkError) -> Iterator[str]:
    """The same for people."""
    if isinstance(found, HammerworkError):
        yield f"{visible(path)} is damaged. {visible(found.message)}"
        return
    yield f"{visible(path)} is complete: {_listed(found.counts)}."
    yield visible(f"Written {instant(header(found, 'created_at'))} UTC, from {header(found, 'server')}.")
    if found.oldest and found.newest:
        yield f"Jobs created from {instant(found.oldest)} to {instant(found.newest)} UTC."
    yield f"SHA-256 {found.sha256}"


def plan_text(plan: Restored) -> Iterator[str]:
    """What a restore would write."""
    for queue, counts in sorted(plan.queues.items()):
        yield f"{visible(queue)}: {statuses(counts)}"
    yield f"The file has {_listed(plan.counts)}."
    if plan.existed:
        yield f"{plural(plan.existed, 'record already exists', 'records already exist')} in this database."
    if plan.reset:
        yield f"Running jobs become Pending, because no worker has them: {count(plan.reset)}."


def restored_text(done: Restored) -> Iterator[str]:
    """What a restore wrote."""
    yield f"Wrote {count(done.written)} of {plural(sum(done.counts.values()), 'record')} ({_listed(done.counts)})."
    if done.existed:
        yield f"{plural(done.existed, 'record')} already existed and {'was' if done.existed == 1 else 'were'} kept."
    if done.replaced:
        yield f"{plural(done.replaced, 'record')} existed and {'was' if done.replaced == 1 else 'were'} replaced."


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
