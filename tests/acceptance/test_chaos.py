"""Workers that are killed at every step of a spawn, and a server that crashes under them: a short run on each database.

``make chaos`` is the long one.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.run import fates
from chaos.servers import CrashingServer
from chaos.worker import NAMED
from tests.conftest import ROOT, unavailable
from tests.servers import ServerMissingError

KILLS = 8
SHORT = ("--kills", str(KILLS), "--freezes", "1", "--restarts", "2", "--stream", "700", "--seed", "5")


@pytest.fixture
def startable(dialect: str) -> str:
    """A database whose server is installed: this suite needs one that it may crash."""
    if dialect != "sqlite":
        try:
            CrashingServer(dialect).close()
        except ServerMissingError as error:
            unavailable(str(error))
    return dialect


def test_nothing_is_lost_doubled_or_stuck_when_workers_and_servers_die(startable: str, tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--databases", startable, *SHORT, "--output", output],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(output.read_text(encoding="utf-8"))["databases"]
    assert {name: figures[name] for name in ("lost", "doubled", "stuck", "wrong", "problems")} == {
        "lost": 0,
        "doubled": 0,
        "stuck": 0,
        "wrong": 0,
        "problems": [],
    }
    assert figures["kills"] >= KILLS
    assert figures["jobs"] > 200
    assert (figures["server_crashes"], figures["server_restarts"]) == ((0, 0) if startable == "sqlite" else (1, 1))


def test_even_a_short_run_draws_every_named_step() -> None:
    from random import Random

    assert {fate.step for fate in fates(KILLS, Random(1))} >= set(NAMED)
