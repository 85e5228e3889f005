"""Databases in every state that reading must cope with."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.servers import CrashingServer, crashing_server
from hammerwork_cli.database import Database, connect
from tests.conftest import needed, unavailable
from tests.rows import Rows
from tests.servers import PrivatePostgres, owner

TLS_FILES = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"}
BEFORE_012 = """
ALTER TABLE hammerwork_jobs DROP CONSTRAINT chk_depends_on_size, DROP CONSTRAINT chk_dependents_size;
ALTER TABLE hammerwork_jobs ALTER depends_on DROP DEFAULT, ALTER dependents DROP DEFAULT;
DROP INDEX idx_hammerwork_jobs_depends_on, idx_hammerwork_jobs_dependents;
DROP INDEX IF EXISTS idx_hammerwork_jobs_first_parent, idx_hammerwork_jobs_joins;
DROP INDEX IF EXISTS idx_hammerwork_jobs_archive_first_parent;
ALTER TABLE hammerwork_jobs ALTER depends_on TYPE jsonb USING to_jsonb(depends_on),
                            ALTER dependents TYPE jsonb USING to_jsonb(dependents);
ALTER TABLE hammerwork_jobs ALTER depends_on SET DEFAULT '[]', ALTER dependents SET DEFAULT '[]';
DELETE FROM hammerwork_migrations WHERE migration_id >= '012'
"""


def _without_015(url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        Rows(database).run("DELETE FROM hammerwork_migrations WHERE migration_id > '015'")


def _before_012(url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        for statement in BEFORE_012.split(";"):
            database.script(statement)


WAYS = {
    "sqlite": ("sqlite", "current", None),
    "sqlite-without-015": ("sqlite", "by_scan", _without_015),
    "postgres": ("postgres", "current", None),
    "postgres-without-015": ("postgres", "by_gin", _without_015),
    "postgres-before-012": ("postgres", "by_scan", _before_012),
    "mysql": ("mysql", "current", None),
    "mysql-without-015": ("mysql", "by_scan", _without_015),
}


def params(*ways: str) -> list[Any]:
    return [pytest.param(name, marks=getattr(pytest.mark, WAYS[name][0])) for name in ways]


current_only = pytest.mark.parametrize("readable", params("sqlite", "postgres", "mysql"), indirect=True)
"""The mark of a test of changes: only current databases are changed."""
readable_on_sqlite = pytest.mark.parametrize("readable", params("sqlite", "sqlite-without-015"), indirect=True)
"""For a test of what our code makes of rows, if others read them by the same statements on servers."""
one_way_on_servers = pytest.mark.parametrize(
    "readable", params("sqlite", "sqlite-without-015", "postgres", "mysql"), indirect=True
)
"""For a test whose statements others send to servers with other tables, too."""


@pytest.fixture(params=params(*WAYS))
def readable(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Iterator[Database]:
    """A migrated database, current and with the tables of hammerwork (Rust) alone, and as PostgreSQL was before 012."""
    dialect, way, change = WAYS[request.param]
    with contextlib.closing(connect(new_database(dialect, migrated=True, change=change))) as database:
        assert way in database.tags
        yield database


@pytest.fixture
def rows(readable: Database) -> Rows:
    """Writes jobs into ``readable``."""
    return Rows(readable)


# Servers of the tests' own, whose settings may be changed and which may be stopped, if they are started again.


def certificate(folder: Path, name: str, *options: str) -> None:
    """Makes ``name.pem`` and ``name.key``, signed by itself."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
    subprocess.run([*command, *files, *options], check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates() -> Iterator[Path]:
    """A folder with ``ca.pem``, ``server.pem`` that it signed for 127.0.0.1, and ``other.pem``, which nobody signed."""
    if shutil.which("openssl") is None:
        unavailable("openssl is missing")
    # The server is of another user, who must reach it.
    folder = Path(tempfile.mkdtemp(prefix="hammerwork-test-"))
    folder.chmod(0o755)
    certificate(folder, "ca")
    certificate(folder, "other", "-addext", "subjectAltName=IP:127.0.0.1")
    by = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key")]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate(folder, "server", *by, *leaf)
    for file in folder.iterdir():
        file.chmod(0o644)
    # PostgreSQL takes a key that is its own alone.
    key = Path(shutil.copy(folder / "server.key", folder / "postgres.key"))
    key.chmod(0o600)
    if os.geteuid() == 0:
        user = owner(PrivatePostgres.system_users)
        os.chown(key, user.pw_uid, user.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def own_server(certificates: Path) -> Iterator[Callable[[str], CrashingServer]]:
    """``own_server(kind)``: MySQL, or PostgreSQL for few, with TLS."""
    settings = {
        "mysql": {f"ssl-{what}": str(certificates / name) for what, name in TLS_FILES.items()},
        "postgres": {
            "max_connections": "10",
            "ssl": "on",
            "ssl_cert_file": str(certificates / "server.pem"),
            "ssl_key_file": str(certificates / "postgres.key"),
        },
    }
    with contextlib.ExitStack() as closing:
        made: dict[str, CrashingServer] = {}

        def server(kind: str) -> CrashingServer:
            if kind not in made:
                with needed():
                    made[kind] = closing.enter_context(crashing_server(kind, settings[kind]))
            return made[kind]

        yield server
