"""``hammerwork monitor``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "monitor",
    "See what is wrong, and what happens.",
    "monitor health",
    "monitor dashboard",
    "monitor metrics --format prometheus",
    "monitor logs --follow",
    verbs={
        "health": LateVerb("monitor.health:health", "Say what is wrong now: exit code 1 when a check is critical."),
        "dashboard": LateVerb(
            "monitor.dashboard:dashboard",
            "Show what happens now: rates, running operations, newest failures, workers.",
            {"-i": "--interval", "--refresh": "--interval", "-n": "--queue"},
        ),
        "metrics": LateVerb(
            "monitor.metrics:metrics", "Show figures of queues, workers and spawning.", {"-n": "--queue"}
        ),
        "logs": LateVerb(
            "monitor.logs:logs",
            "Show job events, one line each: created, started, attempt failed, completed, failed, spawned children.",
            {"-n": "--queue", "--tail": "--follow"},
        ),
    },
)
