"""The examples, run by a worker on every database: by the commands that their first lines name, too."""

import inspect
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from examples import data_processor, workflow
from hammerwork_cli import Queue, Worker
from hammerwork_cli.core.values import id_list
from hammerwork_cli.database import connect
from hammerwork_cli.testing import Jobs
from tests.conftest import ROOT, eventually, on_servers, on_sqlite, one_case_on_servers

FINISHED: dict[str, dict[str, int]] = {
    "configuration": {"reports": 1, "render_page": 12},
    "data_processor": {"large_dataset": 1, "process_batch": 20},
    "safe_spawner": {"feeds": 1, "fetch_feed": 3},
    "workflow": {"workflow": 1, "extract": 1, "transform": 1, "load": 1},
}
PROGRAMS: dict[str, dict[str, int]] = {
    "crawler": {"crawl": 1, "page": 3, "report": 1},
    "etl": {"extract": 1, "transform": 2, "load": 1},
    "pipeline": {"film": 1, "frame": 8, "cut": 1},
    "service": {"report": 1, "forecast": 2, "summary": 1},
    "shop": {"charge": 3},
}
"""What the commands of a program complete; examples/tests has the tests of its author."""


def example(name: str) -> Any:
    return import_module(f"examples.{name}")


def jobs(url: str) -> list[tuple[Any, ...]]:
    """Id, queue, status, result and parents of every job."""
    with closing(connect(url)) as database:
        return database.query("SELECT id, queue_name, status, result_data, depends_on FROM hammerwork_jobs")


def queues_by_status(url: str) -> dict[str, Counter[str]]:
    counted: dict[str, Counter[str]] = {}
    for _, queue, status, _, _ in jobs(url):
        counted.setdefault(status, Counter())[queue] += 1
    return counted


SENDERS = {"to_nats", "to_redis"}
"""Programs of streams, which tests/runtime/delivery/streams has."""


def test_every_example_is_tested():
    files = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"__init__"}
    assert files == FINISHED.keys() | PROGRAMS.keys() | SENDERS
    assert {path.stem for path in (ROOT / "examples/tests").glob("test_*.py")} == {f"test_{name}" for name in PROGRAMS}


@one_case_on_servers
@pytest.mark.parametrize("name", FINISHED)
def test_an_example_does_all_of_its_jobs(name: str, migrated_url: str) -> None:
    module: ModuleType = example(name)
    with Queue(migrated_url) as queue:
        queue.enqueue(module.parent())
        report = Worker(queue, module.app, queues=list(FINISHED[name]), drain=True, poll_interval=0.05).run()
    assert queues_by_status(migrated_url) == {"Completed": Counter(FINISHED[name])}
    assert (report.completed, report.failed) == (sum(FINISHED[name].values()), 0)


def test_a_workflow_runs_its_steps_one_after_the_other(migrated_url: str) -> None:
    parent = workflow.parent()
    with Queue(migrated_url) as queue:
        queue.enqueue(parent)
        queues = ["load", "transform", "extract", "workflow"]
        Worker(queue, workflow.app, queues=queues, drain=True, poll_interval=0.05).run()
    by_queue = {queue: (str(job), id_list(parents)) for job, queue, _, _, parents in jobs(migrated_url)}
    assert by_queue["extract"][1] == (parent.id,)
    assert by_queue["transform"][1] == (by_queue["extract"][0],)
    assert by_queue["load"][1] == (by_queue["transform"][0],)
    with closing(connect(migrated_url)) as database:
        ended = database.query("SELECT queue_name FROM hammerwork_jobs ORDER BY completed_at")
    assert [queue for (queue,) in ended] == ["workflow", "extract", "transform", "load"]


@on_sqlite
def test_a_worker_put_together_by_hand_does_the_same(migrated_url: str) -> None:
    with Queue(migrated_url) as queue:
        queue.enqueue(data_processor.parent())
        data_processor.worker(queue).run()
    assert queues_by_status(migrated_url) == {"Completed": Counter(FINISHED["data_processor"])}
    results = [json.loads(result) for _, _, _, result, _ in jobs(migrated_url) if isinstance(result, str)]
    assert all(result == {"lines": 500} for result in results)


@on_sqlite
def test_an_unknown_workflow_fails_its_job_and_spawns_nothing(migrated_url: str) -> None:
    from hammerwork_cli import Job

    job = Job("workflow", {"workflow_type": "tea"}, max_attempts=1).with_spawn_handler("workflow")
    with Queue(migrated_url) as queue:
        queue.enqueue(job)
        Worker(queue, workflow.app, queues=["workflow"], drain=True, poll_interval=0.05).run()
    assert queues_by_status(migrated_url) == {"Dead": Counter(workflow=1)}
    with closing(connect(migrated_url)) as database:
        ((error,),) = database.query("SELECT error_message FROM hammerwork_jobs")
    assert "unknown workflow type: tea" in error
    assert "examples/workflow.py" in error


@on_servers
def test_programs_do_on_a_server_what_their_own_tests_expect(dialect: str, migrated_url: str) -> None:
    """Each on one: their workers send nothing that those of other tests do not send to both."""
    names = sorted(PROGRAMS)
    for name in names[::2] if dialect == "postgres" else names[1::2]:
        tests = inspect.getmembers(import_module(f"examples.tests.test_{name}"), inspect.isfunction)
        in_database = [
            test
            for word, test in tests
            if word.startswith("test_") and [*inspect.signature(test).parameters] == ["jobs"]
        ]
        assert in_database
        for test in in_database:
            with Jobs(migrated_url) as found:
                test(found)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A site with three pages that link to each other."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, link in (("index", "a"), ("a", "b"), ("b", "a")):
        (folder / f"{name}.html").write_text(f'<a href="{link}.html">', encoding="utf-8")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.mark.sqlite
@pytest.mark.parametrize("name", [*FINISHED, *PROGRAMS])
def test_the_commands_in_an_example_do_what_it_says(
    name: str, new_database: Callable[..., str], hammerwork: Callable[..., Any], tmp_path: Path, site: str
) -> None:
    url, port = new_database("sqlite", migrated=True), free_port()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "PATH": path, "HAMMERWORK_DATABASE_URL": url}}
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found
    script = (
        found[1]
        .replace("\\\n", " ")
        .replace("https://example.org/", site)
        .replace("8080", str(port))
        .replace("sqlite:///jobs.db", url)
    )
    with ExitStack() as closings:
        for line in script.strip().splitlines():
            if line.startswith("hammerwork "):
                done = hammerwork(*shlex.split(line)[1:], url=url)
                assert done.exit_code == 0, done.stderr
            elif line.endswith("&"):
                server = closings.enter_context(subprocess.Popen(shlex.split(line[:-1]), **shell))
                closings.callback(server.terminate)
                eventually(lambda: answers(port))
            else:
                subprocess.run(["bash", "-c", line], check=True, **shell)
    assert queues_by_status(url).pop("Completed") == Counter((FINISHED | PROGRAMS)[name])
    assert queues_by_status(url).keys() <= {"Completed", "Pending"}  # the shop's mails wait
