"""Diagnoses a tree: its deepest failures by error, and the blockers of its waiting jobs."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hammerwork_cli.core.values import UNSUCCESSFUL, WAITING, Counts, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.features.queue.queries import Services
from hammerwork_cli.features.spawn.models.why import Diagnosis, FailedJob, FailureGroup, UnderWay
from hammerwork_cli.features.spawn.queries.delays import delays, never_spawned
from hammerwork_cli.features.spawn.queries.error_texts import error_texts, headline, pattern
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.queries.blockers import blockers_of
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.wait import Blocker

LEVELS = 100_000
MOST_CAUSES = 20
"""Failed jobs that are named for one that waited for them all."""
UNFINISHED = WAITING | {JobStatus.RUNNING}


def diagnose(database: Database, job: str, *, limit: int, now: datetime) -> Diagnosis:
    """Returns the reasons why a job and its descendants failed or have not ended.

    Raises NotFoundError if there is no such job.
    """
    found = tree_queries.lineage(database, job, ancestors=True, descendants=True, depth=LEVELS)
    assert found.descendants is not None
    return _Diagnosing(database, found.job, found.ancestors or (), found.descendants).result(limit, now)


class _Diagnosing:
    def __init__(
        self, database: Database, target: TreeNode, ancestors: Iterable[tuple[int, TreeNode]], tree: SpawnTree
    ) -> None:
        self.database = database
        self.relatives = Relatives(database)
        self.target = target
        self.tree = tree
        self.nodes = {node.id: node for _, node in ancestors} | tree.nodes
        self.awaited: dict[str, list[str]] = {}  # join -> failed jobs that it waited for

    def result(self, limit: int, now: datetime) -> Diagnosis:
        failed = [node for node in self.tree.nodes.values() if node.status in UNSUCCESSFUL]
        consequences = self._failed_with_others(failed)
        self._read_awaited(consequences)
        causes = {node.id: node for node in failed if node.id not in consequences}
        deepest = self._deepest(causes)
        blockers = self._blockers()
        self._read_elsewhere([node for node in failed if node.id in consequences], blockers)
        above = self._above(consequences, blockers)
        under_way = self._under_way(blockers)
        queues = Services(self.database) if under_way else None
        groups = self._groups(deepest, limit)
        named = [*above, *(failed.job for group in groups for failed in group.jobs)]
        return Diagnosis(
            job=self.target,
            counts=self.tree.counts,
            groups=groups,
            consequences=len(failed) - len(deepest),
            above=tuple(FailedJob(node, self._path(node)) for node in above),
            blockers=tuple(
                sorted(blockers.values(), key=lambda blocker: (not blocker.is_stuck, blocker.job != self.target.id))
            ),
            under_way=_by_queue(under_way, queues) if queues else (),
            delays=delays(self.database, under_way, queues, now=now) if queues else (),
            never_spawned=never_spawned(self.database, self.tree),
            nodes=self.nodes,
            attempts=attempts.of_jobs(self.database, [node.id for node in named]),
        )

    def _under_way(self, blockers: dict[str, Blocker]) -> list[TreeNode]:
        """Returns the open jobs that wait for no other job."""
        return [
            node
            for job, node in self.tree.nodes.items()
            if job not in blockers and node.status in UNFINISHED and node.archived_at is None
        ]

    def _failed_with_others(self, failed: Sequence[TreeNode]) -> set[str]:
        """Returns the jobs that failed only because a dependency failed."""
        dependent = [node.id for node in failed if node.depends_on]
        return {
            job
            for job, status in self.database.rows_in("spawn.why.dependency_statuses", dependent)
            if status == "failed"
        }

    def _read_awaited(self, consequences: Iterable[str]) -> None:
        """Reads the failed jobs that joins waited for, besides their dependencies."""
        if not self.database.is_current:
            return
        for join in joins.counts(self.database, consequences):
            found = joins.awaited(self.database, join, self.nodes[join].depends_on[0])
            failed = [job for job, status in found if status in UNSUCCESSFUL]
            self.awaited[join] = failed[:MOST_CAUSES]
            for node in self.relatives.jobs([job for job in self.awaited[join] if job not in self.nodes]):
                self.nodes[node.id] = node

    def _deepest(self, causes: dict[str, TreeNode]) -> list[TreeNode]:
        """Returns the failed jobs that have no failed descendant."""
        failed_below: set[str] = set()
        # The tree lists parents first: in reverse, a job comes after all its descendants.
        for job in reversed(self.tree.nodes):
            children = self.tree.children.get(job, ())
            if any(child in causes or child in failed_below for child in children):
                failed_below.add(job)
        return [node for job, node in causes.items() if job not in failed_below]

    def _blockers(self) -> dict[str, Blocker]:
        """Returns the blockers in the tree, and those above the job if the job itself waits."""
        waiting = [job for job, node in self.tree.nodes.items() if node.status in WAITING]
        above = [job for job, node in self.nodes.items() if job not in self.tree.nodes and node.status in WAITING]
        found = blockers_of(self.database, above + waiting)
        if self.target.id in found:
            return found
        return {job: blocker for job, blocker in found.items() if job in self.tree.nodes}

    def _read_elsewhere(self, consequences: Iterable[TreeNode], blockers: dict[str, Blocker]) -> None:
        """Reads parents that are neither ancestors nor descendants of the job."""
        wanted = {parent for node in consequences for parent in node.depends_on}
        wanted |= {parent for blocker in blockers.values() for parent in blocker.parents}
        for node in self.relatives.jobs(sorted(wanted - self.nodes.keys())):
            self.nodes[node.id] = node

    def _above(self, consequences: set[str], blockers: dict[str, Blocker]) -> list[TreeNode]:
        """Returns the failed jobs outside the tree that failed or blocked jobs of the tree: only the first causes."""
        frontier = [*consequences, *(job for job, blocker in blockers.items() if blocker.is_stuck)]
        seen = set(frontier)
        causes: dict[str, TreeNode] = {}
        while frontier:
            node = self.nodes[frontier.pop()]
            named = (*node.depends_on, *self.awaited.get(node.id, ()))
            parents = [self.nodes[parent] for parent in named if parent in self.nodes]
            broken = [parent for parent in parents if parent.status != JobStatus.COMPLETED]
            if node.status in UNSUCCESSFUL and node.id not in self.tree.nodes and not broken:
                causes[node.id] = node
            frontier += [parent.id for parent in broken if parent.id not in seen]
            seen |= {parent.id for parent in broken}
        return list(causes.values())

    def _path(self, node: TreeNode) -> tuple[TreeNode, ...]:
        """Returns the path from the topmost ancestor that was read to the job, by first parents."""
        path = [node]
        seen = {node.id}
        while True:
            above = [parent for parent in path[-1].depends_on if parent in self.nodes and parent not in seen]
            if not above:
                return tuple(reversed(path))
            inside = [parent for parent in above if parent in self.tree.nodes]
            path.append(self.nodes[(inside or above)[0]])
            seen.add(path[-1].id)

    def _groups(self, failed: Sequence[TreeNode], limit: int) -> tuple[FailureGroup, ...]:
        errors = error_texts(self.database, failed)
        groups: dict[str | None, FailureGroup] = {}
        for node in failed:
            error = errors.get(node.id)
            key = pattern(error) if error else None
            line = headline(error) if error else None
            group = groups.setdefault(key, FailureGroup(line))
            if line != group.error:
                group.pattern = key
            group.statuses.add(node.status)
            group.queues.add(node.queue)
            group.archived += node.archived_at is not None
            if len(group.jobs) < limit:
                group.jobs.append(FailedJob(node, self._path(node)))
        return tuple(sorted(groups.values(), key=lambda group: (-group.total, group.error or "")))


def _by_queue(nodes: Iterable[TreeNode], queues: Services) -> tuple[UnderWay, ...]:
    found: dict[str, Counts] = {}
    for node in nodes:
        found.setdefault(node.queue, Counts()).add(node.status)
    return tuple(UnderWay(queue, counts, queues.of(queue)) for queue, counts in sorted(found.items()))
