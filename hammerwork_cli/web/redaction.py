"""What ``--redact`` hides: payloads, results, what spawn configurations carry along, and errors, which quote them."""

import json
from typing import Any

from hammerwork_cli.models import SpawnConfig, TreeNode

HIDDEN = "[redacted]"
_HIDDEN_KEYS = frozenset({"payload", "result", "error", "hook_error"})
_HARMLESS = frozenset(SpawnConfig.__dataclass_fields__) - {"metadata", "extra"}


def hidden(value: Any) -> Any:
    """A JSON value without what was in payloads, at any depth."""
    if isinstance(value, dict):
        return {key: _member(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [hidden(member) for member in value]
    return value


def _member(key: str, value: Any) -> Any:
    if key in _HIDDEN_KEYS and value is not None:
        return HIDDEN
    if key == "spawn_config" and isinstance(value, dict):
        return {name: field for name, field in value.items() if name in _HARMLESS}
    return hidden(value)


def node(found: TreeNode) -> TreeNode:
    """A job of a tree, the same way."""
    config = found.spawn_config
    if found.stored_config is not None:
        found = found._replace(stored_config=json.dumps(_member("spawn_config", config)))
    return found if found.error is None else found._replace(error=HIDDEN)


def without_config(found: TreeNode) -> TreeNode:
    """A job of a tree, of whose spawn configuration only the operation's id is left."""
    if found.stored_config is None:
        return found
    operation = found.operation_id
    return found._replace(stored_config=json.dumps({} if operation is None else {"operation_id": operation}))
