"""``spawn rehearse`` on the command line."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.conftest import each_row
from tests.rows import Rows

Run = Callable[..., Any]
pytestmark = pytest.mark.sqlite

HANDLERS = """
import os
import sys

from hammerwork_cli import Handlers, Job

app = Handlers()


@app.spawn("album")
def tracks(context):
    print("printed by the handler")
    os.system("echo printed by a program")
    assert "HAMMERWORK_WEB_TOKEN" not in os.environ
    wanted = (context.result or {}).get("tracks") or context.parent_job.payload["tracks"]
    return [Job("track", {"number": number, "of": "\\x1b[31m" + "long" * 40}) for number in range(wanted)]


@app.spawn("joined")
def joined(context):
    context.after_all(Job("summary"))
    return [Job("page") for _ in range(context.parent_job.payload["pages"])]


@app.spawn("track")
def parts(context):
    context.queue.enqueue(Job("mail"))
    return [Job("part")]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an application."""
    (tmp_path / "rehearsed_handlers.py").write_text(HANDLERS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    return new_database("sqlite", migrated=True)


def jobs(url: str) -> Any:
    with contextlib.closing(connect(url)) as database:
        return database.query("SELECT * FROM hammerwork_jobs ORDER BY id")


def words(folder: Path, *more: str) -> tuple[str, ...]:
    return ("spawn", "rehearse", "--handlers", "rehearsed_handlers:app", "--app-dir", str(folder), *more)


def test_a_described_job_needs_no_database_and_prints_one_document(hammerwork: Run, folder: Path) -> None:
    described = ("--queue", "album", "--payload", '{"tracks": 3}', "--levels", "2", "--format", "json")
    done = hammerwork(*words(folder, *described), env={"HAMMERWORK_WEB_TOKEN": "secret"})
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(level["parents"], level["children"]) for level in found["levels"]] == [(1, 3), (3, 3)]
    assert found["enqueued"] == {"mail": 3}
    assert "printed by the handler" in done.stderr
    assert "printed by a program" in done.stderr


def test_a_stored_job_is_read_and_nothing_is_written(run: Run, url: str, folder: Path) -> None:
    with contextlib.closing(connect(url)) as database:
        job = Rows(database).job(queue="album", status="Pending", payload={"tracks": 2})
    before = jobs(url)
    done = run(*words(folder, job), url=url)
    assert done.exit_code == 0, done.stderr
    assert "Would spawn 2 jobs" in done.stdout
    assert "\x1b" not in done.stdout
    assert "are real" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    with_result = run(*words(folder, job, "--result", '{"tracks": 7}', "--format", "json"), url=url)
    assert json.loads(with_result.stdout)["children"] == 7
    assert jobs(url) == before


@pytest.mark.parametrize(
    ("pages", "head", "used"),
    [
        (99, "Would spawn 100 jobs, 1 of them early, by key · ", "100 100 0"),
        (100, "Would spawn only 1 job, early, by key · ", "100 101 -1"),
        (500, "Would spawn only 1 job, early, by key · ", "100 101 -1"),
    ],
)
def test_a_job_that_waits_for_all_others_counts_as_a_child_and_stays_if_they_are_too_many(
    run: Run, url: str, folder: Path, pages: int, head: str, used: str
) -> None:
    done = run(*words(folder, "--queue", "joined", "--payload", f'{{"pages": {pages}}}'), url=url)
    assert done.stdout.splitlines()[1].startswith(head)
    assert f"max_spawn_count {used}" in [" ".join(line.split()) for line in done.stdout.splitlines()]
    said = "this would be 101 (root "
    assert (done.exit_code, said in " ".join(done.stdout.split())) == ((1, True) if pages > 99 else (0, False))
    assert ("Nothing else was spawned; the one that was spawned early stays." in " ".join(done.stdout.split())) == (
        pages > 99
    )
    nothing = run(*words(folder, "--queue", "album", "--payload", '{"tracks": 101}'), url=url)
    assert nothing.stdout.splitlines()[1].startswith("Would spawn nothing · ")


def test_exit_code_1_says_that_it_would_not_spawn(run: Run, url: str, folder: Path) -> None:
    many = run(*words(folder, "--queue", "album", "--payload", '{"tracks": 101}'), url=url)
    assert many.exit_code == 1
    assert "Would fail" in many.stdout
    assert "max_spawn_count allows 100" in many.stdout
    broken = run(*words(folder, "--queue", "album", "--payload", "{}", "--format", "json"), url=url)
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["failures"][0]["code"] == "spawn_failed"
    assert "KeyError" in json.loads(broken.stderr.splitlines()[-1])["error"]["message"]


@each_row(
    ("more", "code"),
    [
        ((), 2),
        (("--queue", "album", "abcd"), 2),
        (("abcd", "--payload", "1"), 2),
        (("--queue", "album", "--payload", "{"), 2),
        (("--queue", "album", "--result", "{"), 2),
        (("--queue", "nobody"), 2),
        (("--queue", ""), 2),
        (("abcd",), 5),
    ],
)
def test_a_job_that_cannot_be_rehearsed_is_refused(
    run: Run, url: str, folder: Path, more: tuple[str, ...], code: int
) -> None:
    assert run(*words(folder, *more), url=url).exit_code == code


def test_handlers_are_needed_and_must_load(run: Run, url: str, folder: Path) -> None:
    assert run("spawn", "rehearse", "--queue", "album", url=url).exit_code == 2
    missing = run(
        "spawn",
        "rehearse",
        "--queue",
        "album",
        "--handlers",
        "rehearsed_handlers:nothing",
        "--app-dir",
        str(folder),
        url=url,
    )
    assert missing.exit_code == 3


def test_a_described_job_is_rehearsed_as_job_enqueue_would_store_it(folder: Path, url: str, run: Run) -> None:
    payload = '{"tracks": 120, "_spawn_config": {"batch_size": 10}}'
    found = run(*words(folder, "--queue", "album", "--payload", payload, "--format", "json"))
    assert found.exit_code == 1
    assert [limit["allowed"] for limit in found.json["limits"] if limit["limit"] == "max_spawn_count"] == [100]
    assert run("job", "enqueue", "--queue", "album", "--payload", payload, url=url).exit_code == 0
    with contextlib.closing(connect(url)) as database:
        ((stored,),) = database.query("SELECT payload FROM hammerwork_jobs")
    assert json.loads(stored)["_spawn_config"]["max_spawn_count"] == 100
    misspelt = ("--queue", "album", "--payload", '{"_spawn_config": {"max_spawn": 3}}')
    for refused in (run(*words(folder, *misspelt)), run("job", "enqueue", *misspelt, url=url)):
        assert refused.exit_code == 2
        assert "has no 'max_spawn'. Did you mean max_spawn_count?" in refused.stderr
    assert len(jobs(url)) == 1
    others = '{"_spawn_config": {"of_another_program": 3}}'
    assert run("job", "enqueue", "--queue", "album", "--payload", others, url=url).exit_code == 0
