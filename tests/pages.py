"""Reads the documentation: its pages, their headings, links and blocks of code."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hammerwork_cli.cached import cached

ROOT = Path(__file__).parent.parent

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_FENCED = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1$\n?", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(<?([^()<>\s]+)>?(?:\s+\"[^\"]*\")?\)|(?:src|href|srcset)=\"([^\"]+)\"")


def documentation() -> list[Path]:
    """README.md and all pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: where it begins, its language, its text, and the comment right before it."""

    line: int
    language: str
    text: str
    comment: str


@dataclass(frozen=True)
class Page:
    """A file of Markdown."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached
    def prose(self) -> str:
        """The text without code and comments, each line where it was."""
        return _INLINE.sub(_blank, self._without_blocks())

    def _without_blocks(self) -> str:
        return _COMMENT.sub(_blank, _FENCED.sub(_blank, self.text))

    def links(self) -> Iterator[tuple[int, str]]:
        """Line and target of each link and picture."""
        for found in _LINK.finditer(self.prose):
            yield self.prose.count("\n", 0, found.start()) + 1, found[1] or found[2]

    @cached
    def anchors(self) -> set[str]:
        """What a link may name after ``#``, as forges and the site make it of a heading."""
        counted: Counter[str] = Counter()
        made = set()
        for title in re.findall(r"^#{1,6} +(.+?) *#*$", self._without_blocks(), re.MULTILINE):
            shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
            anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            made.add(f"{anchor}-{counted[anchor]}" if counted[anchor] else anchor)
            counted[anchor] += 1
        return made

    @cached
    def blocks(self) -> list[Block]:
        """All fenced blocks, in order."""
        return [
            Block(self.text.count("\n", 0, found.start()) + 1, found[2], found[3], self._comment_before(found.start()))
            for found in _FENCED.finditer(self.text)
        ]

    def _comment_before(self, position: int) -> str:
        before = self.text[:position].rstrip()
        if not before.endswith("-->"):
            return ""
        return before[before.rindex("<!--") + 4 : -3].strip()
