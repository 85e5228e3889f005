"""The pytest plugin, as a team that has the package uses it."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

from tests.conftest import ROOT

INSTALLED = "hammerwork" in entry_points(group="pytest11").names
TESTS = """
import pytest
from hammerwork_cli import Handlers, Job
from hammerwork_cli.testing import Jobs

app = Handlers()


@app.job("mail")
def mail(job: Job) -> str:
    return f"to {job.payload['to']}"


@pytest.mark.parametrize("to", ["ada", "bob", "eve"])
def test_each_test_has_an_empty_database(jobs: Jobs, to: str) -> None:
    assert jobs.enqueued() == []
    job = jobs.queue.enqueue(Job("mail", {"to": to}))
    jobs.assert_enqueued("mail", {"to": to}, count=1)
    assert jobs.drain(app).completed == 1
    assert jobs.queue.get(job).result == f"to {to}"
"""


def pytest_of(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the tests of a team."""
    plugin = [] if INSTALLED else ["-p", "hammerwork_cli.pytest_plugin"]  # before the next `make test`
    others = [f"-pno:{name}" for name in ("schemathesis", "hypothesispytest", "anyio", "cloudcoil", "cacheprovider")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, *others, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_each_test_of_each_process_gets_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "test_mail.py").write_text(TESTS)
    # In three processes, the plugins that a team may have beside it take a quarter of the time.
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugins = ("-p", "xdist", "-p", "hammerwork_cli.pytest_plugin")
    done = pytest_of(tmp_path, *plugins, "-n", "2", "--basetemp", str(tmp_path / "temp"), env=alone)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert {file.name for file in (tmp_path / "temp").rglob("*.db*")} == {"migrated.db"}


def test_a_team_chooses_another_database_and_a_failed_assertion_shows_the_line_of_the_test_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_mail.py").write_text(TESTS)
    (tmp_path / "test_bill.py").write_text("def test_bill(jobs):\n    jobs.assert_enqueued('mail', {'to': 'ada'})\n")
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n"
        "@pytest.fixture(scope='session')\n"
        f"def hammerwork_url() -> str:\n    return 'sqlite:///{tmp_path}/own.db'\n"
    )
    done = pytest_of(tmp_path)
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "own.db").exists()
    assert "Nothing is enqueued." in done.stdout
    assert ("test_bill.py:2: AssertionError" in done.stdout, "jobs.py" in done.stdout) == (True, False)


def test_a_run_of_pytest_that_uses_no_fixture_pays_for_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import hammerwork_cli.pytest_plugin;"
        " print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert {*done.stdout.split()} == {"hammerwork_cli", "hammerwork_cli.pytest_plugin"}


def test_the_package_names_its_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"hammerwork": "hammerwork_cli.pytest_plugin"}
