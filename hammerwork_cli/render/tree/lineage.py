"""The ancestors and descendants of a job, as text and as JSON records."""

from collections.abc import Iterator
from datetime import datetime

from hammerwork_cli.models import (
    JobStatus,
    Lineage,
)
from hammerwork_cli.render.formats.colour import paint, paint_status
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import (
    first_line,
    plural,
    short_id,
    shorten,
    visible,
)
from hammerwork_cli.render.tree.json import node_record, tree_record


def lineage_record(lineage: Lineage) -> Record:
    """The ancestors and descendants of a job.

    Keys: ``job`` (:func:`node_record`), ``ancestors`` (the same keys and ``distance``, levels above the job, roots
    first; null unless requested), ``descendants`` (the object of :func:`tree_document`; null unless requested),
    ``missing`` (ids of parents that do not exist), ``truncated``.
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
    "run_started_at",
)
"""Columns of :func:`lineage_rows`."""


def lineage_rows(lineage: Lineage) -> list[Record]:
    """A lineage as one record for each job: ancestors from the farthest, the job, descendants from the nearest.

    Keys: ``relation`` (``ancestor``, ``job``, ``descendant``), ``distance`` (levels from the job), and those of
    :func:`node_record`.
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


def lineage_text(
    lineage: Lineage,
    *,
    charset: str = "utf8",
    width: int | None = None,
    colour: bool = False,
    now: datetime | None = None,
) -> Iterator[str]:
    """Yields the ancestors, the farthest first, then the tree of descendants."""
    from hammerwork_cli.render.tree.text import tree_text

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
            lineage.descendants, max_depth=None, charset=charset, width=width, colour=colour, fold=True, now=now
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
