"""The endpoint that describes the server."""

from hammerwork_cli.version import __version__
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint

ABOUT = Shape[Call](
    {
        "version": key.text("Version of the server").of(lambda _: __version__),
        "database": key.text("Product and version of the database").of("database.server"),
        "read_only": key.flag("Whether the server refuses changes").of("settings.read_only"),
        "redacted": key.flag("Whether payloads, results, errors and the like are hidden").of("settings.redact"),
    }
)


def about(call: Call) -> Answer:
    """Answers with the version and the options of the server."""
    return Answer(ABOUT.record(call))


ENDPOINTS = (Endpoint("GET", "/api/about", about, "The version and the options of this server.", ABOUT.schema),)
