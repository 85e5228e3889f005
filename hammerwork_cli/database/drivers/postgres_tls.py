"""TLS of connections to PostgreSQL, stricter than libpq for a URL with a CA.

The default of libpq is ``prefer``, which goes on without TLS if the certificate is wrong, even with a CA. And if the
file of the CA does not exist, ``require`` verifies nothing.
"""

import os
import re
from typing import Any

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hammerwork_cli.database.url import unknown_option
from hammerwork_cli.errors import ConfigError

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
WITHOUT_PROOF = ("disable", "allow", "prefer")
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
OF_THE_MACHINE = "system"
LIBPQ = "https://www.postgresql.org/docs/current/libpq-connect.html"
ENGINE = ":"
"""In ``sslkey``: the key is in a device, and the value is not a path."""
HINT = "It comes from the URL, a variable such as PGSSLROOTCERT, or a service file. Check the path and its permissions."
NOWHERE = {"host": os.devnull, "hostaddr": "", "port": "", "password": "-"}
"""A host that is not a folder of sockets: connecting fails at once. The password keeps ~/.pgpass unread."""


def arguments(url: str) -> dict[str, Any]:
    """Returns parameters of TLS that override those of the URL, the environment and a service file."""
    asked = conninfo_to_dict(url)
    effective = _effective_options(url)
    mode = effective.get("sslmode", "prefer")
    if mode not in MODES:
        raise ConfigError(f"sslmode={mode[:40]!r} is not known.", hint=f"Known: {', '.join(MODES)}.")
    named = {name: effective[name] for name in FILES if effective.get(name)}
    # An empty value in the URL comes from an unset variable of a shell. libpq would ignore it.
    named |= {name: "" for name in FILES if asked.get(name) == ""}
    files = {name: _readable(name, value) for name, value in named.items() if _is_path(name, value)}
    if "sslrootcert" not in named or mode not in WITHOUT_PROOF:
        return files
    if mode == "prefer" and "prefer" not in (asked.get("sslmode"), os.environ.get("PGSSLMODE")):
        return {**files, "sslmode": "verify-full"}
    raise ConfigError(
        f"sslrootcert has a CA, but sslmode={mode} would not verify the certificate.",
        hint="Omit sslmode: sslrootcert alone verifies the certificate and the host.",
    )


def _effective_options(url: str) -> dict[str, str]:
    """Returns all options as libpq merges them from the URL, the environment and a service file."""
    nowhere = pq.PGconn.connect_start(make_conninfo(url, **NOWHERE).encode())
    try:
        return {option.keyword.decode(): option.val.decode() for option in nowhere.info if option.val is not None}
    finally:
        nowhere.finish()


def _readable(name: str, value: str) -> str:
    from hammerwork_cli.database.tls import readable

    return readable(name, value, HINT)


def _is_path(name: str, value: str) -> bool:
    return not ((name == "sslrootcert" and value == OF_THE_MACHINE) or (name == "sslkey" and ENGINE in value))


def reason(text: str) -> str:
    """Extracts the reason why TLS failed from a message of libpq, without its advice to verify nothing."""
    if missing := re.search(r'root certificate file "(.+?)" does not exist', text):
        return f"there is no CA: sslrootcert is not set, and {missing[1]} does not exist"
    return text.strip().splitlines()[-1].rpartition("failed: ")[2]


def refused_option(text: str) -> ConfigError | None:
    """Translates the message of libpq about an unknown option in the URL."""
    found = re.search(r'invalid URI query parameter: "([\w.-]{1,40})"', text)
    if found is None:
        return None
    known = sorted(option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar != b"D")
    return unknown_option(found[1], "PostgreSQL", known, otherwise=f"They are those of libpq: {LIBPQ}")
