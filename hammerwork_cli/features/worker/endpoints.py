"""The endpoint that lists workers."""

from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.views import WORKER
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import QUEUE, limit, start_of, within


def worker_list(call: Call) -> Answer:
    wanted = call.values
    now = call.database.now()
    found = registry.listed(call.database, since=start_of(now, wanted["since"]), now=now)
    chosen = [worker for worker in found if not wanted["queue"] or worker.serves(wanted["queue"])]
    return Answer(WORKER.records(chosen[: wanted["limit"]]))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/workers",
        worker_list,
        "Workers that run or stopped recently, newest first.",
        "worker-list",
        (
            limit(100),
            QUEUE,
            within("Of stopped workers, only those", "1h"),
        ),
    ),
)
