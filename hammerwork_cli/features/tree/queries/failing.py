"""The children of a job with failures below them: from the newest failed jobs upward, a level at a time."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import FAILED_SPELLINGS, ODDLY_FAILED, id_list, timestamp
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries.relatives import Relatives

MOST_FAILED = 5000
"""Failed jobs from which the search goes upward: the newest of the tree."""
MOST_ANCESTORS = 20_000
LEVELS = 100
WRONG_CLOCKS = timedelta(days=1)
"""How much earlier than its ancestor's creation a job may have failed, by the clock of another machine."""


class Failing(NamedTuple):
    jobs: dict[str, int]  # id of a child -> failed jobs below it
    more: bool  # whether there may be more


def below(relatives: Relatives, job: TreeNode) -> Failing:
    """Returns the failed jobs below the children of a job, those in the archive aside.

    Its cost is bounded by the failed jobs since the job was created, and not by the size of the tree.
    """
    parents = _newest_failed(relatives, job)
    more = len(parents) > MOST_FAILED
    failed = list(parents.values())
    more = _climb(relatives, job.id, parents) or more
    found = Counter[str]()
    for alike, jobs in Counter(failed).items():
        found.update({child: jobs for child in _above(alike, parents) if job.id in parents[child]})
    return Failing(dict(found), more)


def _newest_failed(relatives: Relatives, job: TreeNode) -> dict[str, tuple[str, ...]]:
    """Failed job -> its parents; one job more than are looked at."""
    created = timestamp(job.created_at)
    root = _root(relatives, job)
    rows = relatives.database.rows(
        "tree.failed.newest",
        failed=FAILED_SPELLINGS,
        oddly_failed=ODDLY_FAILED,
        queues=None,
        since=created and created - WRONG_CLOCKS,
        place=root and f'%"root":"{root}"%',
        limit=MOST_FAILED + 1,
    )
    return {str(one): id_list(parents) for one, parents, *_ in rows}


def _root(relatives: Relatives, job: TreeNode) -> str | None:
    """The root that the rows of a job's descendants name, if they name one."""
    if not job.depends_on:
        return job.id
    stored = [place for _, _, place in relatives.database.rows_of("tree.failed.parents", [job.id])]
    place = Ancestry.parse(stored[0]) if stored else None
    return place.root if place else None


def _climb(relatives: Relatives, job: str, parents: dict[str, tuple[str, ...]]) -> bool:
    """Adds the ancestors up to a job; returns whether it reached a limit."""
    statements = ["tree.failed.parents"] + ["tree.failed.archived_parents"] * relatives.has_archive
    asked = {job}
    frontier = _unasked(parents.values(), asked | parents.keys())
    for _ in range(LEVELS):
        if not frontier:
            return False
        level = sorted(frontier)[: MOST_ANCESTORS - len(asked)]
        asked.update(level)
        found: dict[str, tuple[str, ...]] = {}
        for statement in statements:
            missing = [one for one in level if one not in found]
            found |= {str(one): id_list(above) for one, above, _ in relatives.database.rows_of(statement, missing)}
        parents |= found
        frontier = (frontier - set(level)) | _unasked(found.values(), asked | parents.keys())
        if len(asked) >= MOST_ANCESTORS:
            return bool(frontier)
    return True


def _unasked(parents: Iterable[tuple[str, ...]], known: set[str]) -> set[str]:
    return set().union(*parents) - known


def _above(parents: Iterable[str], known: dict[str, tuple[str, ...]]) -> set[str]:
    above: set[str] = set()
    stack = list(parents)
    while stack:
        job = stack.pop()
        if job not in above and job in known:
            above.add(job)
            stack += known[job]
    return above
