"""An argument of the wrong kind is a UsageError that says what is wanted, at the call that has it."""

from collections.abc import Callable
from datetime import timedelta
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, Worker, Workflow
from hammerwork_cli.errors import UsageError
from tests.conftest import each_row

URL = "sqlite:///not-there.db"
A_MINUTE = timedelta(minutes=1)


def worker(**options: Any) -> Worker:
    app = Handlers()
    app.register_job("mail", lambda job: None)  # noqa: ARG005
    return Worker(URL, app, **options)


@each_row(
    ("call", "wanted"),
    [
        (lambda: worker(queues="mail"), "queues must be a list of names such as [\"mail\"], not 'mail'."),
        (lambda: worker()._with_queues(["mail"]), "['mail'] is not the name of a queue."),
        (lambda: worker(retry=3), "int is not a retry strategy."),
        (lambda: worker(concurrency="3"), "concurrency must be a whole number from 1 to 2,147,483,647, not '3'."),
        (
            lambda: worker(lease=A_MINUTE),
            "lease must be a number of seconds, above 0, not datetime",
        ),
        (lambda: worker(name=5), "name must be text, not a value of type int."),
        (lambda: worker(poll_interval=0), "poll_interval must be a number of seconds, above 0, not 0."),
        (lambda: worker(poll_interval=nan), "poll_interval must be a number of seconds, above 0, not nan."),
        (lambda: worker(lease=inf), "lease must be at most 2,592,000 seconds, not inf."),
        (lambda: worker(grace=2_592_001), "grace must be at most 2,592,000 seconds, not 2592001."),
        (lambda: worker(queues=["a\ud800"]), "The queue's name has half a character"),
        (lambda: Worker(Path("x")), "The database must be a URL such as sqlite:///jobs.db, not PosixPath('x')."),
        (lambda: Queue(Path("x")), "The database must be a URL such as sqlite:///jobs.db, not PosixPath('x')."),
        (lambda: Queue(URL, patience="x"), "patience must be a number of seconds, 0 or more, not 'x'."),
        (lambda: Queue(URL, pool_size="x"), "pool_size must be a whole number from 1 to 2,147,483,647, not 'x'."),
        (lambda: Queue(URL).enqueue("video"), 'A job must be a Job such as Job("mail", {"to": "you"}), not \'video\'.'),
        (lambda: Queue(URL).enqueue_many("ab"), 'A job must be a Job such as Job("mail", {"to": "you"}), not \'a\'.'),
        (lambda: Queue(URL).enqueue_batch("b", [1]), 'A job must be a Job such as Job("mail", {"to": "you"}), not 1.'),
        (lambda: Queue(URL).enqueue_workflow("w"), "A workflow must be a Workflow with jobs in it, not 'w'."),
        (lambda: Workflow("w").add("a", "b"), "The job 'a' of the workflow must be a Job such as"),
        (
            lambda: Handlers().include("video:app"),
            "include takes a Handlers or a SpawnManager itself, not",
        ),
        (lambda: Handlers().schedule("w", "@daily", {}), "The job of the schedule 'w' must be a Job such as"),
        (
            lambda: Job("mail", timeout=timedelta(0)),
            "timeout must be a timedelta above zero, not",
        ),
        (lambda: Handlers().job("mail", timeout=timedelta(0))(print), "timeout must be a timedelta above zero"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_with_what_is_wanted(call: Callable[[], Any], wanted: str) -> None:
    with pytest.raises(UsageError) as refused:
        call()
    assert refused.value.message.startswith(wanted)
