"""Pages, help, messages and names of tests speak in the words of the glossary (docs/reference/glossary.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from hammerwork_cli.app import app
from tests.pages import ROOT, Page, documentation

GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"

BETTER = {
    r"kinship": "relatives",
    r"bur(?:y|ies|ied|ying)\b": "discard",
    r"wish(?:es)?\b": "spawn request",
    r"(?:the|Rust) original\b|the original's": "hammerwork (Rust), Rust workers",
    r"upstream": "hammerwork (Rust)",
    r"ours\b": "hammerwork-cli",
    r"pulse|heart\b|heart'?s?\b": "heartbeat",
    r"consent": "confirmation",
    r"mend(?:s|ed|ing)?\b": "fix",
    r"recurrences?\b": "schedule, cron",
    r"settl(?:es?|ed|ing)\b": "finish",
    r"hold(?:s|ing)? up\b|held up\b": "block",
    r"for ever\b": "a plain negation, or nothing",
    r"all the same\b": "nothing, or still",
    r"no more\b(?!\s+than)": "no longer",
    r"of its own\b": "its own",
    r"left alone\b": "unchanged, skipped",
    r"carried out\b": "done, run",
    r"\btold\b": "says, asks, stops",
    r"(?<!there )(?:is|are) no (?!longer\b|more than\b)": "is not a",
    r"workers? (?:that )?(?:begin|end)s?\b": "starts, stops",
    r"(?<=\. )What (?![^.?]*\?)": "a noun, or the subject itself",
    r"(?:two|each|every|next|a|one) looks?\b(?! like)": "refresh",
}
"""What is not said, and what is said instead."""
NEVER_IN_NAMES = re.compile(r"^test_what_|_(?:mend|settl|original|told|ours(?:_|$))")
WORDS = {f"word{number}": word for number, word in enumerate(BETTER)}
NEVER = re.compile("|".join(rf"(?P<{group}>\b(?:{word}))" for group, word in WORDS.items()), re.IGNORECASE)


def found(text: str) -> list[str]:
    """Each word that is not said, with what stands around it, and what to say instead."""
    around = [(hit, " ".join(text[max(0, hit.start() - 30) : hit.end() + 20].split())) for hit in NEVER.finditer(text)]
    return [f"{shown!r}: say {BETTER[WORDS[hit.lastgroup or '']]}" for hit, shown in around]


def helps() -> Iterator[tuple[str, str]]:
    """Path, and text or help of an option, of every command."""

    def below(command: Any, path: str) -> Iterator[tuple[str, str]]:
        yield path, command.help or ""
        for param in command.params:
            if not getattr(param, "hidden", False):
                yield f"{path} {max(param.opts, key=len)}", param.help or ""
        if isinstance(command, TyperGroup):
            for name in command.commands:
                yield from below(command.commands[name], f"{path} {name}")

    yield from below(get_command(app), "hammerwork")


def test_every_page_speaks_in_the_words_of_the_glossary() -> None:
    assert {page.name: hits for page in map(Page, documentation()) if (hits := found(page.prose))} == {}


def test_the_help_speaks_in_the_words_of_the_glossary() -> None:
    assert {path: hits for path, text in helps() if (hits := found(text))} == {}


def texts(module: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the strings of a module that may be sentences: not docstrings, nor single words as in JSON."""
    docstrings = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):  # which yields a node before its parts
        match node:
            case ast.Expr():
                docstrings.add(id(node.value))
            case ast.Constant(value=str(text)) if " " in text and id(node) not in docstrings:
                yield node.lineno, text


def test_errors_notes_and_logs_speak_in_the_words_of_the_glossary() -> None:
    modules = sorted((ROOT / "hammerwork_cli").rglob("*.py"))
    assert modules
    hits = {f"{path.name}:{line}": found(text) for path in modules for line, text in texts(path)}
    assert {place: hit for place, hit in hits.items() if hit} == {}


def test_the_names_of_tests_speak_in_the_words_of_the_glossary() -> None:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    names = [(path, name) for path in files for name in re.findall(r"\bdef (test_\w+)", path.read_text("utf-8"))]
    assert len(names) > 1000
    hits = {f"{path.relative_to(ROOT)}: {name}": hit[0] for path, name in names if (hit := NEVER_IN_NAMES.search(name))}
    assert hits == {}


def terms() -> list[str]:
    return [row.split("|")[1].strip() for row in GLOSSARY.read_text("utf-8").splitlines() if row.startswith("| ")][1:]


def test_the_glossary_has_its_words_in_order_and_each_once() -> None:
    assert "job" in terms()
    assert terms() == sorted(set(terms()), key=str.lower)
