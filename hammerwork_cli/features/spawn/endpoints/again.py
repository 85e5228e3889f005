"""The endpoint by which a job spawns again."""

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.payloads import with_spawn_config
from hammerwork_cli.errors import ConflictError, UsageError
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.options import SPAWN_CONFIG
from hammerwork_cli.features.job.queries import listing, spawn_requests
from hammerwork_cli.features.job.views.spawn_requests import SPAWN_REQUEST
from hammerwork_cli.view import key
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import body, with_whole_numbers


def spawn(call: Call) -> Answer:
    given, job = call.body, listing.resolve(call.database, call.values["id"])
    own = spawn_requests.stored_config(call.database, job)
    config = None
    if given.get("config") is not None:
        asked = with_whole_numbers(given["config"], but="metadata")
        with_spawn_config({}, asked)
        try:
            config = SpawnConfig._parse(
                with_spawn_config({} if own is None else {"_spawn_config": own}, asked)["_spawn_config"]
            )
        except UsageError as error:  # the request is valid: the configuration of the job is not
            raise ConflictError(f"The job {job} cannot spawn. {error.message}") from error
    made = spawn_requests.request(
        call.database, job, handler=given.get("handler"), config=config, by=call.operator[:LONGEST_NAME], now=call.now
    )
    return Answer(SPAWN_REQUEST.record(made), headers={"location": f"/api/jobs/{job}"})


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/jobs/{id}/spawn",
        spawn,
        "Asks a worker to spawn again for a completed job; the job shows the outcome.",
        "spawn-again",
        (JOB,),
        body=body(
            {
                "handler": key.null_or(key.line(1, LONGEST_NAME, "Instead of the job's")),
                "config": key.null_or(SPAWN_CONFIG),
            }
        ),
        changes=True,
        status=202,
        refusals=(404, 409),
    ),
)
