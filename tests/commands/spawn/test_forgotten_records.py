"""What workers recorded of a job goes when the job is deleted, and stays as long as it is live or archived."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, Worker
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from tests.conftest import all_databases
from tests.jobs import NOW, execute, identity, job, move_to_archive, write
from tests.rows import Rows

Run = Callable[..., Any]
TABLES = {
    "hammerwork_spawn_operations": "parent_id",
    "hammerwork_spawned_children": "parent_id",
    "hammerwork_spawn_requests": "job_id",
    "hammerwork_spawn_trees": "root_id",
    "hammerwork_attempts": "job_id",
    "hammerwork_unique": "job_id",
}


def record(url: str, *parents: int) -> None:
    """Writes a row about each of these jobs into each of the tables."""
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)

        def insert() -> None:
            for number in parents:
                parent = identity(number)
                spawn = {"id": parent, "parent_id": parent, "root_id": parent, "depth": 0, "occurrence": ""}
                rows.insert(
                    "hammerwork_spawn_operations",
                    {**spawn, "outcome": "spawned", "children": 1, "started_at": NOW, "ended_at": NOW},
                )
                key = {"parent_id": parent, "occurrence": "", "spawn_key": "k", "child_id": parent, "spawned_at": NOW}
                rows.insert("hammerwork_spawned_children", key)
                request = {"id": parent, "job_id": parent, "queue_name": "mail", "state": "done", "requested_at": NOW}
                rows.insert("hammerwork_spawn_requests", request)
                rows.insert("hammerwork_spawn_trees", {"root_id": parent, "occurrence": "", "descendants": 1})
                attempt = {"job_id": parent, "started_at": NOW, "ended_at": NOW, "attempt": 1, "outcome": "failed"}
                rows.insert("hammerwork_attempts", attempt)
                unique = {"id": parent, "queue_name": "mail", "unique_key": str(parent), "job_id": parent}
                rows.insert("hammerwork_unique", unique)

        database.transaction(insert)


def everywhere(numbers: list[int]) -> dict[str, list[int]]:
    return dict.fromkeys(TABLES, numbers)


def recorded(url: str) -> dict[str, list[int]]:
    """Table -> numbers of the jobs that it tells of."""
    with contextlib.closing(connect(url)) as database:
        return {
            table: sorted(int(str(row[0])[:8], 16) for row in database.query(f"SELECT {column} FROM {table}"))
            for table, column in TABLES.items()
        }


@pytest.mark.parametrize(
    "words",
    [
        ("job", "delete", identity(1), identity(2)),
        ("job", "delete", "--queue", "mail", "--status", "completed"),
        ("job", "purge", "--queue", "mail", "--completed"),
        ("queue", "clear", "mail"),
    ],
    ids=["delete", "delete-filter", "purge", "clear"],
)
def test_the_records_of_jobs_go_with_them_and_with_no_others(
    migrated_url: str, run: Run, words: tuple[str, ...]
) -> None:
    write(
        migrated_url,
        *(job(number, JobStatus.COMPLETED) for number in (1, 2)),
        job(3, JobStatus.DEAD, queue="other"),
        job(4, JobStatus.COMPLETED, queue="other"),
    )
    move_to_archive(migrated_url, 4, b"{}")
    record(migrated_url, 1, 2, 3, 4)
    done = run(*words, "--yes", url=migrated_url)
    assert done.exit_code == 0, done.stderr
    assert recorded(migrated_url) == everywhere([3, 4])


def test_kept_jobs_keep_their_records(migrated_url: str, run: Run) -> None:
    waiting = {"depends_on": (identity(1),), "dependency_status": "waiting"}
    write(migrated_url, job(1, JobStatus.COMPLETED), job(2, JobStatus.RUNNING), job(3, **waiting))
    record(migrated_url, 1, 2, 3)
    assert run("job", "delete", identity(1), identity(2), "--yes", url=migrated_url).exit_code == 1
    assert run("job", "delete", identity(3), "--yes", "--dry-run", url=migrated_url).exit_code == 0
    assert run("job", "retry", identity(1), "--force", url=migrated_url).exit_code == 0
    assert recorded(migrated_url) == everywhere([1, 2, 3])


def test_a_job_that_is_archived_as_well_keeps_what_was_recorded_of_it(migrated_url: str, run: Run) -> None:
    write(migrated_url, job(1, JobStatus.COMPLETED))
    move_to_archive(migrated_url, 1, b"{}")
    write(migrated_url, job(1, JobStatus.COMPLETED))
    record(migrated_url, 1)
    assert run("job", "delete", identity(1), "--yes", url=migrated_url).exit_code == 0
    assert recorded(migrated_url) == everywhere([1])


def test_records_of_jobs_that_another_program_deleted_are_a_note_and_can_be_removed(
    migrated_url: str, run: Run
) -> None:
    write(migrated_url, *(job(number, JobStatus.COMPLETED) for number in (1, 2, 3, 4)))
    move_to_archive(migrated_url, 4, b"{}")
    record(migrated_url, 1, 2, 3, 4)
    execute(migrated_url, f"DELETE FROM hammerwork_jobs WHERE id IN ('{identity(2)}', '{identity(3)}')")

    (found,) = run("spawn", "doctor", "--format", "json", url=migrated_url).json
    assert (found["kind"], found["severity"], found["jobs"], found["mendable"]) == (
        "gone_but_recorded",
        "note",
        2,
        True,
    )
    assert found["examples"] == [
        {"id": identity(number), "queue": None, "status": "gone", "detail": None} for number in (2, 3)
    ]
    assert run("spawn", "doctor", url=migrated_url).exit_code == 0
    assert run("spawn", "doctor", "--strict", url=migrated_url).exit_code == 1
    told = run("spawn", "doctor", url=migrated_url).stdout
    assert "Note: 2 deleted jobs with records left" in told
    assert f"{identity(2)[:8]}  -  gone" in told
    assert run("spawn", "doctor", "--queue", "mail", "--format", "json", url=migrated_url).json == []

    fixed = run("spawn", "doctor", "--fix", "--yes", url=migrated_url)
    assert fixed.stdout == "Fixed 2 deleted jobs with records left: records removed\n"
    assert recorded(migrated_url) == everywhere([1, 4])
    assert run("spawn", "doctor", "--strict", url=migrated_url).exit_code == 0


# Through a worker.


@pytest.fixture
def app() -> Handlers:
    made = Handlers()
    made.register_job("leaf", lambda job: None)  # noqa: ARG005  it does nothing

    @made.job("parent")
    def parent(job: Job, context: Any) -> None:
        del job
        context.spawn(Job("leaf"), key="first")

    @made.spawn("parent")
    def children(context: Any) -> list[Job]:
        del context
        return [Job("leaf"), Job("leaf")]

    return made


def test_a_job_under_the_id_of_a_deleted_one_spawns_as_if_that_had_never_been(
    migrated_url: str, run: Run, app: Handlers
) -> None:
    for _ in range(2):
        parent = Job("parent", id=identity(1)).with_unique("k", while_=("waiting", "completed"))
        with Queue(migrated_url) as queue:
            queue.enqueue(parent)
            assert Worker(queue, app, drain=True, poll_interval=0.05).run().completed == 4
            assert not queue.enqueue(Job("parent").with_unique("k", while_=["completed"])).created
        operations = run("job", "show", parent.id, "--format", "json", url=migrated_url).json["spawns"]
        assert [(spawn["outcome"], spawn["children"]) for spawn in operations] == [("spawned", 2)]
        assert run("job", "delete", parent.id, "--yes", url=migrated_url).exit_code == 0
        assert recorded(migrated_url) == everywhere([])


@all_databases
def test_jobs_are_purged_while_workers_spawn(migrated_url: str, run: Run, app: Handlers) -> None:
    with Queue(migrated_url) as queue:
        parents = queue.enqueue_many([Job("parent") for _ in range(25)])
        threads = [
            threading.Thread(target=Worker(queue, app, drain=True, poll_interval=0.05, concurrency=2).run)
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            done = run("job", "purge", "--completed", "--yes", url=migrated_url)
            assert done.exit_code == 0, done.stderr
        for thread in threads:
            thread.join()
    assert len(parents) == 25
    assert run("job", "purge", "--completed", "--yes", url=migrated_url).exit_code == 0
    assert run("job", "list", "--format", "json", url=migrated_url).json == []
    assert recorded(migrated_url) == everywhere([])
