"""The pause between a failed attempt and the next one."""

import logging
from datetime import timedelta
from typing import cast

from hammerwork_cli.core.input import fields
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.handlers import Backoff
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.outcomes import LONGEST
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.host.logs import handled

PAUSE = timedelta(seconds=10)
"""The pause before another attempt when the retry strategy raises an error."""
log = logging.getLogger("hammerwork")


def own_strategy(claimed: Claimed) -> RetryStrategy | None:
    """The strategy that a job carries; ``None`` without one, and for one that cannot be read."""
    own = RetryStrategy._parse(claimed.retry_strategy)
    if own is None and claimed.retry_strategy is not None:
        said = "The retry strategy of the job cannot be read, so that of its handler or worker applies: %.200s"
        log.warning(said, claimed.retry_strategy, extra=handled(claimed))
    return own


def pause(retry: RetryStrategy | Backoff, claimed: Claimed, number: int, error: BaseException) -> timedelta:
    """Returns the pause before the next attempt at a job. Raises nothing.

    Args:
        number: of the failed attempt, from 1.
    """
    try:
        if isinstance(retry, RetryStrategy):
            return retry._delay(number)
        return fields.duration(
            retry(Job._of(claimed), cast(Exception, error)), "The pause before the next attempt", LONGEST
        )
    except BaseException:
        said = "The retry strategy of the job fails; the next attempt is in %s."
        log.exception(said, PAUSE, extra=handled(claimed))
        return PAUSE
