"""The errors of the program, their meanings and their exit codes."""

from typing import Any, ClassVar

LIST_JOBS = "To list them: hammerwork job list"
LIST_ARCHIVED = "To list them: hammerwork archive list"


class HammerworkError(Exception):
    """Base class of all expected errors.

    Args:
        message: the problem in one sentence, without secrets.
        hint: the next step for the user.
        details: further facts for ``--format json``.

    Attributes:
        code: a word for programs, as ``--format json`` and the REST API show it.
        exit_code: of a command that ends with the error.
        retryable: whether a job that fails with the error may succeed in another attempt.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    retryable: bool = True

    def __init__(self, message: str, *, hint: str | None = None, **details: object) -> None:
        super().__init__(message)
        if hint:
            self.add_note(hint)  # an application that does not catch the error sees the hint in its traceback
        self.message = message
        self.hint = hint
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles without calling ``__init__`` again, because its parameters differ between the classes."""
        return _again, (type(self), self.args), self.__dict__


def advise(error: HammerworkError, step: str) -> None:
    """Adds another step to the hint of an error."""
    first = f"{error.hint}{'' if error.hint[-1] in '.?!' else '.'} " if error.hint else ""
    error.hint = f"{first}{step}"


def _again(kind: type[HammerworkError], arguments: tuple[object, ...]) -> HammerworkError:
    return kind.__new__(kind, *arguments)


class AnswerIsNoError(HammerworkError):
    """The command ran, and its answer is no: a queue is unhealthy, jobs failed, a state was not reached."""

    code = "no"


class ShownAnswerError(AnswerIsNoError):
    """The answer is no and is on stdout already: only the JSON on stderr repeats it in a sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="Details are on stdout.")


class UsageError(HammerworkError):
    """The command line or an argument is not valid."""

    exit_code = 2
    code = "usage"
    retryable = False


class DeclinedError(UsageError):
    """The user answered no when asked for confirmation."""

    code = "declined"


class RefusedValueError(UsageError):
    """The database refuses a value because it is too deep, too long or out of range."""

    code = "value_refused"


class ConfigError(HammerworkError):
    """The configuration is unreadable, a URL is not valid, or a driver is missing."""

    exit_code = 3
    code = "config"


class BrokenInstallationError(ConfigError):
    """A statement of hammerwork-cli is missing or does not fit its code: its files were replaced while it ran, say."""


class DatabaseError(HammerworkError):
    """The database reported an error for which there is no narrower class."""

    exit_code = 4
    code = "database"


class UnreachableError(DatabaseError):
    """No server answers at the address, or it accepts no connections or writes."""

    code = "database_unreachable"


class AccessDeniedError(DatabaseError):
    """The server refused the user, the password or the privilege."""

    code = "database_access_denied"


class MissingTablesError(DatabaseError):
    """The tables do not exist, or are too old for the command."""

    code = "tables_missing"


class RetryableError(DatabaseError):
    """The database rolled the transaction back, and it may succeed when it runs again."""

    code = "database_busy"


class LimitReachedError(RetryableError):
    """Time, memory or disk space ran out, or an administrator stopped the statement; an immediate retry would fail."""


class ConnectionLostError(DatabaseError):
    """The connection broke. It is unknown whether a commit that was under way succeeded."""

    code = "connection_lost"


class SilentConnectionError(ConnectionLostError):
    """The server did not answer in time, so the connection was given up: it may have died without a word."""


class NotFoundError(HammerworkError):
    """The given job, queue or other thing does not exist."""

    exit_code = 5
    code = "not_found"


class JobNotFoundError(NotFoundError):
    """No job has the given id.

    Args:
        job: the id.
        purpose: ends the sentence of the message, for example ``to depend on``.

    Attributes:
        job: see above.
    """

    retryable = False

    def __init__(self, job: str, purpose: str = "") -> None:
        super().__init__(f"There is no job {job}{purpose and ' '}{purpose}.", hint=LIST_JOBS)
        self.job = job


class ConflictError(HammerworkError):
    """The present state of the job or queue does not allow the change."""

    exit_code = 6
    code = "conflict"


class LastingConflictError(ConflictError):
    """The change is not allowed, and no later attempt can succeed: another job has the id, for example."""

    retryable = False


class DuplicateError(ConflictError, RefusedValueError):
    """There is a row with the same key already: a schedule with the name, for example."""


class AmbiguousIdError(ConflictError):
    """An id prefix matches several jobs."""

    code = "ambiguous_id"


class BugError(HammerworkError):
    """An unexpected exception."""

    exit_code = 70
    code = "bug"


class OutputError(HammerworkError):
    """The answer cannot be written, for example because the disk is full."""

    exit_code = 74
    code = "output"


class TimedOutError(HammerworkError):
    """Something did not end in time: what :meth:`Queue.wait` or a command with ``--timeout`` waited for."""

    exit_code = 124
    code = "timeout"
