"""The results of the jobs that a job waited for."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hammerwork_cli.cached import cached
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.runtime.api.job import Job

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.queue import Queue


class Results(Mapping[str, Any]):
    """The results of the jobs that a job waited for, by their ids. They are read on the first use.

    The result is ``None`` if a job returned nothing or has not completed, or if its result has expired.
    """

    def __init__(self, queue: "Queue", job: Job) -> None:
        self._queue, self._job = queue, job

    @cached
    def _ids(self) -> list[str]:
        return self._queue._awaited(self._job)

    @cached
    def _values(self) -> dict[str, Any]:
        return self._queue.results(self._ids)

    def __getitem__(self, job: str) -> Any:
        return self._values[job]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Results({self._values!r})"

    def ended(self, *, at_once: int = 1000) -> Iterator[Job]:
        """The jobs themselves, with ``status``, ``result`` and ``error``; those of 100,000 fit into little memory.

        Args:
            at_once: jobs to read with one statement.

        Raises:
            UsageError: ``at_once`` is not a whole number from 1 on.
        """
        fields.whole_number(at_once, "at_once", 1, LARGEST_INTEGER)
        return self._queue._as_they_are(self._ids, at_once)
