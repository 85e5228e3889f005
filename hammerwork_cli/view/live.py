"""The parts that all pictures on a terminal share."""

from collections.abc import Sequence

from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.text import cells, count, visible


def headline(
    parts: Sequence[str],
    width: int,
    *,
    clock: str,
    charset: str,
    colour: bool,
    keys: bool = True,
    note: str | None = None,
) -> str:
    """The first line: facts at the left, keys at the right.

    Args:
        parts: facts, safe for a terminal.
        charset: ``utf8`` or ``ascii``.
        keys: whether the program reads keys.
        note: replaces all but the time, after a lost connection.
    """
    dot = " · " if charset == "utf8" else " - "
    if note:
        return f"{clock}{dot}{paint(visible(note), 'yellow', colour)}"
    left, right = dot.join(parts), "q quits" if keys else ""
    gap = width - cells(left) - len(right)
    return f"{paint(left, 'bold', colour)}{' ' * gap}{right}" if right and gap > 1 else paint(left, "bold", colour)


def fitted_lines(lines: Sequence[str], room: int, *, charset: str) -> list[str]:
    """As many lines as there is room for; the last one counts the rest."""
    if len(lines) <= room:
        return list(lines)
    shown = max(room - 1, 0)
    ellipsis = "…" if charset == "utf8" else "..."
    return [*lines[:shown], f"{ellipsis} {count(len(lines) - shown)} more"]
