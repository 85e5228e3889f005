"""What is large, or larger than its column, costs its own job at most, or is refused before anything happens."""

import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.runtime.execution import finisher, slots, unwritten_outcomes
from hammerwork_cli.runtime.execution.unwritten_outcomes import UnwrittenOutcomes
from hammerwork_cli.runtime.worker import claimer
from tests.conftest import all_databases
from tests.runtime.conftest import Stage

LENGTH = 90_000
"""Bytes: more than a name, an error message and a column of type ``text`` of MySQL can hold."""
TEXTS = {"ascii": "x" * LENGTH, "other": "€" * (LENGTH // 3)}


@all_databases
def test_names_results_and_errors_of_any_length_cost_no_neighbour(stage: Stage, app: Handlers) -> None:
    text = TEXTS["ascii"]

    @app.job("returns")
    def returns(job: Job) -> str:
        return TEXTS[job.payload]

    @app.job("raises")
    def raises(job: Job) -> None:
        raise type(text, (Exception,), {})(TEXTS[job.payload])

    @app.job("spawns")
    def spawns(job: Job, context: SpawnContext) -> None:
        child = {"key": Job("noop"), "queue": Job(text), "operation": Job("noop")}[job.payload]
        if job.payload == "operation":
            SpawnConfig(operation_id=text)
        context.spawn(child, key=text if job.payload == "key" else "key")

    app.register_handler("named", lambda context: [Job(text)])  # noqa: ARG005  whatever spawns it
    large = [Job("returns", name) for name in TEXTS]
    failing = [Job("raises", name, max_attempts=1) for name in TEXTS]
    failing += [*(Job("spawns", name) for name in ("key", "queue", "operation")), Job("named")]
    neighbours = [Job("noop") for _ in range(4)]
    stage.enqueue(*(job for jobs in zip(failing, [*large, *neighbours], strict=True) for job in jobs))
    stage.work(app, queues=["returns", "raises", "spawns", "named", "noop"])
    assert [stage.one(job, "status, attempts") for job in failing] == [("Dead", 1)] * 6
    assert stage.status(*large, *neighbours) == ["Completed"] * 6
    assert list(stage.queue.results(large).values()) == [*TEXTS.values()]
    for job in failing:
        assert 20 < len(stage.one(job, "error_message").encode()) <= 60_000


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Small bounds, and the most bytes of payloads and of unwritten outcomes that slots held."""
    monkeypatch.setattr(claimer, "MOST_AHEAD_BYTES", BOUND)
    monkeypatch.setattr(unwritten_outcomes, "MOST_UNWRITTEN_BYTES", BOUND)
    monkeypatch.setattr(unwritten_outcomes, "MOST_WRITTEN_BYTES", BOUND // 4)
    peaks = dict.fromkeys(("waiting", "unwritten", "written"), 0)
    put, add, pop = slots.Slots.put, UnwrittenOutcomes.add, UnwrittenOutcomes.pop_ended

    def note(what: str, number: int) -> None:
        peaks[what] = max(peaks[what], number)

    def note_put(self: slots.Slots, work: Iterable[Any]) -> None:
        put(self, work)
        note("waiting", sum(len(job.payload) for job, _ in self._waiting))

    def note_add(self: UnwrittenOutcomes, ended: finish.EndedAttempt) -> None:
        add(self, ended)
        held = [*self._ended, *self._writing, *self._postponed.values()]
        note("unwritten", sum(len(one.job.payload) + len(one.result or "") for one in held))

    def note_pop(self: UnwrittenOutcomes) -> list[finish.EndedAttempt]:
        popped = pop(self)
        note("written", sum(len(one.job.payload) + len(one.result or "") for one in popped))
        return popped

    monkeypatch.setattr(slots.Slots, "put", note_put)
    monkeypatch.setattr(UnwrittenOutcomes, "add", note_add)
    monkeypatch.setattr(UnwrittenOutcomes, "pop_ended", note_pop)
    return peaks


BOUND, LARGE = 1 << 20, 200_000


def test_a_worker_keeps_large_payloads_ready_up_to_a_bound(stage: Stage, bounds: dict[str, int], app: Handlers) -> None:
    seen: list[int] = []
    app.register_job("large", lambda job: seen.append(len(job.payload)))
    small, large = [Job("large", "s") for _ in range(20)], [Job("large", "x" * LARGE) for _ in range(40)]
    stage.enqueue(*small, *large, *[Job("large", "s") for _ in range(20)])
    assert stage.work(app, queues=["large"], poll_interval=60).completed == 80
    assert sorted(seen) == [1] * 40 + [LARGE] * 40
    # Two slots may start two more at once.
    assert LARGE < bounds["waiting"] <= BOUND + 2 * LARGE


def test_a_claim_reads_the_large_payloads_that_it_takes_and_no_others(lite: Stage) -> None:
    lite.enqueue(Job("large", "x" * LARGE), Job("another", "x" * 20 * LARGE))
    now = lite.database.now() + timedelta(seconds=1)
    tracemalloc.start()
    try:
        (job,) = claim.claim(lite.database, "large", worker=new_id(), now=now, limit=1, slots=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert LARGE < len(job.payload) < peak < 10 * LARGE


def test_results_that_are_not_written_yet_are_held_up_to_a_bound(
    stage: Stage, bounds: dict[str, int], app: Handlers
) -> None:
    app.register_job("large", lambda job: "r" * (LARGE + job.payload))
    jobs = [Job("large", number) for number in range(60)]
    stage.enqueue(*jobs)
    assert stage.work(app, queues=["large"], poll_interval=60).completed == 60
    assert [len(result) for result in stage.queue.results(jobs).values()] == [LARGE + number for number in range(60)]
    assert LARGE < bounds["unwritten"] < BOUND + 2 * (LARGE + 100)
    assert bounds["written"] < BOUND // 4 + LARGE + 100


TOO_LONG = {
    "queue": lambda job: Job("q" * 256, id=job.id),
    "trace_id": lambda job: job.with_trace_id("t" * 129),
    "correlation_id": lambda job: job.with_correlation_id("c" * 129),
    "parent_span_id": lambda job: replace(job, parent_span_id="p" * 129),
    "cron_schedule": lambda job: job.with_cron(f"0 {','.join(map(str, range(60)))} * * * *"),
    "workflow_name": lambda job: job.with_workflow(new_id(), "w" * 256),
    "span_context": lambda job: replace(job, span_context="€" * 22_000),
}
TAKEN = {
    "sqlite": {"cron_schedule", "workflow_name", "span_context"},
    "postgresql": {"workflow_name", "span_context"},
    "mysql": set(),
}
"""What has no limit there."""


@all_databases
def test_a_value_that_is_longer_than_its_column_is_refused_when_the_job_is_enqueued(stage: Stage) -> None:
    written = 0
    for column, make in TOO_LONG.items():
        long = make(Job("noop"))
        for enqueue in (stage.queue.enqueue, lambda job: stage.queue.enqueue_many([Job("noop"), job])):
            if column in TAKEN[stage.database.dialect]:
                enqueue(long)
                written += 1
                continue
            with pytest.raises(RefusedValueError) as caught:
                enqueue(long)
            assert caught.value.message.endswith("."), column
        assert len(stage.rows()) == written, column


@all_databases
def test_a_child_with_a_value_that_is_longer_than_its_column_fails_its_parent_once(stage: Stage, app: Handlers) -> None:
    app.register_handler("late", lambda context: [TOO_LONG[context.parent_job.payload](Job("noop"))])

    @app.job("early")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(TOO_LONG[job.payload](Job("noop")), key="long")

    columns = sorted(TOO_LONG.keys() - TAKEN[stage.database.dialect])
    jobs = stage.enqueue(*(Job(way, column) for way in ("late", "early") for column in columns))
    stage.work(app, queues=["late", "early"])
    assert [stage.one(job, "status, attempts") for job in jobs] == [("Dead", 1)] * len(jobs)
    assert stage.rows("id", "queue_name = 'noop'") == []


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "mysql")]
)
def test_of_a_batch_a_server_refuses_only_what_it_cannot_hold(
    new_database: Callable[..., str], app: Handlers, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    refused = {"postgres": "\x00", "mysql": deep}[kind]
    real, batches = finish.finish, []

    def counting(database: Any, ended: Any, now: datetime) -> Any:
        batches.append(len(ended))
        return real(database, ended, now)

    monkeypatch.setattr(finish, "finish", counting)
    monkeypatch.setattr(finisher, "WRITE_SECONDS", 30)
    stage = Stage(new_database(kind, migrated=True))
    app.register_job("returns", lambda job: refused if job.payload == "odd" else job.payload)
    app.register_job("fails", lambda job: {}[job.payload])
    jobs = stage.enqueue(
        *(Job("returns", text) for text in ("a", "odd", "b", "odd", "c")), Job("fails", max_attempts=1)
    )
    stage.work(app, concurrency=1)
    found = [stage.one(job, "status, attempts") for job in jobs]
    stage.close()
    assert max(batches) > 1
    assert found == [("Completed", 1), ("Dead", 1), ("Completed", 1), ("Dead", 1), ("Completed", 1), ("Dead", 1)]


@all_databases
def test_a_timeout_that_is_none_or_longer_than_any_time_limits_nothing(stage: Stage, app: Handlers) -> None:
    app.register_job("sync", lambda job: "went on")  # noqa: ARG005

    @app.job("async")
    async def later(job: Job) -> str:
        return "went on"

    @app.spawn("sync")
    def spawn(context: SpawnContext) -> list[Job]:
        return [Job("child", str(context.parent_job.timeout))]

    stored = [-5, 0, 2**31 - 1] if stage.database.dialect != "sqlite" else [-5, 0, -(2**63), 9 * 10**18]
    inherit = SpawnConfig(inherit_timeout=True)
    jobs = [
        (Job(queue, {}).with_spawn_config(inherit) if queue == "sync" else Job(queue), seconds)
        for seconds in stored
        for queue in ("sync", "async")
    ]
    stage.enqueue(*(job for job, _ in jobs))
    for job, seconds in jobs:
        stage.execute(f"UPDATE hammerwork_jobs SET timeout_seconds = {seconds} WHERE id = '{job.id}'")
    stage.work(app, queues=["sync", "async"], retry=RetryStrategy.fixed(timedelta(0)))
    assert [stage.one(job, "status, attempts") for job, _ in jobs] == [("Completed", 1)] * len(jobs)
    children = stage.rows("timeout_seconds", "queue_name = 'child'")
    assert {seconds for (seconds,) in children} == {None} | ({2**31 - 1} & set(stored))
