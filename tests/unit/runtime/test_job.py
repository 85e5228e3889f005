"""Jobs as handlers make them and get them."""

import json
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from hammerwork_cli import Job, JobPriority, JobStatus, RetryStrategy, SpawnConfig
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.worker.queries.claim import Claimed
from tests.conftest import each_row

NOW = datetime(2026, 11, 24, 14, 18, 25, 393217, tzinfo=UTC)
PARENT = "0a8f5a9e-3c1c-4a3a-9a77-6f9d5a0f3a11"


def row(**columns: Any) -> Any:
    """A claimed row as a driver delivers it."""
    known = dict.fromkeys(Claimed._fields) | {
        "id": PARENT,
        "queue_name": "videos",
        "payload": '{"name": "東京"}',
        "status": "Running",
        "priority": 3,
        "attempts": 2,
        "max_attempts": 5,
        "created_at": "2026-11-24 14:18:25.393217+00",
        "scheduled_at": NOW.replace(tzinfo=None),
        "started_at": NOW,
        "depends_on": "{}",
        "trace_id": "trace-1",
        "recurring": False,
    }
    return SimpleNamespace(**(known | columns))


def sent_over(job: Job) -> Any:
    return pickle.loads(pickle.dumps(job))  # noqa: S301  our own


# Made by a handler.


def test_a_new_job_has_an_id_of_its_own_and_nothing_set():
    job = Job("resize", {"image": 1})
    assert job.id != Job("resize").id
    assert (job.priority, job.timeout, job.scheduled_at, job.dependencies) == (None, None, None, ())
    assert (job.max_attempts, job.status, job.attempts) == (3, JobStatus.PENDING, 0)


def test_an_id_is_a_random_uuid():
    from uuid import UUID

    made = [UUID(new_id()) for _ in range(1000)]
    assert {(one.version, one.variant) for one in made} == {(4, "specified in RFC 4122")}
    assert len(set(made)) == 1000
    assert {str(one)[19] for one in made} == set("89ab")


def test_builders_return_a_changed_copy_with_the_same_id():
    job = Job("resize", {"image": 1})
    changed = (
        job.with_priority(JobPriority.HIGH)
        .with_timeout(timedelta(minutes=5))
        .with_max_attempts(7)
        .with_delay(timedelta(seconds=30))
        .with_trace_id("t")
        .with_correlation_id("c")
        .with_result_ttl(timedelta(hours=1))
        .with_retry_strategy(RetryStrategy.fixed(timedelta(seconds=5)))
        .with_workflow("0A8F5A9E-3C1C-4A3A-9A77-6F9D5A0F3A11", "nightly")
    )
    assert changed.id == job.id
    assert (job.priority, job.timeout, job.max_attempts, job.delay, job.trace_id) == (None, None, 3, None, None)
    new = changed._new_job(NOW)
    assert (new.priority, new.timeout_seconds, new.max_attempts) == (JobPriority.HIGH, 300, 7)
    assert (new.created_at, new.scheduled_at) == (NOW, NOW + timedelta(seconds=30))
    assert (new.trace_id, new.correlation_id, new.result_ttl_seconds, new.result_storage) == (
        "t",
        "c",
        3600,
        "database",
    )
    assert (new.workflow_id, new.workflow_name) == (PARENT, "nightly")
    assert json.loads(new.retry_strategy or "") == {"type": "Fixed", "duration_ms": 5000}


@pytest.mark.parametrize("given", [JobPriority.CRITICAL, 4, "critical", "Critical"])
def test_a_priority_is_given_as_member_number_or_word(given):
    assert Job("q").with_priority(given).priority is JobPriority.CRITICAL


def test_priorities_have_short_names():
    job = Job("q")
    words = [made.priority.word for made in (job.as_critical(), job.as_high_priority(), job.as_low_priority())]
    assert [*words, job.as_background().priority.word] == ["critical", "high", "low", "background"]
    assert job.as_critical().with_priority(None).priority is None


@each_row(
    "wrong",
    [
        lambda job: job.with_priority(9),
        lambda job: job.with_priority("urgent"),
        lambda job: job.with_timeout(30),
        lambda job: job.with_delay(timedelta(seconds=-1)),
        lambda job: job.with_max_attempts(0),
        lambda job: job.with_retry_strategy("fixed"),
        lambda job: job.with_cron("every day"),
        lambda job: job.with_cron("0 0 0 * * *", "Europe/Atlantis"),
        lambda job: job.depends_on("not-an-id"),
        lambda job: job.depends_on(17),
        lambda job: job.with_workflow("nightly"),
        lambda job: job.with_spawn_handler(""),
        lambda _: SpawnConfig(max_spawn_count=-1),
        lambda job: job.with_result_ttl(timedelta(days=3_000_000)),
        lambda job: job.with_timeout(timedelta(days=30_000)),
        lambda job: job.with_delay(timedelta.max),
        lambda job: job.with_trace_id({"traceparent": "00-0af7"}),
        lambda job: job.with_trace_id("\x00"),
        lambda job: job.with_cron("0 0 0 1 1 * 2020")._new_job(NOW),
        lambda job: job.with_cron("0 0 0 31 2 *")._new_job(NOW),
        lambda _: Job("q", span_context={"traceparent": "00-0af7"}),
        lambda _: Job("q", workflow_id="nightly"),
        lambda _: Job("q", dependencies=("first",)),
        lambda _: Job("q", dependencies=17),
        lambda _: Job("q", priority="urgent"),
        lambda _: Job("q", priority=1.5),
        lambda _: Job("q", priority=1.0),
        lambda _: Job("q", priority=True),
        lambda _: Job("q", timeout=30),
        lambda _: Job("q", delay=timedelta(seconds=-1)),
        lambda _: Job("q", scheduled_at="tomorrow"),
        lambda _: Job("q", max_attempts=0),
        lambda _: Job("q", max_attempts=2.5),
        lambda _: Job("q", max_attempts=3.0),
        lambda _: Job("q", max_attempts=Decimal(3)),
        lambda _: Job("q", max_attempts=None),
        lambda _: Job("q", max_attempts=10**5000),
        lambda _: Job("q", result_max_size=-5),
        lambda _: Job("q", retry_strategy={"type": "Fixed"}),
        lambda _: Job("q", cron_schedule="every day"),
        lambda _: Job("q", cron_schedule=17),
        lambda _: Job("q", cron_schedule="@daily", timezone=17),
        lambda _: Job("q", id=b"0a8f5a9e"),
        lambda _: Job(""),
        lambda _: Job("\udce9"),
        lambda _: Job("a\x00b"),
        lambda _: Job({"queue": "q"}),
        lambda _: Job("q", ["a list"]).with_spawn_handler("name"),
        lambda _: Job("q", id="17"),
        lambda _: Job()._new_job(NOW),
        lambda _: Job(17),
        lambda _: Job("q", {"some": {1, 2}})._new_job(NOW),
        lambda _: Job("q", {NOW: 1})._new_job(NOW),
        lambda _: Job("q", b"bytes")._new_job(NOW),
        lambda _: Job("q", {"much": float("inf")})._new_job(NOW),
        lambda _: Job("q", {"half": "\ud800"})._new_job(NOW),
    ],
)
def test_impossible_values_are_refused_with_a_message(wrong):
    with pytest.raises(UsageError) as caught:
        wrong(Job("q"))
    assert caught.value.message


def test_keywords_are_read_as_the_builders_read_them():
    other, workflow, mine = Job("b"), uuid4(), uuid4()
    job = Job(
        "a",
        id=mine,
        priority="High",
        dependencies=[other, UUID(PARENT), other.id],
        scheduled_at=datetime(2026, 1, 1),
        workflow_id=workflow,
    )
    assert (job.id, job.priority, job.dependencies) == (str(mine), JobPriority.HIGH, (other.id, PARENT))
    assert (job.scheduled_at, job.workflow_id) == (datetime(2026, 1, 1, tzinfo=UTC), str(workflow))
    same = Job("a").with_priority("high").depends_on(other, UUID(PARENT)).with_workflow(workflow)
    assert (same.priority, same.dependencies, same.workflow_id) == (job.priority, job.dependencies, job.workflow_id)
    assert Job("a", dependencies=other).dependencies == (other.id,)


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: UUID
    placed: datetime
    items: "list[Order]"


def test_values_that_json_does_not_know_become_json_in_the_usual_way():
    id = UUID(PARENT)
    payload = {
        "instant": NOW,
        "naive": datetime(2026, 11, 24, 14, 18),
        "date": date(2026, 11, 24),
        "time": time(14, 18),
        "pause": timedelta(minutes=1, milliseconds=500),
        "id": id,
        "price": Decimal("12.50"),
        "enum": [Colour.RED, Size.BIG, JobStatus.PENDING],
        "point": Point(1, 2),
        "order": Order(id, NOW, [Order(id, NOW, [])]),
    }
    order = {"id": PARENT, "placed": "2026-11-24T14:18:25.393217+00:00"}
    assert json.loads(Job("q", payload)._new_job(NOW).payload) == {
        "instant": "2026-11-24T14:18:25.393217+00:00",
        "naive": "2026-11-24T14:18:00",
        "date": "2026-11-24",
        "time": "14:18:00",
        "pause": 60.5,
        "id": PARENT,
        "price": "12.50",
        "enum": ["red", 3, "Pending"],
        "point": [1, 2],
        "order": order | {"items": [order | {"items": []}]},
    }


@each_row("value", [{1, 2}, b"bytes", object(), 1 + 2j, Order, {UUID(PARENT): 1}])
def test_the_rest_is_refused_with_its_type(value):
    with pytest.raises(UsageError, match=r"JSON cannot hold this value: .+\."):
        Job("q", [value])._new_job(NOW)


@each_row(
    ("value", "said"),
    [
        ({"a": [{"b": {"c": {1}}}]}, "a value of type set has no place in it (in $.a[0].b.c). Give sorted(...)."),
        ([frozenset()], "a value of type frozenset has no place in it (in $[0]). Give sorted(...)."),
        ({"raw": b"x"}, "a value of type bytes has no place in it (in $.raw). Give its .hex()."),
        ((1, {2}), "a value of type set has no place in it (in $[1]). Give sorted(...)."),
        ({"ok": 1, "x": [1.5, float("nan")]}, "Out of range float values are not JSON compliant (in $.x[1])."),
        ({"x": {"half": "\ud800"}}, "it has text with half a character, a lone surrogate (in $.x.half)."),
        ({"x": {(1, 2): 3}}, "keys must be str, int, float, bool or None, not tuple (in $.x)."),
        (Order(UUID(PARENT), NOW, [{1}]), "a value of type set has no place in it (in $.items[0]). Give sorted(...)."),
        (
            {"next": [Job("q")]},
            "a value of type Job has no place in it (in $.next[0])."
            " Spawn it with context.spawn or from a spawn handler, or enqueue it and give its id.",
        ),
    ],
)
def test_where_a_payload_has_what_json_cannot_hold_is_said_and_what_to_do(value, said):
    with pytest.raises(UsageError) as caught:
        Job("q", value)._new_job(NOW)
    assert caught.value.message == f"JSON cannot hold this value: {said}"


def test_a_priority_is_a_word_or_a_number_and_another_word_is_answered_with_those_there_are():
    assert [Job("q").with_priority(given).priority for given in ("High", " 4 ", 0)] == [3, 4, 0]
    for given in ("urgent", "5", "-1", "9" * 5000):
        with pytest.raises(UsageError) as caught:
            Job("q").with_priority(given)
        assert str(caught.value).endswith(
            " is not a priority. One of: background, low, normal, high, critical (0 to 4)."
        )


def test_a_value_whose_own_code_fails_is_refused():
    class Broken(dict[str, int]):
        def __bool__(self) -> bool:
            raise KeyError("no")

        def items(self) -> Any:
            raise ZeroDivisionError

    value = Broken(a=1)
    with pytest.raises(UsageError, match="JSON cannot hold"):
        Job("q", [value])._new_job(NOW)


def test_a_payload_that_contains_itself_is_refused():
    payload: dict[str, Any] = {}
    payload["self"] = payload
    with pytest.raises(UsageError, match="JSON cannot hold"):
        Job("q", payload)._new_job(NOW)


def test_a_timeout_below_a_second_is_a_second_and_not_none():
    for seconds, stored in ((0.2, 1), (1.2, 2)):
        job = Job("q").with_timeout(timedelta(seconds=seconds))
        with pytest.warns(UserWarning, match=rf"stored in whole seconds: {seconds} s becomes {stored} s"):
            assert job._new_job(NOW).timeout_seconds == stored


def test_a_job_depends_on_jobs_and_ids_once_each():
    other = Job("a")
    job = Job("b").depends_on(other, PARENT.upper()).depends_on_jobs([other.id, other])
    assert job.dependencies == (other.id, PARENT)
    new = job._new_job(NOW)
    assert (new.depends_on, new.dependency_status) == ((other.id, PARENT), "waiting")
    assert Job("c")._new_job(NOW).dependency_status == "none"
    assert Job("d").depends_on_jobs(other).dependencies == (other.id,)


def test_a_delay_counts_from_when_the_job_is_written_and_the_later_of_two_times_wins():
    later = NOW + timedelta(hours=1)
    job = Job("q").with_scheduled_at(later)
    assert job._new_job(NOW).scheduled_at == later
    assert job.with_delay(timedelta(hours=2))._new_job(NOW).scheduled_at == NOW + timedelta(hours=2)
    assert job.with_delay(timedelta(minutes=2))._new_job(NOW).scheduled_at == later
    assert Job("q").with_scheduled_at(datetime(2026, 1, 1)).scheduled_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_recurring_job_first_runs_when_it_is_due():
    new = Job("q").with_cron("0 30 2 * * *", "Europe/Oslo")._new_job(NOW)
    due = datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
    assert (new.recurring, new.cron_schedule, new.timezone) == (True, "0 30 2 * * *", "Europe/Oslo")
    assert (new.scheduled_at, new.next_run_at) == (due, due)
    assert Job("q").with_cron("@daily")._new_job(NOW).timezone == "UTC"


# Spawn configuration in the payload.


def test_the_handler_named_first_stays_when_a_configuration_without_one_follows():
    job = (
        Job("large_dataset", {"dataset_id": "ds-123"})
        .with_spawn_handler("data_processor")
        .with_spawn_config(SpawnConfig(max_spawn_count=20, spawn_delay=timedelta(milliseconds=100)))
    )
    assert job.payload["dataset_id"] == "ds-123"
    config = job.spawn_config
    assert config is not None
    assert (config.handler, config.max_spawn_count, config._spawn_delay_ms) == ("data_processor", 20, 100)
    renamed = job.with_spawn_handler("other").spawn_config
    assert renamed is not None
    assert (renamed.handler, renamed.max_spawn_count) == ("other", 20)


def test_the_stored_configuration_has_what_rust_workers_insist_on():
    payload = json.loads(Job("q").with_spawn_handler("h")._new_job(NOW).payload)
    assert {
        "max_spawn_count",
        "inherit_priority",
        "inherit_retry_strategy",
        "inherit_timeout",
        "inherit_trace_context",
    } <= payload["_spawn_config"].keys()


def test_the_payload_that_was_given_is_not_changed():
    payload = {"a": 1}
    Job("q", payload).with_spawn_handler("h")
    assert payload == {"a": 1}


# Handed to a handler.


def test_a_claimed_row_is_read_when_it_is_asked_for():
    job = Job._of(row())
    assert (job.id, job.queue, job.payload) == (PARENT, "videos", {"name": "東京"})
    assert (job.priority, job.attempts, job.max_attempts, job.status) == (JobPriority.HIGH, 2, 5, "Running")
    assert (job.created_at, job.scheduled_at, job.started_at) == (NOW, NOW, NOW)
    assert (job.dependencies, job.timeout, job.trace_id, job.error) == ((), None, "trace-1", None)
    assert job.payload is job.payload


def test_nothing_of_a_claimed_row_is_parsed_before():
    job = Job._of(row(payload="no JSON", created_at="never", retry_strategy="no JSON"))
    assert job.created_at is None
    assert job.retry_strategy is None
    assert job.spawn_config is None
    with pytest.raises(ValueError, match="Expecting value"):
        assert job.payload


def test_durations_strategies_and_parents_are_read():
    job = Job._of(
        row(
            timeout_seconds=90,
            result_ttl_seconds=60,
            retry_strategy='{"type": "Fixed", "duration_ms": 5000}',
            depends_on=f'["{PARENT}"]',
            recurring=1,
            cron_schedule="@daily",
            priority=77,
        )
    )
    assert (job.timeout, job.result_ttl) == (timedelta(seconds=90), timedelta(minutes=1))
    assert job.retry_strategy == RetryStrategy.fixed(timedelta(seconds=5))
    assert (job.dependencies, job.recurring, job.priority) == ((PARENT,), True, JobPriority.NORMAL)


def test_the_spawn_configuration_of_a_claimed_row_is_read():
    job = Job._of(row(payload='{"_spawn_config": {"handler": "h", "max_spawn_count": 5}}'))
    config = job.spawn_config
    assert config is not None
    assert (config.handler, config.max_spawn_count) == ("h", 5)
    assert Job._of(row(payload='["_spawn_config"]')).spawn_config is None
    assert Job._of(row(payload=None)).spawn_config is None


def test_a_misspelt_attribute_is_an_error():
    for job in (Job("q"), Job._of(row())):
        with pytest.raises(AttributeError, match="prioritty"):
            assert job.prioritty  # type: ignore[attr-defined]


def test_a_claimed_job_can_be_changed_copied_and_sent_to_another_process():
    job = Job._of(row())
    assert job.with_priority("low").payload == job.payload
    sent = sent_over(job)
    assert (sent.id, sent.payload, sent.attempts) == (job.id, job.payload, 2)
    made = Job("q", {"a": 1}).depends_on(PARENT)
    assert sent_over(made).dependencies == (PARENT,)


def test_a_job_shows_its_queue_and_id_and_not_its_payload():
    assert repr(Job._of(row(payload='{"password": "geheim"}'))) == f"Job('videos', id='{PARENT}')"


def test_a_misspelt_key_of_a_spawn_configuration_is_refused_and_one_of_another_program_stays() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="Did you mean max_spawn_count"):
        Job("video").with_spawn_config(SpawnConfig(extra={"max_spawn": 3}))._new_job(now)
    stored = Job("video").with_spawn_config(SpawnConfig(extra={"of_another_program": 3}))._new_job(now)
    assert json.loads(stored.payload)["_spawn_config"]["of_another_program"] == 3


@dataclass
class Holding:
    part: Any


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({1: "a", "1": "b"}, "the keys 1 and '1' are the same in JSON."),
        ({"a": [{"true": 1, True: 2}]}, "the keys 'true' and True are the same in JSON (in $.a[0])."),
        (Holding({None: 1, "null": 2}), "the keys None and 'null' are the same in JSON (in $.part)."),
    ],
)
def test_keys_that_json_makes_one_are_refused_with_their_place(payload: Any, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Job("mail", payload)._new_job(NOW)
    assert refused.value.message == f"JSON cannot hold this value: {said}"
    assert json.loads(Job("mail", {1: "a", 1.5: "b", "x": [(1,), {2: 3}]})._new_job(NOW).payload)["1"] == "a"
