from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "archive run --older-than 30d --dry-run",
    "archive list --queue mail",
    "archive restore 178ebfc3 --run-again",
    package=__package__,
    verbs={
        "run": LateVerb(
            ".moving:run",
            "Archive finished jobs that are old enough. Asks for confirmation.",
        ),
        "list": LateVerb(
            ".reading:list_",
            "List archived jobs, most recently archived first.",
        ),
        "show": LateVerb(".reading:show", "Show everything about an archived job. `job show` finds archived jobs too."),
        "restore": LateVerb(
            ".moving:restore",
            "Restore an archived job; with --tree, everything below it too.",
        ),
        "stats": LateVerb(
            ".reading:stats",
            "Count archived jobs and their bytes, by queue and reason.",
        ),
        "purge": LateVerb(
            ".moving:purge",
            "Delete old archived jobs for good. Asks for confirmation.",
        ),
        "set-policy": LateVerb(
            ".policies:set_policy",
            "Set how long the jobs of a queue are kept before workers archive or delete them.",
        ),
        "get-policy": LateVerb(
            ".policies:get_policy",
            "Show the policy of a queue, and its last run. Exit code 5 if it has none.",
        ),
        "policies": LateVerb(".policies:policies_", "List all policies; * stands for queues without a policy."),
        "remove-policy": LateVerb(
            ".policies:remove_policy",
            ("Remove the policy of a queue; the policy of --all then applies to it. Asks for confirmation."),
        ),
    },
)
