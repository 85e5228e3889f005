"""Whatever the documentation shows happens: every command and every block of Python of every page is run.

docs/develop/documentation.md says how a page names its database and its files, and what is not run.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import Makers, unavailable
from tests.page_runner import LANGUAGES, RUN, SERVERS, PageRunner, comparable, is_like, missing_tools
from tests.pages import ROOT, Block, Database, Page, documentation

PAGES = [Page(path) for path in documentation()]
MOST_NOT_RUN = 25
"""Blocks that nothing tests. Another one needs as good a reason as those that are there."""


AS_INSTALLED = ("README.md", "docs/operate/stop-workers.md")
"""Pages whose commands start as a user's do, and restart as a user's worker does. Those of the others are forks."""


def run_of(page: Page) -> list[Block]:
    return [block for block in page.blocks if block.language in RUN and not block.reason]


def dialect_of(kind: str) -> str:
    """The kind of server for a kind of database: that of a dump is in its name."""
    return {"postgresql": "postgres", "mariadb": "mysql", "empty": "sqlite"}.get(kind.rpartition(".")[2], kind)


def dialects_of(page: Page) -> list[str]:
    named = {dialect_of(step.kind) for step in page.steps if isinstance(step, Database)}
    served = {dialect for dialect, url in SERVERS.items() if any(url in block.text for block in run_of(page))}
    return sorted(named | served or {"sqlite"})


def cases() -> list[Any]:
    """Each page with something to run, on SQLite or what it names."""
    return [
        pytest.param(page, marks=[getattr(pytest.mark, dialect) for dialect in dialects_of(page)], id=page.name)
        for page in filter(run_of, PAGES)
    ]


@pytest.mark.parametrize("page", cases())
def test_the_commands_of_a_page_print_what_it_shows(
    page: Page,
    tmp_path: Path,
    makers: Makers,
    new_database: Callable[..., str],
    restored: Callable[..., str],
    clean_environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    rewrite = request.config.getoption("--rewrite-expected")
    for tool in missing_tools(run_of(page)):
        unavailable(f"{tool} is missing: install it")
    folder = tmp_path / "page"
    folder.mkdir()

    def make(kind: str, *, is_migrated: bool = False) -> str:
        if kind in ("sqlite", "empty"):
            file = folder / "jobs.db"
            file.unlink(missing_ok=True)
            if kind == "sqlite":
                shutil.copyfile(unquote(new_database("sqlite", migrated=True).removeprefix("sqlite:///")), file)
            return f"sqlite:///{file}"
        return restored(kind, is_migrated=is_migrated) if "." in kind else new_database(kind, migrated=True)

    forked = not page.name.startswith(AS_INSTALLED)
    with PageRunner(page, folder, make, clean_environment, forked=forked, rewrite=rewrite) as runner:
        runner.use("sqlite")
        for step in page.steps:
            if isinstance(step, Database):
                runner.use(step.kind, is_migrated=step.is_migrated)
            elif not step.reason:
                runner.run(step)


def test_every_block_of_a_page_has_a_language_that_says_whether_it_is_run() -> None:
    blocks = [(f"{page.name}:{block.line}", block.language) for page in PAGES for block in page.blocks]
    assert [place for place, language in blocks if language not in LANGUAGES] == []
    assert [page.name for page in PAGES if re.search(r"(?m)^\s*~~~", page.text)] == []


def test_no_block_of_a_page_stands_in_a_list_where_it_would_not_be_run() -> None:
    assert [page.name for page in PAGES if re.search(r"(?m)^ +`{3}", page.text)] == []


def test_a_block_of_text_with_an_expected_output_shows_it(request: pytest.FixtureRequest) -> None:
    shown = [(page, block) for page in PAGES for block in page.blocks if block.expected]
    wrong = []
    for page, block in shown:
        text = (ROOT / "tests" / "expected" / block.expected).read_text(encoding="utf-8")
        if request.config.getoption("--rewrite-expected"):
            page.path.write_text(page.path.read_text("utf-8").replace(block.text, text), encoding="utf-8")
        wrong += [] if block.text == text else [f"{page.name}:{block.line}: {block.expected}"]
    assert shown
    assert wrong == []


def test_few_blocks_are_not_run() -> None:
    marked = [f"{page.name}:{block.line}: {block.reason}" for page in PAGES for block in page.blocks if block.reason]
    assert len(marked) <= MOST_NOT_RUN, "\n".join(marked)


# The mechanism.


@pytest.mark.parametrize(
    ("output", "shown", "alike"),
    [
        ("a 2e16ca09 for 3.1 s\n", "a 29904b70 for 12 ms\n", True),
        ("2026-11-24T10:00:00Z  ok", "2025-01-01T23:59:59Z ok", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a\nb\nc\n", "...\nc\n", True),
        ("a\nb\nc\n", "a\n...\n", True),
        ("a long line", "a ... line", True),
        ("a\nb\n", "a\n", False),
        ("41 jobs", "40 jobs", False),
        ("", "a\n", False),
    ],
)
def test_an_output_may_differ_in_ids_and_times_and_where_dots_stand(output: str, shown: str, alike: bool) -> None:
    assert is_like(output, shown) == alike, comparable(output)


def written(folder: Path, text: str) -> Page:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return Page(path)


def test_a_comment_says_how_the_block_after_it_is_run(tmp_path: Path) -> None:
    text = "<!-- not run: far -->\n\n```sh\nssh\n```\n<!-- exit 1 -->\n```sh\nfalse\n```\nSo:\n\n```sh\ntrue\n```\n"
    blocks = written(tmp_path, text).blocks
    assert [(block.reason, block.exit_code) for block in blocks] == [("far", 0), ("", 1), ("", 0)]


def test_a_block_of_text_is_the_output_of_the_block_right_before_it(tmp_path: Path) -> None:
    text = "```sh\necho a\n```\n\n```text\na\n```\n\n```sh\necho b\n```\n\nNot this:\n\n```text\nc\n```\n"
    assert [block.shown for block in written(tmp_path, text).blocks] == ["a\n", None, None]


def test_a_console_has_commands_with_their_outputs(tmp_path: Path) -> None:
    (block,) = written(tmp_path, "```console\n$ echo a \\\n>   b\na b\n$ true\n$ echo c\nc\n```\n").blocks
    assert list(block.commands) == [("echo a \\\n  b", "a b\n"), ("true", ""), ("echo c", "c\n")]


@pytest.fixture
def runner(tmp_path: Path, clean_environment: dict[str, str]) -> Callable[[str], None]:
    """Runs the text of a page, without a database."""

    def run(text: str) -> None:
        page = written(tmp_path, text)
        folder = tmp_path / "page"
        folder.mkdir()
        with PageRunner(page, folder, lambda *_, **__: "sqlite:///jobs.db", clean_environment) as made:
            made.use("sqlite")
            for block in page.blocks:
                made.run(block)

    return run


def test_a_shell_goes_on_where_the_block_before_it_ended(runner: Callable[[str], None]) -> None:
    runner("```sh\nid=7; mkdir there; cd there\n```\n\n```sh\necho $id; basename $PWD\n```\n\n```text\n7\nthere\n```\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```sh\nfalse\n```\n", "ends with exit code 1"),
        ("```sh\nfalse | cat\n```\n", "ends with exit code 1"),
        ("<!-- exit 1 -->\n```sh\ntrue\n```\n", "ends with exit code 0"),
        ("```console\n$ echo a\nb\n```\n", "prints\na\n"),
        ("```console\n$ echo a\n```\n", "prints\na\n"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "prints\n1\n"),
        ("<!-- background: ready -->\n```sh\necho away\n```\n", "and never ready"),
        ("<!-- file: test_one.py -->\n```python\ndef test_one():\n    assert False\n```\n", "ends with exit code 1"),
    ],
)
def test_output_that_differs_from_its_page_is_a_failure(runner: Callable[[str], None], text: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        runner(text)


def test_a_program_in_the_background_ends_with_its_page(runner: Callable[[str], None], tmp_path: Path) -> None:
    text = "<!-- background: ready -->\n```sh\nmkfifo pipe; echo $$ >../pid; echo ready; cat pipe\n```\n"
    runner(text)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
