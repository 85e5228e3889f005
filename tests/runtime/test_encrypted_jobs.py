"""Payloads that version 3 of hammerwork (Rust) encrypted, and those that it has to decrypt."""

import base64
import contextlib
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag

from hammerwork_cli import (
    ConfigError,
    ConflictError,
    EncryptionKeys,
    HammerworkError,
    Handlers,
    Job,
    Queue,
    RefusedValueError,
    RetryStrategy,
    SpawnContext,
    UsageError,
    Worker,
    Workflow,
)
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import encryption
from hammerwork_cli.features.worker.queries import claim
from tests.conftest import all_databases, each_row
from tests.rows import Rows
from tests.runtime.conftest import Stage
from tests.rust3.decoding import undecodable
from tests.rust3.payloads import CIPHERS, decrypted, encrypted

Run = Callable[..., Any]
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
KEYS = EncryptionKeys({"default": KEY})
CARD = {"card": {"number": "4111", "cvv": 123}, "amount": 9.5, "name": "Zoë", "a.b": 1, "a": {"b": [None, True]}}
COLUMNS = (
    "id, queue_name, payload, is_encrypted, encryption_key_id, encryption_algorithm, encrypted_payload,"
    " encryption_nonce, encryption_tag, encryption_metadata, payload_hash, pii_fields, retention_policy"
)


class Theirs:
    """What version 3 enqueues into a stage, and what it reads there."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rows = Rows(stage.database)

    def enqueue(
        self, payload: Any = CARD, queue: str = "pay", columns: dict[str, Any] | None = None, **how: Any
    ) -> str:
        job = str(uuid4())
        made = encrypted(payload, job=job, queue=queue, **{"key": KEY, **how})
        if self.stage.database.dialect != "postgresql":
            made["pii_fields"] = json.dumps(made["pii_fields"])
        made["payload"] = json.loads(made["payload"])
        return self.rows.job(id=job, queue=queue, status="Pending", **{"max_attempts": 1, **made, **(columns or {})})

    def row(self, job: Job | str) -> dict[str, Any]:
        return dict(zip((name.strip() for name in COLUMNS.split(",")), self.stage.one(job, COLUMNS), strict=True))


@pytest.fixture
def theirs(stage: Stage) -> Theirs:
    return Theirs(stage)


@pytest.fixture
def theirs_lite(lite: Stage) -> Theirs:
    return Theirs(lite)


def collecting(queue: str = "pay") -> tuple[Handlers, list[Any]]:
    got: list[Any] = []
    app = Handlers()
    app.register_job(queue, lambda job: got.append(job.payload))
    return app, got


# Theirs, run by ours.


def test_a_worker_with_the_key_decrypts_every_form(theirs_lite: Theirs) -> None:
    forms = itertools.product(
        CIPHERS, (None, 0, 1), ((), ("card.number", "a.b", "missing", "card"), ("a", "name")), (False, True)
    )
    names = ("algorithm", "format_version", "pii_fields", "compressed")
    jobs = {form: theirs_lite.enqueue(**dict(zip(names, form, strict=True))) for form in forms}
    app, got = collecting()
    theirs_lite.stage.work(app, encryption=KEYS)
    assert [form for form, job in jobs.items() if theirs_lite.stage.one(job) != "Completed"] == []
    assert got == [CARD] * len(jobs)


@all_databases
def test_every_database_returns_the_bytes(theirs: Theirs) -> None:
    """And jobs in plaintext run among them."""
    large = {"letters": "é" * 500_000}
    theirs.enqueue()
    theirs.enqueue(large)
    theirs.stage.enqueue(Job("pay", {"plain": 1}))
    app, got = collecting()
    theirs.stage.work(app, encryption=KEYS)
    assert sorted(map(len, map(json.dumps, got))) == sorted(map(len, map(json.dumps, [CARD, large, {"plain": 1}])))
    assert all(payload in (CARD, large, {"plain": 1}) for payload in got)


def test_the_spawn_configuration_is_that_of_the_plaintext(theirs: Theirs) -> None:
    job = theirs.enqueue({"_spawn_config": {"handler": "split", "max_spawn_count": 2}, "parts": [1, 2]})
    app, got = collecting("part")
    app.register_job("pay", lambda _: None)

    @app.spawn("split")
    def split(context: SpawnContext) -> Any:
        return [Job("part", {"part": part}) for part in context.parent_job.payload["parts"]]

    theirs.stage.work(app, encryption=KEYS)
    assert sorted(part["part"] for part in got) == [1, 2]
    children = theirs.stage.children(job, "payload")
    assert sorted(json.loads(payload)["part"] for (payload,) in children) == [1, 2]


def test_a_worker_without_any_key_warns_and_fails_the_attempt(theirs: Theirs, caplog: pytest.LogCaptureFixture) -> None:
    """Its handler never sees the placeholder; jobs in plaintext run."""
    job, large = theirs.enqueue(columns={"max_attempts": 2}), theirs.enqueue({"letters": "é" * 100_000})
    theirs.stage.enqueue(Job("pay", {"plain": 1}))
    app, got = collecting()
    theirs.stage.work(app, retry=RetryStrategy.fixed(timedelta(0)))
    assert got == [{"plain": 1}]
    assert "The queue 'pay' has encrypted jobs. Without a key, each attempt fails: --encryption-key" in caplog.text
    for one, attempts in ((job, 2), (large, 1)):
        status, tried, error = theirs.stage.one(one, "status, attempts, error_message")
        assert (status, tried) == ("Dead", attempts)
        assert "The payload is encrypted (key 'default', AES256GCM), and no key that fits was given." in error


@all_databases
def test_one_statement_finds_the_encrypted_jobs_of_all_queues_of_a_worker(theirs: Theirs) -> None:
    database = theirs.stage.database
    for queue in ("q7", "q7", "q8", "Q9"):
        theirs.enqueue(queue=queue)
    theirs.stage.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE queue_name = 'q8'")
    assert database.is_current
    before = database.executed
    assert encryption.with_open_jobs(database, [f"q{number}" for number in range(2_000)]) == ["q7"]
    assert (database.executed - before, encryption.with_open_jobs(database, [])) == (1, [])


SPOILT: dict[str, dict[str, Any]] = {
    "another key with the id": {"key": OTHER_KEY},
    "an unknown id": {"key_id": "payments-2027"},
    "an unknown format": {"format_version": 2},
    "the id of another job": {"columns": {"id": str(uuid4())}},
    "another queue": {"columns": {"queue_name": "pay"}, "queue": "refunds"},
    "another algorithm": {"columns": {"encryption_algorithm": "ChaCha20Poly1305"}},
    "other fields": {"pii_fields": ("name",), "columns": {"pii_fields": '["name", "a"]'}},
    "no tag": {"columns": {"encryption_tag": b""}},
    "another nonce": {"columns": {"encryption_nonce": bytes(12)}},
    "a nonce of one byte": {"columns": {"encryption_nonce": b"1"}},
    "metadata that is no object": {"columns": {"encryption_metadata": "[1]"}},
    "a bound one that calls itself unbound": {"columns": {"encryption_metadata": '{"format_version": 0}'}},
    "no algorithm": {"columns": {"encryption_algorithm": None}},
    "the hash of another payload": {"columns": {"payload_hash": "hmac-sha256:" + "0" * 64}},
    "a placeholder without the field": {"pii_fields": ("name",), "columns": {"payload": "{}"}},
}


def test_a_run_that_cannot_decrypt_fails_without_its_handler(theirs_lite: Theirs) -> None:
    jobs: dict[str, str] = {}
    for name, how in SPOILT.items():
        job = theirs_lite.enqueue(**{**how, "columns": {}})
        for column, value in how.get("columns", {}).items():
            theirs_lite.rows.run(f"UPDATE hammerwork_jobs SET {column} = ? WHERE id = ?", [value, job])
            job = value if column == "id" else job
        jobs[name] = job
    app, got = collecting()
    theirs_lite.stage.work(app, encryption=KEYS)
    assert got == []
    for name, job in jobs.items():
        status, error = theirs_lite.stage.one(job, "status, error_message")
        assert status == "Dead", name
        assert "4111" not in error, name
        assert "payload" in error or "decrypted" in error, name


def test_the_error_names_the_key_and_never_the_payload(theirs: Theirs) -> None:
    job = theirs.enqueue(key_id="payments-2027")
    app, _ = collecting()
    theirs.stage.work(app, encryption=KEYS)
    error = theirs.stage.one(job, "error_message")
    assert "(key 'payments-2027', AES256GCM), and there is no key with this id here: default." in error


def test_a_failed_run_is_tried_again_and_succeeds_with_the_right_key(theirs: Theirs, run: Run) -> None:
    job = theirs.enqueue(columns={"max_attempts": 3})
    app, got = collecting()
    theirs.stage.work(app, encryption=EncryptionKeys({"default": OTHER_KEY}), max_jobs=1)
    assert theirs.stage.one(job, "status, attempts") == ("Pending", 1)
    shown = " ".join(run("job", "show", job, url=theirs.stage.url).stdout.split())
    assert "waits for another attempt" in shown
    assert "The payload cannot be decrypted (key 'default', AES256GCM)" in shown
    theirs.stage.work(app, encryption=KEYS)
    assert (got, theirs.stage.one(job, "status, attempts")) == ([CARD], ("Completed", 2))


def test_old_keys_decrypt_beside_the_new_one(theirs_lite: Theirs) -> None:
    theirs_lite.enqueue(key_id="old", key=OTHER_KEY)
    theirs_lite.enqueue(key_id="new")
    app, got = collecting()
    theirs_lite.stage.work(app, encryption=EncryptionKeys({"new": KEY, "old": OTHER_KEY}))
    assert got == [CARD, CARD]


@all_databases
def test_no_more_jobs_are_claimed_ahead_than_their_ciphertexts_leave_room_for(stage: Stage) -> None:
    with Queue(stage.url, encryption=KEYS) as queue:
        queue.enqueue_many(Job("pay", {"letters": "x" * 100_000}).with_encryption() for _ in range(5))
        with contextlib.closing(connect(queue.url)) as database:
            now = database.now() + timedelta(seconds=1)
            batch = claim.claim(database, "pay", worker=str(uuid4()), now=now, limit=5, slots=1, room=250_000)
    assert (len(batch), batch.is_cut) == (3, True)
    assert all(len(job.payload) > 100_000 for job in batch)
    assert [KEYS._opened(job.payload.sealed, job.id, "pay")[:13] for job in batch] == ['{"letters":"x'] * 3


def test_jobs_are_claimed_ahead_whose_payloads_fill_the_room_to_the_byte(lite: Stage) -> None:
    lite.enqueue(*(Job("pay", {"letters": "x" * 100}) for _ in range(5)))
    (size,) = {len(payload) for (payload,) in lite.rows("payload")}
    now = lite.database.now() + timedelta(seconds=1)
    full = claim.claim(lite.database, "pay", worker=str(uuid4()), now=now, limit=5, slots=1, room=2 * size)
    rest = claim.claim(lite.database, "pay", worker=str(uuid4()), now=now, limit=5, slots=1, room=size - 1)
    assert (len(full), len(rest)) == (3, 1)


# Ours, read by theirs.


FORMS: dict[str, Callable[[Job], Job]] = {
    "the whole": lambda job: job.with_encryption(),
    "ChaCha20": lambda job: job.with_encryption("ChaCha20Poly1305"),
    "some fields": lambda job: job.with_pii_fields("card.number", "a.b", "card", "card.cvv"),
    "both": lambda job: job.with_pii_fields("name").with_encryption("ChaCha20Poly1305", key_id="second"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_version_3_decrypts_what_is_encrypted_here(theirs: Theirs, form: Callable[[Job], Job]) -> None:
    keys = EncryptionKeys({"default": KEY, "second": OTHER_KEY})
    with Queue(theirs.stage.url, encryption=keys) as queue:
        job = queue.enqueue(form(Job("pay", CARD)))
        found = queue.get(job)
        assert found is not None
        assert found.payload == CARD
    assert undecodable(theirs.stage.database) == []
    row = theirs.row(job)
    hidden = {name: value for name, value in row.items() if name != "id"}  # which may have these digits
    assert "4111" not in str(hidden) or "name" in str(row["pii_fields"])
    assert row["retention_policy"] == "UseDefault"
    assert decrypted(row, OTHER_KEY if row["encryption_key_id"] == "second" else KEY) == CARD
    app, got = collecting()
    theirs.stage.work(app, encryption=keys)
    assert got == [CARD]


@all_databases
def test_version_3_refuses_what_was_moved(theirs: Theirs) -> None:
    with Queue(theirs.stage.url, encryption=KEYS) as queue:
        row = theirs.row(queue.enqueue(Job("pay", CARD).with_encryption()))
    for moved in ({"queue_name": "other"}, {"id": str(uuid4())}, {"pii_fields": ["name"]}):
        with pytest.raises(InvalidTag):
            decrypted({**row, **moved}, KEY)


@all_databases
def test_many_jobs_of_both_kinds_are_written_in_one_statement(stage: Stage) -> None:
    with Queue(stage.url, encryption=KEYS) as queue:
        jobs = [Job("pay", {"number": number}) for number in range(20)]
        queue.enqueue_many(job.with_encryption() if job.payload["number"] % 2 else job for job in jobs)
    assert [bool(one) for (one,) in stage.database.query("SELECT is_encrypted FROM hammerwork_jobs")].count(True) == 10
    app, got = collecting()
    stage.work(app, encryption=KEYS)
    assert sorted(payload["number"] for payload in got) == list(range(20))


DOORS: dict[str, Callable[[Queue, Job], object]] = {
    "enqueue": lambda queue, job: queue.enqueue(job),
    "enqueue_many": lambda queue, job: queue.enqueue_many([job]),
    "enqueue_batch": lambda queue, job: queue.enqueue_batch("cards", [job]),
    "enqueue_workflow": lambda queue, job: queue.enqueue_workflow(Workflow("cards").add("pay", job)),
    "a recurring job": lambda queue, job: queue.enqueue(job.with_cron("0 0 3 * * *")),
    "a job with callbacks": lambda queue, job: queue.enqueue(job.with_callbacks(on_complete=Job("mail", {}))),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_door_encrypts_or_writes_nothing(theirs_lite: Theirs, door: Callable[[Queue, Job], object]) -> None:
    stage = theirs_lite.stage
    with pytest.raises(UsageError, match="no key was given"):
        door(stage.queue, Job("pay", CARD).with_encryption())
    assert stage.rows() == []
    with Queue(stage.url, encryption=KEYS) as queue:
        door(queue, Job("pay", CARD).with_encryption())
    ((job,),) = stage.rows("id")
    row = theirs_lite.row(job)
    assert json.loads(row["payload"]) == {"encrypted": True}
    assert decrypted(row, KEY) == CARD


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_queue_that_refuses_plaintext_does_so_at_every_door(
    theirs_lite: Theirs, door: Callable[[Queue, Job], object]
) -> None:
    """Beside encrypted jobs: others may be in plaintext, and without the option, all may."""
    theirs_lite.enqueue()
    with Queue(theirs_lite.stage.url, encryption=KEYS, refuse_plaintext=True) as queue:
        with pytest.raises(ConflictError, match="The queue 'pay' holds encrypted jobs"):
            door(queue, Job("pay", CARD))
        assert len(theirs_lite.stage.rows()) == 1
        door(queue, Job("mail", CARD))
        door(queue, Job("pay", CARD).with_encryption())
    door(theirs_lite.stage.queue, Job("pay", CARD))
    assert len(theirs_lite.stage.rows()) == 4


@pytest.mark.parametrize("early", [True, False])
def test_a_worker_of_such_a_queue_writes_no_child_in_plaintext_beside_encrypted_jobs(
    theirs_lite: Theirs, early: bool
) -> None:
    theirs_lite.enqueue(queue="part")
    app = Handlers()

    @app.job("pay")
    def pay(job: Job, context: SpawnContext) -> None:
        if early:
            context.spawn(Job("part", CARD), key="early")

    @app.spawn("split")
    def split(context: SpawnContext) -> Any:
        return [Job("part", CARD)]

    with Queue(theirs_lite.stage.url, encryption=KEYS, refuse_plaintext=True) as queue:
        job = queue.enqueue(Job("pay", {}, max_attempts=1).with_spawn_handler("split"))
        Worker(queue, app, drain=True, poll_interval=0.05).run()
    status, error = theirs_lite.stage.one(job, "status, error_message")
    assert (status, "The queue 'part' holds encrypted jobs" in error) == ("Dead", True)
    assert theirs_lite.stage.children(job) == []


def test_schedules_and_callbacks_take_no_encrypted_job() -> None:
    app = Handlers()
    with pytest.raises(UsageError, match="cannot have encryption"):
        app.schedule("nightly", "@daily", Job("pay", CARD).with_encryption())
    with pytest.raises(UsageError, match="cannot have encryption"):
        Job("pay", {}).with_callbacks(on_complete=Job("pay", CARD).with_pii_fields("card"))


def test_nothing_is_written_without_a_key(lite: Stage) -> None:
    with pytest.raises(UsageError, match="but no key was given: nothing was written"):
        lite.enqueue(Job("pay", {}), Job("pay", CARD).with_encryption())
    with Queue(lite.url, encryption=KEYS) as queue, pytest.raises(UsageError, match="no encryption key 'second'"):
        queue.enqueue(Job("pay", CARD).with_encryption(key_id="second"))
    with Queue(lite.url, encryption=KEYS) as queue, pytest.raises(UsageError, match="JSON object has fields"):
        queue.enqueue(Job("pay", [CARD]).with_pii_fields("name"))
    for missing in ("address", "card.digits", "name.first", "card.number.0", ""):
        with Queue(lite.url, encryption=KEYS) as queue, pytest.raises(UsageError, match="The payload has no field"):
            queue.enqueue(Job("pay", CARD).with_pii_fields("name", missing))
    assert lite.rows() == []


@all_databases
def test_an_enqueue_is_repeated_by_its_id(stage: Stage) -> None:
    with Queue(stage.url, encryption=KEYS) as queue:
        job = Job("pay", CARD).with_encryption()
        assert [queue.enqueue(job).created, queue.enqueue(job).created] == [True, False]
        with pytest.raises(ConflictError, match="different payload"):
            queue.enqueue(Job("pay", {"other": 1}, id=job.id).with_encryption())
    with pytest.raises(ConflictError, match="different payload"):
        stage.queue.enqueue(Job("pay", {"encrypted": True}, id=job.id))


@all_databases
def test_whoever_reads_a_job_without_the_key_gets_no_placeholder(theirs: Theirs) -> None:
    job = theirs.enqueue()
    found = theirs.stage.queue.get(job)
    assert found is not None
    assert found.status == "Pending"
    with pytest.raises(HammerworkError, match=r"The payload is encrypted \(key 'default', AES256GCM\), and no key"):
        _ = found.payload
    with pytest.raises(HammerworkError, match="The payload is encrypted"):
        theirs.stage.queue.enqueue(found.with_priority("high"))


def test_a_copy_of_an_encrypted_job_is_encrypted_too(theirs_lite: Theirs) -> None:
    """A handler that enqueues its own job again must not write the payload in plaintext."""
    theirs_lite.enqueue(pii_fields=("name", "missing", "card"))
    theirs_lite.enqueue(pii_fields=("missing",))
    app = Handlers()
    copies: list[Job] = []
    with Queue(theirs_lite.stage.url, encryption=KEYS) as queue:

        @app.job("pay")
        def pay(job: Job) -> None:
            copies.append(queue.enqueue(Job("later", job.payload, encryption=job.encryption)))

        theirs_lite.stage.work(app, encryption=KEYS)
    assert len(copies) == 2
    for copy in copies:
        row = theirs_lite.row(copy)
        assert "4111" not in row["payload"]
        assert decrypted(row, KEY) == CARD


def test_children_are_encrypted_if_their_handler_says_so(theirs: Theirs) -> None:
    """In its spawn handler, by context.spawn, and after a queue that the child inherits."""
    with Queue(theirs.stage.url, encryption=KEYS) as queue:
        parent = queue.enqueue(Job("pay", CARD).with_encryption().with_spawn_handler("split"))
    app, got = collecting("part")

    @app.job("pay")
    def pay(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("part", {"early": job.payload["name"]}).with_encryption(), key="early")

    @app.spawn("split")
    def split(context: SpawnContext) -> Any:
        yield Job("part", {"late": context.parent_job.payload["name"]}).with_pii_fields("late")
        yield Job("part", {"plain": 1})

    theirs.stage.work(app, encryption=KEYS)
    assert sorted(map(json.dumps, got)) == sorted(map(json.dumps, [{"early": "Zoë"}, {"late": "Zoë"}, {"plain": 1}]))
    found = {payload: bool(hidden) for payload, hidden in theirs.stage.children(parent, "payload, is_encrypted")}
    assert [json.loads(payload) for payload, hidden in found.items() if not hidden] == [{"plain": 1}]
    assert len(found) == 3
    assert "Zoë" not in "".join(found)


@pytest.mark.usefixtures("forked_processes")
def test_handlers_in_processes_get_the_plaintext_and_can_encrypt(
    theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "paying.py").write_text(
        "from hammerwork_cli import Handlers, Job\n"
        "app = Handlers()\n"
        "@app.job('pay')\n"
        "def pay(job, context):\n"
        "    context.queue.enqueue(Job('receipt', {'name': job.payload['name']}).with_encryption())\n"
        "    return job.payload['amount']\n"
    )
    job = theirs.enqueue()
    with Queue(theirs.stage.url, encryption=KEYS) as queue:
        Worker(queue, "paying:app", isolation="process", drain=True, poll_interval=0.05, concurrency=1).run()
    assert theirs.stage.one(job, "status, result_data") == ("Completed", "9.5")
    ((receipt,),) = theirs.stage.database.query("SELECT id FROM hammerwork_jobs WHERE queue_name = 'receipt'")
    assert decrypted(theirs.row(str(receipt)), KEY) == {"name": "Zoë"}


def test_a_recurring_job_is_decrypted_at_each_occurrence(lite: Stage) -> None:
    got: list[Any] = []
    app = Handlers()
    done = threading.Event()

    @app.job("pay")
    def pay(job: Job) -> None:
        got.append(job.payload)
        if len(got) == 2:
            done.set()

    with Queue(lite.url, encryption=KEYS) as queue:
        queue.enqueue(Job("pay", CARD).with_cron("* * * * * *").with_encryption())
        worker = Worker(queue, app, poll_interval=0.05)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert done.wait(30)
        worker.stop()
        thread.join(30)
    assert got[:2] == [CARD, CARD]


# Keys.


def test_keys_are_read_from_variables_and_files_and_never_shown(tmp_path: Path) -> None:
    text = base64.b64encode(KEY).decode()
    file = tmp_path / "key=1"
    file.write_text(text + "\n")
    environ = {"A_KEY": text}
    keys = EncryptionKeys.read("env:A_KEY", f"old=@{file}", "older=env://A_KEY", environ=environ)
    assert keys.ids == ("default", "old", "older")
    assert set(keys.by_id.values()) == {KEY}
    for shown in (repr(keys), str(keys), f"{keys}"):
        assert shown == "Keys(default, old, older)"


@each_row(
    ("place", "says"),
    [
        (base64.b64encode(KEY).decode(), "Give the place of an encryption key, not the key itself"),
        ("default=" + base64.b64encode(KEY).decode(), "Give the place of an encryption key, not the key itself"),
        ("env:NO_SUCH", "The variable NO_SUCH is not set"),
        ("env:SHORT", "'default' is not the base64 of 32 bytes"),
        ("env:URLSAFE", "'default' is not the base64 of 32 bytes"),
        ("x=aws://alias/key", "'x' is kept by aws, which only hammerwork (Rust) asks"),
        ("@/no/such/file", "/no/such/file"),
        ("env:", "names no variable"),
    ],
)
def test_a_key_that_is_none_is_refused_without_a_part_of_it(place: str, says: str) -> None:
    environ = {"SHORT": "c2hvcnQ=", "URLSAFE": base64.urlsafe_b64encode(b"\xfb" * 32).decode()}
    with pytest.raises(ConfigError) as raised:
        EncryptionKeys.read(place, environ=environ)
    assert says in raised.value.message
    for secret in (base64.b64encode(KEY).decode(), *environ.values()):
        assert secret not in raised.value.message + (raised.value.hint or "")


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(ConfigError) as raised:
        EncryptionKeys({"default": KEY})
    assert "hammerwork-cli[encryption]" in str(raised.value.hint)


def test_the_package_is_loaded_for_keys_alone() -> None:
    """It takes longer to load than many a command runs."""
    code = (
        "import sys, hammerwork_cli.app, hammerwork_cli.core.encryption, hammerwork_cli.runtime.worker.worker;"
        " assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_worker_masks_its_keys_in_errors(theirs_lite: Theirs) -> None:
    job = theirs_lite.enqueue()
    text = base64.b64encode(KEY).decode()
    app = Handlers()

    @app.job("pay")
    def pay(job: Job) -> None:
        raise ValueError(f"my key is {text}")

    theirs_lite.stage.work(app, encryption=KEYS)
    error = theirs_lite.stage.one(job, "error_message")
    assert text not in error
    assert "my key is ***" in error


@all_databases
def test_a_time_of_deletion_that_the_server_cannot_store_is_refused(stage: Stage) -> None:
    job = Job("pay", {}).with_retention_policy(datetime(2200, 1, 1, tzinfo=UTC))
    with Queue(stage.url, encryption=KEYS) as queue:
        if stage.database.dialect != "mysql":
            assert queue.enqueue(job).created
            return
        with pytest.raises(RefusedValueError, match="stores times from 1970 to"):
            queue.enqueue(job)


def test_retention_is_written_as_version_3_reads_it(lite: Stage) -> None:
    with Queue(lite.url, encryption=KEYS) as queue:
        after = queue.enqueue(Job("pay", {}).with_retention_policy(timedelta(days=7)))
        gone = queue.enqueue(Job("pay", {}).with_retention_policy("DeleteImmediately"))
        kept = queue.enqueue(Job("pay", {}).with_retention_policy("KeepIndefinitely"))
    assert lite.one(after, "retention_policy") == "DeleteAfter"
    assert lite.timestamp(after, "retention_delete_at") - lite.timestamp(after, "created_at") == timedelta(days=7)
    assert lite.one(gone, "retention_policy") == "DeleteImmediately"
    assert lite.timestamp(gone, "retention_delete_at") == lite.timestamp(gone, "created_at")
    assert lite.one(kept, "retention_policy, retention_delete_at") == ("KeepIndefinitely", None)
    with pytest.raises(UsageError, match="not a retention policy"):
        Job("pay", {}).with_retention_policy("Sometimes")
