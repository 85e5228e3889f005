"""Reads the documentation: its pages, their headings, links and blocks of code."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hammerwork_cli.cached import cached

ROOT = Path(__file__).parent.parent

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_FENCED = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1$\n?", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(<?([^()<>\s]+)>?(?:\s+\"[^\"]*\")?\)|(?:src|href|srcset)=\"([^\"]+)\"")


WORDS = ("not run", "file", "background", "exit", "expected", "run", "database")
"""What a comment before a block may begin with; docs/develop/documentation.md explains each."""


def documentation() -> list[Path]:
    """All pages of docs/, and those outside of it that readers and authors look for at the root."""
    outside = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
    return [*(ROOT / name for name in outside), *sorted((ROOT / "docs").rglob("*.md"))]


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        line: where it begins.
        language: the word after the fence.
        shown: the block of ``text`` right after it, which is its output.
        reason: why it is not run.
        file: the file that holds it.
        background: the text that a program prints once it is ready, which then goes on.
        exit_code: how it ends.
        expected: the file of tests/expected that it shows.
    """

    line: int
    language: str
    text: str
    shown: str | None = None
    reason: str = ""
    file: str = ""
    background: str = ""
    exit_code: int = 0
    expected: str = ""

    @property
    def commands(self) -> Iterator[tuple[str, str]]:
        """Of a console: each command, and its output."""
        for found in re.finditer(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", self.text, re.MULTILINE):
            yield found[1].replace("\n> ", "\n"), found[2]


@dataclass(frozen=True, slots=True)
class Database:
    """From here on commands have a new database of this kind; a dump may have had all migrations."""

    kind: str
    is_migrated: bool = False


@dataclass(frozen=True)
class Page:
    """A file of Markdown."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name

    @cached
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached
    def prose(self) -> str:
        """The text without code and comments, each line where it was."""
        return _INLINE.sub(_blank, self._without_blocks())

    @cached
    def code(self) -> list[str]:
        """What stands in the text as code."""
        return [found.strip("`") for found in re.findall(r"(?<!`)`[^`\n]+`(?!`)", self._without_blocks())]

    @cached
    def words(self) -> list[str]:
        """The words of sentences, tables and headings: those of blocks of code and comments do not count."""
        return [word for word in self._without_blocks().split() if re.search(r"[^\W_]", word)]

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
        return [step for step in self.steps if isinstance(step, Block)]

    @cached
    def steps(self) -> list[Block | Database]:
        """All fenced blocks, and what comments say between them."""
        steps: list[Block | Database] = []
        said: dict[str, str] = {}
        end = 0
        for found in _STEP.finditer(self.text):
            if self.text[end : found.start()].strip():
                said = {}
            elif found["language"] == "text" and steps and isinstance(before := steps[-1], Block) and not said:
                steps[-1], end = replace(before, shown=found["code"]), found.end()
                continue
            end = found.end()
            line = self.text.count("\n", 0, found.start()) + 1
            if found["comment"] is None:
                steps.append(_block(line, found["language"], found["code"], said))
                said = {}
            elif found["word"] == "run":
                steps.append(_block(line, "sh", found["value"], said))
                said = {}
            elif found["word"] == "database":
                kind, _, state = found["value"].strip().partition(", ")
                steps.append(Database(kind, state == "migrated"))
            else:
                said[found["word"]] = found["value"].strip()
        return steps


_STEP = re.compile(
    rf"^(?P<comment><!-- *(?P<word>{'|'.join(WORDS)})\b:? *(?P<value>.*?)-->)"
    r"|^(?P<fence>`{3,})(?P<language>\S*)[^\n]*\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


def _block(line: int, language: str, code: str, said: dict[str, str]) -> Block:
    return Block(
        line,
        language,
        code,
        reason=said.get("not run", ""),
        file=said.get("file", ""),
        background=said.get("background", ""),
        exit_code=int(said.get("exit", 0)),
        expected=said.get("expected", ""),
    )


if __name__ == "__main__":
    generated = "<!-- Written by"
    written = [page for page in map(Page, (ROOT / "docs").rglob("*.md")) if not page.text.startswith(generated)]
    for page in sorted(written, key=lambda page: len(page.words)):
        print(f"{len(page.words):6,}  {page.name}")  # noqa: T201  a command
    print(f"{sum(len(page.words) for page in written):6,}  words, without generated pages")  # noqa: T201
