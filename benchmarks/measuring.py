"""Times contenders in turn, so that what else the machine does meets all of them, and keeps the results."""

import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hammerwork_cli.database import Database

Contender = Callable[[], object]
PATIENCE_SECONDS = 40
FULL_SIZE = 10_000
"""Jobs below which nothing is said about goals."""


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure.

    Attributes:
        measure: what was measured.
        database: product and version, or nothing where there is none.
        jobs: rows in the table.
        value, unit: the figure: a ``ratio`` of two medians, ``KiB``, or ``s``.
        goal: the most it should be; ``None`` when it is told for information.
        ours, peer: the two medians in seconds, of a ratio.
        against: what the peer is.
        note: what a reader must know beside it.
    """

    measure: str
    database: str
    jobs: int
    value: float
    unit: str = "ratio"
    goal: float | None = None
    ours: float | None = None
    peer: float | None = None
    against: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal was met."""
        return None if self.goal is None else self.value <= self.goal

    @property
    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "met": self.met}


def seconds(work: Contender) -> float:
    """How long one run takes."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(contenders: Mapping[str, Contender], runs: int) -> dict[str, float]:
    """The median of ``runs`` runs of each, taken in turn after one run of each that does not count.

    Where that first run takes long, noise is small, and patience too: one run of each is taken then.
    """
    slow = sum([seconds(work) for work in contenders.values()]) > PATIENCE_SECONDS
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 if slow else runs):
        for name, work in contenders.items():
            times[name].append(seconds(work))
    return {name: statistics.median(taken) for name, taken in times.items()}


def compare(ours: Contender, peer: Contender, runs: int, **facts: Any) -> Result:
    """The ratio of our median to that of a peer; ``facts`` are the other attributes of the result."""
    taken = medians({"ours": ours, "peer": peer}, runs)
    return Result(value=taken["ours"] / taken["peer"], ours=taken["ours"], peer=taken["peer"], **facts)


def goal_at(jobs: int, goal: float) -> float | None:
    """A goal, unless there are too few jobs to say anything."""
    return goal if jobs >= FULL_SIZE else None


def ratio_of(
    name: str, database: Database, jobs: int, ours: list[float], peer: list[float], *, goal: float | None, against: str
) -> Result:
    """The ratio of the medians of times that were taken in turn."""
    mine, other = statistics.median(ours), statistics.median(peer)
    return Result(
        measure=name,
        database=database.server,
        jobs=jobs,
        value=mine / other,
        goal=None if goal is None else goal_at(jobs, goal),
        ours=mine,
        peer=other,
        against=against,
        note=f"{jobs / mine:,.0f} and {jobs / other:,.0f} jobs/s",
    )


def peak_kib() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which a process on Linux inherits from the one that started it.
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


def table(results: Sequence[Result]) -> str:
    """The results for people."""
    from tabulate import tabulate

    headers = ("measure", "database", "jobs", "result", "goal", "", "ours", "peer", "against")
    rows = [
        (
            result.measure,
            result.database,
            f"{result.jobs:,}" if result.jobs else "",
            f"{result.value:.2f}x" if result.unit == "ratio" else f"{result.value:,.2f} {result.unit}",
            "" if result.goal is None else f"{result.goal:g}",
            {True: "met", False: "MISSED", None: ""}[result.met],
            _time(result.ours),
            _time(result.peer),
            result.against + (f" ({result.note})" if result.note else ""),
        )
        for result in results
    ]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def _time(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
