"""``python -m mutants``: changes the core in small ways, and says which changes no test notices.

A change counts as noticed when a test fails, or does not end, on any database, and does not without the change, after
the same tests. It exits with 1 when fewer than 90 of 100 are noticed; changes in ``equivalent.toml``, which change
nothing that anybody could notice, do not count.
"""

import argparse
import contextlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants import python, statements
from mutants.changes import ROOT, Change, numbered
from mutants.tests import NAME_OF_FAILURE, Tests
from tests.servers import KINDS, VARIABLES, ServerMissingError, server_url

CORE = (
    *(f"hammerwork_cli/features/tree/queries/{name}.py" for name in ("joins", "release", "tree")),
    *(
        f"hammerwork_cli/features/job/queries/{name}.py"
        for name in ("changes", "dependencies", "enqueue", "joins", "unique")
    ),
    *(
        f"hammerwork_cli/features/worker/queries/{name}.py"
        for name in ("ancestry", "claim", "finish", "limits", "registry", "requests", "rescue", "spawn")
    ),
    *(
        f"hammerwork_cli/runtime/execution/{name}.py"
        for name in (
            "attempt_runner",
            "attempts",
            "child_spawner",
            "event_loop",
            "finisher",
            "outcome_policy",
            "slots",
            "unwritten_outcomes",
        )
    ),
    *(
        f"hammerwork_cli/runtime/worker/{name}.py"
        for name in (
            "claimer",
            "finisher_thread",
            "heartbeat",
            "keeper",
            "lease",
            "listener",
            "loop",
            "requests",
            "turns",
        )
    ),
    "hammerwork_cli/runtime/outcomes/children.py",
    *(f"hammerwork_cli/features/tree/sql/{name}.sql" for name in ("joins", "release")),
    *(f"hammerwork_cli/features/job/sql/{name}.sql" for name in ("dependencies", "spawn_requests")),
    *(
        f"hammerwork_cli/features/worker/sql/{name}.sql"
        for name in ("ancestry", "claim", "finish", "limits", "registry", "requests", "rescue", "shared", "spawn")
    ),
)
"""What must never go wrong."""
ENOUGH = 0.9
USAGE_ERROR = 4
"""How pytest ends that was asked for tests that do not exist."""
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
COPIED_NOT = shutil.ignore_patterns(".*", "node_modules", "__pycache__", "build", "dist")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change; ``noticed`` names the test, or is empty."""

    change: Change
    noticed: str
    seconds: float


def main() -> int:
    """Runs it."""
    wanted = _arguments()
    equivalent: dict[str, str] = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    every = _changes(wanted.only)
    _check_list(equivalent, every, partial=bool(wanted.only))
    chosen = _chosen(every, equivalent, None if wanted.all else wanted.number, wanted.seed)
    print(f"{len(chosen)} of {len(every)} changes in {len(CORE)} files, seed {wanted.seed}", flush=True)
    if wanted.list:
        print(*(f"{change.line:5} {change.key}" for change in chosen), sep="\n")
        return 0
    tests = Tests(wanted.tests, CORE, wanted.jobs)
    tests.look()
    with contextlib.ExitStack() as closing:
        servers = {} if wanted.sqlite else _servers(closing)
        verdicts = list(_judged(chosen, tests, servers, wanted))
    return _report(verdicts, wanted.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=90, help="how many changes")
    parser.add_argument("--all", action="store_true", help="every change: that takes hours")
    parser.add_argument("--seed", type=int, default=1, help="chooses them")
    parser.add_argument("--only", default="", help="changes whose key contains this")
    parser.add_argument("--list", action="store_true", help="says which changes there are")
    parser.add_argument("--sqlite", action="store_true", help="asks the tests on SQLite only")
    parser.add_argument(
        "--within", type=float, default=45, help="seconds of tests that a change is given on a database"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="changes that are tried at once")
    parser.add_argument("--tests", type=Path, default=ROOT / ".mutants.json", help="where is kept what the tests run")
    return parser.parse_args()


def _changes(only: str) -> list[Change]:
    found: list[Change] = []
    for path in CORE:
        text = (ROOT / path).read_text(encoding="utf-8")
        made = python.changes(path, text) if path.endswith(".py") else statements.changes(path, text)
        found += numbered(made)
    return [change for change in found if only in change.key]


def _check_list(equivalent: dict[str, str], every: Sequence[Change], *, partial: bool) -> None:
    gone = equivalent.keys() - {change.key for change in every}
    if gone and not partial:
        sys.exit("\n".join(["These changes are no more: take them out of equivalent.toml.", *sorted(gone)]))


def _chosen(every: Sequence[Change], equivalent: dict[str, str], number: int | None, seed: int) -> list[Change]:
    """As many of each file as of any other, as far as there are so many."""
    dice = random.Random(seed)
    by_path = {path: [change for change in every if change.path == path] for path in CORE}
    for changes in by_path.values():
        dice.shuffle(changes)
    turns = [
        change
        for turn in range(max(map(len, by_path.values())))
        for changes in by_path.values()
        for change in changes[turn : turn + 1]
        if change.key not in equivalent
    ]
    return turns[:number]


def _servers(closing: contextlib.ExitStack) -> dict[str, str]:
    running = {}
    for kind in KINDS:
        try:
            running[VARIABLES[kind]] = closing.enter_context(server_url(kind))
        except ServerMissingError as error:
            print(error, file=sys.stderr)
    return running


def _judged(
    chosen: Sequence[Change], tests: Tests, servers: dict[str, str], wanted: argparse.Namespace
) -> Iterator[Verdict]:
    """Tries changes side by side, each in a copy of the project."""
    with tempfile.TemporaryDirectory(prefix="hammerwork-mutants-") as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(wanted.jobs):
            copies.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), ignore=COPIED_NOT)))

        sound: set[str] = set()  # the tests that pass without a change, after others on these servers

        def judge(change: Change) -> Verdict:
            copy, began = copies.get(), time.monotonic()

            def failure_of(chosen: Sequence[str]) -> str:
                patience = 20 + 5 * tests.slowest(chosen)
                return _failure(copy, chosen, servers, patience, patience + 5 * tests.seconds(chosen)) if chosen else ""

            try:
                on_sqlite, on_servers = tests.of(change, wanted.within)
                for chosen in (on_sqlite, [] if wanted.sqlite else on_servers):
                    with _changed(copy, change):
                        failure = failure_of(chosen)
                    if not failure:
                        continue
                    before = chosen[: chosen.index(failure) + 1] if failure in chosen else chosen
                    if failure not in sound and failure_of(before) == failure:
                        print(f"This fails without a change, too, and does not count: {failure}", flush=True)
                    else:
                        sound.add(failure)
                        return Verdict(change, failure, time.monotonic() - began)
                return Verdict(change, "", time.monotonic() - began)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(wanted.jobs) as pool:
            for verdict in pool.map(judge, chosen):
                print(_line(verdict), flush=True)
                yield verdict


@contextlib.contextmanager
def _changed(copy: Path, change: Change) -> Iterator[None]:
    path = copy / change.path
    before = path.read_bytes()
    try:
        _write(path, change.made_in(before))
        yield
    finally:
        _write(path, before)


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    # Python takes a compiled file for new that was written in the same second.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()


def _failure(copy: Path, chosen: Sequence[str], servers: dict[str, str], patience: float, whole: float) -> str:
    """The first test that fails, or what else went wrong; empty when all pass.

    Args:
        copy: the changed project.
        chosen: the tests.
        servers: environment variables of the servers.
        patience: seconds that one test may take.
        whole: seconds that all may take. A worker that never stops outlives its test, and keeps pytest from ending.
    """
    limit = ("-o", f"faulthandler_timeout={patience}", "-o", "faulthandler_exit_on_timeout=true")
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "--tb=no", *limit, *chosen]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=copy,
            env={**os.environ, **servers, "PYTHONPATH": str(copy)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(whole)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what its tests left running
        process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace")
    if code == 0:
        return ""
    if code == USAGE_ERROR:
        sys.exit(f"The tests do not run:\n{said[-3000:]}")
    found = NAME_OF_FAILURE.search(said)
    endless = code is None or "Timeout" in said
    return found[1] if found else "a test that does not end" if endless else f"exit code {code}"


def _line(verdict: Verdict) -> str:
    how = f"noticed by {verdict.noticed}" if verdict.noticed else "NOT NOTICED"
    return (
        f"{verdict.seconds:6.1f} s  {verdict.change.path}:{verdict.change.line}  {verdict.change.key}\n          {how}"
    )


def _report(verdicts: Sequence[Verdict], seed: int) -> int:
    left = [verdict.change for verdict in verdicts if not verdict.noticed]
    share = 1 - len(left) / max(1, len(verdicts))
    print(f"\n{len(verdicts) - len(left)} of {len(verdicts)} changes were noticed, {share:.0%} (seed {seed}).")
    if left:
        print("Not noticed:")
        for change in left:
            print(f"  {change.path}:{change.line}\n    {json.dumps(change.key)} = ''")
    return int(share < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
