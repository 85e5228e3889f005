from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "batch enqueue --file letters.jsonl --queue mail --name letters",
    "batch show 178ebfc3",
    "batch list --since 7d",
    package=__package__,
    verbs={
        "enqueue": LateVerb(
            ".enqueue:enqueue",
            "Enqueue the jobs of a file as one batch, and print its id.",
        ),
        "list": LateVerb(".reading:list_", "List batches, newest first, with counts of their jobs."),
        "show": LateVerb(".reading:show", "Show everything about a batch: its jobs by queue, and their errors."),
        "wait": LateVerb(".reading:wait", "Wait until all jobs of a batch have ended."),
        "retry": LateVerb(
            ".changes:retry",
            "Retry the Failed, Dead and TimedOut jobs of a batch, as `job retry` does.",
        ),
        "cancel": LateVerb(
            ".changes:cancel",
            "Cancel the jobs of a batch that have not started, as `job cancel` does.",
        ),
        "export": LateVerb(".export:export", "Export the whole jobs of a batch, as `job export` does."),
        "delete": LateVerb(".changes:delete", "Delete a batch and its jobs for good. Asks for confirmation."),
    },
)
