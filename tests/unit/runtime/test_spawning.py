"""The end of a job that spawns, without a database: what is tried again, and what becomes of the job."""

import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.errors import DatabaseError, HammerworkError, RefusedValueError, UnreachableError
from hammerwork_cli.features.job.queries import results
from hammerwork_cli.features.worker.queries import finish, requests, spawn
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, FinishReport
from hammerwork_cli.features.worker.queries.spawn import LostClaimError, SpawnedBeforeError
from hammerwork_cli.runtime.api.outcomes import Cancel
from hammerwork_cli.runtime.execution import attempts
from hammerwork_cli.runtime.execution import child_spawner as module
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.child_spawner import LOST, ChildSpawner
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.outcomes.children import Children
from hammerwork_cli.runtime.outcomes.failures import OutOfTimeError
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FOUND: Any = SimpleNamespace(name="handler", handler=SimpleNamespace(_has_hook=True))
COMPLETES = SpawnConfig(on_error="complete")


class Spawning:
    """A spawner whose transactions fail as they are told to.

    Attributes:
        errors: of the transactions, one after the other.
        calls: of what a worker does around them.
    """

    def __init__(self, *errors: Exception, **fields: Any) -> None:
        self.errors, self.calls = [*errors], list[Any]()
        self.stopped_at_once = threading.Event()
        self.job = claimed("a")._replace(max_attempts=3, attempts=1, **fields)
        self.attempt = Attempt(self.job, threading.RLock())
        self.completed = EndedAttempt(self.job, AttemptEnd.COMPLETED)
        self.children = Children("a")
        clock: Any = SimpleNamespace(now=lambda: NOW)
        made: Any = ChildSpawner.__new__(ChildSpawner)
        made._clock = clock
        made._connections = SimpleNamespace(stopped_at_once=self.stopped_at_once)
        made._outcome_policy = OutcomePolicy(Handlers(), RetryStrategy.fixed(timedelta(0)), clock, self.stopped_at_once)
        made._produce = self._produce
        made._parent = lambda *_: SimpleNamespace(spawner="spawner", kept=lambda: ())
        made._commit = self._commit
        made._announce = lambda *_: self.calls.append("announced")
        self.spawner = made

    def _produce(self, *_: Any) -> Any:
        self.calls.append("produced")
        return "operation", self.children

    def _commit(self, attempt: Any, completed: Any, operation: Any, children: Any) -> None:
        assert (attempt, completed) == (self.attempt, self.completed)
        self.calls.append("tried")
        if self.errors and (error := self.errors.pop(0)):
            raise error

    def spawn(self, config: SpawnConfig | None = None) -> EndedAttempt | None:
        ended = self.spawner.spawn(self.attempt, self.completed, FOUND, config or SpawnConfig(), None)
        assert ended is None or isinstance(ended, EndedAttempt)
        return ended


UNKNOWN = DatabaseError("Error 28.")


@each_row(
    ("errors", "accepts", "stops", "calls", "end"),
    [
        ([], True, False, ["tried", "announced"], None),
        ([UNKNOWN], True, False, ["tried", "asked"], AttemptEnd.RETRY),
        ([UNKNOWN, UNKNOWN], False, False, ["tried", "asked", "tried", "asked", "tried", "announced"], None),
        ([UNKNOWN], False, True, ["tried"], AttemptEnd.STOPPED),
        ([RefusedValueError("No such text.")], False, False, ["tried"], AttemptEnd.FAILED),
        ([UnreachableError("Away.")], False, False, ["tried"], AttemptEnd.RETRY),
        ([LostClaimError("It is another's.")], False, False, ["tried"], None),
        ([SpawnedBeforeError("It has.")], False, False, ["tried"], AttemptEnd.COMPLETED),
    ],
)
def test_children_that_the_database_refuses_are_tried_again_only_if_it_refuses_their_failure_as_well(
    errors: list[Exception], accepts: bool, stops: bool, calls: list[str], end: AttemptEnd | None
) -> None:
    made = Spawning(*errors)
    made.spawner._accepts = lambda _: made.calls.append("asked") or accepts  # type: ignore[func-returns-value]
    if stops:
        made.stopped_at_once.set()
    ended = made.spawn()
    assert (ended and ended.end, made.calls) == (end, ["produced", *calls])
    assert made.children._file is None


def test_a_job_that_completes_although_its_children_are_refused_is_not_tried_again() -> None:
    made = Spawning(UNKNOWN)
    made.spawner._accepts = lambda _: pytest.fail("it is written")
    assert (made.spawn(COMPLETES), made.calls) == (None, ["produced", "tried", "tried"])
    made = Spawning()
    made.errors = [ValueError("7")]
    made.spawner._produce = made.spawner._commit = lambda *_: made._commit(made.attempt, made.completed, None, None)
    ended = made.spawn()
    assert ended is not None
    assert (ended.end, str(ended.cause)) == (AttemptEnd.RETRY, "7")


def test_a_job_that_has_spawned_or_whose_outcome_is_decided_spawns_nothing() -> None:
    made = Spawning(has_spawned=True)
    assert (made.spawn(), made.calls) == (made.completed, [])
    made = Spawning()
    made.attempt.over = True
    assert (made.spawn(), made.calls) == (None, ["produced"])


@each_row(
    ("error", "accepts"),
    [(None, True), (UNKNOWN, False), (UnreachableError("Away."), False)],
)
def test_whether_a_database_accepts_an_outcome_is_found_out_by_a_transaction_that_is_undone(
    error: Exception | None, accepts: bool
) -> None:
    made = Spawning()
    asked: list[Any] = []
    undone: list[bool] = []

    def transaction(unit: Callable[[], Any]) -> Any:
        try:
            return unit()
        except BaseException:
            undone.append(True)
            raise

    def write(*arguments: Any) -> FinishReport:
        asked.append(arguments)
        if error:
            raise error
        return FinishReport()

    def run(unit: Callable[[Any], Any], *, patience: float) -> Any:
        assert patience == 0
        return unit(database)

    database = SimpleNamespace(transaction=transaction)
    made.spawner._connections.run = run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "finish", write)
        assert made.spawner._accepts(made.completed) == accepts
    # A job does not end before it starts, whatever the clock says.
    assert asked == [(database, [made.completed], max(NOW, made.job.claim.started_at))]
    assert undone == [True]


@each_row(
    ("error", "config", "commits", "end", "says"),
    [
        (ValueError("7"), SpawnConfig(), [], AttemptEnd.RETRY, []),
        (ValueError("7"), COMPLETES, [None], None, ["The job completes although it could not spawn: ValueError: 7"]),
        (OutOfTimeError("Late."), COMPLETES, [], AttemptEnd.TIMED_OUT, []),
        (Cancel("Enough."), COMPLETES, [], AttemptEnd.CANCELLED, []),
        (LostClaimError("It is another's."), COMPLETES, [], None, [LOST]),
        (
            ValueError("7"),
            COMPLETES,
            [LostClaimError("It is another's.")],
            None,
            ["The job completes although it could not spawn: ValueError: 7", LOST],
        ),
        (
            ValueError("7"),
            COMPLETES,
            [RefusedValueError("No such text.")],
            AttemptEnd.FAILED,
            ["The job completes although it could not spawn: ValueError: 7"],
        ),
    ],
)
def test_a_job_that_could_not_spawn_fails_or_completes_as_its_configuration_wants(
    error: Exception,
    config: SpawnConfig,
    commits: list[Any],
    end: AttemptEnd | None,
    says: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for is_over in (False, True):
        caplog.clear()
        made = Spawning(*commits)
        made.attempt.over = is_over
        ended = made.spawner._not_spawned(made.attempt, made.completed, FOUND, config, error, NOW)
        if is_over:
            assert ended is None
            assert made.calls == []
        else:
            assert (ended and ended.end, made.calls) == (end, ["tried"] * len(commits))
            assert caplog.messages == says


def test_an_error_that_only_says_that_the_worker_stops_completes_no_job() -> None:
    made = Spawning()
    made.stopped_at_once.set()
    ended = made.spawner._not_spawned(made.attempt, made.completed, FOUND, COMPLETES, UnreachableError("Away."), NOW)
    assert (ended.end, made.calls) == (AttemptEnd.STOPPED, [])


@pytest.mark.parametrize("lost", [False, True])
def test_a_transaction_that_spawns_counts_what_it_completed_and_looks_at_callbacks(
    monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    made = Spawning()
    made.attempt.began = time.monotonic() - 50
    counted: list[Any] = []
    held: list[Any] = []
    report = FinishReport()
    report.lost = {"a"} if lost else set()
    report.callbacks = 1
    report.held = {"c": "d"}

    def run(unit: Callable[[Any], Any], *, told: Callable[[Any], None]) -> Any:
        told(HammerworkError("Not now."))
        assert made.attempt.is_refused
        return unit("database")

    def complete(*arguments: Any, **named: Any) -> FinishReport:
        assert arguments[:3] == ("database", made.completed, "operation")
        assert named["now"] == max(NOW, made.job.claim.started_at)
        return report

    monkeypatch.setattr(spawn, "complete", complete)
    spawner = made.spawner
    del spawner._commit
    spawner._connections.run = run
    spawner._progress = SimpleNamespace(count=lambda ended: counted.append(list(ended)))
    spawner._callbacks_due = lambda: made.calls.append("callbacks")
    children: Any = SimpleNamespace(batches=None, external=frozenset(), are_unique=False, drop=held.append)
    assert made.attempt.decide()
    if lost:
        with pytest.raises(LostClaimError):
            spawner._commit(made.attempt, made.completed, "operation", children)
        assert (counted, made.calls, held) == ([[]], [], [])
    else:
        spawner._commit(made.attempt, made.completed, "operation", children)
        assert (counted, made.calls, held) == ([[made.completed]], ["callbacks"], [{"c": "d"}])
    assert not made.attempt.is_refused
    assert made.completed.took is not None
    assert 50 <= made.completed.took < 1000


def test_a_refusal_lasts_from_the_first_try_and_says_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, now = Spawning().attempt, 1000.0
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: now))

    def refuse(error: str | None) -> tuple[Any, bool]:
        attempt.refuse(HammerworkError(error) if error else None)
        return attempt.refusal, attempt.is_refused

    assert refuse("First.") == ((1000.0, "First."), False), "it does not write yet"
    assert attempt.decide()
    now = 1005.0
    assert refuse("Last.") == ((1000.0, "Last."), True)
    assert refuse(None) == (None, False)
    assert refuse("Again.") == ((1005.0, "Again."), True)


def test_a_deadline_beyond_the_last_date_is_none() -> None:
    made = Spawning().spawner
    assert made._time_of(None) is None
    assert made._time_of(1e18) is None
    assert abs(made._time_of(time.monotonic() + 60) - NOW - timedelta(seconds=60)) < timedelta(seconds=30)


def test_a_failure_that_cannot_be_recorded_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def run(unit: Callable[[Any], Any]) -> None:
        unit("database")

    def fail(_: Any) -> None:
        raise UnreachableError("Away.")

    made, written = Spawning().spawner, list[Any]()
    made._connections.run = run
    made._record(written.append)
    assert (written, caplog.messages) == (["database"], [])
    made._record(fail)
    assert caplog.messages == ["A failure could not be recorded: Away."]


def test_children_may_come_from_a_coroutine_that_the_attempt_awaits_meanwhile() -> None:
    made = Spawning(payload="{}")
    parent: Any = SimpleNamespace(place=SimpleNamespace(root="root"), check_depth=None)
    seen: list[Any] = []

    def listed(_: SpawnContext) -> list[Job]:
        seen.append(made.attempt.awaits)
        return [Job("child"), Job("child")]

    async def later(context: SpawnContext) -> list[Job]:
        seen.append(inspect.iscoroutine(made.attempt.awaits))
        return listed(context)[1:]

    async def one_by_one(context: SpawnContext) -> AsyncIterator[Job]:
        seen.append(inspect.isasyncgen(made.attempt.awaits))
        for job in listed(context):
            yield job

    made.spawner._loop, made.spawner._priorities = EventLoop(), {}
    counts = []
    for function in (listed, later, one_by_one):
        found: Any = SimpleNamespace(handler=SimpleNamespace(spawn_jobs=function))
        context = SpawnContext(Job("queue"), SpawnConfig())
        with made.spawner._drained(made.attempt, found, context, NOW, parent) as children:
            counts.append(len(children))
        assert made.attempt.awaits is None
    made.spawner._loop.close()
    assert counts == [2, 1, 2]
    assert [one for one in seen if isinstance(one, bool)] == [True, True]


class Fulfilling(Spawning):
    """What fulfils a request of a job that has a result."""

    def __init__(self, **options: Any) -> None:
        job = Job("queue", {})
        if "carried" in options:
            job = job.with_spawn_config(SpawnConfig(max_spawn_count=options["carried"]))
        super().__init__(payload=job._new_job(NOW).payload)
        self.given: list[Any] = []
        handlers = Handlers()
        for name in options.get("names", ("queue", "other")):
            handlers.register_handler(name, lambda _: [])
        if "default" in options:
            handlers._configure("queue", SpawnConfig(max_spawn_count=options["default"]))
        made = self.spawner
        made._handlers, made._codecs = handlers, None
        made._queue = SimpleNamespace(url="url")
        made._isolation = SimpleNamespace(
            ready=lambda _: self.calls.append("ready"), can_kill=options.get("can_kill", False)
        )
        made._connections.run = lambda unit, **_: unit("database")
        made._commit_request = lambda *arguments: self._written(arguments)
        made._produce = lambda _, found, config, result, began: self._made(found, config, result, began)
        self.request: Any = SimpleNamespace(id="r", config=options.get("config"), handler=options.get("handler"))

    def _made(self, found: Any, config: SpawnConfig, result: Any, began: datetime) -> Any:
        assert began == NOW
        self.given.append((found.name, config.max_spawn_count, result))
        if self.errors:
            raise self.errors.pop()
        return "operation", self.children

    def _written(self, arguments: Any) -> None:
        assert arguments == (self.attempt, self.request, "operation", self.children)
        self.calls.append("written")

    def _refuse(self, database: Any, request: Any, job: Any, text: str, now: datetime) -> None:
        assert (database, request, job.id) == ("database", self.request, "a")
        self.calls.append(("refused", now, text))

    def fulfil(self) -> list[Any]:
        """What was called."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "readable", lambda job, url: job._replace(trace_id=f"read by {url}"))
            patch.setattr(results, "texts", lambda _, jobs: {"a": '"7"'} if jobs == ["a"] else {})
            patch.setattr(requests, "refuse", self._refuse)
            self.spawner.fulfil(self.attempt, self.request)
        return self.calls


@each_row(
    ("options", "given"),
    [
        ({}, ("queue", 100, '"7"')),
        ({"config": '{"max_spawn_count": 3}'}, ("queue", 3, '"7"')),
        ({"handler": "other"}, ("other", 100, '"7"')),
        ({"handler": "other", "config": '{"handler": "queue", "max_spawn_count": 3}'}, ("other", 3, '"7"')),
        ({"config": '{"handler": "other"}'}, ("other", None, '"7"')),
        ({"default": 5}, ("queue", 5, '"7"')),
        ({"default": 5, "carried": 6}, ("queue", 6, '"7"')),
        ({"default": 5, "carried": 6, "config": '{"max_spawn_count": 3}'}, ("queue", 3, '"7"')),
    ],
)
def test_a_request_calls_the_handler_that_it_names_with_its_configuration_and_the_result_of_the_job(
    options: dict[str, Any], given: tuple[Any, ...]
) -> None:
    made = Fulfilling(**options)
    assert made.fulfil() == ["ready", "written", "announced"]
    assert made.given == [given]
    assert made.attempt.job.trace_id == "read by url"
    assert made.children._file is None


@each_row(
    ("options", "stops", "error", "refused"),
    [
        ({}, False, ValueError("7"), "ValueError: 7"),
        ({}, True, ValueError("7"), "ValueError: 7"),
        ({"can_kill": True}, False, ValueError("7"), "ValueError: 7"),
        ({"can_kill": True}, True, ValueError("7"), None),
        ({}, True, UnreachableError("Away."), None),
        ({}, False, UnreachableError("Away."), "UnreachableError: Away."),
        ({"names": ()}, False, None, "There is no spawn handler 'queue'."),
    ],
)
def test_a_request_that_fails_is_refused_unless_its_worker_stops_at_once(
    options: dict[str, Any],
    stops: bool,
    error: Exception | None,
    refused: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    made = Fulfilling(**options)
    made.errors = [error] if error else []
    if stops:
        made.stopped_at_once.set()
    called = made.fulfil()
    assert called[0] == "ready"
    if refused is None:
        assert called[1:] == []
    else:
        ((what, now, text),) = called[1:]
        assert (what, now) == ("refused", NOW)
        assert text.startswith(refused)
        first = text.partition("\n")[0]
        assert caplog.messages == [f"The spawn request for the job failed: {first}"]
