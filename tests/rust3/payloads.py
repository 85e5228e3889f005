"""Version 3 and its payloads: how it encrypts and decrypts them. Section 5, "Encryption at rest".

Our own modules are not used: what they make has to be decrypted by this one, and the other way round.
"""

import gzip
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CIPHERS: dict[str, Any] = {"AES256GCM": AESGCM, "ChaCha20Poly1305": ChaCha20Poly1305}
PLACEHOLDER = {"encrypted": True}
HIDDEN = "[ENCRYPTED]"


def _measured(*items: bytes) -> bytes:
    """Each item after its length as an unsigned 64-bit number, the highest byte first."""
    return b"".join(len(item).to_bytes(8, "big") + item for item in items)


def associated_data(
    job: str, queue: str, key_id: str, algorithm: str, pii_fields: Sequence[str], encrypted_fields: Sequence[str]
) -> bytes:
    """Associated data of format 1."""
    data = _measured(b"hammerwork/job-payload/v1", UUID(job).bytes, queue.encode(), key_id.encode(), algorithm.encode())
    for names in (pii_fields, encrypted_fields):
        data += len(names).to_bytes(8, "big") + _measured(*(name.encode() for name in names))
    return data


def _at(payload: Any, path: str) -> tuple[dict[str, Any], str] | None:
    """A literal key wins over a dotted path."""
    if path in payload:
        return payload, path
    *steps, last = path.split(".")
    for step in steps:
        payload = payload.get(step) if isinstance(payload, dict) else None
    return (payload, last) if isinstance(payload, dict) and last in payload else None


def encrypted(
    payload: Any,
    *,
    job: str,
    queue: str,
    key: bytes,
    key_id: str = "default",
    algorithm: str = "AES256GCM",
    format_version: int | None = 1,
    pii_fields: Sequence[str] = (),
    compressed: bool = False,
) -> dict[str, Any]:
    """The columns of an encrypted job, the placeholder among them.

    Args:
        payload: any JSON value.
        job: its id.
        queue: its queue.
        key: 32 bytes.
        key_id: of the key.
        algorithm: as the column spells it.
        format_version: 1 is bound to the job; ``None`` leaves the version out, as 1.15.5 did.
        pii_fields: paths of the fields to encrypt; without any, the whole payload.
        compressed: whether the plaintext is gzipped.
    """
    stored, plain, found = PLACEHOLDER, payload, []
    if format_version is None:  # 1.15.5 encrypts everything, whatever it is told of fields
        found = list(pii_fields)
    elif pii_fields:
        stored, plain = json.loads(json.dumps(payload)), []
        for path in pii_fields:
            place = _at(stored, path)
            if place is not None and path not in found:
                plain.append([path, place[0][place[1]]])
                place[0][place[1]] = HIDDEN
                found.append(path)
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()
    data = gzip.compress(text) if compressed else text
    nonce = os.urandom(12)
    bound = associated_data(job, queue, key_id, algorithm, pii_fields, found) if format_version else None
    sealed = CIPHERS[algorithm](key).encrypt(nonce, data, bound)
    keyed = f"hmac-sha256:{hmac.new(key, text, hashlib.sha256).hexdigest()}"
    metadata = {"algorithm": algorithm, "key_id": key_id, "config_version": 1, "compressed": compressed}
    metadata["encrypted_fields"] = found
    if format_version is not None:
        metadata["format_version"] = format_version
    return {
        "payload": json.dumps(stored),
        "is_encrypted": True,
        "encryption_key_id": key_id,
        "encryption_algorithm": algorithm,
        "encrypted_payload": sealed[:-16],
        "encryption_nonce": nonce,
        "encryption_tag": sealed[-16:],
        "encryption_metadata": json.dumps(metadata),
        "payload_hash": keyed if format_version is not None else hashlib.sha256(text).hexdigest(),
        "pii_fields": list(pii_fields),
    }


def decrypted(row: dict[str, Any], key: bytes) -> Any:
    """What a worker of version 3 hands to its handler.

    Args:
        row: the columns of a job, by name.
        key: the one with the id of the metadata.

    Raises:
        InvalidTag: the key does not fit, or the row was changed.
        ValueError: the hash does not fit.
    """
    metadata, pii = json.loads(row["encryption_metadata"]), _list(row["pii_fields"])
    bound = None
    if metadata.get("format_version"):
        bound = associated_data(
            str(row["id"]),
            row["queue_name"],
            metadata["key_id"],
            row["encryption_algorithm"],
            pii,
            metadata["encrypted_fields"],
        )
    cipher = CIPHERS[row["encryption_algorithm"]](key)
    data = cipher.decrypt(
        bytes(row["encryption_nonce"]), bytes(row["encrypted_payload"]) + bytes(row["encryption_tag"]), bound
    )
    text = gzip.decompress(data) if metadata["compressed"] else data
    if row["payload_hash"] != f"hmac-sha256:{hmac.new(key, text, hashlib.sha256).hexdigest()}":
        raise ValueError("the hash does not fit")
    if not pii:
        return json.loads(text)
    payload = json.loads(row["payload"])
    for path, value in reversed(json.loads(text)):
        place = _at(payload, path)
        assert place is not None
        place[0][place[1]] = value
    return payload


def _list(stored: Any) -> list[str]:
    return json.loads(stored) if isinstance(stored, str) else list(stored or ())
