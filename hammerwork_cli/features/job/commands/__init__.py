from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "job list --failed",
    "job show 178ebfc3",
    'job enqueue --queue video_ingest --payload \'{"title": "Nordlichter"}\'',
    package=__package__,
    verbs={
        "list": LateVerb(".reading:list_", "List jobs, newest first."),
        "show": LateVerb(".reading:show", "Show everything about a job: payload, result, dependencies and dependents."),
        "enqueue": LateVerb(".enqueue:enqueue", "Enqueue a job and print its id."),
        "export": LateVerb(
            ".export:export",
            "Export whole jobs: every column, with payloads, results and whole errors.",
        ),
        "import": LateVerb(
            ".import_:import_",
            "Import a tree that `job export JOB --tree` wrote, from any kind of database; print the id of its topmost "
            "job.",
        ),
        "retry": LateVerb(
            ".changes:retry",
            "Retry Failed, Dead or TimedOut jobs: reset them to Pending with 0 attempts, due now.",
        ),
        "requeue-stale": LateVerb(
            "...maintenance.commands.doctor:requeue_stale",
            ("Rescue Running jobs whose workers are gone, as `spawn doctor --older-than` does. Asks for confirmation."),
        ),
        "cancel": LateVerb(
            ".changes:cancel",
            "Cancel jobs that have not started: mark them Cancelled, with your name in the error.",
        ),
        "delete": LateVerb(
            ".changes:delete",
            ("Delete jobs for good. Asks for confirmation, even for one job. Copies in the archive stay."),
        ),
        "purge": LateVerb(
            ".changes:purge",
            "Delete old finished jobs for good. Asks for confirmation.",
        ),
    },
)
