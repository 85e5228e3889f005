"""What migrations, settings and errors look like."""

from hammerwork_cli.render.schemas.words import count, flag, instant, list_of, null_or, record, text

MIGRATION = {
    "id": text(),
    "owner": text("", "upstream", "ours"),
    "rust": null_or(text("The first version of hammerwork (Rust) that has it")),
    "description": text(),
}
MIGRATION_STATE = record(
    {
        **MIGRATION,
        "state": text("", "applied", "incomplete", "pending", "partial"),
        "applied": flag(),
        "executed_at": null_or(instant()),
        "execution_time_ms": null_or(count()),
        "missing": list_of(text(), "What an incomplete one lacks, such as: column hammerwork_jobs.claimed_at"),
        "warnings": list_of(text(), "What it had to change in jobs, or what does not work without it"),
    }
)
MIGRATION_PLAN = record(
    {
        **MIGRATION,
        "statements": list_of(text()),
        "rewrites": list_of(
            record({"table": text(), "rows": count(), "written": count()}),
            "Tables that are locked for readers too, until so many of their rows are written again",
        ),
    }
)
SETTING = record(
    {
        "key": text(),
        "value": {"type": ["string", "integer", "boolean", "null"]},
        "source": text("option, a variable's name, file or default"),
        "default": {"type": ["string", "integer", "boolean", "null"]},
        "environment": list_of(text(), "Variables that set it"),
        "description": text(),
    }
)
CONFIG_PATH = record({"path": text(), "exists": flag()})
ERROR = record(
    {
        "error": record(
            {
                "code": text("Stable"),
                "message": text(),
                "hint": null_or(text("The next step")),
                "exit_code": count(),
            },
            "Further keys depend on the error",
        )
    }
)
