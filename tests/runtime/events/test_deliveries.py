"""Events arrive: workers deliver them to webhooks, and send them into streams, whatever happens on the way."""

import json
import logging
import os
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as StandardWebhook

from hammerwork_cli import Discard, Handlers, Job
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.streaming import queries as stored_streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.runtime import clock
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError
from hammerwork_cli.runtime.delivery.webhooks import verdicts
from hammerwork_cli.runtime.worker import deliveries, streams
from hammerwork_cli.runtime.worker.options import Options
from tests.allowing import ALL
from tests.conftest import all_databases
from tests.forks import Fork
from tests.rows import Rows
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.delivery.webhooks.receivers import Receiving, answer

Run = Callable[..., Any]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file of the secret with which `add` adds webhooks."""
    (tmp_path / "secret").write_text(SECRET)
    monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and looks come at once, and the host of the workers allows everything."""
    monkeypatch.setattr(Options, "allowed", ALL)
    monkeypatch.setattr(verdicts, "FIRST_PAUSE", timedelta(milliseconds=10))
    monkeypatch.setattr(deliveries, "BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(deliveries, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(streams, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(streams, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(clock, "PROVEN_SECONDS", 0.0)
    monkeypatch.setattr(events, "SECONDS", 0.1)


@pytest.fixture
def receiving() -> Iterator[Callable[..., Receiving]]:
    with ExitStack() as stack:
        yield lambda *scripts, **options: stack.enter_context(Receiving(*scripts, **options))


@pytest.fixture
def lite_crew(lite: Stage) -> Iterator[Crew]:
    made = Crew(lite)
    yield made
    made.end()


def give_up(_: Job) -> None:
    raise Discard("the printer is on fire")


def dying() -> Handlers:
    app = Handlers()
    app.register_job("dies", give_up)
    app.register_job("quick", lambda _: None)
    return app


def add(run: Run, stage: Stage, receiver: Receiving, *words: str, name: str = "chat") -> str:
    options = ("--allow-private", "--secret", f"@{os.environ['SECRET_FILE']}", "--timeout", "20s", *words)
    done = run("webhook", "add", "--name", name, "--url", receiver.url, *options, url=stage.url)
    assert done.exit_code == 0, done.stderr
    found: str = done.stdout.strip()
    return found


def shown(run: Run, stage: Stage, *words: str) -> Any:
    return run(*words, "--format", "json", url=stage.url).json


def statuses(stage: Stage) -> list[str]:
    return [status for (status,) in stage.rows("status", f"queue_name = '{DELIVERIES}'")]


# Webhooks.


def test_a_job_dies_and_a_receiver_can_prove_who_says_so(
    stage: Stage, crew: Crew, run: Run, receiving: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, "hammerwork")
    receiver = receiving(answer("200 OK", b"thanks"))
    (tmp_path / "token").write_text("t0ken-of-test")
    add(run, stage, receiver, "--events", "dead", "--auth-token", f"@{tmp_path / 'token'}")
    crew.begin(handlers=dying())
    (job,) = stage.enqueue(Job("dies"))
    until(lambda: receiver.arrived)
    arrived = receiver.arrived[0]
    event = StandardWebhook(SECRET).verify(arrived.body, dict(arrived.headers))
    assert (event["type"], event["data"]["id"], event["data"]["status"]) == ("job.dead", job.id, "Dead")
    assert "the printer is on fire" in event["data"]["error"]
    until(lambda: statuses(stage) == ["Completed"])
    (delivery,) = shown(run, stage, "webhook", "deliveries", "chat")
    assert delivery["job_id"] == arrived.headers["webhook-id"]
    assert (delivery["status"], delivery["http_status"], delivery["answer"]) == ("Completed", 200, "thanks")
    webhook = shown(run, stage, "webhook", "show", "chat")
    assert (webhook["delivered"], webhook["failed"], webhook["last_answer"]) == (1, 0, "200 thanks")
    assert (webhook["last_success_at"] is None, webhook["last_failure_at"]) == (False, None)
    everything = run("job", "show", delivery["job_id"], "--full", url=stage.url).stdout
    everything += str(stage.rows("payload, result_data, error_message")) + caplog.text
    assert "hammerwork-webhooks" in caplog.text
    assert "t0ken-of-test" not in everything
    assert SECRET.removeprefix("whsec_") not in everything


def test_a_refusal_of_the_signature_is_no_end_before_the_first_delivery(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any
) -> None:
    receiver = receiving(answer("401 No"), answer("401 No"), answer(), answer("401 No"))
    add(run, lite, receiver, "--events", "enqueued")
    lite_crew.begin(handlers=dying())
    lite.enqueue(Job("held"))
    until(lambda: statuses(lite) == ["Completed"])
    assert len(receiver.arrived) == 3
    lite.enqueue(Job("held"))
    until(lambda: sorted(statuses(lite)) == ["Completed", "Dead"])
    assert len(receiver.arrived) == 4


def test_a_receiver_that_fails_is_asked_again(lite: Stage, lite_crew: Crew, run: Run, receiving: Any) -> None:
    receiver = receiving(answer("500 Oops"), answer("429 Slower", Retry_After="0"), answer())
    add(run, lite, receiver)
    lite_crew.begin(handlers=dying())
    lite.enqueue(Job("dies"))
    until(lambda: statuses(lite) == ["Completed"])
    ids = {one.headers["webhook-id"] for one in receiver.arrived}
    assert (len(receiver.arrived), len(ids)) == (3, 1)
    webhook = shown(run, lite, "webhook", "show", "chat")
    assert (webhook["failing_since"], webhook["failed"]) == (None, 0)
    assert webhook["last_failure_at"] < webhook["last_success_at"]


def test_a_receiver_that_is_gone_or_refuses_is_not_asked_again(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any
) -> None:
    gone, refusing = receiving(answer("410 Gone")), receiving(answer("302 Found", Location="http://127.0.0.1:1/"))
    add(run, lite, gone)
    add(run, lite, refusing, name="moved")
    lite_crew.begin(handlers=dying())
    lite.enqueue(Job("dies"))
    until(lambda: statuses(lite) == ["Dead", "Dead"])
    found = {one["name"]: one for one in shown(run, lite, "webhook", "list")}
    assert (found["chat"]["enabled"], found["chat"]["failed"]) == (False, 1)
    assert found["chat"]["disabled_reason"] == "The receiver no longer wants deliveries (410 Gone)."
    assert (found["moved"]["enabled"], found["moved"]["last_answer"][:3]) == (True, "302")
    assert (len(gone.arrived), len(refusing.arrived)) == (1, 1)
    failed = [shown(run, lite, "webhook", "deliveries", name, "--failed")[0] for name in ("chat", "moved")]
    assert [(one["http_status"], one["answer"]) for one in failed] == [(410, ""), (302, "")]


def test_the_number_and_the_text_of_each_answer_are_listed(stage: Stage, crew: Crew, run: Run, receiving: Any) -> None:
    lines = {"no": "404 Not Found", "later": "500 Oops", "slow": "429 Slower", "yes": "200 OK"}
    for name, line in lines.items():
        add(run, stage, receiving(answer(line, f"said {name}\n2nd".encode(), Retry_After="3600")), name=name)
    with Receiving(answer()) as nobody:
        add(run, stage, nobody, name="nobody")

    def answered(name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = shown(run, stage, "webhook", "deliveries", name)
        return found[0] if found else {"answer": None}

    crew.begin(handlers=dying())
    stage.enqueue(Job("dies"))
    until(lambda: all(answered(name)["answer"] is not None for name in (*lines, "nobody")))
    assert {name: (answered(name)["http_status"], answered(name)["answer"]) for name in lines} == {
        name: (int(line[:3]), f"said {name}\n2nd") for name, line in lines.items()
    }
    assert answered("nobody")["http_status"] is None
    assert "accepts no connections" in answered("nobody")["answer"]
    table = run("webhook", "deliveries", "no", url=stage.url, env={"COLUMNS": "200"}).stdout
    assert "404 said no" in table
    assert "404 404" not in table


def test_health_warns_at_once_of_a_webhook_whose_variable_is_not_set(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = ("monitor", "health", "--only", "webhooks", "--strict")
    monkeypatch.delenv("HOOK_TOKEN", raising=False)
    receiver = receiving(answer("503 Busy"))
    add(run, lite, receiver, "--auth-token", "env:HOOK_TOKEN")
    add(run, lite, receiver, name="busy")
    lite_crew.begin(handlers=dying())
    lite.enqueue(Job("dies"))
    until(lambda: all(one["failing_since"] for one in shown(run, lite, "webhook", "list")))
    found = run(*health, url=lite.url)
    assert found.exit_code == 1
    assert "chat: has failed for" in found.stdout
    assert "busy: has failed for" in " ".join(found.stdout.split()), "it is named, but alone it would be healthy"
    (delivery,) = shown(run, lite, "webhook", "deliveries", "chat")
    assert delivery["answer"].startswith("Nothing was sent. The variable HOOK_TOKEN is not set.")


def test_the_log_names_the_webhook_that_did_not_take_an_event_and_shows_no_traceback(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    add(run, lite, receiving(answer("404 Not Found", b"no such hook")), name="wrong")
    add(run, lite, receiving(answer("429 Slower", b"wait", Retry_After="3600")), name="busy")
    add(run, lite, receiving(answer("410 Gone")), name="gone")
    with caplog.at_level(logging.WARNING, "hammerwork"):
        lite_crew.begin(handlers=dying())
        lite.enqueue(Job("dies"))
        until(lambda: sorted(statuses(lite)) == ["Dead", "Dead", "Pending"] and len(caplog.records) >= 5)
        lite_crew.end()
    about = [record for record in caplog.records if "webhook" in record.getMessage()]
    assert not [record for record in about if record.exc_info]
    lines = sorted((record.levelname, record.getMessage()) for record in about)
    assert [line for _, line in lines if "wrong" in line or "gone" in line] == [
        "The webhook gone did not accept job.dead, which is not sent again: 410",
        "The webhook gone is disabled: its receiver is gone.",
        "The webhook wrong did not accept job.dead, which is not sent again: 404 no such hook",
    ]
    (busy,) = [one for one in lines if "busy" in one[1]]
    assert busy[0] == "WARNING"
    assert busy[1].startswith("The webhook busy did not accept job.dead, which is sent again in ")
    assert busy[1].endswith(": 429 wait")
    assert not [
        record
        for record in caplog.records
        if "failed in attempt" in record.getMessage() and getattr(record, "queue", "") == DELIVERIES
    ]


def test_a_worker_that_drains_warns_of_what_it_leaves_to_be_sent(
    stage: Stage, crew: Crew, run: Run, receiving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream(new_id(), "lake", Backend.COMMAND, {"command": ["cat"]}, events=(EventType.JOB_COMPLETED,))

    def warned() -> list[str]:
        caplog.clear()
        stage.enqueue(Job("dies"), Job("quick"))
        stage.work(dying(), upkeep=False)
        said = [record.getMessage() for record in caplog.records if "No worker sends" in record.getMessage()]
        return [one.removeprefix("No worker sends events, and ").partition(".")[0] for one in said]

    assert warned() == []
    add(run, stage, receiving(answer()), "--events", "dead")
    assert warned() == ["1 delivery to webhooks waits"]
    stored_streams.add(stage.database, stream, by="ada", now=stage.database.now())
    assert warned() == ["2 deliveries to webhooks and events for the stream lake wait"]
    run("webhook", "disable", "chat", url=stage.url)
    assert warned() == ["events for the stream lake wait"]
    run("streaming", "disable", "lake", url=stage.url)
    assert warned() == []
    run("webhook", "enable", "chat", url=stage.url)
    crew.begin(handlers=dying())
    until(lambda: set(statuses(stage)) == {"Completed"})
    assert warned() == []


def test_a_delivery_waits_while_its_webhook_is_disabled_and_goes_on_once_it_is_enabled(
    stage: Stage, crew: Crew, run: Run, receiving: Any
) -> None:
    receiver = receiving(answer())
    add(run, stage, receiver, "--events", "dead")
    stage.enqueue(Job("dies"))
    stage.work(dying(), upkeep=False)
    assert statuses(stage) == ["Pending"]
    run("webhook", "disable", "chat", url=stage.url)
    other = receiving(answer())
    add(run, stage, other, name="other")
    crew.begin(handlers=dying())
    later = f"queue_name = '{DELIVERIES}' AND scheduled_at > created_at"
    until(lambda: len(stage.rows("id", later)) == 1)  # it was postponed, and no attempt was used
    assert not receiver.arrived
    run("webhook", "enable", "chat", url=stage.url)
    until(lambda: statuses(stage) == ["Completed"])
    assert len(receiver.arrived) == 1
    assert not other.arrived


EVENT = {"type": "job.dead", "timestamp": "2026-11-24T14:00:00Z", "data": {}}


def many(stage: Stage, webhook: str, number: int = 5000) -> None:
    rows = Rows(stage.database)
    with rows.at_once():
        for _ in range(number):
            rows.job(queue=DELIVERIES, status="Pending", payload={"webhook": webhook, "event": EVENT})


def attempted(stage: Stage) -> int:
    return len(stage.rows("id", f"queue_name = '{DELIVERIES}' AND started_at IS NOT NULL"))


@all_databases
@pytest.mark.parametrize("verb", ["disable", "remove"])
def test_thousands_of_deliveries_to_a_webhook_that_is_disabled_or_removed_rest_at_once(
    stage: Stage, crew: Crew, run: Run, receiving: Any, verb: str
) -> None:
    webhook = add(run, stage, receiving(answer()))
    many(stage, webhook)
    words = ("--yes",) if verb == "remove" else ()
    assert run("webhook", verb, "chat", *words, url=stage.url).exit_code == 0
    due = f"queue_name = '{DELIVERIES}' AND status = 'Pending' AND scheduled_at < '{stage.database.now():%Y-%m-%d}'"
    assert stage.rows("id", due) == []
    receiver = receiving(answer())
    other = add(run, stage, receiver, name="other")
    many(stage, other, 1)
    crew.begin(handlers=dying())
    until(lambda: receiver.arrived)
    assert attempted(stage) == 1
    if verb == "remove":
        assert statuses(stage).count("Failed") == 5000
        return
    run("webhook", "enable", "chat", url=stage.url)
    until(lambda: attempted(stage) > 10)


@all_databases
@pytest.mark.parametrize("verb", ["disable", "remove"])
def test_deliveries_that_were_written_after_their_webhook_was_disabled_or_removed_rest_after_the_first_attempt(
    stage: Stage, crew: Crew, run: Run, receiving: Any, verb: str
) -> None:
    receiver = receiving(answer())
    webhook = add(run, stage, receiver)
    run("webhook", verb, "chat", *(("--yes",) if verb == "remove" else ()), url=stage.url)
    many(stage, webhook)
    add(run, stage, receiving(answer()), name="other")
    crew.begin(handlers=dying())
    rests = "status = 'Failed'" if verb == "remove" else f"scheduled_at > '{stage.database.now():%Y-%m-%d %H:%M:%S}'"
    until(lambda: len(stage.rows("id", f"queue_name = '{DELIVERIES}' AND {rests}")) == 5000)
    assert attempted(stage) <= deliveries.CONCURRENCY
    assert not receiver.arrived


@all_databases
def test_deliveries_to_a_webhook_that_a_worker_does_not_allow_are_left_to_others(
    stage: Stage, crew: Crew, run: Run, receiving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receiving(answer())
    monkeypatch.setattr(Options, "allowed", ALL._replace(env=frozenset()))
    webhook = add(run, stage, receiver, name="refused")
    other = add(run, stage, receiver, name="other")
    stage.execute(f"UPDATE hammerwork_webhooks SET secret = 'env:X' WHERE id = '{webhook}'")
    many(stage, webhook)
    crew.begin(handlers=dying())
    until(lambda: shown(run, stage, "webhook", "show", "refused")["last_answer"])
    many(stage, other, 20)
    until(lambda: len(receiver.arrived) == 20)
    time.sleep(1)
    assert attempted(stage) <= 20 + 2 * deliveries.CONCURRENCY


def test_the_deliveries_of_a_webhook_that_was_removed_end_as_cancelled(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any
) -> None:
    receiver = receiving(answer())
    add(run, lite, receiver)
    lite.enqueue(Job("dies"))
    lite.work(dying(), upkeep=False)
    run("webhook", "remove", "chat", "--yes", url=lite.url)
    lite_crew.begin(handlers=dying())
    until(lambda: [one["status"] for one in shown(run, lite, "job", "list", "--queue", DELIVERIES)] == ["Cancelled"])
    assert not receiver.arrived
    (delivery,) = shown(run, lite, "job", "list", "--queue", DELIVERIES)
    why = run("spawn", "why", delivery["id"], url=lite.url).stdout
    assert "through hammerwork: its webhook was removed" in " ".join(why.split())
    assert "job retry" not in why, "nobody needs it any more"


def test_a_webhook_that_always_fails_is_disabled_after_five_days(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receiving(answer("503 Service Unavailable", b"over"))
    add(run, lite, receiver, "--events", "dead")
    before = lite.database.now() - webhooks.GIVEN_UP_AFTER - timedelta(minutes=1)
    at = f"'{before:%Y-%m-%d %H:%M:%S.%f}'"
    lite.execute(f"UPDATE hammerwork_webhooks SET failing_since = {at}, enabled_at = {at}, last_answer = '503'")
    with caplog.at_level(logging.ERROR, "hammerwork"):
        lite_crew.begin(handlers=dying())
        until(lambda: not shown(run, lite, "webhook", "show", "chat")["enabled"])
    assert "No delivery has succeeded for 5 days." in shown(run, lite, "webhook", "show", "chat")["disabled_reason"]
    assert "The webhook chat is disabled" in caplog.text


def test_a_worker_that_stops_lets_its_deliveries_end(lite: Stage, lite_crew: Crew, run: Run, receiving: Any) -> None:
    def slow(connection: Any) -> None:
        time.sleep(0.7)
        connection.sendall(answer())

    receiver = receiving(slow)
    add(run, lite, receiver, "--max-retries", "0")
    worker = lite_crew.begin(handlers=dying())
    lite.enqueue(Job("dies"))
    until(lambda: receiver.connections == 1)
    worker.stop()
    until(lambda: not lite_crew.alive)
    assert statuses(lite) == ["Completed"]
    assert lite.database.query("SELECT name FROM hammerwork_workers WHERE ended_at IS NULL") == []


def test_a_receiver_that_hangs_blocks_no_other_webhook_and_no_queue(
    lite: Stage, lite_crew: Crew, run: Run, receiving: Any
) -> None:
    hanging = receiving(lambda _: hanging.over.wait(20))
    answering = receiving(answer())
    add(run, lite, hanging, "--events", "dead")
    add(run, lite, answering, "--events", "completed", name="fine")
    lite_crew.begin(handlers=dying())
    lite.enqueue(*(Job("dies") for _ in range(20)))
    until(lambda: hanging.connections == 4)  # as many as the limit for each webhook
    (quick,) = lite.enqueue(Job("quick"))
    until(lambda: answering.arrived)
    assert lite.status(quick) == ["Completed"]
    assert hanging.connections == 4
    hanging.over.set()


@pytest.mark.parametrize(
    ("dialect", "others"),
    [pytest.param("postgres", 10, marks=pytest.mark.postgres), pytest.param("mysql", 8, marks=pytest.mark.mysql)],
)
def test_a_worker_and_its_deliveries_open_no_more_connections_than_are_documented(
    stage: Stage, crew: Crew, run: Run, receiving: Any, others: int
) -> None:
    counted = {
        "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()",
        "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()",
    }[stage.database.dialect]
    before = stage.database.query(counted)[0][0]
    add(run, stage, receiving(*[answer("200 OK")] * 40), "--events", "dead")
    crew.begin(handlers=dying(), pool_size=5)
    stage.enqueue(*[Job("dies") for _ in range(40)])
    until(lambda: statuses(stage) == ["Completed"] * 40)
    opened = stage.database.query(counted)[0][0] - before
    assert others < opened <= others + 5 + 1 + others + 1, "the worker, its pool, one briefly, deliveries, the queue"


# Streams.

PROGRAM = """
import os, sys, time
out, parent = open(sys.argv[1], "a"), os.getppid()
for number, line in enumerate(sys.stdin, 1):
    if os.path.exists(sys.argv[1] + ".refuse"):
        print("error full", flush=True)
        continue
    out.write(f"{os.getpid()} {line}"); out.flush()
    while os.path.exists(sys.argv[1] + ".hang") and os.getppid() == parent:
        time.sleep(0.02)
    if len(sys.argv) > 2 and number == int(sys.argv[2]):
        sys.exit(3)  # it has written the event, and says nothing
    print("ok", flush=True)
"""


class Sink:
    """A program that writes its events into a file, and ends after every so many."""

    def __init__(self, folder: Path, ends_after: int | None = None) -> None:
        self.file = folder / "events"
        program = folder / "program.py"
        program.write_text(PROGRAM, encoding="utf-8")
        more = [] if ends_after is None else [str(ends_after)]
        self.command = shlex.join([sys.executable, "-S", str(program), str(self.file), *more])
        self.refusing, self.hanging = folder / "events.refuse", folder / "events.hang"

    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        """Process and event of each line."""
        if not self.file.exists():
            return []
        parted = [line.partition(" ") for line in self.file.read_text("utf-8").splitlines()]
        return [(process, json.loads(said)) for process, _, said in parted]

    def by_key(self) -> dict[str, list[str]]:
        """The types of the events of each key, without repetitions that follow."""
        found: dict[str, list[str]] = defaultdict(list)
        for _, line in self.lines():
            if line["event"]["type"] not in found[line["key"]]:
                found[line["key"]].append(line["event"]["type"])
        return found


def add_stream(run: Run, stage: Stage, sink: Sink, *words: str) -> None:
    done = run(
        *("streaming", "add", "--name", "lake", "-b", "command", "--command", sink.command, "--no-test", *words),
        url=stage.url,
    )
    assert done.exit_code == 0, done.stderr


LIFE = ["job.enqueued", "job.started", "job.completed"]


def test_a_stream_gets_each_event_in_the_order_of_its_key_though_its_program_ends_again_and_again(
    stage: Stage, crew: Crew, run: Run, tmp_path: Path
) -> None:
    sink = Sink(tmp_path, ends_after=7)
    add_stream(run, stage, sink, "--events", "enqueued,started,completed")
    crew.begin(handlers=dying())
    jobs = stage.enqueue(*(Job("quick") for _ in range(10)))
    until(lambda: shown(run, stage, "streaming", "show", "lake")["sent"] == 30)
    assert sink.by_key() == {job.id: LIFE for job in jobs}
    found = shown(run, stage, "streaming", "show", "lake")
    assert (found["backlog"], found["dropped"], found["failing_since"]) == (0, 0, None)
    assert len({process for process, _ in sink.lines()}) > 1


KILLED = """
import sys
from hammerwork_cli import Handlers, Worker
from hammerwork_cli.runtime.worker import streams
streams.LEASE_SECONDS, streams.TIMEOUT_SECONDS, streams.LONGEST_PAUSE = 2.0, 0.5, 0.1
app = Handlers()
app.register_job("nothing", lambda _: None)
Worker(sys.argv[1], app, allowed_programs=sys.argv[2:]).run()
"""


def test_another_worker_goes_on_where_one_was_killed_and_loses_nothing(
    lite: Stage, lite_crew: Crew, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LEASE_SECONDS", 2.0)
    monkeypatch.setattr(streams, "TIMEOUT_SECONDS", 0.5)
    sink = Sink(tmp_path)
    sink.hanging.touch()
    add_stream(run, lite, sink, "--events", "enqueued,started,completed")
    with Fork([lite.url, sink.command], os.environ, tmp_path, before=KILLED) as killed:
        jobs = lite.enqueue(*(Job("quick") for _ in range(5)))
        until(sink.lines)  # the program has it, and nobody knows
        killed.kill()
    sink.hanging.unlink()
    lite_crew.begin(handlers=dying())
    until(lambda: shown(run, lite, "streaming", "show", "lake")["sent"] == 15)
    assert sink.by_key() == {job.id: LIFE for job in jobs}
    assert len(sink.lines()) > 15


LOST = """
import sys
from hammerwork_cli import Handlers, Worker
app = Handlers()
app.register_job("nothing", lambda _: None)
Worker(sys.argv[1], app, lease=2.0, allowed_programs=sys.argv[2:]).run()
"""


@all_databases
def test_a_stream_whose_sender_is_killed_goes_on_within_two_leases_and_a_look(
    stage: Stage, crew: Crew, run: Run, tmp_path: Path
) -> None:
    sink = Sink(tmp_path)
    sink.hanging.touch()
    add_stream(run, stage, sink, "--events", "enqueued")
    (job,) = stage.enqueue(Job("quick"))
    with Fork([stage.url, sink.command], os.environ, tmp_path, before=LOST) as lost:
        until(sink.lines)
        lost.kill()
    sink.hanging.unlink()
    crew.begin(handlers=dying())
    began = time.monotonic()
    until(lambda: shown(run, stage, "streaming", "show", "lake")["sent"] == 1)
    assert time.monotonic() - began < 2 * 2.0 + streams.LONGEST_PAUSE + 2, "not the 45 s for which it was taken"
    assert sink.by_key() == {job.id: ["job.enqueued"]}


def test_one_of_two_workers_sends_the_events_of_both(lite: Stage, lite_crew: Crew, run: Run, tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    add_stream(run, lite, sink, "--events", "enqueued,started,completed")
    lite_crew.begin(2, handlers=dying())
    for _ in range(5):
        lite.enqueue(*(Job("quick") for _ in range(4)))
    until(lambda: shown(run, lite, "streaming", "show", "lake")["sent"] == 60)
    assert len(sink.lines()) == 60
    assert len({process for process, _ in sink.lines()}) == 1
    assert {*map(tuple, sink.by_key().values())} == {tuple(LIFE)}


def test_a_backlog_that_is_full_drops_the_newest_events_counts_them_and_says_so(
    lite: Stage, lite_crew: Crew, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink(tmp_path)
    sink.refusing.touch()
    add_stream(run, lite, sink, "--events", "enqueued", "--max-backlog", "5")
    lite.enqueue(*(Job("held") for _ in range(8)))
    with caplog.at_level(logging.WARNING, "hammerwork"):
        lite_crew.begin(handlers=dying())
        until(lambda: shown(run, lite, "streaming", "show", "lake")["dropped"] == 3)
    assert "Stream lake: 3 events dropped: the backlog is full." in caplog.text
    assert run("streaming", "health", url=lite.url).exit_code == 1
    sink.refusing.unlink()
    until(lambda: shown(run, lite, "streaming", "show", "lake")["sent"] == 5)
    assert len(sink.lines()) == 5


def test_an_event_that_no_backend_takes_is_dropped_alone_and_counted(
    lite: Stage, lite_crew: Crew, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    class Narrow:
        def send(self, messages: Any) -> None:
            large = [at for at, message in enumerate(messages) if b'"large"' in message.body]
            if large:
                raise EventTooLargeError(large, "The event has 2,000,000 bytes.")
            sent.extend(messages)

        def close(self) -> None: ...

    monkeypatch.setattr(streams, "open_backend", lambda *_: Narrow())
    add_stream(run, lite, Sink(tmp_path), "--events", "enqueued")
    lite.enqueue(Job("small"), Job("large"), Job("small"))
    lite_crew.begin(handlers=dying())
    until(lambda: shown(run, lite, "streaming", "show", "lake")["sent"] == 2)
    found = shown(run, lite, "streaming", "show", "lake")
    assert (len(sent), found["dropped"], found["backlog"]) == (2, 1, 0)


def test_events_wait_while_their_stream_is_disabled(lite: Stage, lite_crew: Crew, run: Run, tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    add_stream(run, lite, sink, "--events", "enqueued")
    lite.enqueue(Job("held"))
    run("streaming", "disable", "lake", url=lite.url)
    assert not stored_streams.to_send(lite.database)
    lite_crew.begin(handlers=dying())
    run("streaming", "enable", "lake", url=lite.url)
    until(lambda: len(sink.lines()) == 1)
    assert sink.lines()[0][1]["event"]["data"]["queue"] == "held"
