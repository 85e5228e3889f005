"""Trees as JSON: one document, or a line for each job."""

import json
from collections.abc import Iterator
from itertools import islice
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from hammerwork_cli.models import (
    SpawnTree,
    TreeNode,
    id_list,
    priority_word,
    rfc3339,
    status_of,
)
from hammerwork_cli.render.formats.json import SCHEMA_VERSION, Record, document, instant

_NODES_A_CHUNK = 500


_NO_WORKFLOW = '"workflow_id":null,"workflow_name":null,"archived_at":null}'


def tree_document(tree: SpawnTree) -> Iterator[str]:
    """Yields the chunks of one JSON document, with a line end at its end.

    Keys: ``schema_version``, ``roots``, ``target``, ``truncated``, ``nodes`` (see :func:`node_record`), ``edges``
    (``from``, ``to``, ``type``: ``spawn`` if the parent has a spawn configuration or a recorded spawn, else
    ``dependency``). Parents come before their children. Every dependency within the tree has an edge, and the edges of
    a parent stand together.
    """
    yield (
        f'{{"schema_version":{SCHEMA_VERSION},"roots":{document(tree.roots)},"target":{quoted(tree.target)},'
        f'"truncated":{document(tree.truncated)},"nodes":['
    )
    yield from _separated(tree_lines(tree))
    yield '],\n"edges":['
    yield from _separated(_edges(tree))
    yield "]}\n"


def _separated(members: Iterator[str]) -> Iterator[str]:
    start = "\n"
    while chunk := list(islice(members, _NODES_A_CHUNK)):
        yield start + ",\n".join(chunk)
        start = ",\n"


def tree_lines(tree: SpawnTree) -> Iterator[str]:
    """Yields the jobs of a tree, parents first, as one compact document each (see :func:`node_record`)."""
    statuses = _Cache(lambda stored: quoted(status_of(stored)))
    priorities = _Cache(lambda stored: quoted(priority_word(stored)))
    texts = _Cache(lambda stored: "null" if stored is None else quoted(stored))
    configs = _Cache(_config_keys)
    parent_lists = _Cache(_id_array)
    depths, children, exact = tree.depths, tree.children, tree.child_counts
    for node in tree.nodes.values():
        (
            job,
            queue,
            status,
            priority,
            _attempts,
            parents,
            created,
            started,
            completed,
            failed,
            error,
            config,
            workflow,
            workflow_name,
            archived,
        ) = node
        below = exact[job].total if job in exact else len(children.get(job, ()))
        above = _id_array(parents) if isinstance(parents, list) else parent_lists[parents]
        rest = _NO_WORKFLOW
        if workflow is not None or workflow_name is not None or archived is not None:
            rest = (
                f'"workflow_id":{texts[workflow]},"workflow_name":{texts[workflow_name]},'
                f'"archived_at":{instant(archived)}}}'
            )
        yield (
            f'{{"id":{quoted(job)},"queue":{texts[queue]},"status":{statuses[status]},'
            f'"priority":{priorities[priority]},"depth":{depths[job]},"depends_on":{above},'
            f'"children":{below},{configs[config]},"created_at":{instant(created)},'
            f'"started_at":{"null" if started is None else instant(started)},'
            f'"completed_at":{"null" if completed is None else instant(completed)},'
            f'"failed_at":{"null" if failed is None else instant(failed)},'
            f'"error":{"null" if error is None else quoted(error)},{rest}'
        )


def _edges(tree: SpawnTree) -> Iterator[str]:
    for parent, children in tree.children.items():
        kind = "spawn" if tree.spawns(parent) else "dependency"
        start, end = f'{{"from":{quoted(parent)},"to":', f',"type":"{kind}"}}'
        for job in children:
            yield f"{start}{quoted(job)}{end}"


class _Cache(dict[Any, str]):
    """JSON text by value, for the few queues, statuses and configurations that many jobs share."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> str:
        if len(self) >= 1000:
            self.clear()
        text: str = self._make(key)
        self[key] = text
        return text


def _config_keys(stored: str | None) -> str:
    if stored is None:
        return '"has_spawn_config":false,"spawn_config":null,"operation_id":null'
    bare = TreeNode("", "", "", 2, 0, None, None, None, None, None, None, stored, None, None, None)
    config = bare.spawn_config  # each access parses it: use it once, and not node.operation_id
    operation = config.get("operation_id") if config else None
    return (
        f'"has_spawn_config":true,"spawn_config":{document(config)},'
        f'"operation_id":{quoted(operation) if isinstance(operation, str) else "null"}'
    )


def _id_array(stored: object) -> str:
    if not stored:
        return "[]"
    if isinstance(stored, str) and stored[0] == "{" and "," not in stored:
        return f"[{quoted(stored[1:-1])}]" if len(stored) > 2 else "[]"
    return f"[{','.join(map(quoted, id_list(stored)))}]"


def node_record(node: TreeNode, tree: SpawnTree | None = None) -> Record:
    """A job, with or without its tree.

    Keys: ``id``, ``queue``, ``status``, ``priority`` (word), ``depth`` (levels below its root), ``depends_on`` (ids),
    ``children`` (exact number, read or not), ``has_spawn_config``, ``spawn_config`` (object or null), ``operation_id``,
    ``created_at``, ``started_at``, ``completed_at``, ``failed_at``, ``error`` (first 500 characters), ``workflow_id``,
    ``workflow_name``, ``archived_at``. Without a tree, ``depth`` and ``children`` are missing.
    """
    place = {"depth": tree.depths[node.id]} if tree else {}
    children = {"children": tree.child_total(node.id)} if tree else {}
    return {
        "id": node.id,
        "queue": node.queue,
        "status": node.status,
        "priority": node.priority,
        **place,
        "depends_on": list(node.depends_on),
        **children,
        "has_spawn_config": node.has_spawn_config,
        "spawn_config": node.spawn_config,
        "operation_id": node.operation_id,
        "created_at": rfc3339(node.created_at),
        "started_at": rfc3339(node.started_at),
        "completed_at": rfc3339(node.completed_at),
        "failed_at": rfc3339(node.failed_at),
        "error": node.error,
        "workflow_id": node.workflow_id,
        "workflow_name": node.workflow_name,
        "archived_at": rfc3339(node.archived_at),
    }


def tree_record(tree: SpawnTree) -> Record:
    """A tree as an object with the keys of :func:`tree_document`, for small trees inside other records."""
    value: Record = json.loads("".join(tree_document(tree)))
    return value
