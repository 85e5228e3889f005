"""Limits of queues: how many of their jobs run at once and start within a period, over all workers of a database."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, UsageError, Worker
from hammerwork_cli.core.input.rates import Rate
from hammerwork_cli.database import connect
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import claim, limits
from hammerwork_cli.features.worker.queries.claim import ClaimedBatch
from hammerwork_cli.runtime.worker import claimer
from tests.conftest import all_databases, each_row
from tests.runtime.conftest import Stage, until

WORKER, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def claimed(
    stage: Stage, queue: str = "api", *, worker: str = WORKER, limit: int = 100, slots: int = 100, behind: bool = True
) -> ClaimedBatch:
    database = stage.database
    return claim.claim(database, queue, worker=worker, now=database.now(), limit=limit, slots=slots, behind=behind)


def tenants(batch: ClaimedBatch, stage: Stage) -> dict[str, int]:
    return dict(Counter(stage.queue.get(job.id).payload["tenant"] for job in batch))


def wait_of(batch: ClaimedBatch) -> float:
    """Seconds until the rate leaves room."""
    assert batch.no_room is not None
    assert batch.no_room.seconds is not None
    return batch.no_room.seconds


def of_tenants(names: str) -> list[Job]:
    return [Job("api", {"tenant": name}) for name in names]


class Handled:
    """What handlers of several workers have done at once."""

    def __init__(self, app: Handlers, *queues: str, seconds: float = 0.0) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.seconds, self._lock = seconds, threading.Lock()
        for queue in queues:
            app.register_job(queue, self)

    def __call__(self, job: Job) -> None:
        with self._lock:
            self.running[job.queue] += 1
            self.most[job.queue] = max(self.most[job.queue], self.running[job.queue])
        time.sleep(self.seconds)
        with self._lock:
            self.running[job.queue] -= 1


def run_together(stage: Stage, app: Handlers, number: int, **options: Any) -> None:
    workers = [Worker(stage.queue, app, drain=True, poll_interval=0.1, concurrency=4, **options) for _ in range(number)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def most_within(stage: Stage, period: float) -> int:
    """The most jobs that were claimed within any period of this length."""
    at = sorted(stage.timestamp(str(job), "claimed_at") for job, _ in stage.rows(where="queue_name = 'api'"))
    return max(sum(first <= other < first + timedelta(seconds=period) for other in at) for first in at)


# Concurrency.


@all_databases
def test_no_more_jobs_run_at_once_than_their_queue_may_over_all_workers(stage: Stage, app: Handlers) -> None:
    handled = Handled(app, "api", "mail", seconds=0.05)
    stage.queue.limit("api", concurrency=3)
    stage.enqueue(*(Job("api") for _ in range(16)), *(Job("mail") for _ in range(16)))
    run_together(stage, app, 4)
    assert handled.most["api"] == 3
    assert handled.most["mail"] > 3
    assert {status for _, status in stage.rows()} == {"Completed"}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_jobs_of_a_worker_that_was_killed_count_until_they_are_rescued(stage: Stage) -> None:
    stage.queue.limit("api", concurrency=2)
    stage.enqueue(*(Job("api") for _ in range(5)))
    held = multiprocessing.get_context("fork").Process(target=_claim_and_hang, args=(stage.url,))
    held.start()
    until(lambda: len(stage.rows(where="status = 'Running'")) == 2)
    assert held.pid is not None
    os.kill(held.pid, signal.SIGKILL)
    held.join()
    batch = claimed(stage, worker=OTHER)
    assert (len(batch), batch.no_room) == (0, limits.NoRoom(None))
    stage.execute("UPDATE hammerwork_jobs SET status = 'Pending' WHERE status = 'Running'")
    assert len(claimed(stage, worker=OTHER)) == 2


def _claim_and_hang(url: str) -> None:
    database = connect(Queue(url).url)
    claim.claim(database, "api", worker=WORKER, now=database.now(), limit=100, slots=100)
    time.sleep(600)


@all_databases
def test_jobs_of_a_limited_queue_are_not_claimed_ahead(stage: Stage) -> None:
    stage.queue.limit("api", concurrency=50)
    stage.enqueue(*(Job("api") for _ in range(9)))
    batch = claimed(stage, slots=3)
    assert (len(batch), batch.is_limited, batch.is_cut, batch.no_room) == (3, True, True, None)


def test_a_queue_without_room_holds_up_no_other(stage: Stage, app: Handlers) -> None:
    Handled(app, "api", "mail")
    stage.queue.limit("api", rate="1/h")
    stage.enqueue(*(Job("api") for _ in range(50)), *(Job("mail") for _ in range(300)))
    worker = Worker(stage.queue, app, max_jobs=301)
    started = time.monotonic()
    worker.run()
    assert time.monotonic() - started < 10
    assert len(stage.rows(where="queue_name = 'mail' AND status = 'Completed'")) == 300
    assert len(stage.rows(where="queue_name = 'api' AND status = 'Pending' AND attempts = 0")) == 49


def test_a_worker_claims_again_as_soon_as_its_own_jobs_leave_room(stage: Stage, app: Handlers) -> None:
    """Also if they are written while it looks for others, and finds no room."""
    Handled(app, "api")
    stage.queue.limit("api", concurrency=1, per="tenant")
    stage.enqueue(*of_tenants("abcdefghij" * 10))
    began = time.monotonic()
    Worker(stage.queue, app, drain=True, poll_interval=60, concurrency=10).run()
    assert time.monotonic() - began < 30
    assert {status for _, status in stage.rows()} == {"Completed"}


def test_a_worker_hears_soon_that_a_limit_was_removed(stage: Stage, app: Handlers) -> None:
    Handled(app, "api")
    stage.queue.limit("api", rate="1/h")
    stage.enqueue(Job("api"), Job("api"))
    worker = Worker(stage.queue, app, max_jobs=2, poll_interval=0.2)
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: len(stage.rows(where="status = 'Completed'")) == 1)
    time.sleep(0.3)
    assert len(stage.rows(where="status = 'Pending'")) == 1
    assert stage.queue.remove_limit("api")
    thread.join(10)
    assert not thread.is_alive()


# Rates.


@all_databases
def test_never_more_jobs_start_within_a_period_than_the_rate(stage: Stage, app: Handlers) -> None:
    Handled(app, "api")
    stage.queue.limit("api", rate="6/400ms")
    stage.enqueue(*(Job("api") for _ in range(18)))
    started = time.monotonic()
    run_together(stage, app, 3)
    took = time.monotonic() - started
    assert most_within(stage, 0.4) == 6
    assert took > 0.8


@pytest.mark.parametrize("rate", ["10/s", "5/2s", "3/100ms", "7/d"])
def test_a_start_counts_for_a_whole_period_and_hardly_longer(rate: str) -> None:
    parsed = Rate.parse(rate)
    for moment in (0, 1, 301, 999, 1000, 19_999, 20_000, 20_001, 86_399_999_999):
        at = datetime(2026, 11, 30, tzinfo=UTC) + timedelta(microseconds=moment)
        over = limits.counts_until(limits.slot_of(at, parsed), parsed) - at - parsed.period
        assert timedelta(0) <= over <= parsed.period / 100


@all_databases
def test_a_claim_that_read_the_clock_before_another_one_counts_its_starts(stage: Stage) -> None:
    stage.enqueue(*(Job("api") for _ in range(20)))
    stage.queue.limit("api", rate="4/s")
    (limit,) = limits.listed(stage.database)
    now = stage.database.now()
    assert len(claimed(stage)) == 4
    found = limits.recent_starts(stage.database, limit, [limits.SHARED], now - timedelta(milliseconds=300))
    assert sum(jobs for _, jobs in found[limits.SHARED]) == 4


@all_databases
def test_starts_are_counted_over_a_change_of_the_rate(stage: Stage) -> None:
    stage.enqueue(*(Job("api") for _ in range(20)))
    stage.queue.limit("api", rate="4/h")
    assert len(claimed(stage)) == 4
    batch = claimed(stage)
    assert len(batch) == 0
    assert 3500 < wait_of(batch) <= 3636
    stage.queue.limit("api", rate="6/h")
    assert len(claimed(stage)) == 2
    stage.queue.limit("api", rate="5/h")
    assert len(claimed(stage)) == 0


@all_databases
def test_starts_that_a_clock_ahead_has_recorded_do_not_count(stage: Stage) -> None:
    stage.enqueue(*(Job("api", {"tenant": "a"}) for _ in range(20)))
    for by in (None, "tenant"):
        stage.queue.limit("api", rate="4/h", per=by)
        assert len(claimed(stage)) == 4
        assert len(claimed(stage)) == 0
        ((starts,),) = stage.database.query("SELECT starts FROM hammerwork_limit_starts")
        later = str(starts).replace("[[1", "[[9")
        full = "full_until = '2999-01-01 00:00:00'" if by else "full_until = full_until"
        stage.execute(f"UPDATE hammerwork_limit_starts SET starts = '{later}', {full}")
        assert len(claimed(stage)) == 4


@all_databases
def test_two_claims_never_count_at_the_same_time(stage: Stage) -> None:
    stage.queue.limit("api", rate="9/h", concurrency=4)
    stage.enqueue(*(Job("api") for _ in range(90)))
    results: list[ClaimedBatch] = []

    def work() -> None:
        database = connect(stage.queue.url)
        how = {"worker": OTHER, "limit": 2, "slots": 2}
        results.extend([claim.claim(database, "api", now=database.now(), **how) for _ in range(10)])  # type: ignore[arg-type]
        database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(len, results)) == len(stage.rows(where="status = 'Running'")) == 4
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE status = 'Running'")
    assert len(claimed(stage)) == 4
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE status = 'Running'")
    assert len(claimed(stage)) == 1


# Values of payloads.


@all_databases
def test_each_value_of_a_key_has_its_own_limit(stage: Stage) -> None:
    stage.queue.limit("api", concurrency=2, rate="3/h", per="tenant")
    stage.enqueue(*of_tenants("aaaaaabbbbbbc"))
    assert tenants(claimed(stage), stage) == {"a": 2, "b": 2, "c": 1}
    assert tenants(claimed(stage), stage) == {}
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE status = 'Running'")
    batch = claimed(stage)
    assert tenants(batch, stage) == {"a": 1, "b": 1}
    assert wait_of(batch) > 3500


@all_databases
def test_many_jobs_of_one_value_do_not_keep_the_others_from_starting(stage: Stage) -> None:
    stage.queue.limit("api", concurrency=1, per="tenant")
    stage.enqueue(*of_tenants("a" * 300 + "b" * 300 + "cd"))
    assert list(tenants(claimed(stage, slots=3), stage).values()) == [1, 1, 1]


@all_databases
@pytest.mark.parametrize("terms", [{"concurrency": 1}, {"rate": "1/h"}])
def test_a_value_with_room_starts_within_two_polls_behind_five_thousand_without(
    stage: Stage, app: Handlers, terms: Any
) -> None:
    Handled(app, "api")
    names = [f"tenant {number:04}" for number in range(5000)]
    stage.queue.limit("api", per="tenant", **terms)
    stage.enqueue(*(Job("api", {"tenant": name}) for name in names))
    assert len(claimed(stage, limit=5000, slots=5000)) == 5000
    stage.enqueue(*(Job("api", {"tenant": name}) for name in names))
    worker = Worker(stage.queue, app, concurrency=4, max_jobs=1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        time.sleep(1)
        free = stage.queue.enqueue(Job("api", {"tenant": "free"}, priority="low"))
        until(lambda: stage.one(free) == "Completed", 10)
        # Two polls, and two seconds for a busy machine.
        assert (stage.timestamp(free, "started_at") - stage.timestamp(free, "scheduled_at")).total_seconds() < 4
    finally:
        worker.stop()
        thread.join()


@pytest.mark.sqlite
def test_behind_jobs_without_room_a_value_with_room_for_more_starts(lite: Stage) -> None:
    lite.queue.limit("api", concurrency=2, per="tenant")
    lite.enqueue(*of_tenants("aab"))
    assert tenants(claimed(lite), lite) == {"a": 2, "b": 1}
    lite.enqueue(*of_tenants("aaab"))
    assert tenants(claimed(lite, slots=1), lite) == {"b": 1}


@all_databases
def test_a_claim_that_may_not_look_behind_jobs_without_room_leaves_the_others(stage: Stage) -> None:
    stage.queue.limit("api", rate="1/h", per="tenant")
    stage.enqueue(*of_tenants("a" * 200), Job("api", {"tenant": "b"}, priority="low"))
    assert tenants(claimed(stage, slots=1), stage) == {"a": 1}
    batch = claimed(stage, slots=9, behind=False)
    assert (tenants(batch, stage), batch.no_room and batch.no_room.looked) == ({}, 0.0)
    batch = claimed(stage, slots=9)
    assert (tenants(batch, stage), batch.no_room and batch.no_room.looked > 0.0) == ({"b": 1}, True)


def test_a_worker_does_something_else_for_longer_than_it_looks_behind_jobs_without_room(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    original = limits.claim

    def counting(*arguments: Any, behind: bool) -> limits.Chosen:
        looks.append(behind)
        return original(*arguments, behind=behind)

    monkeypatch.setattr(limits, "claim", counting)
    monkeypatch.setattr(claimer, "LOOK_SHARE", 1_000_000)
    Handled(app, "api")
    lite.queue.limit("api", rate="1/h", per="tenant")
    lite.enqueue(*of_tenants("a" * 200))
    worker = Worker(lite.queue, app, poll_interval=0.01)
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: len(looks) > 5)
    worker.stop()
    thread.join()
    assert looks.count(True) == 1


@all_databases
def test_a_key_may_lie_within_another_and_have_any_value(stage: Stage) -> None:
    stage.queue.limit("api", concurrency=1, per="customer.id")
    values = ["a", "a ", "A", "ä", 5, 5.5, True, None, "", ["x"], {"y": 1}, "'; DROP TABLE x", "\u202e", "x" * 5000]
    jobs = [Job("api", {"customer": {"id": value}}) for value in values]
    without = [Job("api"), Job("api", {"customer": 1}), Job("api", [1]), Job("api", "text")]
    stage.enqueue(*jobs, *jobs_again(values), *without)
    first = claimed(stage)
    assert len(first) == len(values) - 1  # null and an empty text are no value, as if there was no key
    assert len(claimed(stage)) == 0


HOSTILE = ("a", "a ", " a", "A", "\u00e4", "a\u0308", "a\t", "'", "\\", "%", "a\u200b", "x" * 5000, "x" * 5001)
"""Texts that a comparison may take for another, or for SQL."""
ALIKE = (*((text, None) for text in HOSTILE), (True, "true"), (False, "false"), (1, "1"), (0, "0"), (5.5, "5.5"))
"""Values of a key, with the text that has the same limit."""


@all_databases
@pytest.mark.parametrize("terms", [{"concurrency": 1}, {"rate": "1/h"}])
def test_values_of_a_key_compare_alike_on_every_database(stage: Stage, terms: Any) -> None:
    stage.queue.limit("api", per="tenant", **terms)
    for value, text in ALIKE:
        # Those before have no room by now, and stand in front.
        stage.enqueue(*(Job("api", {"tenant": same}) for same in (value, value if text is None else text)))
        started = [stage.queue.get(job.id).payload["tenant"] for job in claimed(stage, slots=1)]
        assert started in ([value], [text]), value
        assert len(claimed(stage, slots=1)) == 0, value


def jobs_again(values: list[Any]) -> list[Job]:
    return [Job("api", {"customer": {"id": value}}) for value in values]


# Limits of one worker, and those of an application.


def test_a_worker_may_have_a_limit_of_its_own_for_each_queue(stage: Stage, app: Handlers) -> None:
    handled = Handled(app, "api", "mail", seconds=0.01)
    stage.enqueue(*(Job("api") for _ in range(12)), *(Job("mail") for _ in range(24)))
    run_together(stage, app, 1, queues={"api": 1, "mail": 4})
    assert (handled.most["api"], handled.most["mail"]) in {(1, 3), (1, 4)}
    with pytest.raises(UsageError, match="queues\\['api'\\] must be a whole number"):
        Worker(stage.queue, app, queues={"api": 0})


def test_a_worker_writes_the_limits_that_its_application_declares(lite: Stage, app: Handlers, caplog: Any) -> None:
    Handled(app, "api", "mail")
    app.limit("api", concurrency=2, rate="10/s", per="tenant")
    app.limit("mail", rate="5/m")
    lite.queue.limit("mail", rate="7/m")
    lite.work(app)
    found = {limit.queue: (str(limit), limit.changed_by) for limit in limits.listed(lite.database)}
    assert found["api"] == ("2 at once, 10/s per tenant", "code")
    assert found["mail"][0] == "7/m"
    assert "The queue mail is limited to 7/m by" in caplog.text
    with pytest.raises(UsageError, match="There is already a limit of 'api'"):
        app.limit("api", concurrency=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10/s", "10/s"),
        ("100 / minute", "100/m"),
        ("5/30s", "5/30s"),
        ("1/1.5h", "1/90m"),
        ("3/250ms", "3/250ms"),
        ("7/day", "7/d"),
        ("7/90", "7/90s"),
    ],
)
def test_a_rate_is_read_and_said(text: str, said: str) -> None:
    limit = QueueLimit.of("api", rate=text)
    assert str(limit) == said
    assert QueueLimit.of("api", rate=said).rate == limit.rate


@each_row("text", ["", "10", "/s", "0/s", "1/0s", "1/10ms", "1/40d", "x/s", "-1/s", "1/s/s", "1e3/s"])
def test_other_texts_are_no_rates(text: str) -> None:
    with pytest.raises(UsageError):
        QueueLimit.of("api", rate=text)


def test_a_limit_has_a_concurrency_or_a_rate_and_a_key_that_can_be_one() -> None:
    for wrong in ({}, {"concurrency": 0}, {"concurrency": True}, {"rate": 5}, {"rate": "1/s", "per": 'a"b'}):
        with pytest.raises(UsageError):
            QueueLimit.of("api", **wrong)  # type: ignore[arg-type]
    for by in ("", "a..b", ".a", "a\\", "x" * 300):
        with pytest.raises(UsageError):
            QueueLimit.of("api", concurrency=1, per=by)


@pytest.mark.sqlite
def test_a_limit_for_a_queue_that_is_almost_one_with_a_handler_is_mentioned(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    app.limit("nooop", concurrency=1)
    app.limit("of another application", concurrency=1)
    lite.work(app)
    said = [record.message for record in caplog.records if "has a limit" in record.message]
    assert said == ["No handler is registered for the queue 'nooop', which has a limit. Did you mean noop?"]


def test_a_change_of_a_limit_that_keeps_its_rate_keeps_what_is_known_of_values_without_room(lite: Stage) -> None:
    """Without it, a claim finds only so many of them before it gives up."""
    full = "abcdefghijkl"
    assert len(full) > limits.MOST_LOOKS
    lite.queue.limit("api", rate="1/h", per="tenant")
    lite.enqueue(*of_tenants(full * 2), Job("api", {"tenant": "z"}, priority="low"))
    assert len(claimed(lite, slots=len(full))) == len(full)
    lite.queue.limit("api", rate="1/h", per="tenant", concurrency=9)
    assert tenants(claimed(lite, slots=1), lite) == {"z": 1}


def test_a_claim_counts_for_the_limit_of_its_own_queue_alone(lite: Stage) -> None:
    for queue in ("api", "mail"):
        lite.queue.limit(queue, concurrency=5)
    lite.enqueue(Job("api"), Job("mail"))
    assert len(claimed(lite)) == 1
    claims = dict(lite.database.query("SELECT queue_name, claims FROM hammerwork_queue_limits"))
    assert claims == {"api": 1, "mail": 0}


def test_whoever_asks_about_some_jobs_hears_of_no_others_without_room(lite: Stage) -> None:
    limit = QueueLimit.of("api", rate="1/h", per="tenant")
    lite.queue.limit("api", rate="1/h", per="tenant")
    _, one, _, other, _ = (job.id for job in lite.enqueue(*of_tenants("aaab"), Job("mail", {"tenant": "a"})))
    assert limits.without_room(lite.database, limit, [one, other], lite.database.now()) == set()
    assert len(claimed(lite, slots=1)) == 1
    assert limits.without_room(lite.database, limit, [one, other], lite.database.now()) == {one}


@pytest.mark.parametrize("by", [None, "tenant"])
def test_the_limits_of_two_queues_know_nothing_of_each_other(lite: Stage, by: str | None) -> None:
    lite.queue.limit("api", concurrency=1, rate="1/h", per=by)
    lite.queue.limit("mail", concurrency=2, rate="2/h", per=by)
    lite.enqueue(*(Job(queue, {"tenant": "a"}) for queue in ("api", "mail") for _ in range(4)))
    assert [len(claimed(lite, queue)) for queue in ("api", "mail", "api", "mail")] == [1, 2, 0, 0]
    lite.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE status = 'Running'")
    assert [len(claimed(lite, queue)) for queue in ("api", "mail")] == [0, 0]
    lite.queue.limit("mail", rate="3/h", per=by)
    full = "SELECT full_until IS NOT NULL FROM hammerwork_limit_starts WHERE queue_name = 'api'"
    assert lite.database.query(full) == [(1,)]
    lite.queue.remove_limit("mail")
    assert [len(claimed(lite, queue)) for queue in ("api", "mail")] == [0, 2]


def test_each_value_keeps_its_starts_when_others_start(lite: Stage) -> None:
    lite.queue.limit("api", rate="1/h", per="tenant")
    lite.enqueue(*of_tenants("aabb"))
    assert [tenants(claimed(lite, slots=1), lite) for _ in range(3)] == [{"a": 1}, {"b": 1}, {}]


def test_a_value_that_has_room_again_starts_behind_jobs_of_one_without(lite: Stage) -> None:
    for queue in ("mail", "api"):
        lite.queue.limit(queue, rate="1/h", per="tenant")
    lite.enqueue(*of_tenants("z" * 9))
    for change in (
        lambda: None,
        lambda: lite.queue.limit("api", rate="2/h", per="tenant"),
        lambda: lite.execute("UPDATE hammerwork_limit_starts SET starts = '[]', full_until = '2020-01-01 00:00:00'"),
        lambda: lite.execute("UPDATE hammerwork_limit_starts SET starts = '[]', full_until = '2999-01-01 00:00:00'"),
    ):
        change()
        for queue in ("mail", "api"):
            lite.enqueue(Job(queue, {"tenant": "a"}))
        claimed(lite, "mail")
        assert "a" in {name for _ in range(3) for name in tenants(claimed(lite, slots=1), lite)}


@pytest.mark.parametrize("terms", [{"concurrency": 1}, {"rate": "1/h"}])
def test_a_value_without_room_or_waiting_jobs_lets_the_others_start_at_once(lite: Stage, terms: Any) -> None:
    lite.queue.limit("api", per="tenant", **terms)
    for name in "ab":
        lite.enqueue(*of_tenants(name))
        batch = claimed(lite)
        assert (tenants(batch, lite), batch.no_room) == ({name: 1}, None)


@pytest.mark.parametrize("by", [None, "tenant"])
def test_a_claim_that_leaves_no_job_behind_does_not_say_that_there_is_no_room(lite: Stage, by: str | None) -> None:
    lite.queue.limit("api", concurrency=4, per=by)
    for jobs, slots, left in ((1, 100, False), (3, 2, True), (0, 100, False), (1, 100, True)):
        lite.enqueue(*of_tenants("a" * jobs))
        batch = claimed(lite, slots=slots)
        assert (batch.is_cut, batch.no_room) == (
            (True, None) if slots == 2 else (False, limits.NoRoom(None) if left else None)
        )


def test_one_of_many_claims_forgets_the_starts_of_its_queue_that_count_no_longer(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TIDY_CLAIMS", 2)
    for queue in ("api", "mail"):
        lite.queue.limit(queue, rate="9/h", per="tenant")
        lite.enqueue(Job(queue, {"tenant": "a"}))
        claimed(lite, queue)
    left = []
    for name in "bcd":
        lite.execute("UPDATE hammerwork_limit_starts SET ends_at = '2020-01-01 00:00:00' WHERE limit_key = 'a'")
        lite.enqueue(*of_tenants(name))
        claimed(lite)
        left.append(lite.database.query("SELECT queue_name, limit_key FROM hammerwork_limit_starts ORDER BY 1, 2"))
    kept = [("api", "b"), ("api", "c")]
    assert left == [
        [("api", "a"), ("api", "b"), ("mail", "a")],
        [*kept, ("mail", "a")],
        [*kept, ("api", "d"), ("mail", "a")],
    ]


def test_a_claim_says_when_the_first_value_without_room_gets_some(lite: Stage) -> None:
    lite.queue.limit("api", rate="1/h", per="tenant")
    lite.enqueue(*of_tenants("aabb"))
    batch = claimed(lite)
    assert tenants(batch, lite) == {"a": 1, "b": 1}
    assert 3500 < wait_of(batch) <= 3636
    earlier = int((lite.database.now() - timedelta(minutes=30)).timestamp() * 1000)
    lite.execute(f"UPDATE hammerwork_limit_starts SET starts = '[[{earlier}, 1]]' WHERE limit_key = 'b'")
    batch = claimed(lite)
    assert (tenants(batch, lite), 1700 < wait_of(batch) <= 1800) == ({}, True)
    lite.queue.limit("mail", rate="1/100ms")
    lite.enqueue(Job("mail"), Job("mail"))
    assert wait_of(claimed(lite, "mail")) < 0.2
