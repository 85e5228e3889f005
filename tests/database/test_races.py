"""What two create at the same moment: one gets it, and the other one is told in words, or finds what is there."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import ENDS
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConflictError, DuplicateError
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.queue import queries as queues
from tests.rows import START

AGES = dict.fromkeys(ENDS, timedelta(days=1))
JOB = NewJob.of("mail", "{}", START)


def schedule(database: Database) -> object:
    new = read_schedule({"queue": "mail", "payload": {}, "schedule": "@daily", "name": "nightly"})
    return changes.add(database, new, Author("me"), START)


def policy(database: Database) -> object:
    return policies.put(database, Policy("mail", PolicyAction.ARCHIVE, AGES), by="me", now=START)


def pause(database: Database) -> object:
    return queues.pause(database, "mail", by="me", now=START)


def job(database: Database) -> object:
    return enqueue.once(database, JOB)


def jobs(database: Database) -> object:
    return enqueue.many(database, [JOB])


@contextmanager
def looked_first(database: Database, barrier: threading.Barrier) -> Iterator[None]:
    """Both have looked for what is there before one of them writes, the first time."""
    real, waited = database.run, []

    def run(statement: str, /, **values: Any) -> int:
        if not waited:
            waited.append(statement)
            barrier.wait()
        return real(statement, **values)

    database.run = run  # type: ignore[method-assign]
    yield


@pytest.mark.parametrize("create", [schedule, policy, pause, job, jobs])
def test_of_two_who_create_the_same_one_gets_an_answer_in_words_or_finds_it(
    database: Database, create: Callable[[Database], object]
) -> None:
    # SQLite has one writer at a time, so that nobody looks before another one writes.
    barrier = threading.Barrier(2 if database.dialect != "sqlite" and create is not jobs else 1, timeout=30)
    said: list[str] = []

    def work() -> None:
        with closing(connect(database.url)) as own, looked_first(own, barrier):
            own.transaction(lambda: None)
            try:
                create(own)
            except ConflictError as error:
                said.append(f"{type(error).__name__}: {error.message}")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert said == (["ConflictError: There is already a schedule 'nightly'."] if create is schedule else [])


def test_a_key_that_is_taken_for_good_is_a_conflict(database: Database) -> None:
    insert = "INSERT INTO hammerwork_duties (name, due_at) VALUES ('tidy', '2026-11-29 00:00:00')"
    database.script(insert)
    with pytest.raises(DuplicateError, match="has a row with the same key") as refused:
        database.transaction(lambda: database.script(insert))
    assert refused.value.exit_code == 6
    assert not refused.value.retryable
