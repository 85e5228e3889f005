"""Lines of a file that cannot be taken, counted and named before anything is written."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from hammerwork_cli.errors import HammerworkError, RefusedValueError, UsageError

MOST_PROBLEMS = 20
"""Problems after which a file is read no further."""


class Problem(NamedTuple):
    """A line that cannot be taken."""

    line: int
    error: str


class LineError(UsageError):
    """Lines of a file cannot be enqueued, and nothing was written."""

    _one: ClassVar = "line is not valid"
    _several: ClassVar = "lines are not valid"
    _outcome: ClassVar = "Nothing was enqueued."

    def __init__(self, problems: list[Problem], *, all_read: bool) -> None:
        number = f"{len(problems):,}" if all_read else f"At least {len(problems):,}"
        cannot = self._one if len(problems) == 1 else self._several
        super().__init__(f"{number} {cannot}. {self._outcome}", lines=[problem._asdict() for problem in problems])
        self.problems = problems  # some of them


class RecordsError(LineError, RefusedValueError):
    """Records of a file cannot be stored, and nothing was written."""

    _one = "record cannot be stored"
    _several = "records cannot be stored"
    _outcome = "Nothing was written."


class Problems:
    """The problems of a file that is being checked.

    Args:
        patient: collects any number of them.
    """

    def __init__(self, error: type[LineError], *, patient: bool = False) -> None:
        self._error = error
        self._patient = patient
        self._found: list[Problem] = []

    def add(self, line: int, problem: str | HammerworkError) -> None:
        """Adds a problem. Raises LineError if there are :data:`MOST_PROBLEMS` now."""
        self._found.append(Problem(line, _said(problem) if isinstance(problem, HammerworkError) else problem))
        if len(self._found) == MOST_PROBLEMS and not self._patient:
            raise self._error(self._found, all_read=False)

    @property
    def found(self) -> Sequence[Problem]:
        return self._found

    def refuse(self) -> None:
        """Raises a LineError if there is a problem."""
        if self._found:
            raise self._error(self._found, all_read=True)


def _said(error: HammerworkError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message
