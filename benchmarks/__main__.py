"""``python -m benchmarks``: see README.md beside it."""

import argparse
import fnmatch
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import beside, bulk, duties, events, joins, lists, live, startup, streams, trees, workers
from benchmarks.loading import DIALECTS, add_indexes, databases, filled
from benchmarks.measuring import FULL_SIZE, Result, table
from benchmarks.workload import Workload
from tests.databases import Databases

PARTS: dict[str, tuple[str, ...]] = {
    "startup": ("--version", *(f"start: {shown}" for shown in startup.FORMS.values())),
    "trees": ("read the tree", "memory for each job of the tree", "spawn timeline, whole command"),
    "lists": ("queue stats", "spawn why of all failures"),
    "live": ("monitor health",),
    "bulk": ("job export: memory",),
    "workers": ("no-op coroutines, one worker process", "spawn * children atomically"),
    "beside": (),
    "duties": ("count the jobs of a batch",),
    "joins": ("complete the jobs of a join, four workers",),
    "events": ("no-op jobs: nobody wants events",),
    "streams": ("send * events into Kafka",),
}
"""Each part with some of its measures, without which something is wrong with it; ``beside`` is for PostgreSQL alone."""


def main() -> int:
    """Measures, prints a table, and writes the results; with 1 it says that a part did not measure what it should."""
    wanted = _arguments()
    results: list[Result] = []
    with ExitStack() as closing:
        makers = {dialect: closing.enter_context(databases(dialect)) for dialect in wanted.databases}
        for result in _measure(makers, wanted.jobs, wanted.parts, wanted.runs):
            results.append(result)
            print(f"{result.measure}: {result.value:.2f} {result.unit} ({result.database})", file=sys.stderr)
    results += [*lists.growth(results), *live.growth(results)]
    print(_machine())
    print(table(results))
    if wanted.output:
        document = {"machine": _machine(), "results": [result.record for result in results]}
        wanted.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    found = problems(results, wanted.parts, max(wanted.jobs))
    for problem in found:
        print(problem, file=sys.stderr)
    return int(bool(found))


def problems(results: Sequence[Result], parts: Sequence[str], jobs: int) -> list[str]:
    """What is wrong with the measuring itself, on tables of up to so many jobs."""
    measures = {result.measure.removesuffix(", without 015") for result in results}
    wanted = [measure for part in parts for measure in PARTS[part]]
    nothing = [f"nothing was measured: {measure}" for measure in wanted if not fnmatch.filter(measures, measure)]
    # A difference between two runs may be anything.
    below = [f"below zero: {one.measure}" for one in results if one.value < 0 and "more than" not in one.unit]
    # How long a program takes to start does not depend on the table.
    judged = [one.measure for one in results if one.met is not None and one.measure not in PARTS["startup"]]
    small = [f"judged on too small a table: {measure}" for measure in judged if jobs < FULL_SIZE]
    return nothing + below + small


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the table")
    parser.add_argument("--databases", nargs="+", choices=DIALECTS, default=DIALECTS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=tuple(PARTS))
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each contender")
    parser.add_argument("--output", type=Path, help="write the results here too, as JSON")
    return parser.parse_args()


def _measure(makers: dict[str, Databases], sizes: Sequence[int], parts: Sequence[str], runs: int) -> Iterator[Result]:
    if "startup" in parts:
        yield from startup.measure(makers, runs)
    if "streams" in parts:
        yield from streams.measure(min(sizes), runs)
    for dialect, maker in makers.items():
        for size in sizes:
            yield from _on_one_table(maker, Workload(size), parts, runs)
        if "workers" in parts:
            yield from workers.measure(maker, min([*sizes, 30_000]), runs)
            yield from workers.memory(maker, max(sizes))
        if "beside" in parts and dialect == "postgres":
            yield from beside.measure(maker, runs, min(1.0, max(sizes) / FULL_SIZE))
        if "joins" in parts:
            yield from joins.measure(maker, max(sizes))
        if "events" in parts:
            yield from events.measure(maker, min([*sizes, 20_000]), runs)
        if "duties" in parts:
            yield from duties.measure(maker, min([*sizes, 100_000]), runs)


def _on_one_table(maker: Databases, workload: Workload, parts: Sequence[str], runs: int) -> Iterator[Result]:
    if not {"trees", "lists", "live", "bulk"} & set(parts):
        return
    with filled(maker, workload) as url:
        yield from _questions(url, workload, parts, runs)
        add_indexes(url)
        yield from _questions(url, workload, parts, runs)


def _questions(url: str, workload: Workload, parts: Sequence[str], runs: int) -> Iterator[Result]:
    if "trees" in parts:
        yield from trees.measure(url, workload, runs)
    if "lists" in parts:
        yield from lists.measure(url, workload, runs)
        yield lists.measure_failures(url, workload, runs)
    if "live" in parts:
        yield from live.measure(url, workload, runs)
    if "bulk" in parts:
        yield from bulk.measure(url, workload, runs)


def _machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME") if sys.platform == "linux" else platform.platform()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, {system}, {python}"


if __name__ == "__main__":
    sys.exit(main())
