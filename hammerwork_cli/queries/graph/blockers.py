"""What waiting jobs wait for, and which of them can never run."""

from collections import defaultdict
from collections.abc import Iterable

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import FAILURES, FINISHED, JobStatus, status_of
from hammerwork_cli.models.values import WAITING_SPELLINGS
from hammerwork_cli.models.why import Blocker, BlockerReason

MISSING = "missing"


def holds(database: Database, ids: Iterable[str]) -> dict[str, Blocker]:
    """Those of some jobs that wait for others, with what holds them.

    A job outside the given ones that has not ended is taken for one that will.
    """
    parents: dict[str, dict[str, str]] = defaultdict(dict)
    policies: dict[str, str] = {}
    for part in chunks(list(ids), database.key_chunk):
        for job, parent, status, policy in database.rows("graph.blockers.of_jobs", ids=part, waiting=WAITING_SPELLINGS):
            policies[job] = policy
            above = parents[job]
            if parent is not None:
                above[parent] = MISSING if status is None else status_of(status)
    found = {job: Blocker(job, above, _reason(above, policies[job])) for job, above in parents.items()}
    for job in _stuck_above(found):
        found[job] = Blocker(job, found[job].parents, BlockerReason.STUCK_ABOVE)
    return found


def _reason(parents: dict[str, str], policy: str) -> BlockerReason:
    statuses = set(parents.values())
    goes_on = policy == "continue_on_failure"
    if statuses & FAILURES and not goes_on:
        return BlockerReason.PARENT_FAILED
    if MISSING in statuses:
        return BlockerReason.PARENT_MISSING
    if statuses <= ({JobStatus.COMPLETED} | FAILURES if goes_on else {JobStatus.COMPLETED}):
        return BlockerReason.NOT_RELEASED
    return BlockerReason.UNFINISHED


def _stuck_above(found: dict[str, Blocker]) -> set[str]:
    """Jobs that wait for one that is stuck, or for each other."""
    held_by: dict[str, int] = {}
    below: dict[str, list[str]] = defaultdict(list)
    for job, hold in found.items():
        if hold.is_stuck:
            continue
        waited_for = [parent for parent, status in hold.parents.items() if status not in FINISHED and parent in found]
        held_by[job] = len(waited_for)
        for parent in waited_for:
            below[parent].append(job)
    moving = [job for job, held in held_by.items() if not held]
    while moving:
        job = moving.pop()
        del held_by[job]
        for child in below[job]:
            held_by[child] -= 1
            if not held_by[child]:
                moving.append(child)
    return set(held_by)
