"""``hammerwork web``: the REST API, and a page to look at."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import EncryptionKeyOption, several_names
from hammerwork_cli.cli.verb import group
from hammerwork_cli.database import redact as without_passwords
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.web.endpoints.settings import ServerSettings

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys

app = group("web serve --port 8080")


@app.callback()
def web() -> None:
    pass  # with it a group of one verb stays a group


INSTALL = "In a checkout of hammerwork, run: pip install '.[web]'"


@app.verb("serve")
def serve(
    context: Context,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = 8080,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TOKEN", help="Token that every request must carry.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse every change.")] = False,
    redact: Annotated[bool, typer.Option("--redact", help="Show states, times and counts only.")] = False,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="ORIGIN",
            callback=several_names,
            help="Let pages of these origins use the API (repeatable).",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            callback=several_names,
            help="Accept these host names too, such as a proxy's (repeatable).",
        ),
    ] = None,
    encryption_key: EncryptionKeyOption = None,
) -> None:
    """Serve the REST API and the live page until Ctrl-C.

    Without a token, the server listens only on a loopback address: any program on this machine can read, and changes
    need an Origin header with the server's own origin. Set the token in HAMMERWORK_WEB_TOKEN to keep it out of the
    process list.

    \b
    Examples:
      hammerwork web serve
      hammerwork web serve --port 9000 --read-only --redact
      HAMMERWORK_WEB_TOKEN=$(openssl rand -hex 32) hammerwork web serve --host 0.0.0.0
    """
    settings = ServerSettings.of(
        host,
        context.environ.get("HAMMERWORK_WEB_TOKEN") if token is None else token,
        read_only=read_only,
        redact=redact,
        cors_origins=cors_origin or (),
        host_names=allow_host or (),
        allowed=context.allowed,
    )
    _serve(context, settings, host, port, context.encryption_keys(encryption_key))


def _serve(context: Context, settings: ServerSettings, host: str, port: int, keys: "Keys | None") -> None:
    try:
        from hammerwork_cli.web import serving
    except ModuleNotFoundError as error:
        raise ConfigError(f"The web server needs {error.name}, which is not installed.", hint=INSTALL) from error
    # What is wrong with the database is said now and not to the first who asks.
    url = replace(context.lasting_url(changes=not settings.read_only), keys=keys)
    with serving.listen(host, port) as listening:
        context.lines([serving.address(listening, host)])
        context.stdout.flush()
        context.note("Press Ctrl-C to stop.")
        serving.serve(
            url, settings, listening, now=context.now, operator=context.operator, report=partial(_report, context)
        )


def _report(context: Context, text: str) -> None:
    print(without_passwords(text).rstrip(), file=context.stderr, flush=True)
