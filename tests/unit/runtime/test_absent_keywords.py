"""Keywords of other queues, and of hammerwork (Rust): each is refused with what to use instead, which exists."""

import asyncio
import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_type_hints

import pytest

from hammerwork_cli import AsyncQueue, Handlers, Job, Queue, RetryStrategy, Worker
from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.api.absent import _KEYWORDS
from hammerwork_cli.runtime.api.handlers import HandlerOptions

QUEUE = Queue("sqlite:///none.db")
CALLS: dict[str, list[Callable[..., Any]]] = {
    "Job": [
        lambda **given: Job("mail", {}, **given),
        lambda **given: QUEUE.enqueue(Job("mail"), **given),
        lambda **given: QUEUE.enqueue_many([Job("mail")], **given),
        lambda **given: asyncio.run(AsyncQueue("sqlite:///none.db").enqueue(Job("mail"), **given)),
    ],
    "handler": [
        lambda **given: Handlers().job("mail", **given)(print),
        lambda **given: Handlers().cron(**{"schedule": "@daily", "name": "mail", "timezone": "UTC", **given})(print),
    ],
    "Worker": [lambda **given: Worker(QUEUE, Handlers(), queues=["mail"], **given)],
    "enqueue": [lambda **given: QUEUE.enqueue(Job("mail"), **given)],
}


@pytest.mark.parametrize("kind", _KEYWORDS)
def test_a_keyword_of_another_queue_is_refused_with_what_to_use_instead(kind: str) -> None:
    for keyword, instead in _KEYWORDS[kind].items():
        for call in CALLS[kind]:
            if call is CALLS["handler"][1] and keyword == "schedule":
                continue  # it takes one
            with pytest.raises((TypeError, UsageError)) as refused:
                call(**{keyword: 1})
            said = f"{refused.value} {getattr(refused.value, 'hint', '')}"
            assert f"Use {instead}" in said, said
            assert repr(keyword) in said, said


def test_each_name_in_a_hint_exists() -> None:
    of_job, of_handler = inspect.signature(Job).parameters, get_type_hints(HandlerOptions)
    of_worker = {*inspect.signature(Worker).parameters}
    taken = {"Job": {*of_job}, "handler": {*of_handler}, "Worker": of_worker, "enqueue": {"connection"}}
    for kind, keywords in _KEYWORDS.items():
        assert not keywords.keys() & taken[kind]
        for instead in keywords.values():
            assert {*re.findall(r"Job\((\w+)=", instead)} <= taken["Job"]
            for name, method in re.findall(r"(Job|app|Queue)(?:\(\.\.\.\))?\.([a-z_]+)\(", instead):
                assert hasattr({"Job": Job, "app": Handlers, "Queue": Queue}[name], method), instead
            if own := re.match(r"(\w+)=", instead):
                assert own[1] in taken[kind], instead


def test_a_field_of_a_job_and_the_parts_of_one_are_named_where_a_job_is_taken() -> None:
    with pytest.raises(TypeError, match=r"argument 'delay'\. Use Job\(delay=\.\.\.\)\.$"):
        QUEUE.enqueue(Job("mail"), delay=timedelta(1))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"were given\. Use enqueue\(Job\(queue, payload\)\)\.$"):
        QUEUE.enqueue("mail", {"to": "ada"})  # type: ignore[arg-type, misc]


def test_other_errors_stay_as_python_and_the_checks_of_values_have_them() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'nothing'$"):
        Job("mail", nothing=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"multiple values for argument 'queue'$"):
        Job("mail", queue="mail")  # type: ignore[misc]
    with pytest.raises(UsageError, match="is not a priority"):
        Job("mail", priority="odd")
    assert inspect.iscoroutinefunction(AsyncQueue.enqueue)
    assert Job("mail", {}, retry_strategy=RetryStrategy.fixed(timedelta(1))).max_attempts == 3


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda worker: worker.with_queues("mail").queues, "Worker.with_queues"),
        (lambda worker: worker.with_options(max_jobs=1) and worker.queues, "Worker.with_options"),
        (lambda worker: tuple(one.name for one in worker._handlers.schedules), "Handlers.schedules"),
    ],
)
def test_a_name_of_the_last_release_works_and_warns_at_the_line_that_uses_it(use, name):
    app = Handlers()
    app.job("mail")(print)
    app.schedule("mail", "@daily", Job("mail"))
    with pytest.warns(DeprecationWarning, match=f"^{name} will be gone") as caught:
        assert use(Worker("sqlite:///jobs.db", app, queues=["mail"])) == ("mail",)
    assert [one.filename for one in caught] == [__file__]
