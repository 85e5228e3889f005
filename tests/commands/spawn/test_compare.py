"""``spawn compare`` on every database."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.commands.spawn.test_timeline import CLOCK, times
from tests.rows import Rows

Run = Callable[..., Any]


def night(rows: Rows, seconds: float) -> str:
    root = rows.job(queue="nightly", **times(0, 0, 1))
    rows.job(root, queue="report", **times(1, 2, 2 + seconds))
    return root


def test_two_trees_are_compared_and_the_slower_one_may_fail(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        first, second = night(rows, 8), night(rows, 10.5)
    found = run("spawn", "compare", first, second, "--format", "json", url=migrated_url, env=CLOCK)
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["change"] == 0.25
    words = ("spawn", "compare", first, second, "--fail-above")
    assert run(*words, "25%", url=migrated_url, env=CLOCK).exit_code == 0
    slower = run(*words, "24.9", url=migrated_url, env=CLOCK)
    assert slower.exit_code == 1
    assert "B took 25.0% more time than A." in slower.stdout
    assert run("spawn", "compare", second, first, "--fail-above", "0", url=migrated_url, env=CLOCK).exit_code == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("share", ["much", "-5%", "", "1e9", "%"])
def test_a_share_is_a_percentage(run: Run, new_database: Callable[..., str], share: str) -> None:
    url = new_database("sqlite", migrated=True)
    done = run("spawn", "compare", "abcd", "abce", f"--fail-above={share}", url=url)
    assert done.exit_code == 2
