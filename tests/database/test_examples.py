"""The examples, run by a worker on every database: by the commands that their first lines name, too."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from examples import data_processor, workflow
from hammerwork_cli import Queue, Worker
from hammerwork_cli.core.values import id_list
from hammerwork_cli.database import connect
from tests.conftest import ROOT, one_case_on_servers

FINISHED: dict[str, dict[str, int]] = {
    "configuration": {"reports": 1, "render_page": 12},
    "data_processor": {"large_dataset": 1, "process_batch": 20},
    "fan_out": {"dataset": 1, "process_chunk": 3},
    "image_pipeline": {"image_batch": 1, "resize_image": 6},
    "safe_spawner": {"feeds": 1, "fetch_feed": 3},
    "workflow": {"workflow": 1, "extract": 1, "transform": 1, "load": 1},
}


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


def test_every_example_is_tested():
    files = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"__init__"}
    assert files == FINISHED.keys()


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


def test_a_worker_put_together_by_hand_does_the_same(migrated_url: str) -> None:
    with Queue(migrated_url) as queue:
        queue.enqueue(data_processor.parent())
        data_processor.worker(queue).run()
    assert queues_by_status(migrated_url) == {"Completed": Counter(FINISHED["data_processor"])}
    results = [json.loads(result) for _, _, _, result, _ in jobs(migrated_url) if isinstance(result, str)]
    assert all(result == {"lines": 500} for result in results)


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


@pytest.mark.sqlite
@pytest.mark.parametrize("name", FINISHED)
def test_the_commands_in_an_example_do_what_it_says(
    name: str, new_database: Callable[..., str], hammerwork: Callable[..., Any]
) -> None:
    url = new_database("sqlite", migrated=True)
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found
    for line in found[1].replace("\\\n", " ").strip().splitlines():
        program, *words = shlex.split(line)
        assert program == "hammerwork"
        done = hammerwork(*words, url=url, env={"PYTHONPATH": str(ROOT)})
        assert done.exit_code == 0, done.stderr
    assert queues_by_status(url) == {"Completed": Counter(FINISHED[name])}
