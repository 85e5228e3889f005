"""Jobs carry the context of a span through the database, and OpenTelemetry's own exporter sees one trace."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import AsyncQueue, Handlers, Job, Queue, SpawnContext, UsageError, Worker, statement
from hammerwork_cli.contrib.opentelemetry import instrument
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.runtime.api import tracing
from hammerwork_cli.testing import run
from tests.conftest import unavailable
from tests.runtime.conftest import Stage

try:
    from opentelemetry import baggage, trace
    from opentelemetry.context import attach, detach
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind, StatusCode
except ImportError:
    unavailable("opentelemetry-sdk is missing: pip install opentelemetry-sdk")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def traced(app: Handlers, provider: TracerProvider) -> Iterator[Handlers]:
    for _ in range(2):  # perhaps by two modules of the application
        instrument(app, tracer_provider=provider)
    yield app
    tracing.carrier_of_present_span = None


def by_name(exporter: InMemorySpanExporter) -> dict[str, Any]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_job_keeps_of_the_headers_of_a_request_what_names_its_span() -> None:
    headers = {"Traceparent": PARENT, "tracestate": "a=1", "authorization": "secret", "baggage": "user=7"}
    job = Job("mail").with_trace(headers)
    assert (job.trace_id, job.parent_span_id) == (TRACE, SPAN)
    assert job.carrier == {"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=7"}
    assert "secret" not in (job.span_context or "")
    for useless in ({}, {"traceparent": "00-zz-1-01"}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, {"baggage": "a=1"}):
        assert Job("mail").with_trace(useless).carrier == {}
    with pytest.raises(UsageError, match="A carrier must be a mapping"):
        Job("mail").with_trace("00-1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "parent"),
    [
        ({"trace_id": TRACE, "parent_span_id": SPAN}, PARENT),
        (
            {
                "trace_id": TRACE,
                "parent_span_id": SPAN,
                "span_context": f"trace_id={TRACE};span_id={SPAN};trace_flags=TraceFlags(0)",
            },
            PARENT[:-1] + "0",
        ),
        ({"trace_id": f"trace-{TRACE}", "parent_span_id": SPAN}, None),
        ({"trace_id": TRACE}, None),
        ({"trace_id": TRACE, "parent_span_id": SPAN, "span_context": '{"traceparent": 7}'}, PARENT),
        ({"trace_id": TRACE, "parent_span_id": SPAN, "span_context": "[" * 100_000}, PARENT),
    ],
)
def test_a_job_of_hammerwork_for_rust_names_its_span_by_its_columns(
    columns: dict[str, str], parent: str | None
) -> None:
    assert Job("mail", **columns).carrier == ({"traceparent": parent} if parent else {})  # type: ignore[arg-type]


@pytest.mark.sqlite
def test_a_program_a_run_and_the_runs_of_its_children_are_one_trace(
    lite: Stage, traced: Handlers, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    @traced.job("order")
    def order(job: Job, context: SpawnContext) -> str:
        context.spawn(Job("early"), key="early")
        context.queue.enqueue(Job("mail"))
        return str(baggage.get_baggage("user"))

    @traced.spawn("order")
    def spawns(context: SpawnContext) -> Iterator[Job]:
        yield Job("late")

    for queue in ("early", "late", "mail"):
        traced.register_job(queue, lambda _: None)
    token = attach(baggage.set_baggage("user", "ada"))
    with provider.get_tracer("web").start_as_current_span("request"):
        (job,) = lite.enqueue(Job("order", correlation_id="order-7", max_attempts=2))
    detach(token)
    assert lite.work(traced).completed == 4
    assert lite.queue.get(job).result == "ada"
    spans = by_name(exporter)
    assert len({span.context.trace_id for span in spans.values()}) == 1
    request, run_of = spans["request"], {name: spans[f"process {name}"] for name in ("order", "early", "late", "mail")}
    assert run_of["order"].parent.span_id == request.context.span_id
    assert {span.parent.span_id for name, span in run_of.items() if name != "order"} == {
        run_of["order"].context.span_id
    }
    assert all([link.context.span_id for link in span.links] == [span.parent.span_id] for span in run_of.values())
    assert run_of["order"].kind == SpanKind.CONSUMER
    assert dict(run_of["order"].attributes) == {
        "messaging.system": "hammerwork",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "order",
        "messaging.message.id": job.id,
        "messaging.message.conversation_id": "order-7",
        "hammerwork.job.attempt": 1,
        "hammerwork.job.max_attempts": 2,
    }


@pytest.mark.sqlite
def test_each_way_to_enqueue_stores_the_present_span_unless_the_job_has_a_trace(
    lite: Stage, traced: Handlers, provider: TracerProvider
) -> None:
    own = Job("noop").with_trace({"traceparent": PARENT})

    async def enqueue() -> Job:
        async with AsyncQueue(lite.url) as queue:
            return await queue.enqueue(Job("noop"))

    with provider.get_tracer("web").start_as_current_span("request") as span:
        jobs = [lite.queue.enqueue(Job("noop")), *lite.queue.enqueue_many([Job("noop"), own])]
        jobs.append(asyncio.run(enqueue()))
        with lite.queue.transaction() as transaction:
            jobs.append(transaction.enqueue(Job("noop")))
        sent = statement(Job("noop"), "sqlite")
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    stored = [lite.queue.get(job).trace_id for job in jobs]
    assert stored == [trace_id, trace_id, TRACE, trace_id, trace_id]
    assert trace_id in sent[1]
    assert lite.queue.get(lite.queue.enqueue(Job("noop"))).trace_id is None


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_failed_run_has_its_error_and_an_end_that_the_handler_wants_has_its_name(
    kind: str, traced: Handlers, exporter: InMemorySpanExporter
) -> None:
    from hammerwork_cli import Cancel, Discard, Retry, Snooze

    hour = timedelta(hours=1)
    ends: dict[str, Exception] = {
        "error": OSError("disk full"),
        "retry": Retry(hour, "busy"),
        "discard": Discard("gone"),
        "snooze": Snooze(hour),
        "cancel": Cancel("withdrawn"),
    }

    @traced.job("sync")
    def sync(job: Job) -> None:
        raise ends[job.payload]

    @traced.job("async")
    async def later(job: Job) -> None:
        sync(job)

    found = {}
    for end in ends:
        run(traced, Job(kind, end))
        (span,) = exporter.get_finished_spans()
        exporter.clear()
        attributes = span.attributes or {}
        found[end] = (
            span.status.status_code,
            span.status.description,
            attributes.get("error.type"),
            attributes.get("hammerwork.job.outcome"),
            [event.name for event in span.events],
        )
    assert found == {
        "error": (StatusCode.ERROR, "disk full", "OSError", None, ["exception"]),
        "retry": (StatusCode.ERROR, "busy", "Retry", "retry", []),
        "discard": (StatusCode.ERROR, "gone", "Discard", "discard", []),
        "snooze": (StatusCode.UNSET, None, None, "snooze", []),
        "cancel": (StatusCode.UNSET, None, None, "cancel", []),
    }


MODULE = """
import json
from hammerwork_cli import Handlers, Job
from hammerwork_cli.contrib.opentelemetry import instrument
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

class ToFile(SpanExporter):
    def export(self, spans):
        with open("spans", "a") as file:
            for span in spans:
                print(json.dumps([span.name, span.context.span_id, span.parent and span.parent.span_id]), file=file)

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=600_000))
app = Handlers()
instrument(app, tracer_provider=provider)

@app.job("order")
def order(job, context):
    context.spawn(Job("early"), key="early")

@app.spawn("order")
def spawns(context):
    yield Job("late")

@app.job("early")
async def early(job): pass

app.register_job("late", lambda job: None)
"""


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
def test_processes_send_their_spans_at_their_end_and_belong_to_the_same_trace(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spans_of_processes.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    lite.enqueue(Job("order").with_trace({"traceparent": PARENT}))
    worker = Worker(Queue(lite.url), "spans_of_processes:app", isolation="process", concurrency=1, drain=True)
    tracing.carrier_of_present_span = None
    assert worker.run().completed == 3
    spans = [json.loads(line) for line in (tmp_path / "spans").read_text().splitlines()]
    parents = {name: parent for name, _, parent in spans}
    order = next(span for name, span, _ in spans if name == "process order")
    assert parents == {"process order": int(SPAN, 16), "process early": order, "process late": order}


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, app: Handlers) -> None:
    import sys

    from hammerwork_cli.contrib import sentry

    for name in ("hammerwork_cli.contrib.spans", "hammerwork_cli.contrib.reports"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(name, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    for function, extra in ((instrument, "opentelemetry"), (sentry.instrument, "sentry")):
        with pytest.raises(ConfigError, match="is not installed") as raised:
            function(app)
        assert f"hammerwork-cli[{extra}]" in str(raised.value.hint)
