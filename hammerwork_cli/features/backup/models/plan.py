"""What an import or a restore does, or would do."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hammerwork_cli.core.values import Counts


@dataclass(frozen=True, slots=True)
class Import:
    """An import, or its plan."""

    top: str | None  # id of the exported job, as it is in the database now
    queues: dict[str, Counts] = field(default_factory=dict)  # queue -> its imported jobs by status
    records: dict[str, int] = field(default_factory=dict)  # other records by the word of their table
    outside: frozenset[str] = frozenset()  # ids of parents that are not in the file
    unscheduled: int = 0  # jobs that lost their schedule
    mentioned: int = 0  # ids of the file's jobs that payloads mention. New ids do not change them.

    @property
    def counts(self) -> Counts:
        """All jobs by status."""
        total = Counts()
        for counts in self.queues.values():
            total.merge(counts)
        return total


class FileSummary(NamedTuple):
    """What a file says about itself, and what it has."""

    header: dict[str, Any]  # its first line
    counts: dict[str, int]  # records by the word of their table
    oldest: str | None  # the first creation of a job
    newest: str | None  # the last
    sha256: str | None  # of everything before the trailer


class Restored(NamedTuple):
    """A restore or a copy, or its plan."""

    queues: dict[str, Counts]  # queue -> jobs of the file by status, as they are written
    counts: dict[str, int]  # records of the file by the word of their table
    written: int = 0  # records written
    existed: int = 0  # records that existed and stayed
    replaced: int = 0  # records that existed and were replaced
    reset: int = 0  # Running jobs that become Pending


@dataclass(frozen=True, slots=True)
class CopyComparison:
    """The records of a database beside those of its copy."""

    compared: dict[str, int] = field(default_factory=dict)  # records by the word of their table
    missing: dict[str, int] = field(default_factory=dict)  # records that the copy does not have, by the same
    different: dict[str, int] = field(default_factory=dict)  # records of which the copy has another value
    more: dict[str, int] = field(default_factory=dict)  # records that only the copy has
    # Those in which records differ, by the word of their table.
    columns: dict[str, set[str]] = field(default_factory=dict)
    # Some of the keys that are missing or different, with the word of their table.
    examples: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the copy has all records with the same values, and no others."""
        return not (self.missing or self.different or self.more)
