"""Tracebacks from an application's code on, without the frames through which a worker calls it."""

import re
import traceback
from types import FrameType, TracebackType

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.runtime.host.secrets import masked

_CALLERS = re.compile(
    r"(hammerwork_cli\.(runtime|testing|contrib)|concurrent|asyncio|threading|contextlib|importlib)(\.|$)"
)
"""The modules through which a worker calls a handler, or imports its module."""
_OURS = re.compile(r"hammerwork_cli(\.|$)")


class ErrorElsewhere(Exception):  # noqa: N818  its subclass has the suffix
    """An error of another process."""

    trace = ""  # its traceback there


def shown_trace(error: BaseException) -> str:
    """The traceback of an error, or of its cause.

    It is empty for an error that the worker itself raised about a job, unless its cause came through a handler.
    """
    if isinstance(error, ErrorElsewhere):
        return error.trace
    if not is_of_the_worker(error):
        return trace_of(error)
    cause = error.__cause__
    if isinstance(cause, HammerworkError) and isinstance(cause.__cause__, ErrorElsewhere):
        cause = cause.__cause__
    if isinstance(cause, ErrorElsewhere):
        return cause.trace
    return "" if cause is None or is_of_the_worker(cause, any_class=True) else trace_of(cause)


def is_of_the_worker(error: BaseException, *, any_class: bool = False) -> bool:
    """Whether the worker itself raised an error about a job: one of hammerwork's that came through no handler.

    Args:
        any_class: an error of any class may be the worker's, because it is the cause of one that is.
    """
    if not (any_class or isinstance(error, HammerworkError)):
        return False
    frame = _handlers_frames(error)
    return frame is None or is_ours(frame.tb_frame)


def trace_of(error: BaseException) -> str:
    """The traceback of an error from the handler on, without the worker's password."""
    try:
        frames = _handlers_frames(error) or error.__traceback__  # all of them if it came into no handler
        return masked("".join(traceback.format_exception(type(error), error, frames)))
    except BaseException:  # noqa: BLE001  RecursionError for groups in groups
        return "Its traceback cannot be shown.\n"


def _handlers_frames(error: BaseException) -> TracebackType | None:
    """The frames of an error without those that lead to the handler; ``None`` if it came into no handler."""
    frame = error.__traceback__
    while frame is not None and leads_to_handler(frame.tb_frame):
        frame = frame.tb_next
    return frame


def leads_to_handler(frame: FrameType) -> bool:
    """Whether a frame is one of those through which a worker calls a handler."""
    return _CALLERS.match(_module_of(frame)) is not None


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is that of hammerwork itself."""
    return _OURS.match(_module_of(frame)) is not None


def _module_of(frame: FrameType) -> str:
    return frame.f_globals.get("__name__") or ""
