"""The endpoint that says what is wrong."""

from hammerwork_cli.features.monitor.models.health import USUAL_LIMITS
from hammerwork_cli.features.monitor.queries import health as checks
from hammerwork_cli.features.monitor.views.health import HEALTH_REPORT
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint


def health(call: Call) -> Answer:
    now = call.database.now()
    return Answer(HEALTH_REPORT.record(checks.report(call.database, USUAL_LIMITS, now=now)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/health",
        health,
        "What is wrong now: each check with the next step.",
        "monitor-health",
        is_kept=True,
    ),
)
