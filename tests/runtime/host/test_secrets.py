"""What handlers say of the database's URL: its password is in no log and in no error."""

import contextlib
import json
import logging
import re
import textwrap
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from hammerwork_cli import EncryptionKeys, Job, SpawnConfig, Worker
from hammerwork_cli.core.values import MASK
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.runtime.host import logs, secrets
from hammerwork_cli.runtime.outcomes import failures
from tests.runtime.conftest import Stage
from tests.servers import PASSWORD

HANDLERS = """
import logging
import re
from hammerwork_cli import Handlers, SpawnHandler

app = Handlers()

def leak(where, payload):
    logging.getLogger("mine").error("At %s", payload["url"])
    if where == payload["where"]:
        try:
            raise KeyError(payload["password"])
        except KeyError as error:
            raise RuntimeError("No table at " + payload["url"]) from error

@app.job("leaks")
def leaks(job):
    leak("handler", job.payload)

class Spawner(SpawnHandler):
    def validate_spawn(self, job, config):
        leak("validate_spawn", job.payload)

    def spawn_jobs(self, context):
        self.payload = context.parent_job.payload
        leak("spawner", self.payload)
        yield context.parent_job.__class__("other")

    def on_spawn_complete(self, result):
        leak("on_spawn_complete", self.payload)

app.register_handler("leaks", Spawner())
"""
PLACES = ("handler", "validate_spawn", "spawner", "on_spawn_complete")


@pytest.fixture(autouse=True)
def _no_passwords_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_forms", set())
    monkeypatch.setattr(secrets, "_pattern", None)


@contextlib.contextmanager
def the_log_of_a_worker() -> Iterator[None]:
    """As that of the command line."""
    ours, mine = logging.getLogger("hammerwork"), logging.getLogger("mine")
    before = ours.handlers, ours.propagate, ours.level, mine.handlers
    logs.configure("info", as_json=True)
    mine.handlers = list(ours.handlers)
    yield
    ours.handlers, ours.propagate, ours.level, mine.handlers = before
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    ("dialect", "isolation"),
    [
        pytest.param("postgres", "thread", marks=pytest.mark.postgres),
        pytest.param("mysql", "process", marks=pytest.mark.mysql),
    ],
)
def test_errors_and_log_lines_of_handlers_are_written_without_the_password(
    stage: Stage, isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leaking_app.py").write_text(textwrap.dedent(HANDLERS))
    monkeypatch.syspath_prepend(str(tmp_path))
    config = SpawnConfig(handler="leaks")
    leaks = [Job("leaks", {"where": place, "url": stage.url, "password": PASSWORD}) for place in PLACES]
    stage.enqueue(*(job.with_max_attempts(1).with_spawn_config(config) for job in leaks))
    with the_log_of_a_worker():
        Worker(stage.queue, "leaking_app:app", drain=True, concurrency=1, isolation=isolation).run()
    errors = [
        *stage.database.query("SELECT error_message FROM hammerwork_jobs WHERE error_message IS NOT NULL"),
        *stage.database.query("SELECT error_message FROM hammerwork_spawn_operations WHERE error_message IS NOT NULL"),
    ]
    told = capfd.readouterr().err
    assert len(errors) >= 3
    assert "At " in told
    assert all("***" in error for (error,) in errors)
    for text in (told, *(error for (error,) in errors)):
        for form in (PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], repr(PASSWORD)[1:-1]):
            assert form not in text


@pytest.mark.parametrize(
    ("url", "texts"),
    [
        ("mysql://me:s3cr%2ft@db/jobs", ["s3cr/t", "s3cr%2Ft", "s3cr%2ft"]),
        ("postgresql://me@db/jobs?password=p'ss%20word", ["p'ss word", "p'ss%20word", "p'ss+word", "p%27ss%20word"]),
        ("mysql://me:a%22b%5Cc%C3%A9@db/jobs", ['a"b\\cé', 'a\\"b\\\\c\\u00e9', "a%22b%5Cc%C3%A9"]),
    ],
)
def test_a_password_is_masked_in_each_form(url: str, texts: list[str]) -> None:
    secrets.keep(DatabaseUrl.parse(url))
    for text in texts:
        assert secrets.masked(f"-{text}-") == "-***-"
        assert text not in failures.described(ValueError(text))


def test_a_password_of_three_characters_and_none_leave_texts_as_they_are() -> None:
    secrets.keep(DatabaseUrl.parse("mysql://me:abc@db/jobs"))
    secrets.keep(DatabaseUrl.parse("sqlite:///jobs.db"))
    assert secrets.masked("abcabc ") == "abcabc "


def test_two_workers_that_start_at_once_mask_both_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (DatabaseUrl.parse(f"postgresql://me:{word}@host/db") for word in ("first-word", "second-word"))
    other = threading.Thread(target=secrets.keep, args=(second,))

    def compiled(pattern: str) -> re.Pattern[str]:
        if other.ident is None:  # the first has sorted its words, and has not stored the pattern yet
            other.start()
            other.join(0.5)
        return re.compile(pattern)

    monkeypatch.setattr(secrets, "re", SimpleNamespace(compile=compiled, escape=re.escape))
    secrets.keep(first)
    other.join()
    assert secrets.masked("first-word and second-word") == "*** and ***"


@pytest.mark.parametrize(
    "key",
    [bytes(range(32)), bytes(range(32, 64)), b'it\'s "both" \\ kinds of quotes!!'[:32].ljust(32, b"'")],
    ids=["low", "printable", "quotes"],
)
def test_keys_are_masked_in_every_form_that_python_shows(key: bytes) -> None:
    secrets.keep(replace(DatabaseUrl.parse("sqlite:///jobs.db"), keys=EncryptionKeys({"default": key})))
    forms = [key, bytearray(key), b"'" + key, b'"' + key + b"'", [*key], {"key": key}, b64encode(key), (*key, 1)]
    texts = [repr(form) for form in forms] + [key.hex(), key.hex().upper(), urlsafe_b64encode(key).decode()]
    texts.append(failures.described(ValueError(key)))
    for text in texts:
        shown = secrets.masked(text)
        assert MASK in shown, text
        assert len(shown) < 40, shown
