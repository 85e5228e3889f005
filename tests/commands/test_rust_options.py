"""The command line of hammerwork (Rust), each option: accepted, or refused with what to use instead."""

import contextlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hammerwork_cli import Handlers
from hammerwork_cli.app import main
from hammerwork_cli.cli.context import Context
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from tests.conftest import ROOT
from tests.jobs import identity, job, move_to_archive, write
from tests.rows import Rows

Run = Callable[..., Any]
ANSWERING = "sh -c 'while read -r line; do echo ok; done'"

app = Handlers()
app.register_job("mail", lambda job: None)  # noqa: ARG005

TABLE = ROOT / "tests" / "data" / "rust_options.txt"


VERSIONS = {"1": "1.15.5", "3": "3", "both": "1.15.5 and 3"}


class Call(NamedTuple):
    words: str
    refused: bool
    version: str


def calls() -> Iterator[Call]:
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        version, verb, needed, options = (part.strip() for part in line.split("|"))
        for option in [one.strip() for one in options.split(";")]:
            words = " ".join(filter(None, (verb, needed, option.removeprefix("!"))))
            yield Call(words, refused=option.startswith("!"), version=VERSIONS[version])


def group_of(call: Call) -> str:
    return call.words.split()[0]


@pytest.fixture(scope="module")
def filled(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with one row of each kind."""
    path = tmp_path_factory.mktemp("rust") / "jobs.db"
    url = f"sqlite:///{path}"
    shutil.copy(empty_file, path)
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        rows.job(
            id=identity(3),
            queue_name="mail",
            status="Pending",
            cron_schedule="0 0 * * * *",
            timezone="UTC",
            recurring=True,
        )
        flow = {"id": identity(5), "name": "nightly", "status": "running", "created_at": "2026-11-24 12:00:00"}
        for group, line in {
            "webhook": "--name notify --url https://127.0.0.1:1/hook --allow-private",
            "streaming": "--name events --backend command --no-test",
        }.items():
            command = ["--command", ANSWERING] if group == "streaming" else []
            assert main([group, "add", *line.split(), *command], Context({"HAMMERWORK_DATABASE_URL": url})) == 0
        rows.insert("hammerwork_workflows", flow | {"failure_policy": "fail_fast", "metadata": "{}"})
    write(url, job(1), job(2, JobStatus.DEAD), job(4, JobStatus.COMPLETED))
    move_to_archive(url, 4, b"{}")
    return path


def tried() -> list[Call]:
    """Of two calls with ``-u`` and ``--database-url`` one: the contract says that both are there for every command."""
    words = {call.words for call in calls()}
    long = {one for one in words if "--database-url" in one and one.replace("--database-url", "-u") in words}
    return [call for call in calls() if call.words not in long]


BY_GROUP = {group: list(found) for group, found in groupby(sorted(tried(), key=group_of), key=group_of)}
"""A case of a test is a group of verbs: a case for each call would take longer than the call."""


@pytest.mark.parametrize("group", BY_GROUP)
def test_an_option_of_hammerwork_rust_is_accepted_or_refused_with_what_to_use_instead(
    run: Run, filled: Path, empty_file: Path, tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = []
    for number, call in enumerate(BY_GROUP[group]):
        (folder := tmp_path / str(number)).mkdir()
        monkeypatch.chdir(folder)
        shutil.copy(filled, folder / "jobs.db")
        if problem := problem_of(answered(run, call, folder / "jobs.db", empty_file), call):
            wrong.append(f"{call.version}: {call.words}: {problem}")
    assert wrong == []


def answered(run: Run, call: Call, jobs: Path, empty: Path) -> Any:
    """What we answer in a folder with files. A backup is restored in an empty database."""
    url = f"sqlite:///{jobs}"
    Path("jobs.json").write_text('{"jobs": {"load": {"queue": "mail"}}}')
    Path("lines.jsonl").write_text('{"queue": "mail", "payload": {}, "priority": "high"}\n')
    values = {
        "URL": url,
        "JOB": identity(1),
        "FAILED": identity(2),
        "RECURRING": identity(3),
        "ARCHIVED": identity(4),
        "WORKFLOW": identity(5),
        "FILE": "new.jsonl",
        "BACKUP": "backup.jsonl",
        "LINES": "lines.jsonl",
        "JOBS": "jobs.json",
        "FOLDER": ".",
        "HANDLERS": f"{__name__}:app",
    }
    words = [values.get(word, word) for word in shlex.split(call.words)]
    if "backup.jsonl" in words:
        assert run("backup", "create", "-o", "backup.jsonl", url=url).exit_code == 0
        shutil.copy(empty, jobs)
    return run(*words, url=None if url in words else url, env={"HAMMERWORK_ALLOWED_PROGRAMS": ANSWERING})


def problem_of(done: Any, call: Call) -> str | None:
    """What is wrong with an answer."""
    if not call.refused:
        asks = done.exit_code == 2 and "--yes" in done.stderr
        return None if done.exit_code in {0, 1, 5} or asks else f"refused: {done.stderr}"
    if done.exit_code != 2:
        return f"accepted: {done}"
    message, _, hint = done.stderr.partition("\n")
    if message.startswith("{"):
        error = json.loads(message)["error"]
        message, hint = error["message"], error["hint"]
    is_helped = "No such" not in message and hint.strip() and "--help" not in hint
    return None if is_helped else f"refused without what to use instead: {done.stderr}"


PAGE = ROOT / "docs" / "start" / "from-rust.md"
SHARED = "-u --database-url -d -n -Q -q -j -f -s --queue --confirm --dry-run --count --compress --completed"
"""Options whose aliases one line of the page has for all verbs, and those that a call needs."""


def test_the_page_names_each_verb_and_option_that_is_new_in_version_3() -> None:
    text = PAGE.read_text("utf-8")
    before = {tuple(call.words.split()[:2]) for call in calls() if call.version != "3"}
    for call in calls():
        if call.version != "3":
            continue
        group, verb, *words = call.words.split()
        named = {word for word in words if word.startswith("-")} - {*SHARED.split()}
        if group == "encryption":  # refused as a whole
            named = {verb}
        assert f"| {group} |" in text, call
        assert verb in text or (group, verb) in before, call
        missing = {word for word in named if word not in text}
        assert not missing, f"{call.words}: {missing}"
