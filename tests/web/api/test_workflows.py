"""Workflows, batches and the archive through the REST API: read, cancelled, retried and restored."""

from collections.abc import Callable

from hammerwork_cli import Job, Queue, Workflow
from hammerwork_cli.core.values import JobStatus
from tests.conftest import Outcome
from tests.jobs import execute, identity, job, rows, write
from tests.web.api.servers import Server

SECRET = "classified"


def test_a_workflow_is_read_cancelled_and_retried(serve: Callable[..., Server], empty_url: str) -> None:
    made = Workflow(SECRET, failure_policy="manual").add("a", Job("mail")).add("b", Job("mail"), after="a")
    with Queue(empty_url) as queue:
        jobs = queue.enqueue_workflow(made)
    server = serve(empty_url)
    path = f"/api/workflows/{made.id}"
    assert [row["id"] for row in server.json("/api/workflows", status="RUNNING", name="class")] == [made.id]
    assert server.json("/api/workflows", status="failed") == []
    assert server.get("/api/workflows?status=odd").status_code == 400
    assert server.json(f"/api/workflows/{made.id[:8]}")["waiting"] == 1
    assert [edge["to"] for edge in server.json(f"{path}/graph")["edges"]] == [jobs["b"].id]

    assert server.post(f"{path}/cancel", {"dry_run": True}).json()["changed"] == 2
    assert server.json(path)["status"] == "running"
    assert server.post(f"{path}/cancel", {"reason": "wrong day"}).json()["changed"] >= 1
    assert (server.json(path)["status"], server.json(path)["failed"]) == ("cancelled", 2)
    assert server.post(f"{path}/cancel").json()["changed"] == 0, "a script may be run again"
    assert server.post(f"{path}/retry", {"cancelled": True}).json()["changed"] >= 1
    assert (server.json(path)["status"], server.json(path)["pending"]) == ("running", 2)
    assert server.post("/api/workflows/ffff/retry").status_code == 404

    hidden = serve(empty_url, "--redact")
    for answer in (hidden.get("/api/workflows"), hidden.get(path), hidden.get(f"{path}/graph")):
        assert answer.status_code == 200
        assert SECRET not in answer.text
        assert "manual" in answer.text or "graph" in str(answer.url)


def test_the_jobs_of_a_batch_are_cancelled_and_retried(serve: Callable[..., Server], empty_url: str) -> None:
    with Queue(empty_url) as queue:
        made = queue.enqueue_batch("letters", [Job("mail", number) for number in range(3)])
        queue.enqueue(Job("mail"))
    server = serve(empty_url)
    path = f"/api/batches/{made.id}"
    assert server.post(f"{path}/cancel", {"dry_run": True}).json()["changed"] == 3
    assert server.json(path)["pending"] == 3
    assert server.post(f"/api/batches/{made.id[:8]}/cancel", {"reason": "wrong file"}).json()["changed"] == 3
    assert server.json(path)["by_status"] == {"Cancelled": 3}
    assert server.post(f"{path}/retry").json()["changed"] == 0
    assert server.post(f"{path}/retry", {"cancelled": True}).json()["changed"] == 3
    assert server.json(path)["by_status"] == {"Pending": 3}
    execute(empty_url, "UPDATE hammerwork_jobs SET status = 'Running' WHERE batch_id IS NOT NULL")
    assert server.post(f"{path}/cancel").json()["left"] == {"Running": 3}
    assert server.post(f"{path}/cancel", {"force": True}).json()["changed"] == 3
    assert [status for _, status in rows(empty_url)].count("Pending") == 1
    for bad, code in ((("ffff", {}), 404), (("x", {}), 400), ((made.id, {"tree": True}), 400)):
        assert server.post(f"/api/batches/{bad[0]}/retry", bad[1]).status_code == code


def test_an_archived_job_is_restored(serve: Callable[..., Server], run: Callable[..., Outcome], empty_url: str) -> None:
    below = {"depends_on": (identity(30),), "dependency_status": "satisfied"}
    write(empty_url, job(30, JobStatus.COMPLETED), job(20, JobStatus.DEAD, **below))
    assert run("archive", "run", "--older-than", "1m", "--yes", url=empty_url).exit_code == 0
    assert rows(empty_url) == []
    server = serve(empty_url)
    top, failed = (f"/api/archive/{identity(number)}/restore" for number in (30, 20))
    for unsaid, message in (
        ((top, {}), "The job did not fail, so restoring it needs a choice: run it again, or keep its status."),
        ((failed, {"tree": True}), "Restoring a tree needs a choice: run its jobs again, or keep their status."),
    ):
        refused = server.post(*unsaid)
        assert (refused.status_code, refused.json()["detail"]) == (400, message)
    assert server.post(failed, {"as": "new"}).status_code == 400
    assert server.post(failed, {"dry_run": True}).json()["changed"] == 1
    assert server.post(failed).json()["changed"] == 1
    assert server.post(failed).status_code == 404
    assert server.post(top, {"tree": True, "as": "as_was"}).json()["changed"] == 1
    assert rows(empty_url) == [(identity(20), "Pending"), (identity(30), "Completed")]
    assert server.post("/api/archive/ffff/restore").status_code == 404
