"""Every command that changes a database, on one whose payloads are encrypted: none passes a placeholder on."""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli import EncryptionKeys, Job, Queue
from hammerwork_cli.app import main
from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import Database, connect
from tests.commands.test_contract import ENVIRONMENT
from tests.commands.test_given_twice import options
from tests.commands.test_profiles import CHANGES, LASTING
from tests.rows import Rows
from tests.rust3.payloads import PLACEHOLDER, decrypted, encrypted

Run = Callable[..., Any]
OTHERS = {"migration run", "worker stop", "worker restart"}
"""Commands that write no jobs."""
REFUSED = {"job import": {2}, "batch enqueue": {2}, "cron convert": {6}}
REFUSED |= {path: {6} for path in ("job enqueue", "cron create", "cron apply")}
"""What would need the key, or write plaintext."""
KEY = bytes(range(32))
SECRET = {"card": "4111"}
COLUMNS = (
    "id, queue_name, payload, is_encrypted, encryption_key_id, encryption_algorithm, encrypted_payload,"
    " encryption_nonce, encryption_tag, encryption_metadata, payload_hash, pii_fields"
)


def seal(database: Database) -> None:
    """Encrypts the payloads of all jobs that have readable ones."""
    rows = Rows(database)
    for job, queue in database.query("SELECT id, queue_name FROM hammerwork_jobs"):
        made = encrypted(SECRET, job=job, queue=queue, key=KEY) | {"pii_fields": "[]"}
        values = ", ".join(f"{name} = ?" for name in made)
        rows.run(f"UPDATE hammerwork_jobs SET {values} WHERE id = ?", [*made.values(), job])


def told(database: Database, was_archived: str | None = None) -> Iterator[str]:
    """What is wrong with the payloads of a database. Those of schedules and of one job are in plaintext."""
    names = [name.strip() for name in COLUMNS.split(",")]
    for values in database.query(f"SELECT {COLUMNS} FROM hammerwork_jobs"):
        row = dict(zip(names, values, strict=True))
        if row["is_encrypted"]:
            if decrypted(row, KEY) != SECRET:
                yield f"job {row['id']} decrypts to something else"
        elif json.loads(row["payload"] or "null") == PLACEHOLDER or "[ENCRYPTED]" in str(row["payload"]):
            yield f"job {row['id']} has a placeholder in plaintext"
        elif "_schedule" not in str(row["payload"]) and row["id"] != was_archived:
            yield f"job {row['id']} is in plaintext, and nobody meant it"
    for place in ("hammerwork_schedules", "hammerwork_jobs_archive"):
        for payload, *hidden in database.query(
            f"SELECT CAST(payload AS TEXT){', is_encrypted' if 'archive' in place else ''} FROM {place}"
        ):
            if "encrypted" in str(payload) and not any(hidden):
                yield f"{place} has a placeholder in plaintext"


@pytest.fixture(scope="module")
def filled(
    full_file: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """A database, and the names of what is in it, of a tree and of a backup of it."""
    folder = tmp_path_factory.mktemp("encrypted")
    path = folder / "jobs.db"
    url = f"sqlite:///{path}"
    shutil.copy(full_file[0], path)
    with contextlib.closing(connect(url)) as database:
        seal(database)
        assert list(told(database)) == []
    names = full_file[1] | {name: str(folder / f"{name}.jsonl") for name in ("lines", "tree", "backup")}
    Path(names["lines"]).write_text('{"payload": 1}\n')
    for words in (
        ("job", "export", names["root"], "--tree", "-o", names["tree"]),
        ("backup", "create", "-o", names["backup"]),
    ):
        assert main([*words, "-u", url], Context({})) == 0
    return path, names


@pytest.mark.parametrize("path", sorted(CHANGES.keys() - LASTING - OTHERS))
def test_a_command_leaves_encrypted_payloads_decryptable(
    run: Run, filled: tuple[Path, dict[str, str]], empty_file: Path, tmp_path: Path, path: str
) -> None:
    source, names = filled
    here = there = f"sqlite:///{shutil.copy(source, tmp_path / 'copy.db')}"
    if path.startswith("backup"):
        here = f"sqlite:///{shutil.copy(empty_file, tmp_path / 'other.db')}"
    words = CHANGES[path].replace("@production", "{production}").format(**names, production=here).split()
    done = run(*path.split(), *words, "-u", there if path == "backup copy" else here, env=ENVIRONMENT)
    assert done.exit_code in REFUSED.get(path, {0, 1}), done
    hinted = {word for word in ("--encryption-key", "--no-encrypt") if word in done.stderr}
    assert hinted <= {name for one in options(path) for name in one.opts + one.secondary_opts}, done
    with contextlib.closing(connect(here)) as database:
        assert list(told(database, names["archived"])) == [], done


# Plaintext beside encrypted jobs.

JOB = {"queue": "pay", "payload": {"card": 1}}
DOORS = {
    "job enqueue": "-q pay --payload {}",
    "job enqueue, its callback": "-q other --payload {} --on-complete pay",
    "job enqueue, a file": "--file lines.jsonl",
    "batch enqueue": "--file lines.jsonl",
    "batch enqueue, its callback": "--file others.jsonl --on-success pay",
    "workflow create": "--file flow.json",
    "workflow create, a dry run": "--file flow.json --dry-run",
    "workflow create, its callback": "--name flow --on-failure pay",
    "workflow create, its callback, a dry run": "--name flow --on-failure pay --dry-run",
    "spawn on-end": "{job} --on-complete pay",
    "cron create": "-q pay --payload {} --every 45m",
    "cron create, a dry run": "-q pay --payload {} --every 45m --dry-run",
    "cron create, in place": "-q pay --payload {} --schedule @hourly --in-place",
    "cron update": "there --payload 1",
    "cron update, its queue": "elsewhere --queue pay",
    "cron apply": "schedules.json",
    "cron trigger": 'there --payload {"card":2}',
}
"""Every way to a new payload, for each command that has one."""


@pytest.fixture
def mixed(makers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database with an encrypted job and a schedule in a queue, and files with jobs for it."""
    url = makers["sqlite"].migrated()
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "lines.jsonl": json.dumps(JOB),
        "others.jsonl": json.dumps({**JOB, "queue": "other"}),
        "flow.json": json.dumps({"name": "flow", "jobs": {"pay": JOB}}),
        "schedules.json": json.dumps({"pay": {"every": "1h"}}),
    }.items():
        Path(name).write_text(text + "\n")
    with Queue(url, encryption=EncryptionKeys({"default": KEY})) as queue:
        queue.enqueue(Job("pay", SECRET).with_encryption())
    yield url
    makers["sqlite"].drop(url)


def contents(url: str) -> list[Any]:
    tables = ("jobs", "schedules", "watches", "batches", "workflows")
    with contextlib.closing(connect(url)) as database:
        return [database.query(f"SELECT * FROM hammerwork_{table}") for table in tables]


@pytest.mark.parametrize("door", DOORS)
def test_plaintext_in_a_queue_of_encrypted_jobs_must_be_meant_at_every_door(run: Run, mixed: str, door: str) -> None:
    for name, queue in (("there", "pay"), ("elsewhere", "other")):
        made = run(
            "cron", "create", "-q", queue, "--payload", "{}", "--every", "2h", "--name", name, "--no-encrypt", url=mixed
        )
        assert made.exit_code == 0, made
    job = run("job", "enqueue", "-q", "other", "--payload", "{}", url=mixed).stdout.strip()
    words = [*door.partition(",")[0].split(), *DOORS[door].replace("{job}", job).split()]
    before = contents(mixed)
    refused = run(*words, url=mixed)
    assert refused.exit_code in (2, 6), refused
    assert "The queue 'pay' holds encrypted jobs" in " ".join(refused.stderr.split())
    assert "--no-encrypt" in refused.stderr
    assert contents(mixed) == before
    meant = run(*words, "--no-encrypt", url=mixed)
    assert meant.exit_code == 0, meant
    assert (contents(mixed) == before) == ("dry run" in door)


def test_copies_of_stored_plaintext_are_meant(run: Run, mixed: str) -> None:
    """Copies of it reveal nothing: those of schedules, and of recurring jobs."""
    each = ("-q", "pay", "--payload", "{}", "--no-encrypt")
    assert run("cron", "create", *each, "--schedule", "@hourly", "--name", "there", url=mixed).exit_code == 0
    recurring = run("cron", "create", *each, "--schedule", "@hourly", "--in-place", url=mixed).stdout.strip()
    for words in (
        ("update", "there", "--schedule", "@daily"),
        ("trigger", "there"),
        ("backfill", "there", "--from", "2026-01-01T00:00Z", "--to", "2026-01-03T00:00Z", "--yes"),
        ("convert", recurring, "--name", "converted"),
    ):
        done = run("cron", *words, url=mixed)
        assert done.exit_code == 0, done


def test_every_command_that_takes_a_payload_has_a_way_to_mean_plaintext() -> None:
    doors = {door.partition(",")[0] for door in DOORS}
    named = {path: {opt for one in options(path) for opt in one.opts + one.secondary_opts} for path in CHANGES}
    meant = {path for path, opts in named.items() if "--no-encrypt" in opts}
    takes = {path for path, opts in named.items() if opts & {"-j", "--on-complete"}}
    assert takes <= meant == doors


# Dry runs of what deletes.

DELETES = {
    "job delete": "--queue pay --yes",
    "job purge": "--all --older-than 1m --yes",
    "queue clear": "pay --yes",
    "archive run": "--older-than 1m --by job --yes",
    "archive purge": "--older-than 1m --yes",
    "maintenance cleanup": "--keep-completed-days 0 --yes",
    "maintenance purge-encrypted": "--yes",
}
"""Those of batches and workflows carry out a plan as `job delete` does."""


@pytest.mark.parametrize("path", DELETES)
def test_a_dry_run_counts_what_a_run_deletes_or_says_that_some_may_stay(run: Run, mixed: str, path: str) -> None:
    """Of two jobs that have ended, one is waited for, in the archive too."""
    ended, jobs = datetime.now(UTC) - timedelta(days=60), [str(uuid4()) for _ in range(4)]
    with contextlib.closing(connect(mixed)) as database:
        database.script("DELETE FROM hammerwork_jobs")
        rows = Rows(database)
        for job in jobs:
            made = encrypted(SECRET, job=job, queue="pay", key=KEY) | {"pii_fields": "[]", "retention_delete_at": ended}
            made["payload"] = json.loads(made["payload"])
            rows.job(id=job, queue="pay", status="Completed", created_at=ended, completed_at=ended, **made)
            if job == jobs[1]:
                assert run("archive", "run", "--older-than", "1m", "--by", "job", "--yes", url=mixed).exit_code == 0
                rows.run("UPDATE hammerwork_jobs_archive SET archived_at = ?", [ended])
        for job in jobs[1::2]:
            rows.job(job, queue="next", status="Pending", dependency_status="waiting")
    words = [*path.split(), *DELETES[path].split()]
    dry, done = run(*words, "--dry-run", url=mixed), run(*words, url=mixed)
    assert (dry.exit_code, done.exit_code in (0, 1)) == (0, True), (dry, done)
    planned, deleted = (re.findall(r"\d+", one.stdout) for one in (dry, done))
    assert deleted, done
    assert planned[: len(deleted)] == deleted or "Jobs that a remaining job depends on will be kept." in dry.stdout, (
        dry,
        done,
    )
