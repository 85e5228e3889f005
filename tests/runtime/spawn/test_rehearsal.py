"""What a rehearsal of spawn handlers finds, and that it writes nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnHandler
from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.features.spawn.models.rehearsal import Rehearsal
from hammerwork_cli.runtime.api.stored_jobs import stored_row
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue
from hammerwork_cli.runtime.rehearsal.rehearser import Rehearser
from hammerwork_cli.runtime.rehearsal.spawn_step import claimed
from tests.conftest import all_databases
from tests.database.test_examples import FINISHED
from tests.rows import Rows

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def nowhere() -> DatabaseUrl:
    raise AssertionError("no database is needed")


def rehearse(
    app: Handlers, job: Job, *, most: int = 10_000, database: Database | None = None, **options: Any
) -> Rehearsal:
    """Rehearses a job that is only described."""
    rehearser = Rehearser(app, CollectingQueue(nowhere, NOW), NOW, database=database, most=most)
    return rehearser.rehearse(claimed(job._new_job(NOW), NOW), stored=False, **options)


def spawning(*queues: str) -> Callable[[Any], Handlers]:
    """Makes the handlers of an application from one spawn handler."""

    def decorate(handler: Any) -> Handlers:
        app = Handlers()
        for queue in queues:
            app.register_handler(queue, handler)
        return app

    return decorate


def used(found: Rehearsal) -> dict[str, tuple[int | None, int, int | None]]:
    return {limit.name: (limit.allowed, limit.used, limit.left) for limit in found.limits}


def messages(found: Rehearsal) -> list[str]:
    return [failure.message for failure in found.failures]


@spawning("album")
def tracks(context: SpawnContext) -> list[Job]:
    return [Job("track", {"number": number}) for number in range(1, 1 + context.parent_job.payload["tracks"])]


def test_children_are_counted_by_queue_with_their_bytes_and_limits() -> None:
    found = rehearse(tracks, Job("album", {"tracks": 30}).with_priority("high"))
    assert (found.job, found.queue, found.handler, found.children, found.complete) == (None, "album", "album", 30, True)
    assert found.levels[0].jobs == {"track": 30}
    assert found.bytes == sum(len(f'{{"number":{number}}}') for number in range(1, 31))
    assert [child.payload for child in found.first][:2] == ['{"number":1}', '{"number":2}']
    assert len(found.first) == 20
    assert {child.priority.word for child in found.first} == {"high"}
    assert used(found) == {
        "max_spawn_count": (100, 30, 70),
        "max_depth": (32, 1, 31),
        "max_descendants": (2_000_000, 30, 1_999_970),
    }
    assert found.failures == []


def test_one_child_too_many_is_a_failure_with_the_limit_that_is_passed() -> None:
    found = rehearse(tracks, Job("album", {"tracks": 101}))
    assert [failure.code for failure in found.failures] == ["spawn_limit"]
    assert "max_spawn_count allows 100" in messages(found)[0]
    assert found.children == 0
    assert used(found)["max_spawn_count"] == (100, 101, -1)
    config = SpawnConfig(max_spawn_count=200, max_descendants=50)
    deep = rehearse(tracks, Job("album", {"tracks": 101}).with_spawn_config(config))
    assert "max_descendants allows 50" in messages(deep)[0]
    assert used(deep)["max_descendants"] == (50, 101, -51)


def test_a_handler_that_raises_is_a_failure_with_its_place() -> None:
    found = rehearse(tracks, Job("album", {}))
    assert messages(found) == ["The spawn handler failed: KeyError: 'tracks'. Nothing was spawned."]
    assert found.failures[0].hint is not None
    assert "test_rehearsal.py, line" in found.failures[0].hint


@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit(), BaseException("odd")])
def test_whatever_a_handler_raises_is_a_failure(raised: BaseException) -> None:
    @spawning("late", "early")
    def handler(context: SpawnContext) -> Iterator[Job]:
        if context.parent_job.queue == "late":
            yield Job("child")
        raise raised

    @spawning("plain")
    def plain(_: SpawnContext) -> list[Job]:
        raise raised

    for app, queue in ((handler, "late"), (handler, "early"), (plain, "plain")):
        found = rehearse(app, Job(queue))
        assert [failure.code for failure in found.failures] == ["spawn_failed"]
        assert type(raised).__name__ in messages(found)[0]


def test_a_generator_without_end_is_stopped_and_may_clean_up() -> None:
    closed = []

    @spawning("flood")
    def endless(context: SpawnContext) -> Iterator[Job]:
        try:
            while True:
                yield Job("drop")
        finally:
            closed.append(context.parent_job.queue)

    unlimited = Job("flood").with_spawn_config(SpawnConfig(max_spawn_count=None))
    found = rehearse(endless, unlimited, most=250)
    assert (found.children, found.complete, closed) == (250, False, ["flood"])
    assert found.failures == []
    limited = rehearse(endless, Job("flood"))
    assert "max_spawn_count allows 100" in messages(limited)[0]
    assert closed == ["flood", "flood"]


def test_async_handlers_of_every_kind_are_rehearsed() -> None:
    app = Handlers()

    async def coroutine(_: SpawnContext) -> list[Job]:
        return [Job("child")]

    async def generator(_: SpawnContext) -> AsyncIterator[Job]:
        number = 0
        while True:
            yield Job("child", number)
            number += 1

    class Checked(SpawnHandler):
        async def validate_spawn(self, parent_job: Job, config: SpawnConfig, /) -> None:
            del config
            if parent_job.payload == "bad":
                raise ValueError("not good")

        async def spawn_jobs(self, context: SpawnContext, /) -> list[Job]:  # type: ignore[override]
            return [Job("child", context.parent_job.payload)]

    app.register_handler("coroutine", coroutine)
    app.register_handler("generator", generator)
    app.register_handler("checked", Checked())
    assert rehearse(app, Job("coroutine")).children == 1
    stopped = rehearse(app, Job("generator"), most=7)
    assert (stopped.children, stopped.complete) == (7, False)
    assert rehearse(app, Job("checked", "good")).children == 1
    assert messages(rehearse(app, Job("checked", "bad"))) == ["validate_spawn of checked refused: not good"]


def test_async_handlers_are_rehearsed_where_an_event_loop_runs_already() -> None:
    @spawning("coroutine")
    async def coroutine(_: SpawnContext) -> list[Job]:
        return [Job("child")]

    async def notebook() -> int:
        return rehearse(coroutine, Job("coroutine")).children

    # A page that a browser shows leaves a loop in the main thread of the tests.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, notebook()).result() == 1


def test_levels_go_on_below_with_the_place_and_limits_of_each_job() -> None:
    @spawning("folder")
    def folders(context: SpawnContext) -> list[Job]:
        assert context.root_id
        return [Job("folder"), Job("file", context.depth)]

    found = rehearse(folders, Job("folder"), levels=3)
    assert [(level.parents, level.jobs) for level in found.levels] == [(1, {"folder": 1, "file": 1})] * 3
    assert used(found)["max_depth"] == (32, 3, 29)
    short = rehearse(folders, Job("folder").with_spawn_config(SpawnConfig(max_depth=2)), levels=5)
    assert [(failure.level, failure.code) for failure in short.failures] == [(3, "spawn_limit")]
    assert short.children == 4
    # A recursion that has no end is known at the deepest generation, which no option of the command goes beyond.
    endless = rehearse(folders, Job("folder"), levels=32)
    assert [(failure.level, failure.code) for failure in endless.failures] == [(33, "spawn_limit")]
    assert "max_depth allows 32 generations below the root, and this would be 33" in messages(endless)[0]
    assert rehearse(folders, Job("folder"), levels=31).failures == []


@pytest.mark.parametrize("levels", [2, 3, 9])
def test_a_job_at_the_deepest_level_that_would_spawn_nothing_is_no_failure(levels: int) -> None:
    @spawning("folder")
    def folders(context: SpawnContext) -> list[Job]:
        return [] if context.room == 0 else [Job("folder")]

    found = rehearse(folders, Job("folder").with_spawn_config(SpawnConfig(max_depth=2)), levels=levels)
    assert (found.children, found.failures) == (2, [])


def test_children_by_key_are_counted_once_and_with_the_others() -> None:
    @spawning("video")
    def parts(context: SpawnContext) -> list[Job]:
        first = context.spawn(Job("part", 1), key="one")
        again = context.spawn(Job("part", 1), key="one")
        assert (first.created, again.created, first.id == again.id) == (True, False, True)
        return [Job("merge").depends_on(first)]

    found = rehearse(parts, Job("video"))
    assert (found.children, found.early, list(found.keys.values())) == (2, 1, ["one"])
    assert [child.queue for child in found.first] == ["part", "merge"]
    assert used(found)["max_spawn_count"] == (100, 2, 98)
    assert (
        "max_spawn_count allows 1"
        in messages(rehearse(parts, Job("video").with_spawn_config(SpawnConfig(max_spawn_count=1))))[0]
    )


def test_a_child_may_depend_on_what_its_parent_spawned_by_key_or_enqueued(new_database: Callable[..., str]) -> None:
    @spawning("video")
    def parts(context: SpawnContext) -> list[Job]:
        part, mail = context.spawn(Job("part"), key="one"), Job("mail")
        context.queue.enqueue(mail)
        return [Job("merge").depends_on(part), Job("merge").depends_on(mail)]

    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        assert messages(rehearse(parts, Job("video"), database=database)) == []


def test_children_that_depend_on_recurring_or_missing_jobs_fail_as_in_a_worker(
    new_database: Callable[..., str],
) -> None:
    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        rows = Rows(database)
        recurring = rows.job(recurring=True, cron_schedule="0 0 * * * *", status="Pending")
        dead = rows.job(status="Dead")

        def refused(handler: Callable[[SpawnContext], list[Job]]) -> str:
            return " ".join(messages(rehearse(spawning("video")(handler), Job("video"), database=database)))

        def early(context: SpawnContext, other: Any) -> list[Job]:
            context.spawn(Job("part").depends_on(other), key="one")
            return []

        def own(context: SpawnContext) -> list[Job]:
            return [Job("merge").depends_on(context.spawn(Job("part").with_cron("0 0 * * * *"), key="one"))]

        assert "recurs and never completes" in refused(lambda _: [Job("part").depends_on(recurring)])
        assert "recurs and never completes" in refused(lambda context: early(context, recurring))
        assert "recurs and never completes" in refused(own)
        assert "is Dead" in refused(lambda context: early(context, dead))
        assert "to depend on" in refused(lambda context: early(context, str(uuid4())))


def test_a_key_with_two_payloads_fails_as_in_a_worker() -> None:
    @spawning("video")
    def parts(context: SpawnContext) -> list[Job]:
        context.spawn(Job("part", 1), key="one")
        context.spawn(Job("part", 2), key="one")
        return []

    assert "names another child" in messages(rehearse(parts, Job("video")))[0]


def test_the_shape_among_siblings_is_shown() -> None:
    @spawning("chain")
    def chain(_: SpawnContext) -> list[Job]:
        jobs = [Job("step", 0)]
        for number in range(1, 5):
            jobs.append(Job("step", number).depends_on(jobs[-1]))
        return [Job("alone"), *jobs, Job("join").depends_on(jobs[1], jobs[4])]

    shape = rehearse(chain, Job("chain")).shape
    assert (shape.after_parent, shape.after_siblings, shape.longest_chain) == (2, 5, 6)


@pytest.mark.parametrize(
    ("produced", "said"),
    [
        (["text"], "a value of type str as child 1, not a Job"),
        ([Job(payload=1)], "has no queue"),
        ([Job("child", {1, 2})], None),
        ("jobs", "returned a value of type str, not jobs"),
    ],
)
def test_children_that_cannot_be_written_fail_as_in_a_worker(produced: Any, said: str | None) -> None:
    @spawning("parent")
    def handler(_: SpawnContext) -> Any:
        return produced

    found = rehearse(handler, Job("parent").with_spawn_config(SpawnConfig(inherit_queue=False)))
    assert len(found.failures) == 1
    assert said is None or said in messages(found)[0]


def test_the_queue_of_the_context_collects_jobs_and_refuses_its_connections() -> None:
    @spawning("report")
    def report(context: SpawnContext) -> list[Job]:
        mail = context.queue.enqueue(Job("mail", 1))
        assert mail.created
        assert len(context.queue.enqueue_many([Job("mail"), Job("audit")])) == 2
        context.queue._connections.run(lambda database: database.script("DELETE FROM hammerwork_jobs"))
        return [Job("page")]

    found = rehearse(report, Job("report"))
    assert found.enqueued == {"mail": 2, "audit": 1}
    assert "A rehearsal writes nothing" in messages(found)[0]


def test_a_job_that_names_a_handler_that_is_not_there_fails_and_one_without_any_spawns_nothing() -> None:
    assert "no spawn handler 'gone'" in messages(rehearse(tracks, Job("x").with_spawn_handler("gone")))[0]
    nothing = rehearse(tracks, Job("x"))
    assert (nothing.handler, nothing.levels, nothing.failures) == (None, [], [])


@pytest.mark.parametrize("name", FINISHED)
def test_the_examples_would_spawn_what_they_spawn(name: str) -> None:
    module = import_module(f"examples.{name}")
    found = rehearse(module.app, module.parent(), levels=3)
    root, *_ = FINISHED[name]
    spawned = {queue: jobs for level in found.levels for queue, jobs in level.jobs.items()}
    assert found.failures == []
    assert {found.queue: 1, **spawned} == FINISHED[name]
    assert found.queue == root


@all_databases
def test_a_stored_job_has_its_place_its_results_and_the_limits_of_the_database(migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        limited = {"max_spawn_count": 100, "max_descendants": 10}
        root = rows.job(queue="root", spawns=limited, started_at=NOW - timedelta(days=9))
        gone = "00000000-0000-4000-8000-00000000dead"
        parent = rows.job(root, queue="parent", status="Pending", payload={"wanted": 3})
        before = database.query("SELECT COUNT(*) FROM hammerwork_jobs")

        @spawning("parent")
        def handler(context: SpawnContext) -> list[Job]:
            known = context.queue.get(root)
            assert known is not None
            assert context.results() == {root: None}
            assert (context.root_id, context.depth) == (root, 1)
            return [Job(known.queue, number) for number in range(context.parent_job.payload["wanted"])]

        @spawning("parent")
        def waiting(_: SpawnContext) -> list[Job]:
            return [Job("child").depends_on(gone)]

        row = stored_row(database, parent)
        assert row is not None
        with contextlib.closing(CollectingQueue(lambda: database.url, NOW)) as queue:
            found = Rehearser(handler, queue, NOW, database=database, most=100).rehearse(row, stored=True)
            assert found.failures == []
            assert found.levels[0].jobs == {"root": 3}
            assert used(found)["max_depth"] == (32, 2, 30)
            assert used(found)["max_descendants"] == (10, 3, 7)
            lost = Rehearser(waiting, queue, NOW, database=database, most=100).rehearse(row, stored=True)
        assert [failure.code for failure in lost.failures] == ["not_found"]
        assert database.query("SELECT COUNT(*) FROM hammerwork_jobs") == before
