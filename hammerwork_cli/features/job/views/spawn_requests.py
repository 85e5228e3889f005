"""Renders recorded spawns and spawn requests: their shapes, lines for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.tree.model import RecordedSpawn
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import first_line, instant, plural, short_id, shorten, visible

REQUEST_STATES = ("pending", "running", "done", "failed")
SHOWN = 5


def _config(request: SpawnRequest) -> object:
    config = SpawnConfig._parse(request.config) if request.config else None
    return config._stored() if config else None


SPAWN_REQUEST = Shape[SpawnRequest](
    {
        "id": key.uuid(),
        "job_id": key.job_id(),
        "queue": key.text(),
        "handler": key.null_or(key.text("Null for the job's own")),
        "spawn_config": key.spawn_config().of(_config),
        "state": key.word("", *REQUEST_STATES),
        "requested_at": key.null_or(key.instant()),
        "requested_by": key.null_or(key.text()),
        "worker_id": key.null_or(key.uuid("The worker that took it")).of("claimed_by"),
        "ended_at": key.null_or(key.instant()),
        "children": key.null_or(key.count("Children that it spawned")),
        "error": key.null_or(key.text()),
    }
)


def spawns_text(spawns: Sequence[RecordedSpawn], width: int | None, colour: bool) -> Iterator[str]:
    """The last spawns of a job, the newest first."""
    if spawns:
        yield ""
        yield "Spawned" + (f" (the last {SHOWN} of {len(spawns):,})" if len(spawns) > SHOWN else "")
    for spawn in list(reversed(spawns))[:SHOWN]:
        failed = spawn.outcome == "failed"
        what = paint("nothing", "red", colour) if failed else plural(spawn.children, "job")
        named = f" · operation {visible(spawn.operation_id)}" if spawn.operation_id else ""
        asked = f" · as asked by request {short_id(spawn.request_id)}" if spawn.request_id else ""
        by = f" by {visible(spawn.handler)}" if spawn.handler else ""
        yield shorten(f"  {what}{by} · {instant(spawn.ended_at)} UTC{named}{asked}", None if colour else width)
        for name, error in (("", spawn.error), ("on_spawn_complete: ", spawn.hook_error)):
            if error:
                yield shorten(f"    {name}{first_line(error)}", width)


def requests_text(requests: Sequence[SpawnRequest], width: int | None, colour: bool) -> Iterator[str]:
    """The open and failed requests of a job, the newest first."""
    shown = [request for request in requests if request.state != "done"]
    if shown:
        yield ""
        yield "Asked to spawn again" + (f" (the last {SHOWN} of {len(shown):,})" if len(shown) > SHOWN else "")
    for request in shown[:SHOWN]:
        state = paint(visible(request.state), "red" if request.state == "failed" else "yellow", colour)
        by = f" by {visible(request.requested_by)}" if request.requested_by else ""
        yield f"  {short_id(request.id)} · {state} · {instant(request.requested_at)} UTC{by}"
        if request.error:
            yield shorten(f"    {first_line(request.error)}", width)
