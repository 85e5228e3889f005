"""Encrypted payloads, in the form of hammerwork (Rust): what a row holds of one, and the keys that open and make it.

A row holds a placeholder as its payload, and the ciphertext in columns of its own (migration 011). In format 1 the
ciphertext is bound to the id and the queue of its job: in another row, nobody can decrypt it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from os import urandom
from typing import Any, NamedTuple, Self

from hammerwork_cli.core.values import rfc3339, timestamp
from hammerwork_cli.errors import ConfigError, HammerworkError, UsageError

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
DEFAULT_KEY_ID = "default"
"""The id of a key that nobody has named; hammerwork (Rust) has the same."""
LONGEST_KEY_ID = 255
CONTEXT = b"hammerwork/job-payload/v1"
UNBOUND, BOUND = 0, 1
"""Formats: without associated data, as older versions wrote it, and bound to the job."""
PLACEHOLDER = '{"encrypted": true}'
HIDDEN_VALUE = "[ENCRYPTED]"
_HASH = "hmac-sha256:"


class Algorithm(StrEnum):
    """How payloads are encrypted, as the column spells it."""

    AES256GCM = "AES256GCM"
    CHACHA20POLY1305 = "ChaCha20Poly1305"


class UndecryptableError(HammerworkError):
    """A payload is encrypted, and cannot be decrypted here. The message has no part of it."""

    code = "undecryptable"


class Sealed(NamedTuple):
    """An encrypted payload as its row holds it."""

    payload: str  # the placeholder, or the payload with placeholders for some fields; JSON text
    key_id: str | None
    algorithm: str | None
    ciphertext: bytes
    nonce: bytes
    tag: bytes
    metadata: Any  # JSON, as text or parsed
    payload_hash: str | None
    pii_fields: Any  # paths of the fields that are encrypted; without any, the whole payload is
    retention_policy: str | None
    retention_delete_at: Any

    @property
    def is_bound(self) -> bool:
        """Whether it can be decrypted with the id and the queue of its job alone."""
        return (_metadata(self).get("format_version") or UNBOUND) != UNBOUND

    @property
    def encryption(self) -> "Encryption":
        """How another job with the payload is to be encrypted. How long this one is kept is not passed on.

        Of the fields, those that the payload has: hammerwork (Rust) passes over others, which are refused here. If it
        has none of them, all of it is encrypted.
        """
        fields = _metadata(self).get("encrypted_fields")
        named = _pii(self)
        algorithm = Algorithm.CHACHA20POLY1305 if self.algorithm == Algorithm.CHACHA20POLY1305 else Algorithm.AES256GCM
        found = tuple(field for field in named if field in fields) if isinstance(fields, list) else named
        return Encryption(algorithm, pii_fields=found)

    @property
    def size(self) -> int:
        """Bytes of the payload, roughly."""
        return len(self.payload) + len(self.ciphertext)

    def __str__(self) -> str:
        return f"key {str(self.key_id)[:LONGEST_KEY_ID]!r}, {str(self.algorithm)[:50]}"


class EncryptedText:
    """In place of the payload of a claimed job until it is decrypted: nothing takes it for the payload."""

    __slots__ = ("sealed",)

    def __init__(self, sealed: Sealed) -> None:
        self.sealed = sealed

    def __len__(self) -> int:
        return self.sealed.size


class RetentionPolicy(StrEnum):
    """How long an encrypted job is kept after its end, as the column spells it."""

    DELETE_AFTER = "DeleteAfter"
    DELETE_AT = "DeleteAt"
    DELETE_IMMEDIATELY = "DeleteImmediately"
    KEEP = "KeepIndefinitely"
    DEFAULT = "UseDefault"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How the payload of a job is to be encrypted."""

    algorithm: Algorithm = Algorithm.AES256GCM  # `Algorithm`
    key_id: str | None = None  # of the key; `None` for the first one
    # Paths of the only fields to encrypt, such as `customer.email`; without any, the whole payload.
    pii_fields: tuple[str, ...] = ()
    policy: RetentionPolicy = RetentionPolicy.DEFAULT  # what decides when the job is deleted
    keep: timedelta | datetime | None = None  # a time since the enqueue, or an instant, as the policy needs it

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "algorithm", Algorithm(self.algorithm))
        except ValueError:
            names = " or ".join(Algorithm)
            raise UsageError(f"{self.algorithm!r:.60} is not an encryption algorithm.", hint=f"Give {names}.") from None

    def check(self, payload: str) -> None:
        """Checks whether a payload has the fields."""
        if self.pii_fields:
            _hidden(payload, self.pii_fields)

    def delete_at(self, now: datetime) -> datetime | None:
        """The time after which the job is deleted once it has ended; ``None`` for never."""
        if isinstance(self.keep, timedelta):
            return now + self.keep
        return now if self.policy is RetentionPolicy.DELETE_IMMEDIATELY else self.keep


def retention_of(given: object) -> tuple[RetentionPolicy, timedelta | datetime | None]:
    """A policy of retention, and the time that it needs.

    Args:
        given: a time since the enqueue, an instant, or a word.
    """
    if isinstance(given, timedelta) and given >= timedelta():
        return RetentionPolicy.DELETE_AFTER, given
    if isinstance(given, datetime):
        return RetentionPolicy.DELETE_AT, timestamp(given)
    if isinstance(given, str) and given in (
        RetentionPolicy.DELETE_IMMEDIATELY,
        RetentionPolicy.KEEP,
        RetentionPolicy.DEFAULT,
    ):
        return RetentionPolicy(given), None
    raise UsageError(
        f"{given!r:.60} is not a retention policy.",
        hint="Give a timedelta, a datetime, 'DeleteImmediately' or 'KeepIndefinitely'.",
    )


class EncryptedColumns(NamedTuple):
    """The columns of an encrypted job, in the order in which they are written."""

    is_encrypted: bool
    encryption_key_id: str
    encryption_algorithm: str
    encrypted_payload: bytes
    encryption_nonce: bytes
    encryption_tag: bytes
    encryption_metadata: str
    payload_hash: str
    pii_fields: tuple[str, ...]
    retention_policy: str
    retention_delete_at: datetime | None
    encrypted_at: datetime


SEALED_COLUMNS = (
    "encryption_key_id",
    "encryption_algorithm",
    "encrypted_payload",
    "encryption_nonce",
    "encryption_tag",
    "encryption_metadata",
    "payload_hash",
    "pii_fields",
    "retention_policy",
    "retention_delete_at",
)
"""The columns of :class:`Sealed` after the payload, in order."""
NOT_ENCRYPTED = (False, *(None,) * (len(EncryptedColumns._fields) - 1))
"""The columns of other jobs."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys by their ids; the first one encrypts. They are shown nowhere.

    Args:
        by_id: id -> 32 bytes.
    """

    by_id: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.by_id:
            raise ConfigError("No encryption key was given.")
        for name, key in self.by_id.items():
            if not 0 < len(name) <= LONGEST_KEY_ID:
                raise ConfigError(f"The id of an encryption key must have 1 to {LONGEST_KEY_ID} characters.")
            if not isinstance(key, bytes) or len(key) != KEY_BYTES:
                raise ConfigError(f"The encryption key {name[:60]!r} must have {KEY_BYTES} bytes.", hint=MAKE)
        _cipher(Algorithm.AES256GCM)  # without the library, the first job would say so

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.by_id)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids; the first one encrypts."""
        return tuple(self.by_id)

    def _opened(self, sealed: Sealed, job: str, queue: str) -> str:
        """Decrypts the payload of a job.

        Returns JSON text.
        """
        metadata = _metadata(sealed)
        key_id = str(metadata.get("key_id") or sealed.key_id or "")
        key = self.by_id.get(key_id)
        if key is None:
            raise UndecryptableError(
                f"The payload is encrypted ({sealed}), and there is no key with this id here: {', '.join(self.ids)}.",
                hint=f"Add it: --encryption-key {key_id[:60]}=env:NAME",
            )
        version, fields, pii = metadata.get("format_version") or UNBOUND, metadata.get("encrypted_fields"), _pii(sealed)
        if version not in (UNBOUND, BOUND):
            raise UndecryptableError(
                f"The payload is encrypted ({sealed}) in format {str(version)[:20]}, which this version does not know."
            )
        named = tuple(map(str, fields)) if isinstance(fields, list) else pii
        try:
            bound = associated(job, queue, key_id, str(sealed.algorithm), pii, named) if version == BOUND else None
            plain = self._decrypted(sealed, key, bound)
        except (TypeError, ValueError):
            raise UndecryptableError(f"The payload cannot be decrypted ({sealed}): a column is malformed.") from None
        if metadata.get("compressed"):
            plain = _unpacked(plain, sealed)
        if not _is_hash(sealed.payload_hash, plain, key):
            raise UndecryptableError(f"The decrypted payload ({sealed}) does not match its hash: the row was changed.")
        # Rust 1.15.5 names the fields, but encrypts the whole payload.
        is_whole = not pii or (version == UNBOUND and not isinstance(_parsed(plain), list))
        return _text(plain, sealed) if is_whole else _restored(sealed, plain)

    def _decrypted(self, sealed: Sealed, key: bytes, bound: bytes | None) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            cipher = _cipher(Algorithm(sealed.algorithm or ""))(key)
            found: bytes = cipher.decrypt(bytes(sealed.nonce), bytes(sealed.ciphertext) + bytes(sealed.tag), bound)
        except InvalidTag:
            raise UndecryptableError(
                f"The payload cannot be decrypted ({sealed}): the key is another one with the same id, or the id, the"
                " queue or a column of the job was changed."
            ) from None
        return found

    def _sealed(
        self, payload: str, job: str, queue: str, how: Encryption, now: datetime
    ) -> tuple[str, EncryptedColumns]:
        """Encrypts the payload of a job.

        Returns the placeholder for the column of the payload, and the other columns.
        """
        key_id = how.key_id or self.ids[0]
        key = self.by_id.get(key_id)
        if key is None:
            raise UsageError(f"There is no encryption key {key_id[:60]!r}, only: {', '.join(self.ids)}.")
        stored, plain = PLACEHOLDER, payload.encode()
        fields: tuple[str, ...] = ()
        if how.pii_fields:
            stored, plain, fields = _hidden(payload, how.pii_fields)
        bound = associated(job, queue, key_id, how.algorithm, how.pii_fields, fields)
        nonce = urandom(NONCE_BYTES)
        made: bytes = _cipher(how.algorithm)(key).encrypt(nonce, plain, bound)
        digest = _HASH + hmac.new(key, plain, hashlib.sha256).hexdigest()
        delete_at = how.delete_at(now)
        metadata = {
            "algorithm": how.algorithm.value,
            "key_id": key_id,
            "config_version": 1,
            "compressed": False,
            "encrypted_fields": list(fields),
            "retention_policy": _rust_policy(how),
            "encrypted_at": rfc3339(now),
            "delete_at": rfc3339(delete_at),
            "payload_hash": digest,
            "format_version": BOUND,
        }
        return stored, EncryptedColumns(
            True,
            key_id,
            how.algorithm.value,
            made[:-TAG_BYTES],
            nonce,
            made[-TAG_BYTES:],
            json.dumps(metadata, ensure_ascii=True),
            digest,
            how.pii_fields,
            how.policy.value,
            delete_at,
            now,
        )

    def _including(self, others: "Keys | None") -> Self:
        """These keys, then the others."""
        return self if others is None else replace(self, by_id={**others.by_id, **self.by_id})


MAKE = "Make one: openssl rand -base64 32"


def key_of(text: str, name: str) -> bytes:
    """A key from its standard base64."""
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The encryption key {name[:60]!r} is not the base64 of {KEY_BYTES} bytes.", hint=MAKE)
    return key


def associated(
    job: str, queue: str, key_id: str, algorithm: str, pii_fields: Sequence[str], encrypted: Sequence[str]
) -> bytes:
    """The associated data that binds a ciphertext to its job: each item after its length."""
    items = (CONTEXT, bytes.fromhex(job.replace("-", "")), queue.encode(), key_id.encode(), algorithm.encode())
    lists = (part for names in (pii_fields, encrypted) for part in _listed(names))
    return b"".join((*(_measured(item) for item in items), *lists))


def _listed(names: Sequence[str]) -> Iterator[bytes]:
    yield len(names).to_bytes(8, "big")
    yield from (_measured(name.encode()) for name in names)


def _measured(item: bytes) -> bytes:
    return len(item).to_bytes(8, "big") + item


def _cipher(algorithm: Algorithm) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers import aead
    except ImportError as error:
        raise ConfigError(
            "Encrypted payloads need the package cryptography.",
            hint='Install: pip install "hammerwork-cli[encryption]"',
        ) from error
    return aead.AESGCM if algorithm is Algorithm.AES256GCM else aead.ChaCha20Poly1305


def _metadata(sealed: Sealed) -> dict[str, Any]:
    found = _parsed(sealed.metadata)
    return found if isinstance(found, dict) else {}


def _pii(sealed: Sealed) -> tuple[str, ...]:
    found = _parsed(sealed.pii_fields)
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


def _parsed(stored: Any) -> Any:
    try:
        return json.loads(stored) if isinstance(stored, str | bytes) else stored
    except (ValueError, RecursionError):
        return None


def _unpacked(packed: bytes, sealed: Sealed) -> bytes:
    try:
        return zlib.decompress(packed, wbits=31)
    except zlib.error:
        raise UndecryptableError(f"The decrypted payload ({sealed}) cannot be unpacked.") from None


def _is_hash(stored: str | None, plain: bytes, key: bytes) -> bool:
    """Whether a stored hash is that of a payload; older versions wrote one without the key, and some rows have none."""
    if not stored:
        return True
    keyed = stored.startswith(_HASH)
    known = hmac.new(key, plain, hashlib.sha256) if keyed else hashlib.sha256(plain)
    return hmac.compare_digest(stored.removeprefix(_HASH).encode(), known.hexdigest().encode())


def _text(plain: bytes, sealed: Sealed) -> str:
    try:
        text = plain.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        raise UndecryptableError(f"The decrypted payload ({sealed}) is not JSON.") from None
    return text


# Some fields of a payload.


def _hidden(payload: str, paths: Sequence[str]) -> tuple[str, bytes, tuple[str, ...]]:
    """The payload with placeholders, the plaintext of what was taken out, and the paths."""
    whole, left = json.loads(payload), json.loads(payload)
    if not isinstance(left, dict):
        raise UsageError("Only a payload that is a JSON object has fields to encrypt.")
    taken: list[tuple[str, Any]] = []
    for path in dict.fromkeys(paths):
        place = _place(left, path)
        if place is None and _place(whole, path) is not None:
            continue  # it is in another one, which is hidden already
        if place is None:
            raise UsageError(
                f"The payload has no field {path[:120]!r} to encrypt: nothing was written.",
                hint="Fields inside others are written with dots: customer.email. Fields of a list have no path.",
            )
        around, name = place
        taken.append((path, around[name]))
        around[name] = HIDDEN_VALUE
    return _dumped(left), json.dumps(taken).encode(), tuple(path for path, _ in taken)


def _restored(sealed: Sealed, plain: bytes) -> str:
    whole, taken = _parsed(sealed.payload), _parsed(plain)
    try:
        # In reverse: a field may be inside one that was taken out after it.
        for path, value in reversed(taken):
            place = _place(whole, path)
            if place is None:
                raise UndecryptableError(f"The payload ({sealed}) lacks an encrypted field: the row was changed.")
            around, name = place
            around[name] = value
    except (TypeError, ValueError):
        raise UndecryptableError(f"The decrypted fields ({sealed}) are malformed.") from None
    return _dumped(whole)


def _place(value: Any, path: str) -> tuple[dict[str, Any], str] | None:
    """The object that has the value at a path, and its name there; a key with dots in it comes before a path."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value, path
    *above, name = path.split(".")
    for step in above:
        value = value.get(step)
        if not isinstance(value, dict):
            return None
    return (value, name) if name in value else None


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _rust_policy(how: Encryption) -> object:
    if isinstance(how.keep, timedelta):
        return {how.policy.value: {"secs": int(how.keep.total_seconds()), "nanos": how.keep.microseconds * 1000}}
    return {how.policy.value: rfc3339(timestamp(how.keep))} if how.keep is not None else how.policy.value
