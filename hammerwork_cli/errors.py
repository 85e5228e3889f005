"""Every failure the program knows, what it means, and the exit code a script sees."""

from typing import Any, ClassVar

LIST_JOBS = "Ids are shown by: hammerwork job list"


class HammerworkError(Exception):
    """Root of all expected failures.

    Args:
        message: what happened, in one sentence, without secrets.
        hint: what to do next.
        details: further facts, for ``--format json``.

    Attributes:
        retryable: whether a job that fails by it could succeed in another attempt.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    retryable: bool = True

    def __init__(self, message: str, *, hint: str | None = None, **details: object) -> None:
        super().__init__(message)
        if hint:
            self.add_note(hint)  # what a traceback shows besides, when a program of its own does not catch it
        self.message = message
        self.hint = hint
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        """As every other exception, without calling ``__init__`` again, whose arguments are each class's own."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[HammerworkError], arguments: tuple[object, ...]) -> HammerworkError:
    return kind.__new__(kind, *arguments)


class AnswerIsNoError(HammerworkError):
    """The command ran and the answer is no: unhealthy, some failed, a state was not reached."""

    code = "no"


class UsageError(HammerworkError):
    """The command line or an argument is not acceptable."""

    exit_code = 2
    code = "usage"
    retryable = False


class DeclinedError(UsageError):
    """The user was asked for confirmation and said no: an answer, not an error of the program."""

    code = "declined"


class RefusedValueError(UsageError):
    """The database refuses a value: too deep, too long, out of range."""

    code = "value_refused"


class ConfigError(HammerworkError):
    """Unreadable configuration, a URL that cannot be used, a driver that is missing."""

    exit_code = 3
    code = "config"


class DatabaseError(HammerworkError):
    """The database answered with an error that no narrower class describes."""

    exit_code = 4
    code = "database"


class UnreachableError(DatabaseError):
    """No server answers at the address, or none that takes connections and writes."""

    code = "database_unreachable"


class AccessDeniedError(DatabaseError):
    """The server refused the user, the password or the privilege."""

    code = "database_access_denied"


class MissingTablesError(DatabaseError):
    """The tables are not there, or are older than the command needs."""

    code = "tables_missing"


class RetryableError(DatabaseError):
    """The transaction was rolled back and may be run again as it is."""

    code = "database_busy"


class LimitReachedError(RetryableError):
    """Time, memory or disk space ran out, or an administrator ended the statement: at once it would happen again."""


class ConnectionLostError(DatabaseError):
    """The connection broke; whether a commit under way took place is not known."""

    code = "connection_lost"


class NotFoundError(HammerworkError):
    """The job, queue or other thing that was named does not exist."""

    exit_code = 5
    code = "not_found"


class JobNotFoundError(NotFoundError):
    """No job has an id.

    Args:
        job: the id.
        purpose: what it was wanted for: ``to depend on``.
    """

    retryable = False

    def __init__(self, job: str, purpose: str = "") -> None:
        super().__init__(f"There is no job {job}{purpose and ' '}{purpose}.", hint=LIST_JOBS)


class ConflictError(HammerworkError):
    """The present state forbids what was asked."""

    exit_code = 6
    code = "conflict"


class LastingConflictError(ConflictError):
    """The present state forbids what was asked, and will do so again: another job has the id, say."""

    retryable = False


class AmbiguousIdError(ConflictError):
    """An id prefix fits several jobs."""

    code = "ambiguous_id"


class BugError(HammerworkError):
    """Something happened that nobody foresaw."""

    exit_code = 70
    code = "bug"


class OutputError(HammerworkError):
    """The answer cannot be written: a full disk."""

    exit_code = 74
    code = "output"


class TimedOutError(HammerworkError):
    """A ``--timeout`` passed."""

    exit_code = 124
    code = "timeout"
