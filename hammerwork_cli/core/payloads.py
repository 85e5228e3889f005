"""Payloads: their spawn configuration, and their packed form in the archive."""

import json
import zlib
from datetime import datetime
from typing import Any

from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.core.input.spawn_config import STORED_KEYS, SpawnConfig
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.errors import UsageError

UNPACKED_LIMIT = 1 << 26
CONFIG_KEY, SCHEDULE_KEY = "_spawn_config", "_schedule"
"""The keys of a payload for its spawn configuration, and for the due time of a schedule that its job is for."""
OWN_KEYS = frozenset({CONFIG_KEY, SCHEDULE_KEY})
"""What hammerwork keeps in payloads."""


def refuse_config(payload: Any) -> None:
    """Refuses a payload with a spawn configuration: the child that gets a copy of it would spawn as its parent does."""
    if isinstance(payload, dict) and CONFIG_KEY in payload:
        raise UsageError(
            f"The payload of a Job cannot have the key {CONFIG_KEY!r}: use with_spawn_handler or with_spawn_config."
        )


def without_own_keys(payload: Any) -> Any:
    """A stored payload as its author wrote it."""
    if isinstance(payload, dict) and (CONFIG_KEY in payload or SCHEDULE_KEY in payload):
        return {key: value for key, value in payload.items() if key not in OWN_KEYS}
    return payload


def due_time(payload: Any) -> datetime | None:
    """The due time of a schedule that a payload names; ``None`` without one."""
    named = payload.get(SCHEDULE_KEY) if isinstance(payload, dict) else None
    text = named.get("due_at") if isinstance(named, dict) else None
    try:
        return timestamp(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except ValueError:
        return None  # somebody else has written it


def with_spawn_config(payload: Any, *layers: Any) -> Any:
    """Merges layers of spawn configuration into the payload's ``_spawn_config``; later layers win.

    The defaults complete the configuration, because Rust workers ignore one that lacks a key. Returns the same payload
    if there is no spawn configuration at all.

    Args:
        payload: a JSON value, which may have a ``_spawn_config`` already.
    """
    own = payload.get("_spawn_config") if isinstance(payload, dict) else None
    if not layers and own is None:
        return payload
    if not isinstance(payload, dict):
        raise UsageError("Only a job whose payload is a JSON object can carry a spawn configuration.")
    wanted: dict[str, Any] = {}
    for layer in (own, *layers):
        if layer is not None and not isinstance(layer, dict):
            raise UsageError("A spawn configuration must be a JSON object.")
        if layer is not own:
            check_names(layer)
        wanted |= layer or {}
    return payload | {"_spawn_config": _complete(wanted)}


def check_names(config: Any) -> None:
    """Refuses a misspelt setting, without which a job could spawn more than it should. Others may know other ones."""
    if not isinstance(config, dict | None):
        raise UsageError(f"_spawn_config must be a JSON object, not {config!r:.60}.")
    for key in config if isinstance(config, dict) else ():
        if key in STORED_KEYS or not isinstance(key, str):
            continue
        longer = [known for known in STORED_KEYS if known.startswith(key)]
        near = f"Did you mean {longer[0]}?" if len(longer) == 1 else did_you_mean(key, STORED_KEYS, cutoff=0.8)
        if near:
            raise UsageError(f"A spawn configuration has no {key!r:.60}. {near}")


def same_json(one: str | None, other: str, *, but: str | None = None) -> bool:
    """Whether two JSON texts have the same value, but for a key if it is an object."""
    if one is None:
        return False
    try:
        same: bool = _without(but, json.loads(one)) == _without(but, json.loads(other))
    except (ValueError, RecursionError):
        return one == other
    return same


def _without(key: str | None, value: object) -> object:
    return {name: one for name, one in value.items() if name != key} if isinstance(value, dict) else value


def unpacked(stored: Any, limit: int = UNPACKED_LIMIT) -> str | None:
    """Returns the JSON text of an archived payload, which may be gzipped; ``None`` if it is unreadable.

    Args:
        limit: most bytes to unpack; longer text is cut, so that a small row cannot fill the memory.
    """
    packed = stored.encode() if isinstance(stored, str) else bytes(stored)
    try:
        if packed[:2] == b"\x1f\x8b":
            packed = zlib.decompressobj(wbits=31).decompress(packed, limit)
        return packed.decode()
    except (ValueError, zlib.error):
        return None


def _complete(wanted: dict[str, Any]) -> dict[str, Any]:
    read = SpawnConfig._parse(SpawnConfig()._stored() | wanted)
    assert read is not None
    for key, value in wanted.items():
        if key in STORED_KEYS and read._field(key) != value:
            raise UsageError(f"The spawn configuration's {key} cannot be {json.dumps(value)[:40]}.")
    return read._stored()
