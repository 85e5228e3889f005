"""Checks of the files of TLS that a URL names, for all databases."""

import re
from pathlib import Path

from hammerwork_cli import disk
from hammerwork_cli.errors import ConfigError

FOLDERS = ("sslcrldir",)
AUTHORITIES = ("ssl_ca", "sslrootcert")
LARGEST = 1 << 24
"""Bytes of a file: the authorities of a whole system have half a million."""
_CERTIFICATE = re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----")


def readable(option: str, path: str, hint: str = "Check the path and its permissions.") -> str:
    """Returns the path of a readable file or folder, with ``~`` resolved."""
    found = Path(path).expanduser()
    try:
        if not path:
            raise FileNotFoundError(0, "the path is empty")
        if option in FOLDERS:
            next(found.iterdir(), None)
        elif option in AUTHORITIES:
            _check(option, path, _content(found))
        else:
            _content(found)
    except OSError as error:
        raise ConfigError(f"{option}: {path!r} cannot be read: {error.strerror}.", hint=hint) from None
    return str(found)


def _content(path: Path) -> bytes:
    disk.check_regular(path)  # client libraries read a device to its end, which may never come
    return disk.read(path, LARGEST)


def _check(option: str, path: str, content: bytes) -> None:
    if not _CERTIFICATE.search(content):
        what = "a key, not a certificate" if b"PRIVATE KEY-----" in content else "no certificate"
        raise ConfigError(f"{option}: {path!r} contains {what}.", hint="Give the file of the CA's certificate, in PEM.")
