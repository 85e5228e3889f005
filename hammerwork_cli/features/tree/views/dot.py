"""A spawn tree as a Graphviz graph with all of its jobs."""

from collections.abc import Iterator

from hammerwork_cli.core.values import WITH_ERROR, Counts
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.outline import unread_children
from hammerwork_cli.view.colour import OTHER_COLOURS, STATUS_COLOURS
from hammerwork_cli.view.text import first_line, plural, short_id, shorten, statuses, visible

_ERROR_CELLS = 60


def dot(tree: SpawnTree) -> Iterator[str]:
    """Yields a ``digraph`` in lines with line ends: every job that was read, and every edge.

    Nodes have full ids as names. Edges to spawned children are solid, other dependencies are dashed.
    """
    yield "digraph spawn {\n"
    yield "  rankdir=LR;\n"
    yield '  node [shape=box, style="filled,rounded", fontname="sans-serif"];\n'
    for job, node in tree.nodes.items():
        fill = _fill(node.status)
        target = ", penwidth=4" if job == tree.target else ""
        yield f'  {_quoted(job)} [label={_label(node)}, tooltip={_quoted(job)}, fillcolor="{fill}"{target}];\n'
    for parent, children in tree.children.items():
        style = "" if tree.spawns(parent) else " [style=dashed]"
        for child in children:
            yield f"  {_quoted(parent)} -> {_quoted(child)}{style};\n"
    for number, parent in enumerate(tree.child_counts):
        unread = unread_children(tree, parent)
        if unread.total:
            text = f"{plural(unread.total, 'more child', 'more children')}, not read: {statuses(unread)}"
            every = Counts()
            every.merge(unread)
            if below := tree.below_omitted.get(parent):
                text += f" · below: {statuses(below)}"
                every.merge(below)
            fill = _fill(every.worst or "")
            yield f'  "unread {number}" [label={_quoted(text)}, fillcolor="{fill}"];\n'
            yield f'  {_quoted(parent)} -> "unread {number}" [style=dotted];\n'
    yield "}\n"


def _fill(status: str) -> str:
    return STATUS_COLOURS.get(status, OTHER_COLOURS)[1]


def _label(node: TreeNode) -> str:
    lines = [f"{visible(node.queue)} {short_id(node.id)}", visible(node.status)]
    if node.status in WITH_ERROR and node.error:
        lines.append(shorten(first_line(node.error), _ERROR_CELLS))
    return '"' + "\\n".join(map(_escaped, lines)) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(visible(text))}"'


def _escaped(text: str) -> str:
    """Escapes a text for quotes: backslashes, HTML entities and the quotes themselves."""
    return text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')
