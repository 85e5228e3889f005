"""One word for one thing: what an option is called, in every command that help shows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.cli.context import Context
from hammerwork_cli.compat import REPLACED
from hammerwork_cli.core.input.reading import WINDOW_HINT
from hammerwork_cli.core.values import FAILURES
from tests.commands.test_contract import ENVIRONMENT, LEAVES
from tests.conftest import ROOT

Run = Callable[..., Any]
SHOWN = {path: leaf for path, leaf in LEAVES.items() if path not in REPLACED}


class Word(NamedTuple):
    """What an option means wherever it is.

    Attributes:
        metavar: the word for its value; empty for a flag.
        short: its only short name.
        but: verb -> why it means something else there.
    """

    metavar: str = ""
    short: str | None = None
    but: frozenset[str] = frozenset()


WORDS = {
    "--since": Word("TIME"),
    "--until": Word("TIME"),
    "--failed-since": Word("TIME"),
    "--older-than": Word("DURATION"),
    "--tree": Word(but=frozenset({"monitor logs"})),  # which needs the job
    "--limit": Word("N", "-l"),
    "--status": Word("STATUS", "-t"),
    "--queue": Word("QUEUE", "-q"),
    "--priority": Word("PRIORITY", "-r"),
    "--payload": Word("JSON", "-j"),
    "--failed": Word(),
    "--batch": Word("BATCH"),
    "--workflow": Word("WORKFLOW"),
    "--yes": Word("", "-y"),
    "--dry-run": Word(),
    "--all": Word(),
    "--force": Word(),
    "--reason": Word("TEXT", but=frozenset({"archive run"})),  # which takes a word of hammerwork (Rust)
    "--detailed": Word(),
    "--cursor": Word("CURSOR"),
    "--fields": Word("NAMES"),
    "--concurrency": Word("N", "-c"),
    "--file": Word("FILE", "-f"),
}
BEFORE = ROOT / "tests" / "data" / "options_before.txt"
FILTERS_OF_PAYLOADS = {"job list", "job export", "job retry", "job cancel", "job delete"}
"""Verbs whose ``--payload`` is a filter: KEY=TEXT, without a short name."""
OLD = frozenset(
    [
        "--hours",
        "--last-hours",
        "--period",
        "--recent",
        "--stale-hours",
        "--lines",
        "--by",
        "--from",
        "--to",
        "--keep-completed-days",
        "--completed-after",
        "--completed-after-days",
        "--older-than-days",
        "--older-than-hours",
    ]
)
"""Words for what :data:`WORDS` names."""
SHORT = {"-t": {"--status"}, "-q": {"--queue"}, "-l": {"--limit"}, "-c": {"--concurrency"}, "-n": set[str]()}


def options(path: str) -> list[Any]:
    found = [param for param in SHOWN[path].params if param.param_type_name == "option"]
    return [param for param in found if not getattr(param, "hidden", False)]


def long_name(option: Any) -> str:
    return next(name for name in option.opts if name.startswith("--"))


def test_an_option_means_the_same_in_every_command() -> None:
    wrong = []
    for path in SHOWN:
        for option in options(path):
            name = long_name(option)
            word = WORDS.get(name)
            if name == "--payload" and path in FILTERS_OF_PAYLOADS:
                word = Word("KEY=TEXT")
            if word is None or path in word.but:
                continue
            shorts = {one for one in option.opts if not one.startswith("--")}
            metavar = (option.metavar or "").removeprefix("[STATUS=]")
            if (metavar if not option.is_flag else "") != word.metavar or shorts - {word.short}:
                wrong.append(f"{path} {name}: {option.metavar} {shorts}")
    assert wrong == []


def test_each_thing_has_one_word_and_each_short_name_one_meaning() -> None:
    shorts: dict[str, set[str]] = {}
    for path in SHOWN:
        names = {long_name(option) for option in options(path)}
        allowed = {"--to"} if path == "backup copy" else set[str]()  # a database
        assert names & OLD <= allowed, path
        for option in options(path):
            for short in option.opts:
                if not short.startswith("--"):
                    shorts.setdefault(short, set()).add(long_name(option))
    assert {short: shorts.get(short, set()) for short in SHORT} == SHORT


@pytest.fixture(scope="module")
def filled(
    full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    path, names = full_file
    return Path(shutil.copy(path, tmp_path_factory.mktemp("words") / "jobs.db")), names


LOOKING_BACK = sorted(path for path in SHOWN if {"--since", "--until"} & {long_name(one) for one in options(path)})
NEEDED = {
    "backup create": "-o -",
    "cron backfill": "{schedule} --dry-run",
    "cron history": "{schedule}",
    "job cancel": "--dry-run",
    "job delete": "--dry-run",
    "job retry": "--dry-run",
    "queue stats": "mail --detailed",
    "streaming replay": "{stream} --yes",
    "webhook deliveries": "{webhook}",
    "webhook replay": "{webhook} --yes",
}


def test_every_time_that_a_command_looks_back_to_is_read_alike(
    run: Run, filled: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(filled[0], tmp_path / 'jobs.db')}"
    assert len(LOOKING_BACK) > 15
    for path in LOOKING_BACK:
        words = [*path.split(), *NEEDED.get(path, "").format(**filled[1]).split()]
        names = {long_name(one) for one in options(path)}
        for name in names & {"--since", "--until", "--failed-since"}:
            first = ("--since", "300d") if path == "cron backfill" and name == "--until" else ()
            for value in ("2h", "2026-11-01 14:00 Europe/Oslo"):  # what one way to read times alone takes
                done = run(*words, *first, name, value, url=url, env=ENVIRONMENT)
                assert done.exit_code in {0, 1}, (path, name, value, done.stderr)
            refused = run(*words, *first, name, "soon", url=url, env=ENVIRONMENT)
            assert (refused.exit_code, WINDOW_HINT in " ".join(refused.stderr.split())) == (2, True), (path, name)


def test_failed_means_the_same_jobs_in_every_command(
    run: Run, filled: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(filled[0], tmp_path / 'jobs.db')}"
    every = {path for path in SHOWN if "--failed" in {long_name(option) for option in options(path)}}
    assert every == {
        *("job list", "job export", "job retry", "job delete", "job purge"),
        *("spawn list", "cron list", "workflow list"),  # parents, schedules and workflows with such a job
        "webhook deliveries",  # which are jobs
    }

    def statuses(path: str, *words: str) -> set[str]:
        answered = run(*path.split(), "--failed", *words, "--format", "json", url=url, env=ENVIRONMENT).json
        rows = answered["plan"] if isinstance(answered, dict) else answered
        return {row["status"] for row in rows}

    wanted = {status.value for status in FAILURES}
    assert statuses("job list", "--limit", "1000") == statuses("job export") == wanted
    for path in ("job retry", "job delete", "job purge"):
        assert statuses(path, "--dry-run") == wanted, path


OLD_LINES = {
    "spawn list --recent": "spawn list --since 1h",
    "spawn stats --hours 48": "spawn stats --since 48h",
    "queue stats mail --detailed --hours 48": "queue stats mail --detailed --since 2d",
    "job list --last-hours 2": "job list --since 2h",
    "monitor metrics --period 2d": "monitor metrics --since 2d",
    "monitor metrics -t 2d": "monitor metrics --since 48h",
    "monitor logs --lines 3": "monitor logs --limit 3",
    "cron check @daily -c 3": "cron check @daily --limit 3",
    "cron check @daily --count 3": "cron check @daily -l 3",
    "cron backfill {schedule} --from 9d --to 2d --dry-run": "cron backfill {schedule} --since 9d --until 2d --dry-run",
    "spawn monitor --count 1 --until failed": "spawn monitor --count 1 --exit-on failed",
    "workflow create -n late --format jsonl": "workflow create --name late --format jsonl",
    "archive run --by job --completed-after-days 1 --dry-run": (
        "archive run --no-tree --older-than completed=1d --dry-run"
    ),
    "archive run --failed-after-days 0 --dead-after-days 2 --timed-out-after-days 3 --dry-run": (
        "archive run --older-than failed=0s,dead=2d --older-than timed-out=3d --dry-run"
    ),
    "archive set-policy --queue mail --completed-after 1d --dead-after never --failed-after 2d --timed-out-after 3d": (
        "archive set-policy --queue mail --older-than 3d,completed=1d,dead=never,failed=2d"
    ),
    "archive set-policy --queue mail --completed-after-days 1 --by job": (
        "archive set-policy --queue mail --older-than completed=24h --no-tree"
    ),
}


def test_the_old_words_do_what_the_new_ones_do(run: Run, filled: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    for lines in OLD_LINES.items():
        done = []
        for line in lines:
            url = f"sqlite:///{shutil.copy(filled[0], tmp_path / 'jobs.db')}"
            done.append(run(*line.format(**filled[1]).split(), url=url, env=ENVIRONMENT))
        old, new = done
        assert old.exit_code in {0, 1}, (lines, old.stderr)
        if not lines[0].startswith(("monitor", "spawn monitor", "workflow create")):
            assert (old.exit_code, old.stdout) == (new.exit_code, new.stdout), lines
        else:
            assert old.exit_code == new.exit_code, lines


def test_every_command_and_option_that_worked_before_works() -> None:
    lines = [line for line in BEFORE.read_text("utf-8").splitlines() if not line.startswith("#")]
    missing = []
    for line in lines:
        path, _, names = line.partition(" | ")
        group, _, verb = path.removesuffix(" |").partition(" ")
        parser = LEAVES[path.removesuffix(" |")].make_parser(_context(group, verb))
        known = {*parser._short_opt, *parser._long_opt}
        missing += [f"{path} {name}" for name in names.split() if name not in known]
    assert len(lines) > 100
    assert missing == []


def _context(group: str, verb: str) -> Any:
    root: Any = get_command(app)
    above = root.make_context("hammerwork", [], obj=Context(), resilient_parsing=True)
    within = root.commands[group].make_context(group, [], parent=above, resilient_parsing=True)
    if not verb:
        return within
    return root.commands[group].commands[verb].make_context(verb, [], parent=within, resilient_parsing=True)


def test_an_age_by_status_is_that_of_ended_jobs_and_one_for_each(run: Run, filled: tuple[Path, dict[str, str]]) -> None:
    url = f"sqlite:///{filled[0]}"
    for value in ("pending=1d", "completed", "odd=1d", "1d,2d", "dead=5", "=1d="):
        for line in ("archive run --dry-run", "archive set-policy --queue mail --dry-run"):
            refused = run(*line.split(), "--older-than", value, url=url)
            assert (refused.exit_code, refused.stdout) == (2, ""), (line, value)
