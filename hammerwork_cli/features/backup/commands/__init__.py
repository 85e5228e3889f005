from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "backup create -o jobs.jsonl.gz",
    "backup verify jobs.jsonl.gz",
    "backup copy --to postgresql://user@db.example/jobs",
    package=__package__,
    verbs={
        "create": LateVerb(
            ".create:create",
            "Write jobs and their records to a file that any kind of database can restore.",
        ),
        "restore": LateVerb(
            ".restore:restore",
            "Restore a file of `backup create`, even one from another kind of database.",
        ),
        "verify": LateVerb(
            ".files:verify",
            "Check that a file of `backup create` or `job export --tree` is complete, and show what it contains.",
        ),
        "list": LateVerb(
            ".files:list_", "List the files of `backup create` and `job export --tree` in a folder, newest first."
        ),
        "copy": LateVerb(
            ".copy:copy",
            "Copy everything to another database, even of another kind, and compare the two.",
        ),
    },
)
