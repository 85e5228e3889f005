"""Encrypted payloads on the command line: no verb passes a placeholder on, and none shows a key."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import EncryptionKeys, Handlers, Job, Queue, Worker
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.queries import expiry, policies
from hammerwork_cli.runtime.worker import retention
from tests.conftest import Outcome, all_databases
from tests.rows import Rows
from tests.rust3.payloads import decrypted, encrypted

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()
ENV = {"PAYMENTS_KEY": TEXT}
PLACE = ("--encryption-key", "env:PAYMENTS_KEY")
KEYS = EncryptionKeys({"default": KEY})
CARD = {"card": "4111", "name": "Zoë"}
PAYLOAD = ("--payload", json.dumps(CARD))
COLUMNS = (
    "id, queue_name, payload, encryption_key_id, encryption_algorithm, encrypted_payload, encryption_nonce,"
    " encryption_tag, encryption_metadata, payload_hash, pii_fields, is_encrypted"
)
Run = Callable[..., Outcome]


def rows(url: str, table: str = "hammerwork_jobs") -> list[dict[str, Any]]:
    with contextlib.closing(connect(url)) as database:
        names = [name.strip() for name in COLUMNS.split(",")]
        return [dict(zip(names, row, strict=True)) for row in database.query(f"SELECT {COLUMNS} FROM {table}")]


@contextlib.contextmanager
def working(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(30)


@all_databases
def test_enqueue_encrypts_so_that_version_3_decrypts(run: Run, migrated_url: str) -> None:
    whole = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", *PLACE, url=migrated_url, env=ENV)
    assert (whole.exit_code, whole.stderr) == (0, "")
    some = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--pii-field", "card", *PLACE, url=migrated_url, env=ENV)
    assert some.exit_code == 0
    found = {str(row["id"]): row for row in rows(migrated_url)}
    assert json.loads(found[whole.stdout.strip()]["payload"]) == {"encrypted": True}
    assert json.loads(found[some.stdout.strip()]["payload"]) == {"card": "[ENCRYPTED]", "name": "Zoë"}
    assert [decrypted(row, KEY) for row in found.values()] == [CARD, CARD]


def test_the_variables_of_version_3_and_the_setting_name_keys_too(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    for env, key_id in (
        ({"HAMMERWORK_ENCRYPTION_KEY": TEXT}, "default"),
        ({"HAMMERWORK_ENCRYPTION_KEY_SOURCE": "env://K", "K": TEXT, "HAMMERWORK_ENCRYPTION_KEY_ID": "k7"}, "k7"),
        ({"HAMMERWORK_ENCRYPTION_KEYS": "pay=env:K,old=env:K", "K": TEXT}, "pay"),
    ):
        done = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", url=url, env=env)
        assert done.exit_code == 0, done
        (row,) = (row for row in rows(url) if row["id"] == done.stdout.strip())
        assert row["encryption_key_id"] == key_id
    off = {"HAMMERWORK_ENCRYPTION_KEY": TEXT, "HAMMERWORK_ENCRYPTION_ENABLED": "false"}
    assert run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", url=url, env=off).exit_code == 2


def test_without_a_key_nothing_is_written(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    done = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", url=url)
    assert done.exit_code == 2
    assert "but no key was given: nothing was written" in " ".join(done.stderr.split())
    kms = {"HAMMERWORK_ENCRYPTION_KEY_SOURCE": "aws://alias/key"}
    done = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", url=url, env=kms)
    assert done.exit_code == 3
    assert "is kept by aws" in done.stderr
    done = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", "--encryption-key", TEXT, url=url)
    assert done.exit_code == 3
    assert TEXT not in done.stderr + done.stdout
    assert rows(url) == []


def test_plaintext_beside_encrypted_jobs_must_be_meant(run: Run, migrated_url: str, tmp_path: Path) -> None:
    """Whoever forgets --encrypt has written a secret that nobody can unwrite."""
    assert run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", *PLACE, url=migrated_url, env=ENV).exit_code == 0
    lines = tmp_path / "jobs.jsonl"
    lines.write_text('{"queue": "mail", "payload": {}}\n{"queue": "pay", "payload": {}}\n')
    for refused in (("-q", "pay", *PAYLOAD), ("--file", str(lines))):
        done = run("job", "enqueue", *refused, url=migrated_url)
        assert done.exit_code in (2, 6), done
        assert "holds encrypted jobs" in " ".join(done.stderr.split())
    assert len(rows(migrated_url)) == 1
    for meant in (("-q", "pay", *PAYLOAD), ("--file", str(lines))):
        assert run("job", "enqueue", *meant, "--no-encrypt", url=migrated_url).exit_code == 0
    lines.write_text('{"queue": "pay", "payload": {}, "encrypt": false}\n')
    assert run("batch", "enqueue", "-f", str(lines), url=migrated_url).exit_code == 0
    assert run("job", "enqueue", "-q", "mail", *PAYLOAD, url=migrated_url).exit_code == 0
    assert [row["queue_name"] for row in rows(migrated_url) if row["is_encrypted"]] == ["pay"]


def test_lines_of_a_file_say_which_are_encrypted(run: Run, new_database: Callable[..., str], tmp_path: Path) -> None:
    url = new_database("sqlite", migrated=True)
    lines = tmp_path / "jobs.jsonl"
    options: list[dict[str, object]] = [{"encrypt": True}, {"pii_fields": ["card"]}, {}]
    lines.write_text("".join(json.dumps({"payload": CARD, **one}) + "\n" for one in options))
    assert run("job", "enqueue", "--file", str(lines), "-q", "pay", *PLACE, url=url, env=ENV).exit_code == 0
    assert [bool(row["is_encrypted"]) for row in rows(url)].count(True) == 2
    lines.write_text("".join(json.dumps({"payload": CARD, "pii_fields": [name]}) + "\n" for name in ("card", "crad")))
    refused = run("job", "enqueue", "--file", str(lines), "-q", "pay", *PLACE, url=url, env=ENV)
    assert (refused.exit_code, len(rows(url))) == (2, 3)
    assert "Line 2: The payload has no field 'crad' to encrypt" in " ".join(refused.stderr.split())
    for names in ("", 0, False, {}, [""]):  # what a template makes of a variable that is not set
        lines.write_text(json.dumps({"payload": CARD, "pii_fields": names}) + "\n")
        refused = run("job", "enqueue", "--file", str(lines), "-q", "mail", *PLACE, url=url, env=ENV)
        assert (refused.exit_code, len(rows(url))) == (2, 3), names
    assert [decrypted(row, KEY) for row in rows(url) if row["is_encrypted"]] == [CARD, CARD]


def test_batches_and_workflows_take_the_key_of_the_setting(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    url = new_database("sqlite", migrated=True)
    lines, flow = tmp_path / "lines.jsonl", tmp_path / "flow.json"
    job = {"queue": "pay", "payload": CARD, "encrypt": True}
    lines.write_text(json.dumps(job) + "\n")
    flow.write_text(json.dumps({"jobs": {"pay": job}}))
    env = {"HAMMERWORK_ENCRYPTION_KEYS": "env:PAYMENTS_KEY", **ENV}
    for words in (("batch", "enqueue", "-f", str(lines)), ("workflow", "create", "-n", "flow", "--file", str(flow))):
        assert run(*words, url=url).exit_code == 2
        assert run(*words, url=url, env=env).exit_code == 0
    assert [decrypted(row, KEY) for row in rows(url)] == [CARD, CARD]


def test_show_names_the_key_and_the_algorithm_and_never_the_payload(run: Run, migrated_url: str) -> None:
    done = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", *PLACE, url=migrated_url, env=ENV)
    job = done.stdout.strip()
    assert "encrypted  AES256GCM, key default, " in run("job", "show", job, url=migrated_url).stdout
    shown = json.loads(run("job", "show", job, "--format", "json", url=migrated_url).stdout)
    assert (shown["is_encrypted"], shown["encryption_key_id"]) == (True, "default")
    assert shown["encryption_algorithm"] == "AES256GCM"
    assert "4111" not in json.dumps(shown)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("how", [("--new-ids",), ("--queue-prefix", "dev-"), ("--new-ids", "--as", "pending")])
def test_an_import_with_another_id_or_queue_encrypts_anew(
    run: Run, new_database: Callable[..., str], tmp_path: Path, how: tuple[str, ...], archived: bool
) -> None:
    url, other = (new_database("sqlite", migrated=True) for _ in range(2))
    enqueued = run("job", "enqueue", "-q", "pay", *PAYLOAD, "--pii-field", "card", *PLACE, url=url, env=ENV)
    job = enqueued.stdout.strip()
    if archived:
        with contextlib.closing(connect(url)) as database:
            database.script("UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at")
        assert run("archive", "run", "--completed-after-days", "0", "--yes", url=url).exit_code == 0
    tree = str(tmp_path / "tree.jsonl")
    assert run("job", "export", job, "--tree", "-o", tree, url=url).exit_code == 0
    done = run("job", "import", tree, *how, url=other)
    assert done.exit_code == 2
    assert "encrypted for its id and its queue (key 'default', AES256GCM): with --encryption-key" in " ".join(
        done.stderr.split()
    )
    table = "hammerwork_jobs_archive" if archived and "pending" not in how else "hammerwork_jobs"
    assert rows(other, table) == []
    assert run("job", "import", tree, *how, *PLACE, url=other, env=ENV).exit_code == 0
    (row,) = rows(other, table)
    if table == "hammerwork_jobs":
        assert decrypted(row, KEY) == CARD
    assert run("job", "import", tree, url=url if "x" in how else new_database("sqlite", migrated=True)).exit_code == 0


def test_every_verb_that_writes_jobs_of_jobs_leaves_them_decryptable(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    """Those that keep ids and queues need no key."""
    url, restored, copied = (new_database("sqlite", migrated=True) for _ in range(3))
    assert run("job", "enqueue", "-q", "pay", *PAYLOAD, "--encrypt", *PLACE, url=url, env=ENV).exit_code == 0
    backup = str(tmp_path / "backup.jsonl")
    assert run("backup", "create", "-o", backup, url=url).exit_code == 0
    assert run("backup", "restore", "-i", backup, "--yes", url=restored).exit_code == 0
    assert run("backup", "copy", "--to", copied, "--force", "--yes", url=url).exit_code == 0
    with contextlib.closing(connect(url)) as database:
        database.script("UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at")
    assert run("archive", "run", "--dead-after-days", "0", "--yes", url=url).exit_code == 0
    (archived,) = rows(url, "hammerwork_jobs_archive")
    assert run("archive", "restore", str(archived["id"]), "--run-again", "--yes", url=url).exit_code == 0
    for place in (url, restored, copied):
        assert [decrypted(row, KEY) for row in rows(place)] == [CARD]


def test_a_rehearsal_and_a_repeated_spawn_need_the_key(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    app = Handlers()
    app.register_job("pay", lambda _: None)
    got: list[Any] = []

    @app.spawn("pay")
    def spawn(context: Any) -> list[Job]:
        got.append(context.parent_job.payload)
        return [Job("part", {})]

    with Queue(url, encryption=KEYS) as queue:
        job = queue.enqueue(Job("pay", CARD).with_encryption())
        Worker(queue, app, drain=True, poll_interval=0.05).run()
        assert got == [CARD]
        with working(Worker(url, app, poll_interval=0.05, lease=2.0)):
            refused = run("spawn", "again", job.id, "--wait", "--timeout", "30s", url=url)
        assert refused.exit_code == 1
        assert "The payload is encrypted (key 'default', AES256GCM)" in " ".join(refused.stderr.split())
        with working(Worker(queue, app, poll_interval=0.05, lease=2.0)):
            assert run("spawn", "again", job.id, "--wait", "--timeout", "30s", url=url).exit_code == 0
    assert got == [CARD, CARD]
    done = run("spawn", "rehearse", job.id, "--handlers", "tests.jobs:app", url=url)
    assert done.exit_code != 0
    assert "The payload is encrypted" in done.stderr


# Retention.


def _keep(database: Database, number: int, at: datetime, *, status: str = "Completed", plain: bool = False) -> str:
    job = f"00000000-0000-4000-8000-{number:012d}"
    made = encrypted(CARD, job=job, queue="pay", key=KEY)
    made["payload"] = json.loads(made["payload"])
    if database.dialect != "postgresql":
        made["pii_fields"] = "[]"
    columns = {} if plain else made
    return Rows(database).job(
        id=job, queue="pay", status=status, retention_delete_at=at, **columns, completed_at=at - timedelta(days=2)
    )


@all_databases
def test_purge_encrypted_deletes_what_has_ended_and_is_kept_no_longer(
    run: Run, migrated_url: str, database: Database
) -> None:
    now = datetime.now(UTC)
    past, later = now - timedelta(days=1), now + timedelta(days=1)
    archived = [_keep(database, 1, past), _keep(database, 2, past - timedelta(days=9))]
    database.script("UPDATE hammerwork_jobs SET retention_delete_at = NULL")
    run("archive", "run", "--completed-after-days", "0", "--by", "job", "--yes", url=migrated_url)
    database.script(f"UPDATE hammerwork_jobs_archive SET retention_delete_at = created_at WHERE id = '{archived[0]}'")
    gone = [_keep(database, 3, past), _keep(database, 4, past, status="Dead"), _keep(database, 5, past)]
    kept = [
        _keep(database, 6, later),
        _keep(database, 7, past, status="Pending"),
        _keep(database, 8, past, status="Running"),
        _keep(database, 9, past, plain=True),
    ]
    plan = json.loads(run("maintenance", "purge-encrypted", "--dry-run", "--format", "json", url=migrated_url).stdout)
    assert plan == {"action": "purge-encrypted", "dry_run": True, "jobs": len(gone), "archived_jobs": 1}
    assert run("maintenance", "purge-encrypted", url=migrated_url).exit_code == 2
    done = run("maintenance", "purge-encrypted", "--confirm", url=migrated_url)
    assert (done.exit_code, done.stdout) == (0, "Deleted 3 encrypted jobs and 1 archived one.\n")
    assert {str(job) for (job,) in database.query("SELECT id FROM hammerwork_jobs")} == set(kept)
    assert [str(job) for (job,) in database.query("SELECT id FROM hammerwork_jobs_archive")] == archived[1:]
    assert "No encrypted job is past" in run("maintenance", "purge-encrypted", "--yes", url=migrated_url).stdout


@all_databases
def test_a_worker_obeys_it_without_a_policy_and_in_batches(
    database: Database, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    monkeypatch.setattr(policies, "PAGE", 3)
    monkeypatch.setattr(retention, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr("hammerwork_cli.runtime.clock.PROVEN_SECONDS", 0.2)
    past = database.now() - timedelta(days=1)
    for number in range(8):
        _keep(database, number, past)
    left = _keep(database, 9, database.now() + timedelta(days=1))
    with working(Worker(migrated_url, upkeep_only=True, poll_interval=0.05)):
        end = time.monotonic() + 30
        while len(found := database.query("SELECT id FROM hammerwork_jobs")) > 1 and time.monotonic() < end:
            time.sleep(0.05)
    assert [str(job) for (job,) in found] == [left]


def test_a_job_that_others_wait_for_stays(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        parent = _keep(database, 1, datetime.now(UTC) - timedelta(days=1))
        Rows(database).job(parent, status="Pending", dependency_status="waiting")
        for how in ("--dry-run", "--yes"):
            done = run("maintenance", "purge-encrypted", how, "--format", "json", url=url)
            assert (done.exit_code, json.loads(done.stdout)["jobs"]) == (0, 0)
        assert len(database.query("SELECT id FROM hammerwork_jobs")) == 2
