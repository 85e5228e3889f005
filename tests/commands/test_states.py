"""Databases that are not current: they are read as those of hammerwork (Rust), and no command changes them."""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import DatabaseUrl
from tests.commands.test_contract import CONTRACT, ENVIRONMENT, HERE, Asked, fill
from tests.commands.test_profiles import CHANGES, ELSEWHERE
from tests.jobs import execute

Run = Callable[..., Any]

MIGRATE = re.compile(r"hammerwork (?:-u \S+ )?migration run")
STATES = {
    "original": "DELETE FROM hammerwork_migrations WHERE migration_id > '015'",
    "between": "DELETE FROM hammerwork_migrations WHERE migration_id = 'hw_035_archived_columns'",
}
OF_OUR_TABLES = {"archive policies", "archive get-policy", "worker list", "worker status", "monitor health --worker"}
"""Commands that read tables of hammerwork-cli alone, as ``cron`` does: an empty list would be wrong."""


@pytest.fixture(scope="module")
def full(makers: Any) -> Iterator[Asked]:
    """A full SQLite database."""
    maker = makers["sqlite"]
    url = maker.migrated()
    yield Asked(url, fill(url))
    maker.drop(url)


@pytest.fixture(params=STATES)
def behind(request: pytest.FixtureRequest, full: Asked, run: Run, tmp_path: Path) -> tuple[str, Asked]:
    """The name of a state, and a copy of the full database in it."""
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("lines", "tree", "backup")}
    Path(files["lines"]).write_text('{"payload": 1}\n', encoding="utf-8")
    for words in (
        ("job", "export", full.names["root"], "--tree", "-o", files["tree"]),
        ("backup", "create", "-o", files["backup"]),
    ):
        assert run(*words, url=full.url).exit_code == 0
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    with contextlib.closing(connection(full.url)) as source, contextlib.closing(connection(copy)) as target:
        source.backup(target)
    execute(copy, STATES[request.param])
    return request.param, Asked(copy, {**full.names, **files})


def connection(url: str) -> sqlite3.Connection:
    return sqlite3.connect(str(DatabaseUrl.parse(url).path))


def content(url: str) -> str:
    with contextlib.closing(connection(url)) as connected:
        return "\n".join(connected.iterdump())


def ask(run: Run, asked: Asked, path: str, line: str) -> Any:
    words = [word.format(**asked.names).replace("@production", asked.url) for word in line.split()]
    return run(*path.split(), *words, url=asked.url, env=ENVIRONMENT)


def test_no_command_changes_a_database_that_is_not_current(run: Run, behind: tuple[str, Asked]) -> None:
    _, asked = behind
    before = content(asked.url)
    for path in CHANGES.keys() - {"migration run", "web serve"}:
        done = ask(run, asked, path, CHANGES[path])
        assert (done.exit_code, MIGRATE.search(done.stderr) is not None) == (4, True), (path, done)
    assert content(asked.url) == before


def test_a_database_that_is_not_current_is_read_with_a_note_where_our_tables_are_left_out(
    run: Run, behind: tuple[str, Asked]
) -> None:
    state, asked = behind
    before, wrong = content(asked.url), []
    for path, says in CONTRACT.items():
        for line in (
            () if path in CHANGES.keys() | HERE | ELSEWHERE or path.startswith("migration ") else says.lines[:1]
        ):
            done = ask(run, asked, path, line)
            is_ours = path.startswith("cron ") or any(f"{path} {line}".startswith(one) for one in OF_OUR_TABLES)
            codes = {4} if state == "between" and is_ours else {*says.exit_codes, 5}
            said = len(MIGRATE.findall(done.stderr))
            if done.exit_code not in codes or (state == "between" and said != 1):
                wrong.append((path, line, done))
    assert not wrong, "\n".join(map(str, wrong))
    assert content(asked.url) == before
