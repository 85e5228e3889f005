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

from chaos import checking
from chaos.run import Outcome, Run, Size
from chaos.servers import CrashingServer, GivenServers, crashing_server
from hammerwork_cli.database import DatabaseUrl, connect
from tests.databases import migrate, with_database
from tests.servers import ServerMissingError

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
        "--outages", metavar="COMMAND", help="ends a server of --url, and starts it: called with crash, halt or start"
    )
    parser.add_argument("--kills", type=int, default=200, help="workers that die, on each database")
    parser.add_argument("--freezes", type=int, help="workers that stand still for a while; a tenth of the kills")
    parser.add_argument("--restarts", type=int, help="of each server; a tenth of the kills")
    parser.add_argument("--stream", type=int, default=2500, help="children of a generator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures here too, as JSON")
    parser.add_argument("--keep", type=Path, help="an empty folder in which the workers' logs stay")
    return parser.parse_args()


def _on(database: str, wanted: argparse.Namespace) -> dict[str, Any]:
    """As many runs as it takes, each on a new database."""
    outcomes: list[Outcome] = []
    with _folder(wanted.keep) as folder, contextlib.ExitStack() as closing:
        server = None if database == "sqlite" else closing.enter_context(crashing_server(database))
        for number, size in enumerate(_sizes(wanted, max(1, -(-wanted.kills // KILLS_A_RUN)))):
            place = folder / f"{database}-{number}"
            place.mkdir()
            url = _new_database(server, place, number)
            seed = wanted.seed * 1000 + number
            outcomes.append(Run([url], server, place, size, seed).go())
            _tell(f"{database}, run {number + 1}", outcomes[-1])
    return _figures(database, outcomes)


def _on_given(wanted: argparse.Namespace) -> dict[str, Any]:
    """One run, on the database that the URLs name."""
    server = GivenServers(wanted.outages) if wanted.outages else None
    with _folder(wanted.keep) as folder:
        _prepare(wanted.url[0])
        (size,) = _sizes(wanted, 1)
        outcome = Run(wanted.url, server, folder, size, wanted.seed * 1000).go()
    _tell("given servers", outcome)
    return _figures(DatabaseUrl.parse(wanted.url[0]).dialect, [outcome])


def _sizes(wanted: argparse.Namespace, runs: int) -> Iterator[Size]:
    freezes = wanted.kills // 10 if wanted.freezes is None else wanted.freezes
    restarts = wanted.kills // 10 if wanted.restarts is None else wanted.restarts
    for number in range(runs):
        kills, stops, ends = (len(range(number, total, runs)) for total in (wanted.kills, freezes, restarts))
        yield Size(kills, stops, ends, wanted.stream)


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
    checking.prepare(url)


def _tell(what: str, outcome: Outcome) -> None:
    found = outcome.findings
    print(
        f"{what}: {outcome.kills.total()} kills, {outcome.freezes} freezes, {outcome.restarts.total()} restarts,"
        f" {found.jobs:,} jobs, {found.runs:,} runs of handlers, {len(found.problems)} problems,"
        f" {outcome.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    for problem in itertools.islice(found.problems, MOST_SHOWN):
        print(f"  {problem}", file=sys.stderr, flush=True)


def _figures(database: str, outcomes: list[Outcome]) -> dict[str, Any]:
    kills: Counter[str] = sum((outcome.kills for outcome in outcomes), Counter())
    restarts: Counter[str] = sum((outcome.restarts for outcome in outcomes), Counter())
    findings = [outcome.findings for outcome in outcomes]
    return {
        "database": database,
        "runs": len(outcomes),
        "kills": kills.total(),
        "kills_by_step": dict(sorted(kills.items())),
        "freezes": sum(outcome.freezes for outcome in outcomes),
        "server_crashes": restarts["crash"],
        "server_restarts": restarts["halt"],
        "connections_lost": sum(outcome.unanswered.total() for outcome in outcomes),
        "jobs": sum(found.jobs for found in findings),
        "handler_runs": sum(found.runs for found in findings),
        "lost": sum(len(found.lost) for found in findings),
        "doubled": sum(len(found.doubled) for found in findings),
        "stuck": sum(len(found.stuck) for found in findings),
        "wrong": sum(len(found.wrong) for found in findings),
        "problems": [problem for found in findings for problem in found.problems],
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }


def _line(figure: dict[str, Any]) -> str:
    shown = {key: value for key, value in figure.items() if key not in ("problems", "kills_by_step")}
    steps = "".join(f"\n    {number:4} {step}" for step, number in figure["kills_by_step"].items())
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items()) + "; killed at:" + steps


def _machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME") if sys.platform == "linux" else platform.platform()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, {system}, {python}"


if __name__ == "__main__":
    sys.exit(main())
