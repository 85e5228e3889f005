"""The endpoint that describes the server."""

from typing import Any

from hammerwork_cli.version import __version__
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint


def about(call: Call) -> Answer:
    """Answers with the version and the options of the server."""
    return Answer(
        {
            "version": __version__,
            "database": call.database.server,
            "read_only": call.settings.read_only,
            "redacted": call.settings.redact,
        }
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/about",
        about,
        "The version and the options of this server.",
        Shape[Any](
            {
                "version": key.text("Version of the server"),
                "database": key.text("Product and version of the database"),
                "read_only": key.flag("Whether the server refuses changes"),
                "redacted": key.flag("Whether payloads, results, errors and the like are hidden"),
            }
        ).schema,
    ),
)
