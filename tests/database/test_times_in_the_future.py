"""What a time does that a wrong clock has stored for years ahead, of each column that holds a time.

Where something waits for the time, one rule holds (``core.clock``): later than now plus the longest span with which a
right clock stores it, it counts as now. So each column is here, and a new one is to be looked at.
"""

from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli import Job, Queue
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import ENDS, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.features.worker.queries import duties, registry
from hammerwork_cli.features.worker.queries.registry import Registration
from tests.conftest import on_servers, one_case_on_servers
from tests.database.test_wrong_clocks import DAY, HOUR, MINUTE, NOW, WRONG, add, put_back, tick_all
from tests.rows import Rows

Drive = Callable[[Database, str], None]


# Each stores a time that is years ahead, and checks that things go on.


def duty(database: Database, _: str) -> None:
    assert duties.take_due(database, "tidy", new_id(), {}, now=WRONG, length=HOUR)
    assert duties.take_due(database, "tidy", new_id(), duties.times(database), now=NOW, length=HOUR)


def callback(database: Database, _: str) -> None:
    times = dict.fromkeys(("check_at", "created_at", "changed_at"), WRONG)
    of = {"subject": "tree", "subject_id": new_id(), "event": "completed", "job": "{}", "state": "open"}
    Rows(database).insert("hammerwork_watches", {"id": new_id(), **of, **times})
    assert len(callbacks.upcoming(database, NOW, 10)) == 1


def policy(database: Database, _: str) -> None:
    policies.put(database, Policy("mail", PolicyAction.DELETE, dict.fromkeys(ENDS, DAY)), by="me", now=WRONG)
    Rows(database).run("UPDATE hammerwork_retention SET last_run_at = updated_at")
    (found,) = policies.all_policies(database)
    assert found.is_in_force(NOW)


def schedule(database: Database, _: str) -> None:
    """Also with the usual overlap: its job waits for the same time."""
    add(database, WRONG - DAY, schedule=None, every="1h", name="new")
    one = add(database)
    (waiting, _) = tick_all(database, WRONG)
    assert put_back(database, NOW + MINUTE) == 2
    states = {str(job): timestamp(at) for job, at in database.query("SELECT id, scheduled_at FROM hammerwork_jobs")}
    assert set(states.values()) == {NOW + MINUTE}
    assert waiting in states
    Rows(database).run("UPDATE hammerwork_jobs SET status = 'Completed'")
    assert len(tick_all(database, NOW + 2 * MINUTE)) == 1
    assert schedules.find(database, one.name).due == NOW.replace(second=0) + 3 * MINUTE


def ended_job(database: Database, _: str) -> None:
    """It is deleted and counted as if it had ended now, and nobody hears of it again."""
    rows = Rows(database)
    done = rows.job(status="Completed", created_at=NOW, started_at=WRONG, completed_at=WRONG)
    dead = rows.job(status="Dead", created_at=WRONG, started_at=WRONG, failed_at=WRONG)
    rows.job(status="Completed", created_at=NOW, started_at=NOW, completed_at=NOW + DAY)
    assert jobs_ahead.put_ends_back(database, NOW) == 2
    ends = database.query("SELECT id, COALESCE(completed_at, failed_at), started_at, created_at FROM hammerwork_jobs")
    found = {str(job): [timestamp(at) for at in times] for job, *times in ends}
    assert found[done][0] == found[dead][0] == found[dead][2] == NOW - events.NOTICED_WITHIN - MINUTE
    assert jobs_ahead.put_ends_back(database, NOW) == 0


def recurring_job(database: Database, _: str) -> None:
    cron = {"cron_schedule": "0 0 * * * *", "timezone": "UTC", "recurring": True, "status": "Pending"}
    Rows(database).job(**cron, scheduled_at=WRONG, next_run_at=WRONG, created_at=WRONG)
    assert put_back(database, NOW) == 1


def waiting_job(database: Database, _: str) -> None:
    rows = Rows(database)
    retried = rows.job(status="Pending", scheduled_at=WRONG, claim_token=new_id(), attempts=1)
    attempt = {"job_id": retried, "started_at": NOW, "ended_at": WRONG, "attempt": 1, "outcome": "failed"}
    rows.insert("hammerwork_attempts", attempt)
    rows.job(status="Pending", created_at=WRONG, scheduled_at=WRONG)
    assert jobs_ahead.put_back(database, NOW) == 2


def unique_key(database: Database, url: str) -> None:
    """A holder of `within` holds its key only for as long as a right clock may have meant."""
    rows, jobs = Rows(database), [Job("mail").with_unique("k", within=HOUR) for _ in range(3)]
    with Queue(url) as queue:
        queue.enqueue(jobs[0])
        rows.run(f"UPDATE hammerwork_jobs SET created_at = {database.placeholder}", [rows.adapted(WRONG)])
        queue.enqueue(jobs[1])
        queue.enqueue(jobs[2])
    (kept,) = database.query(f"SELECT COUNT(*) FROM hammerwork_jobs WHERE created_at < '{WRONG:%Y-%m-%d}'")
    assert kept == (1,), "the second job was enqueued, and holds the key against the third one"


def heartbeat(database: Database, _: str) -> None:
    registry.register(database, Registration(new_id(), "w", "host", 1, "1", ("mail",), (), 1, 30.0))
    rows = Rows(database)
    rows.run(f"UPDATE hammerwork_workers SET heartbeat_at = {database.placeholder}", [rows.adapted(WRONG)])
    (worker,) = registry.listed(database)
    assert worker.state == "silent"


def receiver(database: Database, _: str) -> None:
    """A failure that a Rust worker has written, and that nobody has told."""
    now = database.now()
    hook = Webhook(new_id(), "x", "https://public.example/", events=(EventType.JOB_DEAD,))
    webhooks.add(database, hook, by="me", now=WRONG)
    Rows(database).job(status="Dead", attempts=3, failed_at=now - MINUTE, created_at=now - HOUR)
    events.write_missed(database, now - events.NOTICED_WITHIN, now + MINUTE, set())
    ((number,),) = database.query(f"SELECT COUNT(*) FROM hammerwork_jobs WHERE queue_name = '{DELIVERIES}'")
    assert number == 1


SHOWN = "it is shown, sorted by, or counted in statistics, and nothing waits for it"
KEPT = "what has it is kept until then: nothing is deleted too early, and nothing waits for it"
MEANT = "somebody has given it, so it counts as it is"
RUST = "hammerwork (Rust) alone reads it, or nobody"
ELSEWHERE = "a worker drives it: "

FUTURE: dict[str, dict[str, Drive | str]] = {
    "attempts": {"started_at": SHOWN, "ended_at": waiting_job},
    "batches": {"created_at": SHOWN, "completed_at": KEPT},
    "duties": {"due_at": duty},
    "encryption_keys": dict.fromkeys(
        ("created_at", "expires_at", "last_used_at", "next_rotation_at", "retired_at", "rotated_at"), RUST
    ),
    "jobs": {
        "archived_at": RUST,
        "claimed_at": SHOWN,
        "completed_at": ended_job,
        "created_at": unique_key,
        "encrypted_at": RUST,
        "failed_at": ended_job,
        "last_heartbeat_at": f"{ELSEWHERE}tests/runtime/test_beside_version_3.py",
        "lease_expires_at": f"{ELSEWHERE}tests/runtime/test_beside_version_3.py",
        "next_run_at": recurring_job,
        "result_expires_at": KEPT,
        "result_stored_at": SHOWN,
        "retention_delete_at": KEPT,
        "run_started_at": ended_job,
        "scheduled_at": waiting_job,
        "started_at": ended_job,
        "timed_out_at": KEPT,
    },
    "jobs_archive": {
        "archived_at": KEPT,
        "result_ttl": KEPT,
        "retention_delete_at": KEPT,
        **dict.fromkeys(
            (
                *("completed_at", "created_at", "encrypted_at", "failed_at", "next_run_at", "result_stored_at"),
                *("run_started_at", "scheduled_at", "started_at", "timed_out_at"),
            ),
            SHOWN,
        ),
    },
    "joins": {
        "checked_at": "the counts of the join are compared with its jobs only then; whoever ends one counts it anyway"
    },
    "key_audit_log": {"timestamp": RUST},
    "limit_starts": dict.fromkeys(("ends_at", "full_until"), f"{ELSEWHERE}tests/runtime/worker/test_limits.py"),
    "migrations": {"executed_at": f"{ELSEWHERE}tests/database/test_wrong_clocks.py"},
    "progress": {"reported_at": SHOWN},
    "queue_limits": {"changed_at": SHOWN},
    "queue_pause": dict.fromkeys(("created_at", "paused_at", "updated_at"), SHOWN),
    "retention": {"last_run_at": policy, "updated_at": policy},
    "schedule_runs": {"created_at": schedule, "due_at": schedule, "missed_from": schedule},
    "schedules": {
        "created_at": schedule,
        "ends_at": MEANT,
        "next_run_at": schedule,
        "starts_at": MEANT,
        "updated_at": SHOWN,
    },
    "spawn_operations": {"ended_at": SHOWN, "started_at": SHOWN},
    "spawn_requests": {"ended_at": SHOWN, "requested_at": SHOWN},
    "spawned_children": {"spawned_at": SHOWN},
    "stream_events": {"created_at": f"{ELSEWHERE}tests/runtime/events/test_wrong_clock.py", "sent_at": KEPT},
    "streams": {
        "created_at": SHOWN,
        "enabled_at": receiver,
        "failing_since": SHOWN,
        "last_sent_at": SHOWN,
        "updated_at": SHOWN,
    },
    "watches": {"changed_at": SHOWN, "check_at": callback, "created_at": SHOWN, "ended_at": KEPT},
    "webhooks": {
        "created_at": SHOWN,
        "enabled_at": receiver,
        "failing_since": SHOWN,
        "last_failure_at": SHOWN,
        "last_success_at": SHOWN,
        "old_until": MEANT,
        "updated_at": SHOWN,
    },
    "workers": {"ended_at": KEPT, "heartbeat_at": heartbeat, "started_at": SHOWN},
    "workflows": {"completed_at": KEPT, "created_at": SHOWN, "failed_at": KEPT},
}
"""Table -> column -> what a time that is years ahead does, or the function that shows that it stops nothing."""
DRIVEN = sorted({drive for columns in FUTURE.values() for drive in columns.values() if callable(drive)}, key=str)


@on_servers
def test_of_each_column_of_time_it_is_known_what_a_wrong_clock_does_to_it(database: Database) -> None:
    schema = "database()" if database.dialect == "mysql" else "current_schema()"
    rows = database.query(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        f" WHERE table_name LIKE 'hammerwork%' AND table_schema = {schema}"
    )
    stored = {
        (str(table).removeprefix("hammerwork_"), str(column))
        for table, column, kind in rows
        if str(kind).lower().startswith(("timestamp", "datetime"))
    }
    known = {(table, column) for table, columns in FUTURE.items() for column in columns}
    assert stored == known


@one_case_on_servers
@pytest.mark.parametrize("drive", DRIVEN, ids=lambda drive: drive.__name__)
def test_a_time_that_is_years_ahead_stops_nothing(database: Database, migrated_url: str, drive: Drive) -> None:
    drive(database, migrated_url)


@one_case_on_servers
@pytest.mark.parametrize("right", [{"enabled_at": NOW - DAY}, {"last_success_at": NOW - DAY}, {}])
def test_a_clock_that_was_behind_disables_no_webhook(database: Database, right: dict[str, Any]) -> None:
    webhooks.add(database, Webhook(new_id(), "x", "https://public.example/"), by="me", now=NOW - 9 * DAY)
    rows = Rows(database)
    for column, at in {"failing_since": NOW - 9 * DAY, **right}.items():
        rows.run(f"UPDATE hammerwork_webhooks SET {column} = {database.placeholder}", [rows.adapted(at)])
    assert bool(webhooks.disable_failing(database, NOW)) == (not right)
