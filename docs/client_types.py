"""Writes the types of ``client.d.ts`` that follow from the shapes of the program: ``make reference``."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hammerwork_cli
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.callbacks.views import CALLBACK
from hammerwork_cli.features.job.endpoints.changing import NEW_JOB
from hammerwork_cli.features.job.options import SPAWN_FIELDS
from hammerwork_cli.features.job.views.attempts import ATTEMPT
from hammerwork_cli.features.job.views.changes import OUTCOME
from hammerwork_cli.features.job.views.details import FACT_KEYS, JOB_DETAILS
from hammerwork_cli.features.job.views.enqueue import ENQUEUED
from hammerwork_cli.features.job.views.listing import JOB
from hammerwork_cli.features.job.views.spawn_requests import SPAWN_REQUEST
from hammerwork_cli.features.monitor.views.health import CHECK_OUTCOME, HEALTH_REPORT, LEVEL
from hammerwork_cli.features.queue.views.changes import PAUSE_CHANGE
from hammerwork_cli.features.queue.views.listing import QUEUE
from hammerwork_cli.features.queue.views.stats import QUEUE_STATS
from hammerwork_cli.features.spawn.endpoints.trees import CHILD
from hammerwork_cli.features.spawn.endpoints.trees import GROUP as CHILD_GROUP
from hammerwork_cli.features.spawn.views.records import OPERATION, TREE_COUNTS
from hammerwork_cli.features.spawn.views.stats_records import GROUP, SPAWN_STATS
from hammerwork_cli.features.tree.views.json import IN_TREE, NODE, RELATIVE, TREE
from hammerwork_cli.features.tree.views.lineage import ANCESTOR
from hammerwork_cli.features.tree.views.spawns import CHILD_COUNTS, RECORDED_SPAWN
from hammerwork_cli.features.web.endpoints import ABOUT
from hammerwork_cli.features.worker.views import WORKER
from hammerwork_cli.features.workflow.views import WORKFLOW, WORKFLOW_GRAPH
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Schema, Shape
from hammerwork_cli.web import events

FILE = Path(hammerwork_cli.__file__).parent / "web" / "static" / "client.d.ts"
BEGIN = "// From here, `make reference` writes the shapes of the program.\n"
END = "// To here.\n"
WIDTH = 120
COMMENTED = {"Status"}
"""Types that say by themselves what a key of them is."""


class Interface(NamedTuple):
    """A type of the client."""

    name: str
    shape: Shape[Any]
    about: str = ""
    extends: tuple[Shape[Any], ...] = ()
    """Shapes whose keys it has as well."""
    as_well: tuple[Shape[Any], ...] = ()
    """Shapes that are of this type, too."""
    is_open: bool = False
    """Whether there may be other keys."""


INTERFACES = (
    Interface("SpawnConfig", SPAWN_FIELDS, "The `_spawn_config` of a payload, as stored.", is_open=True),
    Interface("JobNode", NODE, "A job in trees and lists."),
    Interface("ListedJob", JOB, "A job as `getJobs` lists it.", extends=(NODE,)),
    Interface("Relative", RELATIVE),
    Interface("JobFacts", FACT_KEYS, "Columns that an older database may lack."),
    Interface("Job", JOB_DETAILS, "All facts about one job.", extends=(JOB, FACT_KEYS)),
    Interface("ChildCounts", CHILD_COUNTS),
    Interface("TreeCounts", TREE_COUNTS, "All jobs below a job.", extends=(CHILD_COUNTS,)),
    Interface("TreeNode", CHILD, extends=(NODE,)),
    Interface("ChildGroup", CHILD_GROUP, "Children in one queue and status, with failures below or without."),
    Interface("Ancestor", ANCESTOR, "A job above another one.", extends=(NODE,)),
    Interface("TreeJob", IN_TREE, "A job of `SpawnTree`.", extends=(NODE,)),
    Interface("SpawnTree", TREE, "The answer to `format=json`. Parents come before their children."),
    Interface("RecordedSpawn", RECORDED_SPAWN, "A spawn as a worker recorded it."),
    Interface("SpawnOperation", OPERATION),
    Interface("SpawnFigures", GROUP, "Figures of the operations of a queue or a handler."),
    Interface("SpawnStats", SPAWN_STATS),
    Interface("SpawnRequest", SPAWN_REQUEST, "A request to spawn again."),
    Interface("Outcome", OUTCOME, "The outcome of a change."),
    Interface("PastAttempt", ATTEMPT, "An attempt at a job that did not complete."),
    Interface("Callback", CALLBACK, "A job that a worker enqueues at the end of a job and everything below it."),
    Interface("Queue", QUEUE),
    Interface("QueueStats", QUEUE_STATS, "A queue with its statistics."),
    Interface("PauseChange", PAUSE_CHANGE),
    Interface("Worker", WORKER),
    Interface("HealthCheck", CHECK_OUTCOME),
    Interface("HealthReport", HEALTH_REPORT),
    Interface("Workflow", WORKFLOW),
    Interface("WorkflowGraph", WORKFLOW_GRAPH, "The jobs of a workflow, parents first, and what they wait for."),
    Interface("NewJob", NEW_JOB, "A job to enqueue."),
    Interface("EnqueuedJob", ENQUEUED),
    Interface("About", ABOUT, "The version and settings of a server."),
    Interface("EventData", events.DATA, "The data of an event of the stream, by its type."),
)
ALIASES = {
    "Priority": (key.priority(), ""),
    "HealthLevel": (LEVEL, "`unknown`: the check needs a migration that is missing."),
}
"""Types of words."""
_NAMES = {id(shape): one.name for one in INTERFACES for shape in (one.shape, *one.as_well)}


def client_types() -> str:
    """The whole file, with the types as they are now."""
    before, _, rest = FILE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    types = [_status(), *(_alias(name, *one) for name, one in ALIASES.items()), *map(_interface, INTERFACES)]
    return f"{before}{BEGIN}{''.join(types)}\n{END}{after}"


def _status() -> str:
    words = "".join(f"  | {json.dumps(one)}\n" for one in JobStatus)
    return f"\nexport type Status =\n{words}  /** A status that this version does not know. */\n  | (string & {{}});\n"


def _alias(name: str, words: Key, about: str) -> str:
    return f"\n{_comment(about, '')}export type {name} = {_plain(words.schema)};\n"


def _interface(one: Interface) -> str:
    below = {name for shape in one.extends for name in shape.parts}
    extends = f" extends {', '.join(_NAMES[id(shape)] for shape in one.extends)}" if one.extends else ""
    head = f"{_comment(one.about, '')}export interface {one.name}{extends} "
    members = _members(one.shape, "", frozenset(below))
    if one.is_open:
        members = f"{members[:-1]}  [key: string]: unknown;\n}}"
    return f"\n{head}{members}\n"


def _members(shape: Shape[Any], indent: str, known: frozenset[str] = frozenset()) -> str:
    inside = f"{indent}  "
    lines = [_member(name, key, inside) for name, key in shape.parts.items() if name not in known]
    return f"{{\n{''.join(lines)}{indent}}}"


def _member(name: str, key: Key, indent: str) -> str:
    line = f"{indent}{name}{'?' * key.is_optional}: {_type(key, indent)};"
    return f"{_comment(_about(key), indent)}{_fitted(line)}\n"


def _fitted(line: str) -> str:
    """A member; a union that is too long gets a line for each word."""
    if len(line) <= WIDTH or "\n" in line:
        return line
    name, words = line.split(": ", 1)
    indent = " " * (len(name) - len(name.lstrip()) + 2)
    return f"{name}:\n" + "\n".join(f"{indent}| {word}" for word in words.split(" | "))


def _about(key: Key) -> str:
    return "" if key.typescript in COMMENTED else key.schema.get("description", "")


def _comment(about: str, indent: str) -> str:
    if not about:
        return ""
    text = about if about.endswith(".") else f"{about}."
    if len(indent) + len(text) + len("/**  */") <= WIDTH:
        return f"{indent}/** {text} */\n"
    lines = textwrap.wrap(text, WIDTH - len(indent) - len(" * "))
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"])


def _type(key: Key | Shape[Any], indent: str) -> str:
    if isinstance(key, Shape):
        return _NAMES.get(id(key)) or _members(key, indent)
    kinds = [*_kinds(key.schema)]
    bare = _bare(key.schema)
    word = key.typescript or _word(key, bare, indent)
    return f"{word} | null" if "null" in kinds else word


def _word(key: Key, bare: Schema, indent: str) -> str:
    if bare.get("type") == "array":
        inner = _type(key.inner, indent) if key.inner is not None else "unknown"
        return f"({inner})[]" if " | " in inner.partition("{")[0] else f"{inner}[]"
    if isinstance(key.inner, Shape):
        return _type(key.inner, indent)
    return _plain(bare)


def _plain(schema: Schema) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    if schema.get("format") == "date-time":
        return "Instant"
    if "additionalProperties" in schema:
        return f"Record<string, {_type(Key(schema['additionalProperties']), '')}>"
    kinds = [kind for kind in _kinds(schema) if kind != "null"]
    words = {"integer": "number", "object": "Record<string, unknown>"}
    return " | ".join(dict.fromkeys(words.get(kind, kind) for kind in kinds)) or "unknown"


def _kinds(schema: Schema) -> Iterator[str]:
    for one in schema.get("anyOf", [schema]):
        kinds = one.get("type", [])
        yield from [kinds] if isinstance(kinds, str) else kinds


def _bare(schema: Schema) -> Schema:
    """A schema without null."""
    found = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    kinds = found.get("type")
    if isinstance(kinds, list):
        left = [kind for kind in kinds if kind != "null"]
        return {**found, "type": left[0] if len(left) == 1 else left}
    return found
