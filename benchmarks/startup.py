"""How long a command takes that does next to nothing, against ``python -c pass`` of the same interpreter."""

import compileall
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import hammerwork_cli
from benchmarks.loading import add_indexes, filled, server_of
from benchmarks.measuring import Result, medians
from benchmarks.workload import NOW, Workload
from tests.databases import Databases

JOBS = 2000
NO_CONFIG = str(Path(__file__).with_name("no-such-folder"))
GOALS = {"sqlite table": 11.0, "sqlite json": 6.0, "sqlite values": 3.0, "postgres json": 12.0}
FORMS = {"json": "spawn list --format json", "table": "spawn list, piped", "values": "a TAB's values"}
PEER = "python -c pass"


def program() -> list[str]:
    """The installed program of this environment, its bytecode compiled."""
    compileall.compile_dir(Path(hammerwork_cli.__file__).parent, quiet=2)
    script = Path(sys.executable).with_name("hammerwork")
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", "hammerwork_cli"]


def interpreter() -> str:
    """This environment's Python, which must be a program: the script of a version manager would flatter us.

    Raises:
        SystemExit: it is a script.
    """
    with Path(sys.executable).resolve().open("rb") as file:
        if file.read(2) == b"#!":
            raise SystemExit(f"{sys.executable} is a script. Use the Python of an environment made with venv.")
    return sys.executable


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what would slow each start of Python, and without a user's configuration."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "HAMMERWORK_CONFIG", "HAMMERWORK_DATABASE_URL", "DATABASE_URL"}
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {**kept, "HAMMERWORK_NOW": NOW.isoformat(), "XDG_CONFIG_HOME": NO_CONFIG, **variables}


def call(*command: str, url: str | None = None, may_give_up: bool = False) -> Callable[[], None]:
    """Runs a command whose output nobody reads.

    Args:
        command: what to run.
        url: of its database.
        may_give_up: it ends with 1 when a busy machine lets its own time limit pass, as a TAB does.
    """
    variables = environment(**({"HAMMERWORK_DATABASE_URL": url} if url else {}))

    def run() -> None:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=not may_give_up
        )
        assert done.returncode in (0, 1), command

    return run


def measure(makers: Mapping[str, Databases], runs: int) -> Iterator[Result]:
    """``--version``, and ``spawn list`` on small tables."""
    hammerwork = program()
    contenders = {PEER: call(interpreter(), "-c", "pass"), "--version": call(*hammerwork, "--version")}
    servers = {}
    with ExitStack() as closing:
        for dialect, maker in makers.items():
            url = closing.enter_context(filled(maker, Workload(JOBS)))
            add_indexes(url)
            servers[dialect] = server_of(url)
            contenders[f"{dialect} json"] = call(*hammerwork, "spawn", "list", "--format", "json", url=url)
            contenders[f"{dialect} table"] = call(*hammerwork, "spawn", "list", url=url)
            contenders[f"{dialect} values"] = call(
                *hammerwork, "--complete-values", "queues", "q", url=url, may_give_up=True
            )
        taken = medians(contenders, max(runs, 3) * 3)
    yield _result("--version", "", 0, taken, "--version", 2.0)
    for dialect, server in servers.items():
        for form, shown in FORMS.items():
            name = f"{dialect} {form}"
            yield _result(f"start: {shown}", server, JOBS, taken, name, GOALS.get(name))


def _result(
    measure: str, database: str, jobs: int, taken: Mapping[str, float], name: str, goal: float | None
) -> Result:
    ours, peer = taken[name], taken[PEER]
    return Result(measure, database, jobs, ours / peer, goal=goal, ours=ours, peer=peer, against=PEER)
