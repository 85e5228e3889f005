"""What one key names in a run and over several, in threads and in processes."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job, SpawnConfig, Worker
from hammerwork_cli.core.ids import new_id
from tests.runtime.conftest import Stage

HANDLERS = """
from datetime import timedelta

from hammerwork_cli import ConflictError, Handlers, HammerworkError, Job, RetryStrategy

app = Handlers()
app.register_job("child", lambda job: None)
SOON = RetryStrategy.fixed(timedelta(milliseconds=1))


def tried(context, job, key="k"):
    try:
        child = context.spawn(job, key=key)
    except HammerworkError as error:
        return [type(error).__name__, error.message]
    return [child.id, child.queue, child.payload, child.status, child.created]


@app.job("twice")
def twice(job, context):
    return [
        tried(context, Job("child", {"a": [1], "b": 2})),
        tried(context, Job("child", {"b": 2, "a": [1]})),
        tried(context, Job("elsewhere", {"a": [1], "b": 2})),
        tried(context, Job("child", {"b": 3})),
        tried(context, Job("elsewhere", {"b": 3})),
        tried(context, Job("child", {"b": 3}), "another key"),
        tried(context, Job("child").depends_on(job.payload), "free"),
        tried(context, Job("elsewhere"), "free"),
    ]


@app.spawn("both")
def late(context):
    context.spawn(Job("elsewhere"), key="k")
    return []


@app.job("both")
def early(job, context):
    context.spawn(Job("child"), key="k")


@app.job("limited")
def limited(job, context):
    return [tried(context, Job("child"), key) for key in "abc"]


@app.job("no_jobs")
@app.job("raising")
def some(job, context):
    for key in range(job.payload["early"]):
        context.spawn(Job("child"), key=str(key))


@app.spawn("no_jobs")
def no_jobs(context):
    return ["text"]


@app.spawn("raising")
async def raising(context):
    yield Job("child")
    raise ValueError("half way.")


@app.job("again", retry=SOON)
def again(job, context):
    if job.attempts == 1:
        context.spawn(Job("moved", {"n": 1}), key="k")
        raise ValueError("once more")
    return [
        tried(context, Job("child", {"n": 2})),
        tried(context, Job("child", {"n": 2})),
        tried(context, Job("moved", {"n": 1})),
    ]
"""


@pytest.fixture(params=["thread", "process"])
def work(
    request: pytest.FixtureRequest,
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked_processes: None,
) -> Callable[..., Any]:
    """Runs jobs in threads or in processes until there is nothing more to do."""
    del forked_processes
    (tmp_path / "keyed_app.py").write_text(textwrap.dedent(HANDLERS))
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*queues: str, **options: Any) -> None:
        settings = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": request.param, **options}
        Worker(stage.queue, "keyed_app:app", queues=queues, **settings).run()

    return run


def told(stage: Stage, job: Job) -> Any:
    assert stage.one(job) == "Completed", stage.one(job, "error_message")
    return json.loads(stage.one(job, "result_data"))


def test_in_one_run_a_key_names_one_child(stage: Stage, work: Callable[..., None]) -> None:
    nowhere = new_id()
    (parent,) = stage.enqueue(Job("twice", nowhere))
    work("twice")
    first, same, *conflicts, another, missing, free = told(stage, parent)
    assert first[1:] == ["child", {"a": [1], "b": 2}, "Pending", True]
    assert same == [first[0], "child", {"a": [1], "b": 2}, "Pending", False]
    said = "The key 'k' names a child in the queue 'child' that this attempt has spawned; this one is for the queue"
    assert conflicts == [
        ["LastingConflictError", f"{said} 'elsewhere'."],
        ["LastingConflictError", f"{said} 'child' and has another payload."],
        ["LastingConflictError", f"{said} 'elsewhere' and has another payload."],
    ]
    assert another[1:] == ["child", {"b": 3}, "Pending", True]
    assert missing == ["JobNotFoundError", f"There is no job {nowhere} to depend on."]
    assert free[1:] == ["elsewhere", None, "Pending", True]
    children = {str(child) for (child,) in stage.children(parent)}
    assert children == {child[0] for child in (first, another, free)}


def test_a_job_and_its_spawn_handler_share_their_keys_and_the_conflict_is_final(
    stage: Stage, work: Callable[..., None]
) -> None:
    (parent,) = stage.enqueue(Job("both"))
    work("both")
    assert stage.one(parent, "status, attempts") == ("Dead", 1)
    assert "The key 'k' names a child in the queue 'child'" in stage.one(parent, "error_message")
    assert "this one is for the queue 'elsewhere'" in stage.one(parent, "error_message")


def test_an_error_of_spawning_says_what_was_spawned_before(stage: Stage, work: Callable[..., None], run: Any) -> None:
    (parent,) = stage.enqueue(Job("limited", {}).with_spawn_config(SpawnConfig(max_spawn_count=2)))
    kinds = {"no_jobs": "The spawn handler produced a value of type str as child 1, not a Job."}
    kinds["raising"] = "The spawn handler failed: ValueError: half way."
    jobs = {(kind, early): Job(kind, {"early": early}, max_attempts=1) for kind in kinds for early in (0, 1, 3)}
    lenient = Job("no_jobs", {"early": 2}).with_spawn_config(SpawnConfig(on_error="complete"))
    stage.enqueue(*jobs.values(), lenient)
    work("limited", *kinds)
    limit = f"max_spawn_count allows 2 children of one job, and this would be 3 (root {parent.id})."
    assert told(stage, parent)[2] == [
        "SpawnLimitError",
        f"{limit} This one was not spawned; the 2 that were spawned early stay.",
    ]
    ends = {
        0: "Nothing was spawned.",
        1: "Nothing else was spawned; the one that was spawned early stays.",
        3: "Nothing else was spawned; the 3 that were spawned early stay.",
    }
    for (kind, early), job in jobs.items():
        assert stage.one(job, "error_message").partition("\n")[0] == f"{kinds[kind]} {ends[early]}"
        assert len(stage.children(job)) == early
    assert stage.one(lenient) == "Completed"
    [(error,)] = stage.database.query(
        f"SELECT error_message FROM hammerwork_spawn_operations WHERE parent_id = '{lenient.id}'"
    )
    assert error == f"{kinds['no_jobs']} Nothing else was spawned; the 2 that were spawned early stay."
    why = run("spawn", "why", jobs["raising", 3].id, url=stage.url).stdout
    assert "Nothing was spawned" not in why
    assert ends[3] in " ".join(why.split())


def test_over_attempts_the_stored_child_stays_and_is_reported_as_it_is(stage: Stage, work: Callable[..., None]) -> None:
    (parent,) = stage.enqueue(Job("again"))
    work("again")
    found, same, other = told(stage, parent)
    (child,) = stage.children(parent)
    assert found == same == [str(child[0]), "moved", {"n": 1}, "Pending", False]
    assert other[0] == "LastingConflictError"
    assert "'child' that this attempt has spawned; this one is for the queue 'moved'" in other[1]


def test_a_child_that_somebody_deleted_is_not_written_again(stage: Stage, work: Callable[..., None]) -> None:
    (parent,) = stage.enqueue(Job("again"))
    work("again", max_jobs=1)
    ((child,),) = stage.children(parent)
    stage.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{child}'")
    work("again")
    assert told(stage, parent)[0] == [str(child), "child", {"n": 2}, "Deleted", False]
    assert stage.children(parent) == []
