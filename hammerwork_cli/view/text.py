"""Pieces of text that all renderers share: safe text, durations, counts."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from hammerwork_cli.core.values import GOOD_FIRST, Counts, JobStatus, Timestamp, timestamp

NOTHING = "-"
TIMES = "\N{MULTIPLICATION SIGN}"
NAMED = 20
"""Ids that a line of text names at most."""

# Characters that a terminal obeys, hides or reorders: controls, format characters (bidirectional marks, zero-width),
# line separators, blank fillers, surrogates, noncharacters.
_INVISIBLE = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f\\u1160"
    "\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ud800-\\udfff"
    "\\ufe00-\\ufe0e\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\U000110bd\\U000110cd\\U00013430-\\U0001345f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
)
_EMOJI = "\\u2190-\\u21ff\\u2300-\\u27bf\\u2934\\u2935\\u2b00-\\u2bff\\ufe0f\\U0001f000-\\U0001faff"
_INVISIBLE_CHARACTER = f"(?<=[{_EMOJI}])\\u200d(?=[{_EMOJI}])|([{_INVISIBLE}])"
"""Compiled when a text first needs it: most starts of the program do not."""
PAINT = re.compile("(\x1b\\[[0-9;]*m)")
"""An ANSI sequence that sets a colour."""
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

_UNKNOWN_CELLS = 20
_UNKNOWN_NAMED = 3


def visible(text: str) -> str:
    r"""Escapes every character that a terminal would obey or hide.

    The escapes are ``\n``, ``\t``, ``\x1b``, ``\u202e`` and so on. Letters of all scripts and emoji stay, also the
    joiners within an emoji. The result is one line and can be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_INVISIBLE_CHARACTER, _escape, text)


def visible_lines(text: str) -> str:
    """Escapes a text of several lines, such as a traceback, and keeps its lines."""
    return "\n".join(map(visible, text.split("\n")))


def _escape(found: re.Match[str]) -> str:
    character = found[1]
    if character is None:
        return found[0]
    point = ord(character)
    if point < 0x100:
        return _SHORT_ESCAPES.get(character, f"\\x{point:02x}")
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def ascii_only(text: str) -> str:
    r"""Escapes everything outside ASCII, as in ``\u00e9``."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def first_line(text: str) -> str:
    """The first line of a message, escaped."""
    return visible(text.strip().partition("\n")[0].rstrip())


def cells(text: str) -> int:
    """Columns of a text on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shorten(text: str, width: int | None, ellipsis: str = "…") -> str:
    """Cuts a text to ``width`` columns and adds an ellipsis if something was cut.

    Args:
        text: a text without control characters.
        width: columns; ``None`` cuts nothing.
    """
    if width is None or (len(text) * 2 <= width) or cells(text) <= width:
        return text
    room = max(width - cells(ellipsis), 0)
    if text.isascii():
        return text[:room].rstrip() + ellipsis
    from rich.cells import set_cell_size

    return set_cell_size(text, room).rstrip() + ellipsis


def painted_cells(line: str) -> int:
    """Columns of a line that has colours."""
    return cells(PAINT.sub("", line))


def cut(line: str, width: int, ellipsis: str = "…") -> str:
    """Cuts a coloured line to ``width`` columns; its colours end as before."""
    if painted_cells(line) <= width:
        return line
    from rich.cells import set_cell_size

    parts: list[str] = []
    room = max(width - cells(ellipsis), 0)
    pieces = PAINT.split(line)
    for text, paint in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if room > 0 and text:
            shown = text if cells(text) <= room else set_cell_size(text, room)
            room -= cells(shown)
            parts.append(shown + (ellipsis if room == 0 else ""))
        parts.append(paint)
    return "".join(parts)


def fitted(text: str, width: int | None) -> str:
    """Breaks lines between words if they are wider than the terminal; coloured lines and commands stay."""
    if width is None or len(text) <= width:
        return text
    return "\n".join(_broken(line, width) if cells(line) > width else line for line in text.split("\n"))


_COMMAND = r"\bhammerwork (?:(?! ?[()]|[.;,](?:\s|$)).)+"
_JOINED = "\ue000"
"""Stands for a space at which no line is broken; safe texts do not have it."""


def _broken(line: str, width: int) -> str:
    from textwrap import fill

    if "\x1b" in line or line.lstrip().startswith("hammerwork "):
        return line  # a command can be pasted only as a whole
    indent = line[: len(line) - len(line.lstrip())] + "  "
    room = width - len(indent)
    whole = re.sub(
        _COMMAND, lambda found: found[0].replace(" ", _JOINED) if cells(found[0]) <= room else found[0], line
    )
    filled = fill(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace(_JOINED, " ")


def wrapped(text: str, width: int | None, *, indent: str = "    ", most: int = 8, ellipsis: str = "…") -> list[str]:
    """Breaks a safe text into lines between words, and words that are longer than a line.

    Args:
        width: columns; ``None`` breaks nothing.
        indent: of the lines after the first.
        most: lines, the last of which ends with the ellipsis if there are more.
    """
    if width is None or cells(text) <= width:
        return [text]
    from rich.cells import chop_cells

    least = max(width, len(indent) + 10)
    lines = [text[: len(text) - len(text.lstrip())]]
    for word in text.split():
        gap = " " if lines[-1].strip() else ""
        if cells(lines[-1] + gap + word) <= least:
            lines[-1] += gap + word
            continue
        room = least - len(indent)
        parts = chop_cells(word, room) if cells(word) > room else [word]
        lines += [indent + part for part in parts]
    if len(lines) > most:
        lines = [*lines[: most - 1], shorten(f"{lines[most - 1]} {ellipsis * 2}", least, ellipsis)]
    return lines


def short_id(job: str) -> str:
    """The first eight characters of an id, as tables and trees show them."""
    return visible(job[:8])


def duration(length: timedelta | None) -> str:
    """A duration for people: ``820 ms``, ``1.4 s``, ``3m 12s``, ``2h 05m``, ``4d 3h``."""
    if length is None:
        return NOTHING
    milliseconds = max(length, timedelta()) // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds // 100 / 10:.1f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{count(days)}d {hours}h"


def silence(worker: str, seconds: float, lease: float) -> str:
    """The time since a worker's last heartbeat, and its lease."""
    silent = duration(timedelta(seconds=seconds))
    return f"{visible(worker)} has been silent for {silent}; its lease is {lease:g} s"


def age(value: Timestamp, now: datetime) -> str:
    """How long ago a time was: ``3m 12s ago``; a time to come, because clocks differ, is 0 ms ago."""
    read = timestamp(value)
    return f"{duration(now - read)} ago" if read else NOTHING


def brief_age(value: Timestamp, now: datetime) -> str:
    """How long ago a time was, for narrow columns: ``12s``, ``3m``, ``2h``, ``4d``."""
    read = timestamp(value)
    if read is None:
        return NOTHING
    seconds = max(int((now - read).total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{count(seconds // size)}{unit}"
    return f"{seconds}s"


def short_duration(length: timedelta) -> str:
    """A duration as options accept it: ``2h``, ``90s``."""
    seconds = length.total_seconds()
    for unit, size, least in (("d", 86400, 172800), ("h", 3600, 3600), ("m", 60, 60)):
        if seconds >= least and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:g}s"


def instant(value: Timestamp) -> str:
    """A time for people, in UTC, to the second: ``2026-11-24 14:18:25``."""
    read = timestamp(value)
    return read.strftime("%Y-%m-%d %H:%M:%S") if read else NOTHING


def brief_instant(value: Timestamp) -> str:
    """A time for narrow columns, in UTC, to the minute: ``11-24 14:18``."""
    read = timestamp(value)
    return read.strftime("%m-%d %H:%M") if read else NOTHING


def percent(rate: float | None) -> str:
    """A rate from 0 to 1 in per cent; 0% and 100% are exact, never rounded."""
    if rate is None:
        return NOTHING
    if rate in (0, 1):
        return f"{rate:.0%}"
    # Halves go up, as on the page, where JavaScript rounds.
    return f"{min(max(math.floor(rate * 1000 + 0.5) / 10, 0.1), 99.9):.1f}%"


def count(number: int) -> str:
    """A whole number with separators: ``4,792``."""
    return f"{number:,}"


def named(ids: Sequence[str]) -> str:
    """Names some ids, and says how many more there are."""
    return ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 job``, ``1,201 jobs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def unsuccessful_text(counts: Counts) -> str:
    """A sentence such as ``4 of 41 jobs failed, 1 was cancelled``."""
    failed, cancelled = counts.failed, counts.cancelled
    were = f"{'was' if cancelled == 1 else 'were'} cancelled"
    if cancelled and not failed:
        return f"{count(cancelled)} of {plural(counts.total, 'job')} {were}."
    return (
        f"{count(failed)} of {plural(counts.total, 'job')} failed{f', {count(cancelled)} {were}' if cancelled else ''}."
    )


def status_word(status: str) -> str:
    """A status in a sentence: ``completed``, ``timed out``; an unknown word in quotes."""
    if status in GOOD_FIRST:
        return "timed out" if status == JobStatus.TIMED_OUT else status.lower()
    return f'"{shorten(visible(status), _UNKNOWN_CELLS, "...")}"'


def statuses(counts: Counts) -> str:
    """``37 completed, 4 dead``: good statuses first, unknown words last; empty without jobs."""
    known: list[str] = [status for status in GOOD_FIRST if counts.of(status)]
    unknown = sorted(status for status in counts.by_status.keys() - set(GOOD_FIRST) if counts.of(status))
    parts = [f"{count(counts.of(word))} {status_word(word)}" for word in known + unknown[:_UNKNOWN_NAMED]]
    rest = counts.of(*unknown[_UNKNOWN_NAMED:])
    return ", ".join(parts + [f"{count(rest)} in other words"] * bool(rest))
