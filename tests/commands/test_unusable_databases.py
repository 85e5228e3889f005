"""A database that cannot be read ends a command with 4, a stable code, and the next step."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.migration import queries as migrations

Run = Callable[..., Any]
SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
PASSWORD = "s3cr3t-p%40ss"
STRANGER = {
    "postgresql": ("CREATE ROLE {user} LOGIN PASSWORD 's3cr3t-p@ss'", "DROP OWNED BY {user}", "DROP ROLE {user}"),
    "mysql": ("CREATE USER {user} IDENTIFIED BY 's3cr3t-p@ss'", "DROP USER {user}"),
}
INSERT_ONLY = "GRANT INSERT ON hammerwork_jobs TO {user}"
READ_NOTES = "GRANT SELECT ON hammerwork_migrations TO {user}"


def refused(run: Run, url: str, code: str, *said: str) -> None:
    """Each command that reads says so, as text and as JSON."""
    for words in (("spawn", "list"), ("spawn", "tree", "12345678"), ("job", "list"), ("queue", "stats")):
        done = run(*words, "--format", "json", url=url)
        assert (done.exit_code, done.stdout) == (4, ""), done.stderr
        assert '"code": "' + code + '"' in done.stderr
        done = run(*words, "--debug", url=url)
        assert (done.exit_code, done.stdout) == (4, "")
        assert all(words in done.stderr for words in ("Error: ", *said)), done.stderr
        assert "s3cr3t" not in done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_that_does_not_exist(run: Run, new_database: Callable[..., str], kind: str) -> None:
    url = urlsplit(new_database(kind))._replace(path="/hammerwork_test_nowhere").geturl()
    refused(run, url, "database_unreachable", "the database does not exist", "Create it, or check the name.")


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_host_that_does_not_exist(run: Run, scheme: str) -> None:
    url = f"{scheme}://me:{PASSWORD}@no-such-host.invalid/db"
    refused(run, url, "database_unreachable", "The host name", "Check its spelling")


def test_a_folder_instead_of_a_file(run: Run, tmp_path: Path) -> None:
    refused(
        run,
        f"sqlite:///{tmp_path}",
        "database_unreachable",
        "is a folder, not an SQLite file.",
        "Add the name of a file.",
    )


@pytest.mark.parametrize("kind", SERVERS)
def test_tables_that_are_older_than_dependencies(
    run: Run, new_database: Callable[..., str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database(kind)
    with contextlib.closing(connect(url)) as database, monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:6])
        migrations.run(database)
    refused(run, url, "tables_missing", "older than job dependencies (007)", "hammerwork migration run")


@pytest.fixture
def administrator(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Iterator[Database]:
    """A database whose tables a stranger may not read."""
    with contextlib.closing(connect(new_database(request.param, migrated=True))) as database:
        yield database


@pytest.fixture
def stranger(administrator: Database) -> Iterator[str]:
    """The name of a user who may do nothing yet."""
    user = f"hammerwork_test_{uuid4().hex[:12]}"
    create, *drop = STRANGER[administrator.dialect]
    try:
        administrator.script(create.format(user=user))
    except HammerworkError as error:
        pytest.skip(f"this server lets the tests make no users: {error}")
    yield user
    for statement in drop:
        administrator.script(statement.format(user=user))


@pytest.mark.parametrize("administrator", SERVERS, indirect=True)
def test_a_table_that_the_user_may_not_read(run: Run, administrator: Database, stranger: str) -> None:
    parts = urlsplit(administrator.url.raw)
    url = parts._replace(netloc=f"{stranger}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    for grant in (INSERT_ONLY, READ_NOTES):
        administrator.script(grant.format(user=stranger))
    refused(run, url, "database_access_denied", "refuses", "denied", "rivilege")


@pytest.mark.parametrize("administrator", SERVERS, indirect=True)
def test_a_table_that_the_user_may_not_see_is_not_missing(run: Run, administrator: Database, stranger: str) -> None:
    """MySQL leaves out of its lists what a user has no privilege on."""
    parts = urlsplit(administrator.url.raw)
    url = parts._replace(netloc=f"{stranger}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    for grant in (
        "GRANT SELECT ON hammerwork_jobs TO {user}",
        "GRANT SELECT (id) ON hammerwork_jobs_archive TO {user}",
        READ_NOTES,
    ):
        administrator.script(grant.format(user=stranger))
    assert run("migration", "status", "--check", url=url).exit_code == 0
    administrator.script("ALTER TABLE hammerwork_jobs DROP COLUMN ancestry")
    done = run("migration", "status", "--check", url=url)
    assert done.exit_code == 1
    assert "018_claims is recorded, but this is missing: column hammerwork_jobs.ancestry." in done.stderr


@pytest.mark.parametrize("administrator", SERVERS, indirect=True)
def test_an_id_that_no_job_has_needs_no_privilege_on_other_tables(
    run: Run, administrator: Database, stranger: str
) -> None:
    """Only the hint reads those of workflows and batches."""
    parts = urlsplit(administrator.url.raw)
    url = parts._replace(netloc=f"{stranger}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    for table in ("jobs", "jobs_archive", "migrations"):
        administrator.script(f"GRANT SELECT ON hammerwork_{table} TO {stranger}")
    done = run("job", "show", "deadbeef", url=url)
    assert (done.exit_code, "No job has an id that starts with deadbeef" in done.stderr) == (5, True)


@pytest.mark.parametrize("administrator", ["mysql"], indirect=True)
def test_the_list_of_migrations_may_be_hidden_from_a_user(run: Run, administrator: Database, stranger: str) -> None:
    parts = urlsplit(administrator.url.raw)
    url = parts._replace(netloc=f"{stranger}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    for table in ("jobs", "workers"):
        administrator.script(f"GRANT SELECT ON hammerwork_{table} TO {stranger}")
    done = run("worker", "list", url=url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "hammerwork_migrations, which lists the applied migrations, is missing, or hidden" in done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_a_url_that_hammerwork_rust_shares_is_usable_with_a_note(
    run: Run, new_database: Callable[..., str], kind: str
) -> None:
    url = new_database(kind, migrated=True)
    shared = f"{url}{'&' if '?' in url else '?'}statement-cache-capacity=100"
    done = run("job", "list", url=shared)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "have no effect: statement-cache-capacity." in " ".join(done.stderr.split())
    assert "no effect" not in run("job", "list", "--quiet", url=shared).stderr
