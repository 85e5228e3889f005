"""The contract: the command line's own schemas, and nothing that a fuzzer finds against it."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.database import connect
from hammerwork_cli.render.schemas import SCHEMAS
from tests.commands.test_contract import fill
from tests.rows import Rows
from tests.web.api.servers import Server

pytestmark = pytest.mark.sqlite
EXAMPLES = 15

ENDPOINTS = {
    "GET /api/spawn/operations",
    "GET /api/spawn/operations/{id}",
    "GET /api/spawn/stats",
    "GET /api/jobs",
    "POST /api/jobs",
    "GET /api/jobs/{id}",
    "GET /api/jobs/{id}/children",
    "GET /api/jobs/{id}/child-groups",
    "GET /api/jobs/{id}/parent",
    "GET /api/jobs/{id}/spawn-tree",
    "POST /api/jobs/{id}/retry",
    "POST /api/jobs/{id}/cancel",
    "POST /api/jobs/{id}/spawn",
    "GET /api/queues",
    "GET /api/queues/{name}",
    "POST /api/queues/{name}/pause",
    "POST /api/queues/{name}/resume",
    "GET /api/workers",
    "GET /api/about",
    "GET /api/events",
    "GET /health",
    "GET /metrics",
}


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
    assert set(operations(document)) == ENDPOINTS
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names)
    for operation in operations(document).values():
        assert operation["summary"].endswith(".")
        assert {"400", "401", "403", "503"} <= operation["responses"].keys()


def test_answers_have_the_schemas_of_the_commands(document: Any) -> None:
    schemas = document["components"]["schemas"]
    shared = schemas.keys() & SCHEMAS.keys()
    assert shared >= {"spawn-list", "spawn-stats", "job-list", "job-show", "job-enqueue", "queue-list", "worker-list"}
    for name in shared:
        assert schemas[name] == {key: value for key, value in SCHEMAS[name].items() if key != "$schema"}
    assert schemas.keys() - shared == {"problem"}


def test_every_schema_in_it_is_one(document: Any) -> None:
    found = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.extend([value["schema"]] if "schema" in value else [])
            for member in value.values():
                look(member)

    look(document["paths"])
    for schema in [*found, *document["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)
    assert len(found) > 50


@pytest.mark.parametrize("phase", ["coverage", "fuzzing"])
def test_schemathesis_finds_nothing(serve: Callable[..., Server], empty_url: str, tmp_path: Path, phase: str) -> None:
    fill(empty_url)
    with closing(connect(empty_url)) as database:
        rows = Rows(database)
        for status in ("Dead", "Pending", "Running"):
            rows.job(rows.job(queue=status, status=status, spawns=True), queue=status, status=status)
    server = serve(empty_url)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--phases", phase, "--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color"),
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
    assert f"{len(ENDPOINTS) - 1} passed" in done.stdout
    assert "Traceback" not in server.complaints
