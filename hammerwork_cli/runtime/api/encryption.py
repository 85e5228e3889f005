"""The keys of encrypted payloads, and where they are read from."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Self

from hammerwork_cli import disk
from hammerwork_cli.core.encryption import DEFAULT_KEY_ID, MAKE, Keys, key_of
from hammerwork_cli.errors import ConfigError, UsageError

_FORMS = "Write env:NAME or @FILE, with an id in front of it: payments=env:NAME."
_KMS = ("aws://", "gcp://", "vault://", "azure://")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class EncryptionKeys(Keys):
    """Keys by their ids; the first one encrypts. They are never shown.

    Args:
        by_id: id -> 32 bytes.

    Raises:
        ConfigError: there is no key, one has another length, or the package ``cryptography`` is missing.
    """

    __slots__ = ()

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Self:
        """Makes keys of their standard base64.

        Args:
            texts: id -> base64 of 32 bytes; hammerwork (Rust) calls a key ``default`` unless it is named.

        Raises:
            ConfigError: one is not the base64 of 32 bytes.
        """
        return cls({name: key_of(text, name) for name, text in texts.items()})

    @classmethod
    def read(cls, *places: str, environ: Mapping[str, str] = os.environ) -> Self:
        """Reads keys, each in standard base64.

        Args:
            places: ``env:NAME`` for a variable or ``@FILE`` for a file, after ``ID=`` unless the id is ``default``.
            environ: the variables.

        Raises:
            ConfigError: there is no such variable or file, or what it holds is not a key; no message shows any part of
                it.
        """
        found: dict[str, bytes] = {}
        for place in places:
            name, source = split(place)
            if name in found:
                raise ConfigError(f"The encryption key {name[:60]!r} was given twice.", hint=_FORMS)
            found[name] = key_of(_text(source, name, environ), name)
        return cls(found)


def places_of(environ: Mapping[str, str]) -> list[str]:
    """The places that the variables of hammerwork (Rust) name, the key that encrypts first.

    Raises:
        ConfigError: a variable has a value that it does not accept.
    """
    word = environ.get("HAMMERWORK_ENCRYPTION_ENABLED", "").strip().lower()
    if word and word not in _WORDS:
        raise ConfigError("HAMMERWORK_ENCRYPTION_ENABLED must be true or false.")
    if word and not _WORDS[word]:
        return []
    source = environ.get("HAMMERWORK_ENCRYPTION_KEY_SOURCE", "").strip()
    if not source and (word or environ.get("HAMMERWORK_ENCRYPTION_KEY")):
        source = "env:HAMMERWORK_ENCRYPTION_KEY"
    name = environ.get("HAMMERWORK_ENCRYPTION_KEY_ID", "").strip() or DEFAULT_KEY_ID
    further = environ.get("HAMMERWORK_ENCRYPTION_DECRYPTION_KEYS", "")
    return [*([f"{name}={source}"] if source else []), *listed(further)]


def listed(text: str) -> Iterable[str]:
    """The places in a list with commas."""
    return filter(None, map(str.strip, text.split(",")))


def split(place: str) -> tuple[str, str]:
    """The id and the source of a key.

    Raises:
        ConfigError: it has neither form. The message does not repeat it: it may be the key itself.
    """
    if place.startswith(("env:", "@")):
        return DEFAULT_KEY_ID, place
    name, _, source = place.partition("=")
    if not name or not source.startswith(("env:", "@", *_KMS)):
        raise ConfigError("Give the place of an encryption key, not the key itself.", hint=_FORMS)
    return name, source


def _text(source: str, name: str, environ: Mapping[str, str]) -> str:
    if source.startswith("@"):
        try:
            return disk.text(source[1:])
        except UsageError as error:
            raise ConfigError(error.message, hint=error.hint) from error
    if not source.startswith("env:"):
        service = source.partition("://")[0]
        raise ConfigError(
            f"The encryption key {name[:60]!r} is kept by {service}, which only hammerwork (Rust) asks.",
            hint="Give the key itself in a variable or a file: env:NAME or @FILE.",
        )
    variable = source.removeprefix("env:").removeprefix("//")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise ConfigError(f"The encryption key {name[:60]!r} names no variable.", hint=_FORMS)
    value = environ.get(variable)
    if not value:
        raise ConfigError(f"The variable {variable[:60]} is not set: it should hold an encryption key.", hint=MAKE)
    return value
