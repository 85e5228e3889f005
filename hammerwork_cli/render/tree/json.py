"""Trees as JSON: one document, or a line for each job."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
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

_JOBS_AT_ONCE = 250
_NO_WORKFLOW = ',"workflow_id":null,"workflow_name":null,"archived_at":null'


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
    yield from _separated(",\n".join(lines) for lines in _lines(tree))
    yield '],\n"edges":['
    yield from _separated(_edges(tree))
    yield "]}\n"


def _separated(members: Iterator[str]) -> Iterator[str]:
    start = "\n"
    for chunk in members:
        yield start
        yield chunk
        start = ",\n"


def tree_lines(tree: SpawnTree) -> Iterator[str]:
    """Yields the jobs of a tree, parents first, as one compact document each (see :func:`node_record`)."""
    return chain.from_iterable(_lines(tree))


def _lines(tree: SpawnTree) -> Iterator[Iterator[str]]:
    """Yields the same, some hundred jobs at a time.

    It works by columns, each of which C code goes through: that takes half the time of a function that is called for
    each job.
    """
    queues = _Cache(lambda stored: f',"queue":{quoted(stored)}')
    statuses = _Cache(lambda stored: f',"status":{quoted(status_of(stored))}')
    priorities = _Cache(lambda stored: f',"priority":{quoted(priority_word(stored))}')
    depths = _Cache(lambda depth: f',"depth":{depth},"depends_on":')
    parents = _Cache(_id_array)
    numbers = _Cache(lambda number: f',"children":{number},')
    configs = _Cache(_config_keys)
    nodes = iter(tree.nodes.values())
    while some := list(islice(nodes, _JOBS_AT_ONCE)):
        columns: Any = TreeNode._make(zip(*some, strict=True))
        ids = columns.id
        below: Iterable[int] = map(len, map(tree.children.get, ids, repeat(())))
        if tree.child_counts:
            below = map(tree.child_total, ids)
        yield map(
            "".join,
            zip(
                repeat('{"id":'),
                map(quoted, ids),
                map(queues.__getitem__, columns.queue),
                map(statuses.__getitem__, columns.stored_status),
                map(priorities.__getitem__, columns.stored_priority),
                map(depths.__getitem__, map(tree.depths.__getitem__, ids)),
                [_id_array(one) if isinstance(one, list) else parents[one] for one in columns.stored_parents],
                map(numbers.__getitem__, below),
                map(configs.__getitem__, columns.stored_config),
                repeat(',"created_at":'),
                map(instant, columns.created_at),
                repeat(',"started_at":'),
                map(instant, columns.started_at),
                repeat(',"completed_at":'),
                map(instant, columns.completed_at),
                repeat(',"failed_at":'),
                map(instant, columns.failed_at),
                repeat(',"error":'),
                ["null" if error is None else quoted(error) for error in columns.error],
                _workflows(columns),
                repeat(',"run_started_at":'),
                map(instant, columns.run_started_at),
                repeat("}"),
                strict=False,  # because of the repeated keys
            ),
        )


def _workflows(columns: Any) -> Iterable[str]:
    given = columns.workflow_id, columns.workflow_name, columns.archived_at
    if all(column.count(None) == len(column) for column in given):
        return repeat(_NO_WORKFLOW)
    return [
        f',"workflow_id":{document(workflow)},"workflow_name":{document(name)},"archived_at":{instant(archived)}'
        for workflow, name, archived in zip(*given, strict=True)
    ]


def _edges(tree: SpawnTree) -> Iterator[str]:
    for parent, children in tree.children.items():
        kind = "spawn" if tree.spawns(parent) else "dependency"
        start, end = f'{{"from":{quoted(parent)},"to":', f',"type":"{kind}"}}'
        between = f"{end},\n{start}"
        for first in range(0, len(children), _JOBS_AT_ONCE):
            yield start + between.join(map(quoted, children[first : first + _JOBS_AT_ONCE])) + end


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
    ``workflow_name``, ``archived_at``, ``run_started_at`` (of the handler in the last attempt, where its worker has
    recorded it at the end; else as ``started_at``, the time of the claim). Without a tree, ``depth`` and ``children``
    are missing.
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
        "run_started_at": rfc3339(node.run_started_at),
    }


def tree_record(tree: SpawnTree) -> Record:
    """A tree as an object with the keys of :func:`tree_document`, for small trees inside other records."""
    value: Record = json.loads("".join(tree_document(tree)))
    return value
