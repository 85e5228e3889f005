"""The API beside a worker that runs what it asks for."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.conftest import ROOT
from tests.web.api.servers import Server

APPLICATION = "examples.configuration:app"


@contextlib.contextmanager
def working(url: str, environment: dict[str, str]) -> Iterator[None]:
    """A worker runs what there is."""
    words = ("worker", "start", "--handlers", APPLICATION, "--queue", "reports", "--queue", "render_page")
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "hammerwork_cli", *words, "-u", url],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(120, worker.kill)
    killer.start()
    try:
        yield
    except BaseException as error:
        worker.terminate()
        error.add_note(f"The worker said: {worker.communicate()[1]}")
        raise
    finally:
        worker.terminate()
        worker.communicate()
        killer.cancel()


def test_a_job_that_was_posted_spawns_is_watched_and_spawns_again_when_asked(
    serve: Callable[..., Server], migrated_url: str, clean_environment: dict[str, str]
) -> None:
    server = serve(migrated_url)
    config = {"handler": "batch_processor", "max_spawn_count": 50, "operation_id": "custom-op-123"}
    root = server.post("/api/jobs", {"queue": "reports", "payload": {"pages": 3}, "spawn_config": config}).json()["id"]
    with server.events(root=root) as events:
        events.next("ready")
        with working(migrated_url, clean_environment):
            last: dict[str, Any] = {}
            while sum(status == "Completed" for status in last.values()) < 4:
                last.update({job["id"]: job["status"] for job in events.next("jobs")[1]["jobs"]})
            operation = server.json("/api/spawn/operations/custom-op-123")
            assert operation["children"] | {"total": 3, "completed": 3} == operation["children"]
            assert {job["id"] for job in operation["jobs"]} == last.keys() - {root}

            request = server.post(f"/api/jobs/{root}/spawn", {"config": {"operation_id": "second"}})
            assert request.status_code == 202
            while len(last) < 7:
                last.update({job["id"]: job["status"] for job in events.next("jobs")[1]["jobs"]})
            (told,) = server.json(f"/api/jobs/{root}")["spawn_requests"]
            assert (told["id"], told["state"], told["children"]) == (request.json()["id"], "done", 3)
            assert {job["id"] for job in server.json(f"/api/jobs/{root}/children")} == last.keys() - {root}
            assert [worker["state"] for worker in server.json("/api/workers")] == ["running"]
    assert [worker["state"] for worker in server.json("/api/workers", limit=7)] == ["stopped"]
