"""The endpoints about the tree of a job. Each answers with the record that its command prints, if one does."""

from dataclasses import replace

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.models.plan import JobGroup
from hammerwork_cli.features.spawn.queries import timeline as timeline_queries
from hammerwork_cli.features.spawn.queries import whole_trees
from hammerwork_cli.features.spawn.views import records, redacted
from hammerwork_cli.features.spawn.views.timeline_records import TIMELINE
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import children
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views import lineage
from hammerwork_cli.features.tree.views.json import IN_TREE, NODE, TREE, Placed
from hammerwork_cli.features.tree.views.nested import DEEPEST_NESTED, NESTED
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.features.tree.views.spawns import CHILD_COUNTS
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.endpoints.endpoint import JSON, Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import CURSOR, QUEUE, STATUS, Parameter, limit, statuses

DEEPEST = 1000
MOST_NODES = 100_000
NODE_BYTES = 2000
"""Approximate memory of a job of a tree while the tree is being drawn."""
TEXT_TYPES = {"mermaid": "text/vnd.mermaid", "dot": "text/vnd.graphviz"}


def child_list(call: Call) -> Answer:
    """Answers with the jobs that depend on a job."""
    wanted, found = call.values, call.values["id"]
    chosen = statuses(wanted["status"])
    if wanted["depth"] > 1:
        return _descendants(call, found, chosen)
    page = children.page(
        call.database,
        found,
        limit=wanted["limit"],
        queues=wanted["queue"],
        statuses=chosen,
        cursor=wanted["cursor"],
    )
    return Answer(CHILD.records(page.children), page.cursor)


def _descendants(call: Call, job: str, chosen: list[JobStatus] | None) -> Answer:
    """Answers with the descendants of a job, nearest first. Each page reads the tree again, whose order is stable."""
    wanted = call.values
    tree = tree_queries.tree(call.database, job, whole=False, depth=wanted["depth"], max_jobs=MOST_NODES)
    nodes = [
        node
        for node in sorted(tree.nodes.values(), key=lambda node: tree.depths[node.id])
        if node.id != job
        and (chosen is None or node.status in chosen)
        and (not wanted["queue"] or node.queue in wanted["queue"])
    ]
    start = _start(nodes, wanted["cursor"])
    page = nodes[start : start + wanted["limit"]]
    more = len(nodes) > start + len(page)
    shown = IN_TREE.records(Placed(node, tree) for node in page)
    return Answer(shown, f"2/0/{page[-1].id}" if more else None)


def _start(nodes: list[TreeNode], cursor: str | None) -> int:
    if cursor is None:
        return 0
    last = cursor.rpartition("/")[2]
    place = next((place for place, node in enumerate(nodes) if node.id == last), None)
    if place is None:
        raise NotFoundError("The job of the cursor is no longer in this list.")
    return place + 1


GROUP = Shape[JobGroup]({"queue": key.text(), "status": key.status(), "jobs": key.count()})


def child_groups(call: Call) -> Answer:
    """Answers with counts of the jobs that depend on a job."""
    found = children.groups(call.database, call.values["id"])
    return Answer(GROUP.records(found))


def parent_list(call: Call) -> Answer:
    """Answers with the ancestors of ``spawn lineage --ancestors``."""
    found = tree_queries.lineage(
        call.database,
        call.values["id"],
        ancestors=True,
        descendants=False,
        depth=call.values["depth"],
        max_jobs=MOST_NODES,
    )
    return Answer(lineage.ANCESTOR.records(lineage.ancestors(found) or ()))


def timeline(call: Call) -> Answer:
    wanted = call.values
    found = timeline_queries.timeline(
        call.database, wanted["id"], now=call.now, siblings=wanted["siblings"], max_jobs=MOST_NODES
    )
    return Answer(TIMELINE.record(found))


def tree_counts(call: Call) -> Answer:
    """Answers with counts of all jobs below a job."""
    return Answer(records.TREE_COUNTS.record(whole_trees.counts(call.database, call.values["id"])))


def spawn_tree(call: Call) -> Answer:
    form, deepest, most = (call.values[name] for name in ("format", "max_depth", "max_nodes"))
    if form == "nested":
        deepest = min(DEEPEST_NESTED if deepest is None else deepest, DEEPEST_NESTED)
    whole = not call.values["children_only"]
    tree = tree_queries.tree(call.database, call.values["id"], whole=whole, depth=deepest, max_jobs=most)
    tree = _shown(tree, call)
    if form == "nested":
        return Answer(NESTED.record(tree))
    shown = picture(tree, TreeFormat(form), Limits())
    size = NODE_BYTES * len(tree.nodes)
    return Answer(None, media_type=TEXT_TYPES.get(form, JSON), chunks=shown.parts, size=size)


def _shown(tree: SpawnTree, call: Call) -> SpawnTree:
    if call.settings.redact:
        return redacted.tree(tree)
    if not call.values["include_config"]:
        return replace(tree, nodes={job: redacted.without_config(node) for job, node in tree.nodes.items()})
    return tree


CHILD = Shape[children.Child](
    {
        **NODE.within("node"),
        "depth": IN_TREE.parts["depth"].of(lambda _: 1),
        "children": IN_TREE.parts["children"].of("children.total"),
        "child_counts": CHILD_COUNTS.key("Where the depth is 1").of("children").optional,
    }
)
CHILD_CURSOR = replace(CURSOR, schema={"type": "string", "pattern": f"^{children.CURSOR_PATTERN}$", "maxLength": 60})
_DEPTH = {"type": "integer", "minimum": 1, "maximum": DEEPEST}

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/jobs/{id}/children",
        child_list,
        "Jobs that depend on a job: failures first, then running ones, then the oldest; with a depth, nearest first.",
        key.list_of(CHILD).schema,
        (
            JOB,
            limit(50),
            CHILD_CURSOR,
            QUEUE,
            STATUS,
            Parameter("depth", _DEPTH, "Levels below the job.", default=1),
        ),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/child-groups",
        child_groups,
        "Jobs that depend on a job, counted by queue and status, failures first.",
        key.list_of(GROUP).schema,
        (JOB,),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/tree-counts",
        tree_counts,
        f"Counts of all jobs below a job, up to {whole_trees.LARGEST_TREE:,}.",
        records.TREE_COUNTS.schema,
        (JOB,),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/parent",
        parent_list,
        "Jobs that a job depends on, the farthest first.",
        key.list_of(lineage.ANCESTOR).schema,
        (JOB, Parameter("depth", _DEPTH, "Levels above the job.", default=1)),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/timeline",
        timeline,
        f"Where the time of the tree that a job belongs to went; for trees of {MOST_NODES:,} jobs at most.",
        "spawn-timeline",
        (JOB, Parameter("siblings", {"type": "boolean"}, "Add every group of siblings.", default=False)),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/spawn-tree",
        spawn_tree,
        "The tree that a job belongs to; format nested puts children inside their parents.",
        {"anyOf": [TREE.schema, NESTED.schema]},
        (
            JOB,
            Parameter("format", {"type": "string", "enum": ["json", "mermaid", "dot", "nested"]}, "", default="json"),
            Parameter(
                "max_depth",
                {"type": "integer", "minimum": 0, "maximum": DEEPEST},
                f"Levels below the roots; nested has {DEEPEST_NESTED} at most.",
            ),
            Parameter(
                "max_nodes",
                {"type": "integer", "minimum": 1, "maximum": MOST_NODES},
                "Maximum number of jobs; failures come first when there are more.",
                default=10_000,
            ),
            Parameter("children_only", {"type": "boolean"}, "Only the part below the job.", default=False),
            Parameter(
                "include_config",
                {"type": "boolean"},
                "Whether to include the whole spawn_config.",
                default=True,
            ),
        ),
        other_types=tuple(TEXT_TYPES.values()),
        refusals=(404, 409),
    ),
)
