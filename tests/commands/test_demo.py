"""The demo shows something real, and twice is fine."""

import contextlib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.demo.commands import typed_program
from tests.forks import PROGRAM
from tests.terminal import Terminal

Run = Callable[..., Any]


def test_the_demo_works_off_a_tree_draws_it_and_names_the_next_commands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    for times in (1, 2):
        done = run("demo", "--folder", str(folder))
        assert done.exit_code == 0, done.stderr
        assert str(folder / "demo.db") in done.stdout
        assert "Dead after 3 attempts · VideoError: moov atom not found in segment 3" in done.stdout
        assert "41 jobs: 39 completed, 2 dead" in done.stdout
        assert done.stderr.splitlines()[-1] == "41 jobs: 39 completed, 2 dead"
        with contextlib.closing(connect(f"sqlite:///{folder}/demo.db")) as database:
            assert database.query("SELECT COUNT(*) FROM hammerwork_jobs")[0][0] == times * 42
            spawned = database.query("SELECT outcome, children FROM hammerwork_spawn_operations")
            assert spawned == [("spawned", 8)] * 5 * times
            assert database.query("SELECT state FROM hammerwork_workers") == [("stopped",)] * times
    url = f"sqlite:///{folder}/demo.db"
    typed = [shlex.split(line)[1:] for line in done.stdout.splitlines() if line.startswith("  hammerwork ")]
    shown = [run(*words, *["--yes"] * ("retry" in words), url=url) for words in typed if "worker" not in words]
    assert [one.exit_code for one in shown] == [1, 0, 0, 0, 0], [one.stderr for one in shown]  # why: something failed
    assert "moov atom not found" in shown[1].stdout


def test_the_commands_to_try_can_be_typed_where_they_are_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment that nobody has activated, a shell does not find the program by its name."""
    programs = Path(sys.executable).parent
    own = programs / "hammerwork"
    (tmp_path / "elsewhere").mkdir()
    another = tmp_path / "elsewhere" / "hammerwork"
    another.touch(0o755)
    monkeypatch.chdir(programs.parent)
    for path, typed in (
        (str(programs), "hammerwork"),
        (str(tmp_path), f"./{own.relative_to(programs.parent)}"),
        (str(another.parent), f"./{own.relative_to(programs.parent)}"),
    ):
        monkeypatch.setenv("PATH", path)
        assert typed_program() == typed
    monkeypatch.chdir(tmp_path)
    assert typed_program() == str(own)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "hammerwork").symlink_to(own)
    monkeypatch.setenv("PATH", str(tmp_path / "link"))
    assert typed_program() == "hammerwork"
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = run("demo", "--folder", "demo").stdout
    assert f"\n  {own} spawn why " in shown


def test_the_commands_to_try_heal_the_tree(run: Run, hammerwork: Callable[..., Any], tmp_path: Path) -> None:
    done = run("demo", "--folder", str(tmp_path))
    root, url = done.stdout.partition("hammerwork spawn tree ")[2][:8], f"sqlite:///{tmp_path}/demo.db"
    assert run("job", "retry", root, "--tree", "--only", "failed", "--yes", url=url).exit_code == 0
    words = done.stdout.splitlines()[-1].split()[1:]
    assert words[:2] == ["worker", "start"]
    report = hammerwork(*words, "--format", "json", url=url).json
    assert (report["completed"], report["failed"]) == (2, 0)
    assert "41 jobs: 41 completed" in run("spawn", "tree", root, url=url).stdout


def test_on_a_terminal_the_tree_grows_before_ones_eyes(clean_environment: dict[str, str], tmp_path: Path) -> None:
    program = [*PROGRAM, "demo", "--folder", str(tmp_path)]
    with Terminal(program, {**clean_environment, "TERM": "xterm"}) as terminal:
        terminal.shows("1 job:")
        terminal.shows("41 jobs:")
        assert terminal.end() == 0
        assert not terminal.display.is_alternate
        assert any("41 jobs: 39 completed, 2 dead" in line for line in terminal.display.printed)


def test_who_has_seen_enough_gets_the_tree_as_it_is(clean_environment: dict[str, str], tmp_path: Path) -> None:
    program = [*PROGRAM, "demo", "--folder", str(tmp_path)]
    with Terminal(program, {**clean_environment, "TERM": "xterm"}) as terminal:
        terminal.shows("9 jobs:")
        terminal.press("q")
        assert terminal.end() == 0
        assert any("◀ this job" in line for line in terminal.display.printed)
    with contextlib.closing(connect(f"sqlite:///{tmp_path}/demo.db")) as database:
        assert database.query("SELECT COUNT(*) FROM hammerwork_jobs WHERE status = 'Running'") == [(0,)]


def test_the_line_to_type_leads_a_shell_to_the_database(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--folder", str(tmp_path / "-x it's a $(demo)\n50%20 off? é"))
    assert done.exit_code == 0, done.stderr
    typed = (
        done.stdout.partition("  export HAMMERWORK_DATABASE_URL=")[2]
        .partition("hammerwork spawn why")[0]
        .rpartition("\n  ")[0]
    )
    (url,) = shlex.split(typed)
    listed = run("spawn", "list", "--format", "json", url=url)
    assert (listed.exit_code, len(listed.json)) == (0, 5)


def test_a_folder_that_cannot_be_made_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, said in (
        ("/proc/x", "cannot be created"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file/x", "cannot be created"),
    ):
        done = run("demo", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (3, "")
        assert str(folder) in done.stderr
        assert said in done.stderr
    made = run("migration", "run", url="sqlite:////proc/x/y.db")
    assert made.exit_code == 4
    assert "The folder /proc/x does not exist" in made.stderr


def test_a_database_url_is_refused_where_it_would_be_ignored(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for words in (("demo", "-u", f"sqlite:///{tmp_path}/mine.db"), ("-u", "postgresql://localhost/x", "demo")):
        done = run(*words, "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--folder" in done.stderr
    assert not folder.exists()
