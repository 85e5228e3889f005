"""The demo shows something real, and twice is fine."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect

Run = Callable[..., Any]


def test_the_demo_names_its_folder_and_draws_a_broken_tree_and_the_next_commands(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for times in (1, 2):
        done = run("demo", "--folder", str(folder))
        assert done.exit_code == 0, done.stderr
        assert str(folder / "demo.db") in done.stdout
        assert "Dead after 3 attempts · Codec error" in done.stdout
        assert "41 jobs: 39 completed, 2 dead" in done.stdout
        database = connect(f"sqlite:///{folder}/demo.db")
        assert database.query("SELECT COUNT(*) FROM hammerwork_jobs")[0][0] == times * 124
        database.close()
    root = done.stdout.partition("hammerwork spawn tree ")[2][:8]
    shown = run("spawn", "tree", root, "--status", "dead", url=f"sqlite:///{folder}/demo.db")
    assert shown.exit_code == 0
    assert shown.stdout.count("Dead after 3 attempts") == 2


@pytest.mark.parametrize("name", ["it's a $(demo)", "50%20 off?", "a\nb", "-x", "é"])
def test_the_line_to_type_leads_a_shell_to_the_database(run: Run, tmp_path: Path, name: str) -> None:
    done = run("demo", "--folder", str(tmp_path / name))
    assert done.exit_code == 0, done.stderr
    typed = done.stdout.partition("  export HAMMERWORK_DATABASE_URL=")[2].partition("\n  hammerwork spawn tree")[0]
    (url,) = shlex.split(typed)
    listed = run("spawn", "list", "--format", "json", url=url)
    assert (listed.exit_code, len(listed.json)) == (0, 15)


def test_a_folder_that_cannot_be_made_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, said in (
        ("/proc/x", "cannot be made"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file/x", "made"),
    ):
        done = run("demo", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (3, "")
        assert str(folder) in done.stderr
        assert said in done.stderr
    made = run("migration", "run", url="sqlite:////proc/x/y.db")
    assert made.exit_code == 3
    assert "The folder /proc/x cannot be made" in made.stderr


def test_a_database_url_is_refused_where_it_would_be_ignored(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for words in (("demo", "-u"), ("-u", "postgresql://localhost/x", "demo", "-u")):
        done = run(*words, f"sqlite:///{tmp_path}/mine.db", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--folder" in done.stderr
    assert not folder.exists()
