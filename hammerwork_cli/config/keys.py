"""The keys of the settings, their purposes and their values."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.database import DatabaseUrl, redact
from hammerwork_cli.errors import ConfigError, UsageError

LARGEST_LIMIT = 2**32 - 1
LARGEST_POOL = 100
LONGEST_CONNECT = 600


class LogLevel(StrEnum):
    """What a worker's log leaves out."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class SettingKey(NamedTuple):
    name: str  # name of the key in the file
    variables: tuple[str, ...]  # environment variables, of which the first one that is set counts
    purpose: str  # description in a sentence
    default: Any  # default value; `None` if each verb has its own
    example: str  # a value as the file spells it
    kind: type[str] | type[int] | type[bool]  # type of the value in the file
    check: Callable[[Any], Any]  # returns a value as the program uses it, or raises `ConfigError` if it is not valid

    @property
    def path(self) -> tuple[str, ...]:
        """The tables in the file that lead to the value, and its name there."""
        return tuple(self.name.split("."))

    def from_text(self, text: str) -> Any:
        """Reads the value of a variable, an option or an argument."""
        if self.kind is str:
            return self.check(text)
        if self.kind is bool:
            return self.check(_yes_or_no(text))
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise ConfigError(f"{text[:40]!r} is not a whole number.")
        return self.check(int(digits))

    def from_file(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise ConfigError(f"The value must be {_WORDS[self.kind]}.")
        return self.check(value)

    def masked(self, value: Any) -> Any:
        """Hides the password in a value."""
        return redact(value) if isinstance(value, str) else value


_WORDS: dict[type, str] = {str: "text in quotes", int: "a whole number", bool: "true or false"}


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"true", "false"}:
        raise ConfigError(f"{text[:40]!r} is neither true nor false.")
    return word == "true"


def _url(text: str) -> str:
    DatabaseUrl.parse(text)
    return text


def _url_or_profile(text: str) -> str:
    if profile_of(text) is None:
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
    if text.strip().lower() not in set(LogLevel):
        raise ConfigError(f"{text[:40]!r} is not a log level.", hint=f"Give one of: {', '.join(LogLevel)}.")
    return text.strip().lower()


def _places(text: str) -> str:
    from hammerwork_cli.runtime.api.encryption import listed, split

    for place in listed(text):
        split(place)
    return text


def _programs(text: str) -> str:
    from hammerwork_cli.runtime.delivery.allowed import commands

    commands(text)
    return text


def _variables(text: str) -> str:
    from hammerwork_cli.runtime.delivery.allowed import variables

    variables(text)
    return text


_ALL = (
    SettingKey(
        "database_url",
        ("HAMMERWORK_DATABASE_URL", "DATABASE_URL"),
        "The database, or @ and a profile. Without it, an SQLite file in your data folder.",
        None,
        '"postgresql://app@db.example.org/jobs"',
        str,
        _url_or_profile,
    ),
    SettingKey(
        "default_queue",
        ("HAMMERWORK_DEFAULT_QUEUE",),
        "The queue of `job enqueue` without --queue.",
        None,
        '"mail"',
        str,
        _queue,
    ),
    SettingKey(
        "default_limit",
        ("HAMMERWORK_DEFAULT_LIMIT",),
        "Rows of a list without --limit. Unset, each list has its own default.",
        None,
        "100",
        int,
        _between(1, LARGEST_LIMIT),
    ),
    SettingKey(
        "log_level",
        ("HAMMERWORK_LOG_LEVEL",),
        f"Minimum log level of a worker: {', '.join(LogLevel)}.",
        "info",
        '"debug"',
        str,
        _level,
    ),
    SettingKey(
        "connection_pool_size",
        ("HAMMERWORK_POOL_SIZE",),
        f"Maximum database connections of a worker for results: 1 to {LARGEST_POOL}.",
        5,
        "10",
        int,
        _between(1, LARGEST_POOL),
    ),
    SettingKey(
        "connect_timeout_secs",
        ("HAMMERWORK_CONNECT_TIMEOUT",),
        f"Seconds that a command waits for a server when it connects: 1 to {LONGEST_CONNECT}.",
        10,
        "30",
        int,
        _between(1, LONGEST_CONNECT),
    ),
    SettingKey(
        "encryption_keys",
        ("HAMMERWORK_ENCRYPTION_KEYS",),
        "Where to read the keys of encrypted payloads, separated by commas. The first one encrypts.",
        None,
        '"payments=env:PAYMENTS_KEY,old=@/run/secrets/old"',
        str,
        _places,
    ),
    SettingKey(
        "allowed_programs",
        ("HAMMERWORK_ALLOWED_PROGRAMS",),
        "Commands that streams may run here, word for word, separated by commas.",
        None,
        '"python3 to_nats.py jobs"',
        str,
        _programs,
    ),
    SettingKey(
        "allowed_env",
        ("HAMMERWORK_ALLOWED_ENV",),
        "Variables that streams and webhooks may send from here, separated by commas.",
        None,
        '"KAFKA_PASSWORD,CHAT_TOKEN"',
        str,
        _variables,
    ),
    SettingKey(
        "allow_private_addresses",
        ("HAMMERWORK_ALLOW_PRIVATE_ADDRESSES",),
        "Whether streams and webhooks may reach addresses from here that are not public.",
        False,
        "true",
        bool,
        bool,
    ),
    SettingKey(
        "allow_insecure",
        ("HAMMERWORK_ALLOW_INSECURE",),
        "Whether streams and webhooks may send from here without TLS, or without a check of the certificate.",
        False,
        "true",
        bool,
        bool,
    ),
)
KEYS = {key.name: key for key in _ALL}


# Profiles: databases with names.

PROFILE_NAME = "[A-Za-z0-9_-]{1,60}"
_PROFILE_KEY = f"profiles\\.({PROFILE_NAME})\\.(url|protected)"
PROFILE_KEYS = {
    "url": SettingKey(
        "url", (), "The database of this profile.", None, '"postgresql://app@db.example.org/jobs"', str, _url
    ),
    "protected": SettingKey(
        "protected", (), "Whether changes of this profile's database ask for its name.", False, "true", bool, bool
    ),
}
"""Keys in the table of a profile."""


def profile_of(text: str) -> str | None:
    """The name of the profile in ``@name``; ``None`` for any other text."""
    text = text.strip()
    if not text.startswith("@"):
        return None
    if not re.fullmatch(PROFILE_NAME, text[1:]):
        raise ConfigError(f"{text[:60]!r} is not a profile.", hint="Write @production: letters, digits, _ and -.")
    return text[1:]


def profile_key(profile: str, field: str) -> SettingKey:
    """The key of a profile's URL or protection."""
    return PROFILE_KEYS[field]._replace(name=f"profiles.{profile}.{field}")


def known(name: str) -> SettingKey:
    """Returns the key with a name, such as ``default_limit`` and ``profiles.production.url``."""
    key = KEYS.get(name.strip().lower().replace("-", "_"))
    if key is None:
        of_profile = re.fullmatch(_PROFILE_KEY, name.strip())
        if of_profile:
            return profile_key(*of_profile.groups())
        from hammerwork_cli.config import elsewhere
        from hammerwork_cli.core.input.near import did_you_mean

        if other := elsewhere.KEYS.get(name.strip().lower()):
            raise UsageError(f"Only hammerwork (Rust) has the setting {name.strip()}.", hint=f"Use: {other}")

        listed = ", ".join((*KEYS, "profiles.NAME.url", "profiles.NAME.protected"))
        hint = f"{did_you_mean(name.lower(), KEYS)} Settings: {listed}.".lstrip()
        raise ConfigError(f"{name[:60]!r} is not a setting.", hint=hint)
    return key
