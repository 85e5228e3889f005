"""Database URLs: which driver, where, and never the password."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from hammerwork_cli.errors import ConfigError, UnreachableError

SCHEMES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
EXAMPLE = "postgresql://user@host/database, mysql://..., mariadb://... or sqlite:///path/to/file"

# A password that should have been percent-encoded can hold anything, so all up to the last @ of the word goes.
_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+]*://[^:/?#@\s]*:)\S*@", re.IGNORECASE)
_KEY_PASSWORD = re.compile(
    r"(?P<key>password|passwd|pwd)(?P<equals>\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^&\s]+)", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text with the password of every URL and of every ``password=`` in it replaced by ``***``."""
    hidden = _PASSWORD.sub(r"\g<before>***@", text)
    return _KEY_PASSWORD.sub(r"\g<key>\g<equals>***", hidden)


class Host(NamedTuple):
    """A server's name or address, and its port, where the URL says them."""

    name: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed URL. Its ``repr`` and ``str`` hide the password.

    Attributes:
        dialect: ``postgresql``, ``mysql`` (MariaDB too) or ``sqlite``.
        hosts: of a server's URL at least one: the first that answers is used.
        path: the file of an SQLite database.
        options: the query part, as key and value.
    """

    dialect: str
    raw: str = field(repr=False)
    hosts: tuple[Host, ...] = ()
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    path: Path | None = None
    options: dict[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return redact(self.raw)

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Parses a URL.

        Raises:
            ConfigError: no or an unknown scheme, a host or port that cannot be read, no SQLite path.
        """
        text = text.strip()
        scheme, separator, rest = text.partition("://")
        # SQLAlchemy names a driver, too: postgresql+psycopg. Only the database counts.
        scheme = scheme.partition("+")[0].lower() if re.fullmatch(r"\w+\+\w+", scheme) else scheme.lower()
        dialect = SCHEMES.get(scheme)
        if not separator or dialect is None:
            shown = f"the scheme {scheme[:40]!r} is not known" if separator else "it has no scheme"
            raise ConfigError(f"This is not a usable database URL: {shown}.", hint=f"Give one like these: {EXAMPLE}.")
        if dialect == "sqlite":
            return cls._sqlite(f"{scheme}://{rest}")
        # The PostgreSQL library knows its schemes in lower case only.
        text = f"{scheme}://{rest}"
        parts, hosts = _split(text)
        user = parts.netloc.rpartition("@")[0]
        # It would end the password at the first @ of several.
        text = text.replace(user, user.replace("@", "%40"), 1)
        return cls(
            dialect=dialect,
            raw=text,
            hosts=hosts,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            database=unquote(parts.path[1:]) or None,
            options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )

    @classmethod
    def of_file(cls, path: Path) -> "DatabaseUrl":
        """The URL of an SQLite file."""
        return cls(dialect="sqlite", raw=f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}", path=path)

    def check_file(self) -> None:
        """Refuses a file of SQLite that is not there, before whoever connects makes an empty one.

        Raises:
            UnreachableError: it is not.
        """
        if self.path is not None and not self.path.exists():
            raise UnreachableError(
                f"There is no SQLite file {self.path}.",
                hint="Make one with: hammerwork migration run (or try: hammerwork demo)",
            )

    @classmethod
    def _sqlite(cls, text: str) -> "DatabaseUrl":
        path = unquote(text.partition("://")[2].partition("?")[0])
        if not path.startswith("/") or path == "/":
            raise ConfigError(
                "An SQLite URL needs a path.",
                hint="sqlite:///relative/file.db, or sqlite:////absolute/file.db with four slashes.",
            )
        return cls(dialect="sqlite", raw=text, path=Path(path[1:]).expanduser())


def _split(text: str) -> tuple[SplitResult, tuple[Host, ...]]:
    """The parts of a server's URL, and its hosts."""
    unreadable = ConfigError(
        "This is not a usable database URL: its host or port cannot be read.",
        hint=f"A password with special characters must be percent-encoded. For example {EXAMPLE}.",
    )
    if not text.isprintable() or " " in text:
        raise unreadable
    rest = text.partition("://")[2]
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, listed = netloc.rpartition("@")
    try:
        # Without the hosts: Python reads brackets only where there is one.
        parts = urlsplit(f"//{user}{at}{rest.removeprefix(netloc)}")
        hosts = tuple(map(_host, listed.split(",")))
    except ValueError:
        # What it says can be a piece of the password.
        raise unreadable from None
    if "@" in parts.path + parts.fragment:
        raise unreadable
    return parts, hosts


def _host(text: str) -> Host:
    parts = urlsplit(f"//{text}")
    return Host(parts.hostname, parts.port)
