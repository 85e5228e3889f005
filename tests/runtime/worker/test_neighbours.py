"""Rows that look almost like those that are meant: each statement leaves them alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, JobPriority, SpawnConfig, SpawnContext, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import id_list
from hammerwork_cli.features.job.queries import attempts, spawn_requests
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.worker.queries import ancestry, claim, finish, registry, rescue, spawn
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.features.worker.queries.spawn import Operation
from tests.rows import START, Rows
from tests.runtime.conftest import Stage

pytestmark = pytest.mark.sqlite
WORKER, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def claimed(stage: Stage, *jobs: Job, now: datetime | None = None, **options: Any) -> list[Claimed]:
    """What a worker claims after these jobs have been enqueued in one queue."""
    stage.enqueue(*jobs)
    values: Any = {"worker": WORKER, "limit": 100, "slots": 100, "now": now or stage.database.now(), **options}
    return claim.claim(stage.database, jobs[0].queue, **values)


@pytest.mark.parametrize(
    ("end", "took"),
    [(AttemptEnd.COMPLETED, 0.0), (AttemptEnd.COMPLETED, 1.0), (AttemptEnd.FAILED, 0.0), (AttemptEnd.RETRY, 0.0)],
)
def test_an_outcome_counts_as_written_if_a_row_has_all_of_it(lite: Stage, end: AttemptEnd, took: float) -> None:
    now, is_back = lite.database.now(), end == AttemptEnd.RETRY
    at = now + timedelta(hours=1) if is_back else None
    jobs = claimed(lite, *(Job("noop") for _ in range(5)))
    outcomes = [EndedAttempt(job, end, at=at, took=number * took) for number, job in enumerate(jobs)]
    for _ in range(2):
        assert finish.finish(lite.database, outcomes, now).lost == set()
    time = "scheduled_at = created_at" if is_back else "completed_at = created_at, failed_at = created_at"
    changes = [
        (f"claim_token = '{new_id()}'", True),
        ("status = 'TimedOut'", True),
        (time, True),
        (f"claimed_by = '{new_id()}'", is_back),  # the token stays on a row that version 3 of hammerwork (Rust) resets
        ("error_message = 'another'", False),
    ]
    for job, (change, _) in zip(jobs, changes, strict=True):
        lite.execute(f"UPDATE hammerwork_jobs SET {change} WHERE id = '{job.id}'")
    lost = {job.id for job, (_, is_lost) in zip(jobs, changes, strict=True) if is_lost}
    assert finish.finish(lite.database, outcomes, now).lost == lost


@pytest.mark.parametrize("spawns", [True, False])
@pytest.mark.parametrize("recurs", [True, False])
def test_a_run_that_somebody_cancelled_and_retried_leaves_no_result(lite: Stage, spawns: bool, recurs: bool) -> None:
    now = lite.database.now() + timedelta(days=400)
    (job,) = claimed(lite, Job("noop").with_cron("@yearly") if recurs else Job("noop"), now=now)
    lite.execute("UPDATE hammerwork_jobs SET status = 'Pending'")  # the token stays
    ended = EndedAttempt(job, AttemptEnd.COMPLETED, result="1", at=now + timedelta(days=365) if recurs else None)
    if spawns:
        spawner = Spawner.of(job, ancestry.of(lite.database, job), SpawnConfig())
        operation = Operation(new_id(), spawner, "noop", SpawnConfig(), now, 0)
        report = spawn.complete(lite.database, ended, operation, list, now=now)
    else:
        report = finish.finish(lite.database, [ended], now)
    assert report.lost == {job.id}
    assert lite.one(job.id, "status, result_data") == ("Pending", None)


def test_a_worker_has_the_jobs_that_it_runs_and_none_that_ended_or_went_to_a_rust_worker(lite: Stage) -> None:
    (job,) = claimed(lite, Job("noop"))

    def has() -> bool:
        return claim.have_claimed(lite.database, ["noop"], [WORKER])

    assert has()
    lite.execute("UPDATE hammerwork_jobs SET started_at = created_at")
    assert not has()
    lite.execute("UPDATE hammerwork_jobs SET started_at = claimed_at")
    finish.finish(lite.database, [EndedAttempt(job, AttemptEnd.COMPLETED)], lite.database.now())
    assert lite.one(job.id, "status, claimed_by, result_stored_at") == ("Completed", WORKER, None)
    assert not has()


def test_jobs_that_wait_for_others_are_not_due_later_and_no_more_are_counted_than_wanted(lite: Stage) -> None:
    later = timedelta(hours=1)
    first = Job("one", delay=later)
    lite.enqueue(first, Job("one", delay=later).depends_on(first), *(Job("two", delay=later) for _ in range(3)))
    now, queues = lite.database.now(), ("one", "two")
    assert [claim.later(lite.database, queues, now, limit) for limit in (1, 9)] == [1, 4]


def test_a_limit_of_another_queue_limits_nothing(lite: Stage) -> None:
    lite.queue.limit("mail", concurrency=1)
    lite.enqueue(Job("noop"))
    taken: Any = claimed(lite, Job("noop"))
    assert (len(taken), taken.is_limited, taken.no_room) == (2, False, None)


def test_jobs_of_a_queue_with_a_limit_start_by_the_clock_of_the_server(lite: Stage) -> None:
    lite.queue.limit("noop", rate="1/h")
    (job,) = claimed(lite, Job("noop"), now=lite.database.now() + timedelta(days=1))
    assert lite.timestamp(job.id, "started_at") == job.started_at < lite.database.now() + timedelta(hours=1)


def test_the_running_jobs_of_a_worker_are_those_that_it_claimed_and_still_has(lite: Stage) -> None:
    for worker, name in ((WORKER, "mine"), (OTHER, "others")):
        registry.register(lite.database, Registration(worker, name, "host", 1, "0", ("work",), (), 9, 60.0))
    rows, later = Rows(lite.database), START + timedelta(seconds=1)
    mine: Any = {"claimed_by": WORKER, "claimed_at": START, "started_at": START}
    rows.job(**mine)  # has ended
    runs, second = (rows.job(status="Running", **mine) for _ in range(2))
    taken = rows.job(status="Running", **mine | {"started_at": later})  # by a Rust worker, which writes no more
    elsewhere = rows.job(status="Running", queue="mail", **mine | {"claimed_by": OTHER, "started_at": START})
    nobodys = rows.job(status="Running", started_at=later)
    assert {job.id for job in registry.running_jobs(lite.database, WORKER)} == {runs, second}

    def leased(**wanted: Any) -> dict[str, str | None]:
        return {job.id: job.worker for job in registry.leased_jobs(lite.database, limit=9, **wanted)}

    assert leased() == {runs: "mine", second: "mine", elsewhere: "others", taken: None, nobodys: None}
    assert leased(queues=["mail"]) == {elsewhere: "others"}
    assert leased(workers=[WORKER]) == {runs: "mine", second: "mine"}
    assert registry.ended_with_jobs(lite.database) == []
    lite.execute(f"UPDATE hammerwork_workers SET ended_at = heartbeat_at WHERE id = '{WORKER}'")
    assert [worker.id for worker in registry.ended_with_jobs(lite.database)] == [WORKER]
    lite.execute(f"DELETE FROM hammerwork_jobs WHERE id IN ('{runs}', '{second}')")
    assert registry.ended_with_jobs(lite.database) == []


def test_a_lease_of_a_job_that_somebody_took_meanwhile_is_not_renewed(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = claimed(lite, Job("noop"), Job("noop"))
    lite.execute("UPDATE hammerwork_jobs SET lease_expires_at = started_at")
    read = lite.database.rows

    def rows(name: str, **values: Any) -> Any:
        found = list(read(name, **values))
        lite.execute(f"UPDATE hammerwork_jobs SET claimed_by = '{OTHER}' WHERE id = '{jobs[0].id}'")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(lite.database, "rows", rows)
        registry.renew_leases(lite.database, WORKER, 600)
    assert [lite.one(job.id, "lease_expires_at > started_at") for job in jobs] == [0, 1]


def leased_by_rust(lite: Stage, look: Callable[[], Any], **columns: Any) -> int:
    """What a look says beside one running job, which a Rust worker has begun at ``START``."""
    row = {"started_at": START, "last_heartbeat_at": START, **columns}
    job = Rows(lite.database).job(**{"status": "Running", **row})
    found = look()
    lite.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{job}'")
    return int(found)


def test_a_job_whose_rust_worker_let_the_lease_of_this_run_end_is_abandoned(lite: Stage) -> None:
    now = START + timedelta(hours=1)

    def abandoned(**columns: Any) -> int:
        row = {"lease_expires_at": now - timedelta(minutes=1), **columns}
        return leased_by_rust(lite, lambda: rescue.some_abandoned(lite.database, now), **row)

    assert abandoned()
    assert not abandoned(status="Completed")
    assert not abandoned(lease_expires_at=now + timedelta(minutes=1))
    assert not abandoned(last_heartbeat_at=START - timedelta(minutes=1))
    assert not abandoned(claimed_by=WORKER, claimed_at=START)


def test_a_lease_that_a_rust_worker_renewed_in_the_future_for_a_running_job_is_ahead(lite: Stage) -> None:
    ahead, later = START + timedelta(hours=1), START + timedelta(hours=2)

    def are_ahead(**columns: Any) -> int:
        row = {"last_heartbeat_at": ahead, "lease_expires_at": later, **columns}
        return leased_by_rust(lite, lambda: len(rescue.leases_ahead(lite.database, START)), **row)

    assert are_ahead()
    assert are_ahead(started_at="yesterday"), "it cannot be read"
    assert not are_ahead(status="Completed")
    assert not are_ahead(last_heartbeat_at=START)
    assert not are_ahead(lease_expires_at=ahead)
    assert not are_ahead(claimed_by=WORKER, claimed_at=START)


def test_the_lease_of_a_job_that_still_runs_and_was_not_renewed_is_put_back(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, later = START + timedelta(hours=1), START + timedelta(hours=2)
    lease: Any = {"last_heartbeat_at": ahead, "lease_expires_at": later, "started_at": START}
    rows = Rows(lite.database)
    runs, ended, renewed = (rows.job(status="Running", **lease) for _ in range(3))
    found = rescue.leases_ahead(lite.database, START)
    assert len(found) == 3
    beside = rows.job(status="Running", **lease)
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{ended}'")
    lite.execute(f"UPDATE hammerwork_jobs SET last_heartbeat_at = lease_expires_at WHERE id = '{renewed}'")
    monkeypatch.setattr(rescue, "leases_ahead", lambda *_: found)
    assert rescue.put_leases_back(lite.database, START) == 1
    left = {job: lite.timestamp(job, "lease_expires_at") for job in (runs, ended, renewed, beside)}
    assert left == {runs: ahead, ended: later, renewed: later, beside: later}
    monkeypatch.undo()
    unreadable = {"started_at": "yesterday", "last_heartbeat_at": "2026-12-99", "lease_expires_at": "tomorrow"}
    for column, text in unreadable.items():
        rows.job(status="Running", **{**lease, "lease_expires_at": START + timedelta(days=60), column: text})
    lite.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{beside}'")
    assert (len(rescue.leases_ahead(lite.database, START)), rescue.put_leases_back(lite.database, START)) == (3, 0)
    assert lite.timestamp(runs, "last_heartbeat_at") == START


def test_the_descendants_of_a_run_are_those_of_its_tree_and_time(lite: Stage) -> None:
    rows, root, other = Rows(lite.database), new_id(), new_id()
    before = START - timedelta(hours=1)
    this, earlier = (at.isoformat().replace("+00:00", "Z") for at in (START, before))
    here, elsewhere = (rows.job(ancestry=Ancestry(root, run, 1).stored()) for run in (this, earlier))

    def spawned(children: int, parent: str, *, tree: str = root, run: str = "", at: datetime = START) -> None:
        row = {
            "id": new_id(),
            "parent_id": parent,
            "root_id": tree,
            "depth": 0,
            "occurrence": run,
            "children": children,
        }
        rows.insert("hammerwork_spawn_operations", {**row, "outcome": "spawned", "started_at": at, "ended_at": at})

    def spawned_early(child: str, *, tree: str = root, at: datetime = START) -> None:
        row = {"parent_id": new_id(), "occurrence": "", "spawn_key": "a", "child_id": child, "root_id": tree}
        rows.insert("hammerwork_spawned_children", {**row, "spawned_at": at})

    of_this_run = [(1, root, this), (2, here, ""), (4, new_id(), "")]
    for children, parent, run in of_this_run:
        spawned(children, parent, run=run)
    spawned(8, root, run=earlier)
    spawned(16, elsewhere)
    spawned(32, here, at=before)
    spawned(64, other, tree=other)
    for child in (here, new_id(), new_id(), elsewhere):
        spawned_early(child)
    spawned_early(new_id(), at=before)
    spawned_early(new_id(), tree=other)
    assert ancestry.descendants(lite.database, Ancestry(root, this)) == 1 + 2 + 4 + 3
    assert ancestry.descendants(lite.database, Ancestry(root)) == 63 + 5
    counted = {(root, this): 100, (root, earlier): 200, (other, this): 300}
    for (tree, run), children in counted.items():
        rows.insert("hammerwork_spawn_trees", {"root_id": tree, "occurrence": run, "descendants": children})
    assert {place: ancestry.descendants(lite.database, Ancestry(*place)) for place in counted} == counted


def test_a_join_and_the_history_tell_lost_jobs_from_others_that_end_with_them(lite: Stage, app: Handlers) -> None:
    @app.job("parent")
    def parent(job: Job, context: SpawnContext) -> None:
        context.after_all(Job("join"))
        for key in "abc":
            context.spawn(Job("child"), key=key)

    lite.enqueue(Job("parent"))
    lite.work(app, queues=("parent",))
    now = lite.database.now()
    done, lost, gone = claim.claim(lite.database, "child", worker=WORKER, now=now, limit=9, slots=9)
    lite.execute(f"UPDATE hammerwork_jobs SET claim_token = 'another' WHERE id = '{lost.id}'")
    lite.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{gone.id}'")
    ended = [EndedAttempt(job, AttemptEnd.COMPLETED) for job in (done, lost, gone)]
    assert finish.finish(lite.database, ended, lite.database.now()).lost == {lost.id, gone.id}
    assert lite.database.query("SELECT open_jobs FROM hammerwork_joins") == [(2,)]
    history = attempts.of_jobs(lite.database, [job.id for job in (done, lost, gone)])
    assert {job: [attempt.outcome for attempt in found] for job, found in history.items()} == {lost.id: ["lost"]}
    assert finish.fates(lite.database, [lost.id, gone.id]) == {lost.id: ("Running", "")}


def test_a_job_that_fails_beside_a_recurring_one_is_named_by_what_depended_on_it(lite: Stage) -> None:
    now = lite.database.now() + timedelta(days=400)
    fails, recurs = Job("noop"), Job("noop").with_cron("@yearly")
    waits = Job("waits").depends_on(fails)
    lite.enqueue(fails, waits)
    jobs = {job.id: job for job in claimed(lite, recurs, now=now)}
    again = now + timedelta(days=365)
    ended = [
        EndedAttempt(jobs[recurs.id], AttemptEnd.FAILED, at=again),
        EndedAttempt(jobs[fails.id], AttemptEnd.FAILED),
    ]
    assert finish.finish(lite.database, ended, now).failed == 1
    assert lite.status(fails, recurs, waits) == ["Dead", "Pending", "Failed"]
    assert lite.one(waits, "error_message") == f"It depends on job {fails.id}, which failed."


def test_jobs_of_one_queue_that_come_back_and_that_are_released_are_counted_together(lite: Stage) -> None:
    parent = Job("noop")
    others = [Job("noop") for _ in range(3)]
    jobs = {job.id: job for job in claimed(lite, parent, Job("noop").depends_on(parent), *others)}
    lite.execute(f"UPDATE hammerwork_jobs SET claim_token = 'another' WHERE id = '{others[0].id}'")
    done = EndedAttempt(jobs.pop(parent.id), AttemptEnd.COMPLETED)
    stopped = [EndedAttempt(job, AttemptEnd.STOPPED, at=lite.database.now()) for job in jobs.values()]
    report = finish.finish(lite.database, [*stopped, done], lite.database.now())
    assert (report.released, report.lost) == ({"noop": 3}, {others[0].id})


@pytest.mark.parametrize("kind", ["batch", "workflow"])
def test_a_group_ends_with_its_job_also_beside_jobs_of_no_group(stage3: Stage, kind: str) -> None:
    if kind == "batch":
        stage3.queue.enqueue_batch("one", [Job("noop")])
    else:
        stage3.queue.enqueue_workflow(Workflow("one").add("first", Job("noop")))
    ended = [EndedAttempt(job, AttemptEnd.COMPLETED) for job in claimed(stage3, Job("noop"))]
    assert len(ended) == 2
    finish.finish(stage3.database, ended, stage3.database.now())
    table = {"batch": "hammerwork_batches", "workflow": "hammerwork_workflows"}[kind]
    ((status,),) = stage3.database.query(f"SELECT status FROM {table}")
    assert status.lower() == "completed"


def test_an_outcome_is_as_large_as_its_payload_its_result_and_its_error(lite: Stage) -> None:
    (job,) = claimed(lite, Job("noop"))
    texts: Any = [{}, {"result": "1"}, {"error": "no"}, {"result": "1", "error": "no"}]
    sizes = [
        EndedAttempt(job._replace(payload=payload), AttemptEnd.FAILED, **text).size
        for payload in (None, "[7, 8]")
        for text in texts
    ]
    assert sizes == [0, 1, 2, 3, 6, 7, 8, 9]


def test_only_workers_that_have_counted_something_and_were_heard_of_lately_tell_their_counts(lite: Stage) -> None:
    now, hour = lite.database.now(), timedelta(hours=1)
    stored, none = '{"noop": []}', "NULL"
    for name, counts, heard, ended in (
        ("counts", stored, now, None),
        ("counts nothing", none, now, None),
        ("is silent", stored, now - hour, None),
        ("has ended", stored, now - hour, now),
        ("ended long ago", stored, now, now - hour),
    ):
        worker = new_id()
        registry.register(lite.database, Registration(worker, name, "host", 1, "0", ("noop",), (), 1, 60.0))
        values = {"queue_counts": counts if counts == none else f"'{counts}'"}
        values |= {name: f"'{lite.database.json_timestamp(at)}'" for name, at in (("heartbeat_at", heard),)}
        values |= {"ended_at": f"'{lite.database.json_timestamp(ended)}'"} if ended else {}
        changes = ", ".join(f"{column} = {value}" for column, value in values.items())
        lite.execute(f"UPDATE hammerwork_workers SET {changes} WHERE id = '{worker}'")
    found = registry.queue_counts(lite.database, since=now - hour / 2)
    assert {counts.name for counts in found} == {"counts", "has ended"}


def test_attempts_that_a_heartbeat_cannot_name_count_as_the_workers_own(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(lite.database, Registration(WORKER, "name", "host", 1, "0", ("noop",), (), 9, 60.0))
    jobs = claimed(lite, *(Job("noop") for _ in range(3)))
    monkeypatch.setattr(type(lite.database), "key_chunk", 1)
    report = registry.HeartbeatReport()
    assert registry.record_heartbeat(lite.database, WORKER, report, jobs).owned == 3
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{jobs[0].id}'")
    assert registry.record_heartbeat(lite.database, WORKER, report, jobs).owned == 2


@pytest.mark.parametrize("unreadable", ["first", "second"])
def test_a_worker_has_no_successor_where_a_start_cannot_be_read(
    lite: Stage, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    monkeypatch.setattr(registry, "SUCCESSOR_SECONDS", -1.0)
    for worker in (WORKER, OTHER):
        registry.register(lite.database, Registration(worker, "name", "host", 1, "0", ("work",), (), 9, 60.0))
    now = lite.database.now()
    registry.end(lite.database, WORKER, "name", registry.HeartbeatReport(), now)
    where = {"first": WORKER, "second": OTHER}[unreadable]
    lite.execute(f"UPDATE hammerwork_workers SET started_at = 'yesterday' WHERE id = '{where}'")
    asked = [worker for worker in registry.listed(lite.database) if worker.id == WORKER]
    watch = registry.WorkerEndWatch(lite.database, asked, successors=True)
    assert watch.refresh()
    assert [worker.id for worker in watch.done.values()] == [WORKER]


def test_a_child_that_waits_for_its_parent_and_for_the_holder_of_a_siblings_key_names_each_once(
    lite: Stage, app: Handlers
) -> None:
    holder = lite.queue.enqueue(Job("held").with_unique("key"))
    last = Job("last")

    @app.spawn("parent")
    def split(context: SpawnContext) -> list[Job]:
        unique = Job("held").with_unique("key")
        return [unique, last.depends_on(unique, context.parent_job)]

    parent = Job("parent")
    lite.enqueue(parent)
    lite.work(app, queues=("parent",))
    assert sorted(id_list(lite.one(last, "depends_on"))) == sorted([parent.id, holder.id])


@pytest.mark.parametrize("freed", [False, True])
def test_a_unique_job_that_exists_by_its_id_becomes_the_child_whoever_holds_its_key(
    lite: Stage, app: Handlers, freed: bool
) -> None:
    known = Job("known").with_unique("key")
    lite.enqueue(known)
    if freed:
        lite.execute(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{known.id}'")
        lite.enqueue(Job("known").with_unique("key"))

    @app.job("parent")
    def spawn_early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("known", id=known.id).with_unique("key"), key="a")

    lite.enqueue(Job("parent"))
    lite.work(app, queues=("parent",))
    assert lite.database.query("SELECT child_id FROM hammerwork_spawned_children") == [(known.id,)]


def test_a_claim_of_one_priority_takes_no_other(lite: Stage) -> None:
    jobs = claimed(lite, *(Job("noop", priority=one) for one in JobPriority), priority=JobPriority.LOW)
    assert [job.priority for job in jobs] == [JobPriority.LOW]


def worker_named(lite: Stage, name: str, *, heard: timedelta = timedelta(), ended: timedelta | None = None) -> str:
    """A worker whose last heartbeat and end are so long ago; its id."""
    worker, now = new_id(), lite.database.now()
    registry.register(lite.database, Registration(worker, name, "host", 1, "0", ("noop",), (), 2, 60.0))
    times = {"heartbeat_at": now - heard, **({"ended_at": now - ended} if ended is not None else {})}
    changes = ", ".join(f"{column} = '{lite.database.json_timestamp(at)}'" for column, at in times.items())
    lite.execute(f"UPDATE hammerwork_workers SET {changes} WHERE id = '{worker}'")
    return worker


def test_the_list_has_workers_that_ended_lately_or_were_heard_of_within_a_day(lite: Stage) -> None:
    hour = timedelta(hours=1)
    worker_named(lite, "lives")
    worker_named(lite, "is silent", heard=2 * hour)
    worker_named(lite, "is silent for long", heard=48 * hour)
    worker_named(lite, "has ended", heard=48 * hour, ended=hour)
    worker_named(lite, "ended long ago", ended=3 * hour)
    now = lite.database.now()

    def listed(**since: datetime) -> set[str]:
        return {worker.name for worker in registry.listed(lite.database, **since)}

    assert listed(since=now - 1.5 * hour, now=now) == {"lives", "is silent", "has ended"}
    assert listed(since=now - 1.5 * hour) == {"lives", "is silent", "is silent for long", "has ended"}


def test_a_name_finds_the_last_of_the_workers_that_have_ended(lite: Stage) -> None:
    first, last = (worker_named(lite, "name", ended=timedelta(hours=hours)) for hours in (2, 1))
    lite.execute(f"UPDATE hammerwork_workers SET started_at = '2026-01-01 00:00:00' WHERE id = '{first}'")
    assert registry.resolve(lite.database, "name").id == last


def test_each_worker_hears_and_shows_what_is_its_own(lite: Stage) -> None:
    one, other = (worker_named(lite, name) for name in ("one", "other"))
    rows = Rows(lite.database)
    rows.insert("hammerwork_duties", {"name": "tidy", "claimed_by": one, "due_at": lite.database.now()})
    registry.ask(lite.database, registry.resolve(lite.database, "one"), "stop", "me", grace=5.0)
    report = registry.HeartbeatReport(running=1, job_progress="[]")
    answers = [registry.record_heartbeat(lite.database, worker, report) for worker in (one, other)]
    assert [(answer.request, answer.grace) for answer in answers] == [("stop", 5.0), (None, None)]
    shown = {worker.name: (worker.requested_by, bool(worker.duties)) for worker in registry.listed(lite.database)}
    assert shown == {"one": ("me", True), "other": (None, False)}
    registry.end(lite.database, one, "one", report, lite.database.now())
    kept = lite.database.query("SELECT name, job_progress FROM hammerwork_workers ORDER BY name")
    assert kept == [("one", None), ("other", "[]")]


def test_a_worker_runs_as_many_of_its_claimed_jobs_as_it_has_slots_or_more_if_it_says_so(lite: Stage) -> None:
    worker_named(lite, "name")
    found = registry.resolve(lite.database, "name")

    def running(said: int) -> int:
        return registry.with_jobs(lite.database, found._replace(running=said))[0].running

    assert (running(0), running(1)) == (0, 1)
    claimed(lite, *(Job("noop") for _ in range(3)), worker=found.id)
    assert (running(0), running(1), running(3)) == (2, 2, 3)


def test_a_request_counts_no_child_whose_key_another_job_holds(lite: Stage, app: Handlers) -> None:
    app.register_handler("parent", lambda _: [Job("held").with_unique("key"), Job("free")])
    parent = Job("parent")
    lite.enqueue(parent)
    lite.work(app, queues=("parent",))
    now = lite.database.now()
    spawn_requests.request(lite.database, parent.id, handler=None, config=None, by="me", now=now)
    lite.work(app, queues=("parent",))
    (request,) = spawn_requests.requests(lite.database, parent.id)
    assert (request.state, request.children, len(lite.children(parent))) == ("done", 1, 3)
