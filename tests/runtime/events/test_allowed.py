"""A worker's host decides what streams and webhooks may use of it: rows that somebody has written ask in vain."""

import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job, Worker
from hammerwork_cli.errors import ConfigError, HammerworkError, UsageError
from hammerwork_cli.features.streaming.model import Backend
from hammerwork_cli.runtime.delivery.allowed import Allowed, NotAllowedError, commands, variables
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.targets import CONFIG, FIELDS
from tests.allowing import ALL
from tests.conftest import each_row
from tests.forks import Fork
from tests.runtime.conftest import Stage, until
from tests.runtime.delivery.streams.batches import stream
from tests.runtime.delivery.webhooks.receivers import Receiving

Run = Callable[..., Any]
QUICK = """
from hammerwork_cli.runtime.worker import deliveries, streams
deliveries.LONGEST_PAUSE = streams.LONGEST_PAUSE = 0.1
streams.LEFT_SECONDS = 0.3
"""
"""Statements of a worker that looks often."""
KAFKA = {"brokers": "127.0.0.1:1", "topic": "t"}
OWN = ("HAMMERWORK_WEB_TOKEN", "HAMMERWORK_X", "DATABASE_URL", "SHOP_DATABASE_URL", "PGPASSWORD", "MYSQL_PWD")
SECRET = "s3cret-of-the-host"


@contextmanager
def working(stage: Stage, folder: Path, *words: str, **env: str) -> Iterator[Path]:
    """``hammerwork worker start --upkeep-only`` in a process of its own; the file of its log."""
    log = folder / "log"
    with log.open("wb") as written:
        worker = Fork(
            ["worker", "start", "--upkeep-only", "-u", stage.url, *words],
            {**os.environ, "HOME": str(folder), "SHOP_KEY": SECRET, **env},
            folder,
            before=QUICK,
            streams={2: written.fileno()},
        )
    with worker:
        yield log
        worker.terminate()
        assert worker.wait(20) == 0


def added(run: Run, stage: Stage, *words: str) -> None:
    done = run(*words, url=stage.url)
    assert done.exit_code == 0, done.stderr


def test_rows_of_hostile_hands_run_nothing_reach_nothing_and_lose_nothing(
    lite: Stage, run: Run, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    program = f"sh -c 'tee -a {touched} | sed -u s/.*/ok/'"
    with Receiving() as receiver:
        for name in ("run", "read"):
            added(run, lite, "streaming", "add", "--name", name, "-b", "command", "--command", "cat", "--no-test")
        added(run, lite, "webhook", "add", "--name", "hook", "--url", "https://public.example/", "--events", "enqueued")
        command = json.dumps({"command": shlex.split(program)})
        kafka = json.dumps(KAFKA | {"config": {"sasl.username": "env:SHOP_KEY"}})
        lite.execute(f"UPDATE hammerwork_streams SET target = '{command}' WHERE name = 'run'")
        lite.execute(f"UPDATE hammerwork_streams SET backend = 'kafka', target = '{kafka}' WHERE name = 'read'")
        asked = f"""url = '{receiver.url}', allow_private = 1, insecure = 1, headers = '{{"X": "env:SHOP_KEY"}}'"""
        lite.execute(f"UPDATE hammerwork_webhooks SET {asked}")
        lite.enqueue(Job("mail"))

        def told(log: Path) -> bool:
            said = log.read_text()
            return all(name in said for name in ("Stream run is left", "Stream read is left", "webhook hook is left"))

        def failing(kind: str) -> dict[str, str]:
            found = run(kind, "list", "--format", "json", url=lite.url).json
            return {one["name"]: one.get("last_error") or one.get("last_answer") or "" for one in found}

        with working(lite, tmp_path) as log:
            until(lambda: told(log))
            until(lambda: all({**failing("streaming"), **failing("webhook")}.values()))
        assert "--allow-program 'sh -c" in log.read_text()
        assert "--allow-env SHOP_KEY, or the setting allowed_env" in log.read_text()
        health = run("monitor", "health", "--only", "webhooks,streams", "--format", "json", url=lite.url)
        assert health.json["status"] == "warning"
        for name in ("Not allowed here: the program sh -c", "Not allowed here: the variable SHOP_KEY"):
            assert name in health.stdout
        assert not touched.exists()
        assert receiver.connections == 0
        assert failing("webhook")["hook"].startswith("Nothing was sent. Not allowed here: the variable SHOP_KEY")
        added(run, lite, "streaming", "disable", "read")  # nothing answers there
        words = ("--allow-env", "SHOP_KEY", "--allow-env", "OTHER", "--allow-private-addresses")
        words = (*words, "--allow-program", program, "--allow-program", "other")
        with working(lite, tmp_path, *words):
            until(lambda: receiver.arrived and touched.exists())
            until(lambda: run("streaming", "show", "run", "--format", "json", url=lite.url).json["backlog"] == 0)
    assert [one.headers["x"] for one in receiver.arrived] == [SECRET]
    assert '"job.enqueued"' in touched.read_text()
    assert failing("streaming")["run"] == ""


def test_settings_of_the_file_and_of_the_environment_allow_as_options_do(lite: Stage, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "hammerwork"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('allowed_env = "OTHER, SHOP_KEY"\n')
    words = ("--allow-private", "--header", "X=env:SHOP_KEY", "--events", "enqueued")
    with Receiving() as receiver, working(lite, tmp_path, HAMMERWORK_ALLOW_PRIVATE_ADDRESSES="true"):
        added(run, lite, "webhook", "add", "--name", "hook", "--url", receiver.url, *words)
        lite.enqueue(Job("mail"))
        until(lambda: receiver.arrived)
    assert receiver.arrived[0].headers["x"] == SECRET


def test_a_command_of_the_terminal_follows_the_settings_of_who_calls_it(
    lite: Stage, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = tmp_path / "touched"
    command = f"sh -c 'echo > {touched}; while read -r line; do echo ok; done'"
    stream_words = ("--name", "lake", "-b", "command", "--command", command)
    refused = run("streaming", "add", *stream_words, url=lite.url)
    assert (refused.exit_code, "the setting allowed_programs" in refused.stderr) == (3, True)
    assert "To store the stream without a test: --no-test" in refused.stderr
    added(run, lite, "streaming", "add", *stream_words, "--no-test")
    assert run("streaming", "test", "lake", url=lite.url).exit_code == 3
    with Receiving() as receiver:
        words = ("--allow-private", "--secret", "env:SHOP_KEY")
        added(run, lite, "webhook", "add", "--name", "hook", "--url", receiver.url, *words)
        monkeypatch.setenv("SHOP_KEY", SECRET)
        said = run("webhook", "test", "hook", url=lite.url)
        assert (said.exit_code, "--allow-env SHOP_KEY" in said.stderr) == (1, True)
        env = {"HAMMERWORK_ALLOWED_ENV": "SHOP_KEY"}
        assert "--allow-private-addresses" in run("webhook", "test", "hook", url=lite.url, env=env).stderr
        assert not receiver.connections
        env |= {"HAMMERWORK_ALLOW_PRIVATE_ADDRESSES": "true"}
        assert run("webhook", "test", "hook", url=lite.url, env=env).exit_code == 0
    assert not touched.exists()
    env = {"HAMMERWORK_ALLOWED_PROGRAMS": command}
    assert run("streaming", "test", "lake", url=lite.url, env=env).exit_code == 0
    assert touched.exists()


@pytest.mark.parametrize("name", OWN)
def test_no_setting_allows_a_variable_that_opens_the_database(run: Run, lite: Stage, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be allowed"):
        Worker(lite.url, queues=["x"], allowed_env=[name])
    said = run("worker", "start", "--upkeep-only", "--allow-env", name, url=lite.url)
    assert (said.exit_code, f"{name} cannot be allowed" in said.stderr) == (3, True)
    assert run("config", "show", env={"HAMMERWORK_ALLOWED_ENV": f"A,{name}"}).exit_code == 3


@pytest.mark.parametrize("name", OWN)
def test_no_field_of_a_target_takes_a_variable_that_opens_the_database(name: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1/")
    needed = {
        Backend.KAFKA: KAFKA,
        Backend.KINESIS: {"region": "r", "stream": "s", "access_key": "env:A", "secret_key": "env:B"},
        Backend.PUBSUB: {"project": "p", "topic": "topic"},
    }
    for backend, target in needed.items():
        for field in FIELDS[backend]:
            with pytest.raises(UsageError):
                open_backend(stream(backend, target | {field: f"env:{name}"}), ALL)
    for field in CONFIG:
        with pytest.raises(UsageError, match="and is not sent"):
            open_backend(stream(Backend.KAFKA, KAFKA | {"config": {field: f"env:{name}"}}), ALL)
    with pytest.raises(NotAllowedError, match="and is not sent"):
        ALL.check_variables([f"env:{name}"])


@each_row(
    ("target", "allowed", "wants"),
    [
        (KAFKA, Allowed(), "--allow-private-addresses"),
        (KAFKA | {"brokers": "8.8.8.8:1,10.0.0.1"}, Allowed(insecure=True), "--allow-private-addresses"),
        (KAFKA | {"brokers": "8.8.8.8"}, Allowed(private_addresses=True), "--allow-insecure"),
        (KAFKA | {"brokers": "8.8.8.8", "config": {"security.protocol": "SASL_SSL"}}, Allowed(), None),
        (
            {"brokers": "8.8.8.8", "config": {"security.protocol": "ssl", "enable.ssl.certificate.verification": "no"}},
            Allowed(),
            "--allow-insecure",
        ),
        (
            {
                "brokers": "8.8.8.8",
                "config": {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"},
            },
            Allowed(),
            "--allow-insecure",
        ),
        (
            {
                "brokers": "8.8.8.8",
                "config": {
                    "security.protocol": "ssl",
                    "sasl.oauthbearer.token.endpoint.url": "https://169.254.169.254/token",
                },
            },
            Allowed(),
            "--allow-private-addresses",
        ),
        (KAFKA, Allowed(private_addresses=True), None),  # this machine needs no TLS
        (KAFKA | {"config": {"client.id": "env:HOME"}}, Allowed(private_addresses=True), "--allow-env HOME"),
        ({"endpoint": "http://169.254.169.254/"}, Allowed(insecure=True), "--allow-private-addresses"),
        ({"endpoint": "http://8.8.8.8/"}, Allowed(), "--allow-insecure"),
        ({"endpoint": "https://8.8.8.8/"}, Allowed(), None),
    ],
)
def test_a_refusal_names_the_option_that_allows_what_a_stream_wants(target: Any, allowed: Allowed, wants: Any) -> None:
    of = (
        stream(Backend.KINESIS, {"region": "r", "stream": "s"} | target)
        if "endpoint" in target
        else stream(Backend.KAFKA, KAFKA | target)
    )
    said = ""
    try:
        open_backend(of, allowed).close()
    except HammerworkError as error:
        said = error.hint or ""
    assert (wants or "") in said
    assert bool(said) == bool(wants)


@each_row(
    ("text", "found"),
    [
        ("", []),
        ("python3 to_nats.py jobs", [("python3", "to_nats.py", "jobs")]),
        ("a b, 'c d'  e,, f", [("a", "b"), ("c d", "e"), ("f",)]),
        ("kcat -b 'a:1,b:2' # no comment", [("kcat", "-b", "a:1,b:2", "#", "no", "comment")]),
    ],
)
def test_commands_are_read_as_a_shell_reads_words(text: str, found: list[tuple[str, ...]]) -> None:
    assert commands(text) == found


@each_row("words", [("x", "a,b", "c'd", "", ";", "e\\f"), ("cat",), ("é €", "$(id)", "`id`", ",a")])
def test_the_option_that_is_named_allows_the_command_and_no_other(words: tuple[str, ...]) -> None:
    with pytest.raises(NotAllowedError) as caught:
        Allowed().check_program(words)
    given = shlex.split((caught.value.hint or "").partition("worker start ")[2].partition(", or the setting")[0])
    assert given[0] == "--allow-program"
    allowed = Allowed.of(given[1:])
    allowed.check_program(words)
    for other in ((*words, "-c"), words[:-1], (f"./{words[0]}", *words[1:])):
        with pytest.raises(NotAllowedError):
            allowed.check_program(other)


def test_names_of_variables_are_read_and_others_are_refused() -> None:
    assert variables("A, B_2,,") == ["A", "B_2"]
    for text in ("$A", "env:A", "A B", "A=1"):
        with pytest.raises(ConfigError, match="is not the name of a variable"):
            variables(text)
    with pytest.raises(ConfigError, match="no end"):
        commands("sh -c 'x")
