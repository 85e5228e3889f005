"""Finds joins whose counts are to be doubted, and compares these with their jobs.

Our own programs count in the transaction that changes a job. Other programs do not, and a hand may change anything. So
a waiting join is compared when its count stands still although the job has ended that it was last seen to wait for, its
witness. A look at the witnesses costs a look-up for each join; a comparison reads all jobs of one, but locks none.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.queries.dependencies import ComparedJoin, compare_join
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries.joins import JoinCounts

PAGE = 500
MOST_DOUBTED = 20
MOST_KNOWN = 20_000
"""Most joins of which a worker remembers what it saw."""
LEASE = timedelta(minutes=5)
"""Time for which a worker takes the comparison of a join."""
COST = 50
"""The rest after a comparison, as a multiple of the time that it took."""
LONGEST = timedelta(hours=1)


class _SeenJoin(NamedTuple):
    counts: tuple[bool, int, int]
    witness: str | None  # an open job that the join waits for; ``None`` while nobody knows one


class Recounts:
    """What a worker has seen of the joins that wait. One thread uses it."""

    def __init__(self) -> None:
        self._seen: dict[str, _SeenJoin] = {}
        self._seen_now: dict[str, _SeenJoin] = {}  # by the present pass over all joins
        self._after: str | None = None  # the last join that this pass has seen

    def look(self, database: Database, clock: Callable[[], datetime], seconds: float) -> Iterator[ComparedJoin]:
        """Looks at some joins, at most for as long as one comparison takes after some seconds; yields what it compared.

        The next call goes on where this one stopped: see :attr:`is_over`.
        """
        until = time.monotonic() + seconds
        for known in joins.doubted(database, MOST_DOUBTED):
            if compared := self._compare(database, known, clock):
                yield compared
            if time.monotonic() > until:
                return
        while True:
            page = joins.waiting(database, self._after, PAGE)
            for known in self._suspicious(database, page, clock()):
                if compared := self._compare(database, known, clock):
                    yield compared
                if time.monotonic() > until:
                    return
            if len(page) < PAGE:
                self._after, self._seen, self._seen_now = None, self._seen_now, {}
                return

    @property
    def is_over(self) -> bool:
        """Whether it has looked at all joins."""
        return self._after is None

    def _suspicious(self, database: Database, page: list[JoinCounts], now: datetime) -> Iterator[JoinCounts]:
        before = {known.join: self._seen.get(known.join) for known in page}
        witnesses = {known.join: seen.witness for known in page if (seen := before[known.join]) and seen.witness}
        ended = joins.ended_among(database, witnesses.values())
        for known in page:
            self._after = known.join
            seen, counts = before[known.join], (known.parent_ended, known.open, known.failed)
            witness = witnesses.get(known.join)
            if witness in ended:
                witness = None
            if len(self._seen_now) < MOST_KNOWN:
                self._seen_now[known.join] = _SeenJoin(counts, witness)
            has_moved = seen is not None and seen.counts != counts
            if witness is None and not has_moved and is_due(timestamp(known.checked_at) or now, now, LONGEST):
                yield known

    def _compare(self, database: Database, known: JoinCounts, clock: Callable[[], datetime]) -> ComparedJoin | None:
        began = time.monotonic()
        taken = joins.take(database, known, clock() + LEASE)
        if taken is None:
            return None

        def rest() -> timedelta:
            return min(timedelta(seconds=COST * (time.monotonic() - began)), LONGEST)

        compared = compare_join(database, taken, clock, rest)
        if compared is not None and known.join in self._seen_now:
            found = compared.found
            self._seen_now[known.join] = _SeenJoin((found.parent_ended, found.open, found.failed), found.witness)
        return compared
