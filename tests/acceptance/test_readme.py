"""What the README shows is what happens."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import Database, connect
from tests.conftest import unavailable
from tests.rows import Rows

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def shown(language: str, beginning: str) -> str:
    """The code block of the README that begins so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    [block] = [block for block in blocks if block.startswith(beginning)]
    return str(block)


@pytest.mark.postgres
@pytest.mark.parametrize("command", ["spawn tree", "spawn why"])
def test_the_pictures_are_what_the_commands_print(
    command: str, run: Callable[..., Any], shared_restored: Callable[[str], str]
) -> None:
    printed = run(*command.split(), "178ebfc3", url=shared_restored("media.postgresql")).stdout
    assert f"$ hammerwork {command} 178ebfc3\n{printed.strip()}" in shown("text", "$ hammerwork spawn tree")


def work(database: Database, ended: threading.Event, child_status: str) -> None:
    """What a worker would do with the first job that appears: complete it, with one child."""
    rows = Rows(database)
    while not ended.wait(0.05):
        for (job,) in database.query("SELECT id FROM hammerwork_jobs WHERE status = 'Pending'"):
            rows.job(job, queue="segment", status=child_status, error_message="moov atom not found")
            rows.run(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{job}'")


def run_script(script: str, clean_environment: dict[str, str], url: str) -> subprocess.CompletedProcess[str]:
    """A script as a user runs it, with the program on its path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean_environment['PATH']}"
    environment = {**clean_environment, "PATH": path, "HAMMERWORK_DATABASE_URL": url}
    return subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("child_status", "stdout", "stderr"),
    [
        ("Completed", r"Completed video_ingest \S{36}\nCompleted segment \S{36}\n", ""),
        ("Dead", "", "moov atom not found\n"),
    ],
)
def test_the_script_enqueues_waits_and_reads(
    migrated_url: str, clean_environment: dict[str, str], child_status: str, stdout: str, stderr: str
) -> None:
    if shutil.which("jq") is None:
        unavailable("jq is missing: install it")
    script = shown("sh", "id=$(hammerwork").replace("spawn wait", "spawn wait --quiet --interval 0.1s")
    ended = threading.Event()

    def worker() -> None:
        database = connect(migrated_url)
        work(database, ended, child_status)
        database.close()

    thread = threading.Thread(target=worker)
    thread.start()
    try:
        done = run_script(script, clean_environment, migrated_url)
    finally:
        ended.set()
        thread.join()
    assert done.stderr == stderr
    assert re.fullmatch(stdout, done.stdout)


def test_the_loop_reads_every_page_of_a_list_once(
    new_database: Callable[..., str], clean_environment: dict[str, str]
) -> None:
    if shutil.which("jq") is None:
        unavailable("jq is missing: install it")
    url = new_database("sqlite", migrated=True)
    database = connect(url)
    for number in range(5):
        Rows(database).job(status="Dead", error_message=f"error {number}")
    database.close()
    done = run_script(shown("sh", "cursor=").replace("--limit 500", "--limit 2"), clean_environment, url)
    assert (sorted(done.stdout.splitlines()), done.stderr) == ([f"error {number}" for number in range(5)], "")
