"""The blockers of waiting jobs, and the jobs that can never run."""

from collections import defaultdict
from collections.abc import Iterable

from hammerwork_cli.core.values import FINISHED, UNSUCCESSFUL, WAITING_SPELLINGS, JobStatus, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.wait import Blocker, BlockerReason

MISSING = "missing"


def blockers_of(database: Database, ids: Iterable[str]) -> dict[str, Blocker]:
    """Finds the jobs among ``ids`` that wait for dependencies, and their blockers by id.

    A blocker outside ``ids`` that has not ended counts as one that still can end.
    """
    parents: dict[str, dict[str, str]] = defaultdict(dict)
    policies: dict[str, str] = {}
    for job, parent, status, policy in database.rows_in("tree.blockers.of_jobs", list(ids), waiting=WAITING_SPELLINGS):
        policies[job] = policy
        above = parents[job]
        if parent is not None:
            above[parent] = MISSING if status is None else status_of(status)
    found = {job: Blocker(job, above, _reason(above, policies[job])) for job, above in parents.items()}
    released = [str(job) for job, blocker in found.items() if blocker.reason == BlockerReason.NOT_RELEASED]
    for job, awaited in (joins.counts(database, released) if database.is_current else {}).items():
        if awaited.state == "waiting":
            found[job] = Blocker(job, parents[job], BlockerReason.UNFINISHED, awaited.open)
    for job in _stuck_above(found):
        found[job] = Blocker(job, found[job].parents, BlockerReason.STUCK_ABOVE)
    return found


def _reason(parents: dict[str, str], policy: str) -> BlockerReason:
    statuses = set(parents.values())
    ignores = policy == "ignore_failures"
    if statuses & UNSUCCESSFUL and not ignores:
        return BlockerReason.PARENT_FAILED
    if MISSING in statuses:
        return BlockerReason.PARENT_MISSING
    if statuses <= ({JobStatus.COMPLETED} | UNSUCCESSFUL if ignores else {JobStatus.COMPLETED}):
        return BlockerReason.NOT_RELEASED
    return BlockerReason.UNFINISHED


def _stuck_above(found: dict[str, Blocker]) -> set[str]:
    """Returns jobs that wait for a stuck job, or for each other in a cycle."""
    blocked_by: dict[str, int] = {}
    below: dict[str, list[str]] = defaultdict(list)
    for job, blocker in found.items():
        if blocker.is_stuck:
            continue
        waited_for = [
            parent for parent, status in blocker.parents.items() if status not in FINISHED and parent in found
        ]
        blocked_by[job] = len(waited_for)
        for parent in waited_for:
            below[parent].append(job)
    moving = [job for job, number in blocked_by.items() if not number]
    while moving:
        job = moving.pop()
        del blocked_by[job]
        for child in below[job]:
            blocked_by[child] -= 1
            if not blocked_by[child]:
                moving.append(child)
    return set(blocked_by)
