"""Secrets of webhooks: where they are given, how they are stored, and where they are read."""

import os
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping

from hammerwork_cli import disk
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.runtime.delivery.allowed import VARIABLE, is_own

PREFIX = "whsec_"
"""Begins a secret of Standard Webhooks: base64 of the key follows."""
LONGEST = 4096
"""Characters of a secret."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FORMS = "Write env:NAME, @FILE, or - for stdin."


def given(value: str, option: str) -> str:
    """Returns the secret of an option as it is stored.

    ``env:NAME`` stays as it is: :func:`resolved` reads the variable where the secret is used. ``@FILE`` and ``-``
    (stdin) are read now, without the line break at the end. Any other text is the secret itself.

    Raises:
        UsageError: it is empty, too long or unreadable, or holds a control character.
    """
    if value == "-":
        value = disk.line()
    elif value.startswith("@"):
        value = disk.text(value[1:], LONGEST + 2).rstrip("\r\n")
    check(value, option)
    return value


def warning(options: Mapping[str, str | None]) -> str | None:
    """Returns what to say of options that hold a secret itself, as those of the original do; ``None`` without any."""
    plain = [one for one, value in options.items() if value and value != "-" and not value.startswith((VARIABLE, "@"))]
    named = " and ".join(plain)
    return f"Others can read {named} on your command line. {_FORMS}" if named else None


def check(value: str, name: str = "The secret") -> None:
    """Checks a secret as it is stored, but not whether its variable exists.

    Raises:
        UsageError: see :func:`given`; or the variable opens the database.
    """
    if not value:
        raise UsageError(f"{name} is empty.", hint=_FORMS)
    if value.startswith(VARIABLE):
        variable = value.removeprefix(VARIABLE)
        if not _NAME.fullmatch(variable):
            raise UsageError(f"{name} names no variable after env:.", hint="Write env:NAME.")
        if is_own(variable):
            raise UsageError(f"{name} names {variable}, which opens the database or hammerwork, and is not sent.")
    elif problem := _problem(value):
        raise UsageError(f"{name} {problem}.")


def resolved(value: str) -> str:
    """Returns a secret itself: the content of the variable if it is ``env:NAME``.

    Raises:
        ConfigError: the variable is missing or empty, too long, or holds a control character.
    """
    if not value.startswith(VARIABLE):
        return value
    name = value.removeprefix(VARIABLE)
    found = os.environ.get(name, "").rstrip("\r\n")  # one that came from a file ends with a line break
    problem = _problem(found) if found else "is not set"
    if problem:
        raise ConfigError(
            f"The variable {name:.100} {problem}.",
            hint="Set it for this program, and for workers that deliver webhooks.",
        )
    return found


def _problem(text: str) -> str | None:
    if len(text) > LONGEST:
        return f"has more than {LONGEST:,} characters"
    return "holds a control character, such as a line break" if _CONTROL.search(text) else None


def new_secret() -> str:
    """Returns a new secret of Standard Webhooks, with a key of 32 random bytes."""
    return PREFIX + b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Returns the key of Standard Webhooks: what ``whsec_`` encodes, or the bytes of any other text.

    Raises:
        UsageError: what follows ``whsec_`` is not base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise UsageError(
            f"The secret begins with {PREFIX}, but what follows is not base64.",
            hint="Copy all of it, with the = at its end.",
        )
    return key
