"""The history of attempts: each that did not complete leaves a row, whatever ended it, and none that completed."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy
from hammerwork_cli.core.input.limits import LONGEST_ERROR
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.models.job import AttemptOutcome, PastAttempt
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.conftest import all_databases
from tests.runtime.conftest import Stage

Run = Callable[..., Any]
SOON = RetryStrategy.fixed(timedelta(milliseconds=1))
WORKER, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def history(stage: Stage, job: Job) -> list[PastAttempt]:
    return attempts.of_jobs(stage.database, [job.id]).get(job.id, [])


def told(stage: Stage, job: Job) -> list[tuple[int, str, str | None]]:
    """Number, outcome and first line of the error of each attempt in the history of a job."""
    return [(one.attempt, one.outcome, one.error and one.error.partition("\n")[0]) for one in history(stage, job)]


def taken(stage: Stage, now: datetime, limit: int = 9) -> list[Claimed]:
    return claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=limit, slots=limit)


def soon(stage: Stage) -> datetime:
    return stage.database.now() + timedelta(seconds=1)


def test_an_attempt_that_fails_is_remembered_and_one_that_completes_is_not(stage: Stage, app: Handlers) -> None:
    @app.job("shaky", retry=SOON)
    def shaky(job: Job) -> None:
        if job.attempts < 3:
            raise ValueError(f"no {job.attempts}")

    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise KeyError(job.attempts)

    mended, dead, well = stage.enqueue(Job("shaky"), Job("bad", max_attempts=2), Job("noop"))
    stage.work(app, name="w-1")
    assert stage.status(mended, dead, well) == ["Completed", "Dead", "Completed"]
    assert told(stage, mended) == [(1, "failed", "ValueError: no 1"), (2, "failed", "ValueError: no 2")]
    assert told(stage, dead) == [(1, "failed", "KeyError: 1"), (2, "failed", "KeyError: 2")]
    assert told(stage, well) == []
    last = history(stage, dead)[-1]
    assert timestamp(last.started_at) == stage.timestamp(dead, "started_at")
    assert timestamp(last.ended_at) == stage.timestamp(dead, "failed_at")
    assert (last.worker, last.worker_id) == ("w-1", registry.listed(stage.database)[0].id)


@all_databases
def test_every_way_to_end_an_attempt_but_completion_has_its_word(stage: Stage) -> None:
    jobs = stage.enqueue(
        *(Job("noop", id=f"{number:08x}-0000-4000-8000-000000000000") for number in range(len(AttemptEnd)))
    )
    now = soon(stage)
    claimed = {job.id: job for job in taken(stage, now)}
    ats = {AttemptEnd.RETRY: now, AttemptEnd.SNOOZED: now, AttemptEnd.STOPPED: stage.timestamp(jobs[0], "scheduled_at")}
    ended = [
        EndedAttempt(claimed[job.id], end, error=f"as {end}", at=ats.get(end))
        for job, end in zip(jobs, AttemptEnd, strict=True)
    ]
    for _ in range(2):  # as after a commit that was not answered
        assert not finish.finish(stage.database, ended, now).lost
    assert {end: told(stage, job) for job, end in zip(jobs, AttemptEnd, strict=True)} == {
        AttemptEnd.COMPLETED: [],
        AttemptEnd.RETRY: [(1, "failed", "as retry")],
        AttemptEnd.SNOOZED: [],
        AttemptEnd.STOPPED: [(1, "stopped", "as stopped")],
        AttemptEnd.FAILED: [(1, "failed", "as failed")],
        AttemptEnd.TIMED_OUT: [(1, "timed_out", "as timed_out")],
        AttemptEnd.CANCELLED: [],
    }


@all_databases
def test_a_recurring_job_is_remembered_for_the_occurrences_that_failed(stage: Stage) -> None:
    stage.enqueue(Job("noop"))
    (job,) = stage.enqueue(Job("noop", id=WORKER))
    for number, (end, error) in enumerate(
        [(AttemptEnd.COMPLETED, None), (AttemptEnd.FAILED, "broken"), (AttemptEnd.COMPLETED, None)]
    ):
        now = soon(stage) + timedelta(hours=number)
        mine = next(one for one in taken(stage, now) if one.id == job.id)
        assert not finish.finish(stage.database, [EndedAttempt(mine, end, error=error, at=now)], now).lost
    assert told(stage, job) == [(1, "failed", "broken")]


@all_databases
def test_a_worker_that_lost_its_claim_leaves_that_alone_in_the_history(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop"))
    now = soon(stage)
    (mine,) = taken(stage, now)
    stage.execute("UPDATE hammerwork_jobs SET status = 'Pending', started_at = NULL")
    for end in AttemptEnd:
        assert finish.finish(stage.database, [EndedAttempt(mine, end, error="x", at=None)], now).lost == {job.id}
    assert told(stage, job) == [(1, "lost", finish.TAKEN)]


@all_databases
def test_jobs_that_are_given_back_unrun_leave_nothing_in_the_history(stage: Stage) -> None:
    known, unknown = stage.enqueue(Job("noop"), Job("noop"))
    now = soon(stage)
    claimed = {job.id: job for job in taken(stage, now)}
    assert finish.give_back(stage.database, [claimed[known.id]]) == 1
    assert finish.compare(stage.database, WORKER, []).returned == 1
    assert (history(stage, known), history(stage, unknown)) == ([], [])


@all_databases
def test_the_attempts_of_a_lost_worker_are_remembered_as_lost(stage: Stage) -> None:
    again, last = stage.enqueue(Job("noop"), Job("noop", max_attempts=1))
    daily = stage.enqueue(Job("noop", max_attempts=1).with_cron("@daily"))[0]
    due = stage.database.json_timestamp(stage.database.now() - timedelta(minutes=1))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{due}', next_run_at = '{due}' WHERE id = '{daily.id}'")
    registry.register(stage.database, registry.Registration(WORKER, "w", "here", 1, "1", ("noop",), (), 8, 30.0))
    now = soon(stage)
    claimed = taken(stage, now)
    assert len(claimed) == 3
    assert stage.rescue() == [("w", 2, 1)]
    error = "The worker w was lost while it ran this job."
    for job in (again, last, daily):
        assert told(stage, job) == [(1, "lost", error)]
        (one,) = history(stage, job)
        assert (one.worker, one.worker_id, timestamp(one.started_at)) == ("w", WORKER, now)
    # The worker was not lost, and ends the attempts that others have rescued.
    assert (
        len(
            finish.finish(
                stage.database, [EndedAttempt(job, AttemptEnd.FAILED, error="late") for job in claimed], now
            ).lost
        )
        == 3
    )
    assert told(stage, again) == [(1, "lost", error)]


@all_databases
def test_a_job_keeps_its_newest_attempts_and_takes_none_from_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "KEPT", 3)
    many, few, other = stage.enqueue(*(Job("noop", max_attempts=99) for _ in range(3)))
    now = soon(stage)

    def failed(job: Job, number: int) -> PastAttempt:
        at = now + timedelta(seconds=number)
        return PastAttempt(job.id, at, at, number, AttemptOutcome.FAILED, WORKER, f"error {number}")

    def record(*rows: PastAttempt) -> None:
        stage.database.transaction(lambda: attempts.record(stage.database, rows))

    record(failed(few, 1), *(failed(other, number) for number in (1, 2, 3)))
    for number in range(1, 6):
        record(failed(many, number))
    assert [one.attempt for one in history(stage, many)] == [3, 4, 5]
    record(*(failed(many, number) for number in (6, 7)), *(failed(few, number) for number in (2, 3, 4, 5)))
    assert [one.attempt for one in history(stage, many)] == [5, 6, 7]
    assert [one.attempt for one in history(stage, few)] == [3, 4, 5]
    assert [one.attempt for one in history(stage, other)] == [1, 2, 3]
    # What is there already, and a word of a later version, keep nobody from writing.
    record(failed(other, 3)._replace(error="another"), failed(other, 4)._replace(outcome="of_later"))
    assert told(stage, other) == [(2, "failed", "error 2"), (3, "failed", "error 3"), (4, "of_later", "error 4")]


def test_the_middle_is_cut_out_of_a_long_error(stage: Stage, app: Handlers) -> None:
    @app.job("bad")
    def bad(job: Job) -> None:
        del job
        raise ValueError("ø" * 50_000)

    (job,) = stage.enqueue(Job("bad", max_attempts=1))
    stage.work(app)
    (one,) = history(stage, job)
    assert one.error is not None
    assert len(one.error.encode()) <= LONGEST_ERROR
    assert one.error.startswith("ValueError: øø")
    assert one.error.rstrip().endswith("øø")
    assert len(stage.one(job, "error_message").encode()) > LONGEST_ERROR


@all_databases
def test_many_long_errors_are_written_in_statements_that_the_server_takes(stage: Stage) -> None:
    jobs = stage.enqueue(*(Job("noop", max_attempts=1) for _ in range(60)))
    now = soon(stage)
    claimed = taken(stage, now, limit=60)
    stage.database.packet = 64 * 1024
    ended = [EndedAttempt(job, AttemptEnd.FAILED, error="'" * 4000) for job in claimed]
    assert not finish.finish(stage.database, ended, now).lost
    assert {len(history(stage, job)) for job in jobs} == {1}


def test_show_and_why_tell_the_history_of_a_job(stage: Stage, app: Handlers, run: Run) -> None:
    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise ValueError("\x1b[31mfirst" if job.attempts == 1 else "then")

    (job,) = stage.enqueue(Job("bad", max_attempts=3))
    stage.work(app, name="w-1")
    record = run("job", "show", job.id, "--format", "json", url=stage.url).json
    assert [
        (one["attempt"], one["outcome"], one["worker"], one["error"].partition("\n")[0])
        for one in record["attempt_history"]
    ] == [
        (1, "failed", "w-1", "ValueError: \x1b[31mfirst"),
        (2, "failed", "w-1", "ValueError: then"),
        (3, "failed", "w-1", "ValueError: then"),
    ]
    shown = run("job", "show", job.id, url=stage.url).stdout
    assert "\x1b" not in shown
    lines = shown.partition("\nAttempts that did not complete\n")[2].splitlines()
    assert lines[0].startswith("  attempt 3 · failed · 20")
    assert lines[0].endswith(" · on w-1")
    assert lines[1] == "    ValueError: then"
    assert lines[5] == "    ValueError: \\x1b[31mfirst"
    why = run("spawn", "why", job.id, url=stage.url)
    assert "Dead after 3 attempts\n    attempt 1 · failed · ValueError: \\x1b[31mfirst\n\n" in why.stdout
    (group,) = run("spawn", "why", job.id, "--format", "json", url=stage.url).json["groups"]
    assert group["jobs"][0]["attempt_history"] == record["attempt_history"]
    # A retry begins anew, and forgets nothing of before.
    assert run("job", "retry", job.id, url=stage.url).exit_code == 0
    assert len(json.loads(run("job", "show", job.id, "--format", "json", url=stage.url).stdout)["attempt_history"]) == 3
