"""Parses database URLs, and hides their passwords."""

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from hammerwork_cli.database.guards import ChangeGuard
from hammerwork_cli.errors import ConfigError, UnreachableError

if TYPE_CHECKING:
    from datetime import timedelta

    from hammerwork_cli.core.codecs import Codecs
    from hammerwork_cli.core.encryption import Keys

SCHEMES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
EXAMPLE = "postgresql://user@host/database, mysql://..., mariadb://... or sqlite:///path/to/file"

PORTS = {"postgresql": 5432, "mysql": 3306}
MOST_FILES = 1000
"""Files of a folder among which one with a similar name is searched."""

# A password without percent-encoding can contain anything, so everything up to the last @ of the word is hidden.
_IN_URL = r"(?i)(?P<before>[a-z][a-z0-9+]*://[^:/?#@\s]*:)\S*@"
# The name of a variable is no secret.
_VARIABLE = r"(?!(?-i:env:[A-Za-z_]\w*|\*\*\*)['\".,;:)\]]*(?:[&\s]|$))"
_BY_KEY = rf"(?i)(?P<key>password|passwd|pwd)(?P<equals>\s*=\s*){_VARIABLE}(?:'(?:[^'\\]|\\.)*'|[^&\s]+)"


def redact(text: str) -> str:
    """Replaces the password of every URL and of every ``password=`` in a text by ``***``."""
    hidden = re.sub(_IN_URL, r"\g<before>***@", text)
    return re.sub(_BY_KEY, r"\g<key>\g<equals>***", hidden)


class Host(NamedTuple):
    """Name or address and port of a server, as far as the URL has them."""

    name: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed URL. Its ``repr`` and ``str`` hide the password."""

    dialect: str  # `postgresql`, `mysql` (MariaDB too) or `sqlite`
    raw: str = field(repr=False)
    hosts: tuple[Host, ...] = ()  # hosts of the server, of which the first that answers is used; none for SQLite
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    path: Path | None = None  # the file of an SQLite database
    # The query part, as key and value, in the words of the driver.
    options: dict[str, str] = field(default_factory=dict, repr=False)
    ignored: tuple[str, ...] = ()  # options of sqlx, the driver of hammerwork (Rust), that have no effect here
    # Asked before a connection of this URL changes something.
    guard: ChangeGuard | None = field(default=None, repr=False, compare=False)
    # Decrypt and encrypt payloads on connections of this URL.
    keys: "Keys | None" = field(default=None, repr=False, compare=False)
    # Encode and decode the payloads and results of some queues on connections of this URL.
    codecs: "Codecs | None" = field(default=None, repr=False, compare=False)
    # Connections of this URL write no job in plaintext to a queue that holds encrypted ones, unless somebody has said
    # that it is meant.
    refuse_plaintext: bool = field(default=False, repr=False, compare=False)
    # How far a test has moved the time of its connections forward.
    ahead: "Callable[[], timedelta] | None" = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return redact(self.raw)

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        text = text.strip()
        scheme, separator, rest = text.partition("://")
        # A URL of SQLAlchemy names a driver too (postgresql+psycopg), which is ignored.
        scheme = scheme.partition("+")[0].lower() if re.fullmatch(r"\w+\+\w+", scheme) else scheme.lower()
        dialect = SCHEMES.get(scheme)
        if not separator or dialect is None:
            problem = f"the scheme {scheme[:40]!r} is unknown" if separator else "it has no scheme"
            file = "" if separator else _as_file(text.removeprefix("sqlite:"))
            hint = f"For an SQLite file: {file}" if file else f"Examples: {EXAMPLE}."
            if scheme in {"http", "https"}:
                hint = "-u names the database. For that of a webhook: --url https://example.org/hook"
            raise ConfigError(f"The database URL is not valid: {problem}.", hint=hint)
        if dialect == "sqlite":
            return cls._sqlite(f"{scheme}://{rest}")
        # libpq accepts its schemes in lower case only.
        text = f"{scheme}://{rest}"
        parts, hosts = _split(text)
        user = parts.netloc.rpartition("@")[0]
        # libpq would end the password at the first @ of several.
        text = text.replace(user, user.replace("@", "%40"), 1)
        options, ignored = _of_sqlx(dialect, parse_qsl(parts.query, keep_blank_values=True))
        if options is not None:
            text = f"{text.partition('?')[0]}{'?' if options else ''}{urlencode(options, quote_via=quote)}"
        return cls(
            dialect=dialect,
            raw=text,
            hosts=hosts,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            database=unquote(parts.path[1:]) or None,
            options=dict(parse_qsl(parts.query, keep_blank_values=True) if options is None else options),
            ignored=ignored,
        )

    @classmethod
    def of_file(cls, path: Path) -> "DatabaseUrl":
        """Makes the URL of an SQLite file."""
        return cls(dialect="sqlite", raw=f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}", path=path)

    @classmethod
    def absolute(cls, text: str) -> str:
        """Returns the text of a valid URL, or of ``@NAME``: of an SQLite file with its absolute path."""
        path = None if text.strip().startswith("@") else cls.parse(text).path
        return text if path is None or path.is_absolute() else cls.of_file(path.absolute()).raw

    def check_file(self) -> None:
        """Checks that an SQLite file exists, because connecting would create an empty one."""
        if self.path is None:
            return
        if self.path.is_dir():
            raise UnreachableError(f"{self.path} is a folder, not an SQLite file.", hint="Add the name of a file.")
        if not self.path.exists():
            close = _file_like(self.path)
            raise UnreachableError(
                f"The SQLite file {self.path} does not exist.",
                hint=f"Did you mean {close}? To create a new one: hammerwork migration run"
                if close
                else "Create it with: hammerwork migration run (or try: hammerwork demo)",
            )

    @classmethod
    def _sqlite(cls, text: str) -> "DatabaseUrl":
        path = unquote(text.partition("://")[2].partition("?")[0])
        if not path.startswith("/") or path == "/":
            file = _as_file(path)
            raise ConfigError(
                "An SQLite URL needs a path.",
                hint=f"Give three slashes: {file}"
                if file
                else "Give sqlite:///relative/file.db, or sqlite:////absolute/file.db with four slashes.",
            )
        if path[1:] == ":memory:":
            raise ConfigError(
                "A database in memory is only for a Queue in Python: no other program could read it.",
                hint="Give the name of a file: sqlite:///jobs.db",
            )
        return cls(dialect="sqlite", raw=text, path=Path(path[1:]).expanduser())


_SQLX_NAMES = {
    "postgresql": {
        "ssl-mode": "sslmode",
        "ssl-root-cert": "sslrootcert",
        "ssl-ca": "sslrootcert",
        "ssl-cert": "sslcert",
        "ssl-key": "sslkey",
    },
    "mysql": {"socket": "unix_socket"},
}
_SQLX_ONLY = {
    "postgresql": {"statement-cache-capacity"},
    "mysql": {"statement-cache-capacity", "collation", "timezone"},
}
"""Options that concern sqlx alone. Here, connections always use UTC, and the collation of the tables."""


def _of_sqlx(dialect: str, given: list[tuple[str, str]]) -> tuple[list[tuple[str, str]] | None, tuple[str, ...]]:
    """Translates the options of a URL that hammerwork (Rust) shares.

    Returns the options in the words of the driver, ``None`` if they are so already; and the names of those left out.
    """
    names, only = _SQLX_NAMES[dialect], _SQLX_ONLY[dialect]
    ignored = tuple(name for name, _ in given if name in only)
    settings = [(found[1], value) for name, value in given if (found := re.fullmatch(_SETTING, name))]
    if not ignored and not settings and not any(name in names for name, _ in given):
        return None, ()
    options = [
        (names.get(name, name), value) for name, value in given if name not in only and not re.fullmatch(_SETTING, name)
    ]
    if settings:
        # libpq has one option for all, in which a backslash escapes a space.
        said = [f"-c {name}=" + value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings]
        options.append(("options", " ".join(said)))
    return options, ignored


_SETTING = r"options\[(\w+)\]"
"""A setting of PostgreSQL, as sqlx writes it."""


def unresolved(url: DatabaseUrl) -> UnreachableError:
    """The error for a URL whose host name, or names, no name server knows."""
    names = ", ".join(repr(host.name) for host in url.hosts if host.name)
    return UnreachableError(
        f"The host name {names} cannot be resolved.", hint="Check its spelling, and the name server of this machine."
    )


OTHER_NAMES = {"ssl_mode": "sslmode", "ssl_ca": "sslrootcert", "ssl_cert": "sslcert", "ssl_key": "sslkey"}
OTHER_NAMES |= {other: name for name, other in OTHER_NAMES.items()}
"""Names of options in the URLs of MySQL and of PostgreSQL."""


def unknown_option(name: str, database: str, known: Collection[str], *, otherwise: str) -> ConfigError:
    """The error for an option of a URL that a database does not know.

    Args:
        otherwise: the hint if none is close.
    """
    from hammerwork_cli.core.input.near import did_you_mean

    other = OTHER_NAMES.get(name.replace("-", "_").lower())
    hint = f"Did you mean {other}?" if other in known else did_you_mean(name, known) or otherwise
    return ConfigError(f"The URL option {name!r} is not known for {database}.", hint=hint)


def _file_like(path: Path) -> Path | None:
    """The file beside a path that does not exist whose name is most like it; ``None`` if none is like it."""
    from difflib import get_close_matches

    with suppress(OSError):
        names = [file.name for file in islice(path.parent.iterdir(), MOST_FILES) if file.is_file()]
        return next((path.with_name(name) for name in get_close_matches(path.name, names, 1, 0.75)), None)
    return None


def _as_file(path: str) -> str:
    """The URL of what looks like the path of an SQLite file; empty for any other text, which may hold a password."""
    return f"sqlite:///{path}" if re.fullmatch(r"[\w./-]+\.(db|sqlite|sqlite3)", path) else ""


def _split(text: str) -> tuple[SplitResult, tuple[Host, ...]]:
    """Splits the URL of a server into its parts and hosts."""
    unreadable = ConfigError(
        "The database URL is not valid: its host or port cannot be read.",
        hint=f"Special characters in a password must be percent-encoded. Examples: {EXAMPLE}.",
    )
    if not text.isprintable() or " " in text:
        raise unreadable
    rest = text.partition("://")[2]
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, listed = netloc.rpartition("@")
    try:
        # Parse it without the hosts: Python accepts brackets only in a single host.
        parts = urlsplit(f"//{user}{at}{rest.removeprefix(netloc)}")
        hosts = tuple(map(_host, listed.split(",")))
    except ValueError:
        # The message of the ValueError may contain a part of the password.
        raise unreadable from None
    if "@" in parts.path + parts.fragment:
        raise unreadable
    return parts, hosts


def _host(text: str) -> Host:
    parts = urlsplit(f"//{text}")
    return Host(parts.hostname, parts.port)
