"""What an import or a restore does, or would do."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hammerwork_cli.models.values import Counts


@dataclass(frozen=True, slots=True)
class Import:
    """An import, or its plan.

    Attributes:
        top: id of the exported job, as it is in the database now.
        queues: queue -> its imported jobs by status.
        records: other records by the word of their table.
        outside: ids of parents that are not in the file.
        unscheduled: jobs that lost their schedule.
        mentioned: ids of the file's jobs that payloads mention. New ids do not change them.
    """

    top: str | None
    queues: dict[str, Counts] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()
    unscheduled: int = 0
    mentioned: int = 0

    @property
    def counts(self) -> Counts:
        """All jobs by status."""
        total = Counts()
        for counts in self.queues.values():
            total.merge(counts)
        return total


class FileSummary(NamedTuple):
    """What a file says about itself, and what it has.

    Attributes:
        header: its first line.
        counts: records by the word of their table.
        oldest: the first creation of a job.
        newest: the last.
        sha256: of everything before the trailer.
    """

    header: dict[str, Any]
    counts: dict[str, int]
    oldest: str | None
    newest: str | None
    sha256: str | None


class Restored(NamedTuple):
    """A restore or a copy, or its plan.

    Attributes:
        queues: queue -> jobs of the file by status, as they are written.
        counts: records of the file by the word of their table.
        written: records written.
        existed: records that existed and stayed.
        replaced: records that existed and were replaced.
        reset: Running jobs that become Pending.
    """

    queues: dict[str, Counts]
    counts: dict[str, int]
    written: int = 0
    existed: int = 0
    replaced: int = 0
    reset: int = 0


@dataclass(frozen=True, slots=True)
class CopyComparison:
    """The records of a database beside those of its copy.

    Attributes:
        compared: records by the word of their table.
        missing: records that the copy does not have, by the same.
        different: records of which the copy has another value.
        more: records that only the copy has.
        columns: those in which records differ, by the word of their table.
        examples: some of the keys that are missing or different, with the word of their table.
    """

    compared: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    different: dict[str, int] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the copy has all records with the same values, and no others."""
        return not (self.missing or self.different or self.more)
