"""A smaller tree out of a tree: only some statuses, so many children, so many jobs."""

from collections.abc import Collection
from dataclasses import replace

from hammerwork_cli.models import FAILURES, Counts, JobStatus, SpawnTree


def prune(
    tree: SpawnTree,
    *,
    statuses: Collection[str] | None = None,
    children: int | None = None,
    nodes: int | None = None,
) -> SpawnTree:
    """The tree with what a filter or a limit leaves, always connected to its roots.

    Args:
        tree: as it was read.
        statuses: keep jobs in one of these, the way to each of them, the roots and the target.
        children: keep so many children of each job, failures first.
        nodes: keep so many jobs, level by level, failures first; the way to the target in any case.

    Returns:
        A tree whose ``child_counts`` tell what was left out.
    """
    if statuses is None and children is None and nodes is None:
        return tree
    wanted = None if statuses is None else _with_ways(tree, set(statuses))
    kept = _kept(tree, wanted, children, nodes)
    # In the order of the tree: that of a set changes from run to run.
    below = {job: [child for child in tree.children.get(job, ()) if child in kept] for job in tree.nodes if job in kept}
    return replace(
        tree,
        nodes={job: node for job, node in tree.nodes.items() if job in kept},
        depths={job: depth for job, depth in tree.depths.items() if job in kept},
        children={job: linked for job, linked in below.items() if linked},
        child_counts=_counts(tree, kept, below),
        unread=tree.unread & kept,
    )


def _with_ways(tree: SpawnTree, statuses: set[str]) -> set[str]:
    """The jobs in these statuses, and everything above them."""
    wanted = {job for job, node in tree.nodes.items() if node.status in statuses} | {tree.target}
    stack = list(wanted)
    while stack:
        for parent in tree.nodes[stack.pop()].depends_on:
            if parent in tree.nodes and parent not in wanted:
                wanted.add(parent)
                stack.append(parent)
    return wanted | set(tree.roots)


def _kept(tree: SpawnTree, wanted: set[str] | None, children: int | None, nodes: int | None) -> set[str]:
    kept = _with_ways(tree, set())
    walked = set(tree.roots)
    level = list(tree.roots)
    while level:
        following: list[str] = []
        for job in level:
            below = [child for child in tree.children.get(job, ()) if wanted is None or child in wanted]
            for child in sorted(below, key=lambda child: (child not in kept, _urgency(tree, child)))[:children]:
                if child in walked:
                    continue
                if nodes is not None and len(kept) >= nodes and child not in kept:
                    return kept
                kept.add(child)
                walked.add(child)
                following.append(child)
        level = following
    return kept


def _urgency(tree: SpawnTree, job: str) -> int:
    status = tree.nodes[job].status
    return 0 if job == tree.target else 1 if status in FAILURES else 2 if status == JobStatus.RUNNING else 3


def _counts(tree: SpawnTree, kept: set[str], below: dict[str, list[str]]) -> dict[str, Counts]:
    counts = {job: counted for job, counted in tree.child_counts.items() if job in kept}
    for job in kept:
        read = tree.children.get(job, ())
        if job not in counts and len(below[job]) < len(read):
            counts[job] = Counts()
            for child in read:
                counts[job].add(tree.nodes[child].status)
    return counts
