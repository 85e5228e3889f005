"""The ancestors and descendants of a job, as text and as JSON."""

from collections.abc import Iterator
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import Lineage
from hammerwork_cli.features.tree.views.json import NODE, TREE, tree_record
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import first_line, plural, short_id, shorten, visible


class Related(NamedTuple):
    """A job of a lineage; ``distance`` in levels."""

    relation: str
    distance: int
    node: TreeNode


ANCESTOR = Shape[Related]({"distance": key.count("Levels above the job"), **NODE.within("node")})
LINEAGE = Shape[Lineage](
    {
        "job": NODE,
        "ancestors": key.null_or(key.list_of(ANCESTOR, "Roots first")).of(lambda found: ancestors(found)),
        "descendants": key.null_or(TREE).of(lambda found: found.descendants and tree_record(found.descendants)),
        "missing": key.list_of(key.text(), "Ids of deleted parents").of(lambda found: sorted(found.missing)),
        "truncated": key.flag(),
    }
)
LINEAGE_LINE = Shape[Related](
    {
        "relation": key.text("", "ancestor", "job", "descendant"),
        "distance": key.count("Levels from the job"),
        **NODE.within("node"),
    }
)


def ancestors(found: Lineage) -> list[Related] | None:
    """The ancestors, roots first; ``None`` unless requested."""
    return None if found.ancestors is None else [Related("ancestor", *one) for one in found.ancestors]


def related(found: Lineage) -> list[Related]:
    """All jobs: ancestors from the farthest, the job, descendants from the nearest."""
    below = found.descendants
    nodes = [node for node in below.nodes.values() if node.id != found.job.id] if below else []
    return [
        *(ancestors(found) or ()),
        Related("job", 0, found.job),
        *(Related("descendant", below.depths[node.id], node) for node in nodes if below),
    ]


def lineage_text(
    lineage: Lineage, *, charset: str = "utf8", width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Yields the ancestors, the farthest first, then the tree of descendants."""
    from hammerwork_cli.features.tree.views.text import tree_text

    if lineage.ancestors is not None:
        yield paint("Ancestors", "bold", colour)
        yield from _ancestors(lineage, "..." if charset == "ascii" else "…", width, colour)
    if lineage.descendants is not None:
        if lineage.ancestors is not None:
            yield ""
        yield paint("Descendants", "bold", colour)
        if len(lineage.descendants.nodes) == 1 and not lineage.descendants.truncated:
            yield "  none: no job depends on it"
            return
        yield from tree_text(
            lineage.descendants, max_depth=None, charset=charset, width=width, colour=colour, fold=True
        )


def _ancestors(lineage: Lineage, ellipsis: str, width: int | None, colour: bool) -> Iterator[str]:
    rows = lineage.ancestors or ()
    if not rows and not lineage.missing:
        yield "  none: it depends on no other job"
    for distance, node in rows:
        above = f"{plural(distance, 'level')} above"
        line = f"  {above:>15}  {visible(node.queue)} {short_id(node.id)}"
        error = f" · {first_line(node.error)}" if node.error and node.status != JobStatus.COMPLETED else ""
        room = None if width is None else max(width - len(line) - len(node.status) - 3, 20)
        yield f"{line} · {paint_status(node.status, visible(node.status), colour)}{shorten(error, room, ellipsis)}"
    for job in sorted(lineage.missing):
        yield f"  {short_id(job)} · not in the database, although a job depends on it"
    if lineage.truncated:
        yield "  more above, not read: --depth"
