"""How an attempt fails, and what is said of it in the job's row."""

import traceback
from dataclasses import dataclass

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.queries.claims import End

LONGEST_ERROR = 60_000
"""Bytes. MySQL's TEXT holds 65,535."""


class JobError(HammerworkError):
    """A job could not be run, or what it returned cannot be stored."""

    code = "job"


class RemoteError(Exception):
    """What a handler raised in a process of its own.

    Attributes:
        first: type and message.
        trace: where it arose.
    """

    def __init__(self, message: str, first: str, trace: str) -> None:
        super().__init__(message)
        self.first, self.trace = first, trace


@dataclass(frozen=True, slots=True)
class Failed:
    """How an attempt failed.

    Attributes:
        error: for the job's row: a line that says it, then where.
        end: :attr:`End.TIMED_OUT` for a run that took too long.
    """

    error: str
    end: End = End.FAILED


def described(error: BaseException) -> str:
    """An error for a job's row: what, then where, cut to what every database holds."""
    if isinstance(error, HammerworkError):
        text = error.message
        cause = error.__cause__
        if isinstance(cause, RemoteError):
            text += "\n\n" + cause.trace
        elif cause is not None and not isinstance(cause, HammerworkError):
            text += "\n\n" + "".join(traceback.format_exception(cause))
    elif isinstance(error, RemoteError):
        text = f"{error.first}\n\n{error.trace}"
    else:
        first = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text = first + "\n\n" + "".join(traceback.format_exception(error))
    return cleaned(text)


def cleaned(text: str) -> str:
    """Text that every database stores: no NUL, no lone surrogate, at most :data:`LONGEST_ERROR` bytes."""
    data = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace")
    if len(data) <= LONGEST_ERROR:
        return data.decode()
    mark = b"\n...\n"
    half = (LONGEST_ERROR - len(mark)) // 2
    return (data[:half] + mark + data[-half:]).decode("utf-8", "ignore")
