"""Payloads and results as the dataclasses and pydantic models that the annotations of handlers name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

from hammerwork_cli import (
    EncryptionKeys,
    Handlers,
    Job,
    Queue,
    SpawnConfig,
    SpawnContext,
    SpawnHandler,
    UsageError,
    Worker,
    convert,
    statement,
)
from hammerwork_cli.testing import run
from tests.conftest import each_row
from tests.rows import START
from tests.runtime.conftest import Stage

if TYPE_CHECKING:
    Missing = dict[str, int]


@dataclass
class Line:
    sku: str
    price: float


@dataclass
class OrderPaid:
    order: int
    lines: list[Line]
    at: datetime = START


class Receipt(pydantic.BaseModel):
    total: float
    at: datetime


ORDER = OrderPaid(7, [Line("ink", 2.5), Line("pen", 1)])
STORED = {
    "order": 7,
    "lines": [{"sku": "ink", "price": 2.5}, {"sku": "pen", "price": 1}],
    "at": "2026-11-24T14:00:00+00:00",
}


def receipt(order: OrderPaid) -> Receipt:
    return Receipt(total=sum(line.price for line in order.lines), at=order.at)


@pytest.fixture
def shop() -> Handlers:
    shop = Handlers()

    @shop.job("orders")
    def paid(job: Job[OrderPaid], context: SpawnContext) -> Receipt:
        assert context.parent_job.payload is job.payload
        order = job.payload
        order.lines.append(Line("nobody sees it", 100))
        context.spawn(Job("receipts", receipt(replace(order, lines=order.lines[:2]))), key="receipt")
        return receipt(replace(order, lines=order.lines[:2]))

    @shop.spawn("orders")
    def parcels(context: SpawnContext[OrderPaid]) -> Iterator[Job]:
        assert convert(context.result, Receipt).total == 3.5
        for line in context.parent_job.payload.lines:
            yield Job("parcels", line)

    @shop.job("receipts")
    async def send(job: Job[Receipt]) -> float:
        return job.payload.total

    @shop.job("parcels")
    def pack(job: "Job[Line]") -> str:
        return job.payload.sku

    return shop


def test_a_payload_is_read_as_the_handler_names_it_and_a_result_is_written(stage: Stage, shop: Handlers) -> None:
    (job,) = stage.enqueue(Job("orders", ORDER).with_spawn_config(SpawnConfig(max_spawn_count=5)))
    assert stage.work(shop).failed == 0
    stored = stage.queue.get(job)
    assert stored.payload == STORED
    assert convert(stored.payload, OrderPaid) == ORDER
    assert convert(stored.result, Receipt) == receipt(ORDER)
    children = sorted((str(child.queue), child.result) for child in stage.queue.children(job))
    assert children == [("parcels", "ink"), ("parcels", "pen"), ("receipts", 3.5)]


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_another_payload_fails_the_job_for_good_and_the_error_names_the_field(
    lite: Stage, application: Path, isolation: str
) -> None:
    (application / "typed_shop.py").write_text(HANDLERS)
    wrong = {**STORED, "lines": [{"sku": "ink", "price": 1}, {"sku": "pen", "price": "SECRET"}]}
    jobs = lite.enqueue(Job("orders", wrong), Job("receipts", {"at": "SECRET", "total": 1}), Job("spawns", wrong))
    fine = lite.enqueue(Job("orders", STORED), Job("receipts", {"at": "2026-11-24", "total": 1}), Job("spawns", STORED))
    # A newer program may have added a key.
    fine += lite.enqueue(Job("orders", {**STORED, "new": 1}))
    Worker(lite.queue, "typed_shop:app", isolation=isolation, drain=True, poll_interval=0.05, concurrency=2).run()
    assert [lite.one(job, "status, attempts") for job in jobs] == [("Dead", 1)] * 3
    errors = [lite.one(job, "error_message") for job in jobs]
    field = "lines[1].price must be a number, not text."
    assert errors[0] == f"The payload of the job is no OrderPaid: {field}"
    assert errors[1].startswith("The payload of the job is no Receipt: at is refused: Input should be a valid datetime")
    assert errors[2] == f"The payload of the job is no OrderPaid: {field} Nothing was spawned."
    assert "SECRET" not in "".join(errors)
    assert set(lite.status(*fine)) == {"Completed"}
    assert [child.payload for child in lite.queue.children(fine[0])] == STORED["lines"]


HANDLERS = """
from __future__ import annotations

from hammerwork_cli import Handlers, Job, SpawnContext

app = Handlers()

@app.job("orders")
def paid(job: Job[OrderPaid], context):
    @dataclass
    class Local(Line):  # which the worker cannot import
        pass

    for number, line in enumerate(job.payload.lines):
        local = Local(line.sku, line.price)
        assert context.spawn(Job("lines", local), key=str(number)).payload is local
    return job.payload.order

@app.job("receipts")
async def receipt(job: Job[Receipt]):
    return job.payload

@app.spawn("spawns")
def spawns(context: SpawnContext[OrderPaid]):
    for line in context.parent_job.payload.lines:
        yield Job("lines", line)

@app.job("lines")
def line(job: Alias):
    return job.payload.sku

# Handlers may come before the types of their payloads.
import pydantic
from dataclasses import dataclass
from datetime import datetime

@dataclass
class OrderPaid:
    order: int
    lines: list[Line]
    at: datetime

@dataclass
class Line:
    sku: str
    price: float

class Receipt(pydantic.BaseModel):
    total: float
    at: datetime

Alias = Job[Line]
"""


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_rehearsal_in_a_test_reads_payloads_as_a_worker_does(shop: Handlers) -> None:
    outcome = run(shop, Job("orders", ORDER))
    assert outcome.result == json.loads(receipt(ORDER).model_dump_json())
    assert [child.payload for child in outcome.children] == STORED["lines"]
    assert outcome.early["receipt"].payload["total"] == 3.5
    assert run(shop, Job("receipts", receipt(ORDER))).result == 3.5
    failed = run(shop, Job("orders", {"order": 7}))
    assert (failed.status, failed.error) == ("Dead", "The payload of the job is no OrderPaid: lines is missing.")


def test_a_function_for_the_pause_gets_the_payload_as_the_handler_does() -> None:
    app, included = Handlers(), Handlers()

    def pause(job: Job[OrderPaid], error: Exception) -> timedelta:
        return timedelta(seconds=job.payload.order)

    @app.job("orders", retry=pause)
    def paid(job: Job[OrderPaid]) -> None:
        raise ConnectionError("busy")

    included.include(app)
    assert [run(one, Job("orders", ORDER)).delay for one in (app, included)] == [timedelta(seconds=7)] * 2


class Parcels(SpawnHandler):
    def validate_spawn(self, parent_job: Job[OrderPaid], config: SpawnConfig, /) -> None:
        assert config.max_spawn_count == 9
        if not parent_job.payload.lines:
            raise ValueError("nothing to send")

    async def spawn_jobs(self, context: SpawnContext, /) -> list[Job]:  # type: ignore[override]
        return [Job("parcels", line) for line in context.parent_job.payload["lines"]]


def test_each_method_of_a_spawn_handler_names_its_own_type(shop: Handlers) -> None:
    shop.register_handler("parcels of a class", Parcels)
    config = SpawnConfig(handler="parcels of a class", max_spawn_count=9)
    job = Job("shipped", ORDER).with_spawn_config(config)
    assert [child.payload for child in run(shop, job).children] == STORED["lines"]
    refused = run(shop, Job("shipped", OrderPaid(8, [])).with_spawn_config(config))
    assert "validate_spawn of parcels of a class refused: nothing to send" in str(refused.error)
    wrong = run(shop, Job("shipped", {}).with_spawn_config(config))
    assert wrong.error == "The payload of the job is no OrderPaid: order is missing. Nothing was spawned."


def test_a_job_whose_payload_was_read_is_configured_copied_and_enqueued_again(lite: Stage) -> None:
    app, seen = Handlers(), []

    @app.job("orders")
    def paid(job: Job[OrderPaid], context: SpawnContext) -> None:
        seen.append(job.payload)
        assert job.spawn_config == SpawnConfig(max_spawn_count=3)
        same = context.queue.enqueue(job)
        changed = replace(job, id="", payload=replace(job.payload, order=8), queue="later").with_unique("8")
        config = job.spawn_config
        assert config is not None
        later = [context.queue.enqueue(one.with_spawn_config(config)) for one in (changed, replace(changed, id=""))]
        assert [same.created, *(one.created for one in later)] == [False, True, False]

    (job,) = lite.enqueue(Job("orders", ORDER).with_spawn_config(SpawnConfig(max_spawn_count=3)).with_priority("high"))
    lite.work(app)
    assert lite.one(job, "error_message") is None
    assert seen == [ORDER]
    ((payload, priority),) = lite.rows("payload, priority", "queue_name = 'later'")
    assert priority == lite.one(job, "priority")
    assert json.loads(payload) == {
        **STORED,
        "order": 8,
        "_spawn_config": json.loads(lite.one(job, "payload"))["_spawn_config"],
    }


def test_schedules_statements_and_encrypted_payloads_take_models(lite: Stage) -> None:
    app, seen = Handlers(), []

    @app.cron(timedelta(hours=1), payload=ORDER)
    def nightly(job: Job[OrderPaid], context: SpawnContext[OrderPaid]) -> None:
        seen.append((job.payload, context.scheduled_for is not None))

    assert json.loads(app._schedules["nightly"].payload) == STORED
    _, values = statement(Job("nightly", ORDER), "sqlite")
    assert json.dumps(STORED, separators=(",", ":")) in values
    keys = EncryptionKeys({"default": bytes(32)})
    with Queue(lite.url, encryption=keys) as queue:
        queue.enqueue_many(
            [
                Job("nightly", ORDER).with_encryption(),
                Job("nightly", {**STORED, "_schedule": {"due_at": "2026-11-30T09:00:00Z"}}).with_pii_fields("lines"),
            ]
        )
        Worker(queue, app, drain=True, poll_interval=0.05, concurrency=1, upkeep=False).run()
    assert sorted(seen, key=lambda one: one[1]) == [(ORDER, False), (ORDER, True)]


def _handlers(annotation: Any) -> Handlers:
    app = Handlers()

    def handler(job: Any) -> Any:
        return job.payload

    handler.__annotations__["job"] = annotation
    app.register_job("q", handler)
    return app


@each_row("annotation", [Job, "Job", Job[Any], "Any", "Unknown", "1 / 0", "Job[Any]", "hammerwork_cli.Job"])
def test_a_handler_that_names_no_type_gets_its_payload_as_json(annotation: Any) -> None:
    app = _handlers(annotation)
    app._check_payloads()
    assert run(app, Job("q", ORDER)).result == STORED


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ("Job[Missing]", "names the type of its payload, and Missing is not defined where the annotation is read."),
        (Job["Missing"], "names the type of its payload, and Missing is not defined where the annotation is read."),
        (Job[SimpleNamespace], "cannot get its payload. SimpleNamespace cannot be read from JSON."),
        ("Job[set[int]]", "cannot get its payload. set[int] cannot be read from JSON."),
    ],
)
def test_a_worker_does_not_start_if_a_handler_names_a_type_that_nothing_can_be_read_as(
    lite: Stage, annotation: Any, said: str
) -> None:
    (job,) = lite.enqueue(Job("q"))
    with pytest.raises(UsageError) as caught:
        lite.work(_handlers(annotation))
    assert caught.value.message == f"The handler of 'q' {said}"
    assert lite.status(job) == ["Pending"]


def test_decorated_functions_methods_and_objects_name_the_types_that_they_get() -> None:
    class Shop:
        def paid(self, job: Job[OrderPaid]) -> int:
            return job.payload.order

        def __call__(self, job: Job["OrderPaid"]) -> int:
            return job.payload.order

    for handler in (Shop().paid, Shop()):
        app = Handlers()
        app.register_job("q", handler)
        included = Handlers()
        included.include(app)
        assert run(included, Job("q", ORDER)).result == 7
