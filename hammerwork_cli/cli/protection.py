"""Protected profiles: whoever changes their database confirms that by its name."""

from typing import Any, Protocol

from hammerwork_cli import disk
from hammerwork_cli.errors import ConflictError, DeclinedError, UsageError


class Asker(Protocol):
    """Asks at a terminal, as the context of a command does."""

    options: dict[str, Any]

    @property
    def can_ask(self) -> bool: ...

    def print_raw(self, text: str, end: str = ...) -> None: ...


class Protection:
    """The protection of the profile that a command uses. Every change of its database passes :meth:`confirm`."""

    def __init__(self, context: Asker, profile: str) -> None:
        self._context = context
        self.profile = profile
        self.is_confirmed = context.options.get("confirm_profile") == profile

    def confirm(self, question: str | None = None) -> None:
        """Lets changes pass once the name has been typed, or named by ``--confirm-profile``."""
        if self.is_confirmed:
            return
        if not self._context.can_ask:
            raise UsageError(
                f"The profile {self.profile} is protected.", hint=f"To change it, add --confirm-profile {self.profile}."
            )
        asked = question or f"This changes {self.profile}, which is protected."
        self._context.print_raw(f"{asked} Type {self.profile} to confirm: ", end="")
        if disk.line() != self.profile:
            raise DeclinedError("Nothing was changed.")
        self.is_confirmed = True


class ChangingGuard:
    """Guards the connection of a command that changes something: it asks, before anything is locked."""

    def __init__(self, protection: Protection) -> None:
        self._protection = protection

    def before_transaction(self) -> None:
        self._protection.confirm()

    def before_change(self) -> None:
        self._protection.confirm()


class ReadingGuard:
    """Guards the connection of a command that reads: it refuses every change."""

    def __init__(self, protection: Protection) -> None:
        self._protection = protection

    def before_transaction(self) -> None:
        """Lets it pass: some commands read in a transaction."""

    def before_change(self) -> None:
        """Raises a ConflictError."""
        raise ConflictError(f"The profile {self._protection.profile} is protected, and this command only reads.")
