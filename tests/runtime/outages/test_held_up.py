"""A transaction that hangs has locked what one worker wants to write: that waits, and nothing else does."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from hammerwork_cli import Job, JobPriority, SpawnContext
from hammerwork_cli.database import connect
from tests.conftest import on_mariadb, on_servers
from tests.runtime.conftest import Crew, Stage, until

Hang = Callable[..., contextlib.AbstractContextManager[None]]


@pytest.fixture
def hanging(stage: Stage) -> Hang:
    """``with hanging(job, ...)``: somebody has locked the rows of these jobs."""

    @contextlib.contextmanager
    def hang(*jobs: Job) -> Iterator[None]:
        with contextlib.closing(connect(stage.url)) as other:
            other.script("START TRANSACTION")
            ids = ", ".join(f"'{job.id}'" for job in jobs)
            assert len(other.query(f"SELECT id FROM hammerwork_jobs WHERE id IN ({ids}) FOR UPDATE")) == len(jobs)
            yield
            other.script("ROLLBACK")

    return hang


def begin_with_a_locked_end(stage: Stage, crew: Crew) -> tuple[Job, Job]:
    """A worker, and a job that it runs and that another one waits for."""
    (parent,) = stage.enqueue(Job("held").with_max_attempts(1))
    (child,) = stage.enqueue(Job("counted").depends_on(parent))
    crew.begin(concurrency=2)
    until(lambda: crew.runs[parent.id])
    return parent, child


@on_servers
def test_while_the_end_of_one_job_cannot_be_written_its_worker_ends_others_and_keeps_their_time(
    stage: Stage, crew: Crew, hanging: Hang, caplog: pytest.LogCaptureFixture
) -> None:
    slow, returns = threading.Event(), Job("slow").with_timeout(timedelta(seconds=1)).with_max_attempts(1)

    def wait(job: Job) -> None:
        crew.count(job)
        slow.wait(60)

    crew.handlers.register_job("slow", wait)
    parent, child = begin_with_a_locked_end(stage, crew)
    with hanging(child):
        crew.go_on.set()
        until(
            lambda: (
                parent.id
                in {
                    getattr(record, "job_id", "")
                    for record in tuple(caplog.records)
                    if record.msg.startswith("The outcome of the job cannot be written yet")
                }
            )
        )
        others = stage.enqueue(*(Job("counted").with_max_attempts(1) for _ in range(30)))
        until(lambda: stage.status(*others) == ["Completed"] * 30)
        stage.enqueue(returns)
        until(lambda: stage.one(returns) == "TimedOut")
        slow.set()
        more = stage.enqueue(*(Job("counted") for _ in range(5)))
        until(lambda: stage.status(*more) == ["Completed"] * 5)
        crew.wait_for_heartbeats(8)  # it compares what it has with the database meanwhile
        assert stage.status(parent, child) == ["Running", "Pending"]
    until(lambda: stage.status(parent, child) == ["Completed"] * 2)
    assert set(crew.runs.values()) == {1}
    assert set(stage.rows("attempts, claim_losses")) == {(1, None)}


@on_mariadb
@pytest.mark.long
def test_of_many_ends_that_are_written_together_only_those_wait_whose_rows_are_locked(
    stage: Stage, crew: Crew, hanging: Hang
) -> None:
    parents = [Job("held").with_max_attempts(1) for _ in range(8)]
    children = [Job("counted").depends_on(parent) for parent in parents]
    stage.enqueue(*parents, *children)
    crew.begin(concurrency=8)
    until(lambda: len(crew.runs) == 8)
    with hanging(children[3], parents[7]):
        crew.go_on.set()
        free = [number for number in range(8) if number not in (3, 7)]
        until(lambda: stage.status(*(children[number] for number in free)) == ["Completed"] * 6)
        assert stage.status(parents[3], parents[7]) == ["Running"] * 2
    until(lambda: stage.status(*parents, *children) == ["Completed"] * 16)
    assert set(crew.runs.values()) == {1}


@on_servers
def test_a_job_that_somebody_has_locked_delays_no_other_job_of_a_small_table(
    stage: Stage, crew: Crew, hanging: Hang
) -> None:
    locked, *others = [Job("elsewhere"), *(Job("counted") for _ in range(30))]
    stage.enqueue(locked, *others[:1])
    crew.begin(concurrency=30)
    until(lambda: stage.one(others[0]) == "Completed")  # the worker knows how long its jobs take
    with hanging(locked):
        stage.enqueue(*others[1:])  # it claims all of them at once, and they end together
        until(lambda: stage.status(*others) == ["Completed"] * 30)


@on_mariadb
def test_a_worker_that_is_to_end_says_what_it_waits_for_and_writes_it_first(
    stage: Stage, crew: Crew, hanging: Hang, caplog: pytest.LogCaptureFixture
) -> None:
    parent, child = begin_with_a_locked_end(stage, crew)
    with hanging(child):
        crew.go_on.set()
        until(lambda: "cannot be written yet" in caplog.text)
        crew.workers[0].stop()
        until(lambda: "The worker cannot stop yet: the outcome of 1 job cannot be written" in caplog.text)
        assert crew.alive
    until(lambda: not crew.alive)
    assert caplog.text.count("The worker cannot stop yet") == 1
    assert stage.status(parent, child) == ["Completed", "Pending"]


@on_mariadb
def test_a_worker_that_is_to_end_at_once_does_not_wait_for_what_others_have_locked(
    stage: Stage, crew: Crew, hanging: Hang, caplog: pytest.LogCaptureFixture
) -> None:
    parent, child = begin_with_a_locked_end(stage, crew)
    with hanging(child):
        crew.go_on.set()
        until(lambda: "cannot be written yet" in caplog.text)
        crew.workers[0].stop()
        crew.workers[0].stop(now=True)
        until(lambda: not crew.alive)
        assert "The outcome of 1 job is not written" in caplog.text
        assert "1 outcome could not be written: the job runs again if it has attempts left." in caplog.text
        assert stage.status(parent, child) == ["Running", "Pending"]
    crew.begin()  # another one takes it for lost
    until(lambda: stage.status(parent, child) == ["Dead", "Failed"])


@on_mariadb
def test_a_spawn_that_waits_for_a_lock_leaves_its_connection_to_other_spawns(
    stage: Stage, crew: Crew, hanging: Hang
) -> None:
    @crew.handlers.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        child = Job("counted")
        return [child.depends_on(context.parent_job.payload) if context.parent_job.payload else child]

    (first,) = stage.enqueue(Job("counted"))
    crew.begin(concurrency=4, pool_size=1)
    until(lambda: stage.one(first) == "Completed")
    (locked,) = stage.enqueue(Job("nobody"))
    with hanging(locked):
        waits = Job("parent", locked.id).with_max_attempts(1)
        stage.enqueue(waits)
        until(lambda: stage.one(waits) == "Running")
        for _ in range(2):
            others = stage.enqueue(*(Job("parent") for _ in range(3)))
            until(lambda others=others: stage.status(*others) == ["Completed"] * 3)
        assert stage.one(waits) == "Running"
    until(lambda: stage.one(waits) == "Completed")
    assert len(stage.children(waits)) == 1


@on_mariadb
def test_jobs_that_go_back_when_a_worker_ends_go_back_though_one_of_them_is_locked(
    stage: Stage, crew: Crew, hanging: Hang
) -> None:
    unlock, done = threading.Event(), threading.Event()
    known, first = Job("mixed", 0), Job("mixed", 1).with_priority(JobPriority.CRITICAL)
    locked, *others = [Job("mixed", 0) for _ in range(6)]

    def mixed(job: Job) -> None:
        crew.count(job)
        if job.payload:
            with hanging(locked):
                done.set()
                assert unlock.wait(60)

    crew.handlers.register_job("mixed", mixed)
    worker = crew.begin(concurrency=2)
    stage.enqueue(known)
    until(lambda: stage.one(known) == "Completed")
    (held,) = stage.enqueue(Job("held"))
    until(lambda: crew.runs[held.id])
    stage.enqueue(first, locked, *others)
    assert done.wait(60)
    until(lambda: stage.status(*others) == ["Pending"] * 5)
    worker.stop()
    crew.wait_for_heartbeats(2)  # a slot that is free before the worker gives jobs back may start one of them
    crew.go_on.set()
    until(lambda: stage.one(held) == "Completed")
    crew.wait_for_heartbeats(2)
    assert crew.alive
    unlock.set()
    until(lambda: not crew.alive)
    assert stage.one(first) == "Completed"
    assert [stage.one(job, "status, attempts") for job in (locked, *others)] == [("Pending", 0)] * 6
