"""Says who serves a queue: its pause, its workers, and those that do not claim its jobs."""

from collections.abc import Iterator

from hammerwork_cli.features.queue.model import QueuePause, Service
from hammerwork_cli.features.worker.models.worker import RegisteredWorker
from hammerwork_cli.features.worker.views import held_text, stalled_text
from hammerwork_cli.view.text import count, instant, plural, silence, visible

_NAMED = 3


def pause_text(pause: QueuePause) -> str:
    """The time, the author and the reason of a pause."""
    by = f" by {visible(pause.paused_by)}" if pause.paused_by else ""
    reason = f": {visible(pause.reason)}" if pause.reason else ""
    together = "with all queues " if pause.is_of_all else ""
    return f"{together}since {instant(pause.paused_at)} UTC{by}{reason}"


def paused_text(pause: QueuePause) -> str:
    """Since when, by whom and why: "paused since 2026-11-24 14:18:25 UTC by ann@desk: disk full"."""
    return f"paused {pause_text(pause)}"


def obstacle_text(worker: RegisteredWorker) -> str:
    """Why a worker that has not ended claims no jobs."""
    if not worker.is_alive:
        return silence(worker.name, worker.silent_for, worker.lease)
    name = visible(worker.name)
    if worker.stalled:
        return f"{name} is stalled: {stalled_text(worker)}"
    running = f", and still runs {plural(worker.running, 'job')}" if worker.running else ""
    return f"{name} is stopping and claims no jobs{running}"


def service_facts(service: Service) -> Iterator[str]:
    """Why a job that is due does not run, as facts about its queue; none where a worker is about to claim it."""
    if service.pause is not None:
        yield f"the queue is {paused_text(service.pause)}"
    if service.is_unfinished:
        yield "Rust workers claim nothing until the tables are finished"
    if service.workers is not None and not service.workers:
        yield "no running worker serves this queue (Rust workers do not register)"
        yield from map(obstacle_text, service.others[:_NAMED])
    elif service.workers and service.is_busy:
        slots = sum(worker.concurrency for worker in service.workers)
        yield f"all {count(slots)} slots of its workers are taken" if slots > 1 else "the slot of its worker is taken"
        yield from (held_text(worker.held or 0, visible(worker.name)) for worker in service.held[:_NAMED])


def others_text(others: tuple[RegisteredWorker, ...]) -> str:
    """How many workers of a queue claim no jobs, by their states: "1 stopping, 2 silent"."""
    states = [worker.state for worker in others]
    return ", ".join(f"{count(states.count(state))} {state}" for state in dict.fromkeys(states))
