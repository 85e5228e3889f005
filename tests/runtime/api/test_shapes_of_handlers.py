"""What a worker calls is what was looked at: handlers of every shape get the job, and the context if they want it."""
# ruff: noqa: ARG005  shapes of parameters are the subject

import functools
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext
from hammerwork_cli.errors import UsageError
from tests.runtime.conftest import Stage

pytestmark = pytest.mark.sqlite


def plain(job: Job) -> str:
    return "job"


def with_context(job: Job, context: SpawnContext) -> str:
    return f"job, {type(context).__name__}"


def typed(job: Job, place: SpawnContext) -> str:
    return f"job, {type(place).__name__}"


def optional(job: Job, ctx: Any = None) -> str:
    return f"job, {type(ctx).__name__}"


async def later(job: Job, context: SpawnContext) -> str:
    return with_context(job, context)


def passing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def with_job(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(job: Job) -> Any:
        return function(job, None)

    return wrapper


def with_more(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(job: Job, context: SpawnContext) -> str:
        return f"{function(job)}, {type(context).__name__}"

    return wrapper


class Shop:
    def method(self, job: Job, context: SpawnContext) -> str:
        return with_context(job, context)

    @passing_on
    def decorated(self, job: Job, context: SpawnContext) -> str:
        return with_context(job, context)

    @classmethod
    def of_class(cls, job: Job) -> str:
        return plain(job)

    @staticmethod
    def static(job: Job, context: SpawnContext) -> str:
        return with_context(job, context)

    @passing_on
    def __call__(self, job: Job, context: SpawnContext) -> str:
        return with_context(job, context)


class Later:
    async def __call__(self, job: Job, _context: SpawnContext) -> str:
        return with_context(job, _context)


BOTH = "job, SpawnContext"
SHAPES: dict[str, tuple[Callable[..., Any], str]] = {
    "plain": (plain, "job"),
    "with_context": (with_context, BOTH),
    "typed": (typed, BOTH),
    "optional": (optional, BOTH),
    "later": (later, BOTH),
    "passing_on_plain": (passing_on(plain), "job"),
    "passing_on_with_context": (passing_on(with_context), BOTH),
    "passing_on_later": (passing_on(later), BOTH),
    "passing_on_twice": (passing_on(passing_on(with_context)), BOTH),
    "passing_on_optional": (passing_on(optional), BOTH),
    "with_job_alone": (with_job(with_context), "job, NoneType"),
    "passing_on_with_job_alone": (passing_on(with_job(with_context)), "job, NoneType"),
    "with_more": (with_more(plain), BOTH),
    "partial": (functools.partial(lambda prefix, job, context: with_context(job, context), "prefix"), BOTH),
    "partial_with_context": (functools.partial(with_context, context="mine"), "job, str"),
    "method": (Shop().method, BOTH),
    "decorated_method": (Shop().decorated, BOTH),
    "class_method": (Shop.of_class, "job"),
    "static_method": (Shop.static, BOTH),
    "object": (Shop(), BOTH),
    "object_of_coroutines": (Later(), BOTH),
    "any": (lambda *args: ", ".join(type(one).__name__.lower() for one in args), "job"),
    "any_keywords": (lambda job, **kwargs: f"job{kwargs or ''}", "job"),
    "other_default": (lambda job, retries=3: f"job{'' if retries == 3 else retries}", "job"),
}


def test_handlers_of_every_shape_are_called_as_they_look(lite: Stage) -> None:
    app = Handlers()
    for name, (function, _) in SHAPES.items():
        app.register_job(name, function)
    jobs = lite.enqueue(*(Job(name, max_attempts=1) for name in SHAPES))
    lite.work(app, concurrency=4)
    results = lite.queue.results(jobs)
    found = {job.queue: results.get(job.id, lite.one(job, "error_message")) for job in jobs}
    assert found == {name: says for name, (_, says) in SHAPES.items()}


def keyword(job: Job, *, context: Any = None) -> None: ...


def keyword_by_type(job: Job, *, place: SpawnContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (keyword, "Write context as the second parameter, without the * before it."),
        (keyword_by_type, "Write context as the second parameter, without the * before it."),
        (passing_on(keyword), "Write context as the second parameter, without the * before it."),
        (passing_on(lambda context: None), "The first one is the job."),
        (passing_on(lambda job, payload: None), "Name the second one context. The payload is job.payload."),
        (passing_on(lambda: None), None),
        (lambda job, context, more: None, None),
    ],
)
def test_a_shape_that_cannot_be_called_is_refused_in_one_sentence(function: Any, hint: str | None) -> None:
    with pytest.raises(
        UsageError, match=r"^The handler of 'q' is called with \(job\) or \(job, context\), and "
    ) as got:
        Handlers().register_job("q", function)
    assert got.value.hint == hint
