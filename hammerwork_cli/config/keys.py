"""The keys of the settings, their purposes and their values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hammerwork_cli.database import DatabaseUrl, redact
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.models.input.limits import LONGEST_NAME

LARGEST_LIMIT = 2**32 - 1
LARGEST_POOL = 100
LEVELS = ("trace", "debug", "info", "warn", "error")


@dataclass(frozen=True, slots=True)
class Key:
    """A setting.

    Attributes:
        name: name of the key in the file.
        variables: environment variables, of which the first one that is set counts.
        purpose: description in a sentence.
        default: default value; ``None`` if each verb has its own.
        example: a value as the file spells it.
        is_number: whether the value in the file is a number.
        check: returns a value as the program uses it, or raises :class:`ConfigError` if it is not valid.
    """

    name: str
    variables: tuple[str, ...]
    purpose: str
    default: Any
    example: str
    is_number: bool
    check: Callable[[Any], Any]

    def from_text(self, text: str) -> Any:
        """Reads the value of a variable, an option or an argument.

        Raises:
            ConfigError: the value is not valid.
        """
        if not self.is_number:
            return self.check(text)
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise ConfigError(f"{text[:40]!r} is not a whole number.")
        return self.check(int(digits))

    def from_file(self, value: Any) -> Any:
        """Reads the value in the file.

        Raises:
            ConfigError: the value is not valid.
        """
        wanted, word = (int, "a whole number") if self.is_number else (str, "text in quotes")
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ConfigError(f"The value must be {word}.")
        return self.check(value)

    def masked(self, value: Any) -> Any:
        """Hides the password in a value."""
        return redact(value) if isinstance(value, str) else value


def _url(text: str) -> str:
    DatabaseUrl.parse(text)
    return text


def _queue(text: str) -> str:
    if not 0 < len(text) <= LONGEST_NAME:
        raise ConfigError(f"The name of a queue must have 1 to {LONGEST_NAME} characters.")
    return text


def _between(low: int, high: int) -> Callable[[int], int]:
    def check(number: int) -> int:
        if not low <= number <= high:
            raise ConfigError(f"{number} is not between {low} and {high}.")
        return number

    return check


def _level(text: str) -> str:
    if text.strip().lower() not in LEVELS:
        raise ConfigError(f"{text[:40]!r} is not a log level.", hint=f"Give one of: {', '.join(LEVELS)}.")
    return text.strip().lower()


_ALL = (
    Key(
        "database_url",
        ("HAMMERWORK_DATABASE_URL", "DATABASE_URL"),
        "The database. Without it, an SQLite file in your data folder.",
        None,
        '"postgresql://app@db.example.org/jobs"',
        False,
        _url,
    ),
    Key(
        "default_queue",
        ("HAMMERWORK_DEFAULT_QUEUE",),
        "The queue of `job enqueue` without --queue.",
        None,
        '"mail"',
        False,
        _queue,
    ),
    Key(
        "default_limit",
        ("HAMMERWORK_DEFAULT_LIMIT",),
        "Rows of a list without --limit. Unset, each list has its own default.",
        None,
        "100",
        True,
        _between(1, LARGEST_LIMIT),
    ),
    Key(
        "log_level",
        ("HAMMERWORK_LOG_LEVEL",),
        f"Minimum log level of a worker: {', '.join(LEVELS)}.",
        "info",
        '"debug"',
        False,
        _level,
    ),
    Key(
        "connection_pool_size",
        ("HAMMERWORK_POOL_SIZE",),
        f"Database connections of a worker for results: 1 to {LARGEST_POOL}.",
        5,
        "10",
        True,
        _between(1, LARGEST_POOL),
    ),
)
KEYS = {key.name: key for key in _ALL}


def known(name: str) -> Key:
    """Returns the key with a name.

    Raises:
        ConfigError: no key has the name; the hint lists all keys.
    """
    key = KEYS.get(name.strip().lower().replace("-", "_"))
    if key is None:
        from difflib import get_close_matches

        close = get_close_matches(name.lower(), KEYS, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise ConfigError(f"{name[:60]!r} is not a setting.", hint=f"{meant}Settings: {', '.join(KEYS)}.")
    return key
