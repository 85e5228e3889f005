"""Small changes of the program that a good test notices, one at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one file.

    Attributes:
        path: of the file, from the root of the repository.
        where: the function or the statement.
        start: of the changed text, in bytes.
        line: of that text.
        lines: of the statement around it, the first and the last.
        function: the first and the last line of the function around it.
        number: tells the same change from another one in the same place.
    """

    path: str
    where: str
    start: int
    before: str
    after: str
    line: int
    lines: tuple[int, int] = (0, 0)
    function: tuple[int, int] = (0, 0)
    number: int = 1

    @property
    def key(self) -> str:
        """Names the change wherever the lines of the file move to."""
        same = f" #{self.number}" if self.number > 1 else ""
        return f"{self.path} {self.where}: {_short(self.before)} -> {_short(self.after)}{same}"

    def made_in(self, source: bytes) -> bytes:
        """The file with the change."""
        end = self.start + len(self.before.encode())
        assert source[self.start : end] == self.before.encode(), self.key
        return source[: self.start] + self.after.encode() + source[end:]


def numbered(changes: Iterable[Change]) -> Iterator[Change]:
    """Gives changes that have the same key different ones."""
    seen: Counter[str] = Counter()
    for change in changes:
        seen[change.key] += 1
        yield replace(change, number=seen[change.key])


def _short(text: str) -> str:
    return " ".join(text.split())
