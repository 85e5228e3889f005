"""Unique jobs: one job holds a key, whoever enqueues or spawns at the same moment."""

import multiprocessing
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hammerwork_cli import (
    AsyncQueue,
    ConflictError,
    EncryptionKeys,
    Handlers,
    Job,
    Queue,
    SpawnContext,
    SpawnHandler,
    SpawnResult,
    UsageError,
    statement,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.models.unique import HOLDING
from hammerwork_cli.features.job.queries import spawn_requests, unique
from hammerwork_cli.runtime.api import queue as queue_module
from hammerwork_cli.runtime.clock import ServerClock
from tests.conftest import all_databases, each_row, on_servers
from tests.jobs import identity, move_to_archive
from tests.runtime.conftest import Stage
from tests.runtime.outages.test_unanswered import losing_the_answer

WRITERS = 8
ENDED, GONE, NEW = ([f"{name} {number}" for number in range(3)] for name in ("ended", "gone", "new"))
KEYS = [*ENDED, *GONE, *NEW]
HOUR = timedelta(hours=1)


def one(key: str = "k", payload: Any = None, **options: Any) -> Job:
    return Job("mail", payload).with_unique(key, **options)


def keys(stage: Stage) -> list[tuple[str, str]]:
    rows = stage.database.query("SELECT unique_key, job_id FROM hammerwork_unique ORDER BY unique_key")
    return [(str(key), str(job)) for key, job in rows]


def end(stage: Stage, job: Job, status: str = "Completed") -> None:
    """Ends a job as hammerwork (Rust) does, which knows of no keys."""
    stage.execute(f"UPDATE hammerwork_jobs SET status = '{status}' WHERE id = '{job.id}'")


def rolled_back(stage: Stage, job: Job) -> Job:
    """What enqueueing a job returns, in a transaction that is rolled back."""
    with stage.queue.transaction() as tx:
        found = tx.enqueue(job)
        tx._database._connection.rollback()
    return found


def enqueue_in_a_process(url: str, number: int, start: Any, found: Any) -> None:
    """Two threads that each enqueue a job for every key, in an order of their own, one by one or together."""
    with Queue(url, pool_size=2, patience=60.0) as queue:

        def write(seed: int) -> list[tuple[str, str, bool | None]]:
            order = random.Random(seed).sample(KEYS, len(KEYS))
            jobs = [one(key, seed) for key in order]
            start.wait(60)
            written = queue.enqueue_many(jobs) if seed % 2 else [queue.enqueue(job) for job in jobs]
            return [(key, job.id, job.created) for key, job in zip(order, written, strict=True)]

        with ThreadPoolExecutor(2) as threads:
            for answers in threads.map(write, range(2 * number, 2 * number + 2)):
                found.put(answers)


# Exactness.


@all_databases
def test_eight_writers_write_one_job_for_each_key_and_take_each_one_over_once(stage: Stage) -> None:
    ended, gone = (stage.queue.enqueue_many([one(key) for key in some]) for some in (ENDED, GONE))
    for job in ended:
        end(stage, job)
    for job in gone:
        stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{job.id}'")
    context = multiprocessing.get_context("fork")
    start, found = context.Barrier(WRITERS), context.Queue()
    processes = [
        context.Process(target=enqueue_in_a_process, args=(stage.url, number, start, found)) for number in range(4)
    ]
    for process in processes:
        process.start()
    answers = [answer for _ in range(WRITERS) for answer in found.get(timeout=90)]
    for process in processes:
        process.join(30)
    wrote = [(key, job) for key, job, created in answers if created]
    assert sorted(key for key, _ in wrote) == KEYS
    assert {(key, job) for key, job, _ in answers} == set(wrote)  # all others got that job
    assert keys(stage) == sorted(wrote)
    assert len(stage.rows()) == len(ENDED) + len(KEYS)


# What holds a key.


@all_databases
def test_a_job_is_written_once_while_another_one_waits_or_runs(stage: Stage) -> None:
    first = stage.queue.enqueue(one(payload="é", while_=("waiting", "running")).with_priority("high"))
    assert first.created
    again = stage.queue.enqueue(one(payload="another"))
    assert (again.created, again.id, again.payload, again.status) == (False, first.id, "é", "Pending")
    assert again.priority == first.priority
    end(stage, first, "Running")
    assert stage.queue.enqueue(one()).id == first.id
    end(stage, first)
    second = stage.queue.enqueue(one())
    assert (second.created, second.id != first.id) == (True, True)
    assert keys(stage) == [("k", second.id)]
    assert [unique.key_of(stage.database, job.id) for job in (first, second)] == [None, "k"]


@all_databases
def test_a_key_belongs_to_a_queue_and_is_compared_to_the_letter(stage: Stage) -> None:
    jobs = [one(key) for key in ("k", "K", "k ", "é", "e", "😀", "k" * 255, "%s ? $1 ' \\")]
    jobs += [Job(queue).with_unique("k") for queue in ("Mail", "mail 2", "\u043c")]
    assert all(job.created for job in stage.queue.enqueue_many(jobs))
    assert not any(
        job.created for job in stage.queue.enqueue_many([Job(job.queue).with_unique(job.unique.key) for job in jobs])
    )


STATES = [
    ("Pending", None, "waiting"),
    ('"pending"', None, "waiting"),
    ("Running", None, "running"),
    ("Completed", None, "completed"),
    ("Failed", "broke", "failed"),
    ("Dead", None, "failed"),
    ("TimedOut", None, "failed"),
    ("Failed", "cancelled by ada through hammerwork", ""),
    ("Archived", None, ""),
]


def test_a_job_holds_its_key_in_the_states_that_the_next_one_names(stage: Stage) -> None:
    for number, (status, error, word) in enumerate(STATES):
        key, told = f"key {number}", f"'{error}'" if error else "NULL"
        first = stage.queue.enqueue(one(key))
        stage.execute(f"UPDATE hammerwork_jobs SET status = '{status}', error_message = {told} WHERE id = '{first.id}'")
        holding = [name for name in HOLDING if rolled_back(stage, one(key, while_=[name])).id == first.id]
        assert holding == ([word] if word else []), status


@all_databases
def test_within_counts_from_the_enqueue_of_the_holder(stage: Stage) -> None:
    settings: Any = {"within": HOUR, "while_": ("waiting", "running", "completed")}
    first = stage.queue.enqueue(one(**settings))
    end(stage, first)
    now = stage.timestamp(first, "created_at")

    def enqueued_after(length: timedelta) -> Job:
        stage.queue._clock = cast(ServerClock, SimpleNamespace(now=lambda: now + length))
        return stage.queue.enqueue(one(**settings))

    stage.queue._clock_set = float("inf")
    for minutes in (0, 59):
        assert enqueued_after(timedelta(minutes=minutes)).id == first.id
    assert enqueued_after(HOUR - timedelta(microseconds=1)).id == first.id
    second = enqueued_after(HOUR)
    assert second.created
    assert enqueued_after(HOUR + timedelta(minutes=59)).id == second.id  # no calendar: the window slides


def test_deleted_and_archived_jobs_hold_no_key(lite: Stage) -> None:
    every: Any = {"while_": ("waiting", "running", "completed", "failed")}
    first = Job("mail", id=identity(1)).with_unique("k", **every)
    for _ in range(2):
        assert lite.queue.enqueue(first).created
        end(lite, first)
        assert lite.queue.enqueue(one(**every)).id == first.id
        lite.execute("DELETE FROM hammerwork_jobs")
    assert lite.queue.enqueue(first).created
    end(lite, first)
    move_to_archive(lite.url, 1, b"{}")
    assert lite.queue.enqueue(one(**every)).created


# Many together.


@all_databases
def test_jobs_that_depend_on_one_that_is_not_written_depend_on_the_holder_of_its_key(stage: Stage) -> None:
    holder = stage.queue.enqueue(one("a"))
    twin, again = one("b"), one("b")
    held, plain = one("a"), Job("mail")
    after = Job("mail").depends_on(held, again, plain)
    wanted = [twin, held, again, plain, after]
    answers = stage.queue.enqueue_many(wanted)
    assert [(job.id, job.created) for job in answers] == [
        (twin.id, True),
        (holder.id, False),
        (twin.id, False),
        (plain.id, True),
        (after.id, True),
    ]
    assert answers[-1].dependencies == (holder.id, twin.id, plain.id)
    assert stage.queue.get(after).dependencies == (holder.id, twin.id, plain.id)
    assert stage.one(after, "dependency_status") == "waiting"
    assert [job.created for job in stage.queue.enqueue_many(wanted)] == [False] * 5


@all_databases
def test_jobs_that_would_wait_for_themselves_through_a_key_are_refused(stage: Stage) -> None:
    first, second = one("a"), one("a")
    between = Job("mail").depends_on(second)
    with pytest.raises(ConflictError, match="wait for each other"):
        stage.queue.enqueue_many([first.depends_on(between), between, second])
    assert stage.rows() == []
    assert keys(stage) == []


def test_a_batch_takes_a_unique_job_unless_another_one_holds_its_key(lite: Stage) -> None:
    assert lite.queue.enqueue_batch("first", [one(), Job("mail")]).created
    with pytest.raises(ConflictError, match="already exists, outside of this batch"):
        lite.queue.enqueue_batch("second", [one(), Job("mail")])
    assert len(lite.rows()) == 2


# Replacing.


@all_databases
def test_a_holder_that_waits_gets_what_the_next_job_replaces(stage: Stage) -> None:
    every: Any = {"replace": ("payload", "priority", "scheduled_at")}
    first = stage.queue.enqueue(one(payload={"n": 1}).with_delay(HOUR))
    for given, changed in (({"replace": ["payload"]}, {"payload"}), (every, {"payload", "priority", "scheduled_at"})):
        before = stage.queue.get(first)
        wanted = one(payload={"n": len(changed) + 1}, **given).with_priority("low").with_delay(timedelta(days=1))
        answer = stage.queue.enqueue(wanted)
        after = stage.queue.get(first)
        assert (answer.id, answer.created, answer.payload) == (first.id, False, after.payload)
        assert {
            name for name in ("payload", "priority", "scheduled_at") if getattr(before, name) != getattr(after, name)
        } == changed
    another = one("another", payload=8, **every)
    many = stage.queue.enqueue_many([another, one(payload=9, **every), one(payload=10, **every)])
    assert [job.payload for job in many] == [8, 10, 10]
    assert stage.queue.get(first).payload == 10
    end(stage, first, "Running")
    stage.queue.enqueue(one(payload="too late", **every))
    assert stage.queue.get(first).payload == 10


@all_databases
def test_a_replaced_payload_is_encrypted_for_the_holder(stage: Stage) -> None:
    with Queue(stage.url, encryption=EncryptionKeys({"k": bytes(32)})) as queue:
        first = queue.enqueue(one(payload="open", replace=["payload"]))
        queue.enqueue(one(payload="secret", replace=["payload"]).with_encryption())
        assert "secret" not in str(stage.one(first, "payload"))
        assert queue.get(first).payload == "secret"
        queue.enqueue(one(payload="open again", replace=["payload"]))
        assert queue.get(first).payload == "open again"
        assert stage.one(first, "is_encrypted, encrypted_payload") in ((False, None), (0, None))


def test_a_recurring_holder_keeps_its_due_time(lite: Stage) -> None:
    first = lite.queue.enqueue(one().with_cron("0 0 3 * * *"))
    due = lite.queue.get(first).scheduled_at
    assert lite.queue.enqueue(one(replace=["scheduled_at"]).with_delay(HOUR)).id == first.id
    assert lite.queue.get(first).scheduled_at == due


# Where it is enqueued.


@all_databases
def test_a_job_whose_commit_was_not_answered_is_no_duplicate_of_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with losing_the_answer(monkeypatch, queue_module, "_write_one") as lost:
        first = stage.queue.enqueue(one())
        assert first.created
    assert lost
    with losing_the_answer(monkeypatch, queue_module.enqueue, "many") as lost:
        answers = stage.queue.enqueue_many([one(), one("other")])
    assert lost
    assert [job.created for job in answers] == [False, True]
    with losing_the_answer(monkeypatch, queue_module, "_write_one"):
        same_time = stage.queue.get(first).scheduled_at
        assert stage.queue.enqueue(one().with_scheduled_at(same_time)).created is False
    assert len(stage.rows()) == 2


@all_databases
def test_a_transaction_that_rolls_back_gives_its_keys_back(stage: Stage) -> None:
    assert rolled_back(stage, one()).created
    assert keys(stage) == []
    with stage.queue.transaction() as tx:
        written = tx.enqueue(one())
        assert [job.created for job in tx.enqueue_many([one(), one("b"), one("b")])] == [False, True, False]
    assert keys(stage)[1] == ("k", written.id)


async def _enqueued_by_a_coroutine(url: str) -> list[bool | None]:
    async with AsyncQueue(url) as queue:
        many = await queue.enqueue_many([one(), one("b")])
        return [(await queue.enqueue(one())).created, *(job.created for job in many)]


def test_coroutines_enqueue_unique_jobs(lite: Stage) -> None:
    import asyncio

    assert asyncio.run(_enqueued_by_a_coroutine(lite.url)) == [False, True, True]


def test_a_statement_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="a unique key"):
        statement(one())


@each_row(
    ("arguments", "message"),
    [
        (("",), "1 to 255 characters"),
        (("k" * 256,), "1 to 255 characters"),
        (("a\0b",), "NUL"),
        ((7,), "must be text"),
        (("k", {"within": timedelta(0)}), "above zero"),
        (("k", {"within": 60}), "within must be a timedelta"),
        (("k", {"while_": ()}), "at least one"),
        (("k", {"while_": ["open"]}), "while 'open'"),
        (("k", {"while_": 3}), "while 3"),
        (("k", {"while_": [["waiting"]]}), "while \\['waiting'\\]"),
        (("k", {"replace": ["queue"]}), "cannot replace 'queue'"),
    ],
)
def test_values_without_a_meaning_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    key, *options = arguments
    with pytest.raises(UsageError, match=message):
        Job("mail").with_unique(key, **(options[0] if options else {}))


def test_callbacks_are_not_unique() -> None:
    with pytest.raises(UsageError, match="cannot have unique"):
        Job("mail").with_callbacks(on_complete=one())


# Spawning.


class Fan(SpawnHandler):
    """Produces a job with the key ``page``, one after it, and one without a key."""

    def __init__(self) -> None:
        self.results: list[SpawnResult] = []

    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        del context
        page = Job("leaf", "page").with_unique("page")
        return [page, Job("leaf", "after").depends_on(page), Job("leaf", "plain")]

    def on_spawn_complete(self, result: SpawnResult) -> None:
        self.results.append(result)


@all_databases
def test_children_whose_keys_others_hold_are_not_written_and_their_siblings_wait_for_the_holder(stage: Stage) -> None:
    app, fan = Handlers(), Fan()
    app.register_handler("fan", fan)
    app.register_job("leaf", lambda job: job.payload)
    stage.queue.enqueue(Job("other").with_unique("page"))
    taken = stage.queue.enqueue(Job("leaf", "holder").with_unique("page").with_delay(HOUR))
    parents = stage.enqueue(Job("fan"), Job("fan"))
    assert stage.work(app).completed == 4  # two parents, two plain leaves
    assert [(r.children, len(r.child_ids)) for r in fan.results] == [(2, 2)] * 2
    assert sorted(children for *_, children in stage.operations()) == [2, 2]
    for parent in parents:
        assert len(stage.children(parent)) == 2
    waiting = stage.rows(
        "depends_on, dependency_status, status", "status = 'Pending' AND dependency_status = 'waiting'"
    )
    assert len(waiting) == 2
    assert all(taken.id in str(row[0]) for row in waiting)
    assert stage.queue.get(taken).dependencies == ()  # nobody has adopted it
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE id = '{taken.id}'")
    assert stage.work(app).completed == 3
    spawn_requests.request(stage.database, parents[0].id, handler=None, config=None, by="x", now=stage.database.now())
    assert stage.work(app).completed == 3
    (request,) = spawn_requests.requests(stage.database, parents[0].id)
    assert (request.state, request.children, fan.results[-1].children) == ("done", 3, 3)
    another = stage.queue.enqueue(Job("leaf").with_unique("page").with_delay(HOUR))
    spawn_requests.request(stage.database, parents[0].id, handler=None, config=None, by="x", now=stage.database.now())
    assert stage.work(app).completed == 1
    request = max(spawn_requests.requests(stage.database, parents[0].id), key=lambda one: str(one.requested_at))
    assert (request.state, request.children) == ("done", 2)
    assert ("page", another.id) in keys(stage)


def test_the_child_of_one_parent_is_no_child_of_another_one_that_wants_its_key(stage: Stage) -> None:
    app, answers = Handlers(), []

    @app.job("parent")
    def parent(job: Job, context: Any) -> None:
        for _ in range(2):  # the same key of the same parent
            child = context.spawn(Job("leaf").with_unique("leaf").with_delay(HOUR), key="leaf")
            answers.append((job.id, child.id, child.created))
        assert job.payload != "fails"

    (first,) = stage.enqueue(Job("parent"))
    stage.work(app)
    (second,) = stage.enqueue(Job("parent", "fails").with_max_attempts(1))
    stage.work(app)
    ((child, status),) = stage.rows("id, status", "queue_name = 'leaf'")
    ids = [(first.id, str(child)), (second.id, str(child))]
    assert answers == [(*ids[0], True), (*ids[0], False), (*ids[1], False), (*ids[1], False)]
    assert stage.queue.get(str(child)).dependencies == (first.id,)
    assert status == "Pending"  # it fails with none but its own parent
    assert stage.database.query("SELECT COUNT(*) FROM hammerwork_spawned_children") == [(1,)]


def test_a_job_whose_child_has_its_own_key_is_followed_by_it(stage: Stage) -> None:
    app = Handlers()
    app.register_job("chain", lambda job: job.payload)

    @app.spawn("chain")
    def following(context: SpawnContext) -> list[Job]:
        left = context.parent_job.payload
        return [Job("chain", left - 1).with_unique("chain")] if left else []

    stage.queue.enqueue(Job("chain", 3).with_unique("chain"))
    assert stage.work(app).completed == 4


# Keys without jobs.


@all_databases
def test_keys_whose_jobs_are_gone_are_forgotten_and_no_others(stage: Stage) -> None:
    jobs = stage.queue.enqueue_many([one(f"{number:02}") for number in range(25)])
    for job in jobs[::3]:
        stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{job.id}'")
    after, pages = unique.forget(stage.database, None, 5), 1
    while after is not None:
        after, pages = unique.forget(stage.database, after, 5), pages + 1
    assert pages == 6
    assert keys(stage) == [(f"{number:02}", jobs[number].id) for number in range(25) if number % 3]


@on_servers  # SQLite has one writer at a time
def test_a_key_that_is_taken_over_while_it_is_forgotten_stays(stage: Stage) -> None:
    gone = stage.queue.enqueue(one())
    stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{gone.id}'")
    with connect_again(stage) as other, stage.queue.transaction() as tx:
        written = tx.enqueue(one())
        forgetting = threading.Thread(target=unique.forget, args=(other, None, 10))
        forgetting.start()
        forgetting.join(0.3)
        assert forgetting.is_alive()
        tx._database._connection.commit()
        forgetting.join(30)
    assert keys(stage) == [("k", written.id)]


def connect_again(stage: Stage) -> Any:
    from contextlib import closing

    return closing(connect(stage.url))


def test_jobs_without_a_key_send_no_statement_more(lite: Stage) -> None:
    def sent(job: Callable[[], Job]) -> list[int]:
        counts = []
        for write in (lite.queue.enqueue, lambda one: lite.queue.enqueue_many([one])):
            with lite.queue._connections.lend(1) as database:
                before = database.executed
            write(job())
            with lite.queue._connections.lend(1) as database:
                counts.append(database.executed - before)
        return counts

    sent(lambda: Job("mail"))
    assert sent(lambda: Job("mail")) == [2, 2]
    assert sent(lambda: one(new_id())) == [4, 4]
