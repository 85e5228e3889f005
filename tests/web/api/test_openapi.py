"""The contract: the command line's own schemas, and nothing that a fuzzer finds against it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator

from docs.generate import FOLDER
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.schema.views import SCHEMAS, SENT
from tests.commands.test_contract import fill
from tests.rows import Rows
from tests.web.api.conftest import event_readers
from tests.web.api.servers import Server

pytestmark = pytest.mark.sqlite
EXAMPLES, PHASES = (4, "coverage,fuzzing") if "SIEGE_SECONDS" in os.environ else (1, "fuzzing")
"""The phase of coverage tries each value that a parameter must not have: see ``make siege``."""


@pytest.fixture
def document(serve: Callable[..., Server], empty_url: str) -> Any:
    answer = serve(empty_url).get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_endpoint_is_documented(document: Any) -> None:
    # `make reference` writes this page, and its diff says when an endpoint goes.
    listed = re.findall("^## (.*)", (FOLDER / "endpoints.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(operations(document)) == sorted(listed)
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names)
    for operation in operations(document).values():
        assert operation["summary"].endswith(".")
        assert {"400", "401", "403", "503"} <= operation["responses"].keys()


def test_the_contract_names_each_status_once_and_any_letter_case_is_accepted(
    serve: Callable[..., Server], empty_url: str
) -> None:
    server = serve(empty_url)
    document = server.json("/openapi.json")
    filters = [
        parameter["schema"]["items"]["enum"]
        for name, operation in operations(document).items()
        for parameter in operation["parameters"]
        if parameter["name"] == "status" and "workflows" not in name
    ]
    assert len(filters) == 4
    for words in filters:
        assert words == [status.value for status in JobStatus]
        assert len({word.lower() for word in words}) == len(words)
    assert server.json("/api/jobs?status=dead,TIMEDOUT,Failed") == []
    assert server.get("/api/jobs?status=alive").status_code == 400


def test_answers_have_the_schemas_of_the_commands(document: Any) -> None:
    schemas = document["components"]["schemas"]
    shared = schemas.keys() & SCHEMAS.keys() - SENT  # the event of the page is another thing
    assert shared >= {"spawn-list", "spawn-stats", "job-list", "job-show", "job-enqueue", "queue-list", "worker-list"}
    for name in shared:
        assert schemas[name] == {key: value for key, value in SCHEMAS[name].items() if key != "$schema"}
    assert schemas.keys() - shared == {"problem", "event"}


def test_answers_fit_their_schemas(serve: Callable[..., Server], empty_url: str) -> None:
    names = fill(empty_url) | event_readers(empty_url)
    server = serve(empty_url)
    document = server.json("/openapi.json")
    operation = server.json("/api/spawn/operations")[0]["parent_id"]
    values = {"id": operation, "name": server.json("/api/queues")[0]["queue"]}
    ids = {"archived": "/archive/", "batch": "/batches/", "workflow": "/workflows/", "schedule": "/schedules/"}
    ids |= {"webhook": "/webhooks/", "stream": "/streams/"}
    checked = set()
    for name, described in operations(document).items():
        schema = described["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")
        if name.startswith("GET") and schema:
            other = [names[kind] for kind, part in ids.items() if part in name]
            given = {**values, "id": other[0], "name": other[0]} if other else values
            path = name.removeprefix("GET ").format(**{key: quote(value, safe="") for key, value in given.items()})
            Draft202012Validator({**schema, "components": document["components"]}).validate(server.json(path))
            checked.add(name)
    assert "GET /api/spawn/operations/{id}" in checked
    assert len(checked) >= 13


def test_events_fit_the_schema_of_their_name(serve: Callable[..., Server], empty_url: str) -> None:
    server = serve(empty_url)
    schema = server.json("/openapi.json")["components"]["schemas"]["event"]
    wanted = ["ready", "jobs", "queues"]
    with server.events() as events:
        while wanted:
            name, data = events.next()
            Draft202012Validator(schema["properties"][name]).validate(data)
            if name == wanted[0]:
                wanted.pop(0)
                if wanted == ["jobs", "queues"]:
                    assert server.post("/api/jobs", {"queue": "q", "payload": 1}).status_code == 201
                elif wanted:
                    assert server.post("/api/queues/q/pause").status_code == 200


def test_every_schema_in_it_is_one(document: Any) -> None:
    found = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.extend([value["schema"]] if "schema" in value else [])
            for member in value.values():
                look(member)

    look(document["paths"])
    assert len(found) > 50
    # Those of the commands have been checked in tests/commands/test_contract.py.
    own = [document["components"]["schemas"][name] for name in ("problem", "event")]
    different = {json.dumps(schema): schema for schema in [*found, *own]}
    for schema in different.values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.long
def test_schemathesis_finds_nothing(serve: Callable[..., Server], empty_url: str, tmp_path: Path) -> None:
    fill(empty_url)
    with closing(connect(empty_url)) as database:
        rows = Rows(database)
        for status in ("Dead", "Pending", "Running"):
            rows.job(rows.job(queue=status, status=status, spawns=True), queue=status, status=status)
    server = serve(empty_url)
    # test_answers.py asks with the methods that an endpoint does not have.
    (tmp_path / "schemathesis.toml").write_text("[phases.coverage]\nunexpected-methods = []\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *(
                "--phases",
                PHASES,
                "--max-examples",
                str(EXAMPLES),
                "--generation-deterministic",
                "--no-color",
            ),
            # A stream has no end to wait for.
            *("--exclude-path", "/api/events", "--header", f"Origin: {server.url}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    number = len(operations(server.json("/openapi.json"))) - 1
    assert f"{number} passed" in done.stdout
    assert "Traceback" not in server.complaints
