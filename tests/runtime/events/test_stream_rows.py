"""Rows of a stream hold the events of many jobs, and each event waits, is sent and is dropped by itself."""

import json
from datetime import timedelta

import pytest

from hammerwork_cli import Handlers
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import changes, enqueue
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.worker.streams import StreamSenders, trim
from tests.conftest import all_databases
from tests.rows import START
from tests.runtime.conftest import Stage, mariadb_too
from tests.runtime.events.conftest import Listening
from tests.worker_context import worker_context


def enqueued(stage: Stage, number: int, *, after: tuple[str, ...] = ()) -> list[str]:
    """Jobs of one call."""
    database = stage.database
    now = database.now()
    jobs = [NewJob("work", "{}", now, now, depends_on=after) for _ in range(number)]
    database.transaction(lambda: enqueue.insert(database, jobs))
    return [job.id for job in jobs]


def sizes(stage: Stage) -> list[int]:
    """How many events wait in each row."""
    sql = "SELECT events FROM hammerwork_stream_events WHERE sent_at IS NULL ORDER BY id"
    return [int(events) for (events,) in stage.database.query(sql)]


def ids(listening: Listening) -> list[str]:
    return [one["data"]["id"] for one in listening.records()]


@mariadb_too
def test_jobs_of_one_change_share_a_row_and_each_has_its_event(
    stage: Stage, app: Handlers, listening: Listening
) -> None:
    jobs = enqueued(stage, 5)
    app.register_job("work", lambda _: None)
    stage.work(app)
    for kind in ("job.enqueued", "job.started", "job.completed"):
        found = [one for one in listening.records() if one["type"] == kind]
        assert sorted(one["data"]["id"] for one in found) == sorted(jobs)
        assert len({one["id"] for one in found}) == 5
    assert sum(sizes(stage)) == 15
    assert sizes(stage)[0] == 5


@all_databases
def test_events_that_the_backend_took_leave_the_others_in_their_order(stage: Stage, listening: Listening) -> None:
    enqueued(stage, 5)
    enqueued(stage, 2)
    database, waiting = stage.database, listening.records()
    found = streams.unsent(database, listening.stream, 100)
    streams.note_sent(database, listening.stream, [found[place] for place in (1, 3, 6)], database.now())
    assert listening.records() == [waiting[place] for place in (0, 2, 4, 5)]
    assert sizes(stage) == [3, 1]
    streams.note_sent(database, listening.stream, streams.unsent(database, listening.stream, 100), database.now())
    assert sizes(stage) == []
    assert streams.state(database, listening.stream, database.now()).backlog == 0


@all_databases
def test_sent_events_are_forgotten_once_although_the_answer_to_the_commit_was_lost(
    stage: Stage, listening: Listening
) -> None:
    enqueued(stage, 5)
    database, waiting = stage.database, listening.records()
    found = streams.unsent(database, listening.stream, 2)
    for _ in range(2):
        streams.note_sent(database, listening.stream, found, database.now())
    assert listening.records() == waiting[2:]
    rest = streams.unsent(database, listening.stream, 5)
    for _ in range(2):
        streams.note_sent(database, listening.stream, rest, database.now())
    assert [stream.sent for stream in streams.listed(database)] == [5]


def test_events_that_a_stream_sent_long_ago_are_forgotten_when_it_sends_the_next_end_of_a_job(lite: Stage) -> None:
    database, one, other = lite.database, *(Listening(lite, name=name) for name in ("one", "other"))

    def send(*listening: Listening, hours: int) -> dict[str, int]:
        changes.run(database, ByIds(enqueued(lite, 1)), changes.CancelJobs(database.now(), by="me"))
        for stream in (each.stream for each in listening):
            sent, now = streams.unsent(database, stream, 9), database.now() + timedelta(hours=hours)
            streams.note_sent(database, stream, sent, now)
        kept = "SELECT stream_id, COUNT(*) FROM hammerwork_stream_events WHERE sent_at IS NOT NULL GROUP BY 1"
        return dict(database.query(kept))

    send(one, other, hours=0)
    assert send(one, other, hours=0) == {one.stream.id: 2, other.stream.id: 2}
    assert send(one, hours=1) == {one.stream.id: 1, other.stream.id: 2}


@all_databases
def test_as_many_events_are_read_as_are_sent_together(stage: Stage, listening: Listening) -> None:
    enqueued(stage, 3)
    enqueued(stage, 3)
    everything = listening.records()
    for limit in range(1, 7):
        found = streams.unsent(stage.database, listening.stream, limit)
        assert [one.record for one in found] == everything[:limit]


@all_databases
def test_a_backlog_is_full_in_the_middle_of_a_row(stage: Stage, listening: Listening) -> None:
    database = stage.database
    for _ in range(3):
        enqueued(stage, 3)
    first = listening.records()[:4]
    assert streams.trim(database, listening.stream._replace(max_backlog=4), database.now()) == 5
    assert (listening.records(), sizes(stage)) == (first, [3, 1])
    assert streams.trim(database, listening.stream._replace(max_backlog=3), database.now()) == 1
    assert streams.trim(database, listening.stream._replace(max_backlog=3), database.now()) == 0
    assert sizes(stage) == [3]
    (stream,) = streams.listed(database)
    assert stream.dropped == 6


@mariadb_too
def test_a_replay_adds_no_completion_that_waits(stage: Stage, app: Handlers) -> None:
    database, listening = stage.database, Listening(stage, [event for event in EventType if event != "job.completed"])
    since = database.now() - timedelta(minutes=1)
    jobs = enqueued(stage, 4)
    app.register_job("work", lambda _: None)
    stage.work(app)
    assert streams.replay(database, listening.stream, since, database.now()) == 0
    found = streams.unsent(database, listening.stream, 100)
    streams.note_sent(database, listening.stream, found[:1], database.now())
    assert streams.replay(database, listening.stream, since, database.now()) == 1
    assert sorted(ids(listening)) == sorted(jobs)
    streams.note_sent(database, listening.stream, streams.unsent(database, listening.stream, 100), database.now())
    assert streams.replay(database, listening.stream, since, database.now()) == 4
    assert sorted(ids(listening)) == sorted(jobs)


@all_databases
def test_a_job_that_waits_for_many_others_has_a_row_of_its_own(stage: Stage, listening: Listening) -> None:
    parents = enqueued(stage, 40)
    listening.clear()
    jobs = enqueued(stage, 3, after=tuple(parents))
    assert sizes(stage) == [1, 1, 1]
    assert sorted(ids(listening)) == sorted(jobs)


@all_databases
def test_a_row_that_a_worker_of_before_has_written_is_sent(stage: Stage, listening: Listening) -> None:
    enqueued(stage, 1)
    before = listening.records()
    ((body,),) = stage.database.query("SELECT body FROM hammerwork_stream_events")
    (snapshot,) = json.loads(body)
    stage.execute(f"UPDATE hammerwork_stream_events SET body = '{json.dumps(snapshot)}'")
    assert listening.records() == before


def test_an_error_of_sqlite_that_is_no_utf_8_stops_no_stream(lite: Stage, app: Handlers) -> None:
    listening = Listening(lite, [event for event in EventType if event != "job.started"])
    odd, other = enqueued(lite, 2)
    lite.execute(f"UPDATE hammerwork_jobs SET error_message = CAST(x'6eff6f' AS TEXT) WHERE id = '{odd}'")
    app.register_job("work", lambda _: None)
    lite.work(app)
    errors = {one["data"]["id"]: one["data"]["error"] for one in listening.records()}
    assert errors == {odd: "n\ufffdo", other: None}


def test_one_worker_at_a_time_drops_events_above_the_largest_backlog(
    lite: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    listening = Listening(lite)
    enqueued(lite, 9)
    stream, clock = listening.stream._replace(max_backlog=4), ServerClock()
    for worker in ("first", "second"):
        trim(lite.database, stream, worker, clock)
    assert [record.getMessage() for record in caplog.records] == ["Stream all: 5 events dropped: the backlog is full."]
    assert sizes(lite) == [4]


def test_a_worker_asks_once_in_a_look_whether_streams_have_events(lite: Stage) -> None:
    Listening(lite)
    senders = StreamSenders(worker_context(lite.connections))
    senders._look(lite.database)
    before = lite.database.executed
    senders._look(lite.database)
    assert lite.database.executed - before == 1


@all_databases
def test_a_change_is_refused_if_somebody_else_was_faster(stage: Stage, listening: Listening) -> None:
    database = stage.database
    (seen,) = streams.listed(database)
    for name in ("first", "first"):  # again: the answer to the COMMIT was lost
        streams.update(database, seen._replace(name=name), by="ada", now=START)
    with pytest.raises(ConflictError, match="Somebody else has changed"):
        streams.update(database, seen._replace(name="second"), by="bob", now=START + timedelta(seconds=1))
    assert [one.name for one in streams.listed(database)] == ["first"]
