"""The limits of the checks of tables, as options of ``monitor health --tables`` and ``maintenance health``."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, NamedTuple

import typer

from hammerwork_cli.core.input.reading import duration_of, number_of, rate_of
from hammerwork_cli.features.queue.limits import limit_of


class AllowedTables(NamedTuple):
    """The limits; ``None`` switches a check off."""

    rows: int | None  # most rows of the table of jobs
    dead: float | None  # largest share of dead rows of a table
    transaction: timedelta | None  # longest time that a transaction may be open


@dataclass(frozen=True, slots=True)
class TableLimits:
    """Limits that healthy tables stay within; ``off`` disables a check."""

    max_rows: Annotated[
        str, typer.Option("--max-rows", metavar="N", help="Maximum number of rows in the jobs table.")
    ] = "1000000"
    max_dead_rows: Annotated[
        str, typer.Option("--max-dead-rows", metavar="RATE", help="Maximum share of dead rows in a table.")
    ] = "20%"
    max_transaction: Annotated[
        str, typer.Option("--max-transaction", metavar="DURATION", help="Maximum age of an open transaction.")
    ] = "10m"

    def limits(self) -> AllowedTables:
        return AllowedTables(
            limit_of(self.max_rows, number_of),
            limit_of(self.max_dead_rows, rate_of),
            limit_of(self.max_transaction, duration_of),
        )
