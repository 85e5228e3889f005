"""What pytest collects."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent.parent
SETS = (ast.Set, ast.SetComp, ast.BinOp)


def test_no_test_takes_its_cases_from_a_set_whose_order_differs_in_each_process() -> None:
    unordered = [
        f"{path.relative_to(TESTS)}:{call.lineno}"
        for path in sorted(TESTS.glob("**/test_*.py"))
        if "node_modules" not in path.parts
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"
        for cases in call.args[1:2]
        if _is_a_set(cases)
    ]
    assert unordered == []


def _is_a_set(cases: ast.expr) -> bool:
    """Whether an expression is a set, or may be: a difference or union, where lists are only ever added."""
    if isinstance(cases, ast.Call):
        return isinstance(cases.func, ast.Name) and cases.func.id in {"set", "frozenset"}
    return isinstance(cases, SETS) and not (isinstance(cases, ast.BinOp) and isinstance(cases.op, (ast.Add, ast.Mult)))
