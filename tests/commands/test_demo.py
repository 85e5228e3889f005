"""The demo shows something real, and twice is fine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
