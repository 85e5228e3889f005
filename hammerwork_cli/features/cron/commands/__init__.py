from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "cron create --queue report --payload '{}' --schedule '30 2 * * Mon-Fri' --timezone Europe/Oslo",
    "cron list",
    "cron history report",
    package=__package__,
    verbs={
        "list": LateVerb(
            ".reading:list_",
            "List schedules by name, then recurring jobs, each with its next due time and its last run.",
        ),
        "show": LateVerb(
            ".reading:show", "Show everything about a schedule: its meaning, next due times and last runs."
        ),
        "history": LateVerb(
            ".reading:history",
            "List the runs of a schedule, latest due time first: the job of each, or why there is none.",
        ),
        "next": LateVerb(
            ".reading:next_",
            "List the next due times of all enabled schedules, or of one, in local and UTC time.",
        ),
        "check": LateVerb(
            ".reading:check",
            "Explain a cron expression without a database: its meaning, its due times and common mistakes.",
        ),
        "create": LateVerb(
            ".create:create",
            ("Create a schedule and print its name. Each run is its own job, with its own tree."),
        ),
        "update": LateVerb(
            ".create:update",
            ("Change a schedule. A change never starts a run at once: the next run is at the next due time."),
        ),
        "apply": LateVerb(".apply:apply", "Make schedules match a file or an application, and show what changed."),
        "enable": LateVerb(".changes:enable", "Enable schedules. Due times that passed meanwhile are not caught up."),
        "disable": LateVerb(
            ".changes:disable",
            ("Disable schedules: they enqueue no jobs until `cron enable`. Jobs that are already enqueued still run."),
        ),
        "trigger": LateVerb(".changes:trigger", "Enqueue a job of a schedule now, and print its id."),
        "backfill": LateVerb(".backfill:backfill", "Enqueue jobs for due times that passed without one."),
        "convert": LateVerb(
            ".changes:convert",
            (
                "Turn a recurring job into a schedule, so that each run is its own job. "
                "The recurring job stays, disabled."
            ),
        ),
        "delete": LateVerb(".changes:delete", "Delete a schedule and its history. Its jobs stay."),
    },
)
