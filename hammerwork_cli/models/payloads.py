"""Payloads: packed in the archive, and with what their job spawns."""

import json
import zlib
from typing import Any

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models.spawn_config import STORED_KEYS, SpawnConfig

UNPACKED_LIMIT = 1 << 26


def with_spawn_config(payload: Any, *layers: Any) -> Any:
    """A payload with all layers of spawn configuration in its ``_spawn_config``, the later ones on top.

    It is completed with the defaults, since Rust workers ignore one that lacks a key.

    Args:
        payload: a JSON value, which may carry ``_spawn_config`` itself.
        layers: JSON objects.

    Returns:
        The payload itself where there is no spawn configuration at all.

    Raises:
        UsageError: the payload or a layer is no object, or a value in a layer cannot be.
    """
    own = payload.get("_spawn_config") if isinstance(payload, dict) else None
    if not layers and own is None:
        return payload
    if not isinstance(payload, dict):
        raise UsageError("Only a job whose payload is a JSON object can spawn.")
    wanted: dict[str, Any] = {}
    for layer in (own, *layers):
        if layer is not None and not isinstance(layer, dict):
            raise UsageError("A spawn configuration is a JSON object.")
        wanted |= layer or {}
    return payload | {"_spawn_config": _complete(wanted)}


def unpacked(stored: Any, limit: int = UNPACKED_LIMIT) -> str | None:
    """The JSON text of an archived payload, which may be gzipped; ``None`` when it cannot be read.

    Args:
        stored: bytes or text.
        limit: bytes to unpack at most; what is longer is cut.
    """
    packed = stored.encode() if isinstance(stored, str) else bytes(stored)
    try:
        if packed[:2] == b"\x1f\x8b":
            packed = zlib.decompressobj(wbits=31).decompress(packed, limit)
        return packed.decode()
    except (ValueError, zlib.error):
        return None


def _complete(wanted: dict[str, Any]) -> dict[str, Any]:
    read = SpawnConfig.parse(SpawnConfig().stored() | wanted)
    assert read is not None
    for key, value in wanted.items():
        if key in STORED_KEYS and getattr(read, key) != value:
            raise UsageError(f"The spawn configuration's {key} cannot be {json.dumps(value)[:40]}.")
    return read.stored()
