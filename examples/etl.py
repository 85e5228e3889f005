r"""An import of a file: a job for each row, and one that adds up what they return.

```sh
printf 'day,shop,currency,amount\n2026-11-30,Oslo,NOK,99.90\n2026-11-30,Rome,EUR,5\n' >sales.csv
hammerwork job enqueue --queue extract --payload '{"path": "sales.csv"}' --max-spawn-count 100000
hammerwork worker start --handlers examples.etl:app --drain
```
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from hammerwork_cli import Handlers, Job, SpawnContext

RATES = {"EUR": Decimal(1), "NOK": Decimal("0.085")}
app = Handlers()


@dataclass
class Sale:
    """A row of the file. One that does not fit fails its own job, with an error that names the field."""

    day: date
    shop: str
    currency: str
    amount: Decimal


@app.spawn("extract")
def rows(context: SpawnContext) -> Iterator[Job]:
    """All rows or none: they are written in the transaction that completes the parent."""
    context.after_all(Job("load"), on_failure="run")
    with Path(context.parent_job.payload["path"]).open(encoding="utf-8", newline="") as lines:
        yield from (Job("transform", row) for row in csv.DictReader(lines))


@app.job("transform", give_up_on=KeyError)
def transform(job: Job[Sale]) -> dict[str, str | int]:
    """Converts the amount."""
    sale = job.payload
    return {"shop": sale.shop, "cents": round(100 * sale.amount * RATES[sale.currency])}


@app.job("load")
def load(_: Job, context: SpawnContext) -> dict[str, int]:
    """The sum of each shop, and the number of rows that failed. Results are read a thousand at a time."""
    sums = Counter[str](failed=0)
    for row in context.results().ended():
        if row.status == "Completed":
            sums[row.result["shop"]] += row.result["cents"]
        else:
            sums["failed"] += 1
    return sums
