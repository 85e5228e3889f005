"""Schemas of drawn trees."""

from hammerwork_cli.render.schemas.jobs import IN_TREE
from hammerwork_cli.render.schemas.words import count, flag, job_id, list_of, record, without

NESTED = record(
    {
        "schema_version": {"const": 1},
        "target": job_id("The job that was asked for"),
        "truncated": flag("Whether a limit cut something"),
        "total_nodes": count("Jobs in this answer"),
        "roots": list_of(
            record(
                {
                    **without(IN_TREE, "children"),
                    "children_total": count("All of them, shown or not"),
                    "repeated": flag("It also appears elsewhere, with its children"),
                    "children": list_of({"type": "object", "description": "A node like this one"}),
                }
            ),
            "The topmost ancestors",
        ),
    }
)
