"""Values that cannot be, and options that would do nothing: refused before anything is done."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hammerwork_cli.cli import given
from tests.commands.test_given_twice import LEAVES, long_name, options
from tests.conftest import each_row

Run = Callable[..., Any]
NONSENSE = "nonsense?"
NOWHERE = "sqlite:////nowhere/none.db"
"""Whoever opens it ends with exit code 4."""
READ_BY_VERBS = frozenset(
    {"CHECK", "COLUMNS", "DAYS", "FIELD", "HOURS", "HOW", "JSON", "KEY=TEXT", "LEVEL", "PERCENT", "PORT", "STATUS"}
    | {"STATES", "WORDS"}
    | {"FORMAT", "KEY=VALUE", "METHOD", "NAME=VALUE", "WHAT"}
)
"""Words for values in the help that not every verb reads alike, or that Click reads."""
FREE = frozenset(
    {"BATCH", "FILE", "FOLDER", "ID", "JOB", "NAME", "PATH", "QUEUE", "TEXT", "TOKEN", "WORKER", "WORKFLOW"}
    | {"ADDRESS", "ORIGIN", "QUEUE|JSON"}  # any text may be one
    | {"COMMAND", "HOST", "HOSTS", "PROJECT", "REGION", "SECRET", "TOPIC"}  # the same
    | {"NAMES"}  # keys of an answer: tests/commands/test_lists.py
    | {"MODULE:ATTRIBUTE", "URL", "[ID=]PLACE", "[QUEUE=]MODULE:ATTRIBUTE"}  # of the configuration: exit code 3 or 4
)
"""Words for names, which are looked up."""
BESIDE = {
    "archive get-policy": "--queue a",
    "archive set-policy": "--queue a",
    "batch cancel": "{id}",
    "batch retry": "{id}",
    "job enqueue": "--queue a --payload [] --unique a",
    "spawn rehearse": "--queue a --handlers a:b",
    "spawn wait": "{id}",
    "webhook update": "{id}",
    "worker start": "--handlers a:b",
}
ID = "00000000-0000-4000-8000-00000000a4c4"
VALID = {"DURATION": "5m", "FILE": "a", "N": "3", "SIZE": "2G", "SECONDS": "1", "STATUS": "failed", "TIME": "2h"}


def typed() -> Iterator[tuple[str, Any]]:
    for path in LEAVES:
        for option in options(path):
            is_number = type(option.type).__name__ in {"FloatRange", "IntRange"}
            has_choices = bool(getattr(option.type, "choices", ()))
            if option.is_flag or not option.expose_value:
                continue
            if is_number or has_choices or (option.metavar or "") in given.READERS.keys() | READ_BY_VERBS:
                yield path, option
            else:
                assert option.metavar in FREE or option.hidden, f"{path} {long_name(option)}: is it free text?"


def line(path: str, option: Any, value: str, tmp_path: Path) -> list[str]:
    """A command that has what it needs, and the option."""
    words = [*path.split(), *BESIDE.get(path, "").format(id=ID).split()]
    for param in LEAVES[path].params:
        if param.required and param is not option:
            named = param.param_type_name == "option"
            number = 1 if named or param.nargs < 1 else param.nargs
            file = str(tmp_path / "file")
            choices = [str(getattr(one, "value", one)) for one in getattr(param.type, "choices", ())]
            one = choices[0] if choices else {"FILE": file, "TIME": "7d", "CRON": "@daily"}.get(param.metavar or "", ID)
            words += [long_name(param), one] if named else [one] * number
    companion = (option.help or "").partition(": ")[0].removeprefix("With ")
    beside = [companion] if companion.startswith("--") and " " not in companion else []
    return [*words, *beside, long_name(option), value]


def test_a_value_that_cannot_be_is_refused_before_the_database_is_opened(run: Run, tmp_path: Path) -> None:
    wrong, count = [], 0
    for path, option in typed():
        name = long_name(option)
        limited = option.metavar in given.READERS and not re.fullmatch(given.WITHOUT_LIMIT, name)
        unlimited = ["off", "none", "never"] if limited and option.metavar[0] != "[" else []
        for value in [NONSENSE, *(["nan", "inf"] if type(option.type).__name__ == "FloatRange" else unlimited)]:
            done = run(*line(path, option, value, tmp_path), url=NOWHERE)
            said = done.stderr.replace("The payload", "--payload").replace("The template", "--template")
            count += 1
            if done.exit_code != 2 or done.stdout or not (value in said or name in said):
                wrong.append(f"{path} {name} {value}: {done.exit_code} {done.stderr[:80]}")
    assert wrong == []
    assert count > 300
    assert [*tmp_path.glob("file*")] == []


def test_an_option_that_needs_another_one_is_refused_alone(run: Run, tmp_path: Path) -> None:
    found = []
    for path, option in typed():
        *words, needed, name, value = line(path, option, VALID.get(option.metavar or "", "3"), tmp_path)
        if (option.help or "").startswith(f"With {needed}: ") and needed in {n for o in options(path) for n in o.opts}:
            done = run(*words, name, value, url=NOWHERE)
            assert (done.exit_code, done.stdout) == (2, ""), (path, name, done)
            assert f"{name} needs {needed}." in done.stderr
            found.append(f"{path} {name}")
    assert {"queue stats --since", "spawn tree --timeout", "worker stop --timeout", "job retry --only"} <= {*found}


@each_row(
    ("words", "said"),
    [
        ("monitor health --max-rows 5", "--max-rows has no effect: the check rows does not run. Add --tables."),
        (
            "cron create -q q --payload {} --schedule @daily --grace 5m",
            "--grace needs --catch-up none. Add --catch-up none.",
        ),
        ("cron create -q q --payload {} --schedule @daily --catch-up all --grace 5m", "no effect with --catch-up all."),
        ("monitor health --tables --max-pending 5", "--max-pending has no effect"),
        ("monitor health --worker a --max-overdue 5m", "--max-overdue has no effect"),
        ("monitor health --only failed --max-retrying 5", "the check retrying does not run. Leave it out."),
        ("monitor health --queue a --max-overdue 5m", "--max-overdue has no effect"),
        ("worker list --all --since 2h", "--all cannot be combined with --since."),
        ("spawn stats --hours 2 --since 2h", "--hours cannot be combined with --since."),
        ("archive run --no-compress --compression-level 3", "--compression-level cannot be combined"),
        ("archive run --by job --tree", "--by cannot be combined with --tree."),
        ("archive list --offset 3 -u x --cursor a", "--cursor cannot be combined with --offset."),
        ("backup restore -i a --skip-existing --existing replace", "--existing cannot be combined"),
        ("queue stats --hours 3", "--hours needs --detailed."),
        ("backup copy --to sqlite:////a.db --verify-only --force", "--force cannot be combined with --verify-only."),
        ("migration run --drop --rust 3", "--drop cannot be combined with --rust."),
        ("worker start --upkeep-only --concurrency 8", "runs no jobs, so --concurrency has no effect."),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(run: Run, words: str, said: str) -> None:
    refused = run(*words.split(), url=NOWHERE)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


def test_a_value_beside_which_an_option_does_something_is_taken(run: Run, lite_url: str) -> None:
    for words in (
        "monitor health --max-failed 3 --only failure_rate",
        "monitor health --queue mail --max-running-age off --only lost_jobs",
        "monitor health --tables --max-rows 3 --max-transaction never",
        "job export --output -",  # the default
        "archive run --compress --compression-level 3 --yes",
        "queue stats --detailed --since 2h",
    ):
        assert run(*words.split(), url=lite_url).exit_code == 0, words
