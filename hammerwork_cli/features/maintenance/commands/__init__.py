from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "maintenance sizes",
    "maintenance vacuum",
    package=__package__,
    verbs={
        "cleanup": LateVerb(
            ".cleanup:cleanup",
            "Delete old finished jobs for good. Asks for confirmation.",
        ),
        "purge-encrypted": LateVerb(
            ".cleanup:purge_encrypted",
            ("Delete encrypted jobs whose retention_delete_at has passed, for good. Asks for confirmation."),
        ),
        "vacuum": LateVerb(
            ".tables:vacuum",
            "Reclaim the space of deleted rows: VACUUM (ANALYZE), OPTIMIZE TABLE on MySQL, VACUUM on SQLite.",
        ),
        "analyze": LateVerb(
            ".tables:analyze",
            "Update the statistics from which the query planner chooses indexes.",
        ),
        "reindex": LateVerb(".tables:reindex", "Rebuild indexes, invalid ones first."),
        "sizes": LateVerb(
            ".tables:sizes",
            "List tables, largest first, with their rows and the space that they and their indexes take.",
        ),
        "health": LateVerb(".tables:health", "Check tables and indexes: exit code 1 when a limit is exceeded."),
        "check": LateVerb(".doctor:check", "Find damaged jobs, and fix them with --fix. The same as `spawn doctor`."),
        "dead-jobs": LateVerb(
            ".doctor:dead_jobs",
            ("Rescue jobs that have been Running for too long and whose worker is gone. Asks for confirmation."),
        ),
    },
)
