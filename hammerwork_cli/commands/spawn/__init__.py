"""``hammerwork spawn``: what jobs spawned."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "spawn",
    "Inspect jobs that spawn other jobs: trees, failures, progress.",
    "spawn list --recent",
    "spawn tree 178ebfc3",
    "spawn why 178ebfc3",
    verbs={
        "list": LateVerb("spawn.operations:list_"),
        "tree": LateVerb("spawn.tree:tree"),
        "stats": LateVerb("spawn.stats:stats"),
        "lineage": LateVerb("spawn.tree:lineage"),
        "pending": LateVerb("spawn.stats:pending"),
        "again": LateVerb("spawn.again:again"),
        "timeline": LateVerb("spawn.timeline:timeline"),
        "compare": LateVerb("spawn.compare:compare"),
        "rehearse": LateVerb("spawn.rehearse:rehearse"),
        "wait": LateVerb("spawn.wait:wait"),
        "why": LateVerb("spawn.why:why"),
        "doctor": LateVerb("spawn.doctor:doctor"),
        "monitor": LateVerb("spawn.monitor:monitor"),
    },
)
