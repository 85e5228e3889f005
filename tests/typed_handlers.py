"""What type checkers see of typed payloads and of codecs: ``make check`` fails if they see something else."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_type

from pydantic import BaseModel

from hammerwork_cli import Codec, Compressed, Handlers, Job, Queue, SpawnConfig, SpawnContext, SpawnHandler, convert


@dataclass
class OrderPaid:
    order: int


class Receipt(BaseModel):
    total: float


app = Handlers()


@app.job("orders")
def paid(job: Job[OrderPaid], context: SpawnContext[OrderPaid]) -> Receipt:
    assert_type(job.payload, OrderPaid)
    assert_type(context.parent_job.payload, OrderPaid)
    assert_type(context.queue, Queue)
    assert_type(job.with_priority("high").payload, OrderPaid)
    assert_type(replace(job, queue="later"), Job[OrderPaid])
    job.payload.order += 1
    return Receipt(total=1)


@app.job("plain")
async def plain(job: Job, context: SpawnContext) -> None:
    assert_type(job.payload, Any)
    assert_type(context.parent_job.payload, Any)
    job.payload["x"] = 1


@app.spawn("orders")
def parcels(context: SpawnContext[OrderPaid]) -> Iterator[Job]:
    assert_type(convert(context.result, Receipt), Receipt)
    assert_type(convert([], list[Receipt]), list[Receipt])
    yield Job("parcels", {"order": context.parent_job.payload.order})


class Parcels(SpawnHandler):
    def validate_spawn(self, parent_job: Job[OrderPaid], config: SpawnConfig, /) -> None:
        assert_type(parent_job.payload.order, int)

    def spawn_jobs(self, context: SpawnContext[OrderPaid], /) -> list[Job]:
        return [context.parent_job]


@app.around
def logged(job: Job, context: SpawnContext, call: Any) -> Any:
    return call()


def enqueue(queue: Queue) -> list[Job]:
    job = Job("orders", OrderPaid(7))
    assert_type(job.payload, Any)
    typed: Job[OrderPaid] = Job("orders", OrderPaid(7))
    assert_type(typed.payload, OrderPaid)
    assert_type(Job[OrderPaid]("orders", OrderPaid(7)).payload, OrderPaid)
    jobs = [Job("plain", {"x": 1}), Job("plain", "text"), Job("plain"), job]
    jobs.append(typed)
    queue.enqueue_many([Job("plain", {"x": 1}), typed, *jobs])
    return [typed, queue.enqueue(typed)]


class Reversed:
    name = "reversed"

    def encode(self, data: bytes) -> bytes:
        return data[::-1]

    def decode(self, data: bytes) -> bytes:
        return data[::-1]


app.codec("orders", Reversed(), Compressed())
CODECS: dict[str, Codec] = {"orders": Reversed()}


def queues() -> list[Queue]:
    one: Codec = Compressed(9)
    return [
        Queue("sqlite:///jobs.db", codecs=CODECS),
        Queue("sqlite:///jobs.db", codecs={"orders": Reversed(), "others": [one, Reversed()]}),
        Queue("sqlite:///jobs.db", codecs=app.codecs),
    ]
