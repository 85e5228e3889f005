"""A tree in whichever form was asked for."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hammerwork_cli.models import SpawnTree
from hammerwork_cli.models.why import Annotations
from hammerwork_cli.render.tree.prune import prune

READ_PER_DRAWN_NODE = 100
"""A bounded picture may read this many jobs for each that it may draw, so that what it folds is counted."""


class TreeFormat(StrEnum):
    """How a tree is printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    MERMAID = "mermaid"
    DOT = "dot"


class Charset(StrEnum):
    """Characters that the lines of a tree are drawn with."""

    UTF8 = "utf8"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tree is drawn, and so how much needs to be read.

    Attributes:
        depth: levels below the roots.
        children: children drawn for each parent.
        nodes: jobs drawn.
    """

    depth: int | None = None
    children: int | None = None
    nodes: int | None = None

    @classmethod
    def of(
        cls, form: TreeFormat, depth: int | None, children: int | None, nodes: int | None, *, full: bool
    ) -> "Limits":
        """What was asked for, with the defaults of text: 10 levels, 20 children a parent, 500 jobs."""
        if full or form != TreeFormat.TEXT:
            return cls(depth, children, nodes)
        return cls(depth if depth is not None else 10, children or 20, nodes or 500)

    @property
    def max_jobs(self) -> int | None:
        """Jobs to read at most."""
        return None if self.nodes is None else self.nodes * READ_PER_DRAWN_NODE


@dataclass(frozen=True, slots=True)
class Picture:
    """Text for stdout as it comes, and remarks for stderr once it is out."""

    parts: Iterable[str]
    notes: Sequence[str] = field(default_factory=list)


def picture(
    tree: SpawnTree,
    form: TreeFormat,
    limits: Limits,
    *,
    statuses: Collection[str] | None = None,
    charset: str = "utf8",
    width: int | None = None,
    colour: bool = False,
    now: datetime | None = None,
    annotations: Annotations | None = None,
) -> Picture:
    """Draws a tree; only the module of its form is imported.

    Args:
        tree: as it was read.
        form: which form.
        limits: how much of it.
        statuses: only jobs in one of these, and the way to them.
        charset: ``utf8`` or ``ascii``, for text.
        width: of the terminal, for text.
        colour: ANSI colours, for text.
        now: says in text for how long jobs have been running.
        annotations: what keeps jobs from starting, for text.
    """
    if form == TreeFormat.TEXT:
        from hammerwork_cli.render.tree.text import tree_text

        lines = tree_text(
            tree,
            max_depth=limits.depth,
            max_children=limits.children,
            max_nodes=limits.nodes,
            charset=charset,
            status=statuses,
            width=width,
            colour=colour,
            now=now,
            annotations=annotations,
        )
        return Picture(f"{line}\n" for line in lines)
    tree = prune(tree, statuses=statuses, children=limits.children, nodes=limits.nodes)
    if form == TreeFormat.MERMAID:
        from hammerwork_cli.render.tree.mermaid import mermaid

        diagram, notes = mermaid(tree)
        return Picture([diagram], notes)
    if form == TreeFormat.DOT:
        from hammerwork_cli.render.tree.dot import dot

        return Picture(dot(tree))
    from hammerwork_cli.render.tree import json as json_views

    if form == TreeFormat.JSONL:
        return Picture(f"{line}\n" for line in json_views.tree_lines(tree))
    return Picture(json_views.tree_document(tree))
