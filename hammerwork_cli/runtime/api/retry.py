"""The time between a failed attempt and the next one."""

import json
import math
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from hammerwork_cli.core.input.fields import duration
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.absent import TranslatedType

SHORTEST = timedelta(milliseconds=1)
LONGEST = timedelta(days=365)
_KINDS = ("Fixed", "Linear", "Exponential", "Fibonacci")


@dataclass(frozen=True, slots=True)
class Jitter:
    """A random part of a delay, so that jobs that failed together do not come back together.

    Attributes:
        amount: up to this much more or less; or
        factor: up to this share of the delay more or less (0.1 = 10 %).

    Raises:
        UsageError: the amount is not a timedelta or is negative, or the factor is not a number from 0 on.
    """

    amount: timedelta | None = None
    factor: float | None = None

    def __post_init__(self) -> None:
        if self.amount is not None:
            duration(self.amount, "The amount of jitter", timedelta.max)
        if self.factor is not None:
            _factor(self.factor, "The factor of jitter")

    def _apply(self, delay: timedelta) -> timedelta:
        """The delay with its random part, never below zero."""
        swing = random.uniform(-1, 1)  # noqa: S311  jitter is not a secret
        if self.amount is not None:
            return max(timedelta(0), delay + self.amount * swing)
        return max(timedelta(0), delay * (1 + (self.factor or 0) * swing))

    def _stored(self) -> dict[str, Any]:
        """The JSON object of hammerwork (Rust)."""
        if self.amount is not None:
            return {"type": "Additive", "duration_ms": _milliseconds(self.amount)}
        return {"type": "Multiplicative", "factor": self.factor}


@dataclass(frozen=True, slots=True)
class RetryStrategy(metaclass=TranslatedType):
    """The time between a failed attempt and the next one.

    Make one with :meth:`fixed`, :meth:`linear`, :meth:`exponential` or :meth:`fibonacci`.

    Attributes:
        kind: ``Fixed``, ``Linear``, ``Exponential`` or ``Fibonacci``.
        base, increment, multiplier, max_delay, jitter: as they were given; those of other kinds have no effect.

    Raises:
        UsageError: a time is not a timedelta or is negative, the multiplier or a factor is not a number from 0 on, or
            the jitter is not a :class:`Jitter`, a factor or an amount.
    """

    kind: str
    base: timedelta
    increment: timedelta = timedelta(0)
    multiplier: float = 1.0
    max_delay: timedelta | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        for name in ("base", "increment", "max_delay"):
            if (length := getattr(self, name)) is not None:
                duration(length, name, timedelta.max)
        _factor(self.multiplier, "multiplier")
        if self.jitter is not None and not isinstance(self.jitter, Jitter):
            raise UsageError(f"jitter must be a share, a timedelta or a Jitter, not {self.jitter!r:.60}.")

    @classmethod
    def fixed(cls, delay: timedelta, *, jitter: Jitter | float | timedelta | None = None) -> Self:
        """The same delay every time.

        Args:
            delay: the time to wait.
            jitter: a random part of it: a :class:`Jitter`, its factor, or its amount.
        """
        return cls._made("Fixed", delay, jitter=jitter)

    @classmethod
    def linear(
        cls,
        base: timedelta,
        increment: timedelta,
        max_delay: timedelta | None = None,
        *,
        jitter: Jitter | float | timedelta | None = None,
    ) -> Self:
        """``base + increment * attempt``, where the first failed attempt is number 1.

        Args:
            base: what each delay has in common.
            increment: how much longer the next delay is.
            max_delay: the longest delay, before the jitter; a year by default.
            jitter: a random part of it: a :class:`Jitter`, its factor, or its amount.
        """
        return cls._made("Linear", base, increment=increment, max_delay=max_delay, jitter=jitter)

    @classmethod
    def exponential(
        cls,
        base: timedelta,
        multiplier: float = 2.0,
        max_delay: timedelta | None = None,
        *,
        jitter: Jitter | float | timedelta | None = None,
    ) -> Self:
        """``base * multiplier ** (attempt - 1)``, where the first failed attempt is number 1.

        Args:
            base: the delay after the first failed attempt.
            multiplier: how many times as long the next delay is.
            max_delay: the longest delay, before the jitter; a year by default.
            jitter: a random part of it: a :class:`Jitter`, its factor, or its amount.
        """
        return cls._made("Exponential", base, multiplier=multiplier, max_delay=max_delay, jitter=jitter)

    @classmethod
    def fibonacci(
        cls, base: timedelta, max_delay: timedelta | None = None, *, jitter: Jitter | float | timedelta | None = None
    ) -> Self:
        """``base`` times 1, 1, 2, 3, 5, 8 ...

        Args:
            base: the delay after the first failed attempt, and after the second.
            max_delay: the longest delay, before the jitter; a year by default.
            jitter: a random part of it: a :class:`Jitter`, its factor, or its amount.
        """
        return cls._made("Fibonacci", base, max_delay=max_delay, jitter=jitter)

    @classmethod
    def _made(cls, kind: str, base: timedelta, *, jitter: Jitter | float | timedelta | None, **rest: Any) -> Self:
        if isinstance(jitter, timedelta):
            jitter = Jitter(amount=jitter)
        elif isinstance(jitter, (int, float)):
            jitter = Jitter(factor=jitter)
        return cls(kind, base, jitter=jitter, **rest)

    def _delay(self, attempt: int) -> timedelta:
        """The time to wait after the failed attempt of this number, from 1: a millisecond to a year."""
        attempt = max(1, attempt)
        longest = min(self.max_delay or LONGEST, LONGEST)
        try:
            delay = min(self._unlimited(attempt), longest)
            if self.jitter is not None:
                delay = min(self.jitter._apply(delay), LONGEST)
        except OverflowError:
            delay = longest
        return max(delay, SHORTEST)

    def _unlimited(self, attempt: int) -> timedelta:
        if self.kind == "Linear":
            return self.base + self.increment * attempt
        if self.kind == "Exponential":
            return self.base * float(self.multiplier) ** (attempt - 1)
        if self.kind == "Fibonacci":
            return self.base * _fibonacci(attempt)
        return self.base

    def _stored(self) -> dict[str, Any]:
        """The JSON object of hammerwork (Rust), times in milliseconds."""
        base = _milliseconds(self.base)
        if self.kind == "Fixed":
            stored: dict[str, Any] = {"type": self.kind, "duration_ms": base}
        else:
            stored = {"type": self.kind, "base_ms": base}
            if self.kind == "Linear":
                stored["increment_ms"] = _milliseconds(self.increment)
            if self.kind == "Exponential":
                stored["multiplier"] = self.multiplier
            stored["max_delay_ms"] = None if self.max_delay is None else _milliseconds(self.max_delay)
        if self.kind == "Exponential" or self.jitter is not None:
            stored["jitter"] = None if self.jitter is None else self.jitter._stored()
        return stored

    @classmethod
    def _parse(cls, stored: object) -> Self | None:
        """Reads the object of :meth:`_stored`, as JSON text or parsed; ``None`` for any other value."""
        if isinstance(stored, (str, bytes, bytearray)):
            try:
                stored = json.loads(stored)
            except (ValueError, RecursionError):
                return None
        if not isinstance(stored, dict) or stored.get("type") not in _KINDS:
            return None
        try:
            return cls(
                kind=stored["type"],
                base=timedelta(milliseconds=stored["duration_ms" if stored["type"] == "Fixed" else "base_ms"]),
                increment=timedelta(milliseconds=stored.get("increment_ms", 0)),
                multiplier=float(stored.get("multiplier", 1.0)),
                max_delay=_duration(stored.get("max_delay_ms")),
                jitter=_jitter(stored.get("jitter")),
            )
        except (KeyError, TypeError, ValueError, OverflowError, UsageError):
            return None


def _factor(given: object, name: str) -> None:
    if not isinstance(given, (int, float)) or not 0 <= given < math.inf:
        raise UsageError(f"{name} must be a number, 0 or more, not {given!r:.60}.")


def _duration(milliseconds: Any) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def _jitter(stored: Any) -> Jitter | None:
    if stored is None:
        return None
    if stored["type"] == "Additive":
        return Jitter(amount=timedelta(milliseconds=stored["duration_ms"]))
    return Jitter(factor=float(stored["factor"]))


def _milliseconds(delay: timedelta) -> int:
    return round(delay.total_seconds() * 1000)


def _fibonacci(number: int) -> int:
    one, other = 0, 1
    for _ in range(min(number, 300)):
        one, other = other, one + other
    return one


def check(strategy: object) -> RetryStrategy:
    """The strategy itself.

    Raises:
        UsageError: it is not a retry strategy.
    """
    if not isinstance(strategy, RetryStrategy):
        raise UsageError(
            f"{type(strategy).__name__} is not a retry strategy.", hint="Make one: RetryStrategy.fixed(timedelta(...))"
        )
    return strategy
