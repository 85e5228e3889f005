"""What the API changes, on every database."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes as schedules
from hammerwork_cli.features.job.views.changes import OUTCOME
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue.views.changes import PAUSE_CHANGE
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.commands.test_contract import HOSTILE, validate
from tests.conftest import EACH_DIALECT, each_row
from tests.rows import START, Rows
from tests.web.api.servers import Server, serving

everywhere = pytest.mark.parametrize("changed", EACH_DIALECT, indirect=True)


@pytest.fixture(scope="module", params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def changed(
    request: pytest.FixtureRequest, makers: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Database]]:
    """A server, and a connection to its database. Each test has jobs and queues of its own."""
    url = makers[request.param].migrated()
    with closing(connect(url)) as database, serving(url, home=tmp_path_factory.mktemp("home")) as server:
        yield server, database
    makers[request.param].drop(url)


@pytest.fixture
def server(changed: tuple[Server, Database]) -> Server:
    return changed[0]


@pytest.fixture
def rows(changed: tuple[Server, Database]) -> Rows:
    return Rows(changed[1])


# Enqueueing.


def test_a_payload_is_encrypted_with_the_key_of_the_server_and_plaintext_beside_it_must_be_meant(
    serve: Callable[..., Server], empty_url: str
) -> None:
    card = {"queue": "pay", "payload": {"card": "4111"}}
    assert serve(empty_url).post("/api/jobs", {**card, "encrypt": True}).status_code == 409
    key = b64encode(bytes(range(32))).decode()
    server = serve(empty_url, env={"HAMMERWORK_ENCRYPTION_KEYS": "pay=env:PAY_KEY", "PAY_KEY": key})
    made = server.post("/api/jobs", {**card, "encrypt": True})
    assert made.status_code == 201, made.text
    job = server.json(f"/api/jobs/{made.json()['id']}")
    assert (job["is_encrypted"], job["encryption_key_id"], job["payload"]) == (True, "pay", {"encrypted": True})
    assert server.post("/api/jobs", card).status_code == 409
    assert server.post("/api/jobs", {**card, "encrypt": False}).status_code == 201
    with closing(connect(empty_url)) as database:
        new = read_schedule({**card, "name": "nightly", "every": "1h"})
        schedules.add(database, new, schedules.Author("me"), database.now())
    trigger, keys = "/api/schedules/nightly/trigger", {"payload": {"card": "4112"}}
    answers = [server.post(trigger, given).status_code for given in ({}, keys, {**keys, "encrypt": False})]
    assert answers == [200, 409, 200]
    assert key not in server.get("/api/jobs").text


@everywhere
def test_a_job_is_enqueued_and_can_be_read(server: Server) -> None:
    answer = server.post("/api/jobs", {"queue": "mail", "payload": {"to": "ada@example.org"}})
    assert answer.status_code == 201
    validate(answer.json(), SCHEMAS["job-enqueue"])
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    job = server.json(answer.headers["location"])
    assert (job["queue"], job["status"], job["priority"], job["max_attempts"]) == ("mail", "Pending", "normal", 3)
    assert job["payload"] == {"to": "ada@example.org"}


@everywhere
def test_everything_about_a_new_job_can_be_said(server: Server, rows: Rows) -> None:
    parent = rows.job(status="Running")
    wanted = {
        "id": str(uuid4()).upper(),
        "queue": HOSTILE,
        "payload": {"text": HOSTILE, "numbers": [1, 2.5, -3e10, True, None]},
        "priority": "critical",
        "scheduled_at": "2026-12-24T19:00:00+01:00",
        "max_attempts": 7.0,
        "timeout_seconds": 2**31 - 1,
        "depends_on": [parent[:13]],
        "trace_id": "trace",
        "correlation_id": "correlation",
        "spawn_config": {"handler": "frames", "max_spawn_count": 5, "metadata": {"any": [1]}},
    }
    answer = server.post("/api/jobs", wanted)
    assert answer.status_code == 201, answer.text
    assert answer.json()["dependency_status"] == "waiting"
    job = server.json(f"/api/jobs/{wanted['id']}")
    assert job["id"] == wanted["id"].lower()
    assert job["queue"] == HOSTILE
    assert job["payload"]["text"] == HOSTILE
    assert job["payload"]["numbers"] == wanted["payload"]["numbers"]
    assert job["scheduled_at"] == "2026-12-24T18:00:00.000000Z"
    assert (job["max_attempts"], job["timeout_seconds"], job["priority"]) == (7, 2**31 - 1, "critical")
    assert job["depends_on"] == [parent]
    assert job["spawn_config"]["handler"] == "frames"
    # Rust workers ignore a configuration that lacks one of these.
    assert {"max_spawn_count", "inherit_priority", "inherit_timeout"} <= job["spawn_config"].keys()


@everywhere
def test_a_second_request_with_the_same_id_changes_nothing(server: Server) -> None:
    wanted = {"id": str(uuid4()), "queue": "mail", "payload": [1]}
    first = server.post("/api/jobs", wanted)
    assert first.status_code == 201
    again = server.post("/api/jobs", {**wanted, "scheduled_at": "2027-01-01T00:00:00Z"})
    assert again.status_code == 200
    assert again.json() == {**first.json(), "created": False}
    other = server.post("/api/jobs", {**wanted, "payload": [2]})
    assert other.status_code == 409
    assert other.json()["code"] == "conflict"
    assert server.json(f"/api/jobs/{wanted['id']}")["payload"] == [1]


def test_the_answer_is_the_job_that_holds_the_unique_key(serve: Callable[..., Server], migrated_url: str) -> None:
    wanted = {"queue": "mail", "payload": [1], "unique": HOSTILE}
    held = {"unique_within_seconds": 3600, "unique_while": ["waiting", "failed"]}
    for server, status in ((serve(migrated_url), 201), (serve(migrated_url, "--redact"), 200)):
        first = server.post("/api/jobs", wanted)
        assert first.status_code == status
        again = server.post("/api/jobs", {**wanted, "payload": [2], **held})
        assert (again.status_code, again.headers["location"]) == (200, f"/api/jobs/{first.json()['id']}")
        assert again.json() == {**first.json(), "created": False}
        assert server.json(f"/api/jobs/{first.json()['id']}")["unique_key"] == (
            HOSTILE if status == 201 else "[redacted]"
        )
        assert server.post("/api/jobs", {"queue": "mail", "payload": 1, **held}).status_code == 400
    assert server.post("/api/jobs", {**wanted, "unique_while": ["running"]}).status_code == 201


@everywhere
def test_one_of_many_requests_with_the_same_id_creates_the_job(server: Server) -> None:
    wanted = {"id": str(uuid4()), "queue": "mail", "payload": {}}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: server.post("/api/jobs", wanted).status_code, range(8)))
    assert sorted(statuses) == [200] * 7 + [201]


def test_a_job_cannot_depend_on_what_is_not_there_or_has_failed(server: Server, rows: Rows) -> None:
    for parent, status in ((str(uuid4()), 404), (rows.job(status="Dead"), 409)):
        answer = server.post("/api/jobs", {"queue": "mail", "payload": {}, "depends_on": [parent]})
        assert answer.status_code == status


@each_row(
    "wrong",
    [
        None,
        [],
        {"queue": "mail"},
        {"payload": {}},
        {"queue": "", "payload": {}},
        {"queue": "x" * 256, "payload": {}},
        {"queue": "nul\x00", "payload": {}},
        {"queue": 5, "payload": {}},
        {"queue": "mail", "payload": {}, "priority": "urgent"},
        {"queue": "mail", "payload": {}, "max_attempts": 0},
        {"queue": "mail", "payload": {}, "max_attempts": 2**31},
        {"queue": "mail", "payload": {}, "max_attempts": 1.5},
        {"queue": "mail", "payload": {}, "scheduled_at": "tomorrow, or the day after"},
        {"queue": "mail", "payload": {}, "scheduled_at": "2026-12-24T18:00:00"},
        {"queue": "mail", "payload": {}, "timeout_seconds": 0},
        {"queue": "mail", "payload": {}, "id": "not-a-uuid"},
        {"queue": "mail", "payload": {}, "depends_on": "0000"},
        {"queue": "mail", "payload": {}, "depends_on": ["xyz"]},
        {"queue": "mail", "payload": {}, "unknown": 1},
        {"queue": "mail", "payload": 5, "spawn_config": {}},
        {"queue": "mail", "payload": {}, "spawn_config": {"batch_size": 0}},
        {"queue": "mail", "payload": {}, "spawn_config": {"handlr": "frames"}},
        {"queue": "mail", "payload": {"_spawn_config": 5}},
    ],
)
def test_a_job_that_is_not_acceptable_is_refused_in_words(server: Server, wrong: Any) -> None:
    answer = server.client.post("/api/jobs", json=wrong, headers={"origin": server.url})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "usage"
    assert answer.json()["detail"].endswith(".")


@each_row(
    "text",
    [
        b"",
        b"{",
        b"nothing",
        b'{"queue": "mail", "payload": NaN}',
        b'{"queue": "mail", "payload": 1e999}',
        b'{"queue": "mail", "payload": "\\ud800"}',
        b'{"queue": "mail", "payload": "\xff"}',
        '{"queue": "mail", "payload": {}}'.encode("utf-16"),
    ],
)
def test_a_body_that_is_not_json_is_refused(server: Server, text: bytes) -> None:
    headers = {"origin": server.url, "content-type": "application/json"}
    answer = server.client.post("/api/jobs", content=text, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "usage")


@everywhere
def test_a_value_that_the_database_cannot_hold_is_refused(server: Server) -> None:
    deep: Any = 0
    for _ in range(200):
        deep = [deep]
    answer = server.post("/api/jobs", {"queue": "mail", "payload": deep})
    assert (answer.status_code, answer.json()["code"]) == (422, "value_refused")


# Retrying and cancelling.


def test_a_failed_job_is_retried(server: Server, rows: Rows) -> None:
    job = rows.job(status="Dead", attempts=3, error_message="broken", failed_at=START)
    answer = server.post(f"/api/jobs/{job[:18]}/retry")
    assert answer.status_code == 200
    validate(answer.json(), OUTCOME.schema)
    assert answer.json()["changed"] == 1
    found = server.json(f"/api/jobs/{job}")
    assert (found["status"], found["attempts"], found["error"]) == ("Pending", 0, None)


@pytest.mark.parametrize("body", [{}, {"now": True}])
def test_a_job_that_was_cancelled_before_it_was_due_is_due_when_it_was(
    server: Server, rows: Rows, body: dict[str, bool]
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    job, shown = rows.job(status="Pending", scheduled_at=at), at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert server.post(f"/api/jobs/{job}/cancel").json()["changed"] == 1
    done = server.post(f"/api/jobs/{job}/retry", body).json()
    assert (done["due_later"], done["due_at"]) == ((0, None) if body else (1, shown))
    assert (server.json(f"/api/jobs/{job}")["scheduled_at"] == shown) == (not body)


def test_a_pending_job_is_cancelled_and_says_why(server: Server, rows: Rows) -> None:
    job = rows.job(status="Pending")
    waiting = rows.job(job, status="Pending", dependency_status="waiting")
    answer = server.post(f"/api/jobs/{job}/cancel", {"reason": "wrong file"})
    assert (answer.json()["changed"], answer.json()["followed"]) == (1, 1)
    found = server.json(f"/api/jobs/{job}")
    assert found["status"] == "Cancelled"
    assert found["error"].startswith("cancelled by ")
    assert found["error"].endswith(": wrong file")
    assert server.json(f"/api/jobs/{waiting}")["status"] == "Cancelled"


@pytest.mark.parametrize(
    ("action", "status"), [("retry", "Completed"), ("retry", "Running"), ("cancel", "Completed"), ("cancel", "Running")]
)
def test_a_state_that_forbids_it_is_a_conflict(server: Server, rows: Rows, action: str, status: str) -> None:
    job = rows.job(status=status)
    answer = server.post(f"/api/jobs/{job}/{action}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "conflict"
    assert answer.json()["reason"] == status
    assert server.json(f"/api/jobs/{job}")["status"] == status


def test_a_refused_retry_names_the_command_for_the_jobs_that_failed_below(server: Server, rows: Rows) -> None:
    root = rows.job(status="Completed", spawns=True)
    rows.job(root, status="Dead")
    refused = server.post(f"/api/jobs/{root}/retry").json()
    assert refused["hint"].startswith(f"Jobs below it failed: hammerwork job retry {root[:8]} --tree --only failed. ")


def test_force_takes_a_running_job_too(server: Server, rows: Rows) -> None:
    job = rows.job(status="Running")
    assert server.post(f"/api/jobs/{job}/cancel", {"force": True}).status_code == 200
    assert server.json(f"/api/jobs/{job}")["status"] == "Cancelled"


@everywhere
def test_failed_jobs_below_a_job_are_retried_with_tree(server: Server, rows: Rows) -> None:
    root = rows.job(status="Completed", spawns=True)
    middle = rows.job(root, status="Completed")
    failed = [rows.job(middle, status=status) for status in ("Dead", "Failed", "TimedOut")]
    whole = rows.job(middle, status="Completed")
    planned = server.post(f"/api/jobs/{root}/retry", {"tree": True, "dry_run": True}).json()
    assert (planned["dry_run"], planned["changed"]) == (True, 3)
    assert server.json(f"/api/jobs/{failed[0]}")["status"] == "Dead"
    done = server.post(f"/api/jobs/{root}/retry", {"tree": True})
    assert done.json()["changed"] == 3
    validate(done.json(), OUTCOME.schema)
    assert {server.json(f"/api/jobs/{job}")["status"] for job in failed} == {"Pending"}
    assert server.json(f"/api/jobs/{whole}")["status"] == "Completed"


def test_a_change_to_what_is_not_there_is_not_found(server: Server) -> None:
    for action in ("retry", "cancel"):
        assert server.post(f"/api/jobs/{uuid4()}/{action}").status_code == 404


# Spawning again.


@everywhere
def test_a_completed_job_is_asked_to_spawn_again(server: Server, rows: Rows) -> None:
    job = rows.job(queue="ingest", spawns={"handler": "frames", "max_spawn_count": 3})
    answer = server.post(f"/api/jobs/{job[:18]}/spawn", {"handler": "scenes", "config": {"max_spawn_count": 7.0}})
    assert answer.status_code == 202
    request = answer.json()
    validate(request, SCHEMAS["spawn-again"])
    assert (request["job_id"], request["handler"], request["state"]) == (job, "scenes", "pending")
    assert (request["spawn_config"]["max_spawn_count"], request["spawn_config"]["handler"]) == (7, "frames")
    assert "@" in request["requested_by"]
    assert answer.headers["location"] == f"/api/jobs/{job}"
    assert server.json(f"/api/jobs/{job}")["spawn_requests"] == [request]
    assert server.post(f"/api/jobs/{job}/spawn").status_code == 409


def test_fields_that_the_client_leaves_out_are_the_jobs_own(server: Server, rows: Rows) -> None:
    job = rows.job(spawns=True)
    request = server.post(f"/api/jobs/{job}/spawn", {"handler": None, "config": None}).json()
    assert (request["handler"], request["spawn_config"]) == (None, None)


def test_only_a_completed_job_that_is_there_spawns_again(server: Server, rows: Rows) -> None:
    assert server.post(f"/api/jobs/{rows.job(status='Dead', spawns=True)}/spawn").status_code == 409
    assert server.post(f"/api/jobs/{uuid4()}/spawn").status_code == 404
    wrong = server.post(f"/api/jobs/{rows.job(spawns=True)}/spawn", {"config": {"batch_size": 0}})
    assert wrong.status_code == 400


# Queues.


@everywhere
def test_a_queue_is_paused_and_resumed(server: Server, rows: Rows) -> None:
    name = f"paused/{uuid4()}"
    rows.job(queue=name, status="Pending")
    path = f"/api/queues/{name.replace('/', '%2F')}"
    paused = server.post(f"{path}/pause", {"reason": HOSTILE})
    assert paused.status_code == 200
    validate(paused.json(), PAUSE_CHANGE.schema)
    assert (paused.json()["changed"], paused.json()["reason"]) == (True, HOSTILE)
    assert server.post(f"{path}/pause").json()["changed"] is False
    state = next(state for state in server.json("/api/queues") if state["queue"] == name)
    assert (state["paused"], state["paused_reason"]) == (True, HOSTILE)
    assert "@" in state["paused_by"]
    assert server.post(f"{path}/resume").json()["changed"] is True
    assert server.post(f"{path}/resume").json()["changed"] is False


def test_who_changes_something_sees_it_at_once(server: Server, rows: Rows) -> None:
    job = rows.job(status="Dead")
    for action, status in (("retry", "Pending"), ("cancel", "Cancelled"), ("retry", "Pending")):
        assert server.post(f"/api/jobs/{job}/{action}").status_code == 200
        assert server.json(f"/api/jobs/{job}")["status"] == status


def test_a_body_may_be_left_out_where_nothing_must_be_said(server: Server, rows: Rows) -> None:
    job = rows.job(status="Dead")
    assert server.client.post(f"/api/jobs/{job}/retry", headers={"origin": server.url}).status_code == 200


@pytest.mark.parametrize("path", ["/api/jobs/{job}/retry", "/api/queues/x/resume", "/api/queues/x/pause"])
def test_an_unknown_field_is_refused(server: Server, rows: Rows, path: str) -> None:
    job = rows.job(status="Dead")
    answer = server.post(path.format(job=job), {"forse": True})
    assert answer.status_code == 400
    assert "forse" in answer.json()["detail"]


@pytest.mark.sqlite
def test_a_database_without_tables_is_answered_with_what_to_do(
    serve: Callable[..., Server], new_database: Callable[..., str]
) -> None:
    url = new_database("sqlite")
    with closing(connect(url)):
        pass
    server = serve(url)
    for answer in (server.get("/api/jobs"), server.get("/health"), server.post("/api/queues/x/pause")):
        assert answer.status_code == 503
        assert answer.json()["code"] == "tables_missing"
        assert "migration run" in answer.json()["hint"]
    with closing(connect(url)) as database:
        migrations.run(database)
        # A server of this version on tables of an older one, until somebody migrates.
        database.script("DELETE FROM hammerwork_migrations WHERE migration_id = 'hw_036_unique_jobs'")
        assert server.get("/api/jobs").status_code == 200
        for answer in (server.get("/api/workers"), server.post("/api/queues/x/pause")):
            assert (answer.status_code, answer.json()["code"]) == (503, "tables_missing")
            assert "hw_036_unique_jobs" in answer.json()["detail"]
        migrations.run(database)
    assert server.get("/api/workers").status_code == 200
    assert server.post("/api/queues/x/pause").status_code == 200
