"""``python -m chaos``: kills workers and servers, and looks whether anything was lost, doubled or left behind.

It prints figures, and exits with 1 when something was, with 3 when a server is not installed.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chaos import notes, plan
from chaos.clocks import host_clock
from chaos.run import Outcome, Run, Size
from chaos.servers import CrashingServer, GivenServers, SqliteFile, crashing_server
from hammerwork_cli.database import DatabaseUrl, connect
from tests.databases import migrate, with_database
from tests.proxies import proxy_process
from tests.servers import ServerMissingError

FAULTS = {
    "freezes": (10, "workers that are stopped for a while, with locks or without"),
    "restarts": (10, "short ones, of each server"),
    "outages": (15, "of the database, longer than the lease"),
    "forgets": (30, "servers that die and have forgotten, or older copies of a file"),
    "swallows": (10, "of all open connections of the workers: they deliver nothing any more, and new ones work"),
    "frozen_backends": (15, "of processes of the server that serve workers (PostgreSQL), or of the server (MariaDB)"),
    "clock_steps": (15, "of servers and workers, forward and back by more than a lease"),
    "wrong_clocks": (15, "of servers and workers, forward and back by a day or by years, for a moment"),
    "away": (5, "of those who get events, and deaths of the receiver"),
    "full_notify": (10, "times, for longer than a lease, that the queue of notifications is full (PostgreSQL)"),
}
"""What else happens: one for so many kills."""
COUNTED = (
    "late",
    "outages",
    "forgets",
    "forgotten",
    "clock_steps",
    "wrong_clocks",
    "full_notify",
    "swallows",
    "swallowed",
    "frozen_backends",
    "away",
)
DATABASES = ("sqlite", "postgres", "mysql")
KILLS_A_RUN = 25
MOST_SHOWN = 20
SERVER_MISSING = 3


def main() -> int:
    """Runs it."""
    wanted = _arguments()
    try:
        figures = [_on_given(wanted)] if wanted.url else [_on(database, wanted) for database in wanted.databases]
    except ServerMissingError as error:
        print(error, file=sys.stderr)
        return SERVER_MISSING
    print(_machine())
    for figure in figures:
        print(_line(figure))
    if wanted.output:
        wanted.output.write_text(json.dumps({"machine": _machine(), "databases": figures}, indent=2) + "\n")
    return int(any(figure["problems"] for figure in figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument(
        "--url",
        action="append",
        help="an empty database of servers of your own, instead of --databases; several: workers take them in turn",
    )
    parser.add_argument(
        "--server", metavar="COMMAND", help="ends a server of --url, and starts it: called with crash, halt or start"
    )
    parser.add_argument("--kills", type=int, default=300, help="workers that die, on each database")
    for name, (part, what) in FAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"{what}; kills / {part}")
    parser.add_argument("--without", nargs="+", choices=plan.EXTRAS, default=(), help="leaves out what there is else")
    parser.add_argument("--stream", type=int, default=2500, help="children of a generator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures here too, as JSON")
    parser.add_argument("--keep", type=Path, help="an empty folder in which the workers' logs stay")
    return parser.parse_args()


def _on(database: str, wanted: argparse.Namespace) -> dict[str, Any]:
    """As many runs as it takes, each on a new database."""
    outcomes: list[Outcome] = []
    with _folder(wanted.keep) as folder, contextlib.ExitStack() as closing:
        clock = None if wanted.clock_steps == wanted.wrong_clocks == 0 else host_clock()
        private = way = None
        if database != "sqlite":
            private = closing.enter_context(crashing_server(database, clock=clock is not None))
            if wanted.swallows != 0:
                way = closing.enter_context(proxy_process(private.url))
        for number, size in enumerate(_sizes(wanted, max(1, -(-wanted.kills // KILLS_A_RUN)))):
            place = folder / f"{database}-{number}"
            place.mkdir()
            url = _new_database(private, place, number)
            if private is None:
                size = size._replace(swallows=0, frozen_backends=0, restarts=0)
            if database != "postgres":
                size = size._replace(full_notify=0)
            server = private or SqliteFile(place / "chaos.db")
            steps = clock if size.moves_clocks else None
            outcomes.append(Run([url], server, place, size, wanted.seed * 1000 + number, steps, way).go())
            _tell(f"{database}, run {number + 1}", outcomes[-1])
    return _figures(database, outcomes)


def _on_given(wanted: argparse.Namespace) -> dict[str, Any]:
    """One run, on the database that the URLs name."""
    server = GivenServers(wanted.server) if wanted.server else None
    clock = None if wanted.clock_steps == wanted.wrong_clocks == 0 else host_clock()
    with _folder(wanted.keep) as folder:
        _prepare(wanted.url[0])
        (size,) = _sizes(wanted, 1)
        if DatabaseUrl.parse(wanted.url[0]).dialect != "postgresql":
            size = size._replace(full_notify=0)
        size = size._replace(forgets=0, swallows=0, frozen_backends=0)
        size = size if server else size._replace(restarts=0, outages=0)
        outcome = Run(wanted.url, server, folder, size, wanted.seed * 1000, clock if size.moves_clocks else None).go()
    _tell("given servers", outcome)
    return _figures(DatabaseUrl.parse(wanted.url[0]).dialect, [outcome])


def _sizes(wanted: argparse.Namespace, runs: int) -> Iterator[Size]:
    given = vars(wanted)
    totals = {name: wanted.kills // part if given[name] is None else given[name] for name, (part, _) in FAULTS.items()}
    totals["kills"] = wanted.kills
    extras = frozenset(plan.EXTRAS).difference(wanted.without)
    for number in range(runs):
        counts = {name: len(range(number, total, runs)) for name, total in totals.items()}
        # In a process that is forked under libfaketime, os.fork may never return: a run has the one or the other.
        for name in ("clock_steps", "wrong_clocks"):
            counts[name] = 0 if number % 2 else len(range(number // 2, totals[name], (runs + 1) // 2))
        # The reaper of version 3 would take what the one before it runs; a wrong clock would end all leases.
        other = "rust" if number % 2 and "rust3" in extras else "rust3" if "rust" in extras else ""
        size = Size(**counts, stream=wanted.stream, extras=extras - {other})
        yield size._replace(extras=size.extras - {"forks"}) if size.moves_clocks else size


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="hammerwork-chaos-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_database(server: CrashingServer | None, folder: Path, number: int) -> str:
    if server is None:
        url = f"sqlite:///{quote(str(folder / 'chaos.db'))}"
    else:
        admin = connect(server.url)
        admin.script(f"CREATE DATABASE chaos_{number}")
        admin.close()
        url = with_database(server.url, f"chaos_{number}")
    _prepare(url)
    return url


def _prepare(url: str) -> None:
    migrate(url)
    notes.prepare(url)


def _tell(what: str, outcome: Outcome) -> None:
    found = outcome.findings
    print(
        f"{what}: {outcome.kills.total()} kills, {outcome.freezes.total()} freezes,"
        f" {outcome.restarts.total()} restarts,"
        f" {outcome.outages} outages, {outcome.forgets} forgets ({outcome.forgotten} changes),"
        f" {outcome.swallows} swallows ({outcome.swallowed} connections), {outcome.frozen_backends} frozen backends,"
        f" {outcome.clock_steps} clock steps, {outcome.wrong_clocks} wrong clocks,"
        f" {outcome.full_notify} full queues of notifications, {outcome.away} times away,"
        f" {found.jobs:,} jobs, {found.runs:,} runs of handlers,"
        f" {outcome.slowest_heartbeat:.1f} s the slowest heartbeat, {outcome.late} late,"
        f" {len(found.problems)} problems, {outcome.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    for problem in itertools.islice(found.problems, MOST_SHOWN):
        print(f"  {problem}", file=sys.stderr, flush=True)


def _figures(database: str, outcomes: list[Outcome]) -> dict[str, Any]:
    kills, freezes, restarts, unanswered = (
        sum((getattr(outcome, name) for outcome in outcomes), Counter[str]())
        for name in ("kills", "freezes", "restarts", "unanswered")
    )
    findings = [outcome.findings for outcome in outcomes]
    forgets, forgotten = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("forgets", "forgotten"))
    # What a server has forgotten, it may have written just before.
    is_idle = database == "sqlite" and forgets > 0 and not forgotten
    idle = ["older copies of the file had all its changes"] if is_idle else []
    for problem in idle:
        print(problem, file=sys.stderr)
    return {
        "database": database,
        "runs": len(outcomes),
        "kills": kills.total(),
        "kills_by_step": dict(sorted(kills.items())),
        "freezes": freezes.total(),
        "freezes_by_step": dict(sorted(freezes.items())),
        "server_crashes": restarts["crash"],
        "server_restarts": restarts["halt"],
        **{name: sum(getattr(outcome, name) for outcome in outcomes) for name in COUNTED},
        "slowest_heartbeat": round(max(outcome.slowest_heartbeat for outcome in outcomes), 1),
        "connections_lost": unanswered.total(),
        "jobs": sum(found.jobs for found in findings),
        "handler_runs": sum(found.runs for found in findings),
        "lost": sum(len(found.lost) for found in findings),
        "doubled": sum(len(found.doubled) for found in findings),
        "stuck": sum(len(found.stuck) for found in findings),
        "wrong": sum(len(found.wrong) for found in findings),
        "problems": [*idle, *(problem for found in findings for problem in found.problems)],
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }


def _line(figure: dict[str, Any]) -> str:
    shown = {key: value for key, value in figure.items() if key != "problems" and not key.endswith("by_step")}
    steps = "".join(f"\n    {number:4} {step}" for step, number in figure["kills_by_step"].items())
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items()) + "; killed at:" + steps


def _machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME") if sys.platform == "linux" else platform.platform()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, {system}, {python}"


if __name__ == "__main__":
    sys.exit(main())
