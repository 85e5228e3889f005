"""Prunes a tree to some statuses and to numbers of children and jobs."""

from collections.abc import Collection
from dataclasses import replace

from hammerwork_cli.core.values import FAILURES, Counts, JobStatus
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.outline import Below


def prune(
    tree: SpawnTree,
    *,
    statuses: Collection[str] | None = None,
    children: int | None = None,
    nodes: int | None = None,
) -> SpawnTree:
    """Keeps the jobs that a filter or a limit allows, always connected to the roots.

    Args:
        statuses: keep jobs in one of these statuses, their ancestors, the roots and the target.
        children: keep this number of children of each job, those that failed or lead to failures first.
        nodes: keep this number of jobs: the path to the target in any case, then failures and the paths to them.

    Returns:
        A tree whose ``child_counts`` include the omitted jobs.
    """
    if statuses is None and children is None and nodes is None:
        return tree
    wanted = None if statuses is None else _with_paths(tree, set(statuses))
    kept = _kept(tree, wanted, children, nodes)
    # In the order of the tree, since the order of a set changes between runs.
    below = {job: [child for child in tree.children.get(job, ()) if child in kept] for job in tree.nodes if job in kept}
    return replace(
        tree,
        nodes={job: node for job, node in tree.nodes.items() if job in kept},
        depths={job: depth for job, depth in tree.depths.items() if job in kept},
        children={job: linked for job, linked in below.items() if linked},
        child_counts=_counts(tree, kept, below),
        unread=tree.unread & kept,
    )


def _with_paths(tree: SpawnTree, statuses: set[str]) -> set[str]:
    """Returns the jobs in these statuses, and all of their ancestors."""
    wanted = {job for job, node in tree.nodes.items() if node.status in statuses or job == tree.target}
    stack = list(wanted)
    while stack:
        for parent in tree.nodes[stack.pop()].depends_on:
            if parent in tree.nodes and parent not in wanted:
                wanted.add(parent)
                stack.append(parent)
    return wanted | set(tree.roots)


def _kept(tree: SpawnTree, wanted: set[str] | None, children: int | None, nodes: int | None) -> set[str]:
    kept = _with_paths(tree, set())
    if children is not None or nodes is not None:
        failed = _with_paths(tree, {*FAILURES})
        _walk(tree, kept, failed if wanted is None else failed & wanted, children, nodes)
    _walk(tree, kept, wanted, children, nodes)
    return kept


def _walk(tree: SpawnTree, kept: set[str], wanted: set[str] | None, children: int | None, nodes: int | None) -> None:
    """Adds jobs that are wanted to those that are kept, level by level, within the limits."""
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
                    return
                kept.add(child)
                walked.add(child)
                following.append(child)
        level = following


def _urgency(tree: SpawnTree, job: str) -> int:
    status = tree.nodes[job].status
    return 0 if job == tree.target else 1 if status in FAILURES else 2 if status == JobStatus.RUNNING else 3


def with_below_omitted(pruned: SpawnTree, tree: SpawnTree) -> SpawnTree:
    """Counts the jobs below those children that pruning omitted, for pictures."""
    if len(pruned.nodes) == len(tree.nodes):
        return pruned
    kept, counted = pruned.nodes, Below(tree)
    found: dict[str, Counts] = {}
    for job in kept:
        for child in tree.children.get(job, ()):
            if child not in kept and counted.parent.get(child) == job and (below := counted.counted_here(child)).total:
                found.setdefault(job, Counts()).merge(below)
    return replace(pruned, below_omitted=found)


def _counts(tree: SpawnTree, kept: set[str], below: dict[str, list[str]]) -> dict[str, Counts]:
    counts = {job: counted for job, counted in tree.child_counts.items() if job in kept}
    for job in kept:
        read = tree.children.get(job, ())
        if job not in counts and len(below[job]) < len(read):
            counts[job] = Counts()
            for child in read:
                counts[job].add(tree.nodes[child].status)
    return counts
