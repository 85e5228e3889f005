"""The tables of names and states in docs/ are complete."""

import inspect
import re
from dataclasses import fields
from datetime import timedelta

from hammerwork_cli import Job, JobPriority, JobStatus, Queue, RetryStrategy, SpawnConfig, Worker, WorkerReport
from hammerwork_cli.view.json import WORKER_STATES
from tests.conftest import ROOT

CONFIGURATION = (ROOT / "docs" / "handlers" / "configure.md").read_text(encoding="utf-8")
NAMES = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


def test_every_field_of_the_configuration_is_explained():
    (table,) = re.findall(r"\| field \| default.*?\n\n", CONFIGURATION, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.strip().splitlines())))
    assert named == set(SpawnConfig.__dataclass_fields__) - {"extra"}


def reference(first: str) -> list[list[str]]:
    """The rows of a table of the reference, whose head begins like this."""
    (table,) = re.findall(rf"\n\| {re.escape(first)}.*?\n\n", NAMES + "\n", re.DOTALL)
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


def test_the_page_about_states_has_every_status_of_jobs_dependencies_and_workers():
    page = (ROOT / "docs" / "reference" / "states.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert named == {*JobStatus, *WORKER_STATES, "none", "waiting", "satisfied", "failed"}
    explained = set(re.findall(r"^\| ([a-z ]+) \|", page.partition("## Statuses")[0], re.MULTILINE))
    assert set(re.findall(r"--> \w+: (.*)", page)) == explained - {"arrow"}
