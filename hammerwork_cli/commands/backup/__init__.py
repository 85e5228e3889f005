"""``hammerwork backup``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "backup",
    "Back up jobs, restore them, and copy them to a database of another kind.",
    "backup create -o jobs.jsonl.gz",
    "backup verify jobs.jsonl.gz",
    "backup copy --to postgresql://user@db.example/jobs",
    verbs={
        "create": LateVerb(
            "backup.create:create",
            "Write jobs and everything that belongs to them into a file, which any kind of database can restore.",
            {"-n": "--queue"},
        ),
        "restore": LateVerb(
            "backup.restore:restore",
            "Restore a file of `backup create`, also one of another kind of database.",
            {"--confirm": "--yes"},
        ),
        "verify": LateVerb(
            "backup.files:verify",
            "Read a file of `backup create` or `job export --tree` to its end, and say what it has.",
        ),
        "list": LateVerb(
            "backup.files:list_", "List the files of `backup create` and `job export --tree` in a folder, newest first."
        ),
        "copy": LateVerb(
            "backup.copy:copy",
            "Copy everything to another database, also of another kind, and compare both.",
            {"--confirm": "--yes"},
        ),
    },
)
