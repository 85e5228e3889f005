"""Events are written in the transaction of the change, exactly once, by whoever makes it."""

import contextlib
import time
from datetime import timedelta
from functools import partial

import pytest

from hammerwork_cli import Cancel, Discard, Handlers, Job, RetryStrategy, Snooze, SpawnContext
from hammerwork_cli.database import connect
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries.moving import Archive, RestoreArchived
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import EventJob, EventType
from hammerwork_cli.features.event.shapes import JOB
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import changes, enqueue
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.conftest import all_databases
from tests.rows import START, Rows
from tests.runtime.conftest import Stage, mariadb_too
from tests.runtime.events.conftest import ENDS, Listening

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))
ENQUEUED, STARTED, COMPLETED = "job.enqueued", "job.started", "job.completed"


def change(stage: Stage, how: Change, *jobs: str) -> None:
    changes.run(stage.database, ByIds(list(jobs)), how)


def test_a_job_that_runs_is_enqueued_started_and_completed(stage: Stage, app: Handlers, listening: Listening) -> None:
    app.register_job("quick", lambda _: {"done": True})
    (job,) = stage.enqueue(Job("quick", {"secret": 1}, priority=3))
    stage.work(app)
    assert listening.types(job.id) == [ENQUEUED, STARTED, COMPLETED]
    *_, ended = listening.records()
    data = ended["data"]
    assert (data["queue"], data["status"], data["priority"], data["attempts"]) == ("quick", "Completed", "high", 1)
    assert ended["timestamp"] == data["ended_at"]
    assert data["run_seconds"] >= 0
    assert "payload" not in data


def test_a_failure_has_the_error_with_its_traceback_and_the_reason_in_a_line(
    stage: Stage, app: Handlers, listening: Listening
) -> None:
    app.register_job("fails", lambda _: 1 / 0)
    wanted = listening.add_webhook("dead")
    stage.enqueue(Job("fails", max_attempts=1))
    stage.work(app)
    (delivery,) = listening.deliveries()
    streamed = next(one for one in listening.records() if one["type"] == "job.dead")
    assert delivery == {"webhook": wanted.id, "name": wanted.name, "event": streamed}
    assert streamed["data"]["error"].startswith("ZeroDivisionError: division by zero\n\nTraceback")
    assert streamed["data"]["reason"] == "ZeroDivisionError: division by zero"


def test_each_end_of_an_attempt_has_its_event(stage: Stage, app: Handlers, listening: Listening) -> None:
    def give_up(_: Job) -> None:
        raise Discard("no")

    def cancel(_: Job) -> None:
        raise Cancel("nobody needs it")

    def snooze(job: Job) -> None:
        if job.payload["again"] and not snoozed:
            snoozed.append(job.id)
            raise Snooze(timedelta(milliseconds=1))

    snoozed: list[str] = []
    app.register_job("fails", lambda _: 1 / 0, retry=SOON)
    app.register_job("gives-up", give_up)
    app.register_job("cancels", cancel)
    app.register_job("snoozes", snooze)
    fails = Job("fails").with_max_attempts(2)
    jobs = stage.enqueue(fails, Job("gives-up"), Job("cancels"), Job("snoozes", {"again": True}))
    stage.work(app)
    ends = [listening.types(job.id)[1:] for job in jobs]
    assert ends == [
        [STARTED, "job.retried", STARTED, "job.dead"],
        [STARTED, "job.dead"],
        [STARTED, "job.cancelled"],
        [STARTED, STARTED, COMPLETED],
    ]


def test_a_job_that_takes_too_long_has_timed_out(lite: Stage, app: Handlers) -> None:
    listening = Listening(lite, ENDS)

    @app.job("slow", timeout=timedelta(milliseconds=50))
    def slow(_: Job, context: SpawnContext) -> None:
        while not context.cancelled:
            time.sleep(0.01)

    (job,) = lite.enqueue(Job("slow"))
    lite.work(app)
    assert listening.types(job.id) == [ENQUEUED, STARTED, "job.timed_out"]


def test_children_are_enqueued_when_their_parent_completes(stage: Stage, app: Handlers, listening: Listening) -> None:
    @app.spawn("root")
    def root(context: SpawnContext) -> None:
        yield from (Job("leaf", {"n": n}) for n in range(3))

    app.register_job("leaf", lambda _: None)
    (job,) = stage.enqueue(Job("root"))
    stage.work(app)
    assert listening.types(job.id)[:3] == [ENQUEUED, STARTED, COMPLETED]
    leaves = [one for one in listening.records() if one["data"].get("queue") == "leaf"]
    assert [one["type"] for one in leaves].count(ENQUEUED) == 3
    assert {one["data"]["root_id"] for one in leaves} == {job.id}


def test_dependents_of_a_failed_job_fail_with_an_event_each(stage: Stage, app: Handlers, listening: Listening) -> None:
    def give_up(_: Job) -> None:
        raise Discard("no")

    app.register_job("first", give_up)
    app.register_job("then", lambda _: None)
    first = Job("first")
    then = Job("then").depends_on(first.id)
    last = Job("then").depends_on(then.id)
    stage.enqueue(first, then, last)
    stage.work(app)
    assert [listening.types(one.id)[-1] for one in (first, then, last)] == ["job.dead", "job.failed", "job.failed"]


@all_databases
def test_changes_of_an_operator_have_their_events(stage: Stage, listening: Listening) -> None:
    now = stage.database.now()
    (job,) = stage.enqueue(Job("work"))
    change(stage, CancelJobs(now, by="ada"), job.id)
    change(stage, RetryJobs(now, cancelled=True), job.id)
    change(stage, CancelJobs(now + timedelta(seconds=1), by="ada"), job.id)
    change(stage, Archive(Archival(now, ArchivalReason.MANUAL, "ada")), job.id)
    change(stage, RestoreArchived(now, again=True), job.id)
    assert listening.types(job.id) == [
        ENQUEUED,
        "job.cancelled",
        "job.retried",
        "job.cancelled",
        "job.archived",
        "job.restored",
    ]


@all_databases
def test_a_change_that_is_rolled_back_has_no_event(stage: Stage, listening: Listening) -> None:
    listening.add_webhook("enqueued")

    def work() -> None:
        enqueue.once(stage.database, NewJob.of("work", "{}", stage.database.now()))
        raise KeyError

    with pytest.raises(KeyError):
        stage.database.transaction(work)
    assert listening.records() == []
    assert listening.deliveries() == []
    enqueue.once(stage.database, NewJob.of("work", "{}", stage.database.now()))
    assert listening.types() == [ENQUEUED]
    assert len(listening.deliveries()) == 1


@mariadb_too
def test_an_event_is_written_once_although_the_answer_to_its_commit_was_lost(
    stage: Stage, listening: Listening
) -> None:
    listening.add_webhook("completed")
    stage.enqueue(Job("work"))
    now = stage.database.now()
    (job,) = claim.claim(stage.database, "work", worker=NewJob.of("x", "{}", now).id, now=now, limit=1, slots=1)
    ended = [EndedAttempt(job, AttemptEnd.COMPLETED)]
    for _ in range(3):
        finish.finish(stage.database, ended, now)
    assert listening.types(job.id) == [ENQUEUED, STARTED, COMPLETED]
    assert len(listening.deliveries()) == 1


@all_databases
def test_a_lost_worker_has_an_event_with_what_becomes_of_its_jobs(stage: Stage, listening: Listening) -> None:
    stage.enqueue(Job("work"), Job("work").with_max_attempts(1))
    with contextlib.ExitStack() as closing:
        other = connect(stage.url)
        closing.callback(other.close)
        registered = Handlers()
        registered.register_job("work", lambda _: None)
        stage.work(registered, max_jobs=1)
    listening.clear()
    now = stage.database.now()
    worker = str(stage.database.query("SELECT id FROM hammerwork_workers")[0][0])
    stage.database.script("UPDATE hammerwork_workers SET ended_at = NULL, state = 'running'")
    claim.claim(stage.database, "work", worker=worker, now=now, limit=5, slots=5)
    listening.clear()
    stage.rescue()
    assert set(listening.types()) <= {"job.retried", "job.dead", "worker.lost"}
    assert "worker.lost" in listening.types()
    (lost,) = [one["data"] for one in listening.records() if one["type"] == "worker.lost"]
    assert lost["jobs_retried"] + lost["jobs_dead"] == len(listening.types()) - 1


@all_databases
def test_the_doctor_tells_of_what_it_rescues(stage: Stage, listening: Listening) -> None:
    rows = Rows(stage.database)
    old = stage.database.now() - timedelta(days=2)
    again = rows.job(status="Running", started_at=old, attempts=1)
    dead = rows.job(status="Running", started_at=old, attempts=3)
    now = stage.database.now()
    Doctor(stage.database, now=now, lost_before=now - timedelta(days=1)).rescue()
    assert listening.types(again) == ["job.retried"]
    assert listening.types(dead) == ["job.dead"]


@all_databases
def test_a_queue_that_is_paused_has_one_event(stage: Stage, listening: Listening) -> None:
    now = stage.database.now()
    queues.pause(stage.database, "mail", by="ada", now=now, reason="moving")
    queues.pause(stage.database, "mail", by="ada", now=now, reason="still moving")
    assert [one["data"] for one in listening.records()] == [{"queue": "mail", "paused_by": "ada", "reason": "moving"}]


@all_databases
def test_filters_leave_out_events_of_other_queues_priorities_and_types(stage: Stage, listening: Listening) -> None:
    mail = listening.add_webhook("enqueued", queues=("mail",))
    urgent = listening.add_webhook("enqueued", priorities=("high", "critical"))
    listening.add_webhook("dead")
    stage.enqueue(Job("mail"), Job("report", priority=4), Job("report"))
    told = [(one["webhook"], one["event"]["data"]["queue"]) for one in listening.deliveries()]
    assert sorted(told) == sorted([(mail.id, "mail"), (urgent.id, "report")])


@all_databases
def test_payloads_are_only_for_those_who_asked_for_them(stage: Stage, listening: Listening) -> None:
    curious = listening.add_webhook("enqueued", include_payload=True)
    listening.add_webhook("enqueued")
    stage.enqueue(Job("mail", {"to": "Grüß Gott 東京"}))
    found = {one["webhook"] == curious.id: one["event"]["data"].get("payload") for one in listening.deliveries()}
    assert found == {True: {"to": "Grüß Gott 東京"}, False: None}


def test_deliveries_make_no_events(stage: Stage, app: Handlers, listening: Listening) -> None:
    listening.add_webhook("enqueued")
    stage.enqueue(Job("mail"))
    app.register_job("hammerwork-webhooks", lambda _: None)
    stage.work(app)
    assert listening.told() == [(ENQUEUED, "Pending")]


@all_databases
def test_a_failure_that_another_program_wrote_is_found_once_under_the_same_id(
    stage: Stage, listening: Listening
) -> None:
    listening.add_webhook("dead", "failed", "timed_out")
    rows, database = Rows(stage.database), stage.database
    at, old = database.now(), database.now() - timedelta(days=1)
    dead = rows.job(status="Dead", failed_at=at, attempts=3)
    late = rows.job(status="TimedOut", timed_out_at=at)
    rows.job(status="Dead", failed_at=old)
    rows.job(status="Failed", failed_at=at, error_message="cancelled by ada through hammerwork")
    look = partial(events.write_missed, database, at - timedelta(minutes=10), at + timedelta(minutes=1))
    known = look(set())
    assert look(known) == known
    look(set())  # another worker, which knows nothing of the first one
    told = sorted((one["event"]["type"], one["event"]["data"]["id"]) for one in listening.deliveries())
    assert told == sorted([("job.dead", dead), ("job.timed_out", late)])
    assert len(listening.records()) == 3  # the stream wants cancelled jobs, too


@all_databases
def test_a_delivery_that_was_archived_is_not_made_again(stage: Stage, listening: Listening) -> None:
    listening.add_webhook("dead")
    at = stage.database.now()
    Rows(stage.database).job(status="Dead", failed_at=at, attempts=3)
    look = partial(events.write_missed, stage.database, at - timedelta(minutes=10), at + timedelta(minutes=1))
    look(set())
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE queue_name = 'hammerwork-webhooks'")
    (made,) = [str(job) for (job,) in stage.rows("id", "queue_name = 'hammerwork-webhooks'")]
    change(stage, Archive(Archival(at, ArchivalReason.MANUAL, "ada")), made)
    look(set())
    assert listening.deliveries() == []


def test_a_failure_of_our_own_is_not_found_again(stage: Stage, app: Handlers, listening: Listening) -> None:
    def give_up(_: Job) -> None:
        raise Discard("no")

    listening.add_webhook("dead")
    app.register_job("mail", give_up)
    stage.enqueue(Job("mail"))
    stage.work(app)
    now = stage.database.now()
    events.write_missed(stage.database, now - timedelta(minutes=10), now + timedelta(minutes=1), set())
    assert len(listening.deliveries()) == 1
    assert listening.types().count("job.dead") == 1


@all_databases
def test_failures_from_before_a_webhook_was_added_are_none_of_its_business(stage: Stage) -> None:
    Rows(stage.database).job(status="Dead", failed_at=stage.database.now() - timedelta(minutes=1))
    listening = Listening(stage)
    listening.add_webhook("dead")
    now = stage.database.now()
    events.write_missed(stage.database, now - timedelta(minutes=10), now + timedelta(minutes=1), set())
    assert listening.deliveries() == []
    assert listening.records() == []


def test_without_a_webhook_and_a_stream_a_change_sends_no_statement_more(lite: Stage) -> None:
    now = lite.database.now()
    enqueue.once(lite.database, NewJob.of("work", "{}", now))
    before = lite.database.executed
    enqueue.once(lite.database, NewJob.of("work", "{}", now))
    needed = lite.database.executed - before
    lite.database.forget(events.READERS)
    before = lite.database.executed
    enqueue.once(lite.database, NewJob.of("work", "{}", now))
    assert lite.database.executed - before == needed + 1  # once in some seconds, it looks who wants events


@all_databases
def test_a_webhook_that_wants_others_gets_no_failure_from_before(stage: Stage, listening: Listening) -> None:
    hook = listening.add_webhook("completed")
    Rows(stage.database).job(status="Dead", failed_at=stage.database.now(), attempts=3)
    now = stage.database.now()
    webhooks.update(stage.database, hook._replace(events=(EventType.JOB_DEAD,)), by="test", now=now)
    events.write_missed(stage.database, now - timedelta(minutes=10), now + timedelta(minutes=1), set())
    assert listening.deliveries() == []


@all_databases
@pytest.mark.parametrize("payload", ["[" * 30 + "]" * 30, "1e400"], ids=["deep", "infinite"])
def test_a_payload_that_a_database_may_not_take_inside_an_event_is_left_out(
    stage: Stage, listening: Listening, payload: str
) -> None:
    listening.add_webhook("dead", include_payload=True)
    job = EventJob("", "", "Dead", 2, 1, 1, *[None] * 6, None, [], *[None] * 5, False, payload)  # type: ignore[arg-type]
    assert "payload" not in JOB.record(job)
    dead = Rows(stage.database).job(status="Running", payload=[[[[]]]], started_at=stage.database.now())
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at WHERE id = '{dead}'")
    stage.database.transaction(lambda: events.ended(stage.database, [dead], stage.database.now()))
    assert [one["event"]["data"]["payload"] for one in listening.deliveries()] == [[[[[]]]]]


@all_databases
def test_a_failure_that_a_stream_dropped_is_not_found_again(stage: Stage, listening: Listening) -> None:
    beside = Listening(stage, name="beside")
    database, now = stage.database, stage.database.now()
    Rows(database).job(status="Dead", failed_at=now, attempts=3)
    look = partial(events.write_missed, database, now - timedelta(minutes=10), now + timedelta(minutes=1))
    look(set())
    assert streams.trim(database, listening.stream._replace(max_backlog=0), now) == 1
    look(set())
    assert (listening.records(), beside.types()) == ([], ["job.dead"])


@all_databases
def test_events_of_a_stream_that_is_no_more_are_removed(stage: Stage, listening: Listening) -> None:
    beside = Listening(stage, name="beside")
    stage.enqueue(Job("work"))
    stage.execute(f"DELETE FROM hammerwork_streams WHERE id = '{listening.stream.id}'")
    assert streams.remove_orphans(stage.database) == 1
    assert (listening.records(), beside.told()) == ([], [("job.enqueued", "Pending")])


def test_the_end_of_a_tree_has_the_key_of_its_jobs() -> None:
    record = {"id": "e", "type": "tree.failed", "data": {"id": "root", "queue": "q"}}
    found = events.waiting(record, EventType.TREE_FAILED, START)
    assert [events.key_of(word, found) for word in ("root_id", "job_id", "queue_name")] == ["root", "root", "q"]


def test_a_job_that_waits_again_for_a_job_that_is_retried_has_an_event_too(
    stage: Stage, app: Handlers, listening: Listening
) -> None:
    @app.job("fails")
    def fail(_: Job) -> None:
        raise Cancel("not now")

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> Job:
        context.after_all(Job("after"))
        return Job("fails")

    stage.enqueue(Job("parent", {}))
    stage.work(app)
    jobs = dict(stage.rows("queue_name, id"))
    assert stage.one(jobs["after"]) == "Failed"
    listening.clear()
    change(stage, RetryJobs(stage.database.now(), cancelled=True), jobs["fails"])
    assert stage.one(jobs["after"]) == "Pending"
    assert {queue: listening.types(job) for queue, job in jobs.items()} == {
        "parent": [],
        "fails": ["job.retried"],
        "after": ["job.retried"],
    }
