"""`job list` and `job show` say what recurs, what is overdue, and which schedule made a job."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from hammerwork_cli.database import connect
from tests.rows import START, Rows

NOW = START + timedelta(hours=2)
LATER = {"HAMMERWORK_NOW": NOW.isoformat()}


def test_recurring_and_overdue_jobs_are_marked(migrated_url: str, run: Callable[..., Any]) -> None:
    with closing(connect(migrated_url)) as database:
        rows = Rows(database)
        cron = {"cron_schedule": "0 0 0 * * *", "timezone": "UTC", "recurring": True}
        rows.job(queue="late", status="Pending", scheduled_at=START)
        rows.job(queue="punctual", status="Pending", scheduled_at=NOW - timedelta(seconds=59))
        rows.job(queue="recurs", status="Pending", scheduled_at=NOW - timedelta(minutes=5), **cron)
        parent = rows.job(queue="waits", status="Running", scheduled_at=START)
        rows.job(parent, queue="child", status="Pending", scheduled_at=START, dependency_status="waiting")
        payload = {"_schedule": {"name": "nightly", "due_at": "2026-11-27T01:30:00Z", "kind": "scheduled"}}
        made = rows.job(queue="made", status="Completed", scheduled_at=START, payload=payload)
    table = run("job", "list", url=migrated_url, env=LATER)
    lines = {line.split()[1]: line for line in table.stdout.splitlines()[1:]}
    assert lines["late"].endswith("ready for 2h 00m")
    assert lines["recurs"].endswith("recurring; overdue by 5m 00s")
    assert not [queue for queue in ("punctual", "waits", "child", "made") if "overdue" in lines[queue]]
    listed = run("job", "list", "--format", "json", url=migrated_url).json
    assert [job["queue"] for job in listed if job["recurring"]] == ["recurs"]
    late = next(job["id"] for job in listed if job["queue"] == "late")
    assert "ready      for 2h 00m" in run("job", "show", late, url=migrated_url, env=LATER).stdout
    shown = run("job", "show", made, url=migrated_url, env=LATER).stdout
    assert "schedule   nightly, due 2026-11-27 01:30:00 UTC" in shown
    assert "overdue" not in shown
