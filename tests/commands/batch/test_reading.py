"""``batch list`` and ``show``: batches that any program wrote, counted from their jobs."""

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.conftest import Outcome, all_databases
from tests.jobs import execute
from tests.rows import START, Rows

Run = Callable[..., Outcome]
BATCH = "00000000-0000-4000-8000-0000000000b{}"
CLOCK = {"HAMMERWORK_NOW": (START + timedelta(hours=1)).isoformat()}


def asked(run: Run, url: str, *words: str) -> Any:
    """What a verb says as JSON."""
    outcome = run("batch", *words, "--format", "json", url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome
    return outcome.json


def batch(rows: Rows, number: int, total: int, **columns: Any) -> str:
    """A batch as hammerwork (Rust) writes it, so many minutes old."""
    row = {"id": BATCH.format(number), "batch_name": f"letters {number}", "total_jobs": total, "pending_jobs": total}
    row |= {"status": "Pending", "failure_mode": '"FailFast"', "created_at": START - timedelta(minutes=number)}
    rows.insert("hammerwork_batches", {**row, **columns})
    return str(row["id"])


def fill(url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        for number, words in enumerate(
            (
                ("Pending", "Pending"),
                ("Completed", "Pending"),
                ('"Completed"', "completed", "Completed"),
                ("Completed", "Dead", "TimedOut"),
                ("Failed", "Dead"),
                (),
                ("Running", "nonsense"),
            )
        ):
            of = batch(rows, number, max(len(words), 2))
            for place, word in enumerate(words):
                failed = {"error_message": f"no such tenant {place}"} if word in {"Dead", "TimedOut"} else {}
                rows.job(queue=f"q{place % 2}", status=word, batch_id=of, **failed)
        rows.job(status="Dead", error_message="no such tenant 7")


EXPECTED = {
    0: ("Pending", 0, 0, 0, 2, 0),
    1: ("Processing", 1, 0, 0, 1, 0),
    2: ("Completed", 3, 0, 0, 0, 0),
    3: ("PartiallyFailed", 1, 2, 0, 0, 0),
    4: ("Failed", 0, 2, 0, 0, 0),
    5: ("Gone", 0, 0, 0, 0, 2),
    6: ("Processing", 0, 0, 1, 0, 0),
}


def check(run: Run, url: str) -> None:
    listed = asked(run, url, "list")
    assert [row["name"] for row in listed] == [f"letters {number}" for number in EXPECTED]
    for number, row in enumerate(listed):
        shown = [row[key] for key in ("status", "completed", "failed", "running", "pending", "gone")]
        assert tuple(shown) == EXPECTED[number], row
        assert (row["id"], row["failure_mode"]) == (BATCH.format(number), "FailFast")
    first = asked(run, url, "list", "--limit", "4")
    assert first + asked(run, url, "list", "--cursor", first[-1]["id"]) == listed
    assert asked(run, url, "list", "--since", "3700s") == listed[:2]

    shown = asked(run, url, "show", BATCH.format(3))
    assert shown["by_status"] == {"Completed": 1, "Dead": 1, "TimedOut": 1}
    assert {row["queue"]: row["by_status"] for row in shown["queues"]} == {
        "q0": {"Completed": 1, "TimedOut": 1},
        "q1": {"Dead": 1},
    }
    assert [(one["pattern"], one["jobs"]) for one in shown["errors"]] == [("no such tenant *", 2)]


@all_databases
def test_a_batch_is_counted_from_its_jobs_whatever_its_own_columns_say(run: Run, migrated_url: str) -> None:
    fill(migrated_url)
    check(run, migrated_url)
    for word, code in (("0000", 6), ("ffff", 5), ("x", 2)):
        assert run("batch", "show", word, url=migrated_url).exit_code == code
    # An archived job counts once, whether hammerwork (Rust) has left its row or not.
    move = "INSERT INTO hammerwork_jobs_archive (id, queue_name, payload, payload_compressed, status, priority,"
    move += " attempts, max_attempts, created_at, scheduled_at, archived_at, batch_id) SELECT id, queue_name, "
    move += r"'\x7b7d', FALSE" if migrated_url.startswith("postgresql") else "x'7b7d', 0"
    move += ", status, 'normal', 1, 3, created_at, created_at, created_at, batch_id FROM hammerwork_jobs"
    execute(migrated_url, f"{move} WHERE status = 'TimedOut' OR status = 'Dead'")
    check(run, migrated_url)
    execute(migrated_url, "DELETE FROM hammerwork_jobs WHERE status = 'Dead' AND batch_id IS NOT NULL")
    listed = asked(run, migrated_url, "list")
    assert (listed[3]["failed"], listed[3]["gone"], listed[4]["failed"], listed[4]["gone"]) == (2, 0, 2, 0)


def test_a_wait_ends_with_the_last_job_and_says_what_became_of_the_batch(run: Run, migrated_url: str) -> None:
    fill(migrated_url)

    def wait(number: int, *words: str) -> Outcome:
        return run("batch", "wait", BATCH.format(number), *words, url=migrated_url)

    late = wait(1, "--timeout", "0")
    assert (late.exit_code, "1 job left" in late.stderr) == (124, True)
    assert {number: wait(number).exit_code for number in (2, 3, 4, 5)} == {2: 0, 3: 1, 4: 1, 5: 1}
    assert "Gone, 2 deleted" in wait(5).stdout
    end = "UPDATE hammerwork_jobs SET status = 'Completed' WHERE batch_id = '{}'"
    timer = threading.Timer(0.5, execute, (migrated_url, end.format(BATCH.format(1))))
    timer.start()
    ended = wait(1, "--interval", "0.1", "--timeout", "60", "--format", "json")
    timer.join()
    assert (ended.exit_code, ended.json["status"], ended.json["completed"]) == (0, "Completed", 2)


@pytest.mark.parametrize("name", ["media.postgresql", "media.mariadb"])
def test_batches_of_a_database_without_our_migrations_are_read(
    run: Run, restored: Callable[[str], str], name: str
) -> None:
    url = restored(name)
    execute(url, "DELETE FROM hammerwork_batches")
    fill(url)
    check(run, url)
