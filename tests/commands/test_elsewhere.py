"""A verb that is elsewhere, or has another name, is named."""

from collections.abc import Callable
from typing import Any

from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.cli.elsewhere import PLACES, SYNONYMS, elsewhere
from hammerwork_cli.compat import REPLACED, REPLACED_OPTIONS, aliases
from hammerwork_cli.compat import VERBS as OTHER_NAMES
from tests.commands.test_contract import LEAVES
from tests.conftest import each_row

Run = Callable[..., Any]
VERBS = [path.split() for path in LEAVES if " " in path and path not in REPLACED]


def test_all_that_is_named_exists() -> None:
    verbs = {verb for _, verb in VERBS}
    assert {verb for meant in SYNONYMS.values() for verb in meant} <= verbs
    shown = {" ".join(path) for path in VERBS}
    assert {" ".join(line.split()[:2]) for meant in PLACES.values() for line in meant} <= shown
    assert not SYNONYMS.keys() & PLACES.keys()
    assert not PLACES.keys() & LEAVES.keys()


def test_each_verb_is_found_from_a_group_without_it() -> None:
    shown = {" ".join(path) for path in VERBS}
    for verb in sorted({path.split()[1] for path in LEAVES if " " in path}):
        homes = {f"{group} {name}" for group, name in VERBS if name == verb}
        homes = homes or {" ".join(line.split()[:2]) for old, line in REPLACED.items() if old.split()[1] == verb}
        found = {" ".join(line.split()[:2]) for line in elsewhere(get_command(app), "completion", verb)}
        assert found & homes, verb
        assert found <= shown


@each_row(
    ("words", "named"),
    [
        ("job why", "hammerwork spawn why JOB"),
        ("job wait", "hammerwork spawn wait JOB"),
        ("job tree", "hammerwork spawn tree JOB"),
        ("worker drain", "hammerwork worker stop WORKER, or hammerwork worker start, or hammerwork queue pause QUEUE"),
        ("batch rm", "hammerwork job delete --batch BATCH"),
        ("worker cleanup", "hammerwork job purge --all --tree --older-than 30d"),
        ("queue unpause", "hammerwork queue resume QUEUE"),
        ("queue show", "hammerwork queue stats QUEUE"),
        ("enqueue", "hammerwork job enqueue, or hammerwork batch enqueue"),
        ("job tail", "hammerwork monitor logs"),
        ("worker run", "hammerwork worker start, or hammerwork archive run, or hammerwork migration run"),
        ("job watch", "hammerwork spawn tree JOB --watch"),
        ("job move", "hammerwork job enqueue --queue QUEUE, or hammerwork job cancel JOB"),
        ("job edit", "hammerwork job enqueue, or hammerwork job cancel JOB"),
        (
            "job reschedule",
            "hammerwork job enqueue --at TIME, or hammerwork job cancel JOB, or hammerwork cron update SCHEDULE",
        ),
        ("job search", "hammerwork job list --payload KEY=TEXT, or hammerwork job list --error TEXT"),
        ("job audit", "hammerwork job show JOB, or hammerwork monitor logs"),
    ],
)
def test_an_unknown_verb_is_refused_with_the_one_that_is_meant(run: Run, words: str, named: str) -> None:
    refused = run(*words.split(), "178ebfc3")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == f"Error: There is no `{words}`.\n  Use: {named}\n"
    assert "There is" not in run("job", "qqqq").stderr


def misspelt(name: str, known: set[str]) -> str:
    """A name with two letters exchanged, which is no other one."""
    letters = list(name)
    letters[-3:-1] = letters[-2], letters[-3]
    swapped = "".join(letters)
    return swapped if swapped != name and swapped not in known else f"{name}x"


def test_a_misspelt_verb_or_option_suggests_nothing_that_help_does_not_show(run: Run) -> None:
    verbs = {path for path in LEAVES if " " in path}
    for path in sorted({*REPLACED, *OTHER_NAMES}):
        group, name = path.split()
        refused = run(group, misspelt(name, {path.split()[1] for path in verbs}))
        assert (refused.exit_code, refused.stdout) == (2, "")
        said = " ".join(refused.stderr.split())
        assert (REPLACED.get(path) or OTHER_NAMES[path].split()[1]) in said, (path, said)
        assert f"'{name}'" not in said, said
    for path, verb in LEAVES.items():
        group, _, name = path.partition(" ")
        shown = {name for one in verb.params if not getattr(one, "hidden", False) for name in one.opts}
        hidden = {name for one in verb.params if getattr(one, "hidden", False) for name in one.opts} - shown
        hidden |= {alias for alias, option in aliases(group, name).items() if option in shown} - shown
        for option in sorted(one for one in hidden if one.startswith("--") and len(one) > 6):
            refused = run(*path.split(), misspelt(option, shown | hidden))
            assert refused.exit_code == 2
            suggested = refused.stderr.partition("(Possible options: ")[2].partition(")")[0].split(", ")
            assert not {*suggested} & hidden, (path, option, refused.stderr)
            if (instead := REPLACED_OPTIONS.get(option, "")).startswith("--"):
                assert instead.split()[0].strip(",") in suggested, (path, option, refused.stderr)
