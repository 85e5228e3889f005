"""Where a handler stands while it runs, for the error of one that does not end."""

import sys
import traceback
from collections.abc import Iterator
from itertools import dropwhile
from types import FrameType
from typing import Any

from hammerwork_cli.runtime.host.secrets import masked
from hammerwork_cli.runtime.host.tracebacks import is_ours, leads_to_handler
from hammerwork_cli.runtime.outcomes.failures import cleaned

MOST_FRAMES = 20
"""Innermost frames that are shown."""


def stack_of(thread: int | None, awaitable: Any, loop_thread: int | None) -> str:
    """The stack of a handler, as a traceback has it; empty while it is in none of the application's functions.

    Args:
        thread: id of the thread that runs it.
        awaitable: its coroutine or async generator, if it goes on as one.
        loop_thread: id of the event loop's thread, which runs the coroutine unless that waits.
    """
    try:
        if awaitable is None:
            frames = _of_thread(thread)
        else:
            frames = _of_thread(loop_thread) if _is_executed(awaitable) else list(_of_coroutine(awaitable))
        inner = list(dropwhile(leads_to_handler, frames))
        if not inner or is_ours(inner[0]):
            return ""
        shown = ((frame, frame.f_lineno) for frame in inner[-MOST_FRAMES:])
        lines = traceback.StackSummary.extract(shown).format()
        return cleaned(masked(f"It was here (innermost call last):\n{''.join(lines)}"))
    except Exception:  # noqa: BLE001  the frames of other threads go on meanwhile
        return ""


def _is_executed(awaitable: Any) -> bool:
    """Whether a coroutine is executed at this moment; an async generator that awaits something counts as running."""
    kind = "ag" if hasattr(awaitable, "ag_frame") else "cr"
    return getattr(awaitable, f"{kind}_running", False) and getattr(awaitable, f"{kind}_await") is None


def _of_thread(thread: int | None) -> list[FrameType]:
    """The frames of a thread, the outermost first, without those of tools that watch threads, such as Sentry."""
    frame = sys._current_frames().get(thread or 0)
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    frames.reverse()
    return list(dropwhile(lambda frame: not is_ours(frame), frames)) or frames


def _of_coroutine(awaitable: Any) -> Iterator[FrameType]:
    """The frames of a coroutine that waits, down to the future for which it waits."""
    while awaitable is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaitable, f"{kind}_frame")), "")
        frame: FrameType | None = getattr(awaitable, f"{kind}_frame", None)
        if frame is None:
            return
        yield frame
        awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
