"""Writes a tree into a file, to take it to another database."""

import json
from base64 import b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import IO, NamedTuple

from hammerwork_cli.core.values import HIDDEN, PERSONAL
from hammerwork_cli.database import Database
from hammerwork_cli.features.backup.models.tables import OF_A_JOB, TABLES, TEXT_OF, ColumnKind, Record
from hammerwork_cli.features.backup.queries.files import BackupWriter
from hammerwork_cli.features.backup.queries.headers import header
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.tree.queries.tree import tree
from hammerwork_cli.features.tree.spawn_tree import SpawnTree

HIDDEN_COLUMNS = {
    "payload": ("payload", "encrypted_payload", "config"),
    "result": ("result_data", "result"),
    "error": ("error_message", "hook_error"),
}
"""Word of ``--redact`` -> the columns that it hides."""


class Exported(NamedTuple):
    counts: dict[str, int]  # records by the word of their table
    outside: frozenset[str]  # ids of parents of the jobs that are not in the file

    @property
    def jobs(self) -> int:
        return self.counts.get("jobs", 0) + self.counts.get("archive", 0)


def export(
    database: Database,
    job: str,
    stream: IO[bytes],
    now: datetime,
    redact: Collection[str] = (),
    without: Collection[str] = (),
) -> Exported:
    """Writes a job and everything below it, from the archive too, with what workers recorded of them.

    All of it is read in one snapshot. Raises JobNotFoundError if there is no such job.

    Args:
        redact: words of :data:`HIDDEN_COLUMNS`; with any, the names of people are hidden too, and columns that this
            version does not know are left out.
    """
    hidden = frozenset(column for word in redact for column in (*HIDDEN_COLUMNS[word], *PERSONAL))
    with database.snapshot():
        found = tree(database, job, whole=False)
        tables = Rows.of_all(database, without)
        shown = [] if hidden else tables.values()
        writer = BackupWriter(stream, header(database, now, "tree", shown, job=job, redacted=sorted(redact) or None))
        _Tree(writer, tables, hidden).write(found)
        writer.end()
    parents = {parent for node in found.nodes.values() for parent in node.depends_on}
    return Exported(writer.counts, frozenset(parents - found.nodes.keys()))


class _Tree:
    def __init__(self, writer: BackupWriter, tables: Mapping[str, Rows], hidden: frozenset[str]) -> None:
        self._writer = writer
        self._tables = tables
        self._hidden = hidden
        self._named: dict[str, set[str]] = {"workflows": set(), "batches": set()}

    def write(self, found: SpawnTree) -> None:
        jobs = sorted(found.nodes)
        live = self._add("jobs", "id", jobs)
        self._add("archive", "id", [job for job in jobs if job not in live])
        for word, ids in self._named.items():
            self._add(word, "id", sorted(ids))
        for word, owner in OF_A_JOB.items():
            self._add(word, owner, jobs)

    def _add(self, word: str, owner: str, ids: list[str]) -> set[str]:
        """Writes the rows of one table; returns the owners that have any."""
        seen: set[str] = set()
        if word not in self._tables or not ids:
            return seen
        for record in self._tables[word].of(owner, ids):
            seen.add(record[owner])
            for name, column in (("workflows", "workflow_id"), ("batches", "batch_id")):
                if column in record:
                    self._named[name].add(record[column])
            self._writer.add(word, _redacted(word, record, self._hidden) if self._hidden else record)
        return seen


def _redacted(word: str, record: Record, hidden: Collection[str]) -> Record:
    """The record without hidden values, and without columns in which anything may be.

    Bytes go, but for the payload of an archived job, which it must have.
    """
    shown: Record = {}
    columns = TABLES[word].columns
    if "payload" in hidden and record.get("is_encrypted"):
        # An encrypted job must have all three.
        gone = {"encrypted_payload", "encryption_nonce", "encryption_tag"}
        record = {name: value for name, value in record.items() if name not in gone} | {"is_encrypted": False}
    for name, value in record.items():
        column = name if name in columns else name.removesuffix(TEXT_OF)
        if column not in columns or column == "other_columns":
            continue
        if column not in hidden:
            shown[name] = value
        elif columns[column] is not ColumnKind.BYTES:
            shown[column] = HIDDEN
        elif column == "payload":
            shown |= {column: b64encode(json.dumps(HIDDEN).encode()).decode(), "payload_compressed": False}
    return shown
