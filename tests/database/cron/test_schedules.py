"""Ticks: one run for each due time, and one job for each run that is to have one, whoever dies in between."""

import contextlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import pytest

from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.values import JobPriority, rfc3339, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConflictError, NotFoundError, RefusedValueError, UsageError
from hammerwork_cli.features.cron.model import OPTIONS, CatchUp, NewSchedule, Overlap, Schedule, ScheduleRun
from hammerwork_cli.features.cron.options import OWN_OPTIONS, STORED, read_schedule
from hammerwork_cli.features.cron.queries import ahead, backfill, changes, manual, recurring, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.queries import changes as job_changes
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.job.queries.selections import ByIds
from tests.conftest import Outcome, on_sqlite, one_case_on_servers
from tests.jobs import execute
from tests.rows import START, Rows

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ME = Author("me@here")
HOSTILE = "q\x1b[31m '\"%s% \\ 🎬 é"


@pytest.fixture
def here(new_database: Callable[..., str]) -> Iterator[Database]:
    """A database of one kind, for what depends on no SQL of its own."""
    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        yield database


class Dead(BaseException):
    """The process of a worker dies here."""


GIVEN = {"queue": "report", "payload": {"a": 1}, "schedule": "* * * * *"}


def add(database: Database, now: datetime = START, **given: Any) -> Schedule:
    options = {**GIVEN, **given}
    options = {name: value for name, value in options.items() if value is not None}
    return changes.add(database, read_schedule(options), ME, now)


def again(database: Database, schedule: Schedule) -> Schedule:
    return schedules.find(database, schedule.id)


def tick(database: Database, schedule: Schedule, now: datetime) -> ticks.Tick | None:
    """A look by a worker at a time, and its tick."""
    found = {one.id: one for one in ticks.upcoming(database, now, 100)}
    return ticks.tick(database, found[schedule.id], now) if schedule.id in found else None


def runs(database: Database, schedule: Schedule) -> list[ScheduleRun]:
    return schedules.runs(database, schedule, limit=10_000)[::-1]


def outcomes(database: Database, schedule: Schedule) -> list[str]:
    return [run.outcome for run in runs(database, schedule)]


def jobs(database: Database) -> dict[str, Any]:
    return {str(job): payload for job, payload in database.query("SELECT id, payload FROM hammerwork_jobs")}


def check_once(database: Database, schedule: Schedule) -> None:
    """Each run that was to have a job has one, and no job is without a run."""
    made = [run.job_id for run in runs(database, schedule) if run.outcome == "enqueued"]
    assert sorted(map(str, made)) == sorted(jobs(database))
    assert not [run for run in runs(database, schedule) if (run.outcome == "enqueued") != (run.job_id is not None)]
    due = [timestamp(run.due_at) for run in runs(database, schedule)]
    assert all(later - one == MINUTE for one, later in pairwise(filter(None, due)))


def finish(database: Database) -> None:
    database.script("UPDATE hammerwork_jobs SET status = 'Completed'")


def test_of_several_workers_one_makes_the_job_of_a_due_time(database: Database, migrated_url: str) -> None:
    schedule, workers, rounds = add(database, overlap="allow", name=HOSTILE), 4, 5
    barrier, made = threading.Barrier(workers, timeout=60), []

    def work() -> None:
        own = connect(database.url)
        try:
            for number in range(1, rounds + 1):
                found = ticks.upcoming(own, START + number * MINUTE, 100)
                barrier.wait()
                done = [ticks.tick(own, one, START + number * MINUTE) for one in found]
                made.extend(job for one in done if one for job in one.jobs)
                barrier.wait()
        finally:
            own.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(made) == rounds
    check_once(database, schedule)
    found = next(iter(jobs(database).values()))
    found = json.loads(found) if isinstance(found, (str, bytes)) else found
    assert found["a"] == 1
    assert found["_schedule"]["name"] == HOSTILE
    assert again(database, schedule).name == HOSTILE


@one_case_on_servers
@pytest.mark.parametrize("point", ["before commit", "before advance", "after insert", "after commit"])
def test_a_worker_that_dies_in_a_tick_leaves_nothing_half_done_and_nothing_twice(
    database: Database, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = add(database)
    dying = connect(database.url)
    seen = ticks.upcoming(dying, START + MINUTE, 100)[0]

    def die(*args: Any, **kwargs: Any) -> Any:
        raise Dead

    with monkeypatch.context() as patch:
        if point == "before advance":
            patch.setattr(dying, "run", die)
        elif point == "after insert":
            patch.setattr(ticks.notifications, "notify", die)
        elif point == "before commit":
            real = ticks.record
            patch.setattr(ticks, "record", lambda *given: (real(*given), die()))
        if point == "after commit":
            ticks.tick(dying, seen, START + MINUTE)
        else:
            with pytest.raises(Dead):
                ticks.tick(dying, seen, START + MINUTE)
    # What the dead worker had seen, sent once more, as after a commit whose answer was lost; and another worker's look.
    done = [ticks.tick(database, seen, START + MINUTE), tick(database, schedule, START + MINUTE)]
    dying.close()
    assert len([one for one in done if one]) == (0 if point == "after commit" else 1)
    assert len(jobs(database)) == 1
    check_once(database, schedule)


@on_sqlite
def test_due_times_without_a_worker_run_once_or_as_the_schedule_says(database: Database) -> None:
    last = add(database, name="last")
    every = add(database, name="all", catch_up="all", overlap="allow")
    none = add(database, name="none", catch_up="none", grace="90s", overlap="allow")
    back = START + 400 * MINUTE + timedelta(seconds=1)
    for schedule in (last, every, none):
        assert tick(database, schedule, back)
        assert len(runs(database, schedule)) == 400
    assert outcomes(database, last) == ["missed"] * 399 + ["enqueued"]
    assert outcomes(database, every) == ["missed"] * 300 + ["enqueued"] * 100
    assert outcomes(database, none) == ["missed"] * 398 + ["enqueued"] * 2
    assert "s later" in (runs(database, none)[0].reason or "")
    # 1,000 more than get a run each: the first of the others stands for them, and the newest one still decides.
    tick(database, last, START + 1900 * MINUTE)
    assert outcomes(database, last)[400:] == ["missed"] * 500 + ["skipped"]
    standing = runs(database, last)[400]
    assert (standing.missed, timestamp(standing.missed_from)) == (999, START + 401 * MINUTE)
    assert timestamp(standing.due_at) == START + 1400 * MINUTE
    assert schedules.totals(database, last).missed == 399 + 1499
    assert again(database, last).due == START + 1901 * MINUTE


@one_case_on_servers
@pytest.mark.parametrize(
    ("expression", "unit", "gap"), [("* * * * *", MINUTE, 3_600), ("* * * * * *", SECOND, 9 * 86_400)]
)
def test_a_change_records_every_due_time_of_a_gap_and_a_backfill_takes_its_own_from_it(
    run: Callable[..., Outcome], database: Database, migrated_url: str, expression: str, unit: timedelta, gap: int
) -> None:
    schedule = add(database, schedule=expression, name="often")
    end = START + gap * unit
    off = manual.switch(database, schedule, ME, end, enabled=False).after
    assert schedules.totals(database, off).missed == gap
    standing = runs(database, off)[0]
    assert (standing.missed, timestamp(standing.missed_from)) == (gap - 500, START + unit)
    history = run("cron", "history", "often", "--limit", "600", url=migrated_url, env={"COLUMNS": "200"}).stdout
    assert f"{gap - 500:,} earlier ones missed since {START + unit:%Y-%m-%d %H:%M:%S}" in history
    # Those that nothing has recorded on their own, the one that stands for them, and one more.
    last = timestamp(standing.due_at)
    assert last is not None
    for since, until in ((START, START + 11 * unit), (last - 3 * unit, last + 2 * unit)):
        wanted = backfill.gaps(database, off, since, until, 100)
        assert {one.outcome for one in wanted} - {None} == {"missed"}
        filled = backfill.fill(database, off, wanted, end)
        assert len(filled) == len(wanted)
        assert backfill.gaps(database, off, since, until, 100) == []
    totals = schedules.totals(database, off)
    enqueued = totals.jobs.total
    assert enqueued == 11 + 5  # the first one was before the schedule
    assert totals.missed == gap - 15


def test_no_due_time_gets_a_second_job_when_its_run_is_no_longer_remembered(database: Database) -> None:
    schedule = add(database, overlap="allow")
    tick(database, schedule, START + MINUTE)
    first = START - timedelta(days=400)
    wanted = backfill.gaps(database, schedule, first, first + 3 * MINUTE, 10)
    filled = backfill.fill(database, schedule, wanted, START + MINUTE)
    schedules.forget_runs(database, schedule, START - timedelta(days=90))
    assert len(runs(database, schedule)) == 4, "what has just been recorded was forgotten"
    database.script("DELETE FROM hammerwork_schedule_runs")
    assert backfill.gaps(database, schedule, first, first + 3 * MINUTE, 10) == []
    assert backfill.fill(database, schedule, wanted, START + MINUTE) == []
    rows = Rows(database)
    rows.run(f"UPDATE hammerwork_schedules SET next_run_at = {database.placeholder}", [rows.adapted(START + MINUTE)])
    assert tick(database, again(database, schedule), START + 2 * MINUTE)
    check = {str(job) for job in jobs(database)}
    assert len(check) == len(filled) + 2
    assert [run.outcome for run in runs(database, schedule)][-2:] == ["missed", "enqueued"]


def test_every_open_job_of_a_schedule_and_every_open_tree_stops_the_next_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "TREES_TOGETHER", 2)
    schedule, tree = add(database), add(database, name="tree", overlap="skip-tree")
    minutes = iter(range(1, 100))

    def next_outcome(one: Schedule) -> str:
        tick(database, one, START + next(minutes) * MINUTE)
        return outcomes(database, one)[-1]

    def trigger(one: Schedule, **given: Any) -> str:
        now = START + next(minutes) * MINUTE + SECOND
        return manual.trigger(database, again(database, one), now, **given)

    def status(job: str | None, status: str, **columns: Any) -> None:
        more = "".join(f", {name} = {value}" for name, value in columns.items())
        database.script(f"UPDATE hammerwork_jobs SET status = '{status}'{more} WHERE id = '{job}'")

    assert next_outcome(schedule) == "enqueued"
    scheduled = runs(database, schedule)[0].job_id
    for _ in range(25):
        status(trigger(schedule), "Completed")
    assert next_outcome(schedule) == "skipped"  # by one job before 25 others
    status(scheduled, "Completed")
    later = trigger(schedule, at=START + timedelta(days=9))
    assert next_outcome(schedule) == "enqueued"
    finish_all_but(database, later)
    status(later, "Pending", attempts=1)  # between two attempts, of which the second one is later
    assert next_outcome(schedule) == "skipped"
    status(later, "Completed")

    assert next_outcome(tree) == "enqueued"
    top = runs(database, tree)[-1].job_id
    child = Rows(database).job(str(top), status="Running")
    status(top, "Completed")
    for _ in range(5):
        status(trigger(tree), "Completed")
    assert next_outcome(tree) == "skipped"  # triggered jobs hide no tree
    assert child in (runs(database, tree)[-1].reason or "")
    status(child, "Dead")
    assert next_outcome(tree) == "enqueued"
    below = Rows(database).job(child, status="Dead")
    finish(database)
    status(below, "Dead")
    ended = "SELECT COUNT(*) FROM hammerwork_schedule_runs WHERE tree_ended"
    ((before,),) = database.query(ended)
    job_changes.run(database, ByIds([below]), job_changes.RetryJobs(START))
    assert database.query(ended) == [(before - 1,)], "that the other trees have ended stays noted"
    assert before > 1
    assert next_outcome(tree) == "skipped"  # the tree had ended, and runs again
    assert below in (runs(database, tree)[-1].reason or "")
    finish(database)
    assert next_outcome(tree) == "enqueued"
    finish(database)
    spawn_requests.request(database, below, handler=None, config=None, by="me", now=START)
    assert next_outcome(tree) == "skipped"
    assert below in (runs(database, tree)[-1].reason or "")
    database.script("UPDATE hammerwork_spawn_requests SET state = 'done'")
    assert next_outcome(tree) == "enqueued"


def test_a_job_that_is_retried_while_a_tick_looks_at_its_tree_stops_the_run_after_that(
    migrated_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = add(database, overlap="skip-tree")
    tick(database, schedule, START + MINUTE)
    child = Rows(database).job(runs(database, schedule)[0].job_id, status="Dead")
    finish_all_but(database, child)
    database.script(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{child}'")

    def retry() -> None:
        with contextlib.closing(connect(migrated_url)) as other:
            job_changes.run(other, ByIds([child]), job_changes.RetryJobs(START))

    retrying = threading.Thread(target=retry)
    look = ticks._why_trees_are_open

    def look_meanwhile(*given: Any) -> str | None:
        why = look(*given)
        retrying.start()
        retrying.join(0.5)
        return why

    with monkeypatch.context() as patched:
        patched.setattr(ticks, "_why_trees_are_open", look_meanwhile)
        tick(database, schedule, START + 2 * MINUTE)
    retrying.join(60)
    finish_all_but(database, child)
    assert job_status(database, child) == "Pending"
    tick(database, schedule, START + 3 * MINUTE)
    assert outcomes(database, schedule) == ["enqueued", "enqueued", "skipped"]
    assert child in (runs(database, schedule)[-1].reason or "")


def job_status(database: Database, job: str) -> str:
    return str(database.query(f"SELECT status FROM hammerwork_jobs WHERE id = '{job}'")[0][0])


def finish_all_but(database: Database, job: str) -> None:
    database.script(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id <> '{job}'")


def test_a_due_time_is_skipped_while_the_last_job_is_open_and_never_silently(database: Database) -> None:
    schedule, tree = add(database), add(database, name="tree", overlap="skip-tree")
    for one in (schedule, tree):
        tick(database, one, START + MINUTE)
        tick(database, one, START + 2 * MINUTE)
    assert outcomes(database, schedule) == ["enqueued", "skipped"]
    assert (
        f"the job {runs(database, schedule)[0].job_id} of an earlier run is Pending"
        == runs(database, schedule)[1].reason
    )
    finish(database)
    child = Rows(database).job(runs(database, tree)[0].job_id, status="Running")
    for one in (schedule, tree):
        tick(database, one, START + 3 * MINUTE)
    assert outcomes(database, schedule)[2:] == ["enqueued"]
    assert outcomes(database, tree)[2:] == ["skipped"]
    assert child in (runs(database, tree)[2].reason or "")
    finish(database)
    tick(database, tree, START + 4 * MINUTE)
    assert outcomes(database, tree)[3:] == ["enqueued"]


def test_a_clock_that_jumps_doubles_and_loses_no_due_time(here: Database) -> None:
    schedule = add(here, overlap="allow", catch_up="all")
    hour = timedelta(hours=1)
    for now in (START + MINUTE, START + MINUTE - hour, START + 2 * MINUTE, START + 2 * MINUTE + hour):
        tick(here, schedule, now)
    assert outcomes(here, schedule) == ["enqueued"] * 62
    check_once(here, schedule)
    # Put back once more, and then changed by hand: what has run does not run again.
    early = START + 2 * MINUTE
    manual.switch(here, again(here, schedule), ME, early, enabled=False)
    manual.switch(here, again(here, schedule), ME, early, enabled=True)
    assert again(here, schedule).due == START + 63 * MINUTE


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
@pytest.mark.parametrize("seed", [0, 1, 4, 6, 7, 11, 118, 208, 240, 339, 393])
def test_gaps_between_known_runs_are_recorded_once_wherever_a_clock_goes(
    here: Database, monkeypatch: pytest.MonkeyPatch, seed: int, catch_up: str
) -> None:
    monkeypatch.setattr(ticks, "CHUNK", 5)
    monkeypatch.setattr(ticks, "MOST_CAUGHT_UP", 3)
    schedule = add(here, overlap="allow", catch_up=catch_up)
    dice = random.Random(seed)
    for step in range(8):
        now = START + dice.randrange(1, 240) * MINUTE
        for put_off in ahead.found(here, now):
            assert ahead.put_back(here, put_off, now)
        while tick(here, again(here, schedule), now):
            pass
        if dice.random() < 0.3:
            manual.trigger(here, again(here, schedule), now + timedelta(milliseconds=step + 1))
        if dice.random() < 0.3:  # as a clock that is behind for a moment moves it
            early = START + dice.randrange(1, 240) * MINUTE
            due = again(here, schedule).due
            assert due is not None
            here.script(f"UPDATE hammerwork_schedules SET next_run_at = '{rfc3339(min(due, early))}'")
    last = START + 241 * MINUTE
    tick(here, again(here, schedule), last)

    kept = [one for one in runs(here, schedule) if one.kind == "scheduled"]
    covered = [timestamp(one.due_at) for one in kept]
    assert sum(1 + (one.missed or 0) for one in kept) == 241
    assert (
        min(timestamp(one.missed_from) or due for one, due in zip(kept, covered, strict=True) if due) == START + MINUTE
    )


@on_sqlite
def test_a_change_starts_no_run_and_forgets_no_due_time(database: Database) -> None:
    schedule = add(database)
    seen = ticks.upcoming(database, START + MINUTE, 100)[0]
    by_name = changes.change(
        database, schedule, lambda new: read_schedule({"description": "x"}, new), ME, START + 2 * MINUTE
    )
    assert ticks.tick(database, seen, START + 2 * MINUTE) is None  # it was read before the change
    assert by_name.due == again(database, schedule).due == START + MINUTE
    changed = changes.change(
        database, by_name, lambda new: read_schedule({"schedule": "0 3 * * *"}, new), ME, START + 2 * MINUTE
    )
    assert outcomes(database, schedule) == ["missed", "missed"]
    assert changed.due == again(database, schedule).due == datetime(2026, 11, 25, 3, tzinfo=START.tzinfo)
    with pytest.raises(ConflictError):
        changes.change(database, schedule, lambda new: new, ME, START)


@on_sqlite
def test_a_change_of_a_disabled_schedule_keeps_the_reason_why_it_is_disabled(database: Database) -> None:
    schedule = changes.switch(database, add(database), Author("me", "the warehouse"), START, enabled=False)
    changes.change(database, schedule, lambda new: read_schedule({"description": "x"}, new), ME, START)
    assert again(database, schedule).reason == "the warehouse"


def test_a_disabled_schedule_makes_nothing_but_what_somebody_triggers(database: Database) -> None:
    schedule = add(database)
    off = manual.switch(database, schedule, Author("me", "broken"), START, enabled=False).after
    assert tick(database, schedule, START + 5 * MINUTE) is None
    job = manual.trigger(database, off, START + MINUTE, payload={"b": 2})
    assert [(run.kind, run.job_id) for run in runs(database, schedule)] == [("triggered", job)]
    payload = jobs(database)[job]
    assert (json.loads(payload) if isinstance(payload, (str, bytes)) else payload) == {
        "a": 1,
        "b": 2,
        "_schedule": {"name": "report", "due_at": "2026-11-24T14:01:00.000000Z", "kind": "triggered"},
    }
    on = manual.switch(database, again(database, schedule), ME, START + 10 * MINUTE, enabled=True).after
    assert on.due == START + 11 * MINUTE
    assert changes.delete(database, on)
    assert schedules.all_schedules(database) == []
    assert database.query("SELECT COUNT(*) FROM hammerwork_schedule_runs")[0][0] == 0
    assert len(jobs(database)) == 1


def test_a_schedule_keeps_its_jitter_its_start_and_its_end(here: Database) -> None:
    schedule = add(here, jitter="10m", starts=(START + 2 * MINUTE).isoformat(), ends=(START + 3 * MINUTE).isoformat())
    assert schedule.due == START + 2 * MINUTE
    tick(here, schedule, START + 2 * MINUTE)
    finish(here)
    tick(here, schedule, START + 3 * MINUTE)
    assert again(here, schedule).due is None
    found = runs(here, schedule)
    delays = {timestamp(run.scheduled_at) - timestamp(run.due_at) for run in found}  # type: ignore[operator]
    assert delays == {schedule.delay}
    assert timedelta() < schedule.delay <= timedelta(minutes=10)


def test_a_schedule_may_start_at_the_first_instant_there_is(here: Database) -> None:
    """Nothing comes before the year 1."""
    schedule = add(here, starts="0001-01-01T00:00:00Z")
    assert schedule.due == START + MINUTE
    assert schedule.count(START, START + 3 * MINUTE) == 3


def test_a_job_that_the_database_refuses_is_said_and_stops_nobody(new_database: Callable[..., str]) -> None:
    with contextlib.closing(connect(new_database("postgres", migrated=True))) as database:
        schedule, beside = add(database), add(database, name="beside", every="1d", schedule=None)
        database.script('UPDATE hammerwork_schedules SET payload = \'{"a": "\\u0000"}\'')
        found = ticks.upcoming(database, START + MINUTE, 100)[0]
        with pytest.raises(RefusedValueError) as refused:
            ticks.tick(database, found, START + MINUTE)
        ticks.fail(database, found, str(refused.value), START + MINUTE)
        assert "refuses" in (again(database, schedule).last_error or "")
        assert again(database, beside).last_error is None
        assert again(database, schedule).due == START + MINUTE
        assert runs(database, schedule) == []
        with pytest.raises(RefusedValueError):
            add(database, name="other", payload={"a": "\x00"})


def test_a_schedule_that_contradicts_itself_or_is_never_due_is_refused(here: Database) -> None:
    for given in ({"catch_up": "all"}, {"schedule": "0 0 31 2 *"}, {"ends": "2020-01-01T00:00:00Z"}):
        with pytest.raises(UsageError):
            add(here, **given)
    add(here)
    with pytest.raises(ConflictError):
        add(here)
    assert add(here, name="Report").name == "Report"


def test_a_triggered_job_hides_no_open_one_and_blocks_nothing_before_it_is_due(database: Database) -> None:
    schedule, late = add(database), add(database, name="late")
    tick(database, schedule, START + MINUTE)
    manual.trigger(database, again(database, schedule), START + MINUTE + timedelta(seconds=1))
    triggered = runs(database, schedule)[1].job_id
    database.script(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{triggered}'")
    tick(database, schedule, START + 2 * MINUTE)
    assert outcomes(database, schedule) == ["enqueued", "enqueued", "skipped"]
    manual.trigger(database, late, START, at=START + timedelta(days=30))
    tick(database, late, START + MINUTE)
    assert outcomes(database, late) == ["enqueued", "enqueued"]


def test_a_schedule_that_cannot_be_read_can_be_disabled_and_one_that_ended_too(database: Database) -> None:
    schedule = add(database, ends=(START + 5 * MINUTE).isoformat())
    database.script("UPDATE hammerwork_schedules SET overlap = 'later', timezone = 'Nowhere'")
    off = manual.switch(database, again(database, schedule), ME, START + 9 * MINUTE, enabled=False).after
    assert not again(database, schedule).enabled
    with pytest.raises(UsageError):
        manual.switch(database, off, ME, START, enabled=True)
    with pytest.raises(UsageError):
        NewSchedule.of(off)


def test_the_newest_run_with_a_job_is_never_forgotten(here: Database) -> None:
    schedule = add(here, overlap="allow")
    for number in range(1, 4):
        tick(here, schedule, START + number * MINUTE)
    schedules.forget_runs(here, schedule, START + timedelta(days=365))
    assert [timestamp(run.due_at) for run in runs(here, schedule)] == [START + 3 * MINUTE]


def test_a_recurring_job_is_parked_and_comes_back_as_it_was(database: Database) -> None:
    new = read_schedule({"queue": "mail", "payload": {}, "schedule": "30 2 * * 1-5", "timezone": "Europe/Oslo"})
    job = recurring.create(database, new, START)
    assert (job.text, job.is_in_place) == ("0 30 2 * * Mon,Tue,Wed,Thu,Fri", True)
    due = datetime(2026, 11, 25, 1, 30, tzinfo=START.tzinfo)
    assert job.due == due
    assert schedules.find(database, job.id[:8]).id == schedules.find(database, "mail").id == job.id
    assert schedules.find(database, f"urn:uuid:{job.id.upper()}").id == job.id
    off = manual.switch(database, job, ME, START, enabled=False).after
    assert not off.enabled
    # What was read before does not revive it.
    with pytest.raises(ConflictError):
        changes.change(database, job, lambda known: read_schedule({"schedule": "@daily"}, known), ME, START)
    stored = database.query("SELECT recurring, scheduled_at FROM hammerwork_jobs")[0]
    assert (bool(stored[0]), timestamp(stored[1])) == (False, recurring.PARKED)
    # hammerwork (Rust) enables it, and leaves it where it is: a worker of ours brings it back.
    database.script("UPDATE hammerwork_jobs SET recurring = TRUE")
    assert recurring.unpark_enabled(database, START) == 1
    on = schedules.find(database, job.id)
    assert (on.enabled, on.due) == (True, due)
    changed = changes.change(database, on, lambda known: read_schedule({"schedule": "@hourly"}, known), ME, START)
    assert changed.due == START + timedelta(hours=1)
    with pytest.raises(UsageError):
        changes.change(database, changed, lambda known: read_schedule({"max_attempts": 9}, known), ME, START)
    made = manual.convert(database, changed, "hourly", ME, START)
    parked = schedules.find(database, job.id)
    assert (made.due, parked.enabled) == (START + timedelta(hours=1), False)
    with pytest.raises(ConflictError, match="is the schedule 'hourly' already"):
        manual.convert(database, parked, "again", ME, START)
    database.script("UPDATE hammerwork_jobs SET status = 'Running'")
    with pytest.raises((ConflictError, NotFoundError)):
        manual.switch(database, changed, ME, START, enabled=False)
    with pytest.raises(UsageError):
        recurring.create(database, read_schedule({"queue": "q", "payload": {}, "schedule": "0 0 1 * Mon"}), START)
    for policy in ({"overlap": "allow"}, {"catch_up": "all"}, {"grace": "3s"}, {"jitter": "10m"}):
        with pytest.raises(UsageError, match="never overlaps"):
            recurring.create(
                database, read_schedule({"queue": "q", "payload": {}, "schedule": "@daily", **policy}), START
            )


def test_a_recurring_job_of_rust_goes_on_as_a_schedule_with_limits_that_no_option_could_say(here: Database) -> None:
    recurring.create(here, read_schedule(GIVEN), START)
    here.script("UPDATE hammerwork_jobs SET max_attempts = 0, timeout_seconds = 0")
    [job] = recurring.recurring_jobs(here)
    made = manual.convert(here, job, "converted", ME, START)
    assert tick(here, made, START + MINUTE)
    ran = "SELECT max_attempts, timeout_seconds FROM hammerwork_jobs WHERE cron_schedule IS NULL"
    assert here.query(ran) == [(0, 1)]


def test_a_dry_run_shows_the_schedule_that_the_change_leaves(
    run: Callable[..., Outcome], dialect: str, migrated_url: str
) -> None:
    # Each way is one of the program, and the same statement.
    ways = [("--schedule", "0 4 * * *"), ("--priority", "high"), ("--timezone", "Europe/Oslo")]

    def asked(*words: str) -> Any:
        done = run("cron", *words, "--format", "json", url=migrated_url)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    for more in ((), ("--in-place",)):
        made = asked("create", "--queue", "report", "--payload", "{}", "--schedule", "30 2 * * *", *more)
        name = made["id"]
        for change in ways if dialect == "sqlite" else ways[:1]:
            before = asked("show", name)
            foreseen = asked("update", name, *change, "--dry-run")
            assert asked("show", name) == before
            changed = asked("update", name, *change)
            # The time of the change is the only difference.
            assert {**foreseen, "updated_at": None} == {**changed, "updated_at": None}
        assert (changed["created_at"], changed["id"]) == (made["created_at"], name)


def test_an_overdue_time_is_listed_once_unless_all_are_caught_up(here: Database) -> None:
    last = add(here)
    every = add(here, name="every", catch_up="all", overlap="allow")
    late = START + 10 * MINUTE + timedelta(seconds=1)
    first = START + MINUTE
    assert schedules.coming(last, 3, late) == [first, START + 11 * MINUTE, START + 12 * MINUTE]
    assert schedules.coming(every, 3, late) == [first, first + MINUTE, first + 2 * MINUTE]
    assert schedules.coming(last, 2, START) == [first, first + MINUTE]


VALUES: dict[object, Any] = {
    str: "other",
    int: 61,
    bool: False,
    datetime: START + MINUTE,
    Expression: Expression.of("30 2 * * *", "Europe/Oslo"),
    JobPriority: JobPriority.HIGH,
    Overlap: Overlap.ALLOW,
    CatchUp: CatchUp.NONE,
}
TYPES = {name: (*get_args(hint), hint)[0] for name, hint in get_type_hints(NewSchedule).items()}
OTHERS = {name: VALUES[TYPES[name]] for name in OPTIONS}
OTHERS |= {"payload": '{"b": 2}', "ends_at": START + timedelta(days=300)}
"""A value of each option of a schedule that is not its default."""


def test_every_option_of_a_schedule_is_stored_and_changed(here: Database) -> None:
    whole = replace(read_schedule(GIVEN), **OTHERS)
    assert NewSchedule.of(again(here, changes.add(here, replace(whole, name="whole"), ME, START))) == replace(
        whole, name="whole"
    )
    schedule, wanted = add(here), read_schedule(GIVEN)
    for name, value in OTHERS.items():
        assert getattr(wanted, name) != value
        wanted = replace(wanted, **{name: value})
        schedule = changes.change(here, schedule, lambda old, one={name: value}: replace(old, **one), ME, START)
        assert NewSchedule.of(schedule) == NewSchedule.of(again(here, schedule)) == wanted


def test_a_recurring_job_is_refused_with_an_option_that_it_cannot_have(here: Database) -> None:
    """It would be dropped silently."""
    kept = {*STORED.values(), "expression"}
    fields = {option.field or option.name: option.name for option in OWN_OPTIONS}
    assert OTHERS.keys() - kept == fields.keys() & OTHERS.keys()
    for name in OTHERS.keys() - kept:
        flag = "disabled" if name == "enabled" else fields[name].replace("_", "-")
        with pytest.raises(UsageError) as refused:
            recurring.create(here, replace(read_schedule(GIVEN), **{name: OTHERS[name]}), START)
        assert refused.value.hint == f"Leave out --{flag}."
    assert recurring.recurring_jobs(here) == []
    given = {name: OTHERS[name] for name in kept}
    found = NewSchedule.of(recurring.create(here, replace(read_schedule(GIVEN), **given), START))
    assert {name: getattr(found, name) for name in kept - {"expression"}} == {
        name: given[name] for name in kept - {"expression"}
    }


@on_sqlite
def test_each_schedule_is_listed_with_its_own_last_run(database: Database) -> None:
    for name, minutes in (("one", 1), ("other", 3), ("idle", 0)):
        schedule = add(database, name=name)
        if minutes:
            tick(database, schedule, START + minutes * MINUTE)
    found = {one.schedule.name: one.last_run and timestamp(one.last_run.due_at) for one in schedules.listed(database)}
    assert found == {"one": START + MINUTE, "other": START + 3 * MINUTE, "idle": None}


@on_sqlite
def test_a_recurring_job_has_no_last_run_before_its_first(run: Callable[..., Outcome], migrated_url: str) -> None:
    made = run("cron", "create", "--in-place", *CREATE, url=migrated_url)
    assert made.exit_code == 0
    assert "last run" not in run("cron", "list", url=migrated_url).stdout
    noted = run("archive", "set-policy", "--queue", "reports", "--completed-after", "7d", url=migrated_url)
    assert "Queue 'reports' is new; did you mean 'report'?" in noted.stderr


CREATE = ("--queue", "report", "--payload", "{}", "--schedule", "0 30 2 * * *")


@on_sqlite
def test_recurring_jobs_of_one_queue_have_names_of_their_own(run: Callable[..., Outcome], migrated_url: str) -> None:
    alone = run("cron", "create", "--in-place", *CREATE, url=migrated_url).stdout.strip()
    listed = ("cron", "list", "--kind", "in_place", "--format", "json")
    assert [one["name"] for one in run(*listed, url=migrated_url).json] == ["report"]
    run("cron", "create", "--in-place", *CREATE[:-1], "0 0 6 * * *", url=migrated_url)
    names = {one["name"]: one["id"] for one in run(*listed, url=migrated_url).json}
    assert names[f"report-{alone[:8]}"] == alone
    for name, job in names.items():
        assert run("cron", "show", name, "--format", "json", url=migrated_url).json["id"] == job
    assert "Several schedules" in run("cron", "show", "report", url=migrated_url).stderr


@on_sqlite
def test_an_overdue_schedule_says_that_no_worker_does_upkeep(run: Callable[..., Outcome], migrated_url: str) -> None:
    made = run("cron", "create", "--queue", "report", "--payload", "{}", "--every", "1m", url=migrated_url)
    assert made.exit_code == 0
    says, later = (
        "no worker does upkeep: hammerwork worker start --upkeep-only",
        {"HAMMERWORK_NOW": "2099-01-01T00:00:00Z"},
    )
    for words in (("list",), ("list", "--detailed"), ("show", "report")):
        assert says not in run("cron", *words, url=migrated_url).stdout
        assert says in run("cron", *words, url=migrated_url, env=later).stdout


@on_sqlite
def test_a_second_schedule_of_a_queue_without_a_name_says_its_name(
    run: Callable[..., Outcome], migrated_url: str
) -> None:
    words = ("cron", "create", "--queue", "report", "--payload", "{}", "--every")
    first, second = (run(*words, every, url=migrated_url) for every in ("6h", "7h"))
    assert (first.stdout, second.stdout) == ("report\n", "report-2\n")
    note = "There is a schedule report already; this creates another one, report-2."
    assert note not in first.stderr
    assert note in second.stderr
    assert note not in run(*words, "7h", "--name", "other", url=migrated_url).stderr


def test_the_same_schedule_again_is_a_conflict_unless_it_has_a_name(
    run: Callable[..., Outcome], migrated_url: str
) -> None:
    def create(payload: str, *words: str) -> Outcome:
        return run("cron", "create", "--queue", "report", "--payload", payload, *words, url=migrated_url)

    daily = ("--schedule", "30 2 * * *", "--timezone", "Europe/Oslo")
    assert create('{"a": 1, "b": 2}', *daily).exit_code == 0
    again = create('{"b":2,"a":1}', *daily, "--quiet")
    assert (again.exit_code, again.stdout) == (6, "")
    assert "The schedule 'report' enqueues the same job at the same times." in again.stderr
    others = [
        create("{}", *daily),
        create('{"a": 1, "b": 2}', *daily[:2]),
        create('{"b":2,"a":1}', *daily, "--name", "n"),
    ]
    assert [made.stdout for made in others] == ["report-2\n", "report-3\n", "n\n"]
    with contextlib.closing(connect(migrated_url)) as database:
        for payload in ("no JSON", "[" * 5000) if database.dialect == "sqlite" else ():
            database.query("UPDATE hammerwork_schedules SET payload = ?", [payload])
            assert create("{}", *daily, "--dry-run").exit_code == 0


def test_a_trigger_waits_for_its_job_when_it_is_asked_to(run: Callable[..., Outcome], migrated_url: str) -> None:
    def cron(*words: str) -> Outcome:
        return run("cron", *words, url=migrated_url)

    made = cron("create", "--queue", "report", "--payload", "{}", "--schedule", "@daily", "--name", "report")
    assert made.exit_code == 0, made
    late = cron("trigger", "report", "--wait", "--timeout", "0")
    assert (late.exit_code, "1 job is open" in late.stderr) == (124, True)
    for end, code in (("Completed", 0), ("Dead", 1)):
        ending = f"UPDATE hammerwork_jobs SET status = '{end}' WHERE status = 'Pending'"
        timer = threading.Timer(0.5, execute, (migrated_url, ending))
        timer.start()
        done = cron("trigger", "report", "--wait", "--timeout", "60")
        timer.join()
        assert (done.exit_code, len(done.stdout.strip()), end.lower() in done.stderr) == (code, 36, True), done
    assert cron("trigger", "report", "--timeout", "3").exit_code == 2
    assert cron("create", "--queue", "report", "--payload", "{}", "--schedule", "@daily", "--in-place").exit_code == 0
    [row] = [one for one in cron("list", "--format", "json").json if one["kind"] == "in_place"]
    assert cron("trigger", row["id"], "--wait").exit_code == 2


@on_sqlite
def test_a_detailed_list_prints_every_schedule_as_show_does(run: Callable[..., Outcome], migrated_url: str) -> None:
    clock = {"HAMMERWORK_NOW": "2026-11-24T12:00:00Z"}
    for name in ("nightly", "report"):
        words = ("--queue", name, "--payload", "{}", "--schedule", "@daily", "--name", name)
        assert run("cron", "create", *words, url=migrated_url).exit_code == 0
    each = [run("cron", "show", name, url=migrated_url, env=clock).stdout for name in ("nightly", "report")]
    assert run("cron", "list", "--detailed", url=migrated_url, env=clock).stdout == "\n".join(each)
    assert "No schedule matches." in run("cron", "list", "--detailed", "--disabled", url=migrated_url).stderr
    assert run("cron", "list", "--detailed", "--format", "json", url=migrated_url).exit_code == 2


@on_sqlite
def test_a_recurring_job_is_deleted_with_the_verb_of_rust_unless_it_runs(
    run: Callable[..., Outcome], migrated_url: str
) -> None:
    words = ("--queue", "report", "--payload", "{}", "--schedule", "@daily", "--in-place")
    row = run("cron", "create", *words, url=migrated_url).stdout.strip()
    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Running'")
    refused = run("cron", "remove", row, "--confirm", url=migrated_url)
    assert refused.exit_code == 6
    planned = run("cron", "remove", row, "--dry-run", url=migrated_url)
    assert (planned.exit_code, planned.stdout, planned.stderr) == (6, "", refused.stderr)
    execute(migrated_url, "UPDATE hammerwork_jobs SET status = 'Pending'")
    assert run("cron", "remove", row, "--dry-run", url=migrated_url).exit_code == 0
    assert run("cron", "remove", row, "--confirm", url=migrated_url).stdout == "Deleted the recurring job report.\n"
    assert run("cron", "list", "--format", "json", url=migrated_url).json == []
    for zone in ("", "Nowhere/Land"):
        refused = run("cron", "create", *words[:-1], "--timezone", zone, url=migrated_url)
        assert (refused.exit_code, f"{zone!r} is not a time zone" in refused.stderr) == (2, True), refused
