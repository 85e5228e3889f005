"""``spawn timeline`` on every database, over rows as any program may have written them."""

import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.spawn.queries import timeline as timeline_queries
from tests.conftest import all_databases
from tests.rows import START, Rows

Run = Callable[..., Any]
CLOCK = {"HAMMERWORK_NOW": (START + timedelta(seconds=100)).isoformat()}


def times(created: float, started: float | None, ended: float | None, due: float | None = None) -> dict[str, Any]:
    """Columns of a job with one attempt, in seconds after START."""
    columns = {
        "created_at": created,
        "scheduled_at": created if due is None else due,
        "started_at": started,
        "completed_at": ended,
    }
    moments = {name: None if at is None else START + timedelta(seconds=at) for name, at in columns.items()}
    return {**moments, "attempts": 0 if started is None else 1}


def archive(rows: Rows, *parents: str, **columns: Any) -> str:
    """Writes a job that is only in the archive; returns its id."""
    row = {"id": str(uuid4()), "payload": b"{}", "status": "Completed", "priority": "normal", "archived_at": START}
    rows.insert("hammerwork_jobs_archive", {**row, "depends_on": rows.ids(parents), **columns})
    return str(row["id"])


def record(run: Run, url: str, job: str, *words: str) -> Any:
    done = run("spawn", "timeline", job, "--format", "json", *words, url=url, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def parts(found: Any) -> dict[str, float]:
    """The parts that are not empty."""
    return {part: length for part, length in found["parts"].items() if length}


def ingest(rows: Rows) -> tuple[str, str]:
    """A tree whose path is root, slow child, and a join with a date; the root and the join."""
    root = rows.job(queue="ingest", **times(0, 0.25, 1))
    slow = rows.job(root, queue="transcode", **times(1, 5, 7))
    quick = rows.job(root, queue="thumbnail", **times(1, 1, 2))
    join = rows.job(quick, slow, queue="publish", dependency_status="satisfied", **times(1, 9, 12, due=8.5))
    return root, join


@all_databases
def test_the_time_of_a_tree_is_split_into_parts_on_every_database(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        root, join = ingest(Rows(database))
    for job in (root, join):
        found = record(run, migrated_url, job)
        assert (found["root"], found["job"], found["jobs"], found["open"], found["unknown"]) == (root, job, 4, 0, 0)
        assert (found["seconds"], found["without_queueing_seconds"]) == (12, 7.25)
        assert parts(found) == {"delayed": 1.5, "queued": 4.75, "running": 5.75}
        assert [step["queue"] for step in found["critical_path"]] == ["ingest", "transcode", "publish"]
        assert [parts(step) for step in found["critical_path"]] == [
            {"queued": 0.25, "running": 0.75},
            {"queued": 4, "running": 2},
            {"delayed": 1.5, "queued": 0.5, "running": 3},
        ]
        assert found["siblings"] is None
    assert found["started_at"] == "2026-11-24T14:00:00.000000Z"
    assert found["ended_at"] == "2026-11-24T14:00:12.000000Z"
    siblings = record(run, migrated_url, root, "--all")["siblings"]
    assert next((group["queue"], group["jobs"]) for group in siblings) == ("ingest", 1)
    assert len(siblings) == 4


@all_databases
def test_archived_parts_and_open_jobs_belong_to_the_timeline(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        root = archive(rows, queue_name="ingest", **times(0, 0, 1))
        archive(rows, root, queue_name="segment", **times(1, 3, 5, due=2))
        running = rows.job(root, queue="segment", status="Running", **times(1, 4, None, due=3))
        blocked = rows.job(
            running, queue="merge", status="Pending", dependency_status="waiting", **times(1, None, None)
        )
    found = record(run, migrated_url, blocked)
    assert (found["jobs"], found["open"], found["unknown"]) == (4, 2, 0)
    assert parts(found) == {"delayed": 2, "queued": 1, "running": 97}
    assert found["critical_path"][-1]["id"] == running
    assert found["critical_path"][-1]["ended_at"] is None
    assert found["job_seconds"]["blocked"] == 99
    assert found["job_seconds"]["delayed"] == 1 + 2
    shown = run("spawn", "timeline", root, url=migrated_url, env=CLOCK)
    assert "from creation until now" in shown.stdout
    assert "2 jobs open" in shown.stdout


def test_recorded_attempts_tell_the_queue_from_the_retries(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        root = rows.job(queue="ingest", **times(0, 0, 1))
        job = rows.job(root, queue="segment", **{**times(1, 10, 12, due=9), "attempts": 3})
        other = rows.job(root, queue="segment", **{**times(1, 4, 5, due=3), "attempts": 2})
        for of, number, start in ((other, 1, 2), (job, 1, 4), (job, 2, 7)):
            started = START + timedelta(seconds=start)
            attempt = {
                "job_id": of,
                "attempt": number,
                "started_at": started,
                "ended_at": started,
                "outcome": "failed",
            }
            rows.insert("hammerwork_attempts", attempt)
    found = record(run, migrated_url, job)
    assert parts(found) == {"queued": 3, "retrying": 6, "running": 3}
    assert found["without_queueing_seconds"] == 9


def test_a_database_without_our_migrations_has_timelines(run: Run, shared_restored: Callable[[str], str]) -> None:
    for name in ("media.postgresql", "media.mariadb"):
        url = shared_restored(name)
        operations = run("spawn", "list", "--format", "json", url=url).stdout
        root = json.loads(operations)[0]["parent_id"]
        found = record(run, url, root)
        assert sum(found["parts"].values()) == pytest.approx(found["seconds"])
        assert found["critical_path"]


@pytest.mark.sqlite
def test_text_and_mermaid_are_for_people_and_pictures(run: Run, new_database: Callable[..., str]) -> None:
    """What the parser of Mermaid makes of charts is a matter of ``tests/unit/timeline`` and of the contract."""
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        root, _ = ingest(Rows(database))
    shown = run("spawn", "timeline", root, "--charset", "ascii", "--width", "60", url=url)
    assert shown.stdout.isascii()
    assert max(map(len, shown.stdout.splitlines())) <= 60
    assert "With a worker for every job it would have taken 7.2 s." in shown.stdout
    assert "Groups of siblings" not in shown.stdout
    assert "Groups of siblings" in run("spawn", "timeline", root, "--all", url=url).stdout
    assert "… 3 jobs" in run("spawn", "timeline", root, "--min", "6500ms", url=url).stdout
    chart = run("spawn", "timeline", root, "--format", "mermaid", "--all", url=url)
    assert chart.stdout.startswith("gantt\n")
    assert chart.stderr == ""


@pytest.mark.sqlite
def test_min_is_refused_for_json_and_bad_durations_everywhere(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    assert run("spawn", "timeline", "abcd", "--min", "1s", "--format", "json", url=url).exit_code == 2
    assert run("spawn", "timeline", "abcd", "--min", "soon", url=url).exit_code == 2
    assert run("spawn", "timeline", "abcd", "--width", "20", url=url).exit_code == 2
    assert run("spawn", "timeline", "abcd", url=url).exit_code == 5


@pytest.mark.sqlite
def test_a_tree_with_more_jobs_than_wanted_has_no_timeline(new_database: Callable[..., str]) -> None:
    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        root, _ = ingest(Rows(database))
        now = START + timedelta(seconds=100)
        assert timeline_queries.timeline(database, root, now=now, max_jobs=4).length == 12_000_000
        with pytest.raises(ConflictError, match="more than 3 jobs"):
            timeline_queries.timeline(database, root, now=now, max_jobs=3)
