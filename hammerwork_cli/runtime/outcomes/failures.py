"""Failures of attempts, and their text in the job's row."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from hammerwork_cli.core.values import JobStatus, cancellation
from hammerwork_cli.database.texts import cut
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.worker.queries.finish import AttemptEnd
from hammerwork_cli.runtime.api.outcomes import Wanted, WantedOutcome
from hammerwork_cli.runtime.api.spawn import NOTHING_SPAWNED
from hammerwork_cli.runtime.host.secrets import masked
from hammerwork_cli.runtime.host.tracebacks import ErrorElsewhere, is_of_the_worker, shown_trace

WORKFLOW_CANCELLED = "Workflow cancelled"
"""The error of jobs whose workflow hammerwork (Rust) has cancelled; its version 3 also cancels Running ones."""
STOPPED = "Its worker was stopped while it ran, and max_attempts = 1 says that it must not run twice."
"""The error of a job that does not go back when its worker stops at once."""


_ENDS = {"snoozed": AttemptEnd.SNOOZED, "cancelled": AttemptEnd.CANCELLED}


class JobError(HammerworkError):
    """A job could not be run."""

    code = "job"


class FinalError(JobError):
    """A job failed, and no further attempt could succeed: its result cannot be stored, for example."""

    retryable = False


class OutOfTimeError(JobError):
    """An attempt took longer than its timeout."""


class RemoteError(ErrorElsewhere):
    """The error that a handler raised in its process."""

    def __init__(
        self,
        message: str,
        first: str,  # type and message
        trace: str,
        wanted: Wanted | None = None,
        pause: timedelta | None = None,  # before the next attempt, if a function of the handler says so
    ) -> None:
        super().__init__(message)
        if trace:
            self.add_note(trace)  # so that whoever shows the exception shows it, too
        self.first, self.trace, self._wanted, self.pause = first, trace, wanted, pause


@dataclass(frozen=True, slots=True)
class Failed:
    error: str  # text for the job's row: type and message, then a traceback
    # `TIMED_OUT` for an attempt that took too long, `SNOOZED` for one that does not count, `CANCELLED` for a job that
    # nobody needs.
    end: AttemptEnd = AttemptEnd.FAILED
    retryable: bool = True  # whether another attempt could succeed
    delay: timedelta | None = None  # before the next attempt, if the handler wants another one than its retry strategy
    cause: BaseException | None = None  # what was raised, for the log

    @classmethod
    def by(cls, error: BaseException) -> Self:
        """The failure of an attempt that ended with an error."""
        if wanted := wanted_by(error):
            reason, end = wanted.reason, _ENDS.get(wanted.end, AttemptEnd.FAILED)
            if end == AttemptEnd.CANCELLED:
                reason = cancellation("its handler", reason)
            return cls(cleaned(masked(reason)), end, wanted.delay is not None, wanted.delay, error)
        end = AttemptEnd.TIMED_OUT if isinstance(error, OutOfTimeError) else AttemptEnd.FAILED
        pause = next((one.pause for one in _causes(error) if isinstance(one, RemoteError)), None)
        return cls(described(error), end, is_retryable(error), pause, cause=error)


def taken(fate: tuple[str, str] | None) -> str:
    """What has become of a job that a worker has lost, as part of a sentence.

    Args:
        fate: its status and error; ``None`` if it is gone.
    """
    if fate is None:
        return "it was deleted"
    status, error = fate
    if error == WORKFLOW_CANCELLED:
        return "its workflow was cancelled through hammerwork (Rust)"
    if status == JobStatus.CANCELLED:
        return f"it was {error.partition(chr(10))[0].rstrip('.')}"
    return "another claim has it now" if status == JobStatus.RUNNING else f"it is {status} now"


def wanted_by(error: BaseException | None) -> Wanted | None:
    """The end that a handler wants for its attempt, if it raised one."""
    wanted = (one._wanted for one in _causes(error) if isinstance(one, WantedOutcome | RemoteError))
    return next((one for one in wanted if one is not None), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that made the worker raise it."""
    while error is not None:
        yield error
        error = error.__cause__ if isinstance(error, HammerworkError) else None


def raised_by_handler(error: BaseException | None) -> BaseException | None:
    """What a handler raised in this process: ``None`` for an error of the worker, and for an end that it wants."""
    raised = next((one for one in _causes(error) if not is_of_the_worker(one)), None)
    return None if isinstance(raised, WantedOutcome | RemoteError) else raised


def is_retryable(error: BaseException) -> bool:
    """Whether another attempt could succeed: not if the error or its cause is a HammerworkError that is final."""
    if not isinstance(error, HammerworkError):
        return True
    return error.retryable and (error.__cause__ is None or is_retryable(error.__cause__))


def described(error: BaseException) -> str:
    """The text of an error for a job's row, without the worker's password, as short as every database needs it."""
    try:
        text = _described(error)
    except BaseException:  # noqa: BLE001  the error's own code may raise anything
        text = type(error).__name__
    return cleaned(masked(text))


def _described(error: BaseException) -> str:
    first, trace = told(error)
    return f"{first}\n\n{trace}" if trace else first


def told(error: BaseException) -> tuple[str, str]:
    """The first line and the traceback of an error.

    An error that the worker itself raised about a job is a sentence without class, and without a traceback unless its
    cause came through a handler.
    """
    trace = shown_trace(error)
    if isinstance(error, RemoteError):
        return error.first, trace
    if not is_of_the_worker(error):
        return first_line(error), trace
    cause = error.__cause__
    if isinstance(cause, HammerworkError) and isinstance(cause.__cause__, RemoteError):
        cause = cause.__cause__
    if isinstance(cause, RemoteError) and str(cause) == message_of(error):
        return cause.first, trace
    return message_of(error), trace


def first_line(error: BaseException) -> str:
    """Type and message of an error; the type alone if the message cannot be read."""
    message = message_of(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def spawn_failure(error: str) -> str:
    """The message of a spawn whose handler raised; ``error`` is the first line of what it raised."""
    return f"The spawn handler failed: {error}{'' if error.endswith(('.', '!', '?')) else '.'} {NOTHING_SPAWNED}"


def message_of(error: BaseException) -> str:
    """The text of an error, also of a handler's own class, without the worker's password."""
    try:
        return masked(str(error))
    except BaseException:  # noqa: BLE001  whatever its __str__ raises
        return "its text cannot be shown"


def for_log(error: BaseException | None) -> BaseException | None:
    """The error for a record of the log, whose handlers show it as they like.

    ``None`` if its traceback holds the worker's password, or cannot be written: the message has the first line anyway.
    """
    try:
        text = "".join(traceback.format_exception(error)) if error is not None else ""
        text.encode()
        return error if text and masked(text) == text else None
    except BaseException:  # noqa: BLE001  the error's own code may raise anything
        return None


def cleaned(text: str) -> str:
    """Text that every database stores: no NUL, no lone surrogate, at most :data:`texts.LONGEST` bytes."""
    return cut(text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode())


def in_ascii(text: str) -> str:
    """Text that every database stores, whatever its character set is; other characters as Python escapes them."""
    return cleaned(masked(text).encode("ascii", "backslashreplace").decode())
