"""``cron backfill``: one job for each due time that had none, whoever else asks."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest

from hammerwork_cli.core.values import rfc3339, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import NotFoundError, UsageError
from hammerwork_cli.features.cron.model import Gap
from hammerwork_cli.features.cron.queries import backfill, changes, schedules
from tests.conftest import Outcome, on_sqlite
from tests.database.cron.test_schedules import MINUTE, add, again, check_once, jobs, runs, tick
from tests.database.test_queues import at_once
from tests.rows import START, Rows

MOST = 1_000


def gaps(database: Database, schedule: object) -> list[Gap]:
    return backfill.gaps(database, schedule, START - MINUTE, START + 5 * MINUTE, MOST)  # type: ignore[arg-type]


def test_each_due_time_without_a_job_gets_one_whatever_became_of_it(database: Database) -> None:
    schedule = add(database)
    tick(database, schedule, START + 3 * MINUTE)
    found = gaps(database, schedule)
    assert [((gap.due_at - START) // MINUTE, gap.outcome) for gap in found] == [
        (-1, None),
        (0, None),
        (1, "missed"),
        (2, "missed"),
        (4, None),
    ]
    filled = backfill.fill(database, schedule, found, START + 5 * MINUTE)
    assert [gap.due_at for gap in filled] == [gap.due_at for gap in found]
    assert {gap.job for gap in filled} < jobs(database).keys()
    check_once(database, schedule)
    assert [run.kind for run in runs(database, schedule)] == [*["backfill"] * 4, "scheduled", "backfill"]
    assert {run.reason for run in runs(database, schedule)} == {None}
    payload = str(jobs(database)[str(filled[0].job)])
    assert rfc3339(START - MINUTE) in payload
    assert "backfill" in payload
    assert gaps(database, schedule) == []
    assert backfill.fill(database, schedule, found, START + 6 * MINUTE) == []
    assert len(jobs(database)) == 6
    # The schedule goes on as if nothing had happened.
    assert timestamp(again(database, schedule).next_run_at) == START + 4 * MINUTE
    tick(database, schedule, START + 6 * MINUTE)
    check_once(database, schedule)


@on_sqlite
def test_an_interval_was_not_due_when_it_was_created(database: Database) -> None:
    schedule = add(database, schedule=None, every="2m")
    assert [gap.due_at for gap in gaps(database, schedule)] == [START + 2 * MINUTE, START + 4 * MINUTE]
    named = add(database, schedule=None, every="2m", starts=rfc3339(START + MINUTE), name="from a start")
    assert [gap.due_at for gap in gaps(database, named)] == [START + MINUTE, START + 3 * MINUTE]


def test_jobs_can_wait_for_each_other(database: Database) -> None:
    schedule = add(database)
    filled = backfill.fill(database, schedule, gaps(database, schedule), START + 5 * MINUTE, one_at_a_time=True)
    waiting = {
        str(job): (str(parents), status)
        for job, parents, status in database.query("SELECT id, depends_on, dependency_status FROM hammerwork_jobs")
    }
    assert waiting[str(filled[0].job)][1] == "none"
    for before, gap in pairwise(filled):
        parents, status = waiting[str(gap.job)]
        assert str(before.job) in parents
        assert status == "waiting"


def test_two_who_fill_the_same_gaps_enqueue_one_job_for_each(database: Database) -> None:
    schedule = add(database)
    found = gaps(database, schedule)

    def fill() -> list[Gap]:
        with closing(connect(database.url)) as own:
            return backfill.fill(own, schedule, found, START + 5 * MINUTE)

    made = at_once(3, fill)
    assert sum(map(len, made)) == len(found)
    check_once(database, schedule)


def test_gaps_that_nobody_can_fill_are_refused(database: Database) -> None:
    schedule = add(database)
    found = gaps(database, schedule)
    with pytest.raises(UsageError, match="More than 5 due times have no job, the first at 2026-11-24 13:59:00 UTC"):
        backfill.gaps(database, schedule, START - MINUTE, START + timedelta(days=900), 5)
    job = Rows(database).job(queue="hourly", status="Pending", cron_schedule="0 0 * * * *", recurring=True)
    with pytest.raises(UsageError, match="A recurring job has one row"):
        gaps(database, schedules.find(database, job))
    changes.delete(database, schedule)
    with pytest.raises(NotFoundError, match="has been deleted"):
        backfill.fill(database, schedule, found, START)
    assert len(jobs(database)) == 1


@on_sqlite
def test_the_command_asks_shows_and_can_be_repeated(run: Callable[..., Outcome], migrated_url: str) -> None:
    made = run("cron", "create", "-n", "report", "-j", "{}", "--schedule", "0 * * * *", url=migrated_url)
    assert made.exit_code == 0, made
    words = ("cron", "backfill", "report", "--from", "2026-01-01T00:00Z", "--to", "2026-01-01T05:00Z")
    shown = run(*words, "--dry-run", "--format", "json", url=migrated_url).json
    assert [gap["due_at"] for gap in shown] == [f"2026-01-01T0{hour}:00:00.000000Z" for hour in range(5)]
    assert {(gap["outcome"], gap["job_id"]) for gap in shown} == {(None, None)}
    refused = run(*words, url=migrated_url)
    assert refused.exit_code != 0
    assert run("job", "list", "--format", "json", url=migrated_url).json == []
    done = run(*words, "--yes", "--format", "json", url=migrated_url)
    assert done.exit_code == 0, done
    assert [gap["due_at"] for gap in done.json] == [gap["due_at"] for gap in shown]
    listed = run("job", "list", "--format", "json", url=migrated_url).json
    assert {job["id"] for job in listed} == {gap["job_id"] for gap in done.json}
    again = run(*words, "--yes", url=migrated_url)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "No due time in that span lacks a job." in again.stderr
    history = run("cron", "history", "report", "--format", "json", url=migrated_url).json
    assert {one["kind"] for one in history} == {"backfill"}
    for bad in (("--from", "5h", "--to", "6h"), ("--from", "5h", "--to", "2090-01-01T00:00Z"), ("--from", "x")):
        assert run("cron", "backfill", "report", *bad, url=migrated_url).exit_code == 2, bad
    assert run("cron", "backfill", "report", "--from", "5d", "--max", "3", url=migrated_url).exit_code == 2
