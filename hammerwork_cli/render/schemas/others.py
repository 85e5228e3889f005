"""What migrations, settings and errors look like."""

from hammerwork_cli.render.schemas.words import count, flag, null_or, record, text

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
