"""Duties: of several workers, one does what is due."""

import threading
from datetime import timedelta

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.worker.queries import duties, registry
from hammerwork_cli.runtime.worker.streams import duty_of
from tests.rows import START
from tests.worker_context import WORKER

WORKERS = 4
ROUNDS = 5
MINUTE = timedelta(minutes=1)


@pytest.mark.usefixtures("database")
def test_of_workers_that_want_a_duty_at_once_one_gets_it(migrated_url: str) -> None:
    barrier, won = threading.Barrier(WORKERS, timeout=60), []

    def work() -> None:
        worker, database = new_id(), connect(migrated_url)
        try:
            for number in range(ROUNDS):
                seen = duties.times(database).get("tidy")
                barrier.wait()
                if duties.take(database, "tidy", worker, seen=seen, until=START + number * MINUTE):
                    won.append((number, worker))
                barrier.wait()
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [number for number, _ in won] == list(range(ROUNDS))


def test_only_the_worker_that_has_a_duty_moves_it(database: Database) -> None:
    one, other = new_id(), new_id()
    assert duties.take(database, "tidy", one, seen=None, until=START)
    assert duties.keep(database, "tidy", one, until=START + MINUTE)
    assert duties.take(database, "tidy", other, seen=START + MINUTE, until=START + 2 * MINUTE)
    assert not duties.keep(database, "tidy", one, until=START + 3 * MINUTE)
    assert not duties.take(database, "tidy", one, seen=START + MINUTE, until=START + 3 * MINUTE)
    assert duties.times(database) == {"tidy": START + 2 * MINUTE}


def test_a_worker_gives_up_a_duty_that_it_has_and_no_other(database: Database) -> None:
    one, other = new_id(), new_id()
    for name, taker in (("tidy", one), ("sweep", one), ("look", other)):
        assert duties.take(database, name, taker, seen=None, until=START)
    for name in ("tidy", "look"):
        duties.give_up(database, name, one)
    assert duties.times(database).keys() == {"sweep", "look"}


def test_each_worker_is_listed_with_the_duties_that_it_took_last(database: Database) -> None:
    workers = [WORKER._replace(id=new_id(), name=name) for name in ("one", "other", "idle")]
    for worker in workers:
        registry.register(database, worker)
    one, other, _ = workers
    for name, taker in (("tidy", one), ("sweep", one), ("look", other)):
        assert duties.take(database, name, taker.id, seen=None, until=START)
    lake = Stream(new_id(), "a, lake é", Backend.COMMAND, {"command": ["cat"]})
    streams.add(database, lake, by="me", now=START)
    assert duties.take(database, duty_of(lake), other.id, seen=None, until=START)
    found = {worker.name: set(worker.duties) for worker in registry.listed(database)}
    assert found == {"one": {"tidy", "sweep"}, "other": {"look", "stream a, lake é"}, "idle": set()}
