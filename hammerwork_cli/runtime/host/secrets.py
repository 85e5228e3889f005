"""Masks the passwords and keys of this process's workers in their log and in the errors that they write.

A handler's own error may contain the database's URL: an error of SQLAlchemy, say, or one about a variable.
"""

import json
import os
import re
import threading
from base64 import b64encode, urlsafe_b64encode

from hammerwork_cli.core.values import MASK
from hammerwork_cli.database import DatabaseUrl

SHORTEST = 4
"""The least characters of a masked password: too many words contain a shorter one."""

_writing = threading.Lock()
# Whoever starts a worker writes these under the lock; any thread reads the pattern, which is replaced as a whole.
_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None


def keep(url: DatabaseUrl) -> None:
    """Masks the password of a URL, and its keys, from now on."""
    global _pattern
    found = {url.password, url.options.get("password")}
    keys: set[str] = set()
    if url.dialect == "postgresql":
        found.add(os.environ.get("PGPASSWORD"))
    if url.keys is not None:
        for key in url.keys.by_id.values():
            found.update(
                (b64encode(key).decode(), b64encode(key).decode().rstrip("="), urlsafe_b64encode(key).decode())
            )
            keys |= {_bytes(key), f"(?i:{key.hex()})", re.escape(str([*key])[1:-1])}
    with _writing:
        _forms.update(keys)
        for password in found:
            if password and len(password) >= SHORTEST:
                # As Python shows a text, as JSON has it, and alone or in URLs with any characters encoded.
                _forms.update(map(re.escape, (repr(password)[1:-1], json.dumps(password)[1:-1])))
                _forms.add("".join(map(_character, password)))
        if _forms:
            # The longest first: one may contain another.
            _pattern = re.compile("|".join(sorted(_forms, key=len, reverse=True)))


def _character(character: str) -> str:
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    return f"(?:{re.escape(character)}|(?i:{encoded}){'|[+]' if character == ' ' else ''})"


def _bytes(key: bytes) -> str:
    """The pattern of what Python shows of bytes with the key in them, which quotes as the other bytes need it."""
    return "".join("\\\\?'" if byte == ord("'") else re.escape(repr(bytes([byte]))[2:-1]) for byte in key)


def masked(text: str) -> str:
    """The text without the passwords."""
    return text if _pattern is None else _pattern.sub(MASK, text)
