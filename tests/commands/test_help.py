"""The help of every command: what it shows is understood, and the reference in docs/ is made of it."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from docs.generate import FOLDER, pages, verbs
from hammerwork_cli import compat
from hammerwork_cli.app import GROUPS, app
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.verb import shared_options
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.job.options import AGAIN, BATCH, ENQUEUE, JOB_OPTIONS, SCHEDULE
from tests.commands.test_contract import LEAVES
from tests.conftest import ROOT
from tests.pages import Page, documentation

PLACEHOLDER = re.compile(r"\b(JOB|BATCH|WORKFLOW|QUEUE|NAME|WEBHOOK|STREAM)\b")
ID = "00000000-0000-4000-8000-000000000001"
TELLS_OLD_NAMES = {
    "CHANGELOG.md",
    "CHANGES.md",
    "benchmarks/README.md",
    "docs/explain/performance.md",
    "docs/production/upgrade.md",
    "docs/production/side-by-side.md",
    "docs/reference/other-names.md",
    "docs/start/from-rust.md",
    "compat.py",
    "doctor.py",
    "tables.py",
}
"""Pages and modules that name a command which another one replaces."""


def helps() -> Iterator[str]:
    root: Any = get_command(app)
    yield root.help
    for name, group in root.commands.items():
        yield group.help or ""
        yield from (command.help for _, command in verbs(name, group))


def examples() -> Iterator[list[str]]:
    """The arguments of each ``hammerwork`` in the examples."""
    for text in helps():
        for block in re.split(r"(?:Examples?|Start here):\n", text)[1:]:
            for line in block.strip().splitlines():
                yield from calls(line)


def calls(line: str) -> Iterator[list[str]]:
    for found in re.finditer(r"(?<![\w/.])hammerwork ((?:'[^']*'|\"(?:\$\([^)]*\)|[^\"])*\"|[^|<>&;)'\"])*)", line):
        yield [ID if word.startswith("$(") else word for word in shlex.split(found[1], comments=True)]


def test_every_example_of_a_help_is_understood() -> None:
    refused = {" ".join(words): problem for words in examples() if (problem := problem_of(words))}
    assert refused == {}
    assert problem_of(["spawn", "tree", "--no-such-option"])


def problem_of(words: list[str]) -> str:
    """Why a command line is not understood; empty if it is."""
    command: Any = get_command(app)
    try:
        context = command.make_context("hammerwork", [*words], obj=Context())
        while isinstance(command, TyperGroup):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
    except (TyperException, HammerworkError) as error:
        return str(error) or type(error).__name__
    return ""


def test_a_usage_shows_without_brackets_what_a_verb_cannot_do_without(run: Callable[..., Any], lite_url: str) -> None:
    root: Any = get_command(app)
    wrong = {}
    for group, within in root.commands.items():
        for words, command in verbs(group, within):
            for argument in command.params:
                if argument.param_type_name != "argument" or argument.required:
                    continue
                name = argument.metavar.strip("[].")
                missing = f"Error: No {name.lower()} was given.\n  To list them: " in run(*words, url=lite_url).stderr
                is_needed = f"{{{name}}}" in _help(*words).partition("\n\n")[0]
                # With --all, or another way to choose, the argument may be missing.
                if missing != is_needed and not (missing and any("--all" in param.opts for param in command.params)):
                    wrong[words] = (missing, is_needed)
    assert wrong == {}


def test_the_help_of_the_program_and_of_a_group_says_how_each_help_begins_and_imports_none() -> None:
    root: Any = get_command(app)
    for within, words in [(root, ()), *((root.commands[name], (name,)) for name in GROUPS)]:
        if isinstance(within, TyperGroup):
            shown = " ".join(_help(*words).partition("\nCommands:\n" if words else "\nLook:\n")[2].split())
            for name, command in within.commands.items():
                about = f"{name} {command.get_short_help_str(1000)}"
                assert (about in shown) != command.hidden, about
    assert _loaded("--help") == set()
    assert _loaded("spawn", "--help") == {"hammerwork_cli.features.spawn.commands"}


def test_the_help_of_the_program_fits_on_a_screen_and_has_its_groups_by_task(hammerwork: Callable[..., Any]) -> None:
    lines = hammerwork("--help").stdout.splitlines()
    assert len(lines) < 45
    assert max(map(len, lines)) <= 80
    headings = [line for line in lines if re.fullmatch(r"\w[\w ]*:", line)]
    assert headings == ["Look:", "Change:", "Tell others:", "Run:", "Set up:", "Options:"]
    below = [line.split()[0] for line in lines if re.match(r"  [a-z]+ ", line)]
    assert below == [*GROUPS]
    assert len([line for line in lines if line.startswith("    hammerwork ")]) == 3


def test_the_help_of_a_command_ends_with_the_names_of_the_options_that_all_have() -> None:
    names = {name for option in shared_options() for name in option.opts} | {"-h", "--help"}
    for path in LEAVES:
        own, mark, last = _help(*path.split()).partition("\nOptions of all commands (see hammerwork --help):\n")
        assert mark, path
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", last)) == names, path
        assert len(last.strip().splitlines()) <= 2, path
        assert not re.search(r"^  (-u|--quiet|--debug|--color|-h)\b", own, re.MULTILINE), path


@pytest.mark.parametrize("path", ["worker stop", "spawn tree", "job import", "schema"])
def test_a_help_has_its_first_sentence_once(path: str) -> None:
    text = " ".join(_help(*path.split()).split())
    command: Any = get_command(app)
    for word in path.split():
        command = command.commands[word]
    assert text.count(command.get_short_help_str(1000)) == 1


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("cron add", "cron create"),
        ("cron remove", "cron delete"),
        ("batch create", "batch enqueue"),
        ("batch status", "batch show"),
        ("workflow status", "workflow show"),
        ("worker show", "worker status"),
    ],
)
def test_a_verb_also_has_its_name_from_the_manual_of_rust(name: str, verb: str) -> None:
    root: Any = get_command(app)
    (within, old), (_, new) = name.split(), verb.split()
    group = root.commands[within]
    assert group.get_command(None, old).help == group.get_command(None, new).help != ""
    assert old not in group.list_commands(None)


def test_each_name_of_rust_leads_to_a_verb_or_an_option_and_hides_none() -> None:
    root: Any = get_command(app)
    known = {" ".join(path): command for name, group in root.commands.items() for path, command in verbs(name, group)}
    assert set(compat.VERBS.values()) | set(compat.VALUED) <= known.keys()
    assert compat.IGNORED.keys() <= LEAVES.keys()
    assert not compat.VERBS.keys() & known.keys()
    for place, aliases in compat.OPTIONS.items():
        for alias, option in aliases.items():
            within = [one for path, one in LEAVES.items() if f"{path} ".startswith(f"{place} " if place else "")]
            taken = [{name for param in one.params for name in param.opts} for one in within]
            assert any(option in names and alias not in names for names in taken), (place, alias)


def test_a_command_that_another_one_replaces_works_and_is_not_shown() -> None:
    root: Any = get_command(app)
    shown = {" ".join(path) for name, group in root.commands.items() for path, _ in verbs(name, group)}
    assert compat.REPLACED.keys() == LEAVES.keys() - shown
    for old, new in compat.REPLACED.items():
        assert f"In new scripts, use `{new}`." in " ".join(LEAVES[old].help.split())
        example = PLACEHOLDER.sub("178ebfc3", new).replace("30d --fix", "30d")
        assert problem_of(example.replace("DURATION", "2h").split()) == "", new
        assert " ".join(new.split()[:2]) in shown
    hidden = {
        name for verb in LEAVES.values() for one in verb.params if getattr(one, "hidden", False) for name in one.opts
    }
    assert {name for name in hidden if name[:2] == "--"} - {"--queue", "--dry-run"} == compat.REPLACED_OPTIONS.keys()


def test_no_hint_and_no_page_names_a_command_that_another_one_replaces() -> None:
    names = "|".join(compat.REPLACED)
    old = re.compile(rf"(?:hammerwork (?:-u \S+ )?|`)(?:{names})\b")
    texts = {path.name: _without_comments(path.read_text("utf-8")) for path in (ROOT / "hammerwork_cli").rglob("*.py")}
    texts |= {page.name: page.text for page in map(Page, documentation()) if "reference/commands" not in page.name}
    found = {name: old.findall(text) for name, text in texts.items() if name not in TELLS_OLD_NAMES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def _without_comments(text: str) -> str:
    """A module without comments and docstrings: the help of a hidden command names it."""
    return re.sub(r'""".*?"""|# [^"]*$', "", text, flags=re.DOTALL | re.MULTILINE)


def _help(*words: str) -> str:
    command: Any = get_command(app)
    context = command.make_context("hammerwork", [], obj=Context(), resilient_parsing=True)
    for word in words:
        command = command.commands[word]
        context = command.make_context(word, [], parent=context, resilient_parsing=True)
    return str(command.get_help(context))


def _loaded(*words: str) -> set[str]:
    """The modules of commands and queries that a command line imports."""
    code = f"import sys; from hammerwork_cli.app import main; main({[*words]}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, encoding="utf-8", check=True)
    loaded = done.stdout.splitlines()[-1].split()
    return {name for name in loaded if re.match(r"hammerwork_cli\.features\.\w+\.(commands|queries)", name)}


def test_the_help_of_an_option_is_one_short_sentence() -> None:
    root: Any = get_command(app)
    commands = [root, *(command for name, group in root.commands.items() for _, command in verbs(name, group))]
    for param in (param for command in commands for param in command.params if not getattr(param, "hidden", False)):
        text = re.sub(r" \[default: [^]]*\]$", "", param.help or "")
        assert len(text) < 70, text
        assert re.fullmatch(r"[^a-z].*[^.]\.", text), text
        assert not re.search(r"\. [A-Z]", text), text
        assert param.metavar or "Range" not in type(param.type).__name__, text  # it would be called <int range>


def test_a_verb_has_the_options_of_jobs_that_the_table_names() -> None:
    root: Any = get_command(app)
    has = {
        verb: {param.name: param.help for param in root.commands[group].commands[name].params if hasattr(param, "help")}
        for verb in (ENQUEUE, BATCH, SCHEDULE, AGAIN)
        for group, name in [verb.split()]
    }
    named = [(verb, option.name, text) for option in JOB_OPTIONS for verb, text in option.help.items()]
    assert [one for one in named if has[one[0]].get(one[1]) != one[2]] == []


def test_a_page_names_commands_and_options_that_there_are() -> None:
    root: Any = get_command(app)
    assert [
        f"{page.name}: {code}"
        for page in map(Page, documentation())
        for code in page.code
        if re.match(r"hammerwork |\w+ \w", code) and not is_known(root, code.removeprefix("hammerwork ").split())
    ] == []


def is_known(root: Any, words: list[str]) -> bool:
    """Whether what begins as a command does has a verb that there is, and options of it."""
    group = root.commands.get(words[0]) if words else None
    for verb in (verb for word in words[1:2] if isinstance(group, TyperGroup) for verb in word.split(",")):
        if verb not in group.commands:
            return f"{words[0]} {verb}" in compat.VERBS
        known = {name for param in (*group.commands[verb].params, *shared_options()) for name in param.opts}
        known |= {name for param in group.commands[verb].params for name in param.secondary_opts}
        if not {word for word in words[2:] if re.match(r"--?[a-z]", word)} <= known | {"--help"}:
            return False
    return True


def test_the_reference_is_what_the_program_says() -> None:
    texts = pages()
    for path, text in texts.items():
        assert (FOLDER / path).read_text(encoding="utf-8") == text, f"{path} is out of date. Run: make reference"
    made = {path.name for path in (FOLDER / "commands").glob("*.md")}
    assert {f"commands/{name}" for name in made} <= texts.keys()
