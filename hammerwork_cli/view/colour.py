"""Colours of statuses, as ANSI sequences."""

from hammerwork_cli.core.values import JobStatus

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}
_STATUS_COLOURS = {
    JobStatus.COMPLETED: "green",
    JobStatus.RUNNING: "cyan",
    JobStatus.PENDING: "yellow",
    JobStatus.RETRYING: "yellow",
    JobStatus.FAILED: "red",
    JobStatus.DEAD: "red",
    JobStatus.TIMED_OUT: "red",
    JobStatus.ARCHIVED: "dim",
    JobStatus.CANCELLED: "dim",
}


def status_colour(status: str) -> str | None:
    """The colour of a status, by a name that rich knows too; ``None`` for unknown words."""
    return {str(known): colour for known, colour in _STATUS_COLOURS.items()}.get(status)


def paint(text: str, colour: str | None, enabled: bool) -> str:
    """Colours a text, whose characters must be safe for a terminal, if ``enabled``."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if enabled and colour else text


def paint_status(status: str, text: str, enabled: bool) -> str:
    """Colours a safe text by a status."""
    return paint(text, status_colour(status), enabled)
