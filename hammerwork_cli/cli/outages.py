"""What a command that waits says when the server goes away."""

from hammerwork_cli.cli.context import Context
from hammerwork_cli.errors import HammerworkError


class OutageNotes:
    """Says on stderr that the server is away, and that it is back."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def lost(self, error: HammerworkError) -> None:
        self._context.note(f"{error.message} Trying again for a minute.")

    def back(self) -> None:
        self._context.note("The database answers again.")
