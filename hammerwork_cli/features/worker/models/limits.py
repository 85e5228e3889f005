"""Limits of queues: how many of their jobs run at once, and how many start within a period."""

from dataclasses import dataclass

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.input.rates import Rate
from hammerwork_cli.core.input.reading import keys_of
from hammerwork_cli.core.values import Timestamp
from hammerwork_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class QueueLimit:
    """The limit of a queue. It has a concurrency, a rate, or both."""

    queue: str
    concurrency: int | None = None  # the most jobs that run at once, in all workers
    rate: Rate | None = None  # the most jobs that start within a period, in all workers
    # A key of payloads, such as `tenant` or `customer.id`: each of its values has the limit for itself. `None` if all
    # jobs of the queue share it.
    per: str | None = None
    changed_by: str = ""  # who wrote it: `user@host`, or the application that declares it
    changed_at: Timestamp = None

    @classmethod
    def of(
        cls, queue: str, concurrency: int | None = None, rate: str | None = None, per: str | None = None
    ) -> "QueueLimit":
        """Reads a limit.

        Raises:
            UsageError: it limits nothing, or a value is out of range.
        """
        fields.queue(queue)
        if concurrency is None and rate is None:
            raise UsageError("A limit needs a concurrency, a rate, or both.")
        if concurrency is not None:
            fields.whole_number(concurrency, "A concurrency", 1, LARGEST_INTEGER)
        if per is not None:
            keys_of(fields.text(per, "per"))
        return cls(queue, concurrency, None if rate is None else Rate.parse(fields.text(rate, "rate")), per)

    @property
    def keys(self) -> list[str]:
        """The keys that lead to the value in a payload that it goes by; none if all jobs share it."""
        return [] if self.per is None else keys_of(self.per)

    @property
    def terms(self) -> tuple[int | None, Rate | None, str | None]:
        """What it says, without who wrote it."""
        return self.concurrency, self.rate, self.per

    def __str__(self) -> str:
        """Such as "2 at once, 10/s per tenant"."""
        parts = [f"{self.concurrency:,} at once"] if self.concurrency is not None else []
        parts += [str(self.rate)] if self.rate is not None else []
        return ", ".join(parts) + (f" per {self.per}" if self.per is not None else "")
