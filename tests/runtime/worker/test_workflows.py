"""Workflows that workers bring up to date: failure policies, ends, retries and cancels, whoever looks meanwhile."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Worker, Workflow
from hammerwork_cli.database import connect
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.callbacks.model import Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.queries import changes, enqueue, groups, selections, spawn_requests
from hammerwork_cli.features.workflow.queries import endings, listing
from tests.conftest import Outcome, all_databases, each_row
from tests.runtime.conftest import Stage, until

Run = Callable[..., Outcome]


def now() -> datetime:
    return datetime.now(UTC)


def end_workflows(stage: Stage) -> None:
    for _, done in endings.bring_up_to_date(stage.database, now):
        assert isinstance(done, str), done


def create(stage: Stage, policy: str = "fail_fast", *, more: int = 0) -> dict[str, Job]:
    """A job that will fail, one that waits for it, and others that do not."""
    workflow = Workflow(policy, failure_policy=policy).add("bad", Job("bad")).add("other", Job("other"))
    workflow.add("after", Job("after"), after=["bad"])
    for number in range(more):
        workflow.add(f"more {number}", Job("more"))
    return stage.queue.enqueue_workflow(workflow)


def change(stage: Stage, job: Job | str, **columns: Any) -> None:
    """Changes the row of a job as another program does, which knows nothing of workflows."""
    pairs = ", ".join(f"{column} = {stage.database.placeholder}" for column in columns)
    values = [stage.database._adapt(value) if isinstance(value, datetime) else value for value in columns.values()]
    wanted = job if isinstance(job, str) else job.id
    stage.database._execute(f"UPDATE hammerwork_jobs SET {pairs} WHERE id = '{wanted}'", values)


def end(stage: Stage, job: Job, status: str = "Completed") -> None:
    """Ends a job as a worker of hammerwork (Rust) does."""
    ended = now()
    column = "completed_at" if status == "Completed" else "failed_at"
    change(stage, job, status=status, attempts=3, started_at=ended, **{column: ended})


def row(stage: Stage, workflow: str) -> tuple[Any, ...]:
    columns = "status, total_jobs, completed_jobs, failed_jobs, completed_at, failed_at"
    return stage.database.query(f"SELECT {columns} FROM hammerwork_workflows WHERE id = '{workflow}'")[0]


def id_of(jobs: dict[str, Job], stage: Stage) -> str:
    return str(stage.one(jobs["bad"], "workflow_id"))


@all_databases
def test_a_failure_does_what_the_policy_says(stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "BATCH", 5)
    fast, on, ignoring, manual = (
        create(stage, policy, more=12 if policy == "fail_fast" else 0)
        for policy in ("fail_fast", "continue_on_failure", "ignore_failures", "manual")
    )
    sizes: list[int] = []
    fail = groups.fail
    monkeypatch.setattr(
        groups, "fail", lambda database, ids, *rest: (sizes.append(len(ids)), fail(database, ids, *rest))
    )
    outside = Job("bad")
    waiting = Job("after").depends_on(outside)
    stage.enqueue(outside, waiting)
    for job in (*(jobs["bad"] for jobs in (fast, on, ignoring, manual)), outside):
        end(stage, job, "Dead")
    end_workflows(stage)
    end_workflows(stage)
    assert stage.one(waiting) == "Pending", "it is in no workflow"
    # What has not started fails, in short transactions.
    assert {stage.one(job) for key, job in fast.items() if key != "bad"} == {"Failed"}
    assert "fail_fast" in stage.one(fast["other"], "error_message")
    assert max(sizes) <= 5
    assert row(stage, id_of(fast, stage))[:4] == ("failed", 15, 0, 15)
    # What waits for it fails, as in hammerwork (Rust), whose workers leave it waiting. The rest goes on.
    assert stage.status(on["other"], on["after"]) == ["Pending", "Failed"]
    assert stage.one(on["after"], "error_message") == "a job that it depends on failed"
    assert row(stage, id_of(on, stage))[0] == "running"
    end(stage, on["other"])
    end_workflows(stage)
    assert row(stage, id_of(on, stage))[:4] == ("failed", 3, 1, 2)
    # Everything goes on, and the end comes with the last job.
    assert stage.status(ignoring["other"], ignoring["after"]) == ["Pending", "Pending"]
    assert row(stage, id_of(ignoring, stage))[0] == "running"
    end(stage, ignoring["other"])
    end(stage, ignoring["after"])
    end_workflows(stage)
    status, *counts, completed_at, failed_at = row(stage, id_of(ignoring, stage))
    assert (status, counts, completed_at) == ("failed", [3, 2, 1], None)
    assert failed_at is not None
    # People decide.
    end(stage, manual["other"])
    end_workflows(stage)
    assert row(stage, id_of(manual, stage))[0] == "running"
    waited = run("workflow", "wait", id_of(manual, stage), "--timeout", "60", url=stage.url)
    assert (waited.exit_code, "needs a decision" in waited.stdout) == (1, True)


@all_databases
def test_a_policy_of_our_own_is_stored_so_that_hammerwork_rust_leaves_dependents_alone(stage: Stage, run: Run) -> None:
    """Its constraint knows three words, and of these only manual leaves them alone."""
    jobs = stage.queue.enqueue_workflow(
        Workflow("w", failure_policy="ignore_failures", metadata={"team": "sales"}).add("one", Job("one"))
    )
    workflow = str(stage.one(jobs["one"], "workflow_id"))
    assert stage.database.query("SELECT failure_policy FROM hammerwork_workflows") == [("manual",)]
    shown = run("workflow", "show", workflow, "--format", "json", url=stage.url).json
    assert (shown["failure_policy"], shown["metadata"]) == ("ignore_failures", {"team": "sales"})
    (listed,) = run("workflow", "list", "--format", "json", url=stage.url).json
    assert listed["failure_policy"] == "ignore_failures"
    with pytest.raises(UsageError, match="_failure_policy"):
        Workflow("w", metadata={"_failure_policy": "manual"})
    again = Workflow("w", failure_policy="ignore_failures", id=workflow, metadata={"team": "sales"})
    assert stage.queue.enqueue_workflow(again.add("one", Job("one"))) == {}
    with pytest.raises(HammerworkError, match="failure policy"):
        stage.queue.enqueue_workflow(Workflow("w", failure_policy="manual", id=workflow).add("one", Job("one")))


def test_a_retry_opens_it_again_and_is_not_failed_by_earlier_failures(stage: Stage, run: Run) -> None:
    jobs = create(stage, more=2)
    workflow = id_of(jobs, stage)
    other = run("workflow", "create", "--name", "other", url=stage.url).stdout.strip()
    stage.execute(f"UPDATE hammerwork_workflows SET status = 'failed' WHERE id = '{other}'")
    assert run("workflow", "wait", workflow, "--timeout", "0", url=stage.url).exit_code == 124
    end(stage, jobs["bad"], "Dead")
    end_workflows(stage)
    end_workflows(stage)
    assert row(stage, workflow)[0] == "failed"
    assert run("workflow", "wait", workflow, url=stage.url).exit_code == 1
    assert run("job", "retry", jobs["other"].id, url=stage.url).exit_code == 0
    assert (row(stage, workflow)[0], row(stage, other)[0]) == ("running", "failed")
    assert row(stage, workflow)[4:] == (None, None)
    end_workflows(stage)
    assert stage.status(jobs["other"], jobs["more 0"]) == ["Pending", "Failed"]
    joined = run("job", "enqueue", "-q", "joined", "--payload", "{}", "--workflow", workflow, url=stage.url)
    end_workflows(stage)
    assert stage.one(joined.stdout.strip()) == "Pending"
    # A later failure fails them.
    end(stage, jobs["other"], "Dead")
    end_workflows(stage)
    assert stage.one(joined.stdout.strip()) == "Failed"
    assert run("workflow", "retry", workflow, "--yes", url=stage.url).exit_code == 0
    assert {status for _, status in stage.rows()} == {"Pending"}
    app = Handlers()
    for queue in ("bad", "other", "after", "more", "joined"):
        app.register_job(queue, lambda _: None)
    stage.work(app)
    end_workflows(stage)
    assert row(stage, workflow)[0] == "completed"
    assert run("workflow", "wait", workflow, url=stage.url).exit_code == 0


def test_a_retry_takes_the_failures_in_the_archive_for_dealt_with_and_no_other_job_there(lite: Stage, run: Run) -> None:
    jobs, of_another = create(lite, more=2), create(lite)
    retried, waiting = jobs["more 0"], jobs["more 1"]
    end(lite, of_another["bad"], "Dead")
    end(lite, jobs["other"])
    end(lite, jobs["bad"], "Dead")
    end_workflows(lite)
    assert lite.status(retried, waiting) == ["Failed"] * 2
    archived = ("archive", "run", "--queue", "bad,other", "--older-than", "0s", "--no-tree", "--yes")
    assert run(*archived, url=lite.url).exit_code == 0
    assert run("job", "retry", retried.id, waiting.id, "--yes", url=lite.url).exit_code == 0
    assert row(lite, str(lite.one(waiting, "workflow_id")))[3] == 2  # that one, and the one that depends on it
    end_workflows(lite)
    assert lite.status(retried, waiting) == ["Pending"] * 2
    end(lite, retried, "Dead")
    end_workflows(lite)
    assert lite.one(waiting) == "Failed"
    columns = "id, queue_name, payload, status, created_at, scheduled_at, workflow_id"
    lite.execute(
        f"INSERT INTO hammerwork_jobs ({columns}) SELECT {columns.replace('payload', repr('{}'))}"
        f" FROM hammerwork_jobs_archive WHERE id = '{jobs['bad'].id}'"
    )
    lite.queue.retry(retried.id)
    assert row(lite, id_of(jobs, lite))[3] == 3, "the copy in the archive is the same job"


@all_databases
def test_a_failure_fails_once_all_that_waited_then_and_nothing_that_was_opened_since(stage: Stage, run: Run) -> None:
    jobs = create(stage, more=2)
    minutes = [now() - timedelta(minutes=ago) for ago in range(4)]
    for job in jobs.values():
        change(stage, job, created_at=minutes[3], scheduled_at=minutes[3])
    change(stage, jobs["bad"], status="Dead", failed_at=minutes[2])
    change(stage, jobs["more 0"], scheduled_at=minutes[1])  # merely delayed
    change(stage, jobs["more 1"], status="Running")
    joined = run(
        "job", "enqueue", "-q", "joined", "--payload", "{}", "--workflow", id_of(jobs, stage), url=stage.url
    ).stdout.strip()
    end_workflows(stage)
    assert stage.status(*jobs.values()) == ["Dead", "Failed", "Failed", "Failed", "Running"]
    assert stage.one(joined) == "Pending"
    # Whoever retries or runs others now is not disturbed by that failure.
    change(stage, jobs["other"], status="Pending", attempts=0, scheduled_at=now(), failed_at=None)
    change(stage, joined, attempts=1)
    end_workflows(stage)
    end_workflows(stage)
    assert stage.status(jobs["other"], jobs["more 1"]) == ["Pending", "Running"]
    assert stage.one(joined) == "Pending"
    # The next failure fails them.
    end(stage, jobs["more 1"], "Dead")
    end_workflows(stage)
    assert stage.one(jobs["other"]) == stage.one(joined) == "Failed"


@all_databases
def test_a_retry_before_a_failure_had_its_effect_lets_the_rest_go_on(
    stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = create(stage, more=2)
    rest = [jobs["other"], jobs["more 1"]]
    retried = jobs["more 0"]
    for job in (jobs["bad"], retried):
        end(stage, job, "Dead")
    assert run("job", "retry", retried.id, url=stage.url).exit_code == 0
    end_workflows(stage)
    change(stage, retried, attempts=1, scheduled_at=now())
    end_workflows(stage)
    assert stage.status(*rest, retried) == ["Pending"] * 3
    # Somebody retries between the look of a worker and what it does.
    end(stage, retried, "Dead")
    with monkeypatch.context() as patch:
        go_on = changes.run

        def overtaken(*given: Any) -> Any:
            patch.undo()
            assert run("job", "retry", retried.id, url=stage.url).exit_code == 0
            return go_on(*given)

        patch.setattr(changes, "run", overtaken)
        end_workflows(stage)
        assert changes.run is go_on
    assert stage.status(*rest, retried) == ["Pending"] * 3
    end(stage, retried, "Dead")
    end_workflows(stage)
    assert stage.status(*rest, retried) == ["Failed", "Failed", "Dead"]


def test_jobs_that_a_cancelled_workflow_still_spawns_are_cancelled_too(stage: Stage, run: Run) -> None:
    jobs = create(stage)
    workflow = id_of(jobs, stage)
    stage.database._execute(f"UPDATE hammerwork_jobs SET status = 'Running' WHERE id = '{jobs['other'].id}'", [])
    assert run("workflow", "cancel", workflow, url=stage.url).exit_code == 2
    assert row(stage, workflow)[0] == "running"
    done = run("workflow", "cancel", workflow, "--reason", "wrong day", "--yes", url=stage.url)
    assert done.exit_code == 1  # one runs
    assert row(stage, workflow)[0] == "cancelled"
    assert "wrong day" in stage.one(jobs["bad"], "error_message")
    child = Job("child", workflow_id=workflow).depends_on(jobs["other"])
    stage.database.transaction(lambda: enqueue.insert(stage.database, [child._new_job(now())]))
    end_workflows(stage)
    assert stage.one(child) == "Failed"
    assert row(stage, workflow)[5] is None
    end(stage, jobs["other"])
    end_workflows(stage)
    assert row(stage, workflow)[0] == "cancelled"
    assert row(stage, workflow)[5] is not None
    assert run("workflow", "cancel", workflow, "--yes", url=stage.url).exit_code == 0, "it is cancelled already"
    assert run("workflow", "wait", workflow, url=stage.url).exit_code == 1
    assert run("workflow", "retry", workflow, "--cancelled", "--yes", url=stage.url).exit_code == 0
    assert row(stage, workflow)[0] == "running"


@all_databases
def test_a_job_that_joins_while_the_end_is_written_keeps_the_workflow_running(stage: Stage) -> None:
    jobs = create(stage)
    workflow = id_of(jobs, stage)
    for job in jobs.values():
        end(stage, job)
    late = Job("late", workflow_id=workflow)._new_job(now())
    written, goes_on = threading.Event(), threading.Event()

    def join() -> None:
        database = connect(stage.url)

        def work() -> None:
            enqueue.once(database, late)
            written.set()
            goes_on.wait(30)

        database.transaction(work)
        database.close()

    thread = threading.Thread(target=join)
    thread.start()
    assert written.wait(30)
    timer = threading.Timer(0.5, goes_on.set)
    timer.start()
    end_workflows(stage)
    thread.join()
    assert row(stage, workflow)[0] == "running"
    end(stage, stage.queue.get(late.id))  # type: ignore[arg-type]
    end_workflows(stage)
    assert row(stage, workflow)[:3] == ("completed", 4, 4)


@each_row("status", ["completed", "failed"])
def test_a_job_that_joins_an_ended_workflow_or_runs_again_lets_it_alone_run_again(
    new_database: Callable[..., str], status: str
) -> None:
    stage = Stage(new_database("sqlite", migrated=True))
    jobs, others = create(stage), create(stage)
    workflow, other = id_of(jobs, stage), id_of(others, stage)
    for again in (
        lambda: stage.queue.enqueue(Job("joined").with_workflow(workflow)),
        lambda: stage.queue.enqueue_many([Job("joined").with_workflow(workflow)]),
        lambda: stage.queue.retry(jobs["bad"].id),
    ):
        end(stage, jobs["bad"], "Dead")
        stage.execute(
            f"UPDATE hammerwork_workflows SET status = '{status}', completed_at = created_at, failed_at = created_at"
        )
        again()
        assert (row(stage, workflow)[0], row(stage, workflow)[4:]) == ("running", (None, None))
        assert (row(stage, other)[0], None in row(stage, other)[4:]) == (status, False)
    stage.close()


def test_a_job_names_the_others_of_its_workflow_by_their_keys(lite: Stage) -> None:
    load = Job("load")
    with pytest.raises(UsageError, match="'report' depends on 'load' by an id that it does not have") as caught:
        lite.queue.enqueue_workflow(Workflow("w").add("report", Job("report").depends_on(load)).add("load", load))
    assert caught.value.hint == "Write add('report', ..., after='load')."
    assert lite.rows() == []


@all_databases
def test_two_workers_may_end_workflows_at_once(stage: Stage) -> None:
    every = [create(stage, more=10) for _ in range(4)]
    for jobs in every:
        end(stage, jobs["bad"], "Dead")
    problems: list[object] = []

    def keep() -> None:
        database = connect(stage.url)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(
            w.stored_status == "running" for w in listing.find(database, limit=9)
        ):
            problems.extend(done for _, done in endings.bring_up_to_date(database, now) if isinstance(done, TypeError))
        database.close()

    threads = [threading.Thread(target=keep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {row(stage, id_of(jobs, stage))[:4] for jobs in every} == {("failed", 13, 0, 13)}


def test_a_worker_ends_workflows_and_children_belong_to_them(stage: Stage, run: Run) -> None:
    app = Handlers()
    app.register_job("top", lambda _: None)

    @app.spawn("top")
    def children(_: Any) -> list[Job]:
        return [Job("child"), Job("child")]

    app.register_job("child", lambda _: None)
    on = {f"on_{event}": Job(event, {"a": 1}) for event in ("complete", "success", "failure")}
    workflow = Workflow("spawning", **on).add("top", Job("top"))  # type: ignore[arg-type]
    stage.queue.enqueue_workflow(workflow)
    assert stage.queue.enqueue_workflow(workflow) == {}
    worker = Worker(stage.queue, app, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: row(stage, workflow.id)[0] == "completed")
    until(lambda: stage.rows(where="queue_name = 'success'"))
    worker.stop()
    thread.join()
    found = stage.rows("queue_name, payload", "workflow_id IS NULL")
    payloads = {queue: payload if isinstance(payload, dict) else json.loads(payload) for queue, payload in found}
    assert payloads.keys() == {"complete", "success"}
    ended = {"subject": "workflow", "id": workflow.id, "event": "success", "jobs": 3, "completed": 3, "failed": 0}
    assert payloads["success"] == {"a": 1, "_ended": ended}
    states = {one.event: one.state for one in listing.details(stage.database, workflow.id, limit=1).callbacks}
    assert states == {"complete": "fired", "success": "fired", "failure": "over"}
    assert row(stage, workflow.id)[:4] == ("completed", 3, 3, 0)
    assert run("workflow", "cancel", workflow.id, "--yes", url=stage.url).exit_code == 6


def test_a_workflow_waits_for_children_that_a_rust_worker_inserts_after_the_end_of_their_parent(
    lite: Stage,
) -> None:
    workflow = Workflow("w").add("top", Job("top").with_spawn_handler("child"))
    (top,) = lite.queue.enqueue_workflow(workflow).values()
    end(lite, top)
    end_workflows(lite)
    assert row(lite, workflow.id)[0] == "running"
    change(lite, top, completed_at=now() - timedelta(seconds=30))
    end_workflows(lite)
    assert row(lite, workflow.id)[0] == "completed"


@all_databases
def test_a_workflow_with_an_open_spawn_request_has_not_ended(stage: Stage) -> None:
    on = {"on_complete": Job("callback")}
    workflow = Workflow("again", **on).add("top", Job("top").with_callbacks(**on))
    parent = stage.queue.enqueue_workflow(workflow)["top"]
    end(stage, parent)
    request = spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="operator", now=now())

    def look() -> int:
        end_workflows(stage)
        for subject, of in ((Subject.TREE, parent.id), (Subject.WORKFLOW, workflow.id)):
            list(callbacks.look(stage.database, callbacks_of(stage.database, subject, of), now))
        return len(stage.rows(where="queue_name = 'callback'"))

    assert (look(), row(stage, workflow.id)[0]) == (0, "running")
    stage.execute(f"UPDATE hammerwork_spawn_requests SET state = 'completed' WHERE id = '{request.id}'")
    assert (look() or look(), row(stage, workflow.id)[0]) == (2, "completed")
