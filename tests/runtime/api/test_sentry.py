"""Sentry gets each error of a handler once, and no end that a handler wants."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Cancel, Discard, Handlers, Job, Queue, Retry, Snooze, Worker
from hammerwork_cli.contrib.sentry import instrument
from hammerwork_cli.runtime.outcomes.failures import first_line, spawn_failure
from tests.conftest import unavailable
from tests.runtime.conftest import Stage

try:
    import sentry_sdk
except ImportError:
    unavailable("sentry-sdk is missing: pip install sentry-sdk")

HOUR = timedelta(hours=1)
ENDS: dict[str, Exception] = {
    "retry": Retry(HOUR),
    "snooze": Snooze(HOUR),
    "discard": Discard("gone"),
    "cancel": Cancel("withdrawn"),
}
TRANSPORT = """
import json, sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

class ToFile(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            with open("events", "a") as file:
                print(json.dumps(event, default=str), file=file)

# The others change threads and frameworks for good, in the process of other tests.
sentry_sdk.init(
    dsn="http://key@localhost/1",
    transport=ToFile,
    integrations=[LoggingIntegration()],
    default_integrations=False,
    auto_enabling_integrations=False,
)
"""


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    exec(TRANSPORT, {})  # noqa: S102  processes run it as well
    yield lambda: [json.loads(line) for line in Path("events").read_text().splitlines()]
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)
    sentry_sdk.get_global_scope().clear()


def told(event: dict[str, Any]) -> tuple[str, Any, Any]:
    """The error of an event, its tags and where it was raised."""
    exception = event["exception"]["values"][-1]
    tags = {name: value for name, value in event.get("tags", {}).items() if name != "job_id"}
    return f"{exception['type']}: {exception['value']}", tags, exception["stacktrace"]["frames"][-1]["function"]


@pytest.mark.sqlite
def test_an_error_is_one_event_with_the_tags_of_its_job(lite: Stage, app: Handlers, events: Any) -> None:
    for _ in range(2):  # perhaps by two modules of the application
        instrument(app)

    @app.job("sync")
    def sync(job: Job) -> None:
        if job.payload in ENDS:
            raise ENDS[job.payload]
        raise OSError("disk full")

    @app.job("async")
    async def later(job: Job) -> None:
        sync(job)

    missing = KeyError("from a spawn handler")

    @app.spawn("spawns")
    def spawns(context: Any) -> list[Job]:
        raise missing

    jobs = lite.enqueue(*(Job(queue, max_attempts=1) for queue in ("sync", "async", "spawns")))
    lite.enqueue(*(Job(queue, end, max_attempts=1) for queue in ("sync", "async") for end in ENDS))
    lite.work(app, concurrency=1)
    found = events()
    assert sorted(map(told, found), key=lambda one: (one[0], str(one[1]))) == [
        ("OSError: disk full", {"queue": "async", "attempt": "1"}, "sync"),
        ("OSError: disk full", {"queue": "sync", "attempt": "1"}, "sync"),
        (f"SpawnFailedError: {spawn_failure(first_line(missing))}", {}, "_failing"),
    ]
    assert {event["tags"]["job_id"] for event in found if event.get("tags")} == {job.id for job in jobs[:2]}


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
def test_an_error_in_a_process_is_one_event_with_the_stack_of_the_process(lite: Stage, events: Any) -> None:
    module = f"""{TRANSPORT}
from hammerwork_cli import Handlers
from hammerwork_cli.contrib.sentry import instrument
app = Handlers()
instrument(app)

@app.job("fails")
def fails(job):
    raise OSError("disk full")
"""
    Path("fails_in_process.py").write_text(module)
    lite.enqueue(Job("fails", max_attempts=1))
    Worker(Queue(lite.url), "fails_in_process:app", isolation="process", concurrency=1, drain=True).run()
    assert [told(event) for event in events()] == [("OSError: disk full", {"queue": "fails", "attempt": "1"}, "fails")]
