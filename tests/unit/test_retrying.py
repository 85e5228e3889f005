"""Retrying: which errors pass, how long the pauses are, and who hears of an outage."""

from collections.abc import Callable, Iterator

import pytest

from hammerwork_cli.database.retrying import Backoff, read_through_outages, retry
from hammerwork_cli.errors import (
    ConfigError,
    ConnectionLostError,
    DatabaseError,
    HammerworkError,
    RetryableError,
    UnreachableError,
)

STEADY = Backoff(1.0, 5.0, least=1.0)


def failing(*errors: HammerworkError | None) -> Callable[[], str]:
    """Work that raises these errors, one in each call, and succeeds where there is none."""
    left: Iterator[HammerworkError | None] = iter(errors)

    def work() -> str:
        error = next(left, None)
        if error is not None:
            raise error
        return "done"

    return work


@pytest.mark.parametrize("error", [ConnectionLostError("x"), UnreachableError("x"), RetryableError("x")])
def test_work_is_retried_after_an_outage_with_pauses_that_double(error: HammerworkError) -> None:
    pauses: list[float] = []
    assert retry(failing(*[error] * 5), STEADY, wait=pauses.append) == "done"
    assert pauses == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("error", [DatabaseError("x"), ConfigError("x")])
def test_another_error_is_raised_at_once(error: HammerworkError) -> None:
    with pytest.raises(type(error)):
        retry(failing(error), STEADY, wait=pytest.fail)


def test_the_last_error_is_raised_after_so_many_tries() -> None:
    heard: list[int] = []
    with pytest.raises(RetryableError, match="third"):
        retry(
            failing(RetryableError("first"), RetryableError("second"), RetryableError("third")),
            STEADY,
            tries=3,
            failed=lambda _, failures: heard.append(failures),
            wait=lambda _: None,
        )
    assert heard == [1, 2], "who listens hears of errors that are retried"


def test_nobody_waits_for_work_that_nobody_wants() -> None:
    with pytest.raises(UnreachableError):
        retry(failing(UnreachableError("x")), STEADY, ended=lambda: True, wait=pytest.fail)


def test_a_wait_that_is_cut_short_raises_the_error() -> None:
    with pytest.raises(UnreachableError):
        retry(failing(UnreachableError("x")), STEADY, wait=lambda _: False)


def test_only_the_first_lost_connection_is_replaced_without_a_pause() -> None:
    pauses: list[float] = []
    lost = ConnectionLostError("x")
    retry(failing(lost, lost, lost), STEADY, at_once=(ConnectionLostError,), wait=pauses.append)
    assert pauses == [2, 4]
    retry(failing(UnreachableError("x")), STEADY, at_once=(ConnectionLostError,), wait=pauses.append)
    assert pauses == [2, 4, 1]


def test_pauses_are_random_but_for_the_certain_share() -> None:
    pauses = [Backoff(1.0, 5.0, least=0.5).pause(3) for _ in range(100)]
    assert all(2 <= pause <= 4 for pause in pauses)
    assert len(set(pauses)) > 1
    assert Backoff(1.0, 5.0, least=1.0).pause(10_000) == 5


class Heard:
    """Remembers what it is told of an outage."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def lost(self, error: HammerworkError) -> None:
        self.events.append(error.message)

    def back(self) -> None:
        self.events.append("back")


def test_a_reader_hears_once_of_an_outage_and_once_of_its_end() -> None:
    heard, connections = Heard(), []
    work = failing(ConnectionLostError("first"), UnreachableError("second"))
    read_through_outages(work, lambda: connections.append(1), heard, wait=lambda _: None)
    assert heard.events == ["first", "back"]
    assert len(connections) == 2, "each further try has a fresh connection"


def test_reading_without_an_outage_neither_reconnects_nor_says_anything() -> None:
    heard = Heard()
    assert read_through_outages(failing(), lambda: pytest.fail("reconnects"), heard) == "done"
    assert heard.events == []


def test_a_reader_whose_patience_is_over_gives_up() -> None:
    heard, gone = Heard(), UnreachableError("gone")
    with pytest.raises(UnreachableError):
        read_through_outages(failing(*[gone] * 9), lambda: None, heard, patience=-1.0, wait=lambda _: None)
    assert heard.events == ["gone"]
