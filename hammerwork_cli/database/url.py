"""Database URLs: which driver, where, and never the password."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from hammerwork_cli.errors import ConfigError

SCHEMES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
EXAMPLE = "for example postgresql://user:password@host/database, mysql://..., mariadb://... or sqlite:///path/to/file"

_PASSWORD = re.compile(r"(?P<scheme>[a-z][a-z0-9+]*://)(?P<user>[^:/?#@\s]*):(?P<password>[^\s/]*)@", re.IGNORECASE)
_QUERY_PASSWORD = re.compile(r"(?P<key>(?:ssl)?password|passwd|pwd)=[^&\s]*", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with the password of every URL in it replaced by ``***``."""
    hidden = _PASSWORD.sub(r"\g<scheme>\g<user>:***@", text)
    return _QUERY_PASSWORD.sub(r"\g<key>=***", hidden)


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed URL. Its ``repr`` and ``str`` hide the password.

    Attributes:
        dialect: ``postgresql``, ``mysql`` (MariaDB too) or ``sqlite``.
        path: the file of an SQLite database.
        options: the query part, as key and value.
    """

    dialect: str
    raw: str = field(repr=False)
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    path: Path | None = None
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return redact(self.raw)

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Parses a URL.

        Raises:
            ConfigError: no or an unknown scheme, a port that is not a number, no SQLite path.
        """
        scheme, separator, _ = text.partition("://")
        dialect = SCHEMES.get(scheme.lower())
        if not separator or dialect is None:
            shown = f"the scheme {scheme[:40]!r} is not known" if separator else "it has no scheme"
            raise ConfigError(f"This is not a usable database URL: {shown}.", hint=f"Give one like these: {EXAMPLE}.")
        if dialect == "sqlite":
            return cls._sqlite(text)
        try:
            parts = urlsplit(text)
            hosts_have_lists = "," in parts.netloc
            port = None if hosts_have_lists else parts.port
        except ValueError as error:
            raise ConfigError(
                "This is not a usable database URL: its host or port cannot be read.",
                hint=f"A password with special characters must be percent-encoded. {EXAMPLE.capitalize()}.",
            ) from error.with_traceback(None)
        return cls(
            dialect=dialect,
            raw=text,
            host=parts.netloc.rpartition("@")[2] if hosts_have_lists else parts.hostname,
            port=port,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            database=unquote(parts.path[1:]) or None,
            options=dict(parse_qsl(parts.query, keep_blank_values=True)),
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
