"""Callbacks at the end of batches and trees: each once, none early, whoever looks and whoever is killed."""

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, UsageError, Worker, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import RefusedValueError, RetryableError
from hammerwork_cli.features.batch.model import NewBatch
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.batch.queries import enqueue as batches
from hammerwork_cli.features.callbacks.model import ENDED_KEY, Callback, Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.runtime.worker.upkeep import endings
from tests.conftest import Outcome, all_databases
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.worker.test_upkeep import keepers

Run = Callable[..., Outcome]
KILLS = 3
SEED = 14
DEATHS = 4
"""A keeper dies the first times that it fires, and at random later."""
CALLBACKS = {event: Job(f"on {event}", {"text": "'\";\\ %s"}) for event in ("complete", "success", "failure")}
ON = {f"on_{event}": job for event, job in CALLBACKS.items()}


def now() -> datetime:
    return datetime.now(UTC)


def told(stage: Stage, subject: str, of: str) -> dict[str, Callback]:
    """Event -> the callback of a batch or a tree."""
    return {callback.event: callback for callback in callbacks_of(stage.database, Subject(subject), of)}


class DiedError(Exception):
    """A keeper was killed here."""


class World:
    """Batches and trees whose jobs end at random, and keepers that look at them and die in the middle of firing.

    The jobs of a batch or tree share a ``correlation_id``, so that what has ended is known without the code under test.
    """

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = stage
        self.random = random.Random(SEED)
        self.subjects: dict[str, tuple[str, str]] = {}  # correlation id -> subject, its id
        self.early: list[str] = []
        self.ended: Counter[str] = Counter()
        self.may_fail = True
        self.deaths = 0
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        monkeypatch.setattr(callbacks, "LEASE", timedelta(seconds=0.2))
        monkeypatch.setattr(callbacks, "SHORTEST", timedelta(seconds=0.01))
        monkeypatch.setattr(callbacks, "LONGEST", timedelta(seconds=0.05))
        monkeypatch.setattr(callbacks, "RARELY", timedelta(seconds=0.05))
        self._insert = enqueue.insert
        monkeypatch.setattr(callbacks.enqueue, "insert", self.checked)
        for number in (0, 2):  # the one completes, the other fails
            tag = f"batch {number}"
            made = stage.queue.enqueue_batch(tag, [Job("work", correlation_id=tag) for _ in range(5)], **ON)
            self.subjects[tag] = ("batch", made.id)
            tag = f"tree {number}"
            top = stage.queue.enqueue(Job("work", correlation_id=tag).with_callbacks(**ON))
            self.subjects[tag] = ("tree", top.id)

    def states(self, database: Database, tag: str) -> list[str]:
        rows = database.query(f"SELECT status FROM hammerwork_jobs WHERE correlation_id = '{tag}'")
        return [str(status) for (status,) in rows]

    def checked(self, database: Database, jobs: Any) -> int:
        """Inserts jobs. Those of a callback are compared with the world first, in the transaction that fires."""
        written = self._insert(database, jobs)
        for job in jobs:
            if job.queue.startswith("on "):
                [(subject_id,)] = database.query(f"SELECT subject_id FROM hammerwork_watches WHERE id = '{job.id}'")
                tag = next(tag for tag, (_, of) in self.subjects.items() if of == str(subject_id))
                states = self.states(database, tag)
                wanted = {
                    "on complete": not {"Pending", "Running"} & {*states},
                    "on success": {*states} == {"Completed"},
                    "on failure": "Dead" in states,
                }
                if not wanted[job.queue]:
                    self.early.append(f"{job.queue} of {tag}: {states}")
                mortal = threading.current_thread().name == "mortal"
                if mortal and (self.deaths < DEATHS or random.random() < 0.4):
                    self.deaths += 1
                    raise DiedError
        return written

    def keep(self) -> None:
        """Looks at callbacks as a worker does, and goes on after each death with a new connection."""
        while not self.over.is_set():
            try:
                with closing(connect(self.stage.url)) as database:
                    self._look(database)
            except (DiedError, RetryableError):
                continue
            except BaseException as error:
                self.errors.append(error)
                raise

    def _look(self, database: Database) -> None:
        while not self.over.is_set():
            found = callbacks.upcoming(database, now(), 100)
            of = {callback.subject_id for callback in found[:1]}
            for _, problem in callbacks.look(database, [one for one in found if one.subject_id in of], now):
                if problem is not None:
                    raise problem
            time.sleep(0.01)

    def end_jobs(self) -> None:
        """Ends the jobs one by one. A job of a tree has children in the transaction that completes it."""
        with closing(connect(self.stage.url)) as database:
            while rows := database.query(
                "SELECT id, correlation_id FROM hammerwork_jobs WHERE status = 'Pending' AND queue_name = 'work'"
            ):
                job, tag = self.random.choice(rows)
                self.ended[tag] += 1
                by_chance = self.random.random() < 0.1 and not tag.endswith("0")
                always = tag.endswith("2") and self.ended[tag] == 3  # so that there is one
                fails = self.may_fail and (by_chance or always)
                database.transaction(lambda job=job, tag=tag, fails=fails: self._end(database, job, tag, fails))
                time.sleep(0.01)

    def _end(self, database: Database, job: Any, tag: str, fails: bool) -> None:
        status, column = ("Dead", "failed_at") if fails else ("Completed", "completed_at")
        at = f"{now():%Y-%m-%dT%H:%M:%S.%f}{'' if database.dialect == 'mysql' else 'Z'}"
        database._execute(f"UPDATE hammerwork_jobs SET status = '{status}', {column} = '{at}' WHERE id = '{job}'", [])
        if tag.startswith("tree") and not fails and len(self.states(database, tag)) < 12:
            children = [Job("work", correlation_id=tag).depends_on(str(job))._new_job(now()) for _ in range(2)]
            for child in children:
                child.dependency_status = "satisfied"
            self._insert(database, children)

    def until(self, is_so: Callable[[], bool]) -> None:
        until(lambda: is_so() or self.errors)
        assert not self.errors, self.errors


@all_databases
def test_each_callback_is_enqueued_once_and_none_early_whoever_dies(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(stage, monkeypatch)
    mortals = [threading.Thread(target=world.keep, name="mortal", daemon=True) for _ in range(3)]
    for one in mortals:
        one.start()
    try:
        world.end_jobs()

        def fired(tag: str) -> dict[str, str]:
            return {event: callback.state for event, callback in told(stage, *world.subjects[tag]).items()}

        failed = {tag for tag in world.subjects if "Dead" in world.states(stage.database, tag)}
        assert failed
        assert len(failed) < len(world.subjects)
        for tag in world.subjects:
            expected = {"complete": "fired", "failure": "over", "success": "fired"}
            if tag in failed:
                expected |= {"failure": "fired", "success": "open"}
            world.until(lambda tag=tag, expected=expected: fired(tag) == expected)  # type: ignore[misc]
        # Somebody retries: success comes later, and nothing comes again.
        stage.execute("UPDATE hammerwork_jobs SET status = 'Pending' WHERE status = 'Dead'")
        world.may_fail = False
        world.end_jobs()
        for tag in failed:
            world.until(lambda tag=tag: fired(tag)["success"] == "fired")  # type: ignore[misc]
    finally:
        world.over.set()
        for one in mortals:
            one.join(60)
    assert world.early == []
    assert world.deaths >= DEATHS
    made = sorted(str(job) for (job,) in stage.rows("id", "queue_name LIKE 'on %'"))
    fired_ones = [callback.id for tag in world.subjects for callback in told(stage, *world.subjects[tag]).values()]
    expected_jobs = sorted(
        callback.id
        for tag in world.subjects
        for callback in told(stage, *world.subjects[tag]).values()
        if callback.state == "fired"
    )
    assert made == expected_jobs
    assert len(fired_ones) == 3 * len(world.subjects)


def test_workers_that_are_killed_again_and_again_tell_each_end_once(stage: Stage) -> None:
    app = Handlers()

    @app.job("letter")
    @app.job("work")
    def work(job: Job) -> None:
        time.sleep(0.01)
        if job.payload.get("fails"):
            raise ValueError("it failed")

    @app.spawn("work")
    def spawn(context: Any) -> Any:
        left = context.parent_job.payload["levels"]
        return [Job("work", {"levels": left - 1}) for _ in range(2)] if left else []

    tops = [stage.queue.enqueue(Job("work", {"levels": levels}).with_callbacks(**ON)) for levels in (0, 2, 4)]
    batch = stage.queue.enqueue_batch(
        "letters", [Job("letter", {"fails": number == 3}, max_attempts=1) for number in range(20)], **ON
    )
    worker = Worker(stage.url, handlers=app, poll_interval=0.05, concurrency=4, upkeep=False)
    running = threading.Thread(target=worker.run, daemon=True)
    running.start()
    with contextlib.ExitStack() as ending:
        ending.callback(running.join, 60)
        ending.callback(worker.stop)
        replace = ending.enter_context(keepers(stage.url))
        for number in range(KILLS):
            time.sleep(0.4 + 0.15 * number)
            replace(number)
        ended = {"complete": "fired", "failure": "over", "success": "fired"}

        def states(subject: str, of: str) -> dict[str, str]:
            # A keeper that was killed while it counted has a lease of a minute, which its server may write after its
            # death, and one that counted for long on a busy machine pauses as long.
            hurry = "UPDATE hammerwork_watches SET check_at = created_at WHERE state = 'open'"
            stage.database.transaction(lambda: stage.database._execute(hurry, []))
            time.sleep(0.3)
            return {event: callback.state for event, callback in told(stage, subject, of).items()}

        for top in tops:
            until(lambda top=top: states("tree", top.id) == ended)  # type: ignore[misc]
        until(lambda: states("batch", batch.id) == {"complete": "fired", "failure": "fired", "success": "open"})
    made = [str(job) for (job,) in stage.rows("id", "queue_name LIKE 'on %'")]
    watched = [*(told(stage, "tree", top.id) for top in tops), told(stage, "batch", batch.id)]
    fired = [callback for found in watched for callback in found.values() if callback.state == "fired"]
    assert sorted(made) == sorted(callback.id for callback in fired)
    # A callback that fired early would have counted fewer: clocks of processes differ by what an answer takes.
    for top, jobs in zip(tops, (1, 7, 31), strict=True):
        ending = json.loads(stage.one(told(stage, "tree", top.id)["complete"].id, "payload"))[ENDED_KEY]
        assert (ending["jobs"], ending["completed"]) == (jobs, jobs)


def test_the_command_line_says_what_is_enqueued_at_an_end_and_a_worker_does_it(
    lite: Stage, crew_of_one: Crew, run: Run, tmp_path: Any
) -> None:
    lines = tmp_path / "jobs.jsonl"
    lines.write_text('{"payload": 1}\n{"payload": 2}\n')
    made = run("batch", "enqueue", "-f", str(lines), "-q", "counted", "--on-complete", "report", url=lite.url)
    assert made.exit_code == 0, made
    assert "No running worker enqueues callbacks." in made.stderr
    top = run("job", "enqueue", "-q", "counted", "-j", "{}", url=lite.url).stdout.strip()
    words = ("spawn", "on-end", top[:12])
    callback = '{"queue": "alert", "payload": [1], "priority": "high", "max_attempts": 7, "timeout": "2m", "delay": 3}'
    added = run(*words, "--on-complete", callback, "--on-failure", "alert", "--format", "json", url=lite.url)
    assert {(row["event"], row["state"]) for row in added.json} == {("complete", "open"), ("failure", "open")}
    same = '{"delay": 3, "timeout": "2m", "max_attempts": 7, "priority": "high", "payload": [1], "queue": "alert"}'
    again = run(*words, "--on-complete", same, "--on-success", "never", "--format", "json", url=lite.url)
    assert sorted(row["event"] for row in again.json) == ["complete", "failure", "success"]
    assert {row["job_id"] for row in again.json} == {None}
    cleared = run(*words, "--clear", url=lite.url)
    assert cleared.stderr == "Removed 3 callbacks.\nThe job has no callbacks.\n"
    run(*words, "--on-complete", callback, "--on-failure", "alert", url=lite.url)
    for bad, code in (
        (("--clear", "--on-complete", "a"), 2),
        (("--on-complete", "{"), 2),
        (("--on-complete", '{"queue": "a", "id": "x"}'), 2),
        (("--on-complete", "[1]{"), 2),
        (("--on-success", '{"payload": 1}'), 2),
    ):
        assert run(*words, *bad, url=lite.url).exit_code == code, bad
    crew_of_one.begin()
    until(lambda: len(lite.rows("id", "queue_name IN ('report', 'alert')")) == 2)
    [[payload, priority, attempts, timeout]] = lite.rows(
        "payload, priority, max_attempts, timeout_seconds", "queue_name = 'alert'"
    )
    assert (payload, priority, attempts, timeout) == ("[1]", 3, 7, 120)
    shown = run("batch", "show", made.stdout.strip(), "--format", "json", url=lite.url).json
    assert [(row["event"], row["queue"], row["state"]) for row in shown["callbacks"]] == [
        ("complete", "report", "fired")
    ]
    [[payload]] = lite.rows("payload", "queue_name = 'report'")
    assert '"jobs": 2, "completed": 2, "failed": 0' in payload
    assert "Callbacks\n  complete: report, fired " in run("batch", "show", made.stdout.strip(), url=lite.url).stdout


@pytest.fixture
def crew_of_one(lite: Stage) -> Any:
    crew = Crew(lite)
    yield crew
    crew.end()


def test_a_job_that_cannot_have_callbacks_is_refused_and_those_of_a_deleted_one_are_over(lite: Stage, run: Run) -> None:
    with pytest.raises(UsageError, match="A callback is a Job"):
        Job("a").with_callbacks(on_complete="b")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot have dependencies"):
        Job("a").with_callbacks(on_complete=Job("b").depends_on(Job("c")))
    with pytest.raises(UsageError, match="No queue"):
        Job("a").with_callbacks(on_complete=Job())
    with pytest.raises(RefusedValueError, match="levels of nested JSON"):
        lite.queue.enqueue(Job("a").with_callbacks(on_complete=Job("b", json.loads("[" * 128 + "]" * 128))))
    once = Job("a")
    with pytest.raises(UsageError, match=f"The job {once.id} is in the batch twice"):
        lite.queue.enqueue_batch("x", [once] * 3)
    with pytest.raises(UsageError, match="never ends"):
        lite.queue.enqueue(Job("a").with_cron("0 0 * * * *").with_callbacks(on_complete=Job("b")))
    recurring = lite.queue.enqueue(Job("a").with_cron("0 0 * * * *"))
    assert run("spawn", "on-end", recurring.id, "--on-complete", "b", url=lite.url).exit_code == 6
    job = lite.queue.enqueue(Job("a").with_callbacks(on_complete=Job("b")))
    assert lite.queue.enqueue(job).created is False
    assert len(told(lite, "tree", job.id)) == 1
    lite.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{job.id}'")
    list(callbacks.look(lite.database, list(told(lite, "tree", job.id).values()), now))
    assert told(lite, "tree", job.id)["complete"].state == "over"
    batch = lite.queue.enqueue_batch("x", [Job("a")], on_success=Job("b"))
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Failed' WHERE batch_id = '{batch.id}'")
    list(callbacks.look(lite.database, list(told(lite, "batch", batch.id).values()), now))
    [callback] = told(lite, "batch", batch.id).values()
    assert callback.state == "open"
    later = now() + callbacks.KEPT + timedelta(hours=1)
    list(callbacks.look(lite.database, [callback], lambda: later))
    assert told(lite, "batch", batch.id)["success"].state == "over"
    assert run("batch", "delete", batch.id, "--yes", url=lite.url).exit_code == 0
    assert told(lite, "batch", batch.id) == {}


def test_a_damaged_callback_stops_no_other(lite: Stage, crew_of_one: Crew) -> None:
    damaged = lite.queue.enqueue_batch("damaged", [Job("counted")], **ON)
    other = lite.queue.enqueue_batch("other", [Job("counted")], on_complete=Job("b"))
    lite.execute(f"UPDATE hammerwork_watches SET check_at = '' WHERE subject_id = '{damaged.id}'")
    lite.execute(f"UPDATE hammerwork_watches SET check_at = '2020-01-01' WHERE subject_id = '{other.id}'")
    lite.execute(f"UPDATE hammerwork_watches SET job = '{{' WHERE subject_id = '{damaged.id}' AND event = 'complete'")
    looks = 0
    upcoming = callbacks.upcoming

    def counted(*given: Any) -> list[Callback]:
        nonlocal looks
        looks += 1
        return upcoming(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "upcoming", counted)
        # An odd time that no statement changes, as if another program wrote it again and again.
        lite.execute(
            "CREATE TRIGGER odd AFTER UPDATE OF check_at ON hammerwork_watches WHEN new.job = '{'"
            " BEGIN UPDATE hammerwork_watches SET check_at = '' WHERE id = new.id; END"
        )
        crew_of_one.begin()
        until(lambda: told(lite, "batch", damaged.id)["success"].state == "fired")
        until(lambda: told(lite, "batch", other.id)["complete"].state == "fired")
        before = looks
        time.sleep(2)
        assert looks - before < 20
    assert told(lite, "batch", damaged.id)["complete"].state == "open"


def test_a_callback_that_loses_to_another_transaction_comes_a_second_later(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = lite.queue.enqueue_batch("x", [Job("a")], on_complete=Job("b"))
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE batch_id = '{batch.id}'")

    def loses(*given: Any) -> None:
        raise RetryableError("It lost.")

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.enqueue, "insert", loses)
        [(callback, problem)] = callbacks.look(lite.database, list(told(lite, "batch", batch.id).values()), now)
        assert isinstance(problem, RetryableError)
        patch.setattr(callbacks, "see", loses)
        with pytest.raises(RetryableError):
            list(callbacks.look(lite.database, list(told(lite, "batch", batch.id).values()), now))
    [callback] = told(lite, "batch", batch.id).values()
    at = timestamp(callback.check_at)
    assert at is not None
    assert at <= now() + timedelta(seconds=1)
    assert [fired.id for fired, _ in callbacks.look(lite.database, [callback], now)] == [callback.id]


@all_databases
def test_callbacks_that_are_done_are_forgotten(stage: Stage) -> None:
    done = stage.queue.enqueue_batch("x", [Job("a")], on_complete=Job("b"), on_success=Job("b"), on_failure=Job("b"))
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Failed' WHERE batch_id = '{done.id}'")
    list(callbacks.look(stage.database, list(told(stage, "batch", done.id).values()), now))
    callbacks.forget(stage.database, now())
    assert len(told(stage, "batch", done.id)) == 3
    callbacks.forget(stage.database, now() + timedelta(days=1))
    assert {callback.state for callback in told(stage, "batch", done.id).values()} == {"open"}


def test_nothing_ends_while_a_parent_that_ended_long_ago_may_insert_children(lite: Stage) -> None:
    """hammerwork (Rust) inserts children one by one after it has completed the parent."""
    top = lite.queue.enqueue(Job("a", {}).with_spawn_handler("b").with_callbacks(on_complete=Job("c")))
    [child] = lite.enqueue(Job("a").depends_on(top))

    def looked(top_ended: float, child_ended: float) -> str:
        for job, seconds in ((top, top_ended), (child, child_ended)):
            at = (now() - timedelta(seconds=seconds)).isoformat()
            lite.execute(
                f"UPDATE hammerwork_jobs SET status = 'Completed', dependency_status = 'satisfied',"
                f" completed_at = '{at}' WHERE id = '{job.id}'"
            )
        list(callbacks.look(lite.database, list(told(lite, "tree", top.id).values()), now))
        return told(lite, "tree", top.id)["complete"].state

    assert looked(60, 1) == "open"
    assert looked(60, 30) == "fired"


def test_callbacks_are_jobs_like_others_and_serve_many(lite: Stage) -> None:
    last = Job("b", {"at": datetime(2026, 1, 1, tzinfo=UTC)}, priority="background", delay=timedelta(0))
    first = Job("a").with_callbacks(on_complete=last)
    jobs = lite.enqueue(first, first, replace(first, id=""))
    made = [callback for job in jobs[1:] for callback in told(lite, "tree", job.id).values()]
    assert len({callback.id for callback in made}) == 2
    assert '"2026-01-01T00:00:00+00:00"' in made[0].stored_job
    assert '"background"' in made[0].stored_job
    for given in ({"timezone": "UTC"}, {"span_context": "x"}, {"workflow_name": "x"}, {"result_max_size": 0}):
        with pytest.raises(UsageError, match=f"cannot have {next(iter(given))}"):
            first.with_callbacks(on_complete=Job("b", **given))
    with pytest.raises(UsageError, match="never ends"):
        lite.queue.enqueue_batch("x", [Job("a"), Job("a").with_cron("0 0 * * * *")], on_complete=Job("b"))


def test_jobs_of_a_batch_that_exists_get_no_others(lite: Stage) -> None:
    batch = NewBatch.of("x", None)
    ours, others = [Job("a")._new_job(now()) for _ in range(2)], [Job("a")._new_job(now())]
    batches.enqueue(lite.database, batch, ours, now())
    assert batches.written(lite.database, batch, [ours[0], *others]) == {}
    assert len(lite.rows()) == 2
    assert batches.written(lite.database, batch, ours).keys() == {job.id for job in ours}


@pytest.mark.parametrize("table", ["hammerwork_batches", "hammerwork_jobs"])
@pytest.mark.parametrize("keeps", [True, False], ids=["alone", "with the other"])
def test_a_callback_of_a_batch_that_another_program_deleted_is_over(stage: Stage, table: str, keeps: bool) -> None:
    stage.queue.enqueue_batch("b", [Job("a"), Job("a")], on_complete=Job("report"), on_failure=Job("report"))
    stage.execute(f"DELETE FROM {table}")
    if not keeps:
        stage.execute("DELETE FROM hammerwork_jobs")
        stage.execute("DELETE FROM hammerwork_batches")
    later = stage.database.now() + timedelta(hours=2)
    found = callbacks.upcoming(stage.database, later, 10)
    assert list(callbacks.look(stage.database, found, lambda: later)) == []
    assert stage.database.query("SELECT state FROM hammerwork_watches") == [("over",)] * 2
    assert callbacks.count_uncounted(stage.database) == 0


def test_a_success_that_cannot_come_since_the_failed_job_was_deleted_is_over_in_the_end(stage: Stage) -> None:
    batch = stage.queue.enqueue_batch("b", [Job("a"), Job("a")], on_success=Job("report"))
    first, second = (str(job) for (job,) in stage.rows("id"))
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{first}'")
    at = (now() - timedelta(minutes=1)).isoformat()
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = '{at}' WHERE id = '{second}'")
    list(callbacks.look(stage.database, list(told(stage, "batch", batch.id).values()), now))
    stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{first}'")
    stage.enqueue(Job("other"))  # of no batch
    later = (now() + timedelta(minutes=1)).isoformat()
    stage.execute(
        f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = '{later}' WHERE queue_name = 'other'"
    )

    def state_after(time: timedelta) -> str:
        found = list(told(stage, "batch", batch.id).values())
        list(callbacks.look(stage.database, found, lambda: now() + time))
        return told(stage, "batch", batch.id)["success"].state

    assert state_after(callbacks.KEPT - timedelta(hours=1)) == "open"
    assert state_after(callbacks.KEPT + timedelta(hours=1)) == "over"
    assert stage.rows("id", "queue_name = 'report'") == []


# At once.


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at a callback by himself: what fires was told of the end."""
    for name in ("SHORTEST", "LONGEST", "RARELY"):
        monkeypatch.setattr(callbacks, name, timedelta(hours=1))
    monkeypatch.setattr(endings, "LONGEST_PAUSE", 3600)


@pytest.mark.usefixtures("unhurried")
def test_whoever_ends_the_last_job_lets_the_callbacks_fire_at_once(crew: Crew) -> None:
    app, queue = crew.handlers, crew.stage.queue
    done: list[str] = []
    app.register_job("done", lambda job: done.append(f"{job.payload['of']} {job.payload[ENDED_KEY]['jobs']}"))
    app.register_job("top", lambda job: None)  # noqa: ARG005  it does nothing

    @app.spawn("top")
    def spawn(context: SpawnContext) -> list[Job]:
        context.spawn(Job("counted"), key="early")
        return [Job("counted"), Job("held") if context.depth else Job("top", {})]

    crew.begin(2)
    config = SpawnConfig(max_depth=2)
    of = {name: {"on_success": Job("done", {"of": name})} for name in ("tree", "workflow", "batch")}
    queue.enqueue(Job("top", {}).with_spawn_config(config).with_callbacks(**of["tree"]))
    workflow = Workflow("w", **of["workflow"])
    workflow.add("first", Job("counted"))
    workflow.add("then", Job("top", {}).with_spawn_config(config), after="first")
    queue.enqueue_workflow(workflow)
    batch = queue.enqueue_batch("b", [Job("counted"), Job("held")], **of["batch"])
    until(lambda: len(crew.runs) == 13)
    assert done == []
    crew.go_on.set()
    until(lambda: len(done) == 3)
    assert sorted(done) == ["batch 2", "tree 7", "workflow 8"]
    assert crew.stage.database.query("SELECT * FROM hammerwork_joins") == []
    assert told(crew.stage, "batch", batch.id)["success"].state == "fired"


@pytest.mark.usefixtures("unhurried")
def test_the_first_failure_and_the_success_after_a_retry_fire_at_once(crew: Crew) -> None:
    crew.handlers.register_job("fails", lambda job: 1 / (crew.runs["retries"] or job.payload))
    crew.begin(concurrency=4)
    top = Job("fails", 0, max_attempts=1, id=new_id())
    batch = crew.stage.queue.enqueue_batch("b", [top, Job("held"), Job("fails", 7)], **ON)
    until(lambda: told(crew.stage, "batch", batch.id)["failure"].state == "fired")
    assert {one.state for one in told(crew.stage, "batch", batch.id).values()} == {"fired", "open"}
    crew.go_on.set()
    until(lambda: told(crew.stage, "batch", batch.id)["complete"].state == "fired")
    assert told(crew.stage, "batch", batch.id)["success"].state == "open"
    crew.runs["retries"] = 1
    assert crew.stage.queue.retry(top.id) == 1
    until(lambda: told(crew.stage, "batch", batch.id)["success"].state == "fired")


def test_a_job_that_ends_while_a_worker_looks_is_not_overlooked(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has counted it as open, and must not put the callback off after the end has made it due."""
    batch = stage.queue.enqueue_batch("b", [Job("noop")], on_complete=Job("report"))
    [callback] = told(stage, "batch", batch.id).values()
    see = callbacks.see

    def slow(*given: Any) -> Any:
        seen = see(*given)
        stage.work(app, queues=("noop",), upkeep=False)
        return seen

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "see", slow)
        assert list(callbacks.look(stage.database, [callback], stage.database.now)) == []
    [callback] = callbacks.upcoming(stage.database, stage.database.now(), 10)
    assert [one.id for one, _ in callbacks.look(stage.database, [callback], stage.database.now)] == [callback.id]


def test_a_worker_that_drains_its_queues_runs_what_follows_the_end(stage: Stage, app: Handlers) -> None:
    seen: list[str] = []
    app.register_job("report", lambda job: seen.append(job.payload["of"]))
    last = Job("noop").with_callbacks(on_success=Job("report", {"of": "the last"}))
    stage.queue.enqueue_batch("b", [Job("noop"), last], on_complete=Job("report", {"of": "the batch"}))
    stage.work(app)
    assert sorted(seen) == ["the batch", "the last"]
