"""Workers enqueue the jobs of schedules: on time, each once, whoever is killed."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chaos.clocks import Clock
from hammerwork_cli import Handlers, Job, SpawnContext
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.callbacks.model import CallbackEvent
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.options import new_callback
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.worker.upkeep.endings import Endings
from hammerwork_cli.runtime.worker.upkeep.schedules import Scheduler
from tests import surroundings
from tests.conftest import ROOT, all_databases, needed
from tests.forks import Fork
from tests.runtime.conftest import PATIENCE, Crew, Stage, mariadb_too, until
from tests.worker_context import worker_context

KILLS = 3
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class SimulatedClock(ServerClock):
    """A server's clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now = now

    def now(self) -> datetime:
        return self._now

    def pass_seconds(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


def add(stage: Stage, **given: Any) -> Any:
    options = {"queue": "report", "payload": {}, "every": "1s", "overlap": "allow", "catch_up": "all", **given}
    return changes.add(stage.database, read_schedule(options), Author("me"), stage.database.now())


UPKEEP = ("worker", "start", "--upkeep-only", "--quiet")


@contextlib.contextmanager
def keepers(url: str) -> Iterator[Callable[[int], None]]:
    """Two workers that only keep things up; ``replace(number)`` kills one of them, in turn, and starts another."""
    running = [Fork([*UPKEEP, "-u", url], surroundings.passed_on(), ROOT) for _ in range(2)]

    def replace(number: int) -> None:
        running[number % 2].kill()
        with running[number % 2]:
            running[number % 2] = Fork([*UPKEEP, "-u", url], surroundings.passed_on(), ROOT)

    try:
        yield replace
    finally:
        for one in running:
            one.kill()  # it may have only begun, and hear no other signal yet
        for one in running:
            with one:
                pass


def keeper(url: str, clock: Clock) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-P", "-m", "hammerwork_cli", *UPKEEP, "-u", url]
    env = {**os.environ, **clock.environment}
    return subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@mariadb_too
def test_workers_that_are_killed_again_and_again_make_one_job_for_each_due_time(stage: Stage) -> None:
    schedule = add(stage)
    with keepers(stage.url) as replace:
        for number in range(KILLS):
            made = len(stage.rows())
            until(lambda made=made: len(stage.rows()) > made)  # type: ignore[misc]
            time.sleep(0.07 * number)  # at another moment between two ticks, or within one
            replace(number)
    found = schedules.runs(stage.database, schedule, limit=10_000)[::-1]
    assert len(found) >= KILLS
    assert {run.outcome for run in found} == {"enqueued"}
    assert sorted(str(run.job_id) for run in found) == sorted(str(job) for job, _ in stage.rows())
    due = [timestamp(run.due_at) for run in found]
    assert all(later - one == SECOND for one, later in pairwise(filter(None, due)))
    assert due[0] == schedule.due


@pytest.mark.long
def test_a_worker_whose_clock_was_ahead_by_ten_years_for_a_moment_stops_nothing(lite: Stage, tmp_path: Path) -> None:
    with needed():
        clock = Clock(tmp_path / "clock")
    schedule = add(
        lite, name="often", catch_up="last"
    )  # a cron expression would be asked for all due times of ten years
    (parent,) = lite.enqueue(Job("held"))
    callbacks.add(
        lite.database,
        parent.id,
        [new_callback(CallbackEvent.COMPLETE, {"queue": "told", "payload": {}})],
        lite.database.now(),
    )
    clock.put(timedelta(days=3650).total_seconds())
    wrong = keeper(lite.url, clock)
    try:
        until(lambda: (schedules.find(lite.database, "often").due or schedule.due) > schedule.due + HOUR)
        ahead = lite.database.now() + timedelta(days=3000)
        until(lambda: set(duties.times(lite.database)) >= {"schedules", "workflows"})
        until(lambda: callbacks.count_ahead(lite.database, lite.database.now()))
    finally:
        wrong.kill()
        wrong.wait(60)
    assert all(at > ahead for at in duties.times(lite.database).values())
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{parent.id}'")
    with keepers(lite.url):
        until(lambda: schedules.find(lite.database, "often").due < lite.database.now() + MINUTE)
        until(lambda: max(duties.times(lite.database).values()) < ahead)
        made = len(lite.rows(where="queue_name = 'report'"))
        until(lambda: len(lite.rows(where="queue_name = 'report'")) > made)
        until(lambda: lite.rows(where="queue_name = 'told'"))


def test_a_worker_makes_and_runs_the_jobs_of_a_schedule(stage: Stage, crew: Crew) -> None:
    add(stage, name="second", queue="counted")
    assert not schedules.upkeep_is_running(stage.database, stage.database.now())
    crew.begin(2)
    until(lambda: len(crew.runs) >= 3)
    assert schedules.upkeep_is_running(stage.database, stage.database.now())
    crew.end()
    assert not schedules.upkeep_is_running(stage.database, stage.database.now())
    found = schedules.runs(stage.database, schedules.find(stage.database, "second"))
    assert {run.job_id for run in found} >= crew.runs.keys()
    assert set(crew.runs.values()) == {1}
    # A next due time that is known is not waited for by polling.
    assert all(run.ran is not None for run in found if run.status == "Completed")


def test_schedules_of_different_periods_do_not_wait_for_each_other(lite: Stage) -> None:
    start = lite.database.now().replace(microsecond=0)
    for name, period in (("two", 2), ("five", 5), ("seven", 7)):
        changes.add(
            lite.database,
            read_schedule({"queue": name, "payload": {}, "every": f"{period}s", "overlap": "allow"}),
            Author("me"),
            start,
        )
    clock = SimulatedClock(start)
    scheduler = Scheduler(worker_context(lite.connections, clock=clock))
    look = scheduler.tasks()["Looking for due schedules"]
    while clock.now() < start + timedelta(minutes=1):
        look()
        clock.pass_seconds(scheduler.pause())
    every = schedules.all_schedules(lite.database)
    runs = [run for one in every for run in schedules.runs(lite.database, one, limit=99)]
    assert Counter(run.outcome for run in runs) == {"enqueued": 59 // 2 + 59 // 5 + 59 // 7}
    assert [run for run in runs if run.created_at != run.due_at] == []


def test_a_clock_that_is_put_forward_deletes_no_history(lite: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hammerwork_cli.runtime.clock.PROVEN_SECONDS", 0)
    now, schedule = lite.database.now(), add(lite)
    for seconds in range(1, 6):
        ticks.tick(lite.database, schedules.find(lite.database, schedule.id), now + seconds * SECOND)
    lite.queue.enqueue_batch("done", [Job("a")], on_complete=Job("b"))
    lite.execute("UPDATE hammerwork_watches SET state = 'fired'")
    clock = ServerClock()

    def tidy() -> list[int]:
        for thread in (
            Scheduler(worker_context(lite.connections, clock=clock)),
            Endings(worker_context(lite.connections, clock=clock)),
        ):
            next(task for name, task in thread.tasks().items() if name.startswith("Tidying up"))()
        tables = ("hammerwork_schedule_runs", "hammerwork_watches")
        return [lite.database.query(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables]

    clock.set(now)
    before = tidy()
    assert before[0] >= 4
    assert before[1] == 1
    clock.set(now + timedelta(days=3650))
    assert tidy() == before
    monkeypatch.setattr("hammerwork_cli.runtime.clock.STEADY_SECONDS", 0)
    assert tidy() == [1, 0]  # the last run stays


@all_databases
def test_a_callback_that_a_wrong_clock_put_off_waits_for_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hammerwork_cli.runtime.worker.upkeep.endings.MOST_CALLBACKS", 1)
    now = stage.database.now()
    others = [stage.queue.enqueue_batch("other", [Job("a")], on_complete=Job("b")) for _ in range(3)]
    put_off = stage.queue.enqueue_batch("put off", [Job("a")], on_complete=Job("b"))
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed'")
    for batch, at in ((put_off, now + timedelta(days=3650)), *((one, now + 2 * SECOND) for one in others)):
        [(identity, seen)] = stage.database.query(
            f"SELECT id, check_at FROM hammerwork_watches WHERE subject_id = '{batch.id}'"
        )
        assert stage.database.run("batch.callbacks.take", id=identity, seen=seen, until=at)
    endings = Endings(worker_context(stage.connections, clock=SimulatedClock(now)))
    endings.tasks()["Looking at callbacks"]()
    fired = stage.database.query("SELECT subject_id FROM hammerwork_watches WHERE state <> 'open'")
    assert [str(batch) for (batch,) in fired] == [put_off.id]


def test_a_schedule_fires_on_time_while_a_look_at_a_callback_takes_long(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on, see = threading.Event(), threading.Event(), callbacks.see

    def slow(*given: Any) -> Any:
        begun.set()
        assert goes_on.wait(PATIENCE)
        return see(*given)

    monkeypatch.setattr(callbacks, "see", slow)
    schedule = add(lite)
    lite.queue.enqueue_batch("large", [Job("counted")], on_complete=Job("told"))
    crew = Crew(lite)
    crew.begin()
    try:
        until(begun.is_set)
        since = lite.database.now()

        def due_meanwhile() -> int:
            runs = schedules.runs(lite.database, schedule, limit=1000)
            return sum(run.job_id is not None and (timestamp(run.due_at) or since) > since for run in runs)

        until(lambda: due_meanwhile() >= 3)
        assert lite.rows(where="queue_name = 'told'") == []
        goes_on.set()
        until(lambda: lite.rows(where="queue_name = 'told'"))
    finally:
        goes_on.set()
        crew.end()


def test_workers_write_the_schedules_of_their_application_and_tell_each_handler_its_due_time(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    app, heard = Handlers(), {}
    app.name = "my_app:app"

    @app.cron(SECOND, payload={"kind": "each"}, overlap="allow", timezone="Europe/Oslo")
    def each(job: Job, context: SpawnContext) -> None:
        heard[job.id] = context.scheduled_for

    app.schedule("of another", "@daily", Job("held", priority="high", max_attempts=7, timeout=SECOND))
    add(stage, name="of another", every="45m")
    crew = Crew(stage)
    with caplog.at_level("INFO", logger="hammerwork"):
        crew.begin(2, handlers=app)
        until(lambda: len(heard) > 1)
        crew.end()
    found, other = schedules.find(stage.database, "each"), schedules.find(stage.database, "of another")
    assert (found.source, found.changed_by, found.text) == ("code:my_app:app", "code:my_app:app", "@every 1s")
    assert (other.source, other.text) == ("cli", "@every 2700s")
    assert caplog.text.count("The schedule each was created as code:my_app:app declares it.") == 1
    assert "The schedule of another belongs to cli, not to code:my_app:app." in caplog.text
    due = {str(run.job_id): timestamp(run.due_at) for run in schedules.runs(stage.database, found)}
    assert {job: due[job] for job in heard} == heard


def test_a_worker_names_schedules_that_its_application_no_longer_declares(
    lite: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def declare(*names: str) -> None:
        app = Handlers()
        app.name = "my_app:app"
        app.register_job("unused", lambda _: None)
        for name in names:
            app.schedule(name, "@daily", Job("held"))
        caplog.clear()
        crew = Crew(lite)
        crew.begin(handlers=app)
        until(lambda: all(f"The schedule {name} was" in caplog.text for name in names) or "goes on" in caplog.text)
        crew.end()

    with caplog.at_level("INFO", logger="hammerwork"):
        declare("pulse", "other")
        assert "no longer declares" not in caplog.text
        declare("pulse2", "other")
        assert "The schedule pulse goes on, although my_app:app no longer declares it. To delete it:" in caplog.text
        assert "cron apply --handlers my_app:app --prune" in caplog.text
        assert caplog.text.count("goes on") == 1


def test_a_recurring_job_tells_its_handler_its_due_time_and_other_jobs_none(lite: Stage) -> None:
    app, heard = Handlers(), []
    app.register_job("any", lambda job, context: heard.append(context.scheduled_for))  # noqa: ARG005
    recurring = lite.enqueue(Job("any").with_cron("0 0 0 1 1 *"), Job("any", {"_schedule": {"due_at": "soon"}}))[0]
    lite.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE id = '{recurring.id}'")
    due = lite.timestamp(recurring, "next_run_at")
    lite.work(app)
    assert sorted(heard, key=str) == [due, None]


def test_a_worker_without_upkeep_leaves_schedules_to_others_and_a_refused_job_stops_no_other(lite: Stage) -> None:
    add(lite, name="strange", queue="counted")
    crew = Crew(lite)
    crew.begin(upkeep=False)
    time.sleep(1.5)
    assert lite.rows() == []
    crew.end()
    lite.execute("UPDATE hammerwork_schedules SET timezone = 'Nowhere'")
    add(lite, name="fine", queue="counted")
    crew = Crew(lite)
    crew.begin()
    until(lambda: crew.runs)
    until(lambda: schedules.find(lite.database, "strange").last_error)
    crew.end()
    assert "Nowhere" in (schedules.find(lite.database, "strange").last_error or "")
