"""What a backend raises."""

from collections.abc import Collection, Sequence

from hammerwork_cli.errors import HammerworkError

LONGEST = 500
"""Characters of what another program said."""


class StreamError(HammerworkError):
    """A backend did not take all events, but may take them later: it is away, slow or full."""

    code = "stream"

    def __init__(self, message: str, *, hint: str | None = None, acknowledged: Collection[int] = ()) -> None:
        super().__init__(message, hint=hint)
        # Positions of the messages that were written. Others may have been written, too. If a message is among these,
        # so are all earlier ones of its key: who sends the rest again keeps the order.
        self.acknowledged = frozenset(acknowledged)


class LastingStreamError(StreamError):
    """A backend will not take the events until somebody changes the stream or the backend, the credentials, say."""

    retryable = False


class EventTooLargeError(LastingStreamError):
    """Some events are larger than the backend takes. Nothing was sent."""

    def __init__(self, positions: Sequence[int], message: str) -> None:
        super().__init__(message, hint="Leave the payloads out with --no-include-payload.")
        self.positions = tuple(positions)  # of these among the messages


def said(text: object) -> str:
    """What another program said, in one line."""
    return " ".join(str(text).split())[:LONGEST]
