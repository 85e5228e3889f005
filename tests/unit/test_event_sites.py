"""Every statement that changes what a job is has its event, or a reason to have none."""

import re

from hammerwork_cli.database.statements import blocks
from hammerwork_cli.database.statements.__main__ import subjects

UPDATES = re.compile(r"^UPDATE\b.*?\bhammerwork_jobs\b.*?\bSET\b(?P<set>.*?)(?:\bWHERE\b|\Z)", re.DOTALL)
STATUS = re.compile(r"(?<![\w.])status = ")
ROWS = re.compile(r"^\s*(INSERT INTO|DELETE\s+(j\s+)?FROM)\s+hammerwork_jobs\b", re.MULTILINE)


def changes_jobs(sql: str) -> bool:
    """Whether a statement changes the status of jobs, inserts some, or deletes some."""
    update = UPDATES.match(sql)
    return bool(ROWS.search(sql) or (update and STATUS.search(update["set"])))


WRITES = {
    "archive.moving.delete_jobs": "archived",
    "job.changes.cancel": "cancelled",
    "job.changes.retry": "retried",
    "job.dependencies.await_again": "retried",
    "job.dependencies.fail": "failed or cancelled",
    "job.enqueue.new_rows": "enqueued",
    "spawn.doctor.fail": "failed",
    "spawn.doctor.fix_lost": "retried",
    "spawn.doctor.fix_lost_last_attempt": "dead",
    "spawn.doctor.fix_lost_recurring": "cron.failed",
    "worker.claim.claim": "started",
    "worker.finish.complete": "completed",
    "worker.finish.complete_each": "completed",
    "worker.finish.discard": "dead, timed_out or cancelled",
    "worker.finish.retry": "retried",
    "worker.finish.schedule_next_run": "completed or cron.failed",
    "worker.rescue.discard": "dead",
    "worker.rescue.retry": "retried",
    "worker.rescue.schedule_next_run": "cron.failed",
    "worker.spawn.adopt": "retried",
}
"""Statement -> the event, which tests/runtime/events proves."""
SILENT = {
    "event.take_back": "a delivery that was not to be there",
    "event.deliver": "a delivery: events about those would make deliveries for ever",
    "job.changes.delete": "a deleted job is gone, and peers send no event for it either",
    "spawn.doctor.fix_misspelt_status": "the spelling of a status, which stays",
    "webhook.cancel": "a delivery, too",
    "worker.finish.give_back": "as if nobody had claimed it",
    "worker.finish.give_back_running": "the attempt did not count",
    "worker.finish.give_back_unknown": "as if nobody had claimed it",
    "worker.finish.snooze": "the attempt did not count",
}


def test_each_statement_that_changes_the_status_of_a_job_is_known_to_write_an_event_or_none() -> None:
    found = {
        f"{subject}.{name}"
        for subject in subjects()
        for name, variants in blocks(subject).items()
        for _, sql in variants
        if changes_jobs(sql)
    }
    assert found == WRITES.keys() | SILENT.keys()
    assert not WRITES.keys() & SILENT.keys()
