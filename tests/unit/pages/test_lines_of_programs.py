"""The lines of code that the comparison with other queues counts."""

import ast
import io
import re
import tokenize
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "explain" / "compared-with.md"
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor a comment nor a docstring."""
    text = path.read_text(encoding="utf-8")
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {line for token in tokens if token.type not in LAYOUT for line in range(token.start[0], token.end[0] + 1)}
    return len(code - docstrings)


def test_each_program_has_the_lines_that_its_page_counts_and_no_more_than_its_counterpart() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\w+): (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 5
    for name, ours, peer, theirs in rows:
        program = ROOT / "examples" / f"{name}.py"
        counterpart = ROOT / "benchmarks" / "peers" / f"{name}_{peer.lower()}.py"
        assert (lines_of_code(program), lines_of_code(counterpart)) == (int(ours), int(theirs)), name
        assert int(ours) <= int(theirs), name
