"""Names in words and in printed commands."""

from collections.abc import Sequence
from shlex import quote

from hammerwork_cli.core.input.names import joined
from hammerwork_cli.view import key
from hammerwork_cli.view.text import visible

FEW = 3
"""Names in a sentence."""
OF_QUEUES = {
    "queue": key.null_or(key.text("Null for all and for several")).of(
        lambda found: found.queues[0] if len(found.queues) == 1 else None
    ),
    "queue_names": key.list_of(key.text(), "Those of --queue; empty for all").of("queues"),
}
"""The queues that a record is about."""


def can_be_typed(names: Sequence[str]) -> bool:
    """Whether a command can be printed with these names: a terminal shows each as it is."""
    return all(visible(name) == name for name in names)


def queue_option(names: Sequence[str]) -> str:
    """``--queue`` with names, after a space, for a command to copy; empty without names."""
    if not names:
        return ""
    return f" --queue{'=' if names[0].startswith('-') else ' '}{quote(visible(joined(names)))}"


def words_of(queues: Sequence[str]) -> str:
    """The queues that a figure is about: ``queue mail``, ``queues mail, report and 7 more``, or ``all queues``."""
    if not queues:
        return "all queues"
    more = f" and {len(queues) - FEW} more" if queues[FEW:] else ""
    return f"queue{'s' if queues[1:] else ''} {', '.join(map(visible, queues[:FEW]))}{more}"
