"""What an import or a restore does, or would do."""

from dataclasses import dataclass, field

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
