"""What a worker does to the jobs that it runs."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli import Handlers, Job, JobPriority, RetryStrategy, SpawnContext, Worker
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import MissingTablesError, UsageError
from hammerwork_cli.features.job.queries import limits
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.worker.claimer import priorities
from tests.conftest import all_databases
from tests.jobs import IGNORING
from tests.rows import Rows
from tests.runtime.conftest import Stage, mariadb_too
from tests.rust3.migrations import Migrator

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))


@all_databases
def test_a_job_is_run_and_its_result_stored(stage: Stage, app: Handlers) -> None:
    seen = []

    @app.job("greet")
    def greet(job: Job) -> object:
        seen.append((job.payload, job.attempts, job.queue))
        return {"said": "Grüß Gott, 東京 'and' \"more\""}

    (job,) = stage.enqueue(Job("greet", {"to": "all"}).with_result_ttl(timedelta(hours=2)))
    report = stage.work(app)
    assert (report.completed, report.failed) == (1, 0)
    assert seen == [({"to": "all"}, 1, "greet")]
    status, attempts, result = stage.one(job, "status, attempts, result_data")
    assert (status, attempts) == ("Completed", 1)
    assert json.loads(result) == {"said": "Grüß Gott, 東京 'and' \"more\""}
    assert stage.timestamp(job, "completed_at") >= stage.timestamp(job, "started_at")
    assert stage.timestamp(job, "result_expires_at") - stage.timestamp(job, "result_stored_at") == timedelta(hours=2)


def test_no_thread_of_a_worker_keeps_its_process_from_ending(stage: Stage, app: Handlers) -> None:
    threads: list[threading.Thread] = []
    app.register_job("look", lambda _: threads.extend(threading.enumerate()))
    stage.enqueue(Job("look"))
    stage.work(app)
    own = {thread.name: thread.daemon for thread in threads if thread.name.startswith("hammerwork-")}
    assert {"hammerwork-slot-0", "hammerwork-heartbeat", "hammerwork-keeper"} <= own.keys()
    assert all(own.values()), own


def test_a_handler_that_returns_nothing_has_no_result(stage: Stage, app: Handlers) -> None:
    (job,) = stage.enqueue(Job("noop", {}))
    stage.work(app)
    assert stage.one(job, "status, result_data, result_stored_at") == ("Completed", None, None)


def test_a_failed_attempt_comes_back_and_the_last_one_is_dead_with_its_traceback(stage: Stage, app: Handlers) -> None:
    tries = []

    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        tries.append(job.attempts)
        raise ValueError("no <b>good</b>")

    (job,) = stage.enqueue(Job("bad", {}).with_max_attempts(3))
    report = stage.work(app)
    assert (report.completed, report.failed) == (0, 3)
    assert tries == [1, 2, 3]
    status, attempts, error = stage.one(job, "status, attempts, error_message")
    assert (status, attempts) == ("Dead", 3)
    assert error.startswith("ValueError: no <b>good</b>\n\nTraceback")
    assert 'raise ValueError("no <b>good</b>")' in error
    assert error.splitlines()[3].endswith(", in bad")  # the frames of the worker are not in it
    assert stage.timestamp(job, "failed_at") is not None


def test_a_traceback_begins_in_the_code_of_its_author_wherever_that_runs(lite: Stage, app: Handlers) -> None:
    @app.job("plain")
    def plain(job: Job) -> None:
        raise ValueError(job.queue)

    @app.job("coroutine")
    async def coroutine(job: Job) -> None:
        raise ValueError(job.queue)

    @app.spawn("spawn")
    def spawn(context: SpawnContext) -> Iterator[Job]:
        yield Job("noop")
        raise ValueError(context.parent_job.queue)

    @app.spawn("async spawn")
    async def async_spawn(context: SpawnContext) -> AsyncIterator[Job]:
        yield Job("noop")
        raise ValueError(context.parent_job.queue)

    queues = ("plain", "coroutine", "spawn", "async spawn")
    jobs = lite.enqueue(*(Job(queue, max_attempts=1) for queue in queues))
    lite.work(app)
    for job in jobs:
        lines = lite.one(job, "error_message").splitlines()
        begin = lines.index("Traceback (most recent call last):")
        assert f'"{__file__}"' in lines[begin + 1], lines
        assert not any("hammerwork_cli" in line for line in lines), lines


def test_a_retried_job_waits_as_its_own_strategy_says(stage: Stage, app: Handlers) -> None:
    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise ValueError

    (job,) = stage.enqueue(Job("bad", {}).with_retry_strategy(RetryStrategy.fixed(timedelta(hours=1))))
    stage.work(app)
    assert stage.one(job) == "Pending"
    assert stage.timestamp(job, "scheduled_at") > datetime.now(UTC) + timedelta(minutes=50)
    assert stage.one(job, "started_at") is None


def test_a_success_forgets_the_error_of_the_attempt_before(stage: Stage, app: Handlers) -> None:
    @app.job("second", retry=SOON)
    def second(job: Job) -> None:
        if job.attempts == 1:
            raise ValueError

    (job,) = stage.enqueue(Job("second", {}))
    stage.work(app)
    assert stage.one(job, "status, attempts, error_message") == ("Completed", 2, None)


def test_a_job_that_takes_too_long_is_timed_out_and_what_it_does_later_is_not_written(
    stage: Stage, app: Handlers
) -> None:
    go, late = threading.Event(), threading.Event()

    @app.job("slow")
    def slow(job: Job) -> str:
        go.wait(60)
        late.set()
        return "too late"

    (job,) = stage.enqueue(Job("slow", {}).with_timeout(timedelta(seconds=1)))
    report = stage.work(app)
    assert report.unreturned == 1
    status, error, result = stage.one(job, "status, error_message, result_data")
    assert (status, error.partition("\n")[0], result) == ("TimedOut", "It did not end within 1 s.", None)
    assert stage.timestamp(job, "timed_out_at") is not None
    go.set()
    assert late.wait(20)
    assert stage.one(job, "status, result_data") == ("TimedOut", None)


def test_coroutines_run_side_by_side_and_are_cancelled_at_their_timeout(lite: Stage, app: Handlers) -> None:
    import asyncio

    together, most = 0, 0
    cancelled = threading.Event()

    @app.job("async")
    async def run(job: Job) -> str:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.2)
        together -= 1
        return "done"

    @app.job("endless")
    async def endless(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    jobs = lite.enqueue(Job("async", {}), Job("async", {}), Job("endless", {}).with_timeout(timedelta(seconds=1)))
    lite.work(app, concurrency=3)
    assert lite.status(*jobs) == ["Completed", "Completed", "TimedOut"]
    assert most == 2
    assert cancelled.wait(5)


def test_a_worker_does_not_start_for_a_queue_whose_jobs_would_all_fail(lite: Stage, app: Handlers) -> None:
    (job,) = lite.enqueue(Job("nop"))
    for queue, hint in (("nop", "Did you mean noop?"), ("a,b", "Register one, or leave the queue to other workers.")):
        with pytest.raises(UsageError, match=f"No handler is registered for the queue '{queue}'") as refused:
            lite.work(app, queues=["noop", queue])
        assert refused.value.hint == hint
    assert lite.status(job) == ["Pending"]
    assert registry.listed(lite.database) == []


def test_a_job_without_a_handler_is_tried_again_where_others_spawn(
    stage: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    app.register_handler("fan", lambda context: [Job("noop")])  # noqa: ARG005
    names, other = stage.enqueue(Job("unknown", {}).with_spawn_handler("fan"), Job("unknown", {}, max_attempts=2))
    stage.work(app, queues=("unknown",), retry=SOON)
    assert stage.status(names, other) == ["Completed", "Dead"]
    assert stage.one(other, "attempts, error_message") == (
        2,
        "This worker has no handler for the queue 'unknown'. It has handlers for: noop.",
    )
    assert "only jobs that name a spawn handler run; others fail" in caplog.text


@all_databases
def test_a_value_that_the_database_refuses_fails_the_job_and_says_why(stage: Stage, app: Handlers) -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]

    @app.job("odd")
    def odd(job: Job) -> object:
        return "\x00" if job.payload["kind"] == "nul" else deep

    @app.job("long")
    def long(job: Job) -> None:
        raise ValueError("\x00\ud800" + "x" * 100_000)

    nul, nested, long_error, fine = stage.enqueue(
        Job("odd", {"kind": "nul"}).with_max_attempts(1),
        Job("odd", {"kind": "deep"}).with_max_attempts(1),
        Job("long", {}).with_max_attempts(1),
        Job("noop", {}),
    )
    stage.work(app)
    dialect = stage.database.dialect
    assert stage.one(fine) == "Completed"
    assert stage.one(nul) == ("Dead" if dialect == "postgresql" else "Completed")
    assert stage.one(nested) == ("Dead" if dialect == "mysql" else "Completed")
    if dialect == "mysql":
        assert "The database cannot hold the result of the job." in stage.one(nested, "error_message")
    status, error = stage.one(long_error, "status, error_message")
    assert status == "Dead"
    assert error.startswith("ValueError: \\x00\\ud800xxx")
    assert 50_000 < len(error.encode()) <= 60_000


def test_a_result_larger_than_its_job_allows_fails_the_attempt(stage: Stage, app: Handlers) -> None:
    @app.job("big")
    def big(job: Job) -> str:
        return "x" * 100

    (job,) = stage.enqueue(Job("big", {}, result_max_size=50, max_attempts=1))
    stage.work(app)
    assert stage.one(job, "status, result_data") == ("Dead", None)
    assert "102 bytes" in stage.one(job, "error_message")


def test_a_recurring_job_comes_back_whether_it_succeeds_or_dies(stage: Stage, app: Handlers) -> None:
    ran = []

    @app.job("cron", retry=SOON)
    def cron(job: Job) -> str:
        ran.append(job.id)
        if job.payload["fails"]:
            raise ValueError("not today")
        return "ran"

    good, bad = stage.enqueue(
        Job("cron", {"fails": False}).with_cron("0 0 3 * * *", "Europe/Oslo"),
        Job("cron", {"fails": True}).with_cron("0 0 3 * * *").with_max_attempts(2),
    )
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    stage.work(app)
    assert sorted(ran) == sorted([good.id, bad.id, bad.id])
    for job in (good, bad):
        assert stage.one(job, "status, attempts, started_at, completed_at") == ("Pending", 0, None, None)
        assert stage.timestamp(job, "scheduled_at") > datetime.now(UTC)
        assert stage.timestamp(job, "scheduled_at") == stage.timestamp(job, "next_run_at")
    assert json.loads(stage.one(good, "result_data")) == "ran"
    assert "not today" in stage.one(bad, "error_message")


def test_a_drained_worker_ends_with_its_first_look_at_other_workers(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats = registry.heartbeats

    def late(database: Database) -> Any:
        time.sleep(0.1)
        return heartbeats(database)

    monkeypatch.setattr(registry, "heartbeats", late)
    began = time.monotonic()
    lite.work(app, poll_interval=30, lease=300)
    assert time.monotonic() - began < 2.5


def test_a_paused_queue_is_left_alone_and_a_drained_worker_does_not_wait_for_it(stage: Stage, app: Handlers) -> None:
    (job,) = stage.enqueue(Job("noop", {}))
    queues.pause(stage.database, "noop", by="test", now=stage.database.now(), reason=None)
    stage.work(app)
    assert stage.one(job) == "Pending"
    queues.resume(stage.database, "noop")
    stage.work(app)
    assert stage.one(job) == "Completed"


def test_urgent_jobs_come_first_and_by_weight_the_others_come_too(stage: Stage, app: Handlers) -> None:
    order: list[JobPriority] = []

    @app.job("ordered")
    def ordered(job: Job) -> None:
        assert job.priority is not None
        order.append(job.priority)

    priorities = [JobPriority(number % 5) for number in range(50)]
    stage.enqueue(*(Job("ordered", {}, priority=priority) for priority in priorities))
    stage.work(app, concurrency=1)
    assert order == sorted(priorities, reverse=True)
    order.clear()
    stage.enqueue(*(Job("ordered", {}, priority=priority) for priority in priorities))
    stage.work(app, concurrency=1, weighted=True)
    assert sorted(order) == sorted(priorities)


@all_databases
def test_by_weight_a_low_job_runs_before_a_flood_of_urgent_ones_has_ended(stage: Stage) -> None:
    stage.enqueue(
        *(Job("flood", {}, priority=JobPriority.CRITICAL) for _ in range(400)),
        Job("flood", {}, priority=JobPriority.BACKGROUND),
    )
    firsts = Counter(next(iter(priorities(weighted=True))) for _ in range(2000))
    assert set(firsts) == set(JobPriority)
    assert firsts[JobPriority.CRITICAL] > 800, "20 of 38 on average"
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, "flood", worker=WORKER, now=now, limit=5, slots=5, priority=0)
    assert [job.priority for job in taken] == [0]


def test_a_worker_ends_after_so_many_jobs(stage: Stage, app: Handlers) -> None:
    jobs = stage.enqueue(*(Job("noop", {}) for _ in range(25)))
    report = stage.work(app, max_jobs=7, drain=False)
    assert report.completed == 7
    assert stage.status(*jobs).count("Completed") == 7
    assert stage.status(*jobs).count("Pending") == 18


def test_several_queues_are_served_in_turn(stage: Stage, app: Handlers) -> None:
    order = []
    for name in "ab":
        app.register_job(name, lambda job: order.append(job.queue))
    stage.enqueue(*(Job(name, {}) for name in "ab" for _ in range(30)))
    stage.work(app, concurrency=1)
    assert set(order[:25]) == {"a", "b"}


@all_databases
def test_many_workers_take_each_job_once(stage: Stage) -> None:
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def count(job: Job) -> None:
        with lock:
            counts[job.id] = counts.get(job.id, 0) + 1

    jobs = stage.enqueue(*(Job("count", {}) for _ in range(200)))

    def work() -> None:
        app = Handlers()
        app.register_job("count", count)
        Worker(stage.url, app, drain=True, poll_interval=0.05, concurrency=3).run()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert set(counts.values()) == {1}
    assert len(counts) == 200
    assert set(stage.status(*jobs)) == {"Completed"}


@all_databases
def test_a_worker_that_lost_its_claim_writes_nothing(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop", {}))
    now = stage.database.now() + timedelta(seconds=1)
    options = {"now": now, "limit": 1, "slots": 1}
    (first,) = claim.claim(stage.database, "noop", worker=WORKER, **options)
    stage.execute("UPDATE hammerwork_jobs SET status = 'Pending', started_at = NULL")
    (second,) = claim.claim(stage.database, "noop", worker=OTHER, **{**options, "now": now + timedelta(seconds=1)})
    for end in AttemptEnd:
        report = finish.finish(stage.database, [EndedAttempt(first, end, result="1", error="x", at=_at(end, now))], now)
        assert report.lost == {job.id}
    assert stage.one(job, "status, attempts, result_data") == ("Running", 2, None)
    assert not finish.finish(stage.database, [EndedAttempt(second, AttemptEnd.COMPLETED)], now).lost
    finish.store_results(stage.database, first.claim, [EndedAttempt(first, AttemptEnd.COMPLETED, result="1")], now)
    assert stage.one(job, "status, result_data") == ("Completed", None)


WORKER, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def _at(end: AttemptEnd, now: datetime) -> datetime | None:
    return now if end == AttemptEnd.RETRY else None


@all_databases
def test_a_worker_does_not_own_a_job_that_a_rust_worker_took_over_though_its_token_is_on_it(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop", {}))
    now = stage.database.now() + timedelta(seconds=1)
    (mine,) = claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=1, slots=1)
    # The original resets the job, takes it, and knows nothing of tokens.
    later = stage.database.json_timestamp(now + timedelta(seconds=5))
    stage.execute(f"UPDATE hammerwork_jobs SET started_at = '{later}'")
    assert finish.finish(stage.database, [EndedAttempt(mine, AttemptEnd.COMPLETED)], now).lost == {job.id}
    assert stage.one(job) == "Running"


@all_databases
def test_a_completion_that_is_written_twice_is_one(stage: Stage) -> None:
    stage.enqueue(Job("noop", {}), Job("noop", {}))
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=2, slots=2)
    for _ in range(2):
        report = finish.finish(
            stage.database, [EndedAttempt(job, AttemptEnd.COMPLETED, result="7") for job in taken], now
        )
        assert not report.lost


@all_databases
def test_jobs_of_a_lost_worker_come_back_alone_and_the_last_attempt_is_dead(stage: Stage) -> None:
    fresh, last = stage.enqueue(Job("noop", {}), Job("noop", {}).with_max_attempts(1))
    child = stage.enqueue(Job("noop", {}).depends_on(last))[0]
    _register(stage, WORKER)
    now = stage.database.now() + timedelta(seconds=1)
    assert len(claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=9, slots=9)) == 2
    (seen,) = registry.heartbeats(stage.database)
    registry.record_heartbeat(stage.database, WORKER, registry.HeartbeatReport())
    assert registry.rescue(stage.database, seen, now) is None
    assert stage.rescue() == [("w", 1, 1)]
    assert stage.rescue() == []
    assert registry.listed(stage.database)[0].state == "lost"
    assert stage.one(fresh, "status, attempts") == ("Pending", 1)
    assert stage.status(last, child) == ["Dead", "Failed"]
    assert "worker w was lost" in stage.one(last, "error_message")
    stage.enqueue(*(Job("noop", {}) for _ in range(3)))
    again = claim.claim(stage.database, "noop", worker=OTHER, now=now + timedelta(seconds=9), limit=9, slots=9)
    assert [job.id for job in again] == [fresh.id]


@all_databases
def test_a_recurring_job_comes_back_though_its_last_attempt_was_lost_with_its_worker(
    stage: Stage, app: Handlers
) -> None:
    daily, hourly, ending, once = stage.enqueue(
        Job("noop", {}, max_attempts=1).with_cron("0 0 3 * * *", "Europe/Oslo"),
        Job("noop", {}, max_attempts=1).with_cron("@hourly"),
        Job("noop", {}, max_attempts=1).with_cron("0 0 3 1 1 * 2037"),
        Job("noop", {}, max_attempts=1),
    )
    # Another program's: ours refuses what would wait for ever.
    child = Rows(stage.database).job(daily.id, queue="noop", status="Pending", dependency_status="waiting")
    stage.execute(
        "UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = created_at WHERE next_run_at IS NOT NULL"
    )
    # Its schedule has come to an end meanwhile.
    stage.execute(f"UPDATE hammerwork_jobs SET cron_schedule = '0 0 3 1 1 * 2020' WHERE id = '{ending.id}'")
    before = stage.timestamp(daily, "scheduled_at")
    assert _lose_worker(stage, jobs=4) == [("w", 2, 2)]
    for job in (daily, hourly):
        assert stage.one(job, "status, attempts, started_at, claim_losses") == ("Pending", 0, None, 1)
        assert stage.one(job, "claim_token, claimed_by, claimed_at") == (None, None, None)
        assert stage.timestamp(job, "scheduled_at") == stage.timestamp(job, "next_run_at") > before
        assert "worker w was lost" in stage.one(job, "error_message")
    assert stage.status(ending, once) == ["Dead", "Dead"]
    assert stage.one(child) == "Pending"
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE id = '{daily.id}'")
    assert stage.work(app).completed == 2
    assert stage.one(child) == "Completed"
    assert stage.one(daily, "status, error_message, claim_losses") == ("Pending", None, None)


def test_a_recurring_job_whose_next_run_cannot_be_stored_costs_its_neighbours_nothing_when_their_worker_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond, neighbour = stage.enqueue(
        *(Job("noop", {}, max_attempts=1).with_cron(f"0 0 3 1 1 * {year}") for year in (2037, 2036))
    )
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = created_at")
    # As MySQL, which knows no instant beyond 2038.
    monkeypatch.setattr(limits, "can_store", lambda database, at: at.year < 2037)  # noqa: ARG005
    assert _lose_worker(stage, jobs=2) == [("w", 1, 1)]
    assert stage.status(beyond, neighbour) == ["Dead", "Pending"]


@all_databases
def test_a_recurring_job_that_loses_its_worker_with_a_batch_uses_up_its_attempts_alone_and_comes_back(
    stage: Stage,
) -> None:
    poison = stage.enqueue(Job("noop", {}, max_attempts=2).with_cron("0 0 3 * * *"))[0]
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    neighbour = stage.enqueue(Job("noop", {}))[0]
    assert _lose_worker(stage, jobs=2) == [("w", 2, 0)]
    for job in (poison, neighbour):
        assert stage.one(job, "status, attempts, claim_losses") == ("Pending", 1, 1)
    assert _lose_worker(stage, jobs=1) == [("w", 1, 0)]
    assert stage.one(poison, "status, attempts, claim_losses") == ("Pending", 0, 2)
    assert stage.timestamp(poison, "next_run_at") > stage.database.now()
    assert stage.one(neighbour, "attempts") == 1


def _lose_worker(stage: Stage, jobs: int) -> list[tuple[str, int, int]]:
    """A worker takes jobs and is never heard of again: what became of them."""
    stage.execute("DELETE FROM hammerwork_workers")
    _register(stage, WORKER)
    now = stage.database.now() + timedelta(seconds=1)
    assert len(claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=9, slots=9)) == jobs
    return stage.rescue()


def _register(stage: Stage, worker: str, lease: float = 0.1) -> None:
    registry.register(
        stage.database,
        registry.Registration(worker, "w", "host", 1, "0", ("noop",), (), 1, lease),
    )


@all_databases
def test_a_worker_that_begins_forgets_those_that_ended_more_than_a_week_ago_and_hold_nothing(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MOST_FORGOTTEN", 3)
    stage.enqueue(Job("noop", {}))
    now = stage.database.now()
    ids = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(7)]
    for worker in ids:
        _register(stage, worker, lease=3600)
    claim.claim(stage.database, "noop", worker=ids[0], now=now + timedelta(seconds=1), limit=1, slots=1)
    for worker, days in zip(ids, (8, 6, None, 8, 9, 10, 11), strict=True):
        if days:
            ended = stage.database.json_timestamp(now - timedelta(days=days))
            stage.execute(f"UPDATE hammerwork_workers SET ended_at = '{ended}' WHERE id = '{worker}'")

    def forget() -> list[int]:
        registry.forget_ended(stage.database)
        known = {one.id for one in registry.listed(stage.database)} - {WORKER}
        return sorted(ids.index(worker) for worker in known)

    _register(stage, WORKER)
    assert forget() == [*range(7)]  # as far as it knows, its clock may have been put ahead just now
    begun = stage.database.json_timestamp(now - timedelta(minutes=2))
    stage.execute(f"UPDATE hammerwork_workers SET started_at = '{begun}' WHERE id = '{ids[2]}'")
    with monkeypatch.context() as patched:
        patched.setattr(type(stage.database), "now", lambda _: now + timedelta(days=3650))
        assert forget() == [*range(7)]
    assert forget() == [0, 1, 2, 3]
    assert forget() == [0, 1, 2]


@all_databases
def test_a_job_that_was_claimed_and_not_begun_gets_its_attempt_back(stage: Stage) -> None:
    (job,) = stage.enqueue(Job("noop", {}))
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=1, slots=1)
    assert stage.one(job, "status, attempts") == ("Running", 1)
    assert finish.give_back(stage.database, taken) == 1
    assert stage.one(job, "status, attempts, claim_token") == ("Pending", 0, None)


@all_databases
def test_a_last_attempt_is_claimed_only_for_a_free_slot(stage: Stage) -> None:
    stage.enqueue(*(Job("noop", {}).with_max_attempts(1) for _ in range(5)))
    now = stage.database.now() + timedelta(seconds=1)
    assert claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=5, slots=0) == []
    assert len(claim.claim(stage.database, "noop", worker=WORKER, now=now, limit=5, slots=2)) == 2


def test_jobs_that_other_programs_left_waiting_are_released(stage: Stage, app: Handlers) -> None:
    parent, child = Job("noop", {}), Job("noop", {})
    stage.enqueue(parent, child.depends_on(parent))
    stage.execute(
        f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at WHERE id = '{parent.id}'"
    )
    worker = Worker(stage.queue, app, poll_interval=0.05, max_jobs=1)
    watchdog = threading.Timer(30, worker.stop)
    watchdog.start()
    worker.run()
    watchdog.cancel()
    assert stage.one(child) == "Completed"


def test_a_join_is_released_by_the_last_of_its_parents_and_chains_run_in_order(stage: Stage, app: Handlers) -> None:
    order = []

    @app.job("step")
    def step(job: Job) -> None:
        order.append(job.payload)

    first, second = Job("step", 1), Job("step", 2)
    third = Job("step", 3).depends_on(first, second)
    fourth = Job("step", 4).depends_on(third)
    stage.enqueue(fourth, third, second, first)
    stage.work(app)
    assert sorted(order[:2]) == [1, 2]
    assert order[2:] == [3, 4]


@mariadb_too
def test_two_parents_that_end_at_once_release_their_join(stage: Stage) -> None:
    pairs = [(Job("side", {}), Job("side", {})) for _ in range(20)]
    joins = [Job("join", {}).depends_on(*pair) for pair in pairs]
    stage.enqueue(*(job for pair in pairs for job in pair), *joins)
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, "side", worker=WORKER, now=now, limit=99, slots=99)
    by_id = {job.id: EndedAttempt(job, AttemptEnd.COMPLETED) for job in taken}
    barrier = threading.Barrier(2)
    released: list[int] = []

    def end(side: int) -> None:
        with contextlib.closing(connect(stage.url)) as database:
            for pair in pairs:
                barrier.wait(20)
                report = finish.finish(database, [by_id[pair[side].id]], now)
                released.append(report.released.get("join", 0))

    threads = [threading.Thread(target=end, args=(side,)) for side in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(released) == 20
    assert {row[0] for row in stage.rows("dependency_status", "queue_name = 'join'")} == {"satisfied"}


@mariadb_too
def test_jobs_that_depend_on_a_failed_job_follow_the_policy_of_its_workflow(stage: Stage, app: Handlers) -> None:
    expected = {
        "fail_fast": "Failed",
        "continue_on_failure": "Failed",
        "ignore_failures": "Completed",
        "manual": "Pending",
    }

    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise ValueError

    of = {}
    for policy in expected:
        workflow = str(uuid4())
        stored, metadata = ("manual", IGNORING) if policy == "ignore_failures" else (policy, "{}")
        stage.execute(
            "INSERT INTO hammerwork_workflows (id, name, created_at, status, failure_policy, metadata)"
            f" VALUES ('{workflow}', 'w', '2026-11-24 00:00:00', 'running', '{stored}', '{metadata}')"
        )
        parent = Job("bad", {}).with_workflow(workflow).with_max_attempts(1)
        of[policy] = parent, Job("noop", {}).with_workflow(workflow).depends_on(parent)
        stage.enqueue(*of[policy])
    stage.work(app)
    assert {policy: stage.status(*jobs) for policy, jobs in of.items()} == {
        policy: ["Dead", status] for policy, status in expected.items()
    }


def test_without_a_workflow_what_depends_on_a_dead_job_fails_and_names_it(stage: Stage, app: Handlers) -> None:
    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise ValueError

    parent = Job("bad", {}).with_max_attempts(1)
    child = Job("noop", {}).depends_on(parent)
    grandchild = Job("noop", {}).depends_on(child)
    stage.enqueue(parent, child, grandchild)
    stage.work(app)
    assert stage.status(parent, child, grandchild) == ["Dead", "Failed", "Failed"]
    assert parent.id in stage.one(child, "error_message")


@all_databases
def test_a_worker_stops_when_it_is_asked_in_the_database(stage: Stage, app: Handlers) -> None:
    worker = Worker(stage.url, app, lease=0.6, poll_interval=0.05, name="here")
    thread = threading.Thread(target=worker.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not registry.listed(stage.database, alive=True):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = registry.resolve(stage.database, "here")
    assert (found.state, found.queue_names, found.concurrency) == ("running", ("noop",), 4)
    registry.ask(stage.database, found, "stop", "test")
    thread.join(20)
    assert not thread.is_alive()
    assert registry.resolve(stage.database, "here").state == "stopped"


def test_a_worker_that_ends_at_once_gives_its_jobs_back(stage: Stage, app: Handlers) -> None:
    running, go = threading.Event(), threading.Event()

    @app.job("long")
    def long(job: Job) -> None:
        running.set()
        go.wait(30)

    jobs = stage.enqueue(*(Job("long", {}) for _ in range(3)))
    worker = Worker(stage.url, app, concurrency=1, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert running.wait(20)
    worker.stop(now=True)
    thread.join(20)
    go.set()
    assert not thread.is_alive()
    assert set(stage.status(*jobs)) == {"Pending"}
    assert sum(row[0] for row in stage.rows("attempts")) == 0


def test_without_our_tables_a_worker_says_what_to_do(empty_database: Database, app: Handlers) -> None:
    with pytest.raises(MissingTablesError):
        Worker(empty_database.url, app).run()


@pytest.mark.postgres
def test_a_worker_warns_of_strategies_that_version_3_cannot_read_where_it_uses_the_database(
    postgres_url: str, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(connect(postgres_url)) as database:
        migrations.run(database)
        database.script("ALTER TABLE hammerwork_jobs ALTER COLUMN retry_strategy TYPE TEXT")
        Worker(database.url, app, drain=True).run()
        assert "cannot read its column retry_strategy" not in caplog.text
        Migrator(database).run()
        Worker(database.url, app, drain=True).run()
        assert "cannot read its column retry_strategy, which is TEXT" in caplog.text


@mariadb_too
def test_a_worker_names_a_table_that_is_gone_although_its_migration_is_recorded(
    database: Database, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    database.script("DROP TABLE hammerwork_key_audit_log")  # nothing of a worker needs it
    Worker(database.url, app, drain=True).run()
    assert "table hammerwork_key_audit_log" in caplog.text
    database.script("DELETE FROM hammerwork_migrations WHERE migration_id = '014_add_queue_pause'")
    Worker(database.url, app, drain=True).run()
    assert "Migration 014_add_queue_pause was interrupted" in caplog.text
    database.script("DROP TABLE hammerwork_duties")
    database.script("ALTER TABLE hammerwork_schedules DROP COLUMN declared")
    with pytest.raises(MissingTablesError) as refused:
        Worker(database.url, app, drain=True).run()
    assert "table hammerwork_duties, column hammerwork_schedules.declared" in refused.value.message
    assert refused.value.hint == "Run: hammerwork migration run"
    migrations.run(database)
    Worker(database.url, app, drain=True).run()


def test_a_worker_without_a_queue_says_so(sqlite_url: str) -> None:
    with pytest.raises(UsageError):
        Worker(sqlite_url, Handlers()).run()
    with pytest.raises(UsageError):
        Worker(sqlite_url, Handlers(), concurrency=0)


@pytest.mark.postgres
def test_on_postgresql_an_idle_worker_hears_of_a_new_job(new_database: object, app: Handlers) -> None:
    stage = Stage(new_database("postgres", migrated=True))  # type: ignore[operator]
    worker = Worker(stage.url, app, poll_interval=600)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    for number in range(20):
        stage.queue.enqueue(Job("noop", {}))
        _wait(lambda number=number: worker.completed > number)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
    stage.close()


def _wait(holds: object) -> None:
    deadline = time.monotonic() + 20
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
