"""Connections that break at the end of a transaction, chosen by the function of the program that asked for it."""

import ast
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hammerwork_cli
from hammerwork_cli.database import Database
from hammerwork_cli.database.guards import is_change
from hammerwork_cli.errors import ConnectionLostError
from tests.proxies import Break, Proxy

PACKAGE = Path(hammerwork_cli.__file__).parent
BELOW = "hammerwork_cli.database."
Choose = Callable[[str], Break | None]


def units() -> set[str]:
    """The functions of the program that ask for a transaction: ``module:function``, as tracebacks name them."""
    found: set[str] = set()

    def walk(node: ast.AST, module: str, path: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            below = path
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                below = (*path, getattr(child, "name", "<lambda>"), "<locals>")
            elif isinstance(child, ast.ClassDef):
                below = (*path, child.name)
            elif isinstance(child, ast.Call) and getattr(child.func, "attr", "") in {"transaction", "held"}:
                found.add(f"{module}:{'.'.join(path[:-1])}")
            walk(child, module, below)

    for file in PACKAGE.rglob("*.py"):
        module = ".".join(("hammerwork_cli", *file.relative_to(PACKAGE).with_suffix("").parts))
        if not module.startswith(BELOW):
            walk(ast.parse(file.read_text(encoding="utf-8")), module, ())
    return found


class Breaks:
    """Breaks connections of this process at the ends of chosen transactions.

    Args:
        proxy: by which the program reaches the server. It breaks connections at a COMMIT. Without one, and at changes
            outside of transactions, this class does what looks the same to the program.
        choose: is asked about each transaction, and each change outside of one, by the name of its unit.
        spared: a connection of the test itself.
    """

    def __init__(self, proxy: Proxy | None, choose: Choose, spared: Database | None = None) -> None:
        self._proxy, self._choose, self._spared = proxy, choose, spared
        self._ending = threading.Lock()
        self._attempt, self._send_bound = Database._attempt, Database._send_bound

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        breaks = self

        def attempt(self: Database, work: Callable[[], Any], begin: Callable[[], None]) -> Any:
            if self is breaks._spared:
                return breaks._attempt(self, work, begin)
            return breaks._ended(self, lambda ending: breaks._attempt(self, lambda: ending(work()), begin))

        def send_bound(self: Database, sql: str, bound: list[Any], **options: Any) -> Any:
            if self is breaks._spared or self._in_transaction or not is_change(sql):
                return breaks._send_bound(self, sql, bound, **options)

            # A statement that waits for a lock must not keep the holder of that lock from its end.
            chosen = breaks._choose(_unit())
            result = None if chosen is Break.BEFORE else breaks._send_bound(self, sql, bound, **options)
            if chosen:
                self.close()
                raise ConnectionLostError("The connection was lost.")
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "_attempt", attempt)
            patch.setattr(Database, "_send_bound", send_bound)
            yield

    def _ended(self, database: Database, run: Callable[[Callable[[Any], Any]], Any]) -> Any:
        """Runs something that calls a function right before it ends: one end at a time."""
        unit, chosen, is_ending = _unit(), None, False

        def ending(result: Any) -> Any:
            nonlocal chosen, is_ending
            self._ending.acquire()
            is_ending = True
            chosen = self._choose(unit)
            if self._proxy is not None:
                self._proxy.next_break = chosen
            elif chosen is Break.BEFORE:
                raise ConnectionLostError("The connection was lost.")
            return result

        try:
            result = run(ending)
        finally:
            if is_ending:
                if self._proxy is not None:
                    self._proxy.next_break = None
                self._ending.release()
        if self._proxy is None and chosen is Break.AFTER:
            raise ConnectionLostError("The connection was lost.")
        return result


def _unit() -> str:
    """The function of the program that asks for the present transaction."""
    frame = sys._getframe(1)
    while True:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("hammerwork_cli.") and not module.startswith(BELOW):
            return f"{module}:{frame.f_code.co_qualname}"
        assert frame.f_back is not None
        frame = frame.f_back
