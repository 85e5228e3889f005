"""``hammerwork batch``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "batch",
    "List batches, and see what became of their jobs.",
    "batch list",
    "batch show 178ebfc3",
    verbs={
        "list": LateVerb("batch.reading:list_", "Batches, newest first, with their jobs counted."),
        "show": LateVerb("batch.reading:show", "Show everything about a batch: its jobs by queue, and their errors."),
    },
)
