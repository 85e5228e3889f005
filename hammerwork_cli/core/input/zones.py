"""Time zones by their names."""

from datetime import UTC, tzinfo
from functools import lru_cache

from hammerwork_cli import app_path
from hammerwork_cli.errors import UsageError

_FILES = frozenset({"localtime", "posixrules", "Factory"})
"""Files that lie beside the time zones on many systems and that hammerwork (Rust) does not accept as names."""


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, available_timezones

    if name == "UTC":
        return UTC
    try:
        if name in _FILES or name.startswith(("posix/", "right/")):
            raise ValueError(name)
        with app_path.without():  # zoneinfo imports from the package tzdata by a name that comes out of a job
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        if not available_timezones():
            raise UsageError("This system has no time zones but UTC.", hint="Run: pip install tzdata") from error
        raise UsageError(f"{name!r:.60} is not a time zone.", hint="Give a name such as Europe/Oslo or UTC.") from error
