"""``hammerwork archive``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "archive",
    "Move finished jobs to the archive, and back; say how long jobs are kept.",
    "archive run --older-than 30d --dry-run",
    "archive list --queue mail",
    "archive restore 178ebfc3 --run-again",
    verbs={
        "run": LateVerb(
            "archive.run:run",
            "Move finished jobs to the archive, by the time since they ended.",
            {"--queue-name": "--queue", "--confirm": "--yes"},
        ),
        "list": LateVerb(
            "archive.reading:list_",
            "List archived jobs, most recently archived first.",
            {"--queue-name": "--queue"},
        ),
        "show": LateVerb("archive.reading:show", "Show everything about a job as it is in the archive."),
        "restore": LateVerb(
            "archive.moving:restore",
            "Move an archived job back to the table of jobs; with --tree everything below it too.",
            {"--confirm": "--yes"},
        ),
        "stats": LateVerb(
            "archive.reading:stats",
            "Count archived jobs and their bytes, by queue and reason.",
            {"--queue-name": "--queue"},
        ),
        "purge": LateVerb(
            "archive.moving:purge",
            "Delete archived jobs for good, by the time since they were archived.",
            {"--confirm": "--yes"},
        ),
        "set-policy": LateVerb(
            "archive.policies:set_policy",
            "Set how long the jobs of a queue are kept before workers archive or delete them.",
            {"--queue-name": "--queue"},
        ),
        "get-policy": LateVerb(
            "archive.policies:get_policy",
            "Show the policy of a queue, and when workers last ran it.",
            {"--queue-name": "--queue"},
        ),
        "policies": LateVerb("archive.policies:policies_", "List all policies; * stands for all queues without one."),
        "remove-policy": LateVerb(
            "archive.policies:remove_policy",
            "Remove the policy of a queue; the policy of all other queues applies to it from then on.",
            {"--queue-name": "--queue", "--confirm": "--yes"},
        ),
    },
)
