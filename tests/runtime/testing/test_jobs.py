"""Jobs in tests of an application: draining queues, moving the time, and asserting what is enqueued."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import (
    Cancel,
    Compressed,
    Discard,
    Handlers,
    Job,
    Queue,
    Snooze,
    SpawnConfig,
    SpawnContext,
    UsageError,
    Workflow,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.testing import DrainReport, Jobs, clear
from tests.conftest import all_databases
from tests.runtime.conftest import mariadb_too

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def lite_jobs(lite_url: str) -> Iterator[Jobs]:
    """On SQLite, for what no database has a part in."""
    with Jobs(lite_url) as jobs:
        yield jobs


class App(Handlers):
    """Handlers that note what they were called with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        for queue in ("mail", "report", "done"):
            self.register_job(queue, lambda job: self.seen.append((job.queue, job.payload)))

    def named(self, queue: str) -> list[Any]:
        return [payload for name, payload in self.seen if name == queue]


@pytest.fixture
def app() -> App:
    return App()


def fails(job: Job) -> int:
    if job.attempts < 3:
        raise OSError("busy")
    return job.attempts


# Draining.


def test_a_drain_runs_children_retries_joins_and_callbacks_of_all(migrated_url: str, app: App) -> None:
    app.register_job("flaky", fails)

    @app.job("album")
    def album(job: Job, context: SpawnContext) -> None:
        context.after_all(Job("joined"))
        context.spawn(Job("flaky"), key="1")
        context.spawn(Job("mail"), key="2")
        context.queue.enqueue(Job("report", "from a handler"))

    @app.job("joined")
    def joined(job: Job, context: SpawnContext) -> list[Any]:
        return sorted(context.results().values(), key=str)

    # The tree of a job with a configuration would wait for programs that may still spawn.
    config = SpawnConfig(max_spawn_count=9)
    with Jobs(migrated_url) as jobs:
        top = jobs.queue.enqueue(
            Job("album", {}).with_spawn_config(config).with_callbacks(on_success=Job("done"), on_failure=Job("done"))
        )
        jobs.queue.enqueue_batch("two", [Job("mail"), Job("flaky")], on_complete=Job("done", {"two": 2}))
        jobs.queue.enqueue(Job("nobody's"))
        report = jobs.drain(app)
        assert report == DrainReport(completed=9, failed=4, later=0)
        results = [child.result for child in jobs.queue.children(top) if child.queue == "joined"]
        assert results == [[3, None]]
        assert {*app.named("report")} == {"from a handler"}
        ended = [(payload["_ended"]["subject"], payload["_ended"]["event"]) for payload in app.named("done")]
        assert sorted(ended) == [("batch", "complete"), ("tree", "success")]
        assert [job.queue for job in jobs.enqueued()] == ["nobody's"]


def test_a_drain_ends_workflows_and_fails_what_they_fail(migrated_url: str, app: App) -> None:
    app.register_job("breaks", lambda _: (_ for _ in ()).throw(Discard("broken")))
    workflow = Workflow("import", failure_policy="fail_fast", on_failure=Job("done"))
    workflow.add("first", Job("breaks"))
    workflow.add("other", Job("mail", delay=HOUR))
    with Jobs(migrated_url) as jobs:
        made = jobs.queue.enqueue_workflow(workflow)
        jobs.drain(app)
        assert [payload["_ended"]["event"] for payload in app.named("done")] == ["failure"]
        assert jobs.queue.get(made["other"]).status == "Failed"


def test_without_retry_at_once_the_next_attempt_is_due_after_its_pause(lite_jobs: Jobs, app: App) -> None:
    app.register_job("flaky", fails, retry=lambda _, __: HOUR)
    job = lite_jobs.queue.enqueue(Job("flaky"))
    began = time.monotonic()
    assert lite_jobs.drain(app, retry_at_once=False) == DrainReport(completed=0, failed=1, later=1)
    lite_jobs.advance(HOUR - timedelta(minutes=1))
    assert lite_jobs.drain(app, retry_at_once=False) == DrainReport(completed=0, failed=0, later=1)
    lite_jobs.advance(timedelta(minutes=2))
    assert lite_jobs.drain(app) == DrainReport(completed=1, failed=1, later=0)
    assert lite_jobs.queue.get(job).result == 3
    assert time.monotonic() - began < 30


def test_a_report_has_the_errors_of_failed_attempts(lite_jobs: Jobs, app: App) -> None:
    app.register_job("flaky", fails)
    app.register_job("slow", lambda _: time.sleep(1.5))
    app.register_job("cancels", lambda _: (_ for _ in ()).throw(Cancel("not needed")))
    app.register_handler("parent", lambda _: [1 / 0])
    slow = Job("slow", timeout=timedelta(seconds=1), max_attempts=1)
    lite_jobs.queue.enqueue_many([Job("flaky"), Job("parent", max_attempts=1), Job("cancels"), slow])
    report = lite_jobs.drain(app, concurrency=4)
    kinds = [OSError, OSError, TimeoutError, ZeroDivisionError]
    assert sorted(map(type, report.errors), key=str) == sorted(kinds, key=str)
    assert all(error.__traceback__ for error in report.errors if not isinstance(error, TimeoutError))


def test_a_snoozed_job_stays_until_the_time_moves(lite_jobs: Jobs, app: App) -> None:
    ready: list[int] = []

    @app.job("poll")
    def poll(job: Job) -> None:
        if not ready:
            raise Snooze(HOUR)

    lite_jobs.queue.enqueue(Job("poll"))
    assert lite_jobs.drain(app).later == 1
    ready.append(1)
    lite_jobs.advance(HOUR)
    assert lite_jobs.drain(app).completed == 1


def test_a_drain_warns_of_no_events_that_nobody_sends(
    lite_jobs: Jobs, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream(new_id(), "lake", Backend.COMMAND, {"command": ["cat"]}, events=(EventType.JOB_COMPLETED,))
    with closing(connect(lite_jobs.queue.url)) as database:
        streams.add(database, stream, by="ada", now=database.now())
    lite_jobs.queue.enqueue(Job("mail"))
    assert lite_jobs.drain(app).completed == 1
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_drain_serves_only_the_queues_that_it_is_given(lite_jobs: Jobs, app: App) -> None:
    lite_jobs.queue.enqueue_many([Job("mail"), Job("report")])
    assert lite_jobs.drain(app, queues=["mail"]).completed == 1
    assert [job.queue for job in lite_jobs.enqueued()] == ["report"]


def test_a_drain_uses_fakes_and_no_limits_of_the_application(lite_jobs: Jobs, app: App) -> None:
    @app.resource
    def pool() -> Iterator[str]:
        yield "real"

    @app.job("api")
    def api(job: Job, context: SpawnContext) -> str:
        return context.use(pool)

    app.limit("api", rate="1/h")
    made = lite_jobs.queue.enqueue_many([Job("api"), Job("api")])
    lite_jobs.drain(app, use={pool: "fake"})
    assert [lite_jobs.queue.get(job).result for job in made] == ["fake", "fake"]


def test_a_drain_of_jobs_that_enqueue_each_other_for_ever_ends(lite_jobs: Jobs, app: App) -> None:
    app.register_job("again", lambda _, context: context.queue.enqueue(Job("again")))
    lite_jobs.queue.enqueue(Job("again"))
    with pytest.raises(UsageError, match=r"has run 20 jobs, and others are due in: again\."):
        lite_jobs.drain(app, max_jobs=20)


def test_a_callback_that_cannot_fire_fails_the_test(lite_jobs: Jobs, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise OSError("no callback")

    monkeypatch.setattr(callbacks, "fire", broken)
    lite_jobs.queue.enqueue(Job("mail").with_callbacks(on_complete=Job("done")))
    with pytest.raises(OSError, match="no callback"):
        lite_jobs.drain(app)


class TimeIsUpError(BaseException):
    """The time limit of a test."""


def test_a_time_limit_of_the_test_ends_a_drain(lite_jobs: Jobs, app: App) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @app.job("hangs")
    def hangs(job: Job) -> None:
        begun.set()
        go_on.wait(60)

    def end(*_: object) -> None:
        raise TimeIsUpError

    def limit() -> None:
        begun.wait(30)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    lite_jobs.queue.enqueue(Job("hangs"))
    before = signal.signal(signal.SIGALRM, end)
    thread = threading.Thread(target=limit)
    thread.start()
    try:
        with pytest.raises(TimeIsUpError):
            lite_jobs.drain(app)
    finally:
        signal.signal(signal.SIGALRM, before)
        go_on.set()
        thread.join()


def test_a_drain_of_one_job_takes_well_under_a_third_of_a_second(lite_jobs: Jobs, app: App) -> None:
    took = []
    for _ in range(5):
        lite_jobs.queue.enqueue(Job("mail"))
        began = time.perf_counter()
        lite_jobs.drain(app)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.15


# Moving the time.


def test_jobs_for_later_become_due_and_handlers_see_the_moved_time(migrated_url: str, app: App) -> None:
    @app.job("later")
    def later(job: Job, context: SpawnContext) -> None:
        context.queue.enqueue(Job("mail", delay=HOUR))

    with Jobs(migrated_url) as jobs:
        began = jobs.now
        assert abs(began - datetime.now(UTC)) < timedelta(minutes=5)
        jobs.queue.enqueue(Job("later", delay=DAY))
        assert jobs.drain(app) == DrainReport(0, 0, 1)
        assert jobs.advance(DAY) == []
        assert DAY <= jobs.now - began < DAY + HOUR
        assert jobs.drain(app) == DrainReport(1, 0, 1)
        assert jobs.assert_enqueued("mail").scheduled_at - began > DAY  # type: ignore[operator]
        jobs.advance(HOUR)
        assert jobs.drain(app) == DrainReport(1, 0, 0)


def test_a_recurring_job_runs_once_for_each_of_its_times(lite_jobs: Jobs, app: App) -> None:
    job = lite_jobs.queue.enqueue(Job("mail").with_cron("0 30 2 * * *"))
    lite_jobs.drain(app)
    for runs in (1, 2, 3):
        lite_jobs.advance(DAY)
        lite_jobs.drain(app)
        assert (len(app.named("mail")), lite_jobs.queue.get(job).status) == (runs, "Pending")


def test_schedules_enqueue_a_job_for_each_due_time_as_they_say(migrated_url: str, app: App) -> None:
    times: list[datetime | None] = []
    with Jobs(migrated_url) as jobs:
        first = (jobs.now + 3 * HOUR).replace(microsecond=0)

        @app.cron(6 * HOUR, overlap="allow", starts=first)
        def six(job: Job, context: SpawnContext) -> None:
            times.append(context.scheduled_for)

        app.schedule("skips", 6 * HOUR, Job("mail"), starts=first)
        made = jobs.advance(DAY, app)
        assert [job.queue for job in made].count("six") == 4
        # Nothing ran meanwhile, so that the later ones found the first one open.
        assert [job.queue for job in made].count("mail") == 1
        jobs.drain(app)
        assert times == [first + number * 6 * HOUR for number in range(4)]
        for _ in range(4):
            jobs.advance(6 * HOUR)  # the database has the schedules by now
            jobs.drain(app)
        assert (len(times), len(app.named("mail"))) == (8, 5)


@pytest.mark.parametrize(("catch_up", "number"), [("last", 1), ("none", 0), ("all", 24)])
def test_after_an_outage_a_schedule_catches_up_as_it_says(
    lite_jobs: Jobs, app: App, catch_up: Any, number: int
) -> None:
    start = lite_jobs.now.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=90)
    app.schedule("hourly", HOUR, Job("mail"), catch_up=catch_up, overlap="allow", starts=start)
    end = start + 23 * HOUR + timedelta(minutes=30)
    assert len(lite_jobs.advance(end - lite_jobs.now, app, outage=True)) == number


def test_a_step_of_the_time_with_too_many_runs_writes_nothing(lite_jobs: Jobs, app: App) -> None:
    app.schedule("often", timedelta(seconds=1), Job("mail"), overlap="allow")
    began = lite_jobs.now
    with pytest.raises(UsageError, match=r"due \d\d,\d\d\d times within .*; at most 10,000"):
        lite_jobs.advance(3 * HOUR + HOUR, app)
    assert (lite_jobs.enqueued(), lite_jobs.now - began < HOUR) == ([], True)
    for wrong in (-HOUR, 5):
        with pytest.raises(UsageError, match="period must be a timedelta"):
            lite_jobs.advance(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="advance takes the Handlers"):
        lite_jobs.advance(HOUR, app.seen)  # type: ignore[arg-type]


# What is enqueued.


@pytest.fixture
def three(lite_jobs: Jobs) -> Jobs:
    lite_jobs.queue.enqueue(Job("mail", {"to": "ada", "parts": {"text": "Hi", "html": None}}))
    lite_jobs.queue.enqueue(Job("mail", {"to": "bob"}, priority="high", delay=HOUR))
    lite_jobs.queue.enqueue(Job("report", [1, "\x1b[2J"]))
    return lite_jobs


def test_waiting_jobs_are_found_by_a_part_of_their_payload_and_by_their_values(three: Jobs, app: App) -> None:
    def found(*args: Any, **others: Any) -> list[Any]:
        return [job.payload["to"] if job.queue == "mail" else "report" for job in three.enqueued(*args, **others)]

    assert found() == ["ada", "bob", "report"]
    assert found("mail") == ["ada", "bob"]
    assert found("mail", {"parts": {"text": "Hi"}}) == ["ada"]
    assert found("mail", {"parts": {"text": "Ho"}}) == found("mail", {"cc": None}) == []
    assert found(payload=(1, "\x1b[2J")) == ["report"]
    assert found(priority="high") == found(delay=HOUR) == ["bob"]
    assert found(delay=timedelta(0), status="Pending") == ["ada", "report"]
    three.drain(app)
    assert found() == ["bob"]


def test_an_assertion_returns_the_first_job_that_is_like_this(three: Jobs) -> None:
    assert three.assert_enqueued("mail", {"to": "bob"}).payload == {"to": "bob"}
    assert three.assert_enqueued("mail", count=2).payload["to"] == "ada"
    three.refute_enqueued("mail", {"to": "eve"})


def test_a_failed_assertion_lists_what_is_enqueued(three: Jobs) -> None:
    with pytest.raises(AssertionError) as failed:
        three.assert_enqueued("mail", {"to": "eve"}, max_attempts=5)
    assert str(failed.value).startswith(
        'No job is enqueued that is like this: mail {"to": "eve"} max_attempts=5\nEnqueued:\n'
    )
    assert '  mail {"to": "bob"} Pending, due in ' in str(failed.value)
    assert "\x1b" not in str(failed.value)
    with pytest.raises(AssertionError, match=r"2 jobs, not 3, are enqueued that are like this: mail\n"):
        three.assert_enqueued("mail", count=3)
    with pytest.raises(AssertionError, match=r"1 job is enqueued that is like this: report\n"):
        three.refute_enqueued("report")


def test_jobs_cannot_be_compared_by_what_they_do_not_have(lite_jobs: Jobs) -> None:
    for wrong, said in (
        ({"topic": "mail"}, "'topic', but by: queue, payload, priority"),
        ({"priority": "hig"}, "priority"),
        ({"delay": 3}, "delay must be a timedelta"),
    ):
        with pytest.raises(UsageError, match=said):
            lite_jobs.enqueued("mail", **wrong)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="Nothing is enqueued"):
        lite_jobs.assert_enqueued()


# The database.


def test_a_database_in_memory_needs_no_url(app: App) -> None:
    with Jobs() as jobs:
        jobs.queue.enqueue(Job("mail"))
        assert jobs.drain(app).completed == 1
        path = jobs.queue.url.path
    assert path is not None
    assert not path.parent.exists()


def test_a_database_without_tables_gets_them_and_is_empty_again(url: str, app: App) -> None:
    for _ in range(2):
        with Jobs(url) as jobs:
            assert jobs.enqueued() == []
            jobs.queue.enqueue_many([Job("mail"), Job("mail", delay=HOUR)])
            jobs.queue.pause("mail", "a test")
            jobs.advance(DAY, app)
    with closing(connect(url)) as database:
        tables = [table for table in database.schema if table != "hammerwork_migrations"]
        assert {table: database.query(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables} == dict.fromkeys(
            tables, 0
        )


@all_databases
def test_a_database_with_a_job_that_no_test_wrote_is_refused_and_keeps_it(migrated_url: str) -> None:
    with Queue(migrated_url) as queue:
        kept = queue.enqueue(Job("mail"))
        with pytest.raises(UsageError, match="hammerwork_jobs has 1 row that no test wrote"):
            Jobs(migrated_url)
        assert queue.get(kept).status == "Pending"
        with closing(connect(migrated_url)) as database:
            assert duties.times(database) == {}


def test_a_database_that_workers_serve_is_refused_although_it_has_no_job(lite_url: str) -> None:
    with closing(connect(lite_url)) as database:
        duties.take(database, "workflows", new_id(), seen=None, until=database.now())
        with pytest.raises(UsageError, match="hammerwork_duties has 1 row that no test wrote"):
            Jobs(lite_url)
        assert [*duties.times(database)] == ["workflows"]


@mariadb_too
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_leftovers_of_a_killed_test_is_deleted_only_by_word(migrated_url: str) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Jobs(migrated_url).queue.enqueue(Job("mail"))
            code = 9
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with Queue(migrated_url) as queue:
        assert [job.queue for job in queue.jobs()] == ["mail"]
    with pytest.raises(UsageError, match=r"A test that was killed has left rows in hammerwork_jobs of "):
        Jobs(migrated_url)
    with Queue(migrated_url) as queue:
        assert len(list(queue.jobs())) == 1
    clear(migrated_url)
    with Jobs(migrated_url) as jobs:
        assert jobs.enqueued() == []


@all_databases
def test_a_test_waits_for_another_one_that_has_the_database(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Jobs(migrated_url)
    first.queue.enqueue(Job("mail"))
    second: list[Jobs] = []
    thread = threading.Thread(target=lambda: second.append(Jobs(migrated_url)))
    thread.start()
    thread.join(0.3)
    assert (second, len(first.enqueued())) == ([], 1)
    first.close()
    thread.join(30)
    assert second[0].enqueued() == []
    monkeypatch.setattr("hammerwork_cli.testing.databases.WAIT_SECONDS", 0.1)
    with pytest.raises(UsageError, match=r"Another test has used .* for 0\.1 s"):
        Jobs(migrated_url)
    second[0].close()


@pytest.mark.sqlite
def test_the_queue_of_a_test_reads_what_the_codecs_of_an_application_have_written() -> None:
    app = Handlers()
    app.codec("long", Compressed())
    app.register_job("long", lambda job: job.payload * 2)
    with Jobs(codecs=app.codecs) as jobs:
        job = jobs.queue.enqueue(Job("long", "word " * 1000))
        assert jobs.drain(app).completed == 1
        assert jobs.queue.get(job).result == "word " * 2000
