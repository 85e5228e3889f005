"""Retries work that fails for a reason that passes: no server answers, a connection broke, a transaction lost."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from hammerwork_cli.errors import (
    ConnectionLostError,
    HammerworkError,
    LimitReachedError,
    RetryableError,
    UnreachableError,
)

Result = TypeVar("Result")

OUTAGES = (ConnectionLostError, UnreachableError, RetryableError)


def is_an_outage(error: BaseException) -> bool:
    """Whether the same work may succeed in a moment."""
    return isinstance(error, OUTAGES)


def is_away(error: BaseException) -> bool:
    """Whether no statement can succeed now, whatever it is about."""
    return isinstance(error, (ConnectionLostError, UnreachableError))


def lost_to_another(error: BaseException) -> bool:
    """Whether a transaction failed because of another one, and not at a limit of the server."""
    return isinstance(error, RetryableError) and not isinstance(error, LimitReachedError)


class Backoff(NamedTuple):
    """Pauses that double with each failure."""

    first: float  # seconds after the first failure, at most
    longest: float  # seconds that no pause exceeds
    least: float = 0.0  # the share of a pause that is certain; the rest is random, so that many callers spread out

    def pause(self, failures: int) -> float:
        """Seconds to wait after a number of failures in a row."""
        import random

        most = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return most * random.uniform(self.least, 1)  # noqa: S311  jitter is not a secret


RECONNECT = Backoff(0.2, 5.0, least=0.5)
"""Between two tries of a command to reach a server that is away."""


def _never() -> bool:
    return False


def _ignore(error: HammerworkError, failures: int) -> None:
    """Nobody wants to know."""


def retry(
    work: Callable[[], Result],
    backoff: Backoff,
    *,
    passes: Callable[[HammerworkError], bool] = is_an_outage,
    tries: float = math.inf,
    ended: Callable[[], bool] = _never,
    failed: Callable[[HammerworkError, int], None] = _ignore,
    wait: Callable[[float], object] = time.sleep,
    at_once: tuple[type[HammerworkError], ...] = (),
) -> Result:
    """Runs work until it succeeds, or fails by an error that does not pass.

    A lost connection leaves open whether a commit took place: ``work`` must find out when it runs again. Raises
    HammerworkError if the last error.

    Args:
        tries: how often ``work`` runs; then the last error is raised.
        ended: whether nobody wants another try; asked after each failure.
        failed: is told of each error that will be retried, and of the number of failures.
        wait: waits a number of seconds; ``False`` says that nobody wants another try.
        at_once: errors after which the second try follows without a pause.
    """
    failures = 0
    while True:
        try:
            return work()
        except HammerworkError as error:
            failures += 1
            if failures >= tries or ended() or not passes(error):
                raise
            failed(error, failures)
            if (failures > 1 or not isinstance(error, at_once)) and wait(backoff.pause(failures)) is False:
                raise


class OutageListener(Protocol):
    """Who is told of an outage."""

    def lost(self, error: HammerworkError) -> None:
        """The server is away; it is being tried again."""

    def back(self) -> None:
        """The server answers again."""


def read_through_outages(
    work: Callable[[], Result],
    reconnect: Callable[[], None],
    listener: OutageListener,
    *,
    patience: float = math.inf,
    ended: Callable[[], bool] = _never,
    wait: Callable[[float], object] = time.sleep,
) -> Result:
    """Runs some reading, again with a fresh connection while the server is away.

    Raises UnreachableError, ConnectionLostError or RetryableError if the server stays away.

    Args:
        work: reads, and changes nothing.
        reconnect: replaces the connection that ``work`` uses.
        listener: is told once that the server is away, and once that it is back.
        patience: seconds after the first failure in which it goes on trying.
    """
    lost_at: float | None = None

    def attempt() -> Result:
        if lost_at is not None:
            reconnect()
        return work()

    def failed(error: HammerworkError, failures: int) -> None:
        nonlocal lost_at
        if failures == 1:
            lost_at = time.monotonic()
            listener.lost(error)

    def is_over() -> bool:
        return ended() or (lost_at is not None and time.monotonic() - lost_at > patience)

    result = retry(attempt, RECONNECT, ended=is_over, failed=failed, wait=wait)
    if lost_at is not None:
        listener.back()
    return result
