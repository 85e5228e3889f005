"""Models as JSON: plain records with stable keys, and the fast way for trees of 100,000 jobs.

Everything outside ASCII is escaped, so that no character of the data reaches a terminal raw.
Times are RFC 3339 in UTC, ids are full, lengths of time are seconds, rates run from 0 to 1.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from hammerwork_cli.models import (
    WAITING,
    Counts,
    JobStatus,
    Lineage,
    Moment,
    PendingSpawn,
    RecordedSpawn,
    SpawnGroup,
    SpawnOperation,
    SpawnStats,
    SpawnTree,
    TreeNode,
    id_list,
    priority_word,
    rfc3339,
    status_of,
)

Record = dict[str, Any]

SCHEMA_VERSION = 1
SPAWN_OUTCOMES = ("spawned", "failed", "repeated")
REQUEST_STATES = ("pending", "running", "done", "failed")
WORKER_STATES = ("running", "stopping", "stopped", "silent", "lost")
WORKER_REQUESTS = ("stop", "restart")
UNKNOWN = "unknown"
_NODES_A_CHUNK = 500
_NO_WORKFLOW = '"workflow_id":null,"workflow_name":null,"archived_at":null}'


def document(value: object, *, pretty: bool = False) -> str:
    """One JSON document without a line end: compact, or indented for people."""
    encode = _PRETTY.encode if pretty else _COMPACT.encode
    try:
        return encode(value)
    except (ValueError, RecursionError):
        # A stored 1e999 reads as infinity, which JSON cannot say; or it is nested deeper than the encoders can go.
        return "".join(_pieces(value, pretty=pretty))


def lines(records: Iterable[object]) -> Iterator[str]:
    """One compact document a record, without line ends."""
    return map(document, records)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Counts):
        return value.by_status
    return str(value)


_COMPACT = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False)
_PRETTY = json.JSONEncoder(indent=2, default=_plain, allow_nan=False)
_PLAIN_TYPES = (str, int, float, dict, list, tuple, type(None))
_DEEPEST_INDENT = 100
"""Levels; otherwise the indents of a value of 10,000 levels would take 100 MB."""


def _pieces(value: object, *, pretty: bool) -> Iterator[str]:
    """A document as the encoders write it, with any depth and with infinite numbers as text."""
    colon = ": " if pretty else ":"
    # What is open: the members that are left, each after its key, and the bracket that closes it.
    stack: list[tuple[Iterator[tuple[str, object]], str]] = [(iter([("", value)]), "")]
    separator = ""
    while stack:
        members, bracket = stack[-1]
        found = next(members, None)
        if found is None:
            stack.pop()
            yield _line(len(stack), pretty) + bracket if stack else ""
        else:
            key, member = found
            member = member if isinstance(member, _PLAIN_TYPES) else _plain(member)
            yield separator + key
            if inner := _members(member, colon):
                opening, bracket = "{}" if isinstance(member, dict) else "[]"
                stack.append((iter(inner), bracket))
                yield opening
                separator = _line(len(stack), pretty)
                continue
            yield _COMPACT.encode(str(member) if _is_infinite(member) else member)
        separator = "," + _line(len(stack), pretty)


def _members(value: object, colon: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(quoted(str(name)) + colon, member) for name, member in value.items()]
    return [("", member) for member in value] if isinstance(value, (list, tuple)) else []


def _line(depth: int, pretty: bool) -> str:
    return "\n" + "  " * min(depth - 1, _DEEPEST_INDENT) if pretty else ""


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and value - value != 0


def known(stored: str | None, words: Sequence[str]) -> str | None:
    """A word of a fixed list; ``unknown`` where a row of ours holds another one, which only somebody else wrote."""
    return stored if stored is None or stored in words else UNKNOWN


# Trees.


def tree_document(tree: SpawnTree) -> Iterator[str]:
    """A tree as the chunks of one JSON document that ends with a line end.

    Keys: ``schema_version``, ``roots``, ``target``, ``truncated``, ``nodes`` (see :func:`node_record`),
    ``edges`` (``from``, ``to``, ``type``: ``spawn`` where the parent carries spawn configuration or
    a worker recorded that it spawned, else ``dependency``). Nodes come parents first; there is an edge for every
    dependency inside the tree, a parent's beside each other.
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
    """The jobs of a tree, parents first, one compact document each (see :func:`node_record`)."""
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
                f'"archived_at":{_instant(archived)}}}'
            )
        yield (
            f'{{"id":{quoted(job)},"queue":{texts[queue]},"status":{statuses[status]},'
            f'"priority":{priorities[priority]},"depth":{depths[job]},"depends_on":{above},'
            f'"children":{below},{configs[config]},"created_at":{_instant(created)},'
            f'"started_at":{"null" if started is None else _instant(started)},'
            f'"completed_at":{"null" if completed is None else _instant(completed)},'
            f'"failed_at":{"null" if failed is None else _instant(failed)},'
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
    config = bare.spawn_config  # parsed once, so the operation is not asked of the node
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


def _instant(value: Moment) -> str:
    """RFC 3339 as a JSON string. What the databases usually deliver needs no parsing."""
    if isinstance(value, str):
        if len(value) == 29 and value[10] == " " and value[26:] == "+00":
            return quoted(f"{value[:10]}T{value[11:26]}Z")
        if 22 < len(value) < 29 and value[10] == " " and value[19] == "." and value[-3:] == "+00":
            return quoted(f"{value[:10]}T{value[11:-3]:0<15}Z")
        if len(value) == 27 and value[10] == "T" and value[26] == "Z":
            return quoted(value)
    elif isinstance(value, datetime) and value.tzinfo is None:
        return f'"{value.isoformat(timespec="microseconds")}Z"'
    return document(rfc3339(value))


# Records.


def node_record(node: TreeNode, tree: SpawnTree | None = None) -> Record:
    """A job of a tree, or a job alone.

    Keys: ``id``, ``queue``, ``status``, ``priority`` (word), ``depth`` (levels below its root),
    ``depends_on`` (ids), ``children`` (exact number, read or not), ``has_spawn_config``,
    ``spawn_config`` (object or null), ``operation_id``, ``created_at``, ``started_at``,
    ``completed_at``, ``failed_at``, ``error`` (first 500 characters), ``workflow_id``,
    ``workflow_name``, ``archived_at``. ``depth`` and ``children`` are there only with a tree.
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
    """A whole tree as one object with the keys of :func:`tree_document`, for small trees inside other records."""
    value: Record = json.loads("".join(tree_document(tree)))
    return value


def child_counts(counts: Counts) -> Record:
    """Children counted: ``total``, ``completed``, ``failed`` (Failed, Dead, TimedOut), ``running``, ``pending``.

    What is neither (Archived, or a word that is no status) counts in ``total`` alone.
    """
    return {
        "total": counts.total,
        "completed": counts.of(JobStatus.COMPLETED),
        "failed": counts.failed,
        "running": counts.of(JobStatus.RUNNING),
        "pending": counts.of(*WAITING),
    }


def failed_record(operation: SpawnOperation) -> Record:
    """A spawning parent, and what failed at or below it.

    Keys: those of :func:`operation_record`, ``failed_below`` (failed jobs on all levels below), ``more_failed_below``
    (whether there may be more), ``newest_failure_at`` (of it or a job below).
    """
    assert operation.below
    jobs, more, newest = operation.below
    told = {"failed_below": jobs, "more_failed_below": more, "newest_failure_at": rfc3339(newest)}
    return operation_record(operation) | told


def operation_record(operation: SpawnOperation) -> Record:
    """A spawning parent.

    Keys: ``parent_id``, ``queue``, ``status``, ``priority``, ``children`` (an object: ``total``,
    ``completed``, ``failed`` for Failed, Dead and TimedOut, ``running``, ``pending`` for Pending and
    Retrying), ``success_rate`` (completed among the ended ones, null before one has), ``spawned_at``
    (first child), ``finished_at`` and ``wall_time_seconds`` (null until all have ended),
    ``operation_id``, ``handler``, ``recorded`` (its last spawn as a worker recorded it, see :func:`spawn_record`),
    ``spawn_config``, ``workflow_id``, ``workflow_name``, ``created_at`` and ``completed_at`` (of the parent).
    """
    parent, children = operation.parent, operation.children
    return {
        "parent_id": parent.id,
        "queue": parent.queue,
        "status": parent.status,
        "priority": parent.priority,
        "children": child_counts(children),
        "success_rate": operation.success_rate,
        "spawned_at": rfc3339(operation.spawned_at),
        "finished_at": rfc3339(operation.finished_at),
        "wall_time_seconds": seconds(operation.wall_time),
        "operation_id": operation.operation_id,
        "handler": operation.handler,
        "recorded": spawn_record(operation.recorded) if operation.recorded else None,
        "spawn_config": parent.spawn_config,
        "workflow_id": parent.workflow_id,
        "workflow_name": parent.workflow_name,
        "created_at": rfc3339(parent.created_at),
        "completed_at": rfc3339(parent.completed_at),
    }


def spawn_record(spawn: RecordedSpawn) -> Record:
    """A spawn that a worker recorded.

    Keys: ``id``, ``operation_id``, ``handler``, ``outcome`` (``spawned``; ``failed`` where the parent completed all the
    same; ``repeated`` where it was allowed to spawn again), ``children``, ``error`` (why nothing was spawned),
    ``hook_error``, ``worker_id``, ``request_id``, ``started_at``, ``ended_at``.
    """
    return {
        "id": spawn.id,
        "operation_id": spawn.operation_id,
        "handler": spawn.handler,
        "outcome": known(spawn.outcome, SPAWN_OUTCOMES),
        "children": spawn.children,
        "error": spawn.error,
        "hook_error": spawn.hook_error,
        "worker_id": spawn.worker_id,
        "request_id": spawn.request_id,
        "started_at": rfc3339(spawn.started_at),
        "ended_at": rfc3339(spawn.ended_at),
    }


OPERATION_KEYS = (
    "parent_id",
    "queue",
    "status",
    "priority",
    "children.total",
    "children.completed",
    "children.failed",
    "children.running",
    "children.pending",
    "success_rate",
    "spawned_at",
    "finished_at",
    "wall_time_seconds",
    "operation_id",
    "handler",
    "recorded.id",
    "recorded.outcome",
    "recorded.error",
    "recorded.hook_error",
    "spawn_config",
    "workflow_id",
    "workflow_name",
    "created_at",
    "completed_at",
)
"""Columns of csv and tsv; a dot leads into a nested object."""
FAILED_KEYS = (*OPERATION_KEYS, "failed_below", "more_failed_below", "newest_failure_at")


def seconds(length: timedelta | None) -> float | None:
    """A length of time in seconds."""
    return length.total_seconds() if length is not None else None


def group_record(group: SpawnGroup) -> Record:
    """Figures of operations that share a queue or a handler.

    Keys: ``name`` (of the queue or handler), ``operations``, ``children``, ``average`` and ``largest``
    (children an operation), ``completed``, ``ended``, ``success_rate``.
    """
    return {
        "name": group.name,
        "operations": group.operations,
        "children": group.children,
        "average": group.average,
        "largest": group.largest,
        "completed": group.completed,
        "ended": group.ended,
        "success_rate": group.success_rate,
    }


def stats_record(stats: SpawnStats) -> Record:
    """What was spawned in a window of time.

    Keys: ``since``, ``queue``, ``operations``, ``children``, ``average``, ``largest``, ``completed``,
    ``ended``, ``success_rate``, ``empty`` (completed parents without a child), ``recent`` (operations of
    the last hour), ``depth`` (levels below the topmost parent), ``p50_seconds`` and ``p95_seconds`` (run
    time of completed children), ``by_queue`` and ``by_handler`` (lists of :func:`group_record`),
    ``slowest`` (list of :func:`operation_record`); the last three are null unless details were asked for.
    """
    overall = group_record(stats.overall)
    del overall["name"]
    return {
        "since": rfc3339(stats.since),
        "queue": stats.queue,
        **overall,
        "empty": stats.empty,
        "recent": stats.recent,
        "depth": stats.depth,
        "p50_seconds": seconds(stats.p50),
        "p95_seconds": seconds(stats.p95),
        "by_queue": _list(group_record, stats.by_queue),
        "by_handler": _list(group_record, stats.by_handler),
        "slowest": _list(operation_record, stats.slowest),
    }


def _list(record: Any, models: Iterable[Any] | None) -> list[Record] | None:
    return None if models is None else [record(model) for model in models]


def lineage_record(lineage: Lineage) -> Record:
    """Where a job comes from and what came from it.

    Keys: ``job`` (:func:`node_record`), ``ancestors`` (the same keys and ``distance``, levels above the
    job, roots first; null when not asked for), ``descendants`` (the object of :func:`tree_document`;
    null when not asked for), ``missing`` (ids of parents that are nowhere), ``truncated``.
    """
    ancestors = lineage.ancestors
    return {
        "job": node_record(lineage.job),
        "ancestors": None
        if ancestors is None
        else [{"distance": distance, **node_record(node)} for distance, node in ancestors],
        "descendants": tree_record(lineage.descendants) if lineage.descendants else None,
        "missing": sorted(lineage.missing),
        "truncated": lineage.truncated,
    }


LINEAGE_KEYS = (
    "relation",
    "distance",
    "id",
    "queue",
    "status",
    "priority",
    "depends_on",
    "has_spawn_config",
    "spawn_config",
    "operation_id",
    "created_at",
    "started_at",
    "completed_at",
    "failed_at",
    "error",
    "workflow_id",
    "workflow_name",
    "archived_at",
)
"""Columns of :func:`lineage_rows`."""


def lineage_rows(lineage: Lineage) -> list[Record]:
    """A lineage as one record a job: ancestors from the farthest, the job, descendants from the nearest.

    Keys: ``relation`` (``ancestor``, ``job``, ``descendant``), ``distance`` (levels from the job),
    and those of :func:`node_record`.
    """
    rows = [
        {"relation": "ancestor", "distance": distance, **node_record(node)}
        for distance, node in lineage.ancestors or ()
    ]
    rows.append({"relation": "job", "distance": 0, **node_record(lineage.job)})
    if lineage.descendants:
        rows += [
            {"relation": "descendant", "distance": lineage.descendants.depths[node.id], **node_record(node)}
            for node in lineage.descendants.nodes.values()
            if node.id != lineage.job.id
        ]
    return rows


PENDING_KEYS = ("reason", "waits_for", *LINEAGE_KEYS[2:])
"""Columns of csv and tsv."""


def pending_record(pending: PendingSpawn) -> Record:
    """A job with spawning ahead of it, or behind it without effect.

    Keys: ``reason`` (``asked_again``, ``will_spawn``, ``never_spawned``, ``waiting``, ``stuck``), ``waits_for``
    (status -> number of the jobs it depends on), and those of :func:`node_record`.
    """
    return {
        "reason": pending.reason,
        "waits_for": dict(sorted(pending.waits_for.by_status.items())),
        **node_record(pending.job),
    }
