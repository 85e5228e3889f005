"""What TLS asks of a URL whatever the database is."""

from pathlib import Path

from hammerwork_cli.errors import ConfigError

FOLDERS = ("sslcrldir",)


def readable(option: str, path: str, hint: str = "Check the path and its permissions.") -> str:
    """The path of a file or folder that an option names, with ``~`` resolved.

    Raises:
        ConfigError: it cannot be read. Client libraries verify nothing then, or less, and say nothing.
    """
    found = Path(path).expanduser()
    try:
        if not path:
            raise FileNotFoundError(0, "it is empty")
        if option in FOLDERS:
            next(found.iterdir(), None)
        else:
            found.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{option}: {path!r} cannot be read: {error.strerror}.", hint=hint) from None
    return str(found)
