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
        "health": LateVerb("monitor.health:health"),
        "dashboard": LateVerb(
            "monitor.dashboard:dashboard", {"-i": "--interval", "--refresh": "--interval", "-n": "--queue"}
        ),
        "metrics": LateVerb("monitor.metrics:metrics", {"-n": "--queue"}),
        "logs": LateVerb("monitor.logs:logs", {"-n": "--queue", "--tail": "--follow"}),
    },
)
