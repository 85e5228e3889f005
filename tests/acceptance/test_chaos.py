"""Workers that are killed at every step of a spawn, servers that crash, hang and forget, and clocks that step.

``make smoke`` has a short run with every fault on each database, ``make chaos`` the long one. The tests here show that
such a run sees damage.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chaos import checking, notes, plan
from chaos.__main__ import SERVER_MISSING
from chaos.clocks import Clock
from chaos.crew import fates
from chaos.poisons import ASYNC_POISONS, CRASHES, POISONS
from chaos.run import QUIET_SECONDS, Run, Size
from chaos.watching import Watch
from chaos.worker import NAMED
from hammerwork_cli.database import connect
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.runtime.worker import keeper
from hammerwork_cli.runtime.worker.upkeep import thread
from tests.conftest import ROOT, needed, unavailable

KILLS = 8


def figures_of(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """What a run that finds nothing wrong says."""
    output = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *arguments, "--output", output],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    if done.returncode == SERVER_MISSING:
        unavailable(done.stderr)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any]
    (figures,) = json.loads(output.read_text(encoding="utf-8"))["databases"]
    assert {name: figures[name] for name in ("lost", "doubled", "stuck", "wrong", "problems")} == {
        "lost": 0,
        "doubled": 0,
        "stuck": 0,
        "wrong": 0,
        "problems": [],
    }
    return figures


def test_a_run_waits_for_longer_than_any_worker_pauses() -> None:
    pauses = (callbacks.LONGEST, keeper.BETWEEN_LOOKS, timedelta(seconds=thread.AGAIN))
    assert timedelta(seconds=QUIET_SECONDS) >= 1.5 * max(pauses)


def test_given_servers_are_ended_and_started_by_a_given_command(sqlite_url: str, tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    command = f'{sys.executable} -c \'import sys; print(sys.argv[1], file=open("{orders}", "a"))\''
    none = [word for kind in ("freezes", "outages", "clock-steps", "wrong-clocks") for word in (f"--{kind}", "0")]
    size = ("--kills", "1", "--restarts", "1", "--stream", "20", *none)
    without = ("--without", *plan.EXTRAS)
    figures = figures_of(tmp_path, "--url", sqlite_url, "--url", sqlite_url, "--server", command, *size, *without)
    assert figures["database"] == "sqlite"
    assert (figures["kills"], figures["server_crashes"], figures["server_restarts"]) == (1, 1, 0)
    assert orders.read_text().split() == ["crash", "start"]


def test_even_a_short_run_draws_every_named_step() -> None:
    from random import Random

    assert {fate.step for fate in fates(KILLS, Random(1))} >= set(NAMED)


def test_a_worker_that_ends_by_itself_is_a_problem_that_says_why(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    url, empty = new_database("sqlite", migrated=True), new_database("sqlite")
    notes.prepare(url)
    connect(empty).close()
    found = Run([url, empty], None, tmp_path, Size(), seed=1).go().findings
    assert found.wrong
    assert len(found.wrong) == len(found.problems)
    assert all("ended by itself: 1" in problem and "has no hammerwork tables" in problem for problem in found.wrong)


def test_every_poison_is_among_the_first_jobs() -> None:
    kinds = {"poison": POISONS, "async": ASYNC_POISONS, "crashes": CRASHES}
    waves = [plan.wave(number, 1, 20, plan.EXTRAS) for number in range(4)]
    names = {root.name.partition(".")[2] for wave in waves for root in wave}
    assert names >= {f"{kind}:{poison}" for kind, poisons in kinds.items() for poison in poisons}


@pytest.fixture
def run_calmly(new_database: Callable[..., str], tmp_path: Path) -> Callable[..., Run]:
    """Returns a run in which nobody dies, at its end."""

    def go(*extras: str) -> Run:
        url = new_database("sqlite", migrated=True)
        notes.prepare(url)
        run = Run([url], None, tmp_path, Size(extras=frozenset(extras)), seed=1)
        assert run.go().findings.problems == []
        return run

    return go


_COPY = (
    "INSERT INTO hammerwork_jobs (id, queue_name, status, payload, depends_on, scheduled_at, created_at)"
    " SELECT id, queue_name, status, CAST(payload AS TEXT), depends_on, '', '' FROM {archive}"
    " WHERE CAST(payload AS TEXT) LIKE '%\"{name}\"%'"
)
DAMAGE = {
    "lost: 0.stream/7 (leaf) is not there": "DELETE FROM hammerwork_jobs WHERE payload LIKE '%\"0.stream/7\"%'",
    "doubled: 0.stream/7 (leaf) is there 2 times": (
        "INSERT INTO hammerwork_jobs (id, queue_name, status, payload, depends_on, scheduled_at, created_at)"
        " SELECT '00000000-0000-4000-8000-000000000000', queue_name, status, payload, depends_on, scheduled_at,"
        " created_at FROM hammerwork_jobs WHERE payload LIKE '%\"0.stream/7\"%'"
    ),
    "stuck: 0.stream/7 (": "UPDATE hammerwork_jobs SET status = 'Running' WHERE payload LIKE '%\"0.stream/7\"%'",
    "stuck: 0.both3 (": "UPDATE hammerwork_jobs SET dependency_status = 'waiting' WHERE payload LIKE '%\"0.both3\"%'",
    "lost: the result of 0.stream/7": (
        "UPDATE hammerwork_jobs SET result_data = NULL WHERE payload LIKE '%\"0.stream/7\"%'"
    ),
    "doubled: 0.stream (": (
        "INSERT INTO hammerwork_spawn_operations"
        " (id, parent_id, root_id, depth, occurrence, handler, outcome, children, started_at, ended_at)"
        " SELECT '00000000-0000-4000-8000-000000000000', parent_id, root_id, depth, occurrence, handler, outcome,"
        " children, started_at, ended_at FROM hammerwork_spawn_operations WHERE handler = 'stream'"
    ),
    "lost: 0.stream (": "DELETE FROM hammerwork_spawn_operations WHERE handler = 'stream'",
    "lost: the child 0.keys11+1": (
        "UPDATE hammerwork_spawned_children SET child_id = parent_id WHERE spawn_key = '0.keys11+1'"
    ),
    "doubled: 0.stream/8 (": (
        "UPDATE hammerwork_jobs SET status = 'Running' WHERE payload LIKE '%\"0.stream/8\"%';"
        "UPDATE hammerwork_jobs SET status = 'Completed' WHERE payload LIKE '%\"0.stream/8\"%'"
    ),
    "wrong: the history of ": (
        "INSERT INTO hammerwork_attempts (job_id, started_at, ended_at, attempt, outcome, worker_id)"
        " SELECT id, created_at, started_at, 1, 'lost', id FROM hammerwork_jobs WHERE payload LIKE '%\"0.stream/8\"%'"
    ),
    "wrong: 0.stream/7 (": (
        "INSERT INTO hammerwork_attempts (job_id, started_at, ended_at, attempt, outcome)"
        " SELECT id, started_at, started_at, 1, 'failed' FROM hammerwork_jobs WHERE payload LIKE '%\"0.stream/7\"%'"
    ),
    "wrong: 0.": "DELETE FROM hammerwork_attempts WHERE outcome = 'failed'",
    "lost: 0.batch!complete (told) is not there": "DELETE FROM hammerwork_jobs WHERE payload LIKE '%0.batch!complete%'",
    "doubled: 0.flow!failure is there and should not be": (
        "UPDATE hammerwork_jobs SET payload = REPLACE(payload, '!success', '!failure')"
        " WHERE payload LIKE '%\"0.flow!success\"%'"
    ),
    "wrong: 0.tree:risky!complete was told of (1, 0, 1)": (
        "UPDATE hammerwork_jobs SET payload = json_set(payload, '$._ended.jobs', 1, '$._ended.completed', 0,"
        " '$._ended.failed', 1) WHERE payload LIKE '%0.tree:risky!complete%'"
    ),
    "wrong: the workflow 0.flow is running": "UPDATE hammerwork_workflows SET status = 'running' WHERE name = '0.flow'",
    "lost: schedule.all has no run between ": (
        "DELETE FROM hammerwork_schedule_runs WHERE due_at = (SELECT due_at FROM hammerwork_schedule_runs r"
        " WHERE r.schedule_id = hammerwork_schedule_runs.schedule_id ORDER BY due_at LIMIT 1 OFFSET 1)"
    ),
    "lost: schedule.all has never run": "DELETE FROM hammerwork_schedule_runs",
    "doubled: schedule.all#": "DELETE FROM hammerwork_schedule_runs",
    "lost: schedule.all#": "DELETE FROM hammerwork_jobs WHERE payload LIKE '%\"schedule.all\"%'",
    "wrong: schedule.all#": "UPDATE hammerwork_schedule_runs SET outcome = 'skipped'",
    "wrong: schedule.last enqueued a job while ": (
        "UPDATE hammerwork_jobs SET status = 'Running' WHERE payload LIKE '%\"schedule.last\"%';"
        "INSERT INTO hammerwork_schedule_runs (schedule_id, due_at, kind, outcome, created_at)"
        " SELECT id, '2026-01-01T00:00:00.000000Z', 'scheduled', 'enqueued', '2026-01-01T00:00:00.000000Z'"
        " FROM hammerwork_schedules WHERE name = 'schedule.last'"
    ),
}
KEPT_DAMAGE = {
    "lost: 0.stream/7 (leaf) is not there": (
        "DELETE FROM hammerwork_jobs_archive WHERE CAST(payload AS TEXT) LIKE '%\"0.stream/7\"%'"
    ),
    "stuck: 0.stream/7 (": _COPY.format(archive="hammerwork_jobs_archive", name="0.stream/7")
    + ";DELETE FROM hammerwork_jobs_archive WHERE CAST(payload AS TEXT) LIKE '%\"0.stream/7\"%'",
    "doubled: 0.stream/7 (leaf) is there 2 times": _COPY.format(archive="hammerwork_jobs_archive", name="0.stream/7"),
    "stuck: 0.passing (": _COPY.format(archive="chaos_deleted", name="0.passing"),
    "wrong: 0.passing (": (
        "INSERT INTO hammerwork_jobs_archive (id, queue_name, status, payload, created_at, scheduled_at)"
        " SELECT id, queue_name, status, CAST(payload AS BLOB), '', '' FROM chaos_deleted"
        " WHERE payload LIKE '%\"0.passing\"%'"
    ),
    "wrong: 0.batch!complete was told of ": (
        "DELETE FROM hammerwork_jobs_archive WHERE CAST(payload AS TEXT) LIKE '%\"0.batch/0\"%'"
    ),
}


@pytest.mark.parametrize(
    ("extras", "damages"),
    [
        pytest.param(("callbacks", "schedules"), DAMAGE, id="jobs"),
        pytest.param(("callbacks", "schedules", "retention"), KEPT_DAMAGE, id="archived-jobs"),
    ],
)
def test_the_check_sees_each_kind_of_damage(
    run_calmly: Callable[..., Run], extras: tuple[str, ...], damages: dict[str, str]
) -> None:
    calm_run = run_calmly(*extras)
    database = connect(calm_run.url)
    for problem, damage in damages.items():
        database.script("BEGIN")
        for statement in damage.split(";"):
            database.script(statement)
        effects = calm_run.folder / "effects"
        found = checking._Checking(database, calm_run.roots, effects, watched=calm_run.watched).findings()
        database.script("ROLLBACK")
        assert any(text.startswith(problem) for text in found.problems), (problem, found.problems)
    database.close()


LOSSES = ["1 jobs were taken from worker 1, which was well", "worker 1 was well, and was taken for lost"]


@pytest.mark.parametrize(("lease", "losses", "late"), [(60.0, LOSSES, 0), (0.0, [], 2)], ids=["heard", "late"])
def test_the_watch_sees_a_worker_that_is_well_and_loses_its_jobs_or_its_voice(
    new_database: Callable[..., str], lease: float, losses: list[str], late: int
) -> None:
    url = new_database("sqlite", migrated=True)
    notes.prepare(url)
    database = connect(url)
    (lost, silent), watch = (1, 2), Watch(url, lease, patience=0)
    for pid, worker in ((lost, "one"), (silent, "other")):
        database.script(
            "INSERT INTO hammerwork_workers (id, name, host, pid, version, queues, handlers, concurrency,"
            f" lease_seconds, state, started_at, heartbeat_at, beats) VALUES ('{worker}', '', '', {pid}, '', '[]',"
            " '[]', 1, 1, 'running', '', '', 1)"
        )
    assert watch.look({lost, silent}.__contains__) == 0
    database.script("UPDATE hammerwork_workers SET beats = 2, state = 'lost' WHERE id = 'one'")
    database.script("INSERT INTO chaos_losses VALUES ('some job', 'one')")
    watch.look({lost, silent}.__contains__)
    watch.close()
    database.close()
    *found, silence = sorted(watch.problems)
    assert (found, watch.late) == (losses, late)
    assert silence.startswith("worker 2 was well, and no heartbeat came for 0.")


def test_a_clock_steps_while_a_process_runs(tmp_path: Path) -> None:
    with needed():
        clock = Clock(tmp_path / "clock")
    clock.put(-3600)
    script = "import time; print(time.time(), flush=True); input(); time.sleep(2.2); print(time.time())"
    with clock.inherited():
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
    assert process.stdout is not None
    before = float(process.stdout.readline())
    clock.put(3600)
    after = float(process.communicate("\n")[0])
    assert 7200 <= after - before < 7300
