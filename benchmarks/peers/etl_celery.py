"""examples/etl.py with Celery: Procrastinate has no join.

One failed row would keep the sum from being made, so rows return their errors. The extraction may die between two rows,
and the sum gets all results in one list.
"""

import csv
import os
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

from celery import Celery, chord
from pydantic import BaseModel

RATES = {"EUR": Decimal(1), "NOK": Decimal("0.085")}
app = Celery("etl_celery", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_URL"])


class Sale(BaseModel):
    """A row of the file."""

    day: date
    shop: str
    currency: str
    amount: Decimal


@app.task
def extract(path: str) -> None:
    """Enqueues a task for each row, and one for their results."""
    with Path(path).open(encoding="utf-8", newline="") as lines:
        chord([transform.s(row) for row in csv.DictReader(lines)])(load.s())


@app.task
def transform(row: dict[str, str]) -> dict[str, str | int]:
    """Converts the amount."""
    try:
        sale = Sale.model_validate(row)
        return {"shop": sale.shop, "cents": round(100 * sale.amount * RATES[sale.currency])}
    except (ValueError, KeyError) as error:
        return {"error": str(error)}


@app.task
def load(rows: list[dict[str, str | int]]) -> dict[str, int]:
    """The sum of each shop, and the number of rows that failed."""
    sums = Counter[str](failed=0)
    for row in rows:
        if "error" in row:
            sums["failed"] += 1
        else:
            sums[str(row["shop"])] += int(row["cents"])
    return sums
