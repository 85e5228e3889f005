"""Options that many commands share, and those of ``spawn list``, at their edges."""

import contextlib
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from hammerwork_cli import __version__
from hammerwork_cli.app import GROUPS, app
from hammerwork_cli.database import connect
from tests.conftest import each_row
from tests.forks import begin
from tests.rows import START, Rows

Run = Callable[..., Any]
SOON = {"HAMMERWORK_NOW": (START + timedelta(minutes=1)).isoformat()}


@pytest.fixture
def filled_url(new_database: Callable[..., str]) -> str:
    """A parent whose child failed, and a child that waits."""
    url = new_database("sqlite", migrated=True)
    database = connect(url)
    rows = Rows(database)
    root = rows.job(spawns=True)
    rows.job(root, status="Dead", error_message="broken")
    rows.job(root, status="Pending")
    database.close()
    return url


def test_nothing_was_created_since_just_now(run: Run, filled_url: str) -> None:
    for since, parents in (("0s", 0), ("0", 0), ("1h", 1), ("3600", 1)):
        done = run("spawn", "list", "--since", since, "--format", "json", url=filled_url, env=SOON)
        assert (done.exit_code, len(done.json)) == (0, parents)


def test_the_last_parent_of_a_page_leads_to_the_next_one(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        for _ in range(5):
            rows.job(rows.job(spawns=True))
    whole = [operation["parent_id"] for operation in run("spawn", "list", "--format", "json", url=url).json]
    found: list[str] = []
    while page := run(
        "spawn", "list", "--limit", "2", *(f"--cursor={last}" for last in found[-1:]), "--format", "json", url=url
    ).json:
        found += [operation["parent_id"] for operation in page]
    assert (len(found), found) == (5, whole)
    noted = run("spawn", "list", "--limit", "4", url=url).stderr
    assert noted.startswith("There are more: --cursor ")
    assert noted.strip().endswith(whole[3])
    assert run("spawn", "list", "--limit", "5", url=url).stderr == ""


@each_row(
    ("words", "said"),
    [
        (("spawn", "list", "--recent", "--since", "2h"), "--recent"),
        (("spawn", "list", "--recent", "--since", "0s"), "--recent"),
        (("spawn", "list", "--since", ""), "not a duration"),
        (("spawn", "list", "--since", "999999d"), "before the year 1"),
        (("spawn", "doctor", "--older-than", "999999d"), "before the year 1"),
        (("spawn", "doctor", "--older-than", ""), "not a duration"),
        (("spawn", "doctor", "--older-than", "30"), "has no unit"),
        (("job", "purge", "--all", "--older-than", "30", "--yes"), "has no unit"),
        (("job", "delete", "--older-than", "30", "--yes"), "has no unit"),
    ],
)
def test_times_that_make_no_sense_are_refused(run: Run, filled_url: str, words: tuple[str, ...], said: str) -> None:
    done = run(*words, url=filled_url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


COLOURED = [((), {"FORCE_COLOR": "1"}), (("--color", "always"), {}), (("--color", "always"), {"NO_COLOR": "1"})]
PLAIN = [((), {}), (("--color", "never"), {"FORCE_COLOR": "1"}), ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"})]


@pytest.mark.parametrize("verb", [("spawn", "list"), ("job", "list"), ("queue", "list")], ids=" ".join)
def test_a_piped_table_is_coloured_when_asked_and_keeps_its_columns(
    run: Run, filled_url: str, verb: tuple[str, ...]
) -> None:
    plain = {run(*verb, *words, url=filled_url, env=env).stdout for words, env in PLAIN}
    coloured = {run(*verb, *words, url=filled_url, env=env).stdout for words, env in COLOURED}
    assert (len(plain), len(coloured)) == (1, 1)
    (bare,), (painted,) = plain, coloured
    assert "\x1b" not in bare
    assert "\x1b[1m" in painted
    if verb == ("job", "list"):
        assert "\x1b[31mDead\x1b[0m" in painted
    without = re.sub(r"\x1b\[\d+m", "", painted)
    assert [line.rstrip() for line in without.splitlines()] == bare.splitlines()


@each_row("name", GROUPS)
def test_the_help_of_a_group_shows_what_to_type_and_it_can_be_typed(
    run: Run, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    done = run(name, "--help")
    text = capsys.readouterr().out
    examples = [line.split() for line in text.splitlines() if re.match(" {4,6}hammerwork ", line)]
    assert examples, text
    command = get_command(app)
    for words in examples:
        group = command.commands[words[1]]  # type: ignore[attr-defined]
        assert words[1] == name
        assert not hasattr(group, "commands") or words[2] in group.commands
    assert done.exit_code == 0
    assert "..." not in text.partition("Commands:")[2], "each command's sentence is there as a whole"


@pytest.mark.parametrize(
    "words",
    [("--version",), ("-V",), ("-u", "sqlite:///x.db", "--version"), ("--version", "-u", "nonsense"), ("-V", "spawn")],
    ids=" ".join,
)
def test_the_version_is_printed_beside_other_options(hammerwork: Run, words: tuple[str, ...]) -> None:
    done = hammerwork(*words)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"hammerwork {__version__}\n", "")


@each_row(
    "words",
    [
        ("spawn", "list"),
        ("spawn", "list", "--format", "json"),
        ("queue", "health", "--max-failed", "0"),
        ("spawn", "--help"),
        ("--version",),
    ],
)
def test_a_full_disk_has_an_exit_code_of_its_own(
    filled_url: str, clean_environment: dict[str, str], words: tuple[str, ...]
) -> None:
    environment = {**clean_environment, "HAMMERWORK_DATABASE_URL": filled_url}
    with (
        Path("/dev/full").open("w") as full,
        begin(words, environment, Path.cwd(), streams={1: full.fileno()}) as program,
    ):
        _, said = program.communicate(60)
    assert program.returncode == 74
    assert said.count("Cannot write the answer: No space left on device") == 1
