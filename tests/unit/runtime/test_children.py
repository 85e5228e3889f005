"""Children between their handler and the database."""

import asyncio
import contextlib
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Job, JobPriority, RetryStrategy, SpawnConfig, SpawnError, SpawnFailedError, SpawnLimitError
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.runtime.api.spawn import UnwritableError
from hammerwork_cli.runtime.outcomes import children as module
from hammerwork_cli.runtime.outcomes.children import Children, drain, drain_async
from tests.conftest import each_row

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
PARENT = Job("parent", {"size": 3})
NO_LIMIT = SpawnConfig(max_spawn_count=None)


def drained(produced: Any, config: SpawnConfig = NO_LIMIT, parent: Job = PARENT) -> list[NewJob]:
    with drain(parent, config, produced, NOW) as children:
        return [job for batch in children.batches() for job in batch]


# What comes out.


def test_children_come_in_batches_in_order_as_often_as_they_are_asked_for():
    made = [Job("child", number) for number in range(7)]
    with drain(PARENT, NO_LIMIT, iter(made), NOW) as children:
        for _ in range(2):
            batches = list(children.batches(3))
            assert [len(batch) for batch in batches] == [3, 3, 1]
            assert [job.id for batch in batches for job in batch] == [job.id for job in made]
        assert (len(children), children.count, children.queues) == (7, 7, {"child"})
        assert children.first_ids == [job.id for job in made]


def test_only_the_first_children_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST_CHILDREN", 3)
    made = [Job("child", number) for number in range(5)]
    with drain(PARENT, NO_LIMIT, iter(made), NOW) as children:
        assert (children.count, children.first_ids) == (5, [job.id for job in made[:3]])


def test_a_child_depends_on_its_parent_and_may_run_once_that_has_completed():
    (child,) = drained([Job("child")])
    assert (child.depends_on, child.dependency_status) == ((PARENT.id,), "satisfied")


def test_naming_the_parent_changes_nothing():
    (child,) = drained([Job("child").depends_on(PARENT)])
    assert (child.depends_on, child.dependency_status) == ((PARENT.id,), "satisfied")


def test_a_chain_is_kept_and_only_its_first_link_hangs_on_the_parent():
    extract, transform, load = Job("extract"), Job("transform"), Job("load")
    links = drained([extract, transform.depends_on(extract), load.depends_on(transform)])
    assert [(job.depends_on, job.dependency_status) for job in links] == [
        ((PARENT.id,), "satisfied"),
        ((extract.id,), "waiting"),
        ((transform.id,), "waiting"),
    ]


def test_a_sibling_may_be_named_before_it_is_produced():
    first, last = Job("first"), Job("last")
    links = drained([last.depends_on(first), first])
    assert [job.depends_on for job in links] == [(first.id,), (PARENT.id,)]


def test_a_join_waits_for_all_its_siblings():
    parts = [Job("part") for _ in range(3)]
    *_, join = drained([*parts, Job("join").depends_on_jobs(parts)])
    assert (join.depends_on, join.dependency_status) == (tuple(job.id for job in parts), "waiting")


def test_a_dependency_on_a_stranger_waits_for_it_and_for_the_parent():
    stranger = new_id()
    with drain(PARENT, NO_LIMIT, [Job("child").depends_on(stranger), Job("child")], NOW) as children:
        one, other = next(children.batches())
        assert children.external == {stranger}
    assert (one.depends_on, one.dependency_status) == ((PARENT.id, stranger), "waiting")
    assert other.dependency_status == "satisfied"


def test_a_child_that_waits_for_a_sibling_and_a_stranger_hangs_on_the_parent_by_its_sibling():
    sibling, stranger = Job("sibling"), new_id()
    with drain(PARENT, NO_LIMIT, [sibling, Job("child").depends_on(sibling, stranger)], NOW) as children:
        _, child = next(children.batches())
        assert children.external == {stranger}
    assert (child.depends_on, child.dependency_status) == ((sibling.id, stranger), "waiting")


def test_the_parent_is_no_stranger():
    with drain(PARENT, NO_LIMIT, [Job("child").depends_on(PARENT)], NOW) as children:
        assert children.external == frozenset()


def test_children_that_are_not_written_do_not_count():
    made = [Job("child") for _ in range(3)]
    with drain(PARENT, NO_LIMIT, made, NOW) as children:
        children.drop({made[1].id: "another"})
        assert (len(children), children.first_ids) == (2, [made[0].id, made[2].id])


def test_children_know_whether_one_of_them_has_a_unique_key():
    for jobs, are_unique in (([Job("a")], False), ([Job("a"), Job("b").with_unique("key"), Job("c")], True)):
        with drain(PARENT, NO_LIMIT, jobs, NOW) as children:
            assert children.are_unique == are_unique


@pytest.mark.parametrize("most", [0, module.MOST_IN_MEMORY])
def test_children_that_are_closed_are_gone(monkeypatch: pytest.MonkeyPatch, most: int):
    monkeypatch.setattr(module, "MOST_IN_MEMORY", most)
    children = drain(PARENT, NO_LIMIT, many(module._PART + 1), NOW)
    assert (children._file is None) == bool(most)
    assert len([*children.batches(module._PART)]) == 2
    for _ in range(2):
        children.close()
        assert [*children.batches()] == []


@each_row(
    ("size", "count", "in_a_file"),
    [(500, 500, False), (501, 500, True), (501, 499, False), (0, 500, False), (100_000, 3, False)],
)
def test_children_go_to_a_file_when_they_are_many_and_large(size: int, count: int, in_a_file: bool):
    children = Children("parent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_IN_MEMORY", 500 * 1000)
        for _ in range(count):
            new = Job("child")._new_job(NOW)
            new.payload = "x" * size
            children.add(new)
    assert (children._file is not None) == in_a_file
    assert (children._ids is None) == in_a_file, "to remember a million ids would take memory as well"
    children.close()


def test_whether_there_may_be_children_is_asked_once_before_the_first():
    def refuse() -> None:
        raise SpawnLimitError("max_depth", 1, 2, "root")

    asked: list[bool] = []
    assert len(drain(PARENT, NO_LIMIT, many(3), NOW, admit=lambda: asked.append(True))) == 3
    assert asked == [True]
    assert len(drain(PARENT, NO_LIMIT, [], NOW, admit=refuse)) == 0
    with pytest.raises(SpawnLimitError, match="max_depth"):
        drain(PARENT, NO_LIMIT, many(3), NOW, admit=refuse)


def test_no_child_waits_for_one_that_never_completes():
    recurs = Job("recurs").with_cron("@daily")
    assert [job.recurring for job in drained([recurs, Job("child")])] == [True, False]
    with pytest.raises(SpawnFailedError, match="recurs and never completes"):
        drained([recurs, Job("child").depends_on(recurs)])


@pytest.mark.parametrize("produced", [None, [], (), iter([])])
def test_a_handler_may_produce_nothing(produced):
    assert drained(produced) == []


def test_one_job_is_one_child():
    assert len(drained(Job("child"))) == 1


# What is inherited.


def test_only_what_is_unset_is_inherited():
    parent = (
        Job("parent")
        .as_critical()
        .with_timeout(timedelta(minutes=9))
        .with_retry_strategy(RetryStrategy.fixed(timedelta(seconds=9)))
        .with_trace_id("trace")
        .with_correlation_id("correlation")
        .with_workflow(new_id(), "flow")
    )
    own = (
        Job("child")
        .as_background()
        .with_timeout(timedelta(minutes=1))
        .with_retry_strategy(RetryStrategy.fixed(timedelta(seconds=1)))
        .with_trace_id("own")
        .with_workflow(new_id())
    )
    config = SpawnConfig(inherit_timeout=True)
    bare, kept = drained([Job("child"), own], config, parent)
    assert (bare.priority, bare.timeout_seconds, bare.trace_id) == (JobPriority.CRITICAL, 540, "trace")
    assert (bare.correlation_id, bare.workflow_name) == ("correlation", "flow")
    assert RetryStrategy._parse(bare.retry_strategy) == parent.retry_strategy
    assert (kept.priority, kept.timeout_seconds, kept.trace_id) == (JobPriority.BACKGROUND, 60, "own")
    assert (kept.correlation_id, kept.workflow_name, kept.workflow_id) == ("correlation", None, own.workflow_id)
    assert RetryStrategy._parse(kept.retry_strategy) == own.retry_strategy


def test_flags_that_are_off_leave_children_without():
    parent = Job("parent", trace_id="trace").as_critical().with_timeout(timedelta(minutes=9))
    parent = parent.with_retry_strategy(RetryStrategy.fixed(timedelta(seconds=9)))
    config = SpawnConfig(inherit_priority=False, inherit_trace_context=False, inherit_retry_strategy=False)
    (child,) = drained([Job("child")], config, parent)
    assert (child.priority, child.timeout_seconds, child.trace_id) == (JobPriority.NORMAL, None, None)
    assert child.retry_strategy is None


def test_children_of_a_parent_without_timeout_and_strategy_inherit_neither():
    (child,) = drained([Job("child")], SpawnConfig(inherit_timeout=True), Job("parent"))
    assert (child.timeout_seconds, child.retry_strategy, child.trace_id) == (None, None, None)


def test_a_queue_is_inherited_where_the_configuration_says_so():
    (child,) = drained([Job(payload=1)], SpawnConfig(inherit_queue=True))
    assert child.queue == "parent"
    (other,) = drained([Job("own")], SpawnConfig(inherit_queue=True))
    assert other.queue == "own"
    with pytest.raises(SpawnFailedError, match="no queue, and inherit_queue is off"):
        drained([Job(payload=1)])


# When they start.


def test_batches_of_children_start_a_delay_apart():
    config = SpawnConfig(spawn_delay=timedelta(milliseconds=100), batch_size=2)
    starts = [job.scheduled_at - NOW for job in drained((Job("child") for _ in range(5)), config)]
    assert [start / timedelta(milliseconds=1) for start in starts] == [0, 0, 100, 100, 200]


def test_without_a_batch_size_every_child_starts_a_delay_later():
    config = SpawnConfig(spawn_delay=timedelta(seconds=1))
    starts = [job.scheduled_at - NOW for job in drained((Job("child") for _ in range(3)), config)]
    assert [start.total_seconds() for start in starts] == [0, 1, 2]


def test_a_child_that_is_due_later_keeps_its_time():
    later = NOW + timedelta(hours=1)
    config = SpawnConfig(spawn_delay=timedelta(seconds=1))
    one, other = drained([Job("child").with_scheduled_at(later), Job("child").with_scheduled_at(NOW)], config)
    assert (one.scheduled_at, other.scheduled_at) == (later, NOW + timedelta(seconds=1))


# Limits and mistakes: nothing is spawned.


def test_a_child_that_would_be_due_on_no_date_is_refused_for_good():
    config = SpawnConfig(spawn_delay=timedelta(days=36_500))
    with pytest.raises(UnwritableError, match="child 81 would be due after the last possible date"):
        drained((Job("child") for _ in range(100)), config)


class Endless:
    """A handler whose generator tells how far it was run and whether it was closed."""

    def __init__(self) -> None:
        self.produced, self.closed = 0, False

    def jobs(self) -> Iterator[Job]:
        try:
            while True:
                self.produced += 1
                yield Job("child")
        finally:
            self.closed = True

    async def jobs_later(self) -> AsyncIterator[Job]:
        try:
            while True:
                self.produced += 1
                yield Job("child")
        finally:
            self.closed = True


def test_a_limit_stops_an_endless_generator_at_the_first_child_too_many():
    endless = Endless()
    with pytest.raises(SpawnLimitError, match=r"max_spawn_count allows 5 children") as caught:
        drain(PARENT, SpawnConfig(max_spawn_count=5), endless.jobs(), NOW, root="the-root")
    assert (endless.produced, endless.closed) == (6, True)
    error = caught.value
    assert (error.limit, error.value, error.attempted, error.root) == ("max_spawn_count", 5, 6, "the-root")
    assert "the-root" in error.message
    assert "Nothing was spawned" in error.message


def test_as_many_as_the_limit_are_allowed_and_zero_allows_none():
    assert len(drained([Job("child") for _ in range(5)], SpawnConfig(max_spawn_count=5))) == 5
    assert drained([], SpawnConfig(max_spawn_count=0)) == []
    with pytest.raises(SpawnLimitError):
        drained([Job("child")], SpawnConfig(max_spawn_count=0))


def test_an_error_of_a_handler_is_reported_and_kept_as_the_cause():
    def failing() -> Iterator[Job]:
        yield Job("child")
        raise KeyError("dataset")

    with pytest.raises(SpawnFailedError, match="KeyError: 'dataset'") as caught:
        drained(failing())
    assert isinstance(caught.value.__cause__, KeyError)


@each_row(
    ("produced", "message"),
    [
        ([{"queue": "child"}], "a value of type dict as child 1, not a Job"),
        ([Job("child"), None], r"nothing \(None\) as child 2, not a Job"),
        ("child", "returned a value of type str, not jobs"),
        ({"child": 1}, "returned a value of type dict, not jobs"),
        (17, "returned a value of type int, not jobs"),
        ([Job("child", {1, 2})], r"Child 1 \(child\) cannot be written: JSON cannot hold"),
        ([Job("child").depends_on(*(new_id() for _ in range(1001)))], "1,000 jobs at most"),
        ([Job("child").depends_on(*(new_id() for _ in range(1000)))], "1,000 jobs at most, its parent included"),
    ],
)
def test_a_value_that_is_not_a_child_is_refused_with_its_place(produced, message):
    with pytest.raises(SpawnFailedError, match=message):
        drained(produced)


def test_a_thousand_parents_are_allowed_when_this_one_is_among_them():
    others = [new_id() for _ in range(999)]
    (child,) = drained([Job("child").depends_on(*others)])
    assert len(child.depends_on) == 1000
    (other,) = drained([Job("child").depends_on(PARENT, *others)])
    assert len(other.depends_on) == 1000


def test_a_child_that_waits_for_a_thousand_siblings_and_one_is_refused():
    siblings = [Job("sibling") for _ in range(1001)]
    assert len(drained([*siblings, Job("child").depends_on_jobs(siblings[:1000])])) == 1002
    with pytest.raises(SpawnFailedError, match="1,000 jobs at most"):
        drained([*siblings, Job("child").depends_on_jobs(siblings)])


def test_the_same_job_twice_is_refused():
    child = Job("child")
    with pytest.raises(SpawnFailedError, match="produced twice"):
        drained([child, child.with_priority("high")])
    with pytest.raises(SpawnFailedError, match="produced its own parent"):
        drained([PARENT])


def test_children_that_wait_for_each_other_are_refused():
    one, two, three = Job("one"), Job("two"), Job("three")
    with pytest.raises(SpawnFailedError, match="wait for each other"):
        drained([one.depends_on(three), two.depends_on(one), three.depends_on(two), Job("four")])
    with pytest.raises(UsageError, match=f"The job {one.id} depends on itself"):
        one.depends_on(one)


# Many of them.


def many(count: int) -> Iterator[Job]:
    for number in range(count):
        yield Job("child", {"number": number, "text": "x" * 50})


def test_many_children_go_to_a_file_and_come_back_the_same(monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 100_000)
    made: list[Job] = []

    def chain() -> Iterator[Job]:
        for job in many(5000):
            made.append(job.depends_on(made[-1]) if made else job)
            yield made[-1]

    with drain(PARENT, NO_LIMIT, chain(), NOW) as children:
        for _ in range(2):
            stored = [job for batch in children.batches() for job in batch]
            assert [job.id for job in stored] == [job.id for job in made]
            assert [job.depends_on for job in stored[1:]] == [(job.id,) for job in made[:-1]]
            assert stored[-1].payload == '{"number":4999,"text":"' + "x" * 50 + '"}'
            assert stored[-1].scheduled_at == NOW
        assert children.external == frozenset()


def test_memory_stays_flat_however_many_there_are(monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 100_000)

    def most(count: int) -> int:
        tracemalloc.start()
        try:
            with drain(PARENT, NO_LIMIT, many(count), NOW) as children:
                assert sum(len(batch) for batch in children.batches()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(4_000) < 1.5 * most(1_000)


def test_the_file_is_gone_when_the_children_are_closed_or_the_handler_failed(monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 10_000)
    files: list[Any] = []

    def temporary(**options: Any) -> Any:
        files.append(original(**options))
        return files[-1]

    original = tempfile.TemporaryFile
    monkeypatch.setattr(module.tempfile, "TemporaryFile", temporary)
    drained(many(2000))

    def failing() -> Iterator[Job]:
        yield from many(2000)
        raise OSError("no more")

    with pytest.raises(SpawnFailedError):
        drained(failing())
    assert [file.closed for file in files] == [True, True]


# Async handlers.


async def later(count: int) -> AsyncIterator[Job]:
    for _ in range(count):
        yield Job("child")


async def listed(count: int) -> list[Job]:
    return [Job("child") for _ in range(count)]


async def failing_later() -> AsyncIterator[Job]:
    yield Job("child")
    raise ValueError("no more")


def run(produced: Any, config: SpawnConfig = NO_LIMIT) -> Children:
    return asyncio.run(drain_async(PARENT, config, produced, NOW))


def test_async_handlers_return_generators_lists_or_plain_iterables():
    assert [len(run(produced)) for produced in (later(3), listed(3), many(3), [Job("child")], None)] == [3, 3, 3, 1, 0]


def test_async_handlers_meet_the_same_limits_and_errors():
    endless = Endless()
    with pytest.raises(SpawnLimitError):
        run(endless.jobs_later(), SpawnConfig(max_spawn_count=2))
    assert (endless.produced, endless.closed) == (3, True)
    with pytest.raises(SpawnError, match="ValueError: no more"):
        run(failing_later())


def test_an_async_generator_is_closed_at_once_and_other_iterables_need_no_end():
    class Two:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> "Two":
            return self

        async def __anext__(self) -> Job:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return Job("child")

    async def is_closed() -> bool:
        endless = Endless()
        with contextlib.suppress(SpawnLimitError):
            await drain_async(PARENT, SpawnConfig(max_spawn_count=2), endless.jobs_later(), NOW)
        return endless.closed

    assert asyncio.run(is_closed())
    assert len(run(Two())) == 2


@pytest.mark.parametrize("error", [SpawnError("No."), ValueError("No."), KeyboardInterrupt()])
def test_the_children_of_a_handler_that_fails_are_forgotten(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Children] = []
    monkeypatch.setattr(Children, "close", lambda children: closed.append(children))

    def produce() -> Iterator[Job]:
        yield Job("noop")
        raise error

    with pytest.raises(type(error) if isinstance(error, KeyboardInterrupt) else SpawnError):
        drained(produce())
    assert [len(children) for children in closed] == [1]
