"""Databases that are not current: they are read as those of hammerwork (Rust), and no command changes them."""

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hammerwork_cli.core.values import Migrated
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.view.commands import runnable
from tests.commands.test_contract import CONTRACT, ENVIRONMENT, HERE, LEAVES, Asked, formats
from tests.commands.test_profiles import CHANGES, ELSEWHERE
from tests.jobs import execute

Run = Callable[..., Any]

MIGRATE = re.compile(r"hammerwork (?:-u \S+ )?migration run")
STATES = {
    "original": "DELETE FROM hammerwork_migrations WHERE migration_id > '015'",
    "between": "DELETE FROM hammerwork_migrations WHERE migration_id = 'hw_036_unique_jobs'",
}
LACKS = {"original": Migrated.NONE, "between": Migrated.SOME}
OF_OUR_TABLES = ("archive policies", "archive get-policy", "worker list", "worker status", "monitor health --worker")
"""Commands that read tables of hammerwork-cli alone, as ``cron`` does: an empty list would be wrong."""
OF_JOBS = "worker status --jobs"
FIRST = re.compile(r"hammerwork (?:-u \S+ )?migration run && $")
PRINTED = re.compile(rf"hammerwork (?:-u \S+ )?(?P<command>(?:{'|'.join(LEAVES)})\b[^\n)\"]*)")


@pytest.fixture(scope="module")
def full(full_file: tuple[Path, dict[str, str]]) -> Asked:
    """A full SQLite database, which nobody changes."""
    path, names = full_file
    return Asked(f"sqlite:///{quote(str(path))}", names)


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


def is_refused(command: str, state: str) -> bool:
    """Whether a database in this state refuses a command, as the tests below find."""
    path = " ".join(command.split()[:2])
    if path in CHANGES.keys() - {"migration run", "web serve"}:
        return CONTRACT[path].changes or bool(re.search(r"--(?:fix|on-complete)", command))
    is_ours = path in LEAVES and path.startswith(("cron ", "webhook ", "streaming ")) and path not in HERE
    return state == "between" and (is_ours or command.startswith(OF_OUR_TABLES)) and not command.startswith(OF_JOBS)


def refused_alone(text: str, state: str) -> list[str]:
    """The commands in an answer that would be refused, and that nobody is told to migrate for."""
    found = [printed for printed in PRINTED.finditer(text) if is_refused(printed["command"], state)]
    return [printed[0] for printed in found if not FIRST.search(text[: printed.start()])]


def test_no_command_changes_a_database_that_is_not_current(run: Run, behind: tuple[str, Asked]) -> None:
    state, asked = behind
    before = content(asked.url)
    for path in CHANGES.keys() - {"migration run", "web serve"}:
        done = ask(run, asked, path, CHANGES[path])
        assert (done.exit_code, MIGRATE.search(done.stderr) is not None) == (4, True), (path, done)
        assert refused_alone(runnable(f"hammerwork {path} {CHANGES[path]}", LACKS[state]), state) == []
    assert content(asked.url) == before


def test_a_database_that_is_not_current_is_read_and_each_next_step_that_it_would_refuse_begins_with_the_migrations(
    run: Run, behind: tuple[str, Asked]
) -> None:
    """Where our tables are left out, a note says so once."""
    state, asked = behind
    before, wrong, steps = content(asked.url), [], 0
    for path, says in CONTRACT.items():
        if path in HERE | ELSEWHERE or path.startswith("migration ") or (says.changes and path in CHANGES):
            continue
        json = [f"{says.lines[0]} --format json"] if "json" in formats(path) else []
        # Where nothing of ours counts as there, options make no difference.
        for line in (*says.lines, *json) if state == "between" else (says.lines[0], *says.schemas):
            done = ask(run, asked, path, line)
            refused, is_json = is_refused(f"{path} {line}", state), line.endswith("json")
            said = len(MIGRATE.findall(done.stderr))
            steps += (done.stdout + done.stderr).count("migration run && ")
            if (
                done.exit_code not in ({4} if refused else {*says.exit_codes, 5})
                or (state == "between" and said != 1 and not is_json)
                or refused_alone(done.stdout + done.stderr, state)
                or ("&&" in runnable(f"hammerwork {path} {line}", LACKS[state])) != refused
            ):
                wrong.append((path, line, done))
    assert not wrong, "\n".join(map(str, wrong))
    assert steps > 20
    assert content(asked.url) == before
