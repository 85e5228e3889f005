"""Handlers for workers that find them by name."""

from collections.abc import Iterator
from datetime import timedelta

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext

app = Handlers()


@app.job("parent", retry=RetryStrategy.fixed(timedelta(milliseconds=5)))
def parent(job: Job, context: SpawnContext) -> None:
    """Fails twice after it has spawned."""
    context.after_all(Job("report"))
    context.spawn(Job("child", {"early": True}), key="early")
    if job.attempts < 3:
        raise ValueError(job.attempts)


@app.spawn("parent")
def children(context: SpawnContext) -> Iterator[Job]:
    """Spawns three more."""
    del context
    for number in range(3):
        yield Job("child", {"number": number})


@app.job("child")
def child(job: Job) -> None:
    """Does nothing."""


@app.job("report")
def report(job: Job, context: SpawnContext) -> int:
    """Counts."""
    return len(context.results())
