from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "webhook add --name chat --url https://chat.example/hook --events dead,timed_out",
    "webhook deliveries chat --failed",
    "webhook test chat",
    package=__package__,
    verbs={
        "list": LateVerb(".reading:list_", "List webhooks by name."),
        "show": LateVerb(".reading:show", "Show everything about a webhook but its secrets."),
        "add": LateVerb(
            ".changes:add",
            "Add a webhook and print its id. Workers that do upkeep deliver to it. Programs notice it within 5 s.",
        ),
        "update": LateVerb(".changes:update", "Change a webhook. Options that you omit keep their values."),
        "rotate-secret": LateVerb(
            ".changes:rotate_secret", "Give a webhook a new secret and print it. The old one signs too for a while."
        ),
        "enable": LateVerb(".changes:enable", "Let a webhook deliver events again, from now on."),
        "disable": LateVerb(".changes:disable", "Let a webhook deliver nothing until `webhook enable`."),
        "toggle": LateVerb(".changes:toggle", "Enable or disable a webhook."),
        "remove": LateVerb(".changes:remove", "Remove a webhook. Deliveries that wait end as Cancelled."),
        "deliveries": LateVerb(
            ".reading:deliveries", "List the deliveries of one webhook, or of all, newest first. Each is a job."
        ),
        "replay": LateVerb(".changes:replay", "Deliver again what was given up, or everything since a time."),
        "stats": LateVerb(".reading:stats", "Count the deliveries of webhooks since a time."),
        "test": LateVerb(".trying:try_", "Send an event now, from here, and show the request and the answer."),
        "verify": LateVerb(".trying:verify", "Check the signature of a request that a receiver got."),
        "import": LateVerb(".changes:import_", "Add the webhooks of version 3 of hammerwork (Rust)."),
    },
)
