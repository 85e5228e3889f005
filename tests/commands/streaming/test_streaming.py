"""``streaming``: streams of events, from the command line."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.runtime.delivery.allowed import Allowed
from tests.allowing import ALL
from tests.conftest import all_databases, each_row
from tests.jobs import NOW, execute, identity, job, rows, write

Run = Callable[..., Any]
ANSWERS = "sh -c 'while read -r line; do echo ok; done'"
SCRIPT_KEYS = {"backlog", "oldest_seconds", "sent", "failed", "enabled", "last_error"}
ENV = {"HAMMERWORK_NOW": NOW.isoformat()}


@pytest.fixture(autouse=True)
def allowing_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the host allow everything."""
    monkeypatch.setattr(Allowed, "of", lambda *_, **__: ALL)


def add(run: Run, url: str, *words: str, name: str = "lake") -> str:
    command = () if "--command" in words else ("--command", ANSWERS)
    done = run("streaming", "add", "--name", name, "-b", "command", "--no-test", *command, *words, url=url)
    assert done.exit_code == 0, done.stderr
    found: str = done.stdout.strip()
    return found


@pytest.fixture
def lake_url(run: Run, lite_url: str) -> str:
    """A database with the stream ``lake``."""
    add(run, lite_url)
    return lite_url


def show(run: Run, url: str, name: str = "lake") -> dict[str, Any]:
    found: dict[str, Any] = run("streaming", "show", name, "--format", "json", url=url, env=ENV).json
    return found


def wait(url: str, stream: str, number: int) -> None:
    """Lets an event wait that happened so many minutes ago."""
    at = (NOW - timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S.000000")
    event = json.dumps({"id": identity(number), "type": "job.completed", "data": {}})
    columns = "(stream_id, event_type, job_id, body, created_at)"
    values = f"('{stream}', 'job.completed', '{identity(number)}', '{event}', '{at}')"
    execute(url, f"INSERT INTO hammerwork_stream_events {columns} VALUES {values}")


def test_adding_prints_the_id_alone_and_all_events_but_those_of_trees_are_wanted(run: Run, lite_url: str) -> None:
    done = run("streaming", "add", "-n", "lake", "-b", "command", "--command", ANSWERS, url=lite_url)
    assert (done.exit_code, len(done.stdout.strip())) == (0, 36)
    assert "worker start --upkeep-only" in done.stderr
    found = show(run, lite_url, done.stdout.strip())
    assert found.keys() >= SCRIPT_KEYS
    assert (found["name"], found["enabled"], found["backlog"], found["oldest_seconds"]) == ("lake", True, 0, None)
    assert len(found["events"]) == 17
    assert found["target"] == {"command": ["sh", "-c", "while read -r line; do echo ok; done"]}
    shown = run("streaming", "show", "lake", url=lite_url).stdout
    assert "events         all but trees\n" in shown
    assert "backlog        0 of at most 1,000,000\n" in shown


def test_each_option_is_stored_and_may_be_changed(run: Run, lite_url: str) -> None:
    words = "--kafka-brokers k1:9092,k2 --kafka-topic jobs --kafka-config sasl.password=env:KAFKA_PASSWORD"
    words += " --kafka-config sasl.username=app --events dead,completed -q mail -r High --partitioning root_id"
    words += " --encoding cloudevents --include-payload --buffer-size 7 --buffer-time 500ms --max-backlog 9"
    done = run("streaming", "add", "--name", "lake", "-b", "kafka", "--no-test", *words.split(), url=lite_url)
    assert done.exit_code == 0, done.stderr
    found = show(run, lite_url)
    assert found["target"] == {
        "brokers": "k1:9092,k2",
        "topic": "jobs",
        "config": {"sasl.password": "env:KAFKA_PASSWORD", "sasl.username": "app"},
    }
    names = ("events", "queues", "priorities", "partitioning", "format", "buffer_size", "buffer_seconds", "max_backlog")
    wanted = [["job.dead", "job.completed"], ["mail"], ["high"], "root_id", "cloudevents", 7, 0.5, 9]
    assert [found[name] for name in names] == wanted
    changed = run("streaming", "update", "lake", "--kafka-topic", "other", "--no-test", "--name", "sea", url=lite_url)
    assert (changed.exit_code, changed.stdout) == (0, "Changed sea.\n")
    after = show(run, lite_url, "sea")
    assert after["target"] == {**found["target"], "topic": "other"}
    assert after["queues"] == ["mail"]
    assert run("streaming", "update", "sea", "--clear", "queue,events", url=lite_url).exit_code == 0
    assert len(show(run, lite_url, "sea")["events"]) == 17
    assert (show(run, lite_url, "sea")["queues"], show(run, lite_url, "sea")["priorities"]) == ([], ["high"])
    words = "--events failed -q post -r low --encoding json --buffer-size 8 --buffer-time 2s --max-backlog 10"
    assert run("streaming", "update", "sea", *words.split(), "--no-test", url=lite_url).exit_code == 0
    after = show(run, lite_url, "sea")
    wanted = [["job.failed"], ["post"], ["low"], "root_id", "json", 8, 2.0, 10]
    assert [after[name] for name in names] == wanted
    assert run("streaming", "list", url=lite_url).stdout.split()[:2] == ["stream", "target"]


@each_row(
    ("words", "said", "code"),
    [
        ("-n a -b kafka", "needs brokers. For example: --kafka-brokers", 2),
        ("-n a -b kafka --kafka-brokers a --kafka-topic b --kafka-config ssl.key.pem=x", "Name the variable", 2),
        (
            "-n a -b kafka --kafka-brokers a --kafka-topic b --kafka-config sasl.password=x",
            "Write --kafka-config sasl.password=env:NAME",
            2,
        ),
        ("-n a -b pubsub --pubsub-project p --pubsub-topic t", "is not valid: it takes 3 to 255 letters", 2),
        ("-n a -b command --command cat --queue ,", "--queue needs a name. Name one, or leave the option out.", 2),
        ("-n a -b kafka --kafka-brokers a --kafka-topic b --kafka-config x", "The property 'x' has no value.", 2),
        ("-n a -b kafka --command cat", "A stream into Kafka takes no --command.", 2),
        ("-n a -b command --command cat --kafka-topic b", "A stream into a program takes no --kafka-topic.", 2),
        ("-n a -b command --command cat --format avro", "--encoding json, or --encoding cloudevents", 2),
        ("-n a -b command --command cat --encoding msgpack", "Use json or cloudevents.", 2),
        ("-n a -b command --command cat --events nope", "There is no event 'nope'.", 2),
        ("-n a -b command --command /nowhere/at-all", "on this machine. To store the stream without", 1),
        ("-n a -b command --command false", "or error TEXT. To store the stream without a test: --no-test", 1),
        ("-n lake -b command --command cat --no-test", "'lake'. Change it with: hammerwork streaming update lake", 6),
    ],
)
def test_a_stream_that_cannot_work_is_refused_and_not_stored(
    run: Run, lake_url: str, words: str, said: str, code: int
) -> None:
    refused = run("streaming", "add", *words.split(), url=lake_url)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in " ".join(refused.stderr.split())
    assert [one["name"] for one in run("streaming", "list", "--format", "json", url=lake_url).json] == ["lake"]


def test_a_missing_library_is_named_with_its_extra(run: Run, lite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "hammerwork_cli.runtime.delivery.streams.kafka", raising=False)
    words = "-n a -b kafka --kafka-brokers localhost:1 --kafka-topic b"
    refused = run("streaming", "add", *words.split(), url=lite_url)
    assert (refused.exit_code, "pip install 'hammerwork-cli[kafka]'" in refused.stderr) == (2, True)
    assert run("streaming", "list", "--format", "json", url=lite_url).json == []


@all_databases
def test_a_stream_is_disabled_enabled_and_removed_with_what_waits(run: Run, migrated_url: str) -> None:
    stream = add(run, migrated_url, name="Lake é")
    add(run, migrated_url, name="lake é")
    wait(migrated_url, stream, 2)
    wait(migrated_url, stream, 1)
    found = show(run, migrated_url, stream)
    assert (found["backlog"], found["oldest_seconds"]) == (2, 120)
    assert run("streaming", "disable", stream, "--reason", "it moves", url=migrated_url).stdout == "Disabled Lake é.\n"
    assert (show(run, migrated_url, stream)["disabled_reason"], show(run, migrated_url, "lake é")["enabled"]) == (
        "it moves",
        True,
    )
    refused = run("streaming", "replay", stream, "--yes", url=migrated_url)
    assert (refused.exit_code, "hammerwork streaming enable 'Lake é'" in refused.stderr) == (6, True)
    execute(migrated_url, "UPDATE hammerwork_streams SET failing_since = enabled_at")
    assert run("streaming", "enable", stream, url=migrated_url).stdout == "Enabled Lake é.\n"
    enabled, other = show(run, migrated_url, stream), show(run, migrated_url, "lake é")
    assert (enabled["disabled_reason"], enabled["failing_since"]) == (None, None)
    assert other["failing_since"] is not None
    assert (
        "Remove the stream Lake é and 2 events that wait?"
        in run("streaming", "remove", stream, url=migrated_url).stderr
    )
    assert run("streaming", "remove", stream, "--yes", url=migrated_url).stdout == "Removed Lake é.\n"
    assert [one["name"] for one in run("streaming", "list", "--format", "json", url=migrated_url).json] == ["lake é"]
    assert run("streaming", "show", stream, url=migrated_url).exit_code == 5


@all_databases
def test_a_replay_adds_the_ends_of_jobs_that_the_stream_wants(run: Run, migrated_url: str) -> None:
    stream = add(run, migrated_url, "--events", "dead,completed", "--queue", "mail")
    done, dead, timed_out = JobStatus.COMPLETED, JobStatus.DEAD, JobStatus.TIMED_OUT
    write(migrated_url, job(1, done), job(2, dead), job(3, done, "other"), job(4, timed_out), job(90, done), job(5))

    def replay() -> str:
        done = run("streaming", "replay", "lake", "--since", "1h", "--yes", url=migrated_url, env=ENV)
        assert done.exit_code == 0, done.stderr
        found: str = done.stdout
        return found

    assert replay() == "2 events will be sent again.\n"
    assert replay() == "0 events will be sent again.\n"  # they wait already
    assert show(run, migrated_url, stream)["backlog"] == 2
    assert len(rows(migrated_url)) == 6


def test_a_test_sends_an_event_and_waits_for_the_acknowledgement(run: Run, lite_url: str) -> None:
    add(run, lite_url)
    sent = run("streaming", "test", "lake", "--event-type", "tree.failed", url=lite_url)
    assert (sent.exit_code, sent.stdout[:50]) == (0, "The backend acknowledged a tree.failed event with "[:50])
    write(lite_url, job(5, JobStatus.DEAD))
    about = run(
        "streaming", "test", "lake", "--event-type", "dead", "--job", identity(5), "--format", "json", url=lite_url
    )
    assert (about.json["key"], about.json["event"]["data"]["error"]) == (identity(5), "broken 5")
    assert show(run, lite_url)["sent"] == 0
    add(run, lite_url, "--command", "sh -c 'while read -r line; do echo error no room; done'", name="full")
    refused = run("streaming", "test", "full", url=lite_url)
    assert (refused.exit_code, refused.stdout, "no room" in refused.stderr) == (1, "", True)
    assert "To change the stream: hammerwork streaming update full" in " ".join(refused.stderr.split())


def test_a_list_cuts_a_long_command_in_a_pipe_too_and_a_terminal_shows_all_that_is_wrong(
    run: Run, lite_url: str, on_terminal: Callable[..., str]
) -> None:
    add(run, lite_url, "--command", f"python3 {'x' * 300}")
    assert max(map(len, run("streaming", "list", url=lite_url).stdout.splitlines())) < 120
    why = "The topic jobs takes no events: Broker: Unknown topic or partition."
    execute(lite_url, f"UPDATE hammerwork_streams SET failing_since = '{NOW:%Y-%m-%d %H:%M:%S}', last_error = '{why}'")
    shown = on_terminal("streaming", "list", url=lite_url, width=80)
    assert "events  " not in shown.splitlines()[0]
    assert all(word in shown for word in why.split())


def test_health_fails_for_a_stream_that_fails_waits_or_is_nearly_full(run: Run, lite_url: str) -> None:
    stream = add(run, lite_url, "--max-backlog", "5")

    def health() -> tuple[int, str]:
        done = run("streaming", "health", "-s", "lake", url=lite_url, env=ENV)
        return done.exit_code, done.stderr

    assert health() == (0, "")
    wait(lite_url, stream, 6)
    assert health() == (1, "Error: lake: 1 event waits, and no worker sends it.\n")
    for number in (1, 2, 3):
        wait(lite_url, stream, number)
    assert health() == (1, "Error: lake: 4 events wait, of at most 5.\n")
    execute(lite_url, "DELETE FROM hammerwork_stream_events")
    execute(lite_url, f"UPDATE hammerwork_streams SET failing_since = '{NOW:%Y-%m-%d %H:%M:%S}', last_error = 'gone'")
    assert health() == (1, "Error: lake: Events cannot be sent: gone\n")
    run("streaming", "disable", "lake", url=lite_url)
    assert health() == (0, "")


def test_lists_without_rows_and_unknown_streams_say_so(run: Run, lite_url: str) -> None:
    assert "To add one: hammerwork streaming add" in run("streaming", "list", url=lite_url).stderr
    for verb in ("show", "update", "enable", "disable", "remove", "test", "replay", "stats", "health"):
        missing = run("streaming", verb, "nobody", url=lite_url)
        assert (missing.exit_code, missing.stdout) == (5, ""), verb
        assert missing.stderr == "Error: There is no stream 'nobody'.\n  To list them: hammerwork streaming list\n"
