from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "workflow create --file nightly.toml --dry-run",
    "workflow list --failed",
    "workflow show 178ebfc3",
    "workflow graph 178ebfc3 --format mermaid",
    package=__package__,
    verbs={
        "create": LateVerb(
            ".changes:create",
            "Create a workflow with the jobs of a file, and print its id.",
        ),
        "list": LateVerb(".reading:list_", "List workflows, newest first, with counts of their jobs."),
        "show": LateVerb(
            ".reading:show",
            "Show everything about a workflow: its jobs, their errors and their graph.",
        ),
        "graph": LateVerb(".reading:graph", "Draw the jobs of a workflow and what they wait for, failures first."),
        "wait": LateVerb(
            ".reading:wait",
            "Wait until all jobs of a workflow have ended, those that they spawn included.",
        ),
        "retry": LateVerb(
            ".changes:retry",
            "Retry the Failed, Dead and TimedOut jobs of a workflow, as `job retry` does.",
        ),
        "cancel": LateVerb(".changes:cancel", "Cancel a workflow: its jobs that have not started."),
        "delete": LateVerb(".changes:delete", "Delete a workflow and its jobs for good. Asks for confirmation."),
        "dependencies": LateVerb(
            ".reading:dependencies", "Show what a job waits for, and what waits for it, as `spawn lineage` does."
        ),
    },
)
