"""Spawning again what has spawned: ``job retry --respawn`` and ``spawn again``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.models import JobStatus
from tests.jobs import execute, identity, job, rows, statuses, write

HANDLERS = """
from hammerwork_cli import Handlers, Job
app = Handlers()
app.register_job("leaf", lambda job: None)

@app.spawn("fan")
def fan(context):
    return [Job("leaf", {"number": number}) for number in range(2)]
"""

Program = Callable[..., Any]


@pytest.fixture
def work(tmp_path: Path, hammerwork: Program) -> Callable[[str], None]:
    """``work(url)``: a worker runs what there is to run."""
    (tmp_path / "handlers.py").write_text(HANDLERS)

    def run(url: str) -> None:
        done = hammerwork("worker", "start", "--handlers", "handlers:app", "--drain", url=url)
        assert done.exit_code == 0, done.stderr

    return run


def leaves(url: str) -> int:
    return len(rows(url, "id", "queue_name = 'leaf'"))


# job retry --respawn.


def test_a_completed_parent_that_is_retried_spawns_again_only_with_respawn(
    migrated_url: str, work: Callable[[str], None], run: Program
) -> None:
    write(migrated_url, job(1, queue="fan"))
    work(migrated_url)
    assert leaves(migrated_url) == 2
    assert run("job", "retry", identity(1), "--force", url=migrated_url).exit_code == 0
    assert statuses(migrated_url)[1] == "Pending"
    work(migrated_url)
    assert (statuses(migrated_url)[1], leaves(migrated_url)) == ("Completed", 2)
    assert run("job", "retry", identity(1), "--force", "--respawn", url=migrated_url).exit_code == 0
    work(migrated_url)
    assert (statuses(migrated_url)[1], leaves(migrated_url)) == ("Completed", 4)


def test_respawn_is_no_reason_to_take_a_completed_job(migrated_url: str, run: Program) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED, queue="fan"))
    refused = run("job", "retry", identity(1), "--respawn", url=migrated_url)
    assert refused.exit_code == 6
    assert statuses(migrated_url)[1] == "Completed"


def test_where_no_worker_of_ours_can_have_spawned_respawn_changes_nothing_more(migrated_url: str, run: Program) -> None:
    execute(migrated_url, "DROP TABLE hammerwork_spawn_roots")
    write(migrated_url, job(1, JobStatus.DEAD, queue="fan"))
    assert run("job", "retry", identity(1), "--respawn", url=migrated_url).exit_code == 0
    assert statuses(migrated_url)[1] == "Pending"
