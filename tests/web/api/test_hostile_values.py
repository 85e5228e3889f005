"""JSON that another writer stored: nested deeper than Python's stack, with numbers that JSON readers cannot hold."""

import contextlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.web.application import ENDPOINTS
from tests.conftest import all_databases
from tests.rows import Rows
from tests.web.api.servers import Server, serving

VALUES = {
    "nested 90 levels": "[" * 90 + "]" * 90,
    "nested 500 levels": "[" * 500 + "1e999" + "]" * 500,
    "nested 900 levels": "[" * 900 + "]" * 900,
    "nested 100,000 levels": "[" * 100_000 + "]" * 100_000,
    "infinite": "[1e999, -1e999]",
    "digits": "[" + "9" * 5000 + "]",
}
COMMANDS = [
    ("job", "list"),
    ("job", "show", "{job}"),
    ("spawn", "list"),
    ("spawn", "pending"),
    ("spawn", "tree", "{job}"),
    ("spawn", "lineage", "{job}"),
    ("spawn", "why", "{job}"),
    ("spawn", "timeline", "{job}", "--all"),
    ("spawn", "compare", "{job}", "{job}"),
    ("spawn", "stats", "--detailed", "--hours", "1000000"),
]
PATHS = [
    "/api/jobs",
    "/api/jobs/{job}",
    "/api/jobs/{job}/children",
    "/api/jobs/{job}/parent",
    "/api/jobs/{job}/spawn-tree",
    "/api/jobs/{job}/spawn-tree?format=nested",
    "/api/jobs/{job}/spawn-tree?format=mermaid",
    "/api/jobs/{job}/timeline?siblings=true",
    "/api/jobs/{job}/spawn-tree?format=dot",
    "/api/spawn/operations",
    "/api/spawn/operations/{job}",
    "/api/spawn/stats?hours=1000000&detailed=true",
]


def write(url: str) -> list[str]:
    """Jobs with each value that the database accepts: in payload, result and spawn configuration, with a child each."""
    written = []
    with closing(connect(url)) as database:
        rows = Rows(database)
        place = database.placeholder
        for text in VALUES.values():
            payload = f'{{"x": {text}, "_spawn_config": {{"handler": "h", "metadata": {text}}}}}'
            for status in ("Completed", "Pending"):
                job = rows.job(status=status)
                change = f"UPDATE hammerwork_jobs SET payload = {place}, result_data = {place} WHERE id = {place}"
                with contextlib.suppress(Exception):  # whichever way the driver says that the value is refused
                    rows.run(change, [payload, text, job])
                    written.append(job)
                rows.job(job, status="Dead", error_message="broken")
    return written


@all_databases
def test_json_of_any_depth_and_size_is_printed(
    new_database: Callable[..., str], dialect: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    url = new_database(dialect, migrated=True)
    jobs = write(url)
    assert len(jobs) >= 2
    for command in COMMANDS:
        for job in jobs if command[1] == "show" else jobs[1:3]:
            done = run(*[word.format(job=job) for word in command], "--format", "json", url=url)
            assert done.exit_code in {0, 1}, (command, done.stderr[-500:])
            json.loads(done.stdout)
    assert run("job", "list", "--format", "csv", url=url).exit_code == 0
    # No database has a part in what is redacted.
    for options in ((), ("--redact",)) if dialect == "sqlite" else ((),):
        with serving(url, *options, home=tmp_path) as server:
            for path in PATHS:
                for job in jobs if path == "/api/jobs/{job}" else jobs[1:3]:
                    answer = server.get(path.format(job=job))
                    assert answer.status_code == 200, (path, answer.text[:500])
                    if "format=" not in path:
                        answer.json()


@pytest.mark.sqlite
def test_numbers_that_are_too_large_and_deep_bodies_are_refused_in_words(
    serve: Callable[..., Server], empty_url: str
) -> None:
    server = serve(empty_url)
    headers = {"origin": server.url, "content-type": "application/json"}
    for body, words in (
        ('{"queue": "q", "payload": 1e999}', "too large: 1e999"),
        ('{"queue": "x", "queue": "y", "payload": {}}', "has the key 'queue' twice in one object"),
        ('{"queue": "x", "payload": {"a": [{"b": 1, "b": 2}]}}', "has the key 'b' twice in one object"),
        ('{"queue": "q", "payload": {}, "spawn_config": {"metadata": [-1e999]}}', "too large: -1e999"),
        ('{"queue": "q", "payload": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ):
        answer = server.client.post("/api/jobs", content=body, headers=headers)
        assert answer.status_code == 400
        assert words in answer.json()["detail"]
    for depth in range(200, 1100, 100):
        body = '{"queue": "q", "payload": ' + "[" * depth + "]" * depth + "}"
        answer = server.client.post("/api/jobs", content=body, headers=headers)
        assert answer.status_code in {201, 400, 422}, (depth, answer.text)


@all_databases
def test_a_payload_with_nul_is_stored_or_refused_in_words(
    serve: Callable[..., Server], new_database: Callable[..., str], dialect: str
) -> None:
    server = serve(new_database(dialect, migrated=True))
    answer = server.post("/api/jobs", {"queue": "q", "payload": {"text": "a\0b"}})
    if dialect == "postgres":
        assert answer.status_code == 422
        assert "NUL" in answer.json()["detail"] or "\\u0000" in answer.json()["detail"]
    else:
        assert answer.status_code == 201
        assert server.json(f"/api/jobs/{answer.json()['id']}")["payload"] == {"text": "a\0b"}


@all_databases
def test_nul_in_a_parameter_is_refused_and_any_length_of_time_is_taken(
    serve: Callable[..., Server], new_database: Callable[..., str], dialect: str
) -> None:
    server = serve(new_database(dialect, migrated=True))
    # It is refused before a database could. SQLite would take it.
    for endpoint in ENDPOINTS if dialect == "sqlite" else ():
        for parameter in () if endpoint.changes else endpoint.parameters:
            path = endpoint.path.format(id="%00" if parameter.name == "id" else "0000", name="%00")
            query = {} if parameter.in_path else {parameter.name: "\0"}
            answer = server.get(path, params=query)
            assert answer.status_code == 400, (path, query, answer.text)
    for since in ("758730d", "999999w", "0s"):
        for path in ("/api/jobs", "/api/spawn/operations", "/api/workers", "/api/spawn/operations?failed=true"):
            assert server.json(path, since=since) == []
