from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "monitor health",
    "monitor metrics --format prometheus",
    "monitor logs --follow",
    package=__package__,
    verbs={
        "health": LateVerb(
            ".health:health",
            (
                "Show what is wrong now; exit code 1 when a check is critical. "
                "The line below a check is the command to run next."
            ),
        ),
        "dashboard": LateVerb(
            ".dashboard:dashboard",
            (
                "Show what is happening now: rates, operations, queues, newest failures, workers. "
                "The same as `spawn monitor`."
            ),
        ),
        "metrics": LateVerb(".metrics:metrics", "Show metrics of queues, workers and spawning."),
        "logs": LateVerb(
            ".logs:logs",
            "Show job events, one per line: created, started, attempt failed, completed, failed, spawned children.",
        ),
    },
)
