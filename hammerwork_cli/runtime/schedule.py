"""When a recurring job runs next."""

from datetime import datetime


def parse(schedule: str, timezone: str | None) -> None: ...


def next_run(schedule: str, timezone: str | None, after: datetime) -> datetime | None: ...
