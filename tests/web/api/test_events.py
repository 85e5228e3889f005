"""The stream of changes, and what it costs."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.web.events import LARGEST_EVENT, MOST_TREES
from tests.conftest import all_databases, on_servers
from tests.web.api.relay import relay
from tests.web.api.servers import LIMITS, Events, Server, serving

MANY = 50
Serve = Callable[..., Server]


@pytest.fixture
def behind(migrated_url: str) -> Iterator[Database]:
    """A connection to the server's database, as a worker has one."""
    with closing(connect(migrated_url)) as database:
        yield database


def job(database: Database, queue: str = "work", *parents: str, count: int = 1) -> list[str]:
    """Jobs that somebody else enqueues now."""
    now = database.now()
    jobs = [NewJob(queue, "{}", now, now, depends_on=parents) for _ in range(count)]
    enqueue.insert(database, jobs)
    return [job.id for job in jobs]


def execute(database: Database, sql: str, *values: Any) -> None:
    mark = database.placeholder
    bound = [database._adapt(value) if isinstance(value, datetime) else value for value in values]
    database._execute(sql.replace("?", mark), bound)


# What is told.


@all_databases
def test_the_life_of_a_job_is_a_stream_of_events(serve: Serve, migrated_url: str, behind: Database) -> None:
    server = serve(migrated_url)
    with server.events() as events:
        assert events.next() == ("ready", {"reachable": True})
        (one,) = job(behind)
        assert [(found["id"], found["status"]) for found in events.jobs(1)] == [(one, "Pending")]
        execute(behind, "UPDATE hammerwork_jobs SET status = 'Running', started_at = ? WHERE id = ?", behind.now(), one)
        assert events.jobs(1)[0]["status"] == "Running"
        execute(behind, "UPDATE hammerwork_jobs SET status = 'Dead', failed_at = ? WHERE id = ?", behind.now(), one)
        assert events.jobs(1)[0]["status"] == "Dead"
        assert server.post(f"/api/jobs/{one}/retry").status_code == 200
        assert events.jobs(1)[0]["status"] == "Pending"
        execute(
            behind,
            "UPDATE hammerwork_jobs SET status = 'Completed', started_at = ?, completed_at = ? WHERE id = ?",
            behind.now(),
            behind.now(),
            one,
        )
        assert events.jobs(1)[0]["status"] == "Completed"
        assert server.post("/api/queues/work/pause").json()["changed"]
        assert events.next("queues", "jobs")[0] == "queues"


def test_a_job_that_timed_out_is_an_event(serve: Serve, migrated_url: str, behind: Database) -> None:
    server = serve(migrated_url)
    (one,) = job(behind)
    with server.events() as events:
        events.next("ready")
        execute(
            behind, "UPDATE hammerwork_jobs SET status = 'TimedOut', timed_out_at = ? WHERE id = ?", behind.now(), one
        )
        assert events.jobs(1)[0]["status"] == "TimedOut"


def test_one_may_watch_a_queue_or_a_tree_only(serve: Serve, migrated_url: str, behind: Database) -> None:
    server = serve(migrated_url)
    (root,) = job(behind, "roots")
    (child,) = job(behind, "children", root)
    with server.events(queue="mail") as mail, server.events(root=child[:13]) as tree:
        mail.next("ready")
        tree.next("ready")
        (other,) = job(behind, "mail")
        (grandchild,) = job(behind, "mail", child)
        (below,) = job(behind, "other", grandchild)
        assert {found["id"] for found in mail.jobs(2)} == {other, grandchild}
        assert {found["id"] for found in tree.jobs(2)} == {grandchild, below}


def test_a_tree_that_cannot_be_followed_is_refused(serve: Serve, migrated_url: str) -> None:
    server = serve(migrated_url)
    for question, status in (("root=ffffffff", 404), ("root=x", 400), ("queue=", 400), ("rot=1", 400)):
        assert server.get(f"/api/events?{question}").status_code == status


@pytest.mark.sqlite
def test_a_client_is_reset_when_too_much_changes(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    with server.events() as events, closing(connect(empty_url)) as behind:
        events.next("ready")
        job(behind, count=2500)
        assert events.next("jobs", "reset") == ("reset", {"reason": "too_many"})


@pytest.mark.sqlite
def test_a_large_change_comes_in_pieces(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    with server.events() as events, closing(connect(empty_url)) as behind:
        events.next("ready")
        ids = job(behind, count=450)
        pieces = [events.next("jobs")[1]["jobs"] for _ in range(3)]
        assert [len(piece) for piece in pieces] == [200, 200, 50]
        assert {found["id"] for piece in pieces for found in piece} == set(ids)


@pytest.mark.sqlite
def test_the_head_of_the_stream_ends_and_watches_nothing(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    head = server.client.head("/api/events")
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert watchers(server) == 0


# What it costs.


def statements(server: Server) -> int:
    """Statements that the server has sent so far, by its own account."""
    found = re.search(r"^hammerwork_web_statements_total (\S+)$", server.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))


@pytest.mark.sqlite
def test_a_job_that_is_too_large_for_an_event_is_to_be_looked_at(serve: Callable[..., Server], empty_url: str) -> None:
    server = serve(empty_url)
    with server.events() as events, closing(connect(empty_url)) as database:
        events.next("ready")
        payload = json.dumps({"_spawn_config": {"metadata": "x" * LARGEST_EVENT}})
        enqueue.insert(database, [NewJob("work", payload, database.now(), database.now())])
        assert events.next("reset", "jobs") == ("reset", {"reason": "too_large"})


@pytest.mark.sqlite
def test_50_who_watch_cost_the_database_no_more_than_one(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    questions = ["/api/spawn/operations", "/api/spawn/stats", "/api/queues", "/api/jobs"]

    def cost(watchers: int) -> tuple[int, int, float]:
        """Statements while all watch, and ask the same again when something has changed; changes told; seconds."""
        heard: list[int] = []
        with ExitStack() as stack:
            streams = [stack.enter_context(server.events()) for _ in range(watchers)]
            for stream in streams:
                stream.next("ready")
            before, began = statements(server), time.monotonic()

            def watch(stream: Any) -> None:
                for _ in range(3):
                    stream.next("jobs")
                    for question in questions:
                        server.json(question)
                    heard.append(1)

            with ThreadPoolExecutor(watchers) as threads:
                watching = [threads.submit(watch, stream) for stream in streams]
                for number in range(3):
                    # All have asked before the next change: it could not be written in time while 50 threads ask, and
                    # the server looks for changes of the last seconds. Who ends earlier has failed, and says below why.
                    while len(heard) < number * watchers and not any(one.done() for one in watching):
                        time.sleep(0.05)
                    with closing(connect(empty_url)) as behind:
                        job(behind)
                for one in watching:
                    one.result()
            return statements(server) - before, len(heard), time.monotonic() - began

    alone, heard_alone, _ = cost(1)
    together, heard_together, long = cost(MANY)
    assert (heard_alone, heard_together) == (3, 3 * MANY)
    # A look a second, and an answer to each question a second and after each change, as one client alone asks for
    # three of them. Fifty clients need some seconds longer; each by itself would cost as much as one alone.
    assert together <= (long + 6) * alone / 3, (alone, together, long)


@pytest.mark.postgres
@pytest.mark.long
def test_the_server_of_the_database_counts_the_same(serve: Serve, new_database: Callable[..., str]) -> None:
    url = new_database("postgres", migrated=True)
    server = serve(url)

    def transactions() -> int:
        with closing(connect(url)) as own:
            time.sleep(1.2)  # the server gathers its figures once a second
            own.query("SELECT pg_stat_clear_snapshot()")
            return int(own.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")[0][0])

    def watched(watchers: int) -> int:
        with ExitStack() as stack:
            for _ in range(watchers):
                stack.enter_context(server.events()).next("ready")
            time.sleep(11)  # a session that has become idle gives its last figures away within ten seconds
            before = transactions()
            time.sleep(3)
            return transactions() - before

    alone = watched(1)
    assert alone >= 3
    assert watched(MANY) <= alone + 10


@pytest.mark.sqlite
def test_nothing_is_asked_while_nobody_watches(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    with server.events() as events:
        events.next("ready")
    while watchers(server):
        time.sleep(0.1)
    # The figures beside the count are kept for five seconds: the first count pays for them, the second does not.
    time.sleep(5.5)
    before = statements(server)
    time.sleep(3)
    assert statements(server) == before


@pytest.mark.sqlite
def test_equal_questions_at_the_same_time_are_asked_once(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    server.json("/api/queues")
    time.sleep(1.1)
    before = statements(server)
    threads = [threading.Thread(target=server.json, args=("/api/queues",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statements(server) - before <= 3


# Breaking off.


@on_servers
def test_who_watches_hears_that_the_database_is_gone_and_back(
    new_database: Callable[..., str], dialect: str, tmp_path: Path
) -> None:
    url = new_database(dialect, migrated=True)
    with (
        relay(url) as line,
        serving(line.url, home=tmp_path) as server,
        closing(connect(url)) as behind,
        server.events() as events,
    ):
        assert events.next() == ("ready", {"reachable": True})
        line.cut()
        assert events.next() == ("database", {"reachable": False})
        (meanwhile,) = job(behind)
        line.mend()
        assert events.next() == ("database", {"reachable": True})
        assert [found["id"] for found in events.jobs(1)] == [meanwhile]


def test_who_goes_away_is_forgotten(serve: Serve, empty_url: str) -> None:
    server = serve(empty_url)
    for _ in range(3):
        with server.events() as events:
            events.next("ready")
            assert watchers(server) >= 1
    deadline = time.monotonic() + 20
    while watchers(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert watchers(server) == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("of_trees", [False, True])
def test_a_client_with_many_streams_does_not_lock_others_out(
    new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_trees: bool
) -> None:
    url = new_database("sqlite", migrated=True)
    with closing(connect(url)) as database:
        jobs = job(database, count=MOST_TREES + 3) if of_trees else [""] * 20
    # Connections for twelve streams; or more than there are streams of trees.
    with serving(url, home=tmp_path, files=None if of_trees else 152) as server, ExitStack() as stack:
        most = MOST_TREES if of_trees else 12
        greedy, other = (
            stack.enter_context(
                httpx.Client(
                    base_url=server.url, timeout=30, transport=httpx.HTTPTransport(local_address=address, limits=LIMITS)
                )
            )
            for address in ("127.0.0.1", "127.0.0.2")
        )

        def follow(client: httpx.Client, number: int) -> tuple[int, Events]:
            root = {"root": jobs[number]} if of_trees else {}
            answer = stack.enter_context(client.stream("GET", "/api/events", params=root))
            return answer.status_code, Events(answer.iter_lines())

        held = [follow(greedy, number) for number in range(most)]
        assert {status for status, _ in held} == {200}
        assert follow(greedy, most)[0] == 503
        admitted = [follow(other, number) for number in range(most, most + 3)]
        assert [(status, events.next()[0]) for status, events in admitted] == [(200, "ready")] * 3
        for _, events in held[:3]:  # the oldest streams have ended
            assert events.next()[0] == "ready"
            with pytest.raises(EOFError):
                events.next()
        assert follow(greedy, 0)[0] == 503
        assert held[3][1].next()[0] == "ready"


def watchers(server: Server) -> int:
    found = re.search(r"^hammerwork_web_watchers (\S+)$", server.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))
