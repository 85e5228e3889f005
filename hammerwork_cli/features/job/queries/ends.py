"""Lets trees, batches and workflows end again when their jobs run again.

A callback enqueues its job once. But each end has an event: after a retry, what ended before ends again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.features.callbacks import queries as callbacks
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import OF_ENDS, EventType
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries.relatives import Relatives

OF_TREES, OF_GROUPS = OF_ENDS[:2], OF_ENDS[2:]


@contextmanager
def to_come_again(
    database: Database, jobs: Collection[str], now: datetime, counted: Iterable[str] = (), *, only_below: bool = False
) -> Iterator[None]:
    """Forgets that trees, batches and workflows have ended, since these jobs of them run again. Needs a transaction.

    Count the jobs for joins inside: as whoever ends a job does, this locks counters before callbacks. Schedules look
    again, too: see :func:`let_schedules_look`.

    Args:
        counted: the joins that are counted inside.
        only_below: the jobs themselves do not run again, but get children, which are in no batch.
    """
    if not jobs:
        yield
        return
    skips_trees = _any_skipping_trees(database)
    of_trees, of_groups = events.wanted(database, OF_TREES), events.wanted(database, OF_GROUPS)
    lineage = _lineage(database, jobs) if skips_trees or of_trees else set()
    subjects = (lineage if of_trees else set()) | (_groups(database, jobs, only_below) if of_groups else set())
    announcing = callbacks.announcing(database, sorted(subjects))
    joins.add_counters(database, sorted(announcing), counted, now)
    yield
    _look_again(database, lineage if skips_trees else ())
    _announce_again(database, [one for some in announcing.values() for one in some], now)


def let_schedules_look(database: Database, job: str) -> None:
    """Lets schedules with ``--overlap skip-tree`` forget that the trees with a job have ended. Needs a transaction."""
    if _any_skipping_trees(database):
        _look_again(database, _lineage(database, [job]))


def _any_skipping_trees(database: Database) -> bool:
    return database.row("job.ends.any_skipping_trees") is not None


def _look_again(database: Database, lineage: Collection[str]) -> None:
    database.run_for("job.ends.look_again", sorted(lineage))


def of_workflows_to_come_again(database: Database, workflows: Sequence[str], *, done: bool = False) -> None:
    """Forgets that workflows have ended, since jobs join them. Needs a transaction that has locked them.

    Args:
        done: leave open callbacks as they are, so that programs that add jobs to one workflow do not wait for each
            other: a worker that is about to write an event waits for the lock, and counts the jobs then. What is open
            is as old as the snapshot of the transaction, if an application has begun one.
    """
    if events.wanted(database, (EventType.WORKFLOW_ENDED,)):
        announcing = callbacks.announcing(database, workflows, done=done)
        _announce_again(database, [one for some in announcing.values() for one in some], database.now())


def _announce_again(database: Database, watches: Sequence[str], now: datetime) -> None:
    database.run_for("job.ends.announce_again", sorted(watches), now=now)


def _lineage(database: Database, jobs: Collection[str]) -> set[str]:
    """Some jobs and everything above them."""
    relatives, level = Relatives(database), set(jobs)
    seen = set(level)
    while level:
        level = {parent for node in relatives.jobs(level) for parent in node.depends_on} - seen
        seen |= level
    return seen


def _groups(database: Database, jobs: Collection[str], only_below: bool) -> set[str]:
    return {
        str(group)
        for (group,) in database.rows_of("job.ends.groups", sorted(jobs), database.key_chunk, batches=not only_below)
    }
