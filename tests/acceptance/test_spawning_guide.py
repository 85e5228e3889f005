"""What ``docs/handlers/guide.md`` shows is what happens, and what ``docs/operate/side-by-side.md`` names is there."""

import contextlib
import inspect
import io
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job, JobPriority, Queue, RetryStrategy, SpawnConfig, Worker, WorkerReport
from hammerwork_cli.database import connect
from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "handlers" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)


def blocks() -> Iterator[tuple[int, str, str | None]]:
    """Line, code and expected output of each block of Python."""
    found = list(BLOCK.finditer(GUIDE))
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block[1] == "python":
            told = following and following[1] == "text" and not GUIDE[block.end() : following.start()].strip()
            yield GUIDE.count("\n", 0, block.start()) + 1, block[2], following[2] if told and following else None


@pytest.mark.sqlite
def test_every_block_of_python_runs_and_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("migration", "run", url=f"sqlite:///{tmp_path}/jobs.db").exit_code == 0
    names: dict[str, Any] = {"__name__": "guide"}
    for line, code, expected in blocks():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, "docs/handlers/guide.md", "exec"), names)  # noqa: S102  our own guide
        assert printed.getvalue() == (expected or ""), f"line {line}"
    with contextlib.closing(connect(f"sqlite:///{tmp_path}/jobs.db")) as database:
        left = database.query(
            "SELECT queue_name, status, error_message FROM hammerwork_jobs WHERE status <> 'Completed'"
        )
    assert left == []


@pytest.mark.sqlite
def test_the_first_application_does_what_its_commands_say(tmp_path: Path, hammerwork: Callable[..., Any]) -> None:
    _, code, _ = next(blocks())
    (tmp_path / "video.py").write_text(code, encoding="utf-8")
    (script,) = (block[2] for block in BLOCK.finditer(GUIDE) if block[1] == "sh")
    for command in script.splitlines():
        done = hammerwork(*shlex.split(command)[1:], url=f"sqlite:///{tmp_path}/jobs.db")
        assert done.exit_code == 0, done.stderr
    (operation,) = hammerwork("spawn", "list", "--format", "json", url=f"sqlite:///{tmp_path}/jobs.db").json
    assert (operation["queue"], operation["children"]["total"]) == ("video", 4)


def test_every_field_of_the_configuration_is_explained():
    (table,) = re.findall(r"\| field \| default.*?\n\n", GUIDE, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.strip().splitlines())))
    assert named == set(SpawnConfig.__dataclass_fields__) - {"extra"}


def reference(first: str) -> list[list[str]]:
    """The rows of a table of the reference, whose head begins like this."""
    (table,) = re.findall(rf"\n\| {re.escape(first)}.*?\n\n", GUIDE + "\n", re.DOTALL)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.strip().splitlines()[2:]]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)(?:\([^`]*\))?`", cell))


def test_the_reference_has_all_methods_of_a_queue():
    found = {name for row in reference("`Queue(") for name in names(row[0])}
    assert found == {name for name, value in vars(Queue).items() if inspect.isfunction(value) and name[0] != "_"}
    given = inspect.signature(Queue).parameters
    assert (given["pool_size"].default, given["patience"].default) == (4, 30)


def test_the_reference_has_all_fields_and_methods_of_a_job():
    rows = reference("`Job` ")
    assert {name for row in rows for name in names(row[0])} == {*Job.__dataclass_fields__, "_spawn_config"}
    builders = {name for name in vars(Job) if name.startswith(("with_", "as_", "depends_"))}
    assert {name for row in rows for name in names(row[2])} - {"Queue"} == builders
    assert [row[1] for row in rows if names(row[0]) == {"max_attempts"}] == [str(Job("q").max_attempts)]
    (words,) = (row[3].partition("word:")[2] for row in rows if names(row[0]) == {"priority"})
    assert names(words) == {priority.word for priority in JobPriority}


def test_the_reference_has_all_arguments_of_a_worker_with_their_defaults_and_its_whole_report():
    rows, given = reference("`Worker("), inspect.signature(Worker).parameters
    assert {name for row in rows for name in names(row[0])} == set(given)
    for name, default in ((names(row[0]).pop(), row[1]) for row in rows[1:] if row[1] != "exponential"):
        assert default == f"`{given[name].default!r}`", name
    retry = given["retry"].default
    assert retry == RetryStrategy.exponential(timedelta(seconds=1), 2.0, timedelta(minutes=5), jitter=0.1)
    found = {name for row in reference("`WorkerReport`") for name in names(row[0])}
    assert found == {field.name for field in fields(WorkerReport)}


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE))
def test_what_it_links_to_is_there(path: str) -> None:
    assert (ROOT / "docs" / "handlers" / path).exists()


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([^)]+)\)", GUIDE))
def test_the_sections_it_links_to_are_there(anchor: str) -> None:
    headings = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    }
    assert anchor in headings


def test_the_commands_that_the_page_about_rust_workers_names_are_there(run: Callable[..., Any]) -> None:
    page = (ROOT / "docs" / "operate" / "side-by-side.md").read_text(encoding="utf-8")
    for words in {tuple(found.split()) for found in re.findall(r"`hammerwork (\w+ \w+)[^`]*`", page)}:
        assert run(*words, "--help").exit_code == 0, words
