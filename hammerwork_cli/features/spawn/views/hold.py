"""Says in a word and in a sentence why a job waits."""

from datetime import datetime

from hammerwork_cli.features.job.models.job import JobDetails
from hammerwork_cli.features.job.views.hold import Hold
from hammerwork_cli.features.spawn.models.why import Delay
from hammerwork_cli.features.spawn.views import delays
from hammerwork_cli.features.spawn.views.why import blocker_text


def hold_of(details: JobDetails, delay: Delay | None, now: datetime) -> Hold | None:
    """Returns the reason why a job waits: for other jobs, or for something else, which is a ``delay``."""
    if details.blocker is not None:
        nodes = {node.id: node for node in details.parents}
        return Hold(details.blocker.reason.value, blocker_text(details.blocker, nodes, named=False))
    return None if delay is None else Hold(delays.hold(delay), delays.hold_text(delay, now))
