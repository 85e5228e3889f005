"""Workflows through the REST API: read, drawn, cancelled and retried, and what --redact hides."""

from collections.abc import Callable

from hammerwork_cli import Job, Queue, Workflow
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
