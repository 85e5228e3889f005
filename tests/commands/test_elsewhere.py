"""A verb that is elsewhere, or has another name, is named."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.cli.elsewhere import PLACES, SYNONYMS, elsewhere
from tests.commands.test_contract import LEAVES

Run = Callable[..., Any]
VERBS = [path.split() for path in LEAVES if " " in path]


def test_all_that_is_named_exists() -> None:
    verbs = {verb for _, verb in VERBS}
    assert {verb for meant in SYNONYMS.values() for verb in meant} <= verbs
    assert {path for meant in PLACES.values() for path in meant} <= LEAVES.keys()
    assert not SYNONYMS.keys() & PLACES.keys()


@pytest.mark.parametrize("verb", sorted({verb for _, verb in VERBS}))
def test_each_verb_is_found_from_a_group_without_it(verb: str) -> None:
    homes = {f"{group} {name}" for group, name in VERBS if name == verb}
    elsewhere_found = elsewhere(get_command(app), "completion", verb)
    assert set(elsewhere_found) & homes
    assert set(elsewhere_found) <= LEAVES.keys()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("job why", "hammerwork spawn why"),
        ("job wait", "hammerwork spawn wait, hammerwork batch wait, hammerwork workflow wait"),
        ("worker drain", "hammerwork worker stop, hammerwork worker start, hammerwork queue pause"),
        ("batch rm", "hammerwork batch delete"),
        ("queue unpause", "hammerwork queue resume"),
        ("enqueue", "hammerwork job enqueue, hammerwork batch enqueue"),
        ("job tail", "hammerwork monitor logs"),
    ],
)
def test_an_unknown_verb_is_refused_with_the_one_that_is_meant(run: Run, words: str, named: str) -> None:
    refused = run(*words.split(), "178ebfc3")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert f"There is: {named}. See: hammerwork" in refused.stderr
    assert "There is" not in run("job", "qqqq").stderr
