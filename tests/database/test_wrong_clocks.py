"""A clock that was ahead for a moment stops nothing: no stored time keeps anything from being done once it is right."""

import contextlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Worker
from hammerwork_cli.core.clock import SLACK
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import ENDS, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.model import Schedule
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import ahead, changes, manual, recurring, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.worker.queries import duties, registry
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime.clock import STEADY_SECONDS, ServerClock
from tests.conftest import Outcome, eventually, one_case_on_servers
from tests.rows import Rows

NOW = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)
WRONG = NOW + timedelta(days=3650)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ME = Author("me")


def add(database: Database, now: datetime = NOW, **given: Any) -> Schedule:
    return changes.add(
        database, read_schedule({"queue": "report", "payload": {}, "schedule": "* * * * *", **given}), ME, now
    )


def tick_all(database: Database, now: datetime) -> list[str]:
    """As a worker that does upkeep at a time; returns the jobs."""
    done = [ticks.tick(database, schedule, now) for schedule in ticks.upcoming(database, now, 100)]
    return [job for one in done if one for job in one.jobs]


def put_back(database: Database, now: datetime) -> int:
    return sum(ahead.put_back(database, one, now) for one in ahead.found(database, now))


@pytest.mark.parametrize("by", [DAY, timedelta(days=3650)])
def test_a_duty_that_a_wrong_clock_put_off_is_due(database: Database, by: timedelta) -> None:
    one, other = new_id(), new_id()
    assert duties.take_due(database, "tidy", one, {}, now=NOW + by, length=HOUR)
    assert duties.take_due(database, "tidy", other, duties.times(database), now=NOW, length=HOUR)
    assert not duties.take_due(database, "tidy", one, duties.times(database), now=NOW + MINUTE, length=HOUR)


def test_a_callback_that_a_wrong_clock_put_off_is_looked_at(database: Database) -> None:
    rows = Rows(database)
    for number, check in enumerate((NOW + HOUR, WRONG)):
        times = dict.fromkeys(("check_at", "created_at", "changed_at"), check)
        of = {"subject": "tree", "subject_id": new_id(), "event": f"{number}", "job": "{}", "state": "open"}
        rows.insert("hammerwork_watches", {"id": new_id(), **of, **times})
    assert [one.event for one in callbacks.upcoming(database, NOW, 10)] == ["1"]
    assert callbacks.count_ahead(database, NOW) == 1


@one_case_on_servers
@pytest.mark.parametrize("wrong", [WRONG, NOW + 2 * HOUR])
@pytest.mark.parametrize("given", [{"catch_up": "all", "overlap": "allow"}, {}, {"schedule": None, "every": "1m"}])
def test_a_schedule_goes_on_after_a_tick_by_a_wrong_clock(
    database: Database, given: dict[str, Any], wrong: datetime
) -> None:
    schedule = add(database, **given)
    first = schedule.due
    assert first is not None
    assert first <= NOW + MINUTE
    made = tick_all(database, wrong)
    left = schedules.find(database, schedule.name)
    assert left.due is not None
    assert left.due > NOW + HOUR
    assert [one.schedule.name for one in ahead.found(database, NOW + MINUTE)] == [schedule.name]
    assert put_back(database, NOW + MINUTE) == 1
    assert ahead.found(database, NOW + MINUTE) == []
    database.script("UPDATE hammerwork_jobs SET status = 'Completed'")
    again = tick_all(database, NOW + MINUTE) + tick_all(database, NOW + 2 * MINUTE)
    runs = [timestamp(run.due_at) for run in schedules.runs(database, schedule, limit=10_000)]
    assert first in runs
    assert schedules.find(database, schedule.name).due == first + 2 * MINUTE
    payloads = [
        json.loads(text) if isinstance(text, (str, bytes)) else text
        for (text,) in database.query("SELECT payload FROM hammerwork_jobs")
    ]
    due = [payload["_schedule"]["due_at"] for payload in payloads]
    assert len(set(due)) == len(due) == len(made) + len(again)


@one_case_on_servers
@pytest.mark.parametrize("verbs", [("disable", "enable"), ("update",)])
def test_a_change_makes_a_schedule_due_again_that_a_wrong_clock_put_off(
    run: Callable[..., Outcome], migrated_url: str, database: Database, verbs: tuple[str, ...]
) -> None:
    schedule = add(database)
    tick_all(database, WRONG)
    for verb in verbs:
        words = ("--schedule", "*/2 * * * *") if verb == "update" else ()
        assert (
            run(
                "cron", verb, "report", *words, url=migrated_url, env={"HAMMERWORK_NOW": "2026-11-29T12:05:10Z"}
            ).exit_code
            == 0
        )
    found = schedules.find(database, schedule.id)
    assert found.due == NOW.replace(minute=6, second=0)


def test_a_schedule_and_a_policy_that_a_wrong_clock_made_are_carried_out(database: Database) -> None:
    add(database, WRONG, schedule=None, every="45m", name="interval")
    assert put_back(database, NOW)
    assert schedules.find(database, "interval").due == NOW + timedelta(minutes=45)
    policies.put(database, Policy("mail", PolicyAction.DELETE, dict.fromkeys(ENDS, DAY)), by="me", now=WRONG)
    (policy,) = policies.all_policies(database)
    assert policy.is_in_force(NOW)


def test_a_clock_that_is_behind_for_a_moment_runs_no_due_time_twice(database: Database) -> None:
    schedule = add(database, NOW - 10 * MINUTE, overlap="allow", catch_up="all")
    made = tick_all(database, NOW)
    assert len(made) == 10
    behind = NOW - timedelta(days=2)
    assert put_back(database, behind)  # by a worker that trusts the clock too early
    tick_all(database, behind + MINUTE)
    tick_all(database, NOW + MINUTE)
    runs = [timestamp(run.due_at) for run in schedules.runs(database, schedule, limit=10_000)]
    assert len(runs) == len(set(runs))
    assert schedules.find(database, schedule.name).due == NOW.replace(second=0) + 2 * MINUTE
    earlier = [due for due in runs if due and behind + MINUTE < due < NOW - 10 * MINUTE]
    assert earlier == [], "due times before the schedule's last run were recorded as missed"


def test_a_recurring_job_that_a_wrong_clock_put_off_recurs_and_one_for_later_stays(database: Database) -> None:
    rows = Rows(database)
    cron = {"cron_schedule": "0 0 * * * *", "timezone": "UTC", "recurring": True, "status": "Pending"}
    late = {"scheduled_at": WRONG, "next_run_at": WRONG}
    ran = rows.job(**cron, **late, claim_token=new_id())
    rescued = rows.job(**cron, **late, attempts=1, claim_losses=1)
    created = rows.job(**cron, **late, created_at=WRONG)
    wanted = rows.job(**cron, **late)
    doubted = rows.job(**cron, scheduled_at=NOW + 20 * HOUR, next_run_at=NOW + 20 * HOUR, claim_token=new_id())
    parked = rows.job(**cron, scheduled_at=recurring.PARKED, next_run_at=recurring.PARKED, claim_token=new_id())
    assert put_back(database, NOW) == 3
    due = {str(job): timestamp(at) for job, at in database.query("SELECT id, scheduled_at FROM hammerwork_jobs")}
    following = NOW.replace(hour=13, minute=0, second=0)
    assert due == {
        ran: following + HOUR,
        rescued: following + HOUR,
        created: following,
        wanted: WRONG,
        parked: recurring.PARKED,
        doubted: NOW + 20 * HOUR,
    }


def test_jobs_wait_from_now_on_for_as_long_as_they_were_to(database: Database) -> None:
    rows = Rows(database)
    pause = timedelta(minutes=10)
    waits = {
        "spawned": rows.job(status="Pending", created_at=WRONG, scheduled_at=WRONG),
        "delayed": rows.job(status="Pending", created_at=WRONG, scheduled_at=WRONG + pause),
        "retried": rows.job(status="Pending", scheduled_at=WRONG + pause, claim_token=new_id(), attempts=1),
        "rescued": rows.job(status="Pending", scheduled_at=WRONG + pause, attempts=2),
        "wanted": rows.job(status="Pending", scheduled_at=WRONG),
    }
    for name in ("retried", "rescued"):
        attempt = {"job_id": waits[name], "started_at": NOW, "ended_at": WRONG, "attempt": 1, "outcome": "failed"}
        rows.insert("hammerwork_attempts", attempt)
    assert {job.id for job in jobs_ahead.found(database, NOW)} == {*waits.values()} - {waits["wanted"]}
    assert jobs_ahead.put_back(database, NOW) == 4
    assert jobs_ahead.put_back(database, NOW) == 0
    found = {str(job): timestamp(at) for job, at in database.query("SELECT id, scheduled_at FROM hammerwork_jobs")}
    assert {name: found[job] for name, job in waits.items()} == {
        "spawned": NOW,
        "delayed": NOW + pause,
        "retried": NOW + pause,
        "rescued": NOW + pause,
        "wanted": WRONG,
    }


def test_a_worker_whose_heartbeat_lies_in_the_future_is_silent(database: Database) -> None:
    registry.register(database, Registration(new_id(), "w", "host", 1, "1", ("mail",), (), 1, 30.0))
    row = Rows(database)
    row.run(f"UPDATE hammerwork_workers SET heartbeat_at = {database.placeholder}", [row.adapted(database.now() + DAY)])
    (worker,) = registry.listed(database)
    assert worker.state == "silent"
    assert not worker.is_alive


def test_health_and_the_doctor_name_times_in_the_future_and_the_doctor_corrects_those_of_jobs(
    run: Callable[..., Outcome], migrated_url: str, database: Database
) -> None:
    wrong = database.now() + timedelta(days=3650)
    check = ("monitor", "health", "--only", "times_in_the_future", "--format", "json")
    assert run(*check, url=migrated_url).json["checks"][0]["status"] == "healthy"
    add(database, database.now())
    tick_all(database, wrong)
    assert duties.take_due(database, "workflows", new_id(), {}, now=wrong, length=MINUTE)
    enqueue.insert(database, [NewJob.of("mail", "{}", wrong)])
    (found,) = run(*check, url=migrated_url).json["checks"]
    assert found["about"] == ["jobs of mail", "jobs of report", "schedule report", "duty workflows"]
    assert (found["status"], found["value"], found["hint"]) == ("warning", 4, "hammerwork spawn doctor --fix")
    assert "postponed by a wrong clock" in run("spawn", "doctor", url=migrated_url).stdout
    assert run("spawn", "doctor", "--fix", "--yes", url=migrated_url).exit_code == 0
    (found,) = run(*check, url=migrated_url).json["checks"]
    assert found["about"] == ["schedule report", "duty workflows"]
    assert found["hint"] == "hammerwork worker start --upkeep-only"
    manual.switch(database, schedules.find(database, "report"), ME, database.now(), enabled=False)
    assert run(*check, url=migrated_url).json["checks"][0]["about"] == ["duty workflows"]


def test_a_clock_is_trusted_again_when_it_is_back_or_has_been_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    monkeypatch.setattr("hammerwork_cli.runtime.clock.elapsed", lambda: seconds)
    clock = ServerClock()
    clock.set(NOW)  # however far from the clock of this machine
    assert clock.trusted_now()
    assert clock.proven_now() is None
    seconds += 3
    clock.set(WRONG)
    assert clock.trusted_now() is None
    seconds += 6
    clock.set(NOW + timedelta(seconds=9))
    assert clock.trusted_now()
    clock.set(NOW - HOUR)
    assert clock.trusted_now() is None
    seconds += STEADY_SECONDS + 1
    assert clock.trusted_now()
    assert clock.proven_now()


@pytest.mark.parametrize("ask", [ServerClock.trusted_now, ServerClock.proven_now])
def test_a_clock_that_somebody_sets_in_the_middle_of_a_question_is_not_the_answer(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[ServerClock], datetime | None]
) -> None:
    seconds = 1000.0
    monkeypatch.setattr("hammerwork_cli.runtime.clock.elapsed", lambda: seconds)

    class SetMeanwhile(ServerClock):
        @property
        def _is_trusted(self) -> bool:
            answer = super()._is_trusted
            self.set(WRONG)
            return answer

    clock = SetMeanwhile()
    clock.set(NOW)
    seconds += 100
    assert ask(clock) == NOW + timedelta(seconds=100)
    assert ask(clock) is None


def test_a_clock_that_is_behind_is_believed_against_a_record_when_it_is_steady_and_never_before_hammerwork(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 1000.0
    monkeypatch.setattr("hammerwork_cli.runtime.clock.elapsed", lambda: seconds)
    clock = ServerClock()
    clock.know(NOW)
    clock.set(NOW - SLACK)
    assert not clock.is_behind
    clock.set(NOW - HOUR)
    assert clock.is_behind
    assert clock.trusted_now() is None
    seconds += STEADY_SECONDS + 1
    assert not clock.is_behind, "the tables were made by a clock that was ahead"
    assert clock.proven_now()
    clock.set(NOW - timedelta(days=3650))
    seconds += STEADY_SECONDS + 1
    assert clock.is_behind
    assert clock.trusted_now() is None


def _earlier(answer: registry.HeartbeatAnswer, by: timedelta) -> registry.HeartbeatAnswer:
    return answer._replace(now=answer.now - by)


@pytest.mark.parametrize("behind", [DAY, timedelta(days=3650)])
def test_a_worker_whose_clock_is_behind_changes_nothing_and_says_so(
    run: Callable[..., Outcome],
    lite_url: str,
    behind: timedelta,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.closing(connect(lite_url)) as database:
        right = database.now()
        schedule = add(database, right, schedule="* * * * * *")
        policies.put(database, Policy("*", PolicyAction.DELETE, dict.fromkeys(ENDS, MINUTE)), by="me", now=right - DAY)
        Rows(database).job(created_at=right - 2 * DAY, completed_at=right - 2 * DAY, status="Completed")
        monkeypatch.setattr(type(database), "now", lambda _: datetime.now(UTC) - behind)
        record = registry.record_heartbeat
        monkeypatch.setattr(registry, "record_heartbeat", lambda *given: _earlier(record(*given), behind))
        monkeypatch.setattr("hammerwork_cli.runtime.clock.PROVEN_SECONDS", 0)
        monkeypatch.setattr("hammerwork_cli.runtime.worker.retention.CHECK_SECONDS", 0.1)
        app = Handlers()
        app.job("report")(str)
        worker = Worker(lite_url, app, lease=1)
        running = threading.Thread(target=worker.run)
        running.start()
        eventually(lambda: "which is in the past" in caplog.text)
        eventually(lambda: schedules.DUTY in duties.times(database))  # it has looked for due schedules
        assert schedules.find(database, schedule.id).due == schedule.due
        assert schedules.runs(database, schedule, limit=10) == []
        assert database.query("SELECT COUNT(*) FROM hammerwork_jobs") == [(1,)]
        check = run("monitor", "health", "--only", "times_in_the_future", "--format", "json", url=lite_url).json
        worker.stop()
        running.join(60)
    (found,) = check["checks"]
    assert (found["status"], found["about"]) == ("warning", ["clock"])
    assert found["message"].startswith("the clock is behind")
    assert found["hint"].startswith("Set the clock")
    assert sum("which is in the past" in record.getMessage() for record in caplog.records) == 1
