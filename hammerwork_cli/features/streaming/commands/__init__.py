from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "streaming add --name lake --backend kafka --kafka-brokers kafka:9092 --kafka-topic job-events",
    "streaming show lake",
    "streaming test lake",
    package=__package__,
    verbs={
        "list": LateVerb(".reading:list_", "List streams by name."),
        "show": LateVerb(".reading:show", "Show everything about a stream: what it sends, and what waits."),
        "add": LateVerb(
            ".changes:add",
            "Add a stream and print its id. Workers that do upkeep send to it. Programs notice it within 5 s.",
        ),
        "update": LateVerb(".changes:update", "Change a stream. Options that you omit keep their values."),
        "enable": LateVerb(".changes:enable", "Let a stream take events again, from now on."),
        "disable": LateVerb(".changes:disable", "Let a stream take and send nothing until `streaming enable`."),
        "toggle": LateVerb(".changes:toggle", "Enable or disable a stream."),
        "remove": LateVerb(".changes:remove", "Remove a stream and the events that wait."),
        "replay": LateVerb(".changes:replay", "Replay the job-end events since a time."),
        "test": LateVerb(".reading:try_", "Send an example now, from here, and wait for the acknowledgement."),
        "stats": LateVerb(".reading:stats", "List streams with what they sent, and what waits."),
        "health": LateVerb(".reading:health", "Exit with 1 if a stream fails, or its backlog is old or nearly full."),
    },
)
