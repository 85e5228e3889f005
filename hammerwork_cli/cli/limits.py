"""The limits of ``monitor health``, ``queue health`` and ``maintenance health``, as options."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from hammerwork_cli.core.input.reading import duration_of, limit_of, number_of, rate_of
from hammerwork_cli.features.maintenance.model import AllowedTables
from hammerwork_cli.features.queue.model import HealthLimits


def _most(metavar: str, about: str) -> Any:
    return typer.Option(metavar=metavar, help=about)


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits that a healthy queue stays within; ``off`` disables a check."""

    max_pending: Annotated[str, _most("JOBS", "Maximum number of ready jobs that no worker has claimed.")] = "10000"
    max_pending_age: Annotated[str, _most("DURATION", "Longest time a ready job may wait for a worker.")] = "1h"
    max_running_age: Annotated[str, _most("DURATION", "Longest time a job may run.")] = "1h"
    max_waiting_age: Annotated[str, _most("DURATION", "Longest time a job may wait for other jobs.")] = "24h"
    max_retrying: Annotated[str, _most("JOBS", "Maximum number of Retrying jobs.")] = "10"
    max_failed: Annotated[str, _most("JOBS", "Maximum number of failures in the last hour.")] = "10"
    max_failure_rate: Annotated[
        str, _most("RATE", "Maximum share of failures among jobs that ended in the last hour.")
    ] = "15%"

    def limits(self) -> HealthLimits:
        return HealthLimits(
            pending=limit_of(self.max_pending, number_of),
            pending_age=limit_of(self.max_pending_age, duration_of),
            running_age=limit_of(self.max_running_age, duration_of),
            waiting_age=limit_of(self.max_waiting_age, duration_of),
            retrying=limit_of(self.max_retrying, number_of),
            failed=limit_of(self.max_failed, number_of),
            failure_rate=limit_of(self.max_failure_rate, rate_of),
        )


@dataclass(frozen=True, slots=True)
class TableLimits:
    """Limits that healthy tables stay within; ``off`` disables a check."""

    max_rows: Annotated[str, _most("N", "Maximum number of rows in the jobs table.")] = "1000000"
    max_dead_rows: Annotated[str, _most("RATE", "Maximum share of dead rows in a table.")] = "20%"
    max_transaction: Annotated[str, _most("DURATION", "Maximum age of an open transaction.")] = "10m"

    def limits(self) -> AllowedTables:
        return AllowedTables(
            limit_of(self.max_rows, number_of),
            limit_of(self.max_dead_rows, rate_of),
            limit_of(self.max_transaction, duration_of),
        )
