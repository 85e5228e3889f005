"""A transaction that holds jobs and the rows of an application."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.job import Job, checked, takes_a_job

Result = TypeVar("Result")
Write = Callable[[Callable[[Database], Any]], Any]
"""Runs a unit of work that writes jobs."""


class Transaction:
    """A transaction of :meth:`Queue.transaction`. One thread uses it, before the ``with`` block ends."""

    def __init__(
        self, database: Database, one: Callable[[Job, Write], Job], many: Callable[[list[Job], Write], list[Job]]
    ) -> None:
        self._database, self._one, self._many = database, one, many
        self._is_open = True

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement of yours.

        Args:
            sql: with the placeholders of the driver: ``%s``, or ``?`` for SQLite.
            parameters: their values.

        Returns:
            Its rows; empty if it returns none.

        Raises:
            HammerworkError: the database refuses it.
            UsageError: the transaction has ended.
        """
        return self._open().foreign_rows(sql, parameters)

    @takes_a_job
    def enqueue(self, job: Job) -> Job:
        """Writes a job: see :meth:`Queue.enqueue`. Raises UsageError, too, if the transaction has ended."""
        return self._one(checked(job), self._write)

    @takes_a_job
    def enqueue_many(self, jobs: Iterable[Job]) -> list[Job]:
        """Writes many jobs: see :meth:`Queue.enqueue_many`. Raises UsageError, too, if the transaction has ended."""
        return self._many(list(map(checked, jobs)), self._write)

    def _write(self, unit: Callable[[Database], Result]) -> Result:
        return unit(self._open())

    def _open(self) -> Database:
        if not self._is_open:
            raise UsageError("The transaction has ended.")
        return self._database

    def _end(self) -> None:
        self._is_open = False
