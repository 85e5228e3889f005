"""Renders recorded spawns and spawn requests: records for programs, lines for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.models import RecordedSpawn, SpawnConfig, SpawnRequest, rfc3339
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, known
from hammerwork_cli.render.formats.text import first_line, instant, plural, short_id, shorten, visible
from hammerwork_cli.render.spawn.records import REQUEST_STATES

SHOWN = 5


def request_record(request: SpawnRequest) -> Record:
    """A spawn request; ``spawn_config`` if it differs from the job's own."""
    config = SpawnConfig.parse(request.config) if request.config else None
    return {
        "id": request.id,
        "job_id": request.job_id,
        "queue": request.queue,
        "handler": request.handler,
        "spawn_config": config.stored() if config else None,
        "state": known(request.state, REQUEST_STATES),
        "requested_at": rfc3339(request.requested_at),
        "requested_by": request.requested_by,
        "worker_id": request.claimed_by,
        "ended_at": rfc3339(request.ended_at),
        "children": request.children,
        "error": request.error,
    }


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
