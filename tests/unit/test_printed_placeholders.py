"""A command that a message prints can be pasted: it has a placeholder only where the program knows no name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import hammerwork_cli

NAMES = r"(NAME|JOB|STREAM|WEBHOOK|SCHEDULE|QUEUE|WORKFLOW|BATCH|WORKER)\b"
PLACEHOLDER = re.compile(rf"hammerwork [a-z]+ [a-z-]+ (?:[^:;]* )?{NAMES}")
WORD = re.compile(rf"\b{NAMES}")
UNKNOWN = {
    "hammerwork config set default_queue NAME": "nobody has named a queue",
    "hammerwork cron convert {} --name NAME": "the reader chooses the name",
    "hammerwork cron show SCHEDULE": "the list was asked for, not a schedule",
    "hammerwork job delete JOB": "the sentence is about several jobs",
    "hammerwork job export --queue QUEUE": "version 3 had no queue to name here",
    "hammerwork job retry JOB": "the sentence is about several jobs",
}
"""Command with a placeholder -> why there is no name."""


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module; values within them are ``{}``."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in child.values)
            elif isinstance(child, ast.Constant) and isinstance(child.value, str) and not is_docstring(node):
                yield child.value


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr | ast.JoinedStr)


def test_a_printed_command_has_the_name_that_the_program_knows() -> None:
    found: set[str] = set()
    for module in Path(hammerwork_cli.__file__).parent.rglob("*.py"):
        source = module.read_text("utf-8")
        if "hammerwork " in source and WORD.search(source):  # to parse all of them takes long
            found |= {match[0] for text in texts(ast.parse(source)) for match in PLACEHOLDER.finditer(text)}
    assert found == set(UNKNOWN)
