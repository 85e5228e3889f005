"""``workflow list``, ``show`` and ``graph``: workflows that any program wrote, counted from their jobs."""

import contextlib
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.database import connect
from tests.conftest import Outcome, all_databases
from tests.jobs import execute
from tests.rows import START, Rows

Run = Callable[..., Outcome]
WORKFLOW = "00000000-0000-4000-8000-0000000000f{}"
CLOCK = {"HAMMERWORK_NOW": (START + timedelta(hours=1)).isoformat()}
KINDS = (
    # stored status, failure policy, statuses of its jobs
    ("running", "fail_fast", ("Completed", "Running", "Pending")),
    ("running", "fail_fast", ('"Completed"', "completed")),
    ("running", "continue_on_failure", ("Completed", "Dead", "TimedOut")),
    ("running", "manual", ("Dead", "Pending")),
    ("cancelled", "fail_fast", ("Failed", "Completed")),
    ("completed", "fail_fast", ("Completed", "Pending")),
    ("running", "fail_fast", ()),
    ("failed", "fail_fast", ()),
)
EXPECTED = (
    # status, needs a decision, completed, failed, running, pending, waiting
    ("running", False, 1, 0, 1, 1, 1),
    ("completed", False, 2, 0, 0, 0, 0),
    ("failed", False, 1, 2, 0, 0, 0),
    ("running", True, 0, 1, 0, 1, 1),
    ("cancelled", False, 1, 1, 0, 0, 0),
    ("running", False, 1, 0, 0, 1, 1),
    ("gone", False, 0, 0, 0, 0, 0),
    ("failed", False, 0, 0, 0, 0, 0),
)
SHOWN = ("status", "needs_decision", "completed", "failed", "running", "pending", "waiting")


def asked(run: Run, url: str, *words: str) -> Any:
    """What a verb says as JSON."""
    outcome = run("workflow", *words, "--format", "json", url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome
    return outcome.json


def fill(url: str) -> None:
    """Workflows as hammerwork (Rust) writes them: the counters of their rows never change."""
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        for number, (stored, policy, words) in enumerate(KINDS):
            of = {"id": WORKFLOW.format(number), "name": f"Nightly_{number}", "total_jobs": 3, "status": stored}
            created = START - timedelta(minutes=number)
            rows.insert("hammerwork_workflows", {**of, "failure_policy": policy, "created_at": created})
            above: list[str] = []
            for place, word in enumerate(words):
                facts: dict[str, Any] = {"workflow_id": WORKFLOW.format(number), "workflow_name": "Nightly"}
                if word == "Pending":
                    facts["dependency_status"] = "waiting"
                if word in {"Dead", "TimedOut"}:
                    facts |= {"error_message": f"no such tenant {place}", "failed_at": START}
                if "ompleted" in word:
                    facts["completed_at"] = START - timedelta(seconds=place)
                above = [rows.job(*above, queue=f"q{place}", status=word, **facts)]
        rows.job(*above, status="Dead", error_message="no such tenant 7")


def check(run: Run, url: str) -> None:
    listed = asked(run, url, "list")
    assert [row["id"] for row in listed] == [WORKFLOW.format(number) for number in range(len(KINDS))]
    assert tuple(tuple(row[key] for key in SHOWN) for row in listed) == EXPECTED
    assert [row["seconds"] for row in listed[:4]] == [None, 60.0, 120.0, None]
    first = asked(run, url, "list", "--limit", "4")
    assert first + asked(run, url, "list", "--cursor", first[-1]["id"]) == listed
    assert asked(run, url, "list", "--since", "3700s") == listed[:2]
    assert asked(run, url, "list", "--name", "nightly_3") == [listed[3]]
    assert asked(run, url, "list", "--name", "n*_") == listed
    assert asked(run, url, "list", "--name", "nightly%") == []
    assert asked(run, url, "list", "--running", "--limit", "2") == [listed[0], listed[3]]
    assert asked(run, url, "list", "--failed", "--cancelled") == [listed[2], listed[4], listed[7]]
    assert asked(run, url, "list", "--completed") == [listed[1]]

    shown = asked(run, url, "show", WORKFLOW.format(2))
    assert shown["by_status"] == {"Completed": 1, "Dead": 1, "TimedOut": 1}
    assert [(one["pattern"], one["jobs"]) for one in shown["errors"]] == [("no such tenant *", 2)]
    drawn = asked(run, url, "graph", WORKFLOW.format(0))
    assert [(node["queue"], node["depth"]) for node in drawn["nodes"]] == [("q0", 0), ("q1", 1), ("q2", 2)]
    ids = [node["id"] for node in drawn["nodes"]]
    assert [(edge["from"], edge["to"]) for edge in drawn["edges"]] == list(itertools.pairwise(ids))
    assert (drawn["roots"], drawn["truncated"]) == (ids[:1], False)
    assert {
        job["id"] for job in run("job", "list", "--workflow", WORKFLOW.format(0), "--format", "json", url=url).json
    } == {*ids}


@all_databases
def test_a_workflow_is_counted_from_its_jobs_whatever_its_own_columns_say(run: Run, migrated_url: str) -> None:
    fill(migrated_url)
    check(run, migrated_url)
    for word, code in (("0000", 6), ("ffff", 5), ("x", 2)):
        assert run("workflow", "show", word, url=migrated_url).exit_code == code
    # An archived job counts once, whether hammerwork (Rust) has left its row or not.
    move = "INSERT INTO hammerwork_jobs_archive (id, queue_name, payload, payload_compressed, status, priority,"
    move += " attempts, max_attempts, created_at, scheduled_at, archived_at, completed_at, failed_at, depends_on,"
    move += " workflow_id) SELECT id, queue_name, "
    move += r"'\x7b7d', FALSE" if migrated_url.startswith("postgresql") else "x'7b7d', 0"
    move += ", status, 'normal', 1, 3, created_at, created_at, created_at, completed_at, failed_at, depends_on,"
    execute(migrated_url, f"{move} workflow_id FROM hammerwork_jobs WHERE status = 'TimedOut' OR status = 'Dead'")
    check(run, migrated_url)
    execute(migrated_url, "DELETE FROM hammerwork_jobs WHERE status = 'Dead' AND workflow_id IS NOT NULL")
    listed = asked(run, migrated_url, "list")
    assert tuple(tuple(row[key] for key in SHOWN) for row in listed) == EXPECTED
    assert len(asked(run, migrated_url, "graph", WORKFLOW.format(2))["nodes"]) == 3


@pytest.mark.parametrize("name", ["media.postgresql", "media.mariadb"])
def test_workflows_of_hammerwork_rust_are_read_without_our_migrations(
    run: Run, restored: Callable[[str], str], name: str
) -> None:
    url = restored(name)
    jobs = [json.loads(line) for line in run("job", "export", "--format", "jsonl", url=url).stdout.splitlines()]
    for row in (rows := asked(run, url, "list")):
        mine = [job for job in jobs if job["workflow_id"] == row["id"]]
        assert row["jobs"] == len(mine) > 0
        assert row["completed"] == sum(job["status"] == "Completed" for job in mine)
        drawn = asked(run, url, "graph", row["id"])
        assert {node["id"] for node in drawn["nodes"]} == {job["id"] for job in mine}
    assert len(rows) == 2
    execute(url, "DELETE FROM hammerwork_workflows")
    fill(url)
    check(run, url)


def test_show_prints_the_failures_before_the_graph(run: Run, lite_url: str) -> None:
    assert run("workflow", "list", url=lite_url).stdout == ""
    fill(lite_url)
    said = run("workflow", "show", WORKFLOW.format(3), url=lite_url, env=CLOCK).stdout
    assert "running, needs a decision" in said
    assert "2, 1 waiting for others" in said
    assert said.index("1 dead: no such tenant 0") < said.index("Graph\nq0 ") < said.index("└── q1 ")
    diagram = run("workflow", "show", WORKFLOW.format(3), "--format", "mermaid", url=lite_url).stdout
    assert diagram.startswith("graph TD\n")
    assert "n1 -.-> n2" in diagram
    assert run("workflow", "graph", WORKFLOW.format(6), url=lite_url).stdout == ""
