from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from examples.etl import Sale, app
from hammerwork_cli import Job, SpawnConfig
from hammerwork_cli.testing import Jobs, run

ROWS = 150


def test_the_shops_are_summed_and_a_row_that_does_not_fit_fails_alone(jobs: Jobs) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "sales.csv")
        lines = ["day,shop,currency,amount", *(f"2026-11-30,Oslo,NOK,{amount}" for amount in range(ROWS))]
        path.write_text("\n".join([*lines, "2026-11-30,Rome,EUR,5", "2026-11-30,Rome,EUR,five"]), encoding="utf-8")
        jobs.queue.enqueue(Job("extract", {"path": str(path)}).with_spawn_config(SpawnConfig(max_spawn_count=None)))
        report = jobs.drain(app)
    assert (report.completed, report.failed) == (ROWS + 3, 1)
    assert "amount must be a number" in str(report.errors[0])
    (load,) = jobs.queue.jobs("load")
    assert load.result == {"failed": 1, "Rome": 500, "Oslo": sum(round(8.5 * amount) for amount in range(ROWS))}


@pytest.mark.parametrize(("currency", "status"), [("NOK", "Completed"), ("FRF", "Dead")])
def test_a_currency_without_a_rate_is_not_tried_again(currency: str, status: str) -> None:
    sale = Job("transform", Sale(date(2026, 11, 30), "Oslo", currency, Decimal("99.90")))
    assert run(app, sale).status == status
