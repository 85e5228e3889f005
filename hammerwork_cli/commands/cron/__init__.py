"""``hammerwork cron``: schedules, and the jobs that they make."""

from hammerwork_cli.cli.verb import LateVerb, group

_OF_RUST = {"-n": "--queue"}
"""What hammerwork (Rust) calls a queue."""

app = group(
    "cron",
    "Schedule jobs: each run is its own job, with its own tree.",
    "cron create --queue report --payload '{}' --schedule '30 2 * * Mon-Fri' --timezone Europe/Oslo",
    "cron list",
    "cron history report",
    verbs={
        "list": LateVerb("cron.reading:list_", _OF_RUST),
        "show": LateVerb("cron.reading:show"),
        "history": LateVerb("cron.reading:history"),
        "next": LateVerb("cron.reading:next_", _OF_RUST),
        "check": LateVerb("cron.reading:check"),
        "create": LateVerb("cron.create:create", _OF_RUST),
        "update": LateVerb("cron.create:update", _OF_RUST),
        "enable": LateVerb("cron.changes:enable"),
        "disable": LateVerb("cron.changes:disable"),
        "trigger": LateVerb("cron.changes:trigger"),
        "convert": LateVerb("cron.changes:convert"),
        "delete": LateVerb("cron.changes:delete", {"--confirm": "--yes"}),
    },
)
