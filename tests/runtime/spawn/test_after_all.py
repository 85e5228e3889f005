"""``context.after_all``: one job that runs once when the others have ended, released by whoever ends the last one."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Cancel, Handlers, Job, SpawnConfig, SpawnContext, UsageError, Worker
from hammerwork_cli.core.values import UNSUCCESSFUL
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.job.queries import changes, notifications
from hammerwork_cli.features.job.queries.changes import CancelJobs, Delete, RetryJobs
from hammerwork_cli.features.job.queries.recounts import Recounts
from hammerwork_cli.features.job.queries.selections import ByIds, Subtrees
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.testing import run as rehearse
from tests.conftest import Outcome, all_databases, each_row
from tests.runtime.conftest import Stage, mariadb_too


class Reports:
    """A parent whose children are reported on, and what the reports saw."""

    def __init__(self, app: Handlers, children: int, **options: Any) -> None:
        self.children, self.options = children, options
        self.seen: list[list[Any]] = []
        app.register_handler("parent", self.spawn)
        app.register_job("child", self.child)
        app.register_job("report", self.report)

    def spawn(self, context: SpawnContext) -> Iterator[Job]:
        context.after_all(Job("report"), **self.options)
        for number in range(self.children):
            yield Job("child", {"number": number}, max_attempts=1)

    def child(self, job: Job) -> Any:
        if job.payload.get("fails"):
            raise ValueError("It fails.")
        return job.payload["number"]

    def report(self, job: Job, context: SpawnContext) -> int:
        assert job.queue == "report"
        self.seen.append(sorted(context.results().values(), key=str))
        return len(context.results())


def parent(**config: Any) -> Job:
    return Job("parent", {}).with_spawn_config(SpawnConfig(max_spawn_count=None, **config))


def statuses(stage: Stage) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for queue, status in stage.rows("queue_name, status"):
        found.setdefault(queue, []).append(status)
    return {queue: sorted(words) for queue, words in found.items()}


def state(stage: Stage) -> tuple[str, str]:
    return stage.rows("status, dependency_status", "queue_name = 'report'")[0]  # type: ignore[return-value]


def ids(stage: Stage, queue: str, status: str = "Pending") -> list[str]:
    return [str(job) for (job,) in stage.rows("id", f"queue_name = '{queue}' AND status = '{status}'")]


def change(stage: Stage, jobs: list[str], made: changes.Change) -> None:
    changes.run(stage.database, ByIds(jobs), made)


def compared(stage: Stage, recounts: Recounts | None = None) -> list[tuple[str, bool, str]]:
    """What a worker compares that has just started: join, whether its row was wrong, and its state then."""
    stage.execute("UPDATE hammerwork_joins SET checked_at = '2026-01-01 00:00:00' WHERE checked_at > '2000-01-01'")
    look = (recounts or Recounts()).look(stage.database, stage.database.now, 60)
    return [(one.found.counted.join, one.found.differs, one.state) for one in look]


# When it runs.


@pytest.mark.parametrize("children", [0, 1, 120])
def test_it_runs_once_when_all_children_have_ended_under_a_worker_that_drains(
    stage: Stage, app: Handlers, children: int
) -> None:
    reports = Reports(app, children)
    stage.enqueue(parent())
    report = stage.work(app)
    assert reports.seen == [sorted(range(children), key=str)]
    assert (report.completed, report.failed) == (children + 2, 0)


@all_databases
def test_each_of_several_workers_may_end_the_last_child(stage: Stage, app: Handlers) -> None:
    reports = Reports(app, 6)
    stage.enqueue(*(parent() for _ in range(5)))
    workers = [Worker(stage.queue, app, drain=True, poll_interval=0.05, concurrency=2) for _ in range(2)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports.seen == [[*range(6)]] * 5
    assert statuses(stage) == {
        "parent": ["Completed"] * 5,
        "child": ["Completed"] * 30,
        "report": ["Completed"] * 5,
    }


def test_it_waits_for_early_children_and_for_those_that_spawn(stage: Stage, app: Handlers) -> None:
    seen = []

    @app.job("parent")
    def work(job: Job, context: SpawnContext) -> None:
        assert job.attempts == 1
        context.after_all(Job("report"), scope="tree")
        context.spawn(Job("child", {"deep": 2}), key="early")

    @app.spawn("parent")
    def late(context: SpawnContext) -> Iterator[Job]:
        del context
        yield Job("child", {"deep": 3})

    @app.spawn("child")
    def below(context: SpawnContext) -> Iterator[Job]:
        if context.parent_job.payload["deep"]:
            yield Job("child", {"deep": context.parent_job.payload["deep"] - 1})

    @app.job("child")
    def child(job: Job) -> int:
        return int(job.payload["deep"])

    @app.job("report")
    def report(job: Job, context: SpawnContext) -> None:
        seen.append((job.attempts, sorted(one.result for one in context.results().ended(at_once=2))))

    stage.enqueue(Job("parent"))
    stage.work(app)
    assert seen == [(1, [0, 0, 1, 1, 2, 2, 3])]


def test_of_children_alone_it_does_not_wait_for_their_children(stage: Stage, app: Handlers) -> None:
    reports = Reports(app, 2)
    app.register_handler("child", lambda context: [Job("slow", {"of": context.parent_job.id})])
    app.register_job("slow", lambda _: None)
    stage.enqueue(parent())
    stage.work(app, queues=["parent", "child", "report"])
    assert reports.seen == [[0, 1]]
    assert statuses(stage)["slow"] == ["Pending"] * 2


def test_a_job_after_the_whole_tree_waits_for_those_after_a_join_below(stage: Stage, app: Handlers) -> None:
    order: list[str] = []
    for queue in ("inner", "after", "outer"):
        app.register_job(queue, lambda job: order.append(job.queue))

    @app.spawn("top")
    def top(context: SpawnContext) -> list[Job]:
        context.after_all(Job("outer"), scope="tree")
        return [Job("middle", {}), Job("noop")]

    @app.spawn("middle")
    def middle(context: SpawnContext) -> Iterator[Job]:
        inner = context.after_all(Job("inner"))
        yield Job("noop")
        for _ in range(3):
            yield Job("after").depends_on(inner)

    stage.enqueue(Job("top", {}))
    stage.work(app, concurrency=1)
    assert order == ["inner", "after", "after", "after", "outer"]


def test_jobs_that_depend_on_it_and_another_join_are_not_waited_for(stage: Stage, app: Handlers) -> None:
    order: list[str] = []

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> Iterator[Job]:
        first = context.after_all(Job("first"), scope="tree", key="first")
        second = context.after_all(Job("second"), key="second")
        then = Job("then").depends_on(first.id)
        yield Job("last").depends_on(then.id, second.id)
        yield then
        yield Job("child")

    for queue in ("child", "first", "second", "then", "last"):
        app.register_job(queue, lambda job: order.append(str(job.queue)))
    stage.enqueue(parent())
    stage.work(app, concurrency=1)
    assert order[0] == "child"
    assert sorted(order[1:]) == ["first", "last", "second", "then"]
    assert order.index("first") < order.index("then") < order.index("last")


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_retried_parent_finds_it(stage: Stage, isolation: str) -> None:
    settings: Any = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": isolation}
    worker = Worker(stage.queue, "tests.runtime.spawn.after_all_app:app", **settings)
    stage.enqueue(parent())
    worker.run()
    assert statuses(stage) == {"parent": ["Completed"], "child": ["Completed"] * 4, "report": ["Completed"]}
    assert stage.rows("attempts", "queue_name = 'parent'") == [(3,)]


def test_a_run_of_a_schedule_and_each_occurrence_of_a_recurring_job_has_its_own(lite: Stage, app: Handlers) -> None:
    reports = Reports(app, 2)
    lite.enqueue(Job("parent", {}).with_cron("* * * * * *"))
    Worker(lite.queue, app, max_jobs=8, poll_interval=0.05).run()
    assert len(reports.seen) >= 1
    assert all(seen == [0, 1] for seen in reports.seen)
    assert len(statuses(lite)["report"]) >= 2


# Failures.


@pytest.mark.parametrize(("on_failure", "after"), [("fail", "Failed"), ("run", "Completed")])
def test_a_failed_child_decides_what_becomes_of_it(stage: Stage, app: Handlers, on_failure: str, after: str) -> None:
    Reports(app, 3, on_failure=on_failure)

    @app.spawn("child")
    def ends(context: SpawnContext) -> None:
        if context.parent_job.payload["number"] == 1:
            raise Cancel("not this one")

    stage.enqueue(parent())
    stage.work(app)
    assert statuses(stage) == {
        "parent": ["Completed"],
        "child": ["Completed", "Completed", "Failed"],
        "report": [after],
    }


def test_a_child_that_fails_with_a_job_outside_of_the_tree_has_failed(stage: Stage, app: Handlers) -> None:
    outside = Job("outside", max_attempts=1)

    @app.job("outside")
    def fail(_: Job) -> None:
        raise ValueError("It fails.")

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> Job:
        context.after_all(Job("noop"))
        return Job("child").depends_on(outside)

    stage.enqueue(outside, parent(), Job("another").depends_on(outside))
    stage.work(app, queues=["parent"])
    assert statuses(stage)["noop"] == ["Pending"]
    stage.work(app)
    assert statuses(stage) == {
        "parent": ["Completed"],
        "outside": ["Dead"],
        "another": ["Failed"],
        "child": ["Failed"],
        "noop": ["Failed"],
    }


def test_it_waits_until_all_have_ended_although_one_has_failed(stage: Stage, app: Handlers) -> None:
    reports = Reports(app, 3)
    app.register_handler("report", lambda _: [Job("never")])
    stage.enqueue(parent())
    stage.work(app, queues=["parent"])
    first, *others = ids(stage, "child")
    stage.execute(f"UPDATE hammerwork_jobs SET payload = '{{\"fails\": true}}' WHERE id = '{first}'")
    follower = stage.queue.enqueue(Job("follower").depends_on(ids(stage, "report")[0]))
    stage.work(app, queues=["child"], max_jobs=1, drain=False)
    assert state(stage) == ("Pending", "waiting")
    stage.work(app, queues=["child", "report"])
    assert (state(stage), stage.status(follower)) == (("Failed", "failed"), ["Failed"])
    stage.execute(f"UPDATE hammerwork_jobs SET payload = '{{\"number\": 9}}' WHERE id = '{first}'")
    change(stage, [first], RetryJobs(stage.database.now()))
    assert (state(stage), stage.status(follower)) == (("Pending", "waiting"), ["Pending"])
    stage.work(app, queues=["child", "report"])
    assert len(reports.seen) == 1
    assert len(others) == 2


def test_it_fails_with_a_parent_that_fails_and_waits_again_with_its_retry(stage: Stage, app: Handlers) -> None:
    fails = [True]

    @app.job("parent")
    def work(job: Job, context: SpawnContext) -> None:
        context.after_all(Job("report"))
        if fails[0]:
            raise ValueError(job.id)

    app.register_job("report", lambda _: None)
    (job,) = stage.enqueue(Job("parent", max_attempts=1))
    stage.work(app)
    assert (stage.status(job), state(stage)) == (["Dead"], ("Failed", "failed"))
    change(stage, ids(stage, "report", "Failed"), RetryJobs(stage.database.now()))
    assert state(stage) == ("Failed", "failed"), "its parent has not run again"
    fails[0] = False
    change(stage, [job.id], RetryJobs(stage.database.now()))
    stage.work(app)
    assert (stage.status(job), state(stage)) == (["Completed"], ("Completed", "satisfied"))


# Other ends of the jobs that it waits for.


def waiting_report(stage: Stage, app: Handlers, **options: Any) -> list[str]:
    Reports(app, 3, **options)
    stage.enqueue(parent())
    stage.work(app, queues=["parent"])
    assert state(stage) == ("Pending", "waiting")
    return ids(stage, "child")


@all_databases
def test_an_operator_who_cancels_the_last_children_lets_it_fail_or_run(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[set[str]] = []
    monkeypatch.setattr(notifications, "notify", lambda _, queues: woken.append({*queues}))
    children = waiting_report(stage, app)
    report = ids(stage, "report")
    follower = stage.queue.enqueue(Job("follower").depends_on(*report))
    change(stage, children[:2], CancelJobs(stage.database.now(), by="me"))
    assert state(stage) == ("Pending", "waiting")
    again = RetryJobs(stage.database.now(), cancelled=True)
    assert changes.run(stage.database, ByIds(children[:1]), again).followed == 0, "the report waits still"
    change(stage, children[:1], CancelJobs(stage.database.now(), by="me"))
    change(stage, children[2:], CancelJobs(stage.database.now(), by="me"))
    assert (state(stage), stage.status(follower)) == (("Failed", "failed"), ["Failed"])
    change(stage, children, RetryJobs(stage.database.now(), cancelled=True))
    assert (state(stage), stage.status(follower)) == (("Pending", "waiting"), ["Pending"])
    assert stage.one(report[0], "failed_at, error_message, attempts") == (None, None, 0)
    change(stage, report, CancelJobs(stage.database.now(), by="me"))
    change(stage, report, RetryJobs(stage.database.now(), cancelled=True))
    assert state(stage) == ("Pending", "waiting")
    woken.clear()
    change(stage, children, Delete(stage.database.now()))
    assert state(stage) == ("Pending", "satisfied")
    assert {"report"} in woken


@each_row(
    ("status", "dependency", "attempts", "waits"),
    [
        ("Failed", "failed", 0, True),
        ("Pending", "satisfied", 0, True),
        ("Pending", "satisfied", 1, False),
        ("Running", "satisfied", 1, False),
        ("Running", "waiting", 1, False),
        ("Dead", "satisfied", 3, False),
        ("Completed", "satisfied", 1, False),
    ],
)
def test_a_report_waits_again_for_a_retried_child_unless_it_has_run(
    new_database: Callable[..., str], status: str, dependency: str, attempts: int, waits: bool
) -> None:
    stage, app = Stage(new_database("sqlite", migrated=True)), Handlers()
    children = waiting_report(stage, app)
    change(stage, children, CancelJobs(stage.database.now(), by="me"))
    stage.execute(
        f"UPDATE hammerwork_jobs SET status = '{status}', dependency_status = '{dependency}', attempts = {attempts}"
        " WHERE queue_name = 'report'"
    )
    change(stage, children[:1], RetryJobs(stage.database.now(), cancelled=True))
    assert state(stage) == (("Pending", "waiting") if waits else (status, dependency))
    change(stage, children[:1], CancelJobs(stage.database.now(), by="me"))
    assert state(stage) == (("Failed", "failed") if waits else (status, dependency))
    stage.close()


def test_a_child_whose_worker_was_lost_counts_once_it_is_dead(stage: Stage, app: Handlers) -> None:
    children = waiting_report(stage, app, on_failure="run")
    change(stage, children[1:], Delete(stage.database.now()))
    stage.execute(
        f"UPDATE hammerwork_jobs SET status = 'Running', attempts = 1, claimed_by = '{children[0]}',"
        f" started_at = created_at, claimed_at = created_at WHERE id = '{children[0]}'"
    )
    from hammerwork_cli.features.worker.queries import rescue

    rescue.return_lost(stage.database, children[0], "name", stage.database.now())
    assert state(stage) == ("Pending", "satisfied")


def test_a_worker_finds_children_that_another_program_has_ended(stage: Stage, app: Handlers) -> None:
    children = waiting_report(stage, app)
    stage.execute(
        "UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at WHERE queue_name = 'child'"
    )
    assert len(children) == 3
    assert compared(stage) == [(*ids(stage, "report"), True, "satisfied")]
    assert state(stage) == ("Pending", "satisfied")


@all_databases
def test_it_fails_with_a_child_or_a_parent_that_another_program_has_failed(stage: Stage, app: Handlers) -> None:
    waiting_report(stage, app)
    (report,) = ids(stage, "report")
    stage.execute("UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at WHERE queue_name = 'child'")
    assert compared(stage) == [(report, True, "failed")]
    assert stage.one(report, "status, error_message") == ("Failed", "A job that it waited for failed.")

    @app.job("early")
    def early(_: Job, context: SpawnContext) -> None:
        context.after_all(Job("report", {"early": True}))
        raise ValueError("It is tried again.")

    (above,) = stage.enqueue(Job("early"))
    stage.work(app, queues=["early"], drain=False, max_jobs=1)
    (waits,) = ids(stage, "report")
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at WHERE id = '{above.id}'")
    assert compared(stage) == [(waits, False, "failed")]
    assert stage.one(waits, "status, error_message") == ("Failed", f"It depends on job {above.id}, which failed.")


@all_databases
def test_a_worker_counts_again_only_what_it_has_reason_to_doubt(stage: Stage, app: Handlers) -> None:
    children = waiting_report(stage, app)
    (report,) = ids(stage, "report")
    worker = Recounts()
    assert compared(stage, worker) == [(report, False, "waiting")], "it has just started"
    witness = max(children)
    others = [child for child in children if child != witness]
    ended = "UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at"
    stage.execute(f"{ended} WHERE id = '{others[0]}'")
    assert compared(stage, worker) == [], "the join waits for another, and rightly"
    change(stage, [witness], CancelJobs(stage.database.now(), by="me"))
    assert compared(stage, worker) == [], "its count moves"
    assert compared(stage, worker) == [(report, True, "waiting")], "its count stands still"
    assert compared(stage, worker) == []
    stage.execute(f"{ended} WHERE status = 'Pending' AND queue_name = 'child'")
    assert compared(stage, worker) == [(report, True, "failed")]


@all_databases
def test_a_count_that_would_be_negative_releases_nothing_before_it_is_right(stage: Stage, app: Handlers) -> None:
    children = waiting_report(stage, app)
    (report,) = ids(stage, "report")
    stage.execute("UPDATE hammerwork_joins SET open_jobs = 0")
    change(stage, children[:1], CancelJobs(stage.database.now(), by="me"))
    assert state(stage) == ("Pending", "waiting")
    assert stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins") == [(0, 1)]
    assert compared(stage) == [(report, True, "waiting")]
    assert stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins") == [(2, 1)]
    with pytest.raises(HammerworkError, match="hammerwork_joins_counts"):
        stage.execute("UPDATE hammerwork_joins SET open_jobs = -1")


@all_databases
def test_counts_are_right_after_every_change(stage: Stage, app: Handlers) -> None:
    children = waiting_report(stage, app)
    for made in (
        CancelJobs(stage.database.now(), by="me"),
        RetryJobs(stage.database.now(), cancelled=True),
    ):
        change(stage, children[:1], made)
        (before,) = stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins")
        assert [differs for _, differs, _ in compared(stage)] == [False]
        assert stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins") == [before]


def failures(stage: Stage) -> list[tuple[int, int]]:
    """The jobs that the join counts as open and failed: by all changes so far, and when they are counted anew."""
    found = stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins")
    assert [differs for _, differs, _ in compared(stage)] == [False]
    return found + stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins")


@all_databases
def test_a_child_that_failed_counts_in_the_archive_and_not_when_it_is_deleted(
    stage: Stage, app: Handlers, run: Callable[..., Outcome]
) -> None:
    children = waiting_report(stage, app)
    change(stage, children[:2], CancelJobs(stage.database.now(), by="me"))
    change(stage, children[:1], Delete(stage.database.now()))
    assert failures(stage) == [(1, 1)] * 2
    command = ("archive", "run", "--queue", "child", "--older-than", "0s", "--no-tree", "--yes")
    assert run(*command, url=stage.url).exit_code == 0
    assert stage.rows(where=f"id = '{children[1]}'") == []
    assert failures(stage) == [(1, 1)] * 2
    columns = "id, queue_name, payload, status, created_at, scheduled_at, depends_on, ancestry"
    stage.execute(
        f"INSERT INTO hammerwork_jobs ({columns}) SELECT {columns.replace('payload', repr('{}'))}"
        f" FROM hammerwork_jobs_archive WHERE id = '{children[1]}'"
    )
    assert failures(stage) == [(1, 1)] * 2, "the copy in the archive is the same job"


def test_a_comparison_counts_an_archived_child_once_however_deep_the_tree_is(
    lite: Stage, app: Handlers, run: Callable[..., Outcome]
) -> None:
    _, upper, lower = waiting_report(lite, app, scope="tree")
    above = f'["{upper}"]'
    lite.execute(f"UPDATE hammerwork_jobs SET depends_on = '{above}' WHERE id = '{lower}'")
    change(lite, ids(lite, "child")[:1], CancelJobs(lite.database.now(), by="me"))
    assert run("archive", "run", "--older-than", "0s", "--no-tree", "--yes", url=lite.url).exit_code == 0
    assert len(ids(lite, "child")) == 2
    assert failures(lite) == [(2, 1)] * 2


@mariadb_too
def test_a_comparison_finds_children_that_depend_on_other_jobs_first(stage: Stage, app: Handlers) -> None:
    (other,) = stage.enqueue(Job("other"))

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> Iterator[Job]:
        context.after_all(Job("report"), scope="tree")
        first = Job("child")
        yield first
        yield Job("child").depends_on(other, first)
        yield Job("child").depends_on(other)

    stage.enqueue(parent())
    stage.work(app, queues=["parent"])
    assert [differs for _, differs, _ in compared(stage)] == [False]
    assert stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins") == [(3, 0)]


# Trees that are imported or restored.


def test_it_waits_again_in_a_tree_that_is_restored_to_run_again(
    stage: Stage, app: Handlers, run: Callable[..., Outcome]
) -> None:
    reports = Reports(app, 3)
    (top,) = stage.enqueue(parent())
    stage.work(app)
    assert run("archive", "run", "--older-than", "0s", "--yes", url=stage.url).exit_code == 0
    command = ("archive", "restore", top.id, "--tree", "--run-again", "--yes")
    assert run(*command, url=stage.url).exit_code == 0
    assert (state(stage), reports.seen.pop()) == (("Pending", "waiting"), [0, 1, 2])
    assert failures(stage) == [(3, 0)] * 2
    stage.work(app, concurrency=1)
    assert (state(stage), reports.seen) == (("Completed", "satisfied"), [[0, 1, 2]])


def test_it_does_not_count_an_imported_copy_of_a_part(
    lite: Stage, app: Handlers, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    child, *_ = waiting_report(lite, app)
    file = str(tmp_path / "part.jsonl")
    assert run("job", "export", child, "--tree", "-o", file, url=lite.url).exit_code == 0
    lite.execute("UPDATE hammerwork_jobs SET scheduled_at = '2037-01-01 00:00:00'")
    assert run("job", "import", file, "--as", "pending", "--new-ids", url=lite.url).exit_code == 0
    lite.work(app)
    assert len(ids(lite, "child", "Completed")) == 1
    assert lite.database.query("SELECT open_jobs FROM hammerwork_joins") == [(3,)]


def test_it_waits_again_in_a_tree_that_is_imported_to_run_again(
    lite: Stage, app: Handlers, run: Callable[..., Outcome], new_database: Callable[..., str], tmp_path: Path
) -> None:
    reports = Reports(app, 3)
    (top,) = lite.enqueue(parent())
    lite.work(app)
    file, url = str(tmp_path / "tree.jsonl"), new_database("sqlite", migrated=True)
    assert run("job", "export", top.id, "--tree", "-o", file, url=lite.url).exit_code == 0
    assert run("job", "import", file, "--as", "pending", url=url).exit_code == 0
    again = Stage(url)
    assert (state(again), reports.seen.pop()) == (("Pending", "waiting"), [0, 1, 2])
    again.work(app, queues=["parent", "report"])
    assert (state(again), reports.seen) == (("Pending", "waiting"), [])
    again.work(app, concurrency=1)
    assert (state(again), reports.seen) == (("Completed", "satisfied"), [[0, 1, 2]])
    again.close()


# Arguments, and a test without a database.


def test_it_must_come_first_and_its_arguments_must_be_right(lite: Stage, app: Handlers) -> None:
    said: list[str] = []

    @app.job("parent")
    def work(job: Job, context: SpawnContext) -> None:
        for call in (
            lambda: context.after_all(Job("report"), scope="siblings"),  # type: ignore[arg-type]
            lambda: context.after_all(Job("report"), on_failure="stop"),  # type: ignore[arg-type]
            lambda: context.after_all("report"),  # type: ignore[arg-type]
            lambda: context.after_all(Job("report").with_cron("* * * * * *")),
            lambda: (context.spawn(Job("child"), key="early"), context.after_all(Job("report"))),
        ):
            with pytest.raises(UsageError) as raised:
                call()
            said.append(str(raised.value))
        del job

    app.register_job("child", lambda _: None)
    lite.enqueue(Job("parent"))
    lite.work(app)
    assert said[0] == "scope must be 'children' or 'tree', not 'siblings'."
    assert "comes too late" in said[-1]
    assert "report" not in statuses(lite)


def test_a_test_without_a_database_sees_the_join_and_gives_it_results() -> None:
    app = Handlers()
    Reports(app, 2)
    outcome = rehearse(app, Job("parent", {}))
    assert [job.queue for job in outcome.joins.values()] == ["report"]
    assert len(outcome.children) == 2
    one = "11111111-1111-4111-8111-111111111111"
    assert rehearse(app, Job("report"), results={one: 5}).result == 1


def test_a_comparison_takes_the_end_of_a_recurring_parent_from_what_is_noted(lite: Stage) -> None:
    """Its row says no more than that it recurs."""
    database, now = lite.database, lite.database.now()
    recurring, join, ended = lite.enqueue(Job("parent").with_cron("@daily"), Job("report"), Job("report"))
    for one in (ended, join):
        joins.add(database, one.id, recurring.id, "children", "fail", now)
    joins.parents_ended(database, [ended.id])
    joins.count(database, {join.id: 1})
    assert joins.counts(database, [ended.id])[ended.id][:5] == (ended.id, recurring.id, True, 0, 0)
    for has_ended in (False, True):
        found = joins.recount(database, joins.counts(database, [join.id])[join.id])
        assert found is not None
        assert (found.parent_ended, found.open, found.failed, found.differs) == (has_ended, 0, 0, not has_ended)
        joins.count(database, {join.id: -1} if not has_ended else {})
        joins.parents_ended(database, [join.id])


def test_each_join_and_each_counter_of_callbacks_is_asked_for_its_own_state(lite: Stage) -> None:
    database, now = lite.database, lite.database.now()
    first, second, third, top = (job.id for job in lite.enqueue(*(Job("report") for _ in range(4))))
    for join in (first, second, third):
        joins.add(database, join, top, "children", "run", now)
    joins.parents_ended(database, [first])
    assert joins.ready(database, [first, second]).joins == {first: "satisfied"}
    assert joins.ready(database, [second]).joins == {}
    for one in (first, second):
        joins.add_counter(database, one, 1, now)
    failed, sound = map(joins.counter_of, (first, second))
    joins.count(database, {failed: -1, third: 0}, {failed: 1, third: 1})
    assert joins.failing(database, [failed, sound, third]) == [first]
    assert joins.failing(database, [sound]) == []
    for join, columns in ((second, "dependency_status = 'satisfied'"), (third, "status = 'Failed'")):
        lite.execute("UPDATE hammerwork_jobs SET ancestry = '{\"awaits\":true}'")
        lite.execute(f"UPDATE hammerwork_jobs SET dependency_status = 'waiting' WHERE id IN ('{first}', '{third}')")
        lite.execute(f"UPDATE hammerwork_jobs SET {columns} WHERE id = '{join}'")
    assert [known.join for known in joins.waiting(database, None, 9)] == [first]
    (known,) = joins.waiting(database, None, 9)
    others = f"SELECT * FROM hammerwork_joins WHERE job_id <> '{first}' ORDER BY job_id"
    before = database.query(others)
    taken = joins.take(database, known, now + timedelta(seconds=2))
    assert taken is not None
    assert joins.take(database, known, now) is None, "another worker was faster"
    found = joins.recount(database, taken)
    assert found is not None
    assert joins.correct(database, found, now)
    assert not joins.correct(database, found, now), "another worker was faster"
    assert database.query(others) == before


def test_of_callbacks_only_open_ones_become_due(lite: Stage) -> None:
    database, now = lite.database, lite.database.now()
    tops = lite.enqueue(*(Job("top").with_callbacks(on_complete=Job("report")) for _ in range(2)))
    subjects = [job.id for job in tops]
    lite.execute("UPDATE hammerwork_watches SET check_at = '2999-01-01T00:00:00+00:00'")
    assert joins.make_due(database, subjects[:1], [], now) == 1
    due = "SELECT subject_id FROM hammerwork_watches WHERE check_at < '2999'"
    assert database.query(due) == [(subjects[0],)]
    assert joins.make_due(database, subjects, [], now) == 2
    lite.execute(f"UPDATE hammerwork_watches SET state = 'fired' WHERE subject_id = '{subjects[0]}'")
    assert joins.make_due(database, subjects, [], now) == 1
    assert joins.make_due(database, [], subjects, now) == 0, "none is for a failure"


def test_a_join_that_waits_for_one_below_goes_on_when_that_fails(lite: Stage, app: Handlers) -> None:
    @app.spawn("top")
    def top(context: SpawnContext) -> Job:
        context.after_all(Job("noop"), scope="tree", on_failure="run")
        return Job("middle", {})

    @app.spawn("middle")
    def middle(context: SpawnContext) -> Job:
        context.after_all(Job("report"))
        return Job("child")

    @app.job("child")
    def fail(_: Job) -> None:
        raise Cancel("not now")

    lite.enqueue(Job("top", {}))
    lite.work(app)
    assert {queue: words for queue, words in statuses(lite).items() if queue in {"child", "report", "noop"}} == {
        "child": ["Failed"],
        "report": ["Failed"],
        "noop": ["Completed"],
    }


def test_a_comparison_counts_a_child_once_that_depends_on_a_sibling_too(lite: Stage, app: Handlers) -> None:
    Reports(app, 2)
    top, *_ = lite.enqueue(parent())
    lite.work(app, queues=["parent"])
    first, second = ids(lite, "child")
    both = f'["{top.id}", "{first}"]'
    lite.execute(f"UPDATE hammerwork_jobs SET depends_on = '{both}' WHERE id = '{second}'")
    assert failures(lite) == [(2, 0)] * 2


@each_row(
    ("counted", "state"),
    [
        ((False, 0, 0), "waiting"),
        ((True, 1, 0), "waiting"),
        ((True, 1, 1), "waiting"),
        ((True, 0, 0), "satisfied"),
        ((True, 0, 1), "failed"),
        ((True, 0, 1, "run"), "satisfied"),
    ],
)
def test_the_state_of_a_join_follows_from_what_it_counts(counted: tuple[Any, ...], state: str) -> None:
    assert joins.JoinCounts("join", "parent", *counted).state == state


@each_row(
    ("ancestry", "is_join", "marks"),
    [
        (None, False, ()),
        ('{"root":"r","awaits":true,"joins":["a"],"joined":["b"]}', True, ("a", "b")),
        ('{"joined":["b"]}', False, ("b",)),
        ('{"root":"awaits","awaits":false,"joins":"a"}', False, ()),
        ('"awaits", "joins"', False, ()),
    ],
)
def test_a_place_says_whether_a_job_is_a_join_and_which_wait_for_it_however_damaged_it_is(
    ancestry: str | None, is_join: bool, marks: tuple[str, ...]
) -> None:
    assert (joins.is_join(ancestry), joins.marks(ancestry)) == (is_join, marks)


def nested(app: Handlers) -> list[Exception | None]:
    """A join above another; the leaf raises what the result holds."""
    fails: list[Exception | None] = [None]

    @app.spawn("top")
    def top(context: SpawnContext) -> Job:
        context.after_all(Job("outer"), scope="tree")
        return Job("middle", {})

    @app.spawn("middle")
    def middle(context: SpawnContext) -> Job:
        context.after_all(Job("inner"))
        return Job("leaf", max_attempts=1)

    @app.job("leaf")
    def leaf(_: Job) -> None:
        if fails[0]:
            raise fails[0]

    for queue in ("outer", "inner"):
        app.register_job(queue, lambda _: None)
    return fails


@all_databases
def test_a_tree_with_a_join_below_another_is_whole_after_a_retry(stage: Stage, app: Handlers) -> None:
    """Whatever ended the leaf, and whatever is retried: all complete, and all counts are right."""
    fails = nested(app)

    def fail(end: Exception | None) -> Job:
        stage.execute("DELETE FROM hammerwork_jobs")
        stage.execute("DELETE FROM hammerwork_joins")
        fails[0] = end
        (root,) = stage.enqueue(Job("top", {}))
        if end is None:
            stage.work(app, queues=["top", "middle"])
            change(stage, ids(stage, "leaf"), CancelJobs(stage.database.now(), by="me"))
        stage.work(app)
        fails[0] = None
        assert statuses(stage)["inner"] == statuses(stage)["outer"] == ["Failed"]
        return root

    def repaired(root: Job, how: str) -> tuple[set[str], Any]:
        again = RetryJobs(stage.database.now(), cancelled=True)
        failed = [(str(job), queue) for job, queue in stage.rows("id, queue_name", "status IN ('Dead', 'Failed')")]
        if how == "tree":
            changes.run(stage.database, Subtrees([root.id], UNSUCCESSFUL), again)
        for job in [job for job, queue in failed if how in ("one by one", queue)]:
            change(stage, [job], again)
        stage.work(app)
        counted = stage.database.query("SELECT open_jobs, failed_jobs FROM hammerwork_joins")
        return {status for (status,) in stage.rows("status")}, counted

    for end, how in product((ValueError("It dies."), Cancel("not now"), None), ("tree", "leaf", "one by one")):
        assert repaired(fail(end), how) == ({"Completed"}, [(0, 0)] * 2), (end, how)
