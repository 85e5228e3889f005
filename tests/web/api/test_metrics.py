"""Figures as Prometheus reads them."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.view.text import visible
from tests.commands.test_contract import HOSTILE, Asked
from tests.rows import Rows
from tests.web.api.conftest import everywhere
from tests.web.api.servers import Server


def samples(server: Server) -> list[Sample]:
    answer = server.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    assert all(family.documentation for family in families)
    return [sample for family in families for sample in family.samples]


def values(found: list[Sample], name: str) -> dict[tuple[str, ...], float]:
    """Value by labels, in the order of their names."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for sample in found
        if sample.name == name
    }


@everywhere
def test_queues_are_measured(served: Server, full: Asked) -> None:
    found = samples(served)
    jobs, oldest = values(found, "hammerwork_jobs"), values(found, "hammerwork_oldest_pending_seconds")
    paused, pending = values(found, "hammerwork_queue_paused"), values(found, "hammerwork_pending_jobs")
    states = served.json("/api/queues")
    assert HOSTILE in {state["queue"] for state in states}
    wanted = Counter()
    for state in states:
        for status, number in state["by_status"].items():
            wanted[visible(state["queue"]), status if status in set(JobStatus) else "unknown"] += number
    assert jobs == wanted
    assert oldest == {(visible(state["queue"]),): state["oldest_pending_seconds"] or 0 for state in states}
    assert paused == {(visible(state["queue"]),): int(state["paused"]) for state in states}
    assert pending == {
        (visible(state["queue"]), kind): state[kind] for state in states for kind in ("ready", "scheduled", "waiting")
    }


@everywhere
def test_schedules_are_measured(served: Server, serve: Callable[..., Server], empty_url: str) -> None:
    late, last = "hammerwork_schedule_late_seconds", "hammerwork_schedule_last_run_seconds"
    found = samples(served)  # an hour after the start; two more schedules are disabled
    assert values(found, late) == {("nightly",): 0}
    assert values(found, last) == {("nightly",): 58 * 60}
    with closing(connect(empty_url)) as database:
        schedule = read_schedule({"queue": "q", "payload": {}, "every": "1m", "name": "late"})
        changes.add(database, schedule, Author("me"), database.now() - timedelta(hours=1))
    found = samples(serve(empty_url))
    assert 3540 <= values(found, late)[("late",)] < 7200
    assert values(found, last) == {}


def test_labels_hold_no_control_characters(served: Server, full: Asked) -> None:
    assert visible(HOSTILE) != HOSTILE
    text = served.get("/metrics").text
    assert {character for character in text if character != "\n" and visible(character) != character} == set()


def test_queues_whose_labels_are_the_same_are_counted_together(serve: Callable[..., Server], empty_url: str) -> None:
    with closing(connect(empty_url)) as database:
        for queue in ("a\x1b", "a\\x1b"):
            Rows(database).job(queue=queue, status="Dead")
        Rows(database).job(queue="b", status="\x07 no status")
    jobs = values(samples(serve(empty_url)), "hammerwork_jobs")
    assert {labels: number for labels, number in jobs.items() if number} == {
        ("a\\x1b", "Dead"): 2,
        ("b", "unknown"): 1,
    }


@everywhere
def test_spawned_jobs_are_measured(served: Server) -> None:
    found, stats = samples(served), served.json("/api/spawn/stats", hours=1)
    assert values(found, "hammerwork_spawn_operations") == {(): stats["operations"]}
    assert values(found, "hammerwork_spawn_children") == {(): stats["children"]}
    assert values(found, "hammerwork_spawn_children_completed") == {(): stats["completed"]}
    assert values(found, "hammerwork_spawn_children_failed") == {(): stats["failed"]}
    assert values(found, "hammerwork_spawn_depth") == {(): stats["depth"]}
    durations = values(found, "hammerwork_spawn_child_seconds")
    assert durations == {("0.5",): stats["p50_seconds"], ("0.95",): stats["p95_seconds"]}
    assert stats["operations"] > 0


def test_requests_are_counted_by_path_and_not_by_id(serve: Callable[..., Server], empty_url: str) -> None:
    server = serve(empty_url)
    for _ in range(3):
        server.get("/api/queues")
    server.get("/api/jobs/ffffffff-0000")
    server.get("/api/jobs/eeeeeeee-0000")
    server.get("/api/jobs?limit=0")
    found = values(samples(server), "hammerwork_web_requests_total")
    assert found == {
        ("GET", "/api/queues", "200"): 3,
        ("GET", "/api/jobs/{id}", "404"): 2,
        ("GET", "/api/jobs", "400"): 1,
    }
    lengths = values(samples(server), "hammerwork_web_request_seconds_count")
    assert lengths == {("/api/queues",): 3, ("/api/jobs/{id}",): 2, ("/api/jobs",): 1}


def test_an_empty_database_is_measured_too(serve: Callable[..., Server], migrated_url: str) -> None:
    found = samples(serve(migrated_url))
    assert values(found, "hammerwork_jobs") == {}
    assert values(found, "hammerwork_spawn_operations") == {(): 0}
    assert values(found, "hammerwork_spawn_child_seconds") == {}
    assert list(values(found, "hammerwork_build_info").values()) == [1]


def test_many_who_measure_at_once_cost_no_more_than_one(served: Server) -> None:
    def statements() -> float:
        return values(samples(served), "hammerwork_web_statements_total")[()]

    answers: list[Any] = []
    before = statements()
    threads = [threading.Thread(target=lambda: answers.append(samples(served))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    # Figures are kept for five seconds, so they may have been read twice.
    assert statements() - before <= 20
