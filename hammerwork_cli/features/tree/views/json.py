"""Trees as JSON: one document, or a line for each job."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
from json.encoder import encode_basestring_ascii as quoted
from operator import itemgetter
from typing import Any, NamedTuple

from hammerwork_cli.core.values import id_list, priority_word, status_of
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.view import key
from hammerwork_cli.view.json import SCHEMA_VERSION, Record, document, instant
from hammerwork_cli.view.shape import Key, Shape

_JOBS_AT_ONCE = 250
_NO_WORKFLOW = ',"workflow_id":null,"workflow_name":null,"archived_at":null'


class Placed(NamedTuple):
    node: TreeNode
    tree: SpawnTree

    @property
    def depth(self) -> int:
        """Levels below its root."""
        return self.tree.depths[self.node.id]

    @property
    def children(self) -> int:
        """All of them, read or not."""
        return self.tree.child_total(self.node.id)


NODE = Shape[TreeNode](
    {
        "id": key.job_id(),
        "queue": key.text(),
        "status": key.status(),
        "priority": key.priority(),
        "depends_on": key.list_of(key.text(), "Ids of its parents"),
        "has_spawn_config": key.flag(),
        "spawn_config": key.spawn_config(),
        "operation_id": key.null_or(key.text("Operation id of its spawn configuration")),
        "created_at": key.null_or(key.instant("Null when the row holds an unreadable value")),
        "started_at": key.null_or(key.instant("When it was claimed for its last attempt")),
        "completed_at": key.null_or(key.instant()),
        "failed_at": key.null_or(key.instant()),
        "error": key.null_or(key.text("Its first 500 characters")),
        "workflow_id": key.null_or(key.uuid()),
        "workflow_name": key.null_or(key.text()),
        "archived_at": key.null_or(key.instant()),
        "run_started_at": key.null_or(
            key.instant(
                "When the handler of its last attempt began to run, once that has ended; otherwise as started_at"
            )
        ),
    }
)
PROGRESS = Shape[JobProgress](
    {
        "share": key.rate("Of the work that is done"),
        "text": key.text(),
        "reported_at": key.null_or(key.instant()),
    }
)
"""What ``context.progress`` has reported."""
RUNNING_PROGRESS = key.null_or(
    PROGRESS.key("What the handler of a running job has reported with context.progress; null for other jobs")
)
IN_TREE = Shape[Placed](
    {
        **NODE.within("node", "id", "queue", "status", "priority"),
        "depth": key.count("Levels below its root"),
        **NODE.within("node", "depends_on"),
        "children": key.count("All children, shown or not"),
        **NODE.within("node"),
        "progress": RUNNING_PROGRESS.of(lambda one: one.tree.progress.get(one.node.id)),
    }
)
RELATIVE = Shape[Any](
    {
        "id": key.job_id(),
        "queue": key.null_or(key.text()),
        "status": key.null_or(key.status()),
        "error": key.null_or(key.text()),
    }
)
NAMED = Shape[Any](RELATIVE.without("error"))
"""A job of which there is no more to say, wherever it stands."""
EDGE = Shape[Record](
    {
        "from": key.job_id(),
        "to": key.job_id(),
        "type": key.text("spawn if the parent has a spawn configuration or has spawned", "spawn", "dependency"),
    }
)
_DRAWN = {
    "schema_version": Key({"const": SCHEMA_VERSION}),
    "roots": key.list_of(key.job_id(), "The topmost ancestors"),
    "target": key.job_id("The job that was asked for"),
    "truncated": key.flag("Whether a limit cut it short"),
    "nodes": key.list_of(IN_TREE, "Parents first"),
    "edges": key.list_of(EDGE),
}
TREE = Shape[Record]({name: one._replace(get=itemgetter(name), convert=None) for name, one in _DRAWN.items()})
"""What :func:`tree_document` writes, read from that."""


def tree_document(tree: SpawnTree) -> Iterator[str]:
    """Yields the chunks of one JSON document in the shape of :data:`TREE`, with a line end at its end.

    Every dependency within the tree has an edge, and the edges of a parent stand together.
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
    """Yields the jobs of a tree, parents first, as one compact document each, in the shape of :data:`IN_TREE`."""
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
                _progress(tree, ids),
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


def _progress(tree: SpawnTree, ids: Iterable[str]) -> Iterable[str]:
    if not tree.progress:
        return repeat(',"progress":null}')
    found = map(tree.progress.get, ids)
    return [f',"progress":{document(PROGRESS.record(one)) if one else "null"}}}' for one in found]


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


def tree_record(tree: SpawnTree) -> Record:
    """A tree in the shape of :data:`TREE`, for small trees inside other records."""
    value: Record = json.loads("".join(tree_document(tree)))
    return value
