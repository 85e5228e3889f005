"""Changes of Python: comparisons, conditions, figures, arguments, results, and statements that are left out."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from mutants.changes import Change

FLIPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
}
OTHER_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
Edit = tuple[ast.AST, ast.AST]
"""A node, and what takes its place."""
Span = tuple[int, int]
"""The first and the last of some lines."""


def changes(path: str, source: str) -> Iterator[Change]:
    """All changes of the functions of a module."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for where, lines, function, node, other in _in(ast.parse(source), (), (0, 0), (0, 0)):
        at: Any = node
        start, end = starts[at.lineno - 1] + at.col_offset, starts[at.end_lineno - 1] + at.end_col_offset
        before = source.encode()[start:end].decode()
        text = ast.unparse(other)
        after = f"({text})" if isinstance(other, ast.expr) else text
        yield Change(path, where, start, before, after, at.lineno, lines, function)


def _in(
    node: ast.AST, names: tuple[str, ...], lines: Span, function: Span
) -> Iterator[tuple[str, Span, Span, ast.AST, ast.AST]]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        names = (*names, node.name)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        function = node.body[0].lineno, node.end_lineno or node.lineno
    inside = names and not isinstance(node, ast.ClassDef)
    for child in _children(node):
        if isinstance(child, ast.stmt):
            lines = _span(child)
        if inside and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from ((".".join(names), lines, function, *edit) for edit in _edits(child))
        yield from _in(child, names, lines, function)


def _span(statement: ast.stmt) -> Span:
    """The lines of a statement, without what it contains."""
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
    return statement.lineno, max(statement.lineno, last)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What is worth a change: no annotations, no defaults, no texts for people, nor when they are said."""
    if isinstance(node, (ast.Module, ast.ClassDef)):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        yield from (child for child in node.body if isinstance(child, kinds))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        # What an attribute begins with is missed by whoever reads it.
        begins = (ast.Assign, ast.AnnAssign) if node.name == "__init__" else ()
        yield from (child for child in node.body if not _is_text(child) and not isinstance(child, begins))
    elif isinstance(node, ast.AnnAssign):
        yield from [node.value] if node.value else []
    elif not isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert)):
        yield from (child for child in ast.iter_child_nodes(node) if not _is_text(child))


def _is_text(node: ast.AST) -> bool:
    """Whether it is a docstring, a line for the log, or a choice of such lines."""
    if isinstance(node, ast.If):
        return all(map(_is_text, [*node.body, *node.orelse]))
    if not isinstance(node, ast.Expr):
        return False
    call = node.value
    if isinstance(call, ast.Constant):
        return True
    return isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log.")


def _edits(node: ast.AST) -> Iterator[Edit]:
    for edit in (_compared, _conditions, _figures, _calls, _statements):
        yield from edit(node)


def _compared(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        # Nobody can tell the very moment of a clock from the next one.
        timed = "monotonic" in ast.unparse(node)
        for place, operator in enumerate(node.ops):
            for other in FLIPS[type(operator)][int(timed) :]:
                changed: Any = deepcopy(node)
                changed.ops[place] = other()
                yield node, changed
    elif isinstance(node, (ast.BoolOp, ast.BinOp)) and type(node.op) in FLIPS:
        changed = deepcopy(node)
        changed.op = FLIPS[type(node.op)][0]()
        yield node, changed


def _conditions(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        yield from ((node, _without(node.values, place, node.op)) for place in range(len(node.values)))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, node.operand
    elif isinstance(node, ast.IfExp):
        yield node, ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        for place, loop in enumerate(node.generators):
            for number in range(len(loop.ifs)):
                changed = deepcopy(node)
                del changed.generators[place].ifs[number]
                yield node, changed
    if isinstance(node, (ast.If, ast.While, ast.comprehension)):
        tests = node.ifs if isinstance(node, ast.comprehension) else [node.test]
        plain = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
        yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in tests if isinstance(test, plain))


def _without(values: list[ast.expr], place: int, operator: ast.boolop) -> ast.expr:
    rest = values[:place] + values[place + 1 :]
    return rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)


def _figures(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield node, ast.Constant(node.value + 1)


def _calls(node: ast.AST) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in OTHER_NAMES:
        yield node.func, ast.Name(OTHER_NAMES[node.func.id])
    elif len(node.args) > 1 and not any(_is_obvious(argument) for argument in node.args[:2]):
        changed = deepcopy(node)
        changed.args[:2] = reversed(node.args[:2])
        yield node, changed


def _is_obvious(argument: ast.expr) -> bool:
    """Whether it cannot change its place unnoticed."""
    return isinstance(argument, ast.Starred) or ast.unparse(argument) == "database"


def _statements(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield node, ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield node, ast.Pass()
        case ast.Return(value) if value and not isinstance(value, ast.Constant):
            yield node, ast.Return(ast.Constant(None))
