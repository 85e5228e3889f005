"""``hammerwork spawn``: what jobs spawned."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "spawn",
    "Inspect jobs that spawn other jobs: trees, failures, progress.",
    "spawn list --recent",
    "spawn tree 178ebfc3",
    "spawn why 178ebfc3",
    verbs={
        "list": LateVerb(
            "spawn.operations:list_", "List parents that spawned, newest first, with a count of their children."
        ),
        "tree": LateVerb("spawn.tree:tree", "Draw the whole tree that a job belongs to, failures first."),
        "stats": LateVerb(
            "spawn.stats:stats", "Show statistics of spawning: operations, children, success rate, depth, run times."
        ),
        "lineage": LateVerb(
            "spawn.tree:lineage", "List the ancestors of a job, up to every root, and its descendants."
        ),
        "pending": LateVerb(
            "spawn.stats:pending",
            "List jobs that have yet to spawn, that completed without spawning, or that wait for others.",
        ),
        "again": LateVerb(
            "spawn.again:again", "Ask a worker to spawn again for a completed job, and print the request's id."
        ),
        "timeline": LateVerb(
            "spawn.timeline:timeline",
            "Show where the time of a job's whole tree went: waiting, retrying or running, and on which critical path.",
        ),
        "compare": LateVerb(
            "spawn.compare:compare", "Compare the times of two trees: the whole, the critical paths, and each queue."
        ),
        "rehearse": LateVerb(
            "spawn.rehearse:rehearse",
            "Run a job's spawn handler here and show what it would spawn; nothing is written to the database.",
        ),
        "wait": LateVerb(
            "spawn.wait:wait", "Wait until the whole tree of a job has finished, including jobs spawned meanwhile."
        ),
        "on-end": LateVerb(
            "spawn.on_end:on_end",
            "Enqueue jobs at the end of JOB and everything below it, however much that becomes; list such callbacks.",
        ),
        "why": LateVerb(
            "spawn.why:why",
            "Explain why a job, or a job below it, failed or waits; without JOB, list the errors of all failed jobs.",
        ),
        "doctor": LateVerb("spawn.doctor:doctor", "Find damaged jobs, and fix them with --fix."),
        "monitor": LateVerb(
            "spawn.monitor:monitor", "Show what is happening now: rates, running operations, newest failures, workers."
        ),
    },
)
