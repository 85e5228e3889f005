"""Draws a tree in any of its formats."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree
from hammerwork_cli.features.tree.views.prune import prune, with_below_omitted

READ_PER_DRAWN_NODE = 100
"""Jobs that may be read for each job that may be drawn, so that folded jobs are counted."""


class TreeFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    MERMAID = "mermaid"
    DOT = "dot"


class Charset(StrEnum):
    """Characters that draw a tree."""

    UTF8 = "utf8"
    ASCII = "ascii"


class Limits(NamedTuple):
    """Limits of drawing, which also limit reading."""

    depth: int | None = None  # levels below the roots
    children: int | None = None
    nodes: int | None = None

    @classmethod
    def of(
        cls, form: TreeFormat, depth: int | None, children: int | None, nodes: int | None, *, full: bool
    ) -> "Limits":
        """Fills in the defaults of text: 10 levels, 20 children for each parent, 500 jobs."""
        if full or form != TreeFormat.TEXT:
            return cls(depth, children, nodes)
        return cls(depth if depth is not None else 10, children or 20, nodes or 500)

    @property
    def max_jobs(self) -> int | None:
        """Most jobs to read."""
        return None if self.nodes is None else self.nodes * READ_PER_DRAWN_NODE


@dataclass(frozen=True, slots=True)
class Picture:
    """Pieces of text for stdout, and notes for stderr after them."""

    parts: Iterable[str]
    notes: Sequence[str] = field(default_factory=list)


def _notes(tree: SpawnTree) -> list[str]:
    if not tree.truncated:
        return []
    below = "" if tree.below_omitted else ", jobs below them are not"
    return [f"Only a part of the tree is drawn: missing children are counted{below}."]


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
    """Draws a tree; imports only the module of its format.

    Args:
        statuses: only jobs in one of these statuses, and the paths to them.
        charset: ``utf8`` or ``ascii``, for text.
        width: columns of the terminal, for text.
        now: the present, so that text can say how long jobs have been running.
        annotations: reasons why jobs do not start, for text.
    """
    if form == TreeFormat.TEXT:
        from hammerwork_cli.features.tree.views.text import tree_text

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
    read, tree = tree, prune(tree, statuses=statuses, children=limits.children, nodes=limits.nodes)
    if form in (TreeFormat.MERMAID, TreeFormat.DOT):
        tree = with_below_omitted(tree, read)
    if form == TreeFormat.MERMAID:
        from hammerwork_cli.features.tree.views.mermaid import mermaid

        diagram, notes = mermaid(tree)
        return Picture([diagram], notes + _notes(tree))
    if form == TreeFormat.DOT:
        from hammerwork_cli.features.tree.views.dot import dot

        return Picture(dot(tree), _notes(tree))
    from hammerwork_cli.features.tree.views import json as json_views

    if form == TreeFormat.JSONL:
        return Picture(f"{line}\n" for line in json_views.tree_lines(tree))
    return Picture(json_views.tree_document(tree))
