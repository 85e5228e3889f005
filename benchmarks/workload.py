"""The jobs that are measured: one large tree, and small ones over thirty days.

Of ``n`` jobs, ``1 + n/10,000 + n/100 + n/10`` make one tree of four levels (110,101 of a million). The others are
parents with spawn configuration and about ten children each. One small tree in a hundred ends with a job that waits for
several of its siblings, one in fifty has yet to spawn. The same numbers give the same jobs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
LARGE_TREE_DAYS_AGO = 12
SMALLEST_JUDGED = 100_000
QUEUES = ("transcode", "thumbnail", "subtitle", "publish", "notify")
ERROR = "Codec error: moov atom not found in segment, the input may have been cut while it was uploaded"


@dataclass(frozen=True, slots=True)
class BenchmarkJob:
    """The columns that differ from row to row."""

    id: str
    queue: str
    payload: str
    status: str
    priority: int
    attempts: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    error: str | None
    depends_on: tuple[str, ...]
    dependency_status: str


class Workload:
    """Generates ``size`` jobs, in the order of their creation.

    Attributes:
        root: the id of the large tree's topmost job.
        tree_size: jobs in the large tree.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._random = Random(size)
        self.root = self._id()
        self.levels = (1, max(size // 10_000, 1), max(size // 100, 1), max(size // 10, 1))
        self.tree_size = sum(self.levels)

    def goal(self, most: float | None) -> float | None:
        """The goal of a figure; none where the table is so small that round trips are all there is."""
        return most if self.size >= SMALLEST_JUDGED else None

    def goal_of_large_tree(self, most: float) -> float | None:
        """The same, of what starts a process: a start would be all there is of a small tree."""
        return most if self.tree_size >= SMALLEST_JUDGED else None

    def jobs(self) -> Iterator[BenchmarkJob]:
        """All jobs. To be asked once."""
        rest = self.size - self.tree_size
        before = rest * (DAYS - LARGE_TREE_DAYS_AGO) // DAYS
        yield from self._small_trees(before, NOW - timedelta(days=DAYS), NOW - timedelta(days=LARGE_TREE_DAYS_AGO))
        yield from self._large_tree(NOW - timedelta(days=LARGE_TREE_DAYS_AGO))
        yield from self._small_trees(rest - before, NOW - timedelta(days=LARGE_TREE_DAYS_AGO), NOW)

    def _large_tree(self, start: datetime) -> Iterator[BenchmarkJob]:
        above = [self.root]
        yield self._job(self.root, start, (), "video_ingest", config=True, status="Completed")
        for level, width in enumerate(self.levels[1:], 1):
            ids = [self._id() for _ in range(width)]
            for number, job in enumerate(ids):
                created = start + timedelta(minutes=level, microseconds=number * 211)
                config = level < len(self.levels) - 1
                status = "Completed" if config else None
                parent = above[number * len(above) // width]
                yield self._job(job, created, (parent,), QUEUES[level], config=config, status=status)
            above = ids

    def _small_trees(self, count: int, start: datetime, end: datetime) -> Iterator[BenchmarkJob]:
        step = (end - start) / max(count, 1)
        made = 0
        while made < count:
            children = min(self._random.randint(5, 15), count - made - 1)
            yield from self._small_tree(start + step * made, children)
            made += children + 1

    def _small_tree(self, created: datetime, children: int) -> Iterator[BenchmarkJob]:
        parent = self._id()
        if self._random.random() < 0.02:
            yield self._job(parent, created, (), "video_ingest", config=True, status="Pending")
            for number in range(children):
                yield self._job(self._id(), created + timedelta(microseconds=number * 997), (), "nightly", config=False)
            return
        yield self._job(parent, created, (), "video_ingest", config=True, status="Completed")
        siblings: list[str] = []
        joins = self._random.random() < 0.01
        for number in range(children):
            above = tuple(siblings[:3]) if joins and number == children - 1 and len(siblings) > 1 else (parent,)
            queue = QUEUES[number % len(QUEUES)]
            siblings.append(self._id())
            yield self._job(
                siblings[-1], created + timedelta(microseconds=500_003 + number * 997), above, queue, config=False
            )

    def _job(
        self,
        job: str,
        created: datetime,
        depends_on: tuple[str, ...],
        queue: str,
        *,
        config: bool,
        status: str | None = None,
    ) -> BenchmarkJob:
        random = self._random
        status = (
            status
            or random.choices(("Completed", "Dead", "Failed", "Running", "Pending", "Retrying"), (93, 2, 1, 1, 2, 1))[0]
        )
        started = created + timedelta(microseconds=random.randint(5_000, 5_000_000)) if status != "Pending" else None
        ended = started + timedelta(microseconds=random.randint(20_000, 60_000_000)) if started else None
        failed = status in {"Dead", "Failed"}
        return BenchmarkJob(
            id=job,
            queue=queue,
            payload=self._payload(config),
            status=status,
            priority=random.choice((1, 2, 2, 2, 3)),
            attempts=3 if failed else 1,
            created_at=created,
            started_at=started,
            completed_at=ended if status == "Completed" else None,
            failed_at=ended if failed else None,
            error=ERROR if failed else None,
            depends_on=depends_on,
            dependency_status="satisfied" if depends_on else "none",
        )

    def _payload(self, config: bool) -> str:
        """About 200 bytes of JSON without a character that any database would want escaped."""
        number = self._random.getrandbits(32)
        spawn = (
            '"_spawn_config":{"max_spawn_count":100,"inherit_priority":true,"inherit_retry_strategy":true,'
            f'"inherit_timeout":false,"inherit_trace_context":true,"operation_id":"ingest_{number:08x}",'
            '"handler":"segment_video"},'
        )
        path = f'"source":"s3://media/{number:08x}/master.mov","profile":"1080p","codec":"h264"'
        filler = "" if config else f',"segment":{number % 5000},"checksum":"{number:064x}","retries_left":2'
        return f"{{{spawn if config else ''}{path}{filler}}}"

    def _id(self) -> str:
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
