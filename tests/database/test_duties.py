"""Duties: of several workers, one does what is due."""

import threading
from datetime import timedelta

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.worker.queries import duties
from tests.rows import START

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
