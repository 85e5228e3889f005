"""Profiles: databases with names, and the protection of those that must not be changed by mistake."""

import contextlib
import json
import os
import platform
import pty
import re
import socket
import sqlite3
import threading
import time
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.printed_commands import with_database_option
from hammerwork_cli.cli.protection import ChangingGuard, Protection, ReadingGuard
from hammerwork_cli.database import Database, DatabaseUrl, connect, places, statements
from hammerwork_cli.database.guards import is_change
from hammerwork_cli.database.places import same_database
from hammerwork_cli.database.statements.__main__ import subjects
from hammerwork_cli.errors import ConflictError, HammerworkError, UsageError
from tests.commands.test_contract import CONTRACT, ENVIRONMENT, LEAVES, Asked
from tests.conftest import all_databases, each_row
from tests.forks import begin
from tests.jobs import execute

Run = Callable[..., Any]
PASSWORD = "s3cr3t"
OTHER = f"postgresql://app:{PASSWORD}@db.example.org/jobs"

CHANGES = {
    "spawn again": "{done} --handler frames",
    "spawn doctor": "--fix --yes",
    "spawn on-end": "{done} --on-complete report",
    "job enqueue": "--queue mail --payload {{}}",
    "job import": "{tree} --new-ids",
    "job retry": "{segment}",
    "job cancel": "--all --yes",
    "job delete": "{done} --yes",
    "job purge": "--all --yes",
    "queue pause": "segment",
    "queue resume": "mail",
    "queue limit": "mail --rate 5/s",
    "queue clear": "segment --yes",
    "cron create": "--queue mail --payload {{}} --every 45m",
    "cron update": "{schedule} --every 50m",
    "cron apply": "{schedules}",
    "cron enable": "--all --yes",
    "cron disable": "{schedule}",
    "cron trigger": "{schedule}",
    "cron backfill": "{schedule} --from 2026-01-01T00:00Z --to 2026-01-15T00:00Z --yes",
    "cron convert": "{recurring} --name converted",
    "cron delete": "{schedule} --yes",
    "batch enqueue": "--file {lines} --queue mail",
    "workflow create": "--name nightly",
    "workflow retry": "{workflow} --yes",
    "workflow cancel": "{workflow} --yes",
    "workflow delete": "{workflow} --force --yes",
    "batch retry": "{batch} --yes",
    "batch cancel": "{batch} --yes",
    "batch delete": "{batch} --force --yes",
    "worker start": "--handlers hammerwork_cli.demonstration:released",
    "worker stop": "{worker}",
    "worker restart": "{worker}",
    "web serve": "--port 0",
    "migration run": "--drop --yes",
    "webhook add": "--name other --url https://example.org/hook",
    "webhook update": "{webhook} --max-retries 3",
    "webhook rotate-secret": "{webhook}",
    "webhook enable": "{disabled_webhook}",
    "webhook disable": "{webhook}",
    "webhook toggle": "{webhook} --disable",
    "webhook remove": "{webhook} --yes",
    "webhook replay": "{webhook} --since 1000h --all --yes",
    "webhook import": "{webhooks}",
    "streaming add": "--name other --backend command --command cat --no-test",
    "streaming update": "{stream} --max-backlog 7",
    "streaming enable": "{disabled_stream}",
    "streaming disable": "{stream}",
    "streaming toggle": "{stream} --disable",
    "streaming remove": "{stream} --yes",
    "streaming replay": "{stream} --since 1000h --yes",
    "archive run": "--older-than 1m --yes",
    "archive restore": "{archived} --as-was",
    "archive purge": "--older-than 1m --yes",
    "archive set-policy": "--all --older-than 1d",
    "archive remove-policy": "--queue segment --yes",
    "maintenance cleanup": "--keep-completed-days 0 --yes",
    "maintenance purge-encrypted": "--yes",
    "maintenance vacuum": "--yes",
    "maintenance analyze": "",
    "maintenance reindex": "--yes",
    "maintenance check": "--fix --yes",
    "maintenance dead-jobs": "--yes",
    "job requeue-stale": "--older-than-secs 60 --yes",
    "backup restore": "-i {backup} --yes",
    "backup copy": "--to @production --merge --force --yes",
}
"""What changes a database, for each command that does."""
UNSEEN = {"maintenance vacuum", "maintenance reindex"}
"""Commands that change the file and nothing in it."""
LASTING = {"worker start", "web serve"}
ELSEWHERE = {"config set", "config unset", "config reset", "config init", "demo"}
ELSEWHERE |= {"backup create", "backup verify", "backup list", "webhook verify"}
"""Commands that change something else than the database."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration file, in a folder that exists."""
    path = tmp_path / "home" / ".config" / "hammerwork" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(file: Path, url: str, *, protected: bool = False, more: str = "") -> None:
    """Writes a file with the profile ``production``."""
    guarded = "protected = true\n" if protected else ""
    file.write_text(f'{more}[profiles.production]\nurl = "{url}"\n{guarded}', encoding="utf-8")


# Settings.


def test_a_profile_is_written_used_and_removed(run: Run, file: Path, migrated_url: str) -> None:
    file.write_text("# mine\ndefault_limit = 3 # few\n", encoding="utf-8")
    for words in (("profiles.production.url", migrated_url), ("profiles.production.protected", "true")):
        assert run("config", "set", *words).exit_code == 0
    production = {"url": migrated_url, "protected": True}
    assert tomllib.loads(file.read_text()) == {"default_limit": 3, "profiles": {"production": production}}
    assert run("config", "get", "profiles.production.protected").stdout == "true\n"
    assert run("job", "list", "-u", "@production", "--format", "json").json == []
    assert run("config", "unset", "profiles.production.protected").exit_code == 0
    assert run("config", "unset", "profiles.production").exit_code == 0
    assert file.read_text().rstrip() == "# mine\ndefault_limit = 3 # few"


@pytest.mark.parametrize("how", ["option", "variable", "file"])
def test_a_profile_is_named_wherever_a_url_can_be(run: Run, file: Path, sqlite_url: str, how: str) -> None:
    write(file, sqlite_url, more='database_url = "@production"\n' if how == "file" else "")
    words = ("-u", "@production") if how == "option" else ()
    env = {"HAMMERWORK_DATABASE_URL": "@production"} if how == "variable" else {}
    assert run("migration", "run", *words, env=env).exit_code == 0
    assert run("job", "list", *words, env=env).exit_code == 0


def test_a_printed_command_opens_the_database_that_the_option_named(run: Run, file: Path, new_database: Any) -> None:
    here, there = new_database("sqlite", migrated=True), new_database("sqlite", migrated=True)
    write(file, there)
    payload = json.dumps({"say": "hammerwork job list"})
    failed = run("job", "enqueue", "--queue", "mail", "--payload", payload, url=there).stdout.strip()
    execute(there, "UPDATE hammerwork_jobs SET status = 'Failed', error_message = 'no', failed_at = created_at")
    for option in ("@production", there):
        why = run("spawn", "why", failed[:8], "-u", option, url=here)
        pasted = [line.split() for line in why.stdout.splitlines() if line.startswith("  hammerwork ")]
        assert pasted, why.stdout
        assert run(*pasted[0][1:], "--dry-run", url=here).exit_code == 0, pasted[0]
        assert json.loads(run("spawn", "why", failed, "-u", option, "--format", "json").stdout)["next"][0].startswith(
            "hammerwork job retry"
        )
        assert '"say": "hammerwork job list"' in run("job", "show", failed, "-u", option).stdout
        assert f"hammerwork -u {option} job list" in run("job", "show", "ffff", "-u", option).stderr
    assert "  hammerwork job retry" in run("spawn", "why", failed, url=there).stdout


def test_a_printed_command_never_has_the_password_of_the_option() -> None:
    assert with_database_option("See: hammerwork job list", OTHER) == (
        "See: hammerwork -u 'postgresql://app:***@db.example.org/jobs' job list"
    )
    quoting = "job retry --error 'Once more: hammerwork job retry *'"
    assert with_database_option(f"  hammerwork {quoting}", "@production") == f"  hammerwork -u @production {quoting}"
    assert with_database_option("See: hammerwork cron apply --help", OTHER) == "See: hammerwork cron apply --help"


@pytest.mark.parametrize(
    ("name", "word"), [("@staging", "Profiles: production"), ("@", "not a profile"), ("@a b", "not a profile")]
)
def test_an_unknown_profile_is_an_error_that_lists_the_known_ones(run: Run, file: Path, name: str, word: str) -> None:
    write(file, OTHER)
    done = run("job", "list", "-u", name)
    assert (done.exit_code, word in done.stderr, PASSWORD in done.stderr) == (3, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "profiles = 3",
        "[profiles]\nproduction = 3",
        "[profiles.production]\nprotected = true",
        '[profiles.production]\nurl = "@staging"',
        '[profiles.production]\nurl = "sqlite:///x.db"\nprotected = "yes"',
    ],
)
def test_a_profile_that_is_not_valid_is_an_error(run: Run, file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert run("job", "list", "-u", "@production").exit_code == 3


def test_passwords_of_profiles_are_masked_and_noted(run: Run, file: Path) -> None:
    write(file, OTHER, protected=True)
    file.chmod(0o644)
    shown = run("config", "show")
    assert "profiles.production.url" in shown.stdout
    assert PASSWORD not in shown.stdout + shown.stderr
    assert "other users can read it" in shown.stderr
    assert PASSWORD in run("config", "get", "profiles.production.url", "--show-secrets").stdout
    assert PASSWORD not in run("config", "set", "profiles.other.url", OTHER).stderr


@pytest.mark.parametrize(
    "words", [("profiles.a.b.url", "x"), ("profiles.a.ur", "x"), ("profiles.a.protected", "maybe")]
)
def test_a_setting_that_a_profile_has_not_is_refused(run: Run, file: Path, words: tuple[str, str]) -> None:
    assert run("config", "set", *words).exit_code == 3
    assert not file.exists()


# Protection.


@pytest.fixture(scope="module")
def full(full_file: tuple[Path, dict[str, str]]) -> Asked:
    """A full SQLite database, which nobody changes."""
    path, names = full_file
    return Asked(f"sqlite:///{quote(str(path))}", names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the files of ``names``, which all tests of a process share."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def names(full: Asked, run: Run, folder: Path) -> dict[str, str]:
    """What commands are asked about: jobs of the full database, another database, and files with jobs of both."""
    lines, tree, backup = (folder / f"{name}.jsonl" for name in ("lines", "tree", "backup"))
    other = f"sqlite:///{folder / 'other.db'}"
    if not lines.exists():
        for words, url in (
            (("job", "export", full.names["root"], "--tree", "-o", str(tree)), full.url),
            (("migration", "run"), other),
            (("job", "enqueue", "--queue", "mail", "--payload", "{}"), other),
            (("backup", "create", "-o", str(backup)), other),
        ):
            assert run(*words, url=url).exit_code == 0
        lines.write_text('{"payload": 1}\n')
    return {**full.names, "lines": str(lines), "tree": str(tree), "backup": str(backup), "other": other}


SEALED = "is_encrypted = 1, encryption_key_id = 'k', encrypted_payload = x'00', encryption_nonce = x'00'"
PREPARED = {
    # The lost worker lives again, so that it can be asked to stop.
    "worker": "UPDATE hammerwork_workers SET request = NULL, heartbeat_at = datetime('now')",
    # Its worker is gone: nobody has registered for it.
    "requeue-stale": "UPDATE hammerwork_jobs SET claimed_by = NULL WHERE status = 'Running'",
    "purge-encrypted": f"UPDATE hammerwork_jobs SET {SEALED}, encryption_tag = x'00', retention_delete_at = created_at"
    " WHERE status = 'Dead'",
}
"""Word in the name of a command -> what it needs to have something to do."""


@pytest.fixture
def protected(request: pytest.FixtureRequest, full: Asked, file: Path, names: dict[str, str], tmp_path: Path) -> Asked:
    """A copy of the full database, with the protected profile ``production``."""
    copy = Asked(f"sqlite:///{tmp_path}/copy.db", names)
    with opened(full) as source, opened(copy) as target:
        source.backup(target)
    write(file, copy.url, protected=True)
    prepare(copy, request.node.name)
    return copy


def opened(asked: Asked) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(str(DatabaseUrl.parse(asked.url).path)))


def prepare(asked: Asked, command: str) -> None:
    for statement in (PREPARED[word] for word in PREPARED if word in command):
        with opened(asked) as connection, connection:
            connection.execute(statement)


def unprepared_first(paths: Iterable[str]) -> list[str]:
    """What a command needs would be in the way of others."""
    return sorted(paths, key=lambda path: any(word in path for word in PREPARED))


def content(asked: Asked) -> bytes:
    """All pages: a transaction changes them even if it leaves the rows as they were."""
    with opened(asked) as connection:
        return connection.serialize()


def dump(asked: Asked) -> list[str]:
    with opened(asked) as connection:
        return list(connection.iterdump())


@pytest.fixture(scope="module")
def full_dump(full: Asked) -> list[str]:
    """What copies of the full database hold, unless a command has prepared them."""
    return dump(full)


def ask(run: Run, asked: Asked, path: str, line: str, *more: str) -> Any:
    # A copy changes the database that it names itself.
    database = asked.names["other"] if path == "backup copy" else "@production"
    words = [word.format(**asked.names) for word in line.split()]
    return run(*path.split(), *words, "-u", database, *more, env=ENVIRONMENT)


def test_every_command_that_changes_something_is_tested_here() -> None:
    changing = {path for path, says in CONTRACT.items() if says.changes}
    changing |= {"spawn doctor", "spawn on-end", "maintenance check"}
    assert changing == CHANGES.keys() | ELSEWHERE, "say in CHANGES how the new command changes the database"


def test_no_command_changes_a_protected_database_without_its_name(run: Run, protected: Asked) -> None:
    wrong = []
    for path in unprepared_first(CHANGES):
        prepare(protected, path)
        before = content(protected)
        done = ask(run, protected, path, CHANGES[path])
        says = ("The profile production is protected.", "--confirm-profile production")
        refused = done.exit_code == 2 and all(words in done.stderr for words in says)
        if not refused or content(protected) != before:
            wrong.append((path, done))
    assert wrong == []


def test_neither_a_reading_command_nor_a_dry_run_asks(run: Run, protected: Asked) -> None:
    wrong = []
    for path in unprepared_first(path for path in CONTRACT if path not in ELSEWHERE):
        prepare(protected, path)
        before = content(protected)
        for line in CONTRACT[path].lines if path in CHANGES else CONTRACT[path].lines[:1]:
            if path in CHANGES and not line:
                continue
            done = ask(run, protected, path, line)
            if done.exit_code not in CONTRACT[path].exit_codes or content(protected) != before:
                wrong.append((path, line, done))
    assert wrong == []


@pytest.mark.parametrize("path", sorted(CHANGES.keys() - LASTING))
def test_with_its_name_a_protected_database_is_changed(
    run: Run, protected: Asked, full_dump: list[str], path: str
) -> None:
    before = dump(protected) if any(word in path for word in PREPARED) else full_dump
    done = ask(run, protected, path, CHANGES[path], "--confirm-profile", "production")
    assert done.exit_code in {0, 1}, done
    assert path in UNSEEN or dump(protected) != before


def test_the_name_of_another_profile_is_refused_even_where_nothing_changes(run: Run, protected: Asked) -> None:
    done = ask(run, protected, "job list", "", "--confirm-profile", "staging")
    assert (done.exit_code, "'staging'" in done.stderr) == (2, True)
    elsewhere = run("job", "list", "-u", "sqlite:////srv/other.db", "--confirm-profile", "production")
    assert (elsewhere.exit_code, "is that of no profile" in elsewhere.stderr) == (2, True)


def test_a_url_does_not_go_round_the_protection_of_its_database(
    run: Run, protected: Asked, file: Path, tmp_path: Path
) -> None:
    before = content(protected)
    words = ("queue", "pause", "mail", "-u", f"{protected.url}?mode=rwc")
    refused = run(*words)
    assert (refused.exit_code, "The profile production is protected." in refused.stderr) == (2, True)
    assert content(protected) == before
    confirmed = run(*words, "--confirm-profile", "production")
    assert confirmed.exit_code == 0, confirmed
    other = f"sqlite:///{tmp_path}/other.db"
    file.write_text(file.read_text() + "\n[profiles.broken]\nurl = 'nonsense'\n")
    assert run("migration", "run", "--yes", "-u", other).exit_code == 0
    assert run(*words[:3], "-u", other).exit_code == 0
    assert run(*words[:3], "-u", protected.url).exit_code == 2


HERE = ("localhost", "LOCALHOST", "127.1", "0.0.0.0")


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
def test_no_spelling_of_a_server_goes_round_the_protection_of_its_database(
    run: Run, new_database: Callable[..., str], file: Path, dialect: str, host: str
) -> None:
    url = new_database(dialect, migrated=True)
    write(file, url, protected=True)
    spelt = re.sub(r"@[^:/]+", f"@{host}", url)
    refused = run("queue", "pause", "mail", "-u", spelt)
    assert (refused.exit_code, "The profile production is protected." in refused.stderr) == (2, True), refused.stderr
    confirmed = run("queue", "pause", "mail", "-u", spelt, "--confirm-profile", "production")
    assert confirmed.exit_code == 0, confirmed.stderr


HOST = platform.node()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://app@db.invalid/jobs", "postgres://other:x@db.invalid/jobs?sslmode=require"),
        ("postgresql://db.invalid/jobs", "postgresql://standby.invalid:5432,DB.invalid.:5432/jobs"),
        ("postgresql://127.0.0.1/jobs", f"postgresql://{HOST}/jobs"),
        ("postgresql://127.0.0.1/jobs", "postgresql://%6Cocalhost./jobs"),
        ("postgresql://127.0.0.1/jobs", "postgresql://[::1]:5432/jobs"),
        ("postgresql://127.0.0.1/jobs", "postgresql:///jobs?host=localhost"),
        ("postgresql://127.0.0.1/jobs", "postgresql://db.invalid/other?host=localhost&port=5432&dbname=jobs"),
        ("postgresql://127.0.0.1/jobs", "postgresql://db.invalid/jobs?hostaddr=127.0.0.1"),
        ("postgresql://127.0.0.1/jobs", "postgresql:///jobs?host=/var/run/postgresql"),
        ("postgresql://127.0.0.1/jobs", "postgresql://%2Fvar%2Frun%2Fpostgresql/jobs"),
        ("postgresql://127.0.0.1:5433/jobs", "postgresql://db.invalid,localhost:5433/jobs"),
        ("postgresql://127.0.0.1:5433/jobs", "postgresql://localhost/jobs?port=5433"),
        ("postgresql://db.invalid:5434/jobs", "postgresql:///jobs"),
        ("postgresql://db.invalid:5434/jobs", "postgresql:///"),
        ("postgresql://service.invalid/jobs", "postgresql:///jobs?service=batch"),
        ("postgresql://127.0.0.1/a b".replace(" ", "%20"), "postgresql://localhost/%61%20b"),
        ("mysql://127.0.0.1/jobs", "mariadb://localhost:3306/Jobs"),
        ("mysql://127.0.0.1/jobs", "mysql://db.invalid/jobs?unix_socket=/run/mysqld/mysqld.sock"),
        ("mysql://127.0.0.1/jobs", "mysql:///jobs"),
    ],
)
def test_a_url_is_that_of_a_profile_wherever_it_leads_to_the_same_database(
    one: str, other: str, tmp_path: Path
) -> None:
    services = tmp_path / "services"
    services.write_text("[batch]\nhost=service.invalid\nport=5432\n")
    environ = {"PGSERVICEFILE": str(services)}
    if "5434" in one:
        environ |= {"PGHOST": "db.invalid", "PGPORT": "5434", "PGDATABASE": "jobs"}
    assert same_database(DatabaseUrl.parse(one), DatabaseUrl.parse(other), environ)
    assert same_database(DatabaseUrl.parse(other), DatabaseUrl.parse(one), environ)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://db.invalid/jobs", "postgresql://db.invalid/other"),
        ("postgresql://db.invalid/jobs", "postgresql://db2.invalid/jobs"),
        ("postgresql://db.invalid/jobs", "mysql://db.invalid/jobs"),
        ("postgresql://db.invalid/jobs", "postgresql://db.invalid/Jobs"),
        ("postgresql://localhost:5433/jobs", "postgresql://localhost/jobs"),
        ("postgresql://localhost/jobs", "postgresql://192.0.2.1/jobs"),
        ("postgresql:///jobs?host=/run/one", "postgresql:///jobs?host=/run/two"),
        ("mysql:///jobs?unix_socket=/run/one.sock", "mysql:///jobs?unix_socket=/run/two.sock"),
        ("sqlite:////srv/one.db", "sqlite:////srv/two.db"),
    ],
)
def test_a_url_of_another_database_is_not_that_of_a_profile(one: str, other: str) -> None:
    assert not same_database(DatabaseUrl.parse(one), DatabaseUrl.parse(other), {})
    assert not same_database(DatabaseUrl.parse(other), DatabaseUrl.parse(one), {})


def test_a_link_to_a_file_leads_to_its_database(run: Run, protected: Asked, tmp_path: Path) -> None:
    path = DatabaseUrl.parse(protected.url).path
    assert path is not None
    (tmp_path / "hard.db").hardlink_to(path)
    (tmp_path / "soft.db").symlink_to(path)
    for name in ("hard.db", "soft.db", "./home/../soft.db"):
        refused = run("queue", "pause", "mail", "-u", f"sqlite:///{tmp_path}/{name}")
        assert (refused.exit_code, "The profile production is protected." in refused.stderr) == (2, True)


def test_another_profile_of_a_protected_database_does_not_go_round_its_protection(
    run: Run, protected: Asked, file: Path
) -> None:
    file.write_text(file.read_text() + f'\n[profiles.also]\nurl = "{protected.url}"\n')
    refused = run("queue", "pause", "mail", "-u", "@also")
    assert (refused.exit_code, "The profile production is protected." in refused.stderr) == (2, True)


def test_a_name_server_that_does_not_answer_delays_a_command_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: silent.wait(30) and [])
    monkeypatch.setattr(places, "RESOLVE_SECONDS", 0.05)
    one, other = map(DatabaseUrl.parse, ("postgresql://silent.invalid/jobs", "postgresql://silent2.invalid/jobs"))
    began = time.monotonic()
    assert not same_database(one, other, {})
    assert time.monotonic() - began < 10
    silent.set()


def test_yes_alone_does_not_confirm_a_profile_and_the_name_does_not_replace_yes(run: Run, protected: Asked) -> None:
    assert ask(run, protected, "job delete", "{done} --yes").exit_code == 2
    assert ask(run, protected, "job delete", "{done}", "--confirm-profile", "production").exit_code == 2


@pytest.mark.parametrize(
    ("words", "typed", "code"),
    [
        (["job", "delete", "{done}"], "production", 0),
        (["job", "delete", "{done}"], "y", 2),
        (["job", "delete", "{done}", "--yes"], "production", 0),
        (["job", "enqueue", "--queue", "mail", "--payload", "{{}}"], "production", 0),
        (["job", "enqueue", "--queue", "mail", "--payload", "{{}}"], "", 2),
    ],
)
def test_at_a_terminal_the_name_is_typed_once(
    protected: Asked, clean_environment: dict[str, str], words: list[str], typed: str, code: int
) -> None:
    before = content(protected)
    controller, terminal = pty.openpty()
    filled = [word.format(**protected.names) for word in words]
    streams = {0: terminal, 2: terminal}
    program = begin([*filled, "-u", "@production"], clean_environment, Path.cwd(), streams=streams)
    os.close(terminal)
    shown = ""
    while "Type production to confirm: " not in shown:
        shown += os.read(controller, 4096).decode()
    os.write(controller, f"{typed}\n".encode())
    program.communicate(60)
    assert program.returncode == code
    os.close(controller)
    assert (content(protected) != before) == (code == 0)


# The mechanism.


@pytest.fixture
def guarded(migrated_url: str) -> Callable[[type], Database]:
    """A connection with a guard of a kind."""

    def guard(kind: type) -> Database:
        url = DatabaseUrl.parse(migrated_url)
        return connect(
            DatabaseUrl(**{**{name: getattr(url, name) for name in url.__slots__}, "guard": kind(PROTECTION)})
        )

    return guard


PROTECTION = Protection(Context({}), "production")


@each_row(
    "attempt",
    [
        lambda database: database.run("queue.resume", queues=["x"]),
        lambda database: database.plain_run("migration.tracking_table"),
        lambda database: database.script("CREATE TABLE hammerwork_x (y INTEGER)"),
        lambda database: database.query("DELETE FROM hammerwork_jobs"),
        lambda database: database.query("WITH x AS (SELECT 1) DELETE FROM hammerwork_jobs"),
    ],
)
@pytest.mark.parametrize(("kind", "error"), [(ReadingGuard, ConflictError), (ChangingGuard, UsageError)])
@all_databases
def test_a_guarded_connection_lets_no_change_pass(
    guarded: Callable[[type], Database], attempt: Callable[[Database], None], kind: type, error: type[HammerworkError]
) -> None:
    with contextlib.closing(guarded(kind)) as database, pytest.raises(error):
        attempt(database)


@all_databases
def test_a_guarded_connection_asks_before_a_transaction_locks_anything(guarded: Callable[[type], Database]) -> None:
    with contextlib.closing(guarded(ChangingGuard)) as database, pytest.raises(UsageError):
        database.transaction(lambda: pytest.fail("the transaction began"))


def test_every_statement_of_the_program_is_known_as_a_change_or_as_reading() -> None:
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for subject in subjects():
        for variants in statements.blocks(subject).values():
            for _, text in variants:
                word = text.split(maxsplit=1)[0] if text.strip() else ""
                if word in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE"}:
                    found[is_change(text)].add(word)
    assert found[True] >= {"INSERT", "UPDATE", "DELETE", "CREATE"}
    assert found[False] == {"SELECT", "WITH"}


def test_all_commands_take_the_name_of_a_profile() -> None:
    assert all(any("--confirm-profile" in param.opts for param in leaf.params) for leaf in LEAVES.values())
