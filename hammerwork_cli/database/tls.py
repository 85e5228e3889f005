"""What TLS asks of a URL whatever the database is."""

import re
from pathlib import Path

from hammerwork_cli.errors import ConfigError

FOLDERS = ("sslcrldir",)
AUTHORITIES = ("ssl_ca", "sslrootcert")
_CERTIFICATE = re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----")


def readable(option: str, path: str, hint: str = "Check the path and its permissions.") -> str:
    """The path of a file or folder that an option names, with ``~`` resolved.

    Raises:
        ConfigError: it cannot be read, or is to hold a CA and holds no certificate. Client libraries verify nothing
            then, or less, and say nothing, or not what is wrong.
    """
    found = Path(path).expanduser()
    try:
        if not path:
            raise FileNotFoundError(0, "it is empty")
        if option in FOLDERS:
            next(found.iterdir(), None)
        elif option in AUTHORITIES:
            _check(option, path, found.read_bytes())
        else:
            found.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{option}: {path!r} cannot be read: {error.strerror}.", hint=hint) from None
    return str(found)


def _check(option: str, path: str, content: bytes) -> None:
    if not _CERTIFICATE.search(content):
        what = "a key, and no certificate" if b"PRIVATE KEY-----" in content else "no certificate"
        raise ConfigError(f"{option}: {path!r} holds {what}.", hint="Name the file of the CA's certificate, in PEM.")
