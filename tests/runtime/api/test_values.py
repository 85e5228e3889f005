"""Jobs as values, and workers that run more than once or side by side."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, JobPriority, Worker
from hammerwork_cli.errors import UsageError
from tests.conftest import each_row
from tests.runtime.conftest import Stage, until

pytestmark = pytest.mark.sqlite


@each_row(
    ("name", "value"),
    [
        ("priority", "hig"),
        ("max_attempts", 0),
        ("timeout", 5),
        ("dependencies", ("nobody",)),
        ("trace_id", 3),
        ("queue", 5),
        ("id", "nobody"),
        ("id", b"nobody"),
        ("dependencies", None),
        ("callbacks", "mail"),
        ("callbacks", ("mail",)),
    ],
)
def test_a_field_that_was_assigned_is_checked_when_the_job_is_written(lite: Stage, name: str, value: object) -> None:
    job = Job("noop")
    setattr(job, name, value)
    with pytest.raises(UsageError, match=rf"{name} must be|is not (the name of a {name}|the id of a job|a priority)"):
        lite.queue.enqueue(job)
    assert lite.rows() == []


def test_a_warning_names_the_line_that_enqueues(lite: Stage) -> None:
    job = Job("noop").with_timeout(timedelta(milliseconds=500))
    with pytest.warns(UserWarning, match="stored in whole seconds") as found:
        lite.queue.enqueue_many([job])
    assert [one.filename for one in found] == [__file__]


def test_an_assigned_word_of_a_priority_is_stored_as_its_number(lite: Stage) -> None:
    job: Any = Job("noop")
    job.priority = "high"
    lite.queue.enqueue(job)
    found = lite.queue.get(job)
    assert found is not None
    assert found.priority is JobPriority.HIGH


def test_jobs_with_the_same_id_are_equal_whatever_else_they_know(lite: Stage) -> None:
    job = Job("noop", {"a": 1})
    written = lite.queue.enqueue(job)
    assert job == written == lite.queue.get(job) == job.with_priority("high")
    assert job != Job("noop", {"a": 1})
    assert job != job.id
    assert len({job, written}) == 1


@pytest.mark.parametrize("config", ["x", ["handler"], 1])
def test_a_spawn_configuration_that_is_no_object_is_refused_when_the_job_is_enqueued(
    lite: Stage, run: Any, config: object
) -> None:
    with pytest.raises(UsageError, match="spawn_config must be a SpawnConfig, not "):
        Job("noop", spawn_config=config)  # type: ignore[arg-type]
    payload = json.dumps({"_spawn_config": config})
    done = run("job", "enqueue", "--queue", "noop", "--payload", payload, url=lite.url)
    assert (done.exit_code, lite.rows()) == (2, [])
    assert "_spawn_config must be a JSON object" in done.stderr


def test_a_worker_runs_again_with_a_report_of_its_own(lite: Stage, app: Handlers) -> None:
    worker = Worker(lite.queue, app, drain=True, poll_interval=0.05)
    lite.enqueue(Job("noop"), Job("noop"))
    first = worker.run()
    ids = {worker.id}
    lite.enqueue(Job("noop"))
    second = worker.run()
    worker.stop()
    lite.enqueue(Job("noop"))
    third = worker.run()
    assert [report.completed for report in (first, second, third)] == [2, 1, 1]
    assert worker.id not in ids


def test_workers_of_one_process_have_names_of_their_own_and_one_worker_does_not_run_twice_at_once(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    workers = [Worker(lite.url, app, poll_interval=0.05) for _ in range(3)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    until(lambda: len(lite.database.query("SELECT id FROM hammerwork_workers")) == 3)
    with pytest.raises(UsageError, match="The worker runs already"):
        workers[0].run()
    names = {worker.name for worker in workers}
    for worker in workers:
        worker.stop()
    for thread in threads:
        thread.join(60)
    assert len(names) == 3
    assert "has the same name" not in caplog.text
    again = Worker(lite.url, app, drain=True, poll_interval=0.05)
    again.run()
    assert again.name == min(names, key=len)
