"""Where database URLs lead, however they are spelt: no spelling goes round the protection of a database."""

import os
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from hammerwork_cli.database.url import PORTS, DatabaseUrl

RESOLVE_SECONDS = 1.0
"""The longest wait for a name server. A name that is unknown by then is compared as text."""
LOCAL = "this machine"
_VARIABLES = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}
"""Options of libpq -> the variables with their defaults."""


class ServerPlace(NamedTuple):
    """Where a server listens."""

    host: str  # a name in lower case, or an address; `LOCAL` for a socket of Unix
    port: int | None  # `None` if it cannot be known, as that of a socket of MySQL
    socket: str | None = None  # path of the socket


def same_database(
    one: DatabaseUrl, other: DatabaseUrl, environ: Mapping[str, str] = os.environ, *, resolve: bool = True
) -> bool:
    """Whether two URLs lead to one database, perhaps as another user or with other options.

    A proxy, a tunnel or a name server of another network can hide that they do.

    Args:
        resolve: whether to ask for the addresses of names.
    """
    if one.dialect != other.dialect:
        return False
    if one.path is not None and other.path is not None:
        return _is_same_file(one.path, other.path)
    names, places = zip(*(_of_server(url, environ) for url in (one, other)), strict=True)
    if names[0] != names[1]:
        return False
    # Hosts of one URL are those of one cluster.
    return any(_is_same_place(ours, theirs, resolve=resolve) for ours in places[0] for theirs in places[1])


def _is_same_file(one: Path, other: Path) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return one.samefile(other)  # a hard link
    except OSError:
        return False


def _of_server(url: DatabaseUrl, environ: Mapping[str, str]) -> tuple[str, list[ServerPlace]]:
    """The name of the database, and the places of its servers."""
    options = {name.replace("-", "_"): value for name, value in url.options.items()}
    if url.dialect == "mysql":
        # Some servers take no notice of letter case.
        name, path = (url.database or "").casefold(), options.get("unix_socket")
        if path:
            return name, [ServerPlace(LOCAL, None, path)]
        return name, [_place(unquote(host.name or "127.0.0.1"), host.port or PORTS["mysql"]) for host in url.hosts]
    # As in libpq: an option wins over what stands before it in the URL, that over a service, and that over a variable.
    defaults = {name: environ.get(variable) for name, variable in _VARIABLES.items()}
    defaults |= _service(options.get("service") or environ.get("PGSERVICE"), environ)
    hosts = [unquote(host.name or "") for host in url.hosts]
    ports = [str(host.port or "") for host in url.hosts]
    chosen = options.get("hostaddr") or options.get("host")
    if chosen or not any(hosts):
        hosts = (chosen or defaults["hostaddr"] or defaults["host"] or "").split(",")
    if options.get("port") or not any(ports):
        ports = (options.get("port") or defaults["port"] or "").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    name = options.get("dbname") or url.database or defaults["dbname"] or url.user or defaults["user"] or _user()
    pairs = zip(hosts, ports, strict=True)
    return name, [_place(host, int(port) if port.isdecimal() else PORTS["postgresql"]) for host, port in pairs]


def _user() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError):
        return ""


def _service(name: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The options of a service in the file that libpq reads."""
    if not name:
        return {}
    from configparser import ConfigParser, Error

    files = ConfigParser(interpolation=None)
    try:
        files.read(environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf", encoding="utf-8")
        return dict(files[name])
    except (Error, KeyError, OSError, UnicodeError):
        return {}


def _place(host: str, port: int) -> ServerPlace:
    if not host or host.startswith(("/", "@")):  # PostgreSQL: a folder of sockets
        return ServerPlace(LOCAL, port, host or None)
    return ServerPlace(host.lower().rstrip("."), port)


def _is_same_place(one: ServerPlace, other: ServerPlace, *, resolve: bool) -> bool:
    if None not in {one.port, other.port} and one.port != other.port:
        return False
    if one.socket and other.socket:
        return os.path.realpath(one.socket) == os.path.realpath(other.socket)
    if one.host == other.host:
        return True
    return resolve and bool(_addresses(one.host) & _addresses(other.host))


@lru_cache(maxsize=100)
def _addresses(host: str) -> frozenset[str]:
    """The addresses of a name, those of this machine as ``LOCAL``; the name itself if none is found."""
    if host in {LOCAL, "localhost"}:
        return frozenset({LOCAL})
    found: set[str] = set()
    thread = threading.Thread(target=_resolve, args=(host, found), daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    return frozenset(found) or frozenset({host})


def _resolve(host: str, found: set[str]) -> None:
    import socket

    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return
    for family, kind, _, _, address in answers:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind((address[0], 0))  # only an address of this machine can be bound
            found.add(LOCAL)
        except OSError:
            found.add(str(address[0]))
