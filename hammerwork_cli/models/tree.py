"""Jobs as the nodes of trees."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from hammerwork_cli.cached import cached
from hammerwork_cli.models.values import Counts, Timestamp, id_list, priority_word, status_of, timestamp


class TreeNode(NamedTuple):
    """One job of a tree, as the statements with ``{node}`` select it, in their order.

    A named tuple, since a tree has 100,000 of them: raw values, read through the properties.

    Attributes:
        stored_status: the status as the row spells it; use ``status``.
        stored_parents: ``depends_on`` as the database spells it; use ``depends_on``.
        error: the first 500 characters of the error text.
        stored_config: JSON text of ``payload._spawn_config``; ``None`` when the key is absent.
        archived_at: set when the job has been copied to the archive table.
    """

    id: str
    queue: str
    stored_status: str
    stored_priority: int | str
    attempts: int
    stored_parents: Any
    created_at: Timestamp
    started_at: Timestamp
    completed_at: Timestamp
    failed_at: Timestamp
    error: str | None
    stored_config: str | None
    workflow_id: str | None
    workflow_name: str | None
    archived_at: Timestamp

    @property
    def status(self) -> str:
        """The status, with the damage of quotes and letter case mended."""
        return status_of(self.stored_status)

    @property
    def priority(self) -> str:
        """The priority's word."""
        return priority_word(self.stored_priority)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Ids of the parents, in the order stored."""
        return id_list(self.stored_parents)

    @property
    def has_spawn_config(self) -> bool:
        """Whether the payload carries ``_spawn_config``, readable or not."""
        return self.stored_config is not None

    @property
    def spawn_config(self) -> dict[str, Any] | None:
        """``_spawn_config`` as it is stored; ``None`` when absent or not an object."""
        if self.stored_config is None:
            return None
        try:
            config = json.loads(self.stored_config)
        except (ValueError, RecursionError):
            return None
        return config if isinstance(config, dict) else None

    @property
    def operation_id(self) -> str | None:
        """The operation that the spawn configuration names."""
        config = self.spawn_config
        operation = config.get("operation_id") if config else None
        return operation if isinstance(operation, str) else None

    @property
    def run_time(self) -> timedelta | None:
        """From the start to the end of the last attempt; ``None`` while it has not ended."""
        start, end = timestamp(self.started_at), timestamp(self.completed_at or self.failed_at)
        return max(end - start, timedelta()) if start and end else None


@dataclass(frozen=True)
class SpawnTree:
    """A tree as it was read: what is there, and how much was left unread.

    Attributes:
        roots: the topmost ancestors; several for joins, the oldest job of a cycle.
        target: the job that was asked for.
        nodes: id -> node, parents before children, in a stable order.
        depths: id -> levels below the nearest root.
        children: id -> ids of its children that were read, in a stable order.
        child_counts: id -> exact number of children by status, where not all of them were read.
        unread: ids of nodes whose children were not read at all (a depth limit, a read limit).
        missing: ids that some job depends on and that are nowhere in the database.
        recorded: jobs without spawn configuration that have spawned: a worker found the handler by their queue.
    """

    roots: tuple[str, ...]
    target: str
    nodes: dict[str, TreeNode]
    depths: dict[str, int]
    children: dict[str, list[str]]
    child_counts: dict[str, Counts] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()

    def spawns(self, job: str) -> bool:
        """Whether its children were spawned, and do not only depend on it."""
        return self.nodes[job].stored_config is not None or job in self.recorded

    @property
    def truncated(self) -> bool:
        """Whether jobs of the tree were left out."""
        return bool(self.child_counts)

    def child_total(self, job: str) -> int:
        """How many children a job has in the database, read or not."""
        counted = self.child_counts.get(job)
        return counted.total if counted else len(self.children.get(job, ()))

    @cached
    def counts(self) -> Counts:
        """The statuses of all jobs that were read."""
        counts = Counts()
        for node in self.nodes.values():
            counts.add(node.status)
        return counts


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a job comes from and what came from it.

    Attributes:
        ancestors: (distance upward, node), roots first; ``None`` when they were not asked for.
        descendants: the tree below the job; ``None`` when it was not asked for.
        missing: parents that are nowhere in the database.
    """

    job: TreeNode
    ancestors: tuple[tuple[int, TreeNode], ...] | None
    descendants: SpawnTree | None
    missing: frozenset[str] = frozenset()
    truncated: bool = False
