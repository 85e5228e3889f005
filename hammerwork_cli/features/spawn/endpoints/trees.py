"""The endpoints about the tree of a job. Each answers with the record that its command prints, if one does."""

from dataclasses import replace

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.spawn.queries import timeline as timeline_queries
from hammerwork_cli.features.spawn.queries import whole_trees
from hammerwork_cli.features.spawn.views import records, redacted
from hammerwork_cli.features.spawn.views.timeline_records import TIMELINE
from hammerwork_cli.features.tree.queries import children, failing
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views import lineage
from hammerwork_cli.features.tree.views.json import IN_TREE, NODE, TREE
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
    """Answers with the jobs that depend on a job; with a depth, with those on several levels below it."""
    wanted, found = call.values, call.values["id"]
    filters = {"queues": wanted["queue"], "statuses": statuses(wanted["status"])}
    if wanted["depth"] == 1:
        filters["failed_below"] = wanted["failed_below"]
        page = children.page(call.database, found, limit=wanted["limit"], cursor=wanted["cursor"], **filters)
        return Answer(CHILD.records(page.children), page.cursor)
    if wanted["failed_below"] is not None:
        raise UsageError("failed_below is for the children alone.", hint="Leave the depth out.")
    page = children.descendants(
        call.database, found, depth=wanted["depth"], limit=wanted["limit"], cursor=wanted["cursor"], **filters
    )
    return Answer(DESCENDANT.records(page.children), page.cursor)


_FAILED_BELOW = {
    "failed_below": key.count("Failed jobs on all levels below it, the archive aside"),
    "more_failed_below": key.flag(
        f"Whether there may be more: the newest {failing.MOST_FAILED:,} of a tree are looked at"
    ),
}
GROUP = Shape[children.ChildGroup]({"queue": key.text(), "status": key.status(), "jobs": key.count(), **_FAILED_BELOW})


def child_groups(call: Call) -> Answer:
    """Answers with counts of the jobs that depend on a job."""
    return Answer(GROUP.records(children.groups(call.database, call.values["id"])))


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
        "depth": key.count("Levels below the job"),
        "children": IN_TREE.parts["children"].of("children.total"),
        "child_counts": CHILD_COUNTS.key().of("children"),
        **{name: one.optional for name, one in _FAILED_BELOW.items()},
    }
)
DESCENDANT = Shape[children.Child](CHILD.without("failed_below", "more_failed_below"))
CHILD_CURSOR = replace(CURSOR, schema={"type": "string", "pattern": f"^{children.CURSOR_PATTERN}$", "maxLength": 60})
_DEPTH = {"type": "integer", "minimum": 1, "maximum": DEEPEST}

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/jobs/{id}/children",
        child_list,
        "Jobs that depend on a job: the failed first, then those with failures below, running ones, the oldest. With a "
        "depth, each is followed by those whose first parent it is, the oldest first; a page may be short.",
        key.list_of(CHILD).schema,
        (
            JOB,
            limit(50),
            CHILD_CURSOR,
            QUEUE,
            STATUS,
            Parameter("depth", _DEPTH, "Levels below the job.", default=1),
            Parameter("failed_below", {"type": "boolean"}, "Only those with failures below them, or only the others."),
        ),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}/child-groups",
        child_groups,
        "Jobs that depend on a job, counted by queue, status and whether failures are below them, the worst first.",
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
