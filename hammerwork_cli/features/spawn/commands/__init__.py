from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "spawn list --since 1h",
    "spawn tree 178ebfc3",
    "spawn why 178ebfc3",
    package=__package__,
    verbs={
        "list": LateVerb(
            ".operations:list_", "List parents that spawned, newest first, with a count of their children."
        ),
        "tree": LateVerb(".tree:tree", "Draw the whole tree that a job belongs to, failures first."),
        "stats": LateVerb(
            ".stats:stats", "Show statistics of spawning: operations, children, success rate, depth, run times."
        ),
        "lineage": LateVerb(".tree:lineage", "List the ancestors of a job, up to every root, and its descendants."),
        "pending": LateVerb(
            ".stats:pending",
            "List jobs that have yet to spawn, that completed without spawning, or that wait for others.",
        ),
        "again": LateVerb(
            ".again:again", "Ask a worker to spawn again for a completed job, and print the request's id."
        ),
        "timeline": LateVerb(
            ".timeline:timeline",
            "Show where a job's whole tree spent its time: waiting, retrying or running, and on which critical path.",
        ),
        "compare": LateVerb(
            ".compare:compare", "Compare the times of two trees: the whole, the critical paths, and each queue."
        ),
        "rehearse": LateVerb(
            ".rehearse:rehearse",
            "Run a job's spawn handler here and show what it would spawn; nothing is written to the database.",
        ),
        "wait": LateVerb(
            ".wait:wait", "Wait until the whole tree of a job has finished, including jobs spawned meanwhile."
        ),
        "on-end": LateVerb(
            ".on_end:on_end",
            "Enqueue jobs when JOB and everything below it has ended, and list these callbacks.",
        ),
        "why": LateVerb(
            ".why:why",
            "Explain why a job, or a job below it, failed or waits; without JOB, list the errors of all failed jobs.",
        ),
        "doctor": LateVerb(".doctor:doctor", "Find damaged jobs, and fix them with --fix."),
        "monitor": LateVerb(
            ".monitor:monitor", "Show what is happening now: rates, operations, queues, newest failures, workers."
        ),
    },
)
