"""What a short command does not load: a command line in scripts is started thousands of times."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from hammerwork_cli.database import connect
from tests import surroundings
from tests.conftest import ROOT, one_case_on_servers
from tests.rows import Rows

HEAVY = {
    *("rich", "tabulate", "asyncio", "pydantic", "importlib.metadata", "click", "tomllib", "tomlkit"),
    *("starlette", "uvicorn", "jsonschema", "prometheus_client"),
}
LATE = {"typer.completion", "subprocess", "platform", "shutil", "uuid", "gettext", "traceback", "textwrap"}
"""What only Typer would import."""
OF_PSYCOPG = {"importlib.metadata", "email", "ssl", "base64", "linecache", "locale", "random", "zoneinfo"}
"""What only psycopg and asyncio would import."""
OF_OTHERS = {
    *("cli.lists", "core.input.fields", "core.input.rates", "core.input.spawn_config", "core.input.zones", "view.text"),
    *("features.tree.progress", "features.tree.spawn_tree", "features.tree.views.json"),
    *(f"features.spawn.{part}" for part in ("models.pending", "models.stats", "queries.pending", "queries.stats")),
    *("features.spawn.views.pending_records", "features.spawn.views.stats_records"),
}
"""The modules of hammerwork_cli that a list of operations as JSON does not use, and other verbs and formats do."""


def loaded(*words: str, env: dict[str, str]) -> set[str]:
    """The modules that a command imported."""
    command = [sys.executable, "-X", "importtime", "-P", "-m", "hammerwork_cli", *words]
    environment = {**surroundings.uncovered(env), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_the_version_loads_nothing_of_hammerwork_cli_but_the_entry(clean_environment: dict[str, str]) -> None:
    modules = loaded("--version", env=clean_environment)
    assert {module for module in modules if module.startswith("hammerwork_cli.")} <= {
        "hammerwork_cli.__main__",
        "hammerwork_cli.version",
    }
    assert not modules & {"typer", "json", "sqlite3", *HEAVY}


@pytest.mark.sqlite
@pytest.mark.parametrize("words", [("spawn", "list"), ("job", "list")], ids=" ".join)
def test_a_list_on_sqlite_loads_no_other_driver_and_nothing_for_people(
    words: tuple[str, ...], new_database: object, clean_environment: dict[str, str]
) -> None:
    url = new_database("sqlite", migrated=True)  # type: ignore[operator]
    env = {**clean_environment, "HAMMERWORK_DATABASE_URL": url}
    modules = loaded(*words, "--format", "json", env=env)
    assert "sqlite3" in modules
    assert not modules & {"psycopg", "mysql.connector", *HEAVY, *LATE}


DRIVERS = {"sqlite": "sqlite3", "postgres": "psycopg", "mysql": "mysql.connector"}


@one_case_on_servers
@pytest.mark.parametrize("form", ["json", "table"])
def test_a_piped_answer_loads_one_driver_and_no_rich(
    form: str, dialect: str, new_database: Callable[..., str], clean_environment: dict[str, str]
) -> None:
    url = new_database(dialect, migrated=True)
    with contextlib.closing(connect(url)) as database:
        Rows(database).job(spawns=True)
    modules = loaded("spawn", "list", "--format", form, env={**clean_environment, "HAMMERWORK_DATABASE_URL": url})
    assert modules & {*DRIVERS.values()} == {DRIVERS[dialect]}
    assert "rich" not in modules
    if form == "json":
        assert not modules & {f"hammerwork_cli.{name}" for name in OF_OTHERS}
        assert dialect == "mysql" or not modules & {"shlex", *OF_PSYCOPG}
    assert ("tabulate" in modules) == (form == "table")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("words", "own"),
    [
        ("spawn list", "spawn.operations"),
        ("job list", "job.reading"),
        ("worker list", "worker.control"),
        ("cron list", "cron.reading"),
        ("archive list", "archive.reading"),
        ("maintenance sizes", "maintenance.tables"),
        ("backup list", "backup.files"),
        ("monitor metrics", "monitor.metrics"),
    ],
)
def test_a_verb_loads_no_other_verb(
    words: str, own: str, new_database: Callable[..., str], clean_environment: dict[str, str]
) -> None:
    env = {**clean_environment, "HAMMERWORK_DATABASE_URL": new_database("sqlite", migrated=True)}
    modules = loaded(*words.split(), env=env)
    assert "hammerwork_cli.cli.verb" in modules
    group, _, module = own.partition(".")
    commands = f"hammerwork_cli.features.{group}.commands"
    allowed = {commands, *(f"{commands}.{name}" for name in (module, "arguments", "filters", "options"))}
    assert {name for name in modules if re.match(r"hammerwork_cli\.features\.\w+\.commands", name)} <= allowed
