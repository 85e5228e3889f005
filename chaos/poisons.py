"""What handlers do that cannot succeed: it may cost the job its attempt, and nothing else."""

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from hammerwork_cli import Job, SpawnContext

NO_TEXT = "caf\udce9\x00"
"""What ``os.fsdecode`` makes of another encoding's name, with a zero byte behind it."""
DEEP = 100_000


def _raises(error: BaseException) -> NoReturn:
    raise error


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(DEEP):
        nested = [nested]
    return nested


def _recursion() -> Any:
    return _recursion()


POISONS: dict[str, Callable[[SpawnContext], Any]] = {
    "object": lambda _: object(),
    "nan": lambda _: {"value": float("nan")},
    "deep": lambda _: _deep(),
    "recursion": lambda _: _recursion(),
    "exit": lambda _: _raises(SystemExit(3)),
    "interrupt": lambda _: _raises(KeyboardInterrupt()),
    "error text": lambda _: _raises(ValueError(NO_TEXT * 50_000)),
    "key": lambda context: context.spawn(Job("leaf"), key=NO_TEXT),
    "queue name": lambda context: context.spawn(Job(NO_TEXT), key="child"),
    "huge": lambda context: context.spawn(Job("q" * 10_000_000), key="child"),
}
"""Name -> what the handler does; none of it can be stored."""
ASYNC_POISONS: dict[str, BaseException] = {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}
CRASHES: dict[str, Callable[[], Any]] = {
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stack": lambda: faulthandler._stack_overflow(),  # type: ignore[attr-defined]
}
"""Name -> how the handler ends the process that runs it."""
