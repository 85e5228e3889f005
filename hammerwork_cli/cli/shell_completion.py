"""Values for the shells: ``hammerwork --complete-values queues|jobs PREFIX``, one ``value<TAB>description`` a line.

A TAB must not wait for a command line to be built, so this imports neither Typer nor, for SQLite, anything but the
standard library's ``sqlite3``. It reads the same settings as :mod:`hammerwork_cli.config` (a test compares them).
Whatever goes wrong, nothing is said: the prompt is no place for errors.
"""

import faulthandler
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hammerwork_cli.database import Database

CONNECT_SECONDS = 0.2
"""From the start of the program until there is a connection; later nobody waits any more."""
LOGIN_SECONDS = 0.08
"""What is left for connecting on a machine that takes long to import a driver."""
ANSWER_SECONDS = 0.5
"""What an answer may take."""
MOST = 200
"""Values."""
MOST_NAMES = 1000
"""Names of queues to read: those that begin differently are sorted out here."""
SAMPLE_ALIKE = 1000
"""Jobs of which the names are read that MySQL takes for one."""
SAMPLE = 10_000
"""Rows to read where no index knows the queues."""
LATEST = 20
"""Failed jobs to offer when nothing was typed yet."""

Row = Sequence[str]


def print_values(kind: str = "", prefix: str = "", *_: str) -> None:
    """Prints what a word that begins with ``prefix`` can become, and ends the process.

    Args:
        kind: ``queues`` or ``jobs``.
        prefix: what was typed.
    """
    try:
        lines = list(_lines(_rows(kind, prefix, os.environ), prefix))
        sys.stdout.buffer.write("".join(lines).encode("utf-8", "ignore"))
        sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001, S110  see above
        pass
    os._exit(0)


def _end_in(seconds: float) -> None:
    """Ends the process later, whatever it does then.

    A thread of C's does it: a driver that waits for a server holds up everything of Python's.
    """
    nowhere = open(os.devnull, "w")  # noqa: PTH123, SIM115  pathlib costs as much as all the rest
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)


def _lines(rows: Sequence[Row], prefix: str) -> Iterable[str]:
    """Values that a line of text and a terminal can carry; what is left is for the shell's script to quote."""
    found = dict.fromkeys(row[0] for row in rows if row[0].startswith(prefix))
    described = {row[0]: ", ".join(row[1:]) for row in rows}
    for value in list(found)[:MOST]:
        if value and value.isprintable():
            description = described[value]
            yield f"{value}\t{description if description.isprintable() else ''}\n"


def _rows(kind: str, prefix: str, environ: Mapping[str, str]) -> Sequence[Row]:
    if kind == "queues":
        return _ask("completion.queues", environ, prefix=prefix, limit=MOST_NAMES, sample=SAMPLE)
    if kind == "jobs" and not prefix:
        return _ask("completion.failed", environ, limit=LATEST)
    digits = prefix.replace("-", "")
    if kind != "jobs" or len(digits) > 32 or not set(digits) <= set("0123456789abcdef"):
        return []
    bounds = {"low": _hyphenated(digits.ljust(32, "0")), "high": _hyphenated(digits.ljust(32, "f"))}
    return _ask("completion.jobs", environ, **bounds, limit=MOST)


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
        "hammerwork_cli.database.postgres" if parsed.dialect == "postgresql" else "hammerwork_cli.database.mysql"
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
    return sqlite3.connect(path, timeout=0).execute(_statement(statement), values).fetchall()


def _statement(name: str) -> str:
    place = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sql", "completion.sql")  # noqa: PTH118, PTH120
    with open(place, encoding="utf-8") as file:  # noqa: PTH123
        head = f"-- name: {name.removeprefix('completion.')} [sqlite]\n"
        return file.read().partition(head)[2].partition("-- name:")[0]


# Settings.


def configured_url(environ: Mapping[str, str]) -> str:
    """The database's URL: from the environment, the configuration file, or the embedded file's."""
    found = environ.get("HAMMERWORK_DATABASE_URL") or environ.get("DATABASE_URL") or _from_file(environ)
    if found is None:
        found = f"sqlite:///{_in_folder(environ, 'XDG_DATA_HOME', '~/.local/share', 'hammerwork.db')}"
    return str(found)


def _from_file(environ: Mapping[str, str]) -> object:
    named = environ.get("HAMMERWORK_CONFIG")
    path = os.path.expanduser(named) if named else _in_folder(environ, "XDG_CONFIG_HOME", "~/.config", "config.toml")  # noqa: PTH111
    if not named and not os.path.exists(path):  # noqa: PTH110
        return None
    import tomllib

    with open(path, "rb") as file:  # noqa: PTH123
        return tomllib.load(file).get("database_url")


def _in_folder(environ: Mapping[str, str], variable: str, default: str, name: str) -> str:
    base = environ.get(variable) or default
    return os.path.join(os.path.expanduser(base), "hammerwork", name)  # noqa: PTH111, PTH118


def _path(url: str) -> str:
    """The file of an SQLite URL."""
    path = url.strip().partition("://")[2].partition("?")[0]
    if "%" in path:
        from urllib.parse import unquote

        path = unquote(path)
    return os.path.expanduser(path[1:]) if path.startswith("/") else ""  # noqa: PTH111
