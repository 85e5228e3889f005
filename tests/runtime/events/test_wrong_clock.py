"""A worker whose host has a wrong clock delivers as any other, and says so."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from chaos.clocks import Clock
from hammerwork_cli import Job
from tests import surroundings
from tests.conftest import ROOT, on_servers
from tests.forks import PROGRAM
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.delivery.webhooks.receivers import Receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def lite_crew(lite: Stage) -> Iterator[Crew]:
    made = Crew(lite)
    yield made
    made.end()


@on_servers
@pytest.mark.parametrize("ahead", [600, -600])
def test_a_delivery_has_the_time_of_the_database(
    stage: Stage, run: Callable[..., Any], tmp_path: Path, ahead: int
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    clock = Clock(tmp_path / "clock")
    clock.put(ahead)
    words = ("--allow-private", "--events", "enqueued", "--secret", f"@{tmp_path / 'secret'}")
    with Receiving() as receiver:
        assert run("webhook", "add", "--name", "x", "--url", receiver.url, *words, url=stage.url).exit_code == 0
        stage.enqueue(Job("mail"))
        worker = subprocess.Popen(
            [*PROGRAM, "worker", "start", "--upkeep-only", "--allow-private-addresses", "-u", stage.url],
            env={**surroundings.passed_on(), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **clock.environment},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        with worker:
            until(lambda: receiver.arrived)
            health = run("monitor", "health", "--only", "clocks", "--format", "json", url=stage.url).json
            worker.terminate()
            assert worker.stderr
            log = worker.stderr.read()
    (arrived,) = receiver.arrived
    assert Webhook(SECRET).verify(arrived.body, dict(arrived.headers))["type"] == "job.enqueued"
    off = re.search(r"The clock of this host is (\S+) \S+ (ahead of|behind) that of the database", log)
    assert off
    assert (off[1] in {"9m", "10m"}, off[2]) == (True, "ahead of" if ahead > 0 else "behind")
    (check,) = health["checks"]
    assert (check["status"], check["value"]) == ("warning", 1)


def test_an_event_of_a_clock_that_was_ahead_waits_no_longer_for_others(
    lite: Stage, lite_crew: Crew, run: Callable[..., Any], tmp_path: Path
) -> None:
    out, words = tmp_path / "out", ("-b", "command", "--no-test", "--buffer-time", "1s", "--events", "enqueued")
    command = f"sh -c 'tee -a {out} | sed -u s/.*/ok/'"
    done = run("streaming", "add", "--name", "lake", "--command", command, *words, url=lite.url)
    assert done.exit_code == 0, done.stderr
    lite.enqueue(Job("mail"))
    lite.execute("UPDATE hammerwork_stream_events SET created_at = '2036-11-29T12:00:30.000000Z'")
    lite_crew.begin(allowed_programs=[command])
    until(out.exists)
    until(lambda: run("streaming", "show", "lake", "--format", "json", url=lite.url).json["sent"] == 1)
