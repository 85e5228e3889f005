"""``hammerwork backup``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "backup",
    "Back up jobs, restore them, and copy them to a database of another kind.",
    "backup create -o jobs.jsonl.gz",
    "backup verify jobs.jsonl.gz",
    "backup copy --to postgresql://user@db.example/jobs",
    verbs={
        "create": LateVerb("backup.create:create", {"-n": "--queue"}),
        "restore": LateVerb("backup.restore:restore", {"--confirm": "--yes"}),
        "verify": LateVerb("backup.files:verify"),
        "list": LateVerb("backup.files:list_"),
        "copy": LateVerb("backup.copy:copy", {"--confirm": "--yes"}),
    },
)
