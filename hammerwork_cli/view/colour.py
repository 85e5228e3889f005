"""Colours of statuses, on terminals and in pictures."""

from hammerwork_cli.core.values import JobStatus

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}
STATUS_COLOURS: dict[str, tuple[str | None, str, str, str]] = {
    JobStatus.COMPLETED: ("green", "#d3f2d9", "#2e7d32", "#10300f"),
    JobStatus.RUNNING: ("cyan", "#d6ebff", "#1565c0", "#0b2540"),
    JobStatus.PENDING: ("yellow", "#fff4cc", "#b28704", "#3d2f00"),
    JobStatus.RETRYING: ("yellow", "#ffe8cc", "#b26a00", "#3d2400"),
    JobStatus.FAILED: ("red", "#ffd9d6", "#c62828", "#400a0a"),
    JobStatus.DEAD: ("red", "#f2b8b5", "#7f0000", "#300000"),
    JobStatus.TIMED_OUT: ("red", "#ffdfe8", "#ad1457", "#3d0619"),
    JobStatus.CANCELLED: ("dim", "#ece3f0", "#6a4b7a", "#2a1833"),
    JobStatus.ARCHIVED: ("dim", "#e6e6e6", "#616161", "#202020"),
}
"""Status -> its colour on a terminal; the fill, the line and the text of its node."""
OTHER_COLOURS = (None, "#f5f5f5", "#616161", "#202020")
"""Those of unknown words, and of a node with jobs of several statuses."""


def paint(text: str, colour: str | None, enabled: bool) -> str:
    """Colours a text, whose characters must be safe for a terminal, if ``enabled``."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if enabled and colour else text


def paint_status(status: str, text: str, enabled: bool) -> str:
    """Colours a safe text by a status."""
    return paint(text, STATUS_COLOURS.get(status, OTHER_COLOURS)[0], enabled)
