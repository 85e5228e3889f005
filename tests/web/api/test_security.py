"""Who may ask for what. SQLite serves: nothing here depends on the database."""

import json
import re
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from hammerwork_cli.core.values import PERSONAL
from hammerwork_cli.database import connect
from hammerwork_cli.errors import ConflictError, LimitReachedError
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.schema.views import SCHEMAS
from hammerwork_cli.web import redaction
from hammerwork_cli.web.application import ENDPOINTS
from hammerwork_cli.web.problems import problem
from tests.conftest import each_row
from tests.rows import START, Rows
from tests.servers import PASSWORD
from tests.web.api.servers import Server, serving

pytestmark = pytest.mark.sqlite

TOKEN = "a-token-of-more-than-sixteen"
SECRET = "the secret of the payload"
Serve = Callable[..., Server]
READS = [
    "/api/spawn/operations",
    "/api/jobs",
    "/api/queues",
    "/api/spawn/stats",
    "/api/about",
    "/api/health",
    "/api/events",
    "/metrics",
]


@pytest.fixture(scope="module")
def stocked(makers: Any) -> Iterator[tuple[str, str]]:
    """The URL of a database, and a job in it that carries a secret everywhere."""
    url = makers["sqlite"].migrated()
    with closing(connect(url)) as database:
        rows = Rows(database)
        parent = rows.job(
            queue="secrets",
            status="Dead",
            payload={"text": SECRET},
            spawns={
                "handler": "frames",
                "operation_id": "op-1",
                "max_depth": {"text": SECRET},
                "on_error": SECRET,
                "metadata": {"text": SECRET},
                "other": SECRET,
            },
            error_message=SECRET,
            trace_id=SECRET,
            correlation_id=SECRET,
            parent_span_id=SECRET,
            span_context=SECRET,
            payload_hash=SECRET,
            workflow_name=SECRET,
            result_data=f'{{"text": "{SECRET}"}}',
        )
        rows.job(parent, queue="secrets", status="Failed", error_message=SECRET, payload={"text": SECRET})
    yield url, parent
    makers["sqlite"].drop(url)


@pytest.fixture(scope="module")
def open_server(stocked: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a token, as it is started by default."""
    with serving(stocked[0], home=tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def closed_server(stocked: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token; its client bears none unless told."""
    with serving(stocked[0], "--token", TOKEN, home=tmp_path_factory.mktemp("home")) as server:
        yield server


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


# Starting.


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_another_address_than_loopback_is_refused_without_a_token(
    run: Callable[..., Any], empty_url: str, host: str
) -> None:
    done = run("web", "serve", "--host", host, "--port", "0", url=empty_url)
    assert done.exit_code == 2
    assert "Without a token" in done.stderr
    assert "HAMMERWORK_WEB_TOKEN" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in it, which is not allowed", "umlaut-ä-aaaaaaaaaaaaaaaaa"]
)
def test_a_token_that_is_easy_to_guess_or_cannot_be_sent_is_refused(
    run: Callable[..., Any], empty_url: str, token: str
) -> None:
    assert run("web", "serve", "--token", token, url=empty_url).exit_code == 2
    assert run("web", "serve", url=empty_url, env={"HAMMERWORK_WEB_TOKEN": token}).exit_code == 2


@pytest.mark.parametrize("origin", ["*", "null", "https://a.example/path", "ftp://a.example", "https://user@a.example"])
def test_only_a_named_origin_is_given_access(run: Callable[..., Any], empty_url: str, origin: str) -> None:
    done = run("web", "serve", "--cors-origin", origin, url=empty_url)
    assert done.exit_code == 2
    assert "is not an origin" in done.stderr


def test_any_address_is_served_with_a_token(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--host", "0.0.0.0", env={"HAMMERWORK_WEB_TOKEN": TOKEN})
    own = server.url.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(f"{own}/api/queues").status_code == 401
    assert httpx.get(f"{own}/api/queues", headers={"authorization": f"Bearer {TOKEN}"}).json() == []


def test_the_token_is_not_printed(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--token", TOKEN)
    server.get("/api/queues", headers={"authorization": f"Bearer {TOKEN}x"})
    assert server.end() == 0
    assert TOKEN not in server.complaints


# The token.


WRONG = [None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xe4"]


@each_row(("path", "header"), product(READS, WRONG))
def test_nothing_is_read_without_the_token(closed_server: Server, path: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = closed_server.get(path, headers=headers)
    assert_problem(answer, 401, "token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [path for path in READS if path != "/api/events"])
def test_everything_is_read_with_the_token(closed_server: Server, path: str) -> None:
    assert closed_server.get(path, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_with_the_token_a_program_changes_things_without_an_origin(closed_server: Server) -> None:
    answer = closed_server.client.post("/api/queues/x/resume", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


def test_the_page_the_contract_and_the_liveness_check_need_no_token(closed_server: Server) -> None:
    for path in ("/", "/client.js", "/openapi.json", "/health"):
        assert closed_server.get(path).status_code == 200


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    from starlette.datastructures import Headers

    from hammerwork_cli.web.endpoints.settings import ServerSettings
    from hammerwork_cli.web.guard import RequestGuard

    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    guard = RequestGuard(lambda *_: pytest.fail("not asked"), ServerSettings(token=TOKEN))  # type: ignore[arg-type]
    guard._check_token(Headers({"authorization": f"Bearer {TOKEN}"}))
    assert compared == [(TOKEN.encode(), TOKEN.encode())]


# Host and Origin.


@each_row(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "",
        "192.0.2.7",
        "[::1]evil.example",
        "[::1",
        "[::1]]:{port}",
        "127.0.0.1:80@evil.example",
        "user@localhost",
        "localhost:abc",
        "localhost:",
        "localhost:{port}:{port}",
        "localhost/evil.example",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused(open_server: Server, host: str) -> None:
    port = open_server.authority.rpartition(":")[2]
    for path in ("/", *READS):
        assert_problem(open_server.get(path, headers={"host": host.format(port=port)}), 403, "host")


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST", "[::1]:{port}", "localhost."])
def test_names_of_this_machine_are_accepted(open_server: Server, host: str) -> None:
    port = open_server.authority.rpartition(":")[2]
    assert open_server.get("/api/queues", headers={"host": host.format(port=port)}).status_code == 200


def test_a_request_without_or_with_two_host_headers_is_refused(open_server: Server) -> None:
    for hosts in ("", "Host: localhost\nHost: evil.example\n"):
        status = open_server.raw(f"GET /api/queues HTTP/1.1\n{hosts}Connection: close\n\n").split()[1]
        assert status in {"400", "403"}
    assert open_server.raw("GET /api/queues HTTP/1.0\n\n").split()[1] == "403"


def test_a_body_with_two_lengths_is_refused(open_server: Server) -> None:
    answer = open_server.raw(
        f"POST /api/queues/x/resume HTTP/1.1\nHost: localhost\nOrigin: {open_server.url}\n"
        "Content-Type: application/json\nContent-Length: 4\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n"
    )
    assert answer.split()[1] == "400"
    assert "must not have both" in answer
    assert "connection: close" in answer.lower()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_origins_cannot_make_the_server_work(serve: Serve, empty_url: str, site: str) -> None:
    server = serve(empty_url, "--cors-origin", "https://board.example")
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    for path in READS:
        assert_problem(server.get(path, headers=headers), 403, "origin")
    for allowed in ("same-origin", "none"):
        assert server.get("/api/queues", headers=headers | {"sec-fetch-site": allowed}).status_code == 200
    assert server.get("/api/queues", headers=headers | {"origin": "https://board.example"}).status_code == 200
    # A link to the page may stand anywhere.
    assert server.get("/", headers=headers).status_code == 200


def test_an_upload_that_is_given_up_is_no_error_of_the_server(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    host, _, port = server.authority.rpartition(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(
                f"POST /api/jobs HTTP/1.1\r\nHost: {server.authority}\r\nOrigin: {server.url}\r\n"
                "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
            )
    deadline = time.monotonic() + 20
    while 'path="/api/jobs",status="400"' not in (text := server.get("/metrics").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    assert 'path="/api/jobs",status="500"' not in text
    assert server.end() == 0
    assert server.complaints.strip() == "Press Ctrl-C to stop."


def test_a_proxys_name_is_accepted_when_it_was_named(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--allow-host", "Queues.Example")
    assert server.get("/api/queues", headers={"host": "queues.example"}).status_code == 200
    assert server.get("/api/queues", headers={"host": "other.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "http://127.0.0.1",
        "file://",
        "http://localhost.evil.example",
    ],
)
def test_pages_of_other_origins_may_neither_read_nor_change(open_server: Server, origin: str) -> None:
    for path in READS:
        assert_problem(open_server.get(path, headers={"origin": origin}), 403, "origin")
    assert_problem(open_server.post("/api/queues/x/pause", headers={"origin": origin}), 403, "origin")
    assert "access-control-allow-origin" not in open_server.get("/", headers={"origin": origin}).headers


def test_pages_of_other_origins_may_not_use_a_token_either(closed_server: Server) -> None:
    headers = {"origin": "https://evil.example", "authorization": f"Bearer {TOKEN}"}
    assert_problem(closed_server.post("/api/queues/x/pause", headers=headers), 403, "origin")


def test_without_a_token_a_change_needs_the_servers_own_origin(open_server: Server) -> None:
    answer = open_server.client.post("/api/queues/x/resume", json={})
    assert "Origin" in assert_problem(answer, 403, "origin")["detail"]
    assert open_server.post("/api/queues/x/resume").status_code == 200


def test_the_origin_may_be_https_behind_a_proxy_that_ends_tls(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--allow-host", "queues.example")
    headers = {"host": "queues.example", "origin": "https://queues.example"}
    assert server.post("/api/queues/x/resume", headers=headers).status_code == 200
    headers["host"] = "queues.example:443"
    assert server.post("/api/queues/x/resume", headers=headers).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_form_could_send_is_refused(open_server: Server, kind: str) -> None:
    headers = {"origin": open_server.url, "content-type": kind}
    answer = open_server.client.post("/api/queues/x/pause", content=b'{"reason": "x"}', headers=headers)
    assert_problem(answer, 415, "media_type")
    assert "curl -H 'Content-Type: application/json'" in answer.json()["hint"]


# CORS.


def test_there_is_no_cors_unless_it_was_asked_for(open_server: Server) -> None:
    preflight = {"origin": "https://board.example", "access-control-request-method": "POST"}
    answer = open_server.client.options("/api/jobs", headers=preflight)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_named_origin_may_use_the_api(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--cors-origin", "https://board.example", "--cors-origin", "https://other.example:8443")
    origin = {"origin": "https://board.example"}
    preflight = server.client.options("/api/jobs", headers={**origin, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    for answer in (preflight, server.get("/api/queues", headers=origin), server.get("/api/nope", headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "https://board.example"
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
    assert server.post("/api/queues/x/resume", headers=origin).status_code == 200
    assert server.get("/api/queues", headers={"origin": "https://board.example.evil.example"}).status_code == 403


# Read-only, redacted.


def test_read_only_refuses_every_change(serve: Serve, stocked: tuple[str, str]) -> None:
    url, job = stocked
    server = serve(url, "--read-only", "--token", TOKEN)
    bears = {"authorization": f"Bearer {TOKEN}"}
    document = server.get("/openapi.json").json()
    changes = [path for path, methods in document["paths"].items() if "post" in methods]
    assert len(changes) >= 5
    for path in changes:
        answer = server.post(path.format(id=job, name="secrets"), headers=bears)
        assert_problem(answer, 403, "read_only")
    assert_problem(server.client.delete(f"/api/jobs/{job}", headers={**bears, "origin": server.url}), 403, "read_only")
    assert server.get("/api/about", headers=bears).json()["read_only"] is True
    assert server.get("/api/queues/secrets", headers=bears).json()["by_status"]["Dead"] == 1


PLACES = [
    "/api/jobs/{id}",
    "/api/jobs",
    "/api/jobs/{id}/children",
    "/api/jobs/{id}/children?depth=2",
    "/api/jobs/{id}/spawn-tree",
    "/api/jobs/{id}/spawn-tree?format=nested",
    "/api/jobs/{id}/spawn-tree?format=dot",
    "/api/jobs/{id}/spawn-tree?format=mermaid",
    "/api/jobs/{id}/timeline?siblings=true",
    "/api/spawn/operations",
    "/api/spawn/operations/{id}",
    "/api/spawn/stats?hours=1000000&detailed=true",
]


def test_the_secret_is_where_the_redaction_is_tested(open_server: Server, stocked: tuple[str, str]) -> None:
    found = [path for path in PLACES if SECRET in open_server.get(path.format(id=stocked[1])).text]
    assert len(found) >= 9


def test_redact_hides_payloads_results_and_errors(serve: Serve, stocked: tuple[str, str]) -> None:
    url, job = stocked
    server = serve(url, "--redact")
    for path in PLACES:
        answer = server.get(path.format(id=job))
        assert answer.status_code == 200
        assert SECRET not in answer.text, path
    shown = server.json(f"/api/jobs/{job}")
    assert {shown["payload"], shown["result"], shown["error"]} == {"[redacted]"}
    assert shown["spawn_config"] == {"handler": "frames", "operation_id": "op-1"}
    child = server.json(f"/api/jobs/{job}/children")[0]["id"]
    assert SECRET not in server.get(f"/api/jobs/{child}/parent").text
    assert server.json("/api/about")["redacted"] is True


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """The schemas of the objects in a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema["properties"]
        for member in schema.values():
            yield from objects(member)
    elif isinstance(schema, list):
        for member in schema:
            yield from objects(member)


def test_redact_hides_every_key_of_an_answer_but_those_that_are_listed() -> None:
    named = [SCHEMAS[one.schema] if isinstance(one.schema, str) else one.schema for one in ENDPOINTS]
    found = list(objects(named))
    keys = {key for fields in found for key in fields}
    assert len(keys) > 100
    listed = redaction.SHOWN | redaction.COUNTS.keys() | redaction.WORDS.keys() | {"spawn_config"}
    assert listed <= keys
    assert not listed & {"payload", "result", "error", "metadata", "headers", "url", *PERSONAL}
    for fields in found:
        record = dict.fromkeys(fields, SECRET) | {key: {SECRET: 1} for key in redaction.COUNTS.keys() & fields.keys()}
        shown = redaction.hidden({"deep": 1, "jobs": [record | {"a new key": SECRET}]})
        assert shown["deep"] == "[redacted]"
        assert {key for key, value in shown["jobs"][0].items() if value == SECRET} == fields.keys() & redaction.SHOWN
        for key in redaction.COUNTS.keys() & fields.keys():
            assert shown["jobs"][0][key] == {"unknown": 1}


def test_redact_shows_every_number_flag_time_and_id() -> None:
    plain = {"integer", "number", "boolean", "date-time", "uuid"}
    kinds: dict[str, set[str]] = defaultdict(set)
    for one in ENDPOINTS:
        for fields in objects(SCHEMAS[one.schema] if isinstance(one.schema, str) else one.schema):
            for name, schema in fields.items():
                kinds[name] |= {word for part in schema.get("anyOf", [schema]) for word in kinds_of(part)}
    assert sum(found <= plain for found in kinds.values()) > 100
    hidden = {name for name, found in kinds.items() if found and found <= plain} - redaction.SHOWN
    assert hidden == set(), "list them in web/redaction.py"


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """The types of a schema, or the format of its text; ``any`` for anything."""
    types = schema.get("type", "any")
    listed = {types} if isinstance(types, str) else set(types)
    return {schema["format"]} if "format" in schema else listed - {"null"}


def test_each_column_that_names_who_did_something_is_personal(new_database: Callable[..., str]) -> None:
    with closing(connect(new_database("sqlite", migrated=True))) as database:
        columns = {name for table in database.schema.values() for name in table if name.endswith("_by")}
    answers = {
        key for schema in SCHEMAS.values() for fields in objects(schema) for key in fields if key.endswith("_by")
    }
    assert columns | answers == {*PERSONAL, "claimed_by"}  # the id of a worker


def test_redact_hides_who_paused_a_queue(serve: Serve, stocked: tuple[str, str]) -> None:
    url, _ = stocked
    with closing(connect(url)) as database:
        queues.pause(database, "secrets", by=f"ada@{SECRET}", now=START, reason=SECRET)
    (shown,) = (one for one in serve(url, "--redact").json("/api/queues") if one["queue"] == "secrets")
    assert (shown["paused_by"], shown["paused_reason"]) == ("[redacted]", "[redacted]")


def test_redact_shows_no_word_that_is_no_status(serve: Serve, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    with closing(connect(url)) as database:
        database.script("PRAGMA ignore_check_constraints = ON")
        rows = Rows(database)
        job = rows.job(queue="q", status=SECRET, spawns=True, dependency_status=SECRET)
        for status in (SECRET, f"{SECRET}2", "dead"):
            rows.job(job, queue="q", status=status, dependency_status=SECRET, result_data="{}")
        rows.job(rows.job(job, queue="q", status=SECRET), queue="q", status=SECRET)
    server = serve(url, "--redact")
    asked = [*PLACES, "/api/jobs/{id}/spawn-tree?format=dot&max_depth=1", "/api/jobs/{id}/spawn-tree?max_depth=1"]
    asked += ["/api/jobs/{id}/spawn-tree?format=mermaid&max_depth=1", "/api/jobs/{id}/child-groups", "/api/queues"]
    asked += ["/api/jobs/{id}/parent", "/api/queues/q?detailed=true", "/metrics", "/api/spawn/operations?failed=true"]
    with server.events() as events:
        events.next("ready")
        for path in asked:
            assert SECRET not in server.get(path.format(id=job)).text, path
        for change in ("retry", "cancel", "spawn"):
            for body in ({}, {"tree": True}, {"tree": True, "force": True}):
                assert SECRET not in server.post(f"/api/jobs/{job}/{change}", body).text, (change, body)
        new = server.post("/api/jobs", {"queue": "q", "payload": {}}).json()["id"]
        assert new in str(events.next("jobs"))
        with closing(connect(url)) as database:
            change = "UPDATE hammerwork_jobs SET status = ?, started_at = ? WHERE id = ?"
            Rows(database).run(change, [SECRET, database._adapt(database.now()), new])
        assert "unknown" in str(events.next("jobs"))
    shown = server.json(f"/api/jobs/{job}")
    assert (shown["status"], shown["dependency_status"]) == ("unknown", "unknown")
    assert server.json("/api/queues/q")["by_status"]["unknown"] >= 4


def test_redact_does_not_tell_whether_a_payload_is_the_same(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url, "--redact")
    job = {"queue": "secrets", "payload": {"text": SECRET}, "id": "00000000-0000-4000-8000-000000000001"}
    assert server.post("/api/jobs", job).status_code == 201
    same, other = server.post("/api/jobs", job), server.post("/api/jobs", {**job, "payload": {}})
    assert_problem(same, 409, "conflict")
    assert same.text == other.text
    waits = {"queue": "x", "payload": {}, "depends_on": ["00000000-0000-4000-8000-000000000002"]}
    assert_problem(server.post("/api/jobs", waits), 404, "not_found")


def test_redact_hides_them_in_the_stream_too(serve: Serve, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    server = serve(url, "--redact")
    with server.events() as events:
        events.next("ready")
        payload = {"text": SECRET, "_spawn_config": {"metadata": SECRET}}
        assert server.post("/api/jobs", {"queue": "secrets", "payload": payload}).status_code == 201
        assert SECRET not in str(events.next("jobs"))


# Bounds.


def test_a_body_that_is_too_large_is_refused_before_it_was_read(open_server: Server) -> None:
    headers = {"origin": open_server.url, "content-type": "application/json"}
    announced = open_server.raw(
        f"POST /api/jobs HTTP/1.1\nHost: {open_server.authority}\nOrigin: {open_server.url}\n"
        "Content-Type: application/json\nContent-Length: 99999999999\nConnection: close\n\n{"
    )
    assert announced.split()[1] == "413"
    large = b'{"queue": "x", "payload": "' + b"x" * (2 << 20) + b'"}'
    assert_problem(open_server.client.post("/api/jobs", content=large, headers=headers), 413, "too_large")
    pieces = (large[start : start + 65536] for start in range(0, len(large), 65536))
    assert_problem(open_server.client.post("/api/jobs", content=pieces, headers=headers), 413, "too_large")


@each_row(
    "question",
    [
        "/api/jobs?limit=501",
        "/api/jobs?limit=0",
        "/api/jobs?limit=-1",
        "/api/jobs?limit=1e3",
        "/api/spawn/operations?limit=100000",
        "/api/jobs/0000/children?limit=501",
        "/api/jobs/0000/children?depth=1001",
        "/api/jobs/0000/spawn-tree?max_depth=1001",
        "/api/jobs/0000/spawn-tree?max_nodes=100001",
        "/api/jobs/0000/parent?depth=1001",
        "/api/spawn/stats?hours=1e300",
        "/api/jobs?status=" + ",".join(["dead"] * 100),
    ],
)
def test_pages_depths_and_trees_are_bounded(open_server: Server, question: str) -> None:
    assert_problem(open_server.get(question), 400, "usage")


def test_lines_and_headers_are_bounded(open_server: Server) -> None:
    answer = open_server.raw(f"GET /{'x' * 200_000} HTTP/1.1\nHost: localhost\nConnection: close\n\n")
    assert answer == "" or answer.split()[1] in {"400", "414", "431"}
    assert open_server.get("/health").status_code == 200


def test_json_that_is_nested_too_deeply_is_refused(open_server: Server) -> None:
    headers = {"origin": open_server.url, "content-type": "application/json"}
    deep = b'{"queue": "x", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert open_server.client.post("/api/jobs", content=deep, headers=headers).status_code == 400
    less = b'{"queue": "x", "payload": ' + b"[" * 500 + b"]" * 500 + b"}"
    assert open_server.client.post("/api/jobs", content=less, headers=headers).status_code == 422


# Secrets.


@pytest.mark.postgres
@pytest.mark.parametrize("path", ["/api/jobs", "/health", "/metrics", "/api/about", "/api/events"])
def test_errors_tell_neither_the_password_nor_where_the_database_is(
    path: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    from tests.web.api.relay import relay

    url = new_database("postgres", migrated=True)
    with relay(url) as line, serving(line.url, home=tmp_path) as server:
        line.cut()
        answer = server.get(path) if path != "/api/events" else _first_event(server)
        assert "postgresql" not in answer.text
        assert str(line.port) not in answer.text
        assert "127.0.0.1" not in answer.text
        assert server.end() == 0
        for text in (answer.text, server.complaints):
            assert PASSWORD not in text
            assert not re.search(r"hw:\w", text)


def _first_event(server: Server) -> httpx.Response:
    with server.client.stream("GET", "/api/events") as response:
        text = next(chunk for chunk in response.iter_text() if "ready" in chunk)
    return httpx.Response(response.status_code, text=text)


# Headers.


def test_every_answer_has_the_headers_that_browsers_heed(open_server: Server) -> None:
    for path in ("/", "/client.js", "/api/queues", "/api/nope", "/openapi.json", "/health", "/metrics", "/static/nope"):
        headers = open_server.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert open_server.get("/api/queues").headers["cache-control"] == "no-store"


def test_the_pages_files_lead_nowhere_else(open_server: Server) -> None:
    for path in (
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static//etc/passwd",
    ):
        status = open_server.raw(f"GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n\n").split()[1]
        assert status == "404"


# Ending.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_server_and_its_streams_at_once(serve: Serve, empty_url: str, number: int) -> None:
    server = serve(empty_url)
    with server.events() as events, server.events() as others:
        events.next("ready")
        others.next("ready")
        began = time.monotonic()
        assert server.end(number) == 0
        for stream in (events, others):
            with pytest.raises(EOFError):
                stream.next()
    assert time.monotonic() - began < 10
    assert server.complaints.strip() == "Press Ctrl-C to stop."


def test_an_error_about_the_files_of_the_database_goes_to_stderr_only() -> None:
    file = "base/16384/2619"
    answer = problem(LimitReachedError(f'The database gave up: could not extend "{file}".', hint=file, file=file))
    assert answer.status_code == 503
    assert file.encode() not in bytes(answer.body)
    assert b"limit of time or space" in bytes(answer.body)
    body = json.loads(bytes(problem(ConflictError("The job is Running.", hint="Wait.", job_status="Running")).body))
    assert (body["detail"], body["hint"], body["job_status"]) == ("The job is Running.", "Wait.", "Running")
