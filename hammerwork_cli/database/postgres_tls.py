"""TLS of connections to PostgreSQL: what its client library lets pass, and whoever names a CA does not expect.

Alone it takes ``prefer`` for what is not said, and with a CA that goes on without TLS when the certificate is a wrong
one; and when the file of the CA is not there, ``require`` verifies nothing.
"""

import os
import re
from typing import Any

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hammerwork_cli.database.tls import readable
from hammerwork_cli.errors import ConfigError

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
WITHOUT_PROOF = ("disable", "allow", "prefer")
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
OF_THE_MACHINE = "system"
ENGINE = ":"
"""In ``sslkey``: the key is in a device, and what stands there is no path."""
HINT = "The URL names it, or a variable as PGSSLROOTCERT, or a service file. Check the path and its permissions."
NOWHERE = {"host": os.devnull, "hostaddr": "", "port": "", "password": "-"}
"""A folder that is none: a connection to it ends before anything is sent. With a password, ~/.pgpass is not read."""


def arguments(url: str) -> dict[str, Any]:
    """What is to be said of TLS besides what the URL, the environment and a service file say.

    Raises:
        ConfigError: the mode is not known or does not go with the files, or a file cannot be read.
    """
    asked = conninfo_to_dict(url)
    heard = _heard(url)
    mode = heard.get("sslmode", "prefer")
    if mode not in MODES:
        raise ConfigError(f"sslmode={mode[:40]!r} is not known.", hint=f"Known: {', '.join(MODES)}.")
    named = {name: heard[name] for name in FILES if heard.get(name)}
    # An empty one in the URL is a variable of a shell that was not set.
    named |= {name: "" for name in FILES if asked.get(name) == ""}
    files = {name: readable(name, value, HINT) for name, value in named.items() if _is_path(name, value)}
    if "sslrootcert" not in named or mode not in WITHOUT_PROOF:
        return files
    if mode == "prefer" and "prefer" not in (asked.get("sslmode"), os.environ.get("PGSSLMODE")):
        return {**files, "sslmode": "verify-full"}
    raise ConfigError(
        f"sslrootcert names a CA, and sslmode={mode} would go on without it.",
        hint="Leave sslmode out: sslrootcert alone verifies the certificate and the host.",
    )


def _heard(url: str) -> dict[str, str]:
    """All options as the client library hears them."""
    nowhere = pq.PGconn.connect_start(make_conninfo(url, **NOWHERE).encode())
    try:
        return {option.keyword.decode(): option.val.decode() for option in nowhere.info if option.val is not None}
    finally:
        nowhere.finish()


def _is_path(name: str, value: str) -> bool:
    return not ((name == "sslrootcert" and value == OF_THE_MACHINE) or (name == "sslkey" and ENGINE in value))


def reason(text: str) -> str:
    """Why TLS failed, in what the client library says; what it advises, to verify nothing, is left out."""
    if missing := re.search(r'root certificate file "(.+?)" does not exist', text):
        return f"there is no CA to verify with, since sslrootcert names none and {missing[1]} does not exist"
    return text.strip().splitlines()[-1].rpartition("failed: ")[2]


def unknown_option(text: str) -> ConfigError | None:
    """Our error for what the client library says of a URL with an option that it does not know."""
    found = re.search(r'invalid URI query parameter: "([\w.-]{1,40})"', text)
    if found is None:
        return None
    known = sorted(option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar != b"D")
    return ConfigError(f"The URL option {found[1]!r} is not known for PostgreSQL.", hint=f"Known: {', '.join(known)}.")
