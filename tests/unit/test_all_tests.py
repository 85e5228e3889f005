"""What every test does."""

import ast
import re
from collections.abc import Iterator, Sequence

from tests.conftest import ROOT


def is_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Call) and re.match(r"assert_|pytest\.raises$", ast.unparse(node.func)) is not None
    )


def early(body: Sequence[ast.stmt], *, is_checked: bool = False) -> Iterator[int]:
    """The lines of a block that end a test before anything was checked on the way to them."""
    for one in body:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(one, ast.Return) and not is_checked:
            yield one.lineno
        for inner in (getattr(one, "body", ()), getattr(one, "orelse", ())):
            yield from early(inner, is_checked=is_checked)
        nodes = [*ast.walk(one)]
        ends = isinstance(one, ast.If) and any(isinstance(node, ast.Return) for node in nodes)
        is_checked = is_checked or (any(map(is_check, nodes)) and not ends)


def test_no_case_of_a_test_ends_before_it_has_checked_something() -> None:
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^ +return *(?:#.*)?$", text, re.MULTILINE):
            tests = (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and "test_" in one.name)
            found += [f"{path.relative_to(ROOT)}:{line}" for test in tests for line in early(test.body)]
    assert found == [], "leave the case out by a mark of tests/conftest.py, such as @on_servers"
