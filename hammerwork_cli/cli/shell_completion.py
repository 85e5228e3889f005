"""Values for the shells: ``hammerwork --complete-values KIND PREFIX`` prints lines of ``value<TAB>description``.

A TAB must not wait for the command line to be built. Therefore this module does not import Typer, and for SQLite only
``sqlite3`` of the standard library. It reads the same settings as :mod:`hammerwork_cli.config` (a test compares them).
It ignores all errors, because a message would garble the prompt.
"""

import faulthandler
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hammerwork_cli.database import Database

CONNECT_SECONDS = 0.2
"""Time for importing the driver and connecting; after it, a user has typed on."""
LOGIN_SECONDS = 0.08
"""Least time for connecting, on a machine that takes long to import a driver."""
ANSWER_SECONDS = 0.5
"""Time for the query."""
MOST = 200
"""Most values to print."""
MOST_NAMES = 1000
"""Most names of queues to read. This module drops those that do not start with the prefix."""
SAMPLE_ALIKE = 1000
"""Most jobs to read for the different spellings of a name that MySQL's collation takes for equal."""
SAMPLE = 10_000
"""Most rows to read if there is no index on queues."""
_OF_PROFILES = {"profiles": ("{}",), "urls": ("@{}",), "keys": ("profiles.{}.url", "profiles.{}.protected")}
"""Kind -> the values of each profile."""
_NAMED = {
    "workers": "completion.workers",
    "webhooks": "completion.webhooks",
    "streams": "completion.streams",
    "schedules": "completion.schedules",
}
"""Kind -> the statement that lists the names."""
LATEST = 20
"""Most failed jobs to offer before anything is typed."""

Row = Sequence[str]


def print_values(kind: str = "", prefix: str = "", *_: str) -> None:
    """Prints the values that start with ``prefix``, and exits.

    Args:
        kind: ``queues``, ``jobs``, ``workers``, ``webhooks``, ``streams`` or ``schedules`` of the database,
            ``queue_lists`` for queues with commas between them;
            ``profiles``, ``urls`` or ``keys`` for profiles in the configuration file.
        prefix: the text before the cursor.
    """
    try:
        lines = list(_lines(_rows(kind, prefix, os.environ), prefix))
        sys.stdout.buffer.write("".join(lines).encode("utf-8", "ignore"))
        sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001, S110  a message would garble the prompt
        pass
    os._exit(0)


def _end_in(seconds: float) -> None:
    """Exits after ``seconds`` unless it is called again.

    faulthandler's thread is written in C: it exits even while a driver waits for a server and blocks all Python code.
    """
    nowhere = open(os.devnull, "w")  # noqa: PTH123, SIM115  importing pathlib takes as long as all the rest
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)


def _lines(rows: Sequence[Row], prefix: str) -> Iterable[str]:
    """Yields a line for each printable value. The script of the shell quotes them."""
    found = dict.fromkeys(row[0] for row in rows if row[0].startswith(prefix))
    described = {row[0]: ", ".join(row[1:]) for row in rows}
    for value in list(found)[:MOST]:
        if value and value.isprintable():
            description = described[value]
            yield f"{value}\t{description if description.isprintable() else ''}\n"


def _rows(kind: str, prefix: str, environ: Mapping[str, str]) -> Sequence[Row]:
    if kind == "queue_lists":
        return _lists(prefix, environ)
    if kind == "queues":
        return _ask("completion.queues", environ, prefix=prefix, limit=MOST_NAMES, sample=SAMPLE)
    if kind in _NAMED:
        return _ask(_NAMED[kind], environ, limit=MOST_NAMES)
    if kind in _OF_PROFILES:
        profiles = _settings(environ).get("profiles", {})
        return [(form.format(name),) for name in profiles for form in _OF_PROFILES[kind]]
    if kind == "jobs" and not prefix:
        return _ask("completion.failed", environ, limit=LATEST)
    digits = prefix.replace("-", "")
    if kind != "jobs" or len(digits) > 32 or not set(digits) <= set("0123456789abcdef"):
        return []
    bounds = {"low": _hyphenated(digits.ljust(32, "0")), "high": _hyphenated(digits.ljust(32, "f"))}
    return _ask("completion.jobs", environ, **bounds, limit=MOST)


def _lists(prefix: str, environ: Mapping[str, str]) -> Sequence[Row]:
    """The queues that the last name may be, behind those before it: see :mod:`hammerwork_cli.core.input.names`."""
    start = len(prefix)
    while start and not (prefix[start - 1] == "," and prefix[start - 2 : start - 1] != "\\"):
        start -= 1
    known = _rows("queues", prefix[start:].replace("\\,", ","), environ)
    return [(prefix[:start] + str(row[0]).replace(",", "\\,"), *row[1:]) for row in known]


def _hyphenated(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _ask(statement: str, environ: Mapping[str, str], **values: object) -> Sequence[Row]:
    url = configured_url(environ)
    if url.partition("://")[0].lower() == "sqlite":
        return _ask_sqlite(_path(url), statement, values)
    begun = time.monotonic()
    from hammerwork_cli.database import DatabaseUrl, connect

    parsed = DatabaseUrl.parse(url)
    import_module(
        "hammerwork_cli.database.drivers.postgres"
        if parsed.dialect == "postgresql"
        else "hammerwork_cli.database.drivers.mysql"
    )
    _end_in(max(CONNECT_SECONDS - (time.monotonic() - begun), LOGIN_SECONDS))
    database = connect(parsed)
    _end_in(ANSWER_SECONDS)
    if statement == "completion.queues" and parsed.dialect == "mysql":
        return list(_names(database, str(values["prefix"])))
    return database.plain_rows(statement, **values)


def _names(database: "Database", prefix: str) -> Iterator[Row]:
    name = None
    for _ in range(MOST):
        name, begins = database.plain_rows("completion.next_queue", prefix=prefix, after=name)[0]
        if not begins:
            return
        yield from database.plain_rows("completion.alike", name=name, sample=SAMPLE_ALIKE)


def _ask_sqlite(path: str, statement: str, values: Mapping[str, object]) -> Sequence[Row]:
    import sqlite3

    _end_in(ANSWER_SECONDS)
    if not os.path.isfile(path):  # noqa: PTH113
        return []
    connection = sqlite3.connect(path, timeout=0)
    try:
        return connection.execute(_statement(statement), values).fetchall()
    finally:
        connection.close()


def _statement(name: str) -> str:
    package = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    place = os.path.join(package, "features", "completion", "sql", "completion.sql")  # noqa: PTH118
    with open(place, encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    head = f"-- name: {name.removeprefix('completion.')}"
    found = text.partition(f"{head} [sqlite]\n")[2] or text.partition(f"{head}\n")[2]
    return found.partition("-- name:")[0]


# Settings.


def configured_url(environ: Mapping[str, str]) -> str:
    """Returns the URL of the database: from the environment, the configuration file, or that of the embedded file."""
    found = environ.get("HAMMERWORK_DATABASE_URL") or environ.get("DATABASE_URL")
    if not found or found.strip().startswith("@"):
        settings = _settings(environ)
        found = str(found or settings.get("database_url") or "").strip()
        if found.startswith("@"):
            found = str(settings["profiles"][found[1:]]["url"])
    return found or f"sqlite:///{_in_folder(environ, 'XDG_DATA_HOME', '~/.local/share', 'hammerwork.db')}"


def _settings(environ: Mapping[str, str]) -> Mapping[str, "Any"]:
    """The content of the configuration file."""
    named = environ.get("HAMMERWORK_CONFIG")
    path = os.path.expanduser(named) if named else _in_folder(environ, "XDG_CONFIG_HOME", "~/.config", "config.toml")  # noqa: PTH111
    if not named and not os.path.exists(path):  # noqa: PTH110
        return {}
    import tomllib

    with open(path, "rb") as file:  # noqa: PTH123
        return tomllib.loads(file.read(1 << 20).decode())  # an endless one would fill the memory


def _in_folder(environ: Mapping[str, str], variable: str, default: str, name: str) -> str:
    base = environ.get(variable, "")
    base = base if base.startswith("/") else default
    return os.path.join(os.path.expanduser(base), "hammerwork", name)  # noqa: PTH111, PTH118


def _path(url: str) -> str:
    """The path in an SQLite URL."""
    path = url.strip().partition("://")[2].partition("?")[0]
    if "%" in path:
        from urllib.parse import unquote

        path = unquote(path)
    return os.path.expanduser(path[1:]) if path.startswith("/") else ""  # noqa: PTH111
