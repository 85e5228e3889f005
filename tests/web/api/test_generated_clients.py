"""Clients that others' generators make of the contract, in Python and in TypeScript: made, checked and used."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, unavailable
from tests.web.api.servers import Server

pytestmark = pytest.mark.sqlite
TOOLS = ROOT / "tests" / "generators"
PYTHON = ROOT / "build" / "generators" / "bin"


@pytest.fixture
def server(serve: Callable[..., Server], lite_url: str, tmp_path: Path) -> Server:
    """A server, whose contract is in a file."""
    server = serve(lite_url)
    (tmp_path / "openapi.json").write_text(server.get("/openapi.json").text)
    return server


def output(*command: object, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{PYTHON}:{os.environ['PATH']}"}
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check(said: str) -> None:
    """Each program enqueues a job, lists it, and asks for one that is not there."""
    enqueued, listed, status = json.loads(said)
    assert listed == [enqueued]
    assert status == 404


@pytest.mark.long
def test_a_generated_client_in_python_is_imported_whole_type_checked_and_used(server: Server, tmp_path: Path) -> None:
    if not (PYTHON / "openapi-python-client").exists():
        unavailable("openapi-python-client is missing: make test installs it")
    options = ("--path", "openapi.json", "--output-path", "contract", "--meta", "none", "--fail-on-warning")
    output(PYTHON / "openapi-python-client", "generate", *options, folder=tmp_path)
    program = shutil.copy(TOOLS / "client.py", tmp_path)
    check(output(PYTHON / "python", program, server.url, folder=tmp_path))
    # Its own module of the connection is the generator's, whatever the contract.
    options = ("--strict", "--follow-imports=silent", "--no-incremental", f"--config-file={os.devnull}")
    output(sys.executable, "-m", "mypy", *options, "client.py", "contract/models", folder=tmp_path)


def test_a_generated_client_in_typescript_is_type_checked_and_used(server: Server, tmp_path: Path) -> None:
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None or not (TOOLS / "node_modules" / "openapi-typescript").is_dir():
        unavailable("openapi-typescript is missing: install npm, and make test installs it")
    binaries = TOOLS / "node_modules"
    (tmp_path / "node_modules").symlink_to(binaries)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    output(node, binaries / "openapi-typescript/bin/cli.js", "openapi.json", "-o", "contract.ts", folder=tmp_path)
    shutil.copy(TOOLS / "client.ts", tmp_path)
    strict = ("--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "--types", "node")
    output(node, binaries / "typescript/bin/tsc", *strict, "client.ts", folder=tmp_path)
    check(output(node, "client.js", server.url, folder=tmp_path))
