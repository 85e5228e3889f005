"""Spawn handlers, the managers that know them, and what a job's configuration makes of them."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import (
    Handlers,
    InvalidSpawnConfigError,
    Job,
    RetryStrategy,
    SpawnConfig,
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnHandler,
    SpawnManager,
    UnknownSpawnHandlerError,
    Worker,
)
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.runtime.api.spawn import config_of
from tests.conftest import each_row
from tests.unit.runtime.test_job import row


class Pages(SpawnHandler):
    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        return [Job("page", {"of": context.parent_job.id})]


class LaterPages(SpawnHandler):
    async def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        return [Job("page", {"of": context.parent_job.id})]


class Quacking:
    """A handler of somebody who does not import our base class."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        return [Job("page")]

    def on_spawn_complete(self, result: Any) -> None:
        self.told.append(result)


def pages(context: SpawnContext) -> Iterator[Job]:
    yield Job("page", {"of": context.parent_job.id})


async def later_pages(context: SpawnContext) -> AsyncIterator[Job]:
    yield Job("page", {"of": context.parent_job.id})


def spawned_by(handler: SpawnHandler, parent: Job) -> list[Job]:
    produced: Any = handler.spawn_jobs(SpawnContext(parent))
    return list(produced)


# Managers.


@pytest.mark.parametrize("given", [Pages(), Pages, pages, lambda context: pages(context), Quacking()])
def test_an_object_a_class_or_a_function_is_a_handler(given):
    manager = SpawnManager()
    manager.register_handler("pages", given)
    found = manager._spawn_handler(Job("pages"), SpawnConfig())
    assert found is not None
    assert found.name == "pages"
    assert found.handler.validate_spawn(Job("pages"), SpawnConfig()) is None
    assert [job.queue for job in spawned_by(found.handler, Job("pages"))] == ["page"]


def test_the_hooks_of_an_object_that_only_looks_like_a_handler_are_called():
    manager, given = SpawnManager(), Quacking()
    manager.register_handler("pages", given)
    found = manager._spawn_handler(Job("pages"), SpawnConfig())
    assert found is not None
    found.handler.on_spawn_complete("told")  # type: ignore[arg-type]
    assert given.told == ["told"]


@each_row("given", [None, 17, "pages", int, object(), Job("q")])
def test_a_value_that_is_not_a_handler_is_refused(given):
    with pytest.raises(UsageError, match="is not a spawn handler"):
        SpawnManager().register_handler("pages", given)


@pytest.mark.parametrize("name", ["", None, 17, "h" * 256])
def test_a_handler_has_a_name(name):
    with pytest.raises(UsageError):
        SpawnManager().register_handler(name, pages)


def test_a_name_is_as_long_as_its_record_can_hold():
    SpawnManager().register_handler("h" * 255, pages)
    assert SpawnConfig(handler="h" * 255, operation_id="Ж" * 255).operation_id == "Ж" * 255


def test_a_name_is_given_once():
    manager = SpawnManager()
    manager.register_handler("pages", pages)
    with pytest.raises(UsageError, match="already a spawn handler 'pages'"):
        manager.register_handler("pages", Pages())


def test_the_configured_name_goes_before_the_queue():
    manager = SpawnManager()
    by_name, by_queue = Pages(), Pages()
    manager.register_handler("special", by_name)
    manager.register_handler("documents", by_queue)
    job = Job("documents")
    assert manager._spawn_handler(job, SpawnConfig(handler="special")) == ("special", by_name)
    assert manager._spawn_handler(job, SpawnConfig()) == ("documents", by_queue)
    assert manager._spawn_handler(job, None) == ("documents", by_queue)
    assert manager.handler_names == ("documents", "special")


def test_a_job_that_says_nothing_of_spawning_in_a_queue_without_handler_spawns_nothing():
    manager = SpawnManager()
    manager.register_handler("documents", pages)
    assert manager._spawn_handler(Job("other"), None) is None


@pytest.mark.parametrize(
    ("queue", "config", "name"),
    [("documents", SpawnConfig(handler="typo"), "typo"), ("other", SpawnConfig(), "other")],
)
def test_a_name_that_nobody_registered_is_an_error_that_lists_the_registered_ones(queue, config, name):
    manager = SpawnManager()
    manager.register_handler("documents", pages)
    manager.register_handler("archives", pages)
    with pytest.raises(UnknownSpawnHandlerError, match=f"{name!r}. Registered: archives, documents") as caught:
        manager._spawn_handler(Job(queue), config)
    assert (caught.value.name, caught.value.registered) == (name, ("archives", "documents"))
    with pytest.raises(UnknownSpawnHandlerError, match="Registered: none"):
        SpawnManager()._spawn_handler(Job(queue), config)


def test_a_handler_without_spawn_jobs_says_so():
    with pytest.raises(NotImplementedError, match="Nothing has no spawn_jobs"):
        type("Nothing", (SpawnHandler,), {})().spawn_jobs(SpawnContext(Job("q")))


# Contexts.


def test_outside_a_worker_a_context_cannot_write_children_at_once():
    context = SpawnContext(Job("q"))
    assert context.config == SpawnConfig()
    with pytest.raises(SpawnFailedError, match="Only a worker"):
        context.spawn(Job("child"), key="first")


# Configurations of jobs that are about to spawn.


def test_a_job_without_configuration_has_none():
    assert [config_of(Job("q", payload)) for payload in (None, {}, [1], "text")] == [None] * 4


def test_the_short_form_of_the_specification_is_read():
    stored = {
        "handler": "data_processor",
        "max_spawn_count": 15,
        "operation_id": "op-dataset-123",
        "inherit_priority": True,
        "spawn_delay_ms": 200,
    }
    config = config_of(Job._of(row(payload=json.dumps({"dataset_id": "ds-123", "_spawn_config": stored}))))
    assert config == SpawnConfig(
        handler="data_processor",
        max_spawn_count=15,
        operation_id="op-dataset-123",
        spawn_delay=timedelta(milliseconds=200),
    )


@each_row(
    ("stored", "named"),
    [
        ([], "not a JSON object"),
        ("text", "not a JSON object"),
        ({"max_spawn_count": "15"}, "max_spawn_count"),
        ({"max_spawn_count": -1}, "max_spawn_count"),
        ({"max_spawn_count": 1.5}, "max_spawn_count"),
        ({"inherit_priority": "no"}, "inherit_priority"),
        ({"inherit_timeout": 1}, "inherit_timeout"),
        ({"handler": 5}, "handler"),
        ({"handler": ""}, "handler"),
        ({"handler": "h" * 256}, "handler"),
        ({"spawn_delay_ms": -5}, "spawn_delay_ms"),
        ({"spawn_delay_ms": 10**30}, "spawn_delay_ms"),
        ({"spawn_delay_ms": 36_501 * 86_400_000}, "spawn_delay_ms"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_depth": True}, "max_depth"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_and_the_field_named(stored, named):
    with pytest.raises(InvalidSpawnConfigError, match=named):
        config_of(Job._of(row(payload=json.dumps({"_spawn_config": stored}))))


def test_all_spawn_errors_are_spawn_errors_and_hammerwork_errors():
    from hammerwork_cli.runtime.api import spawn

    kinds = [
        kind
        for kind in vars(spawn).values()
        if isinstance(kind, type) and issubclass(kind, SpawnError) and kind is not SpawnError
    ]
    assert len(kinds) == 6
    assert issubclass(SpawnError, HammerworkError)
    assert len({kind.code for kind in kinds}) == 5


# Handlers: managers that know what jobs do as well.


def test_decorators_register_and_return_the_function_itself():
    app = Handlers()

    @app.job("image_batch", retry=RetryStrategy.fixed(timedelta(seconds=1)), timeout=timedelta(minutes=1))
    def process(job: Job) -> str:
        return f"done {job.queue}"

    @app.job("other")
    async def later(job: Job) -> str:
        return f"done {job.queue}"

    @app.spawn("image_batch")
    def images(context: SpawnContext) -> Iterator[Job]:
        yield Job("resize")

    assert process(Job("image_batch")) == "done image_batch"
    assert [job.queue for job in images(SpawnContext(Job("image_batch")))] == ["resize"]
    handler = app._job_handler("image_batch")
    assert handler is not None
    assert handler.function is process
    assert (handler.retry, handler.timeout) == (RetryStrategy.fixed(timedelta(seconds=1)), timedelta(minutes=1))
    async_handler = app._job_handler("other")
    assert async_handler is not None
    assert async_handler.function is later
    assert (app.queues, app.handler_names) == (("image_batch", "other"), ("image_batch",))
    assert app._job_handler("resize") is None


def test_a_queue_has_one_handler():
    app = Handlers()
    app.register_job("q", print)
    with pytest.raises(UsageError, match="already a handler for jobs of 'q'"):
        app.job("q")(print)


@pytest.mark.parametrize("name", ["", 17, None, "caf\udce9", "a\0b"])
def test_text_that_no_database_can_store_is_refused_as_the_name_of_a_queue_or_a_spawn_handler(name):
    app, manager = Handlers(), SpawnManager()
    for register in (
        lambda: app.register_job(name, print),
        lambda: app.job(name)(print),
        lambda: app.register_handler(name, print),
        lambda: app.spawn(name)(print),
        lambda: manager.register_handler(name, print),
        lambda: Worker("sqlite:///jobs.db", print, queues=[name]),
    ):
        with pytest.raises(UsageError, match="name"):
            register()
    assert (app.queues, app.handler_names, manager.handler_names) == ((), (), ())


def test_a_decorator_without_a_name_is_refused_since_it_would_register_nothing():
    app = Handlers()
    with pytest.raises(UsageError, match=r'Write @app.job\("queue"\)\.'):
        app.job(lambda job: job)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r'Write @app.spawn\("queue"\)\.'):
        app.spawn(pages)  # type: ignore[arg-type]
    for wrong in ("", None, 17):
        with pytest.raises(UsageError, match="A name must be text"):
            app.job(wrong)  # type: ignore[arg-type]
    assert (app.queues, app.handler_names) == ((), ())


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (lambda: None, "()"),
        (lambda job, context, more: None, "(job, context, more)"),  # noqa: ARG005
        (lambda job, *, context: None, "(job, *, context)"),  # noqa: ARG005
        (lambda *, job: None, "(*, job)"),  # noqa: ARG005
    ],
)
def test_a_function_that_takes_no_job_is_refused_when_it_is_registered(function, parameters):
    app = Handlers()
    with pytest.raises(UsageError) as caught:
        app.register_job("q", function)
    said = "The handler of 'q' is called with (job) or (job, context), and <lambda> has the parameters"
    assert caught.value.message == f"{said} {parameters}."
    assert app.queues == ()


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda to, subject: None, "Name the second one context. The payload is job.payload."),  # noqa: ARG005
        (lambda context: None, "The first one is the job."),  # noqa: ARG005
    ],
)
def test_a_job_handler_with_the_parameters_of_something_else_is_refused(function, hint):
    app = Handlers()
    with pytest.raises(UsageError, match=r"is called with \(job\) or \(job, context\), and <lambda> has") as caught:
        app.register_job("q", function)
    assert caught.value.hint == hint
    assert app.queues == ()


def test_a_context_may_have_any_name_with_its_type():
    def typed(job: Job, where: SpawnContext) -> None: ...
    def named(job: Job, where: "SpawnContext") -> None: ...

    app = Handlers()
    for number, function in enumerate((typed, named, lambda job, _: None, lambda job, _context: None)):  # noqa: ARG005
        app.register_job(f"q{number}", function)
        assert app._job_handler(f"q{number}").takes_context


def test_a_spawn_handler_that_expects_the_job_or_has_no_children_is_refused():
    class Misspelt(SpawnHandler):
        def spawn_job(self, context):
            return [context]

    class Method(SpawnHandler):
        def spawn_jobs(self, job):
            return [job]

    manager = SpawnManager()
    for given, said in (
        (Misspelt, "Misspelt has no method spawn_jobs"),
        (Misspelt(), "Misspelt has no method spawn_jobs"),
        (Method, r"is called with \(context\), and spawn_jobs has the parameters \(job\)"),
        (lambda job: [job], r"is called with \(context\), and <lambda> has the parameters \(job\)"),
    ):
        with pytest.raises(UsageError, match=said):
            manager.register_handler("x", given)
    assert manager.handler_names == ()


def test_a_function_that_takes_no_context_is_not_a_spawn_handler():
    class Wrong(SpawnHandler):
        def validate_spawn(self, job: Job) -> None:  # type: ignore[override]
            raise NotImplementedError

        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            raise NotImplementedError

    manager = SpawnManager()
    for given, said in (
        (lambda: [Job("page")], "The spawn handler 'x' is called with (context), and <lambda> has the parameters ()."),
        (
            lambda job, context: [],  # noqa: ARG005
            "The spawn handler 'x' is called with (context), and <lambda> has the parameters (job, context).",
        ),
        (
            Wrong,
            "validate_spawn of the spawn handler 'x' is called with (parent_job, config), and validate_spawn has the"
            " parameters (job).",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            manager.register_handler("x", given)
        assert caught.value.message == said
    assert manager.handler_names == ()


@each_row(
    "function",
    [
        print,
        lambda job, context=None: None,  # noqa: ARG005
        lambda *all: None,  # noqa: ARG005
        lambda job, ctx: None,  # noqa: ARG005
        lambda job, limit=3: None,  # noqa: ARG005
        dict.fromkeys,
    ],
)
def test_a_function_that_takes_a_job_or_also_a_context_is_accepted(function):
    app = Handlers()
    app.register_job("q", function)
    assert app.queues == ("q",)


def test_a_generator_is_no_job_handler_because_nobody_would_run_it():
    with pytest.raises(UsageError, match="is a generator") as caught:
        Handlers().job("q")(pages)
    assert "@app.spawn" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="is a generator"):
        Handlers().job("q")(later_pages)


@pytest.mark.parametrize("options", [{"retry": "fixed"}, {"timeout": 30}, {"timeout": timedelta(0)}])
def test_a_value_that_is_not_a_retry_strategy_or_timeout_is_refused(options):
    with pytest.raises(UsageError):
        Handlers().job("q", **options)(print)


@pytest.mark.parametrize(("queue", "function"), [("", print), (None, print), ("q", None), ("q", "print")])
def test_a_function_that_cannot_be_a_handler_is_refused(queue, function):
    with pytest.raises(UsageError):
        Handlers().register_job(queue, function)
