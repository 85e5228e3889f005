"""A second enqueue with the id of a stored job: what makes it another job."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries.stored import ExistingJob
from tests.conftest import each_row
from tests.rows import START

JOB = NewJob("a", "{}", START, START, cron_schedule="0 0 2 * * *", timezone="UTC")
OTHERS: dict[str, Any] = {
    "queue": "b",
    "payload": '{"a": 1}',
    "priority": JobPriority.HIGH,
    "max_attempts": 4,
    "timeout_seconds": 5,
    "depends_on": (new_id(),),
    "trace_id": "t",
    "correlation_id": "c",
    "cron_schedule": "0 0 3 * * *",
    "timezone": "Europe/Oslo",
}
"""Another value of each field that makes it another job."""
CHANGES_MEANWHILE = {
    *("created_at", "scheduled_at", "status", "attempts", "dependency_status", "started_at", "completed_at"),
    *("failed_at", "error_message", "batch_id", "next_run_at", "ancestry", "recurring"),
}
"""These change as a job runs, or follow from the others."""
DOES_NOT_COUNT = {
    *("id", "workflow_id", "workflow_name", "parent_span_id", "span_context", "retry_strategy", "result_storage"),
    *("result_ttl_seconds", "result_max_size_bytes", "join", "encryption", "unique", "callbacks", "is_new"),
    "plaintext_meant",
}
"""The stored job keeps its own."""


@each_row("name", OTHERS)
def test_a_job_with_the_same_id_and_another_option_is_another_job(name: str) -> None:
    same = {name: getattr(JOB, name, None) for name in ExistingJob._fields}
    others = {"stored_status": "Pending", "stored_parents": "[]", "stored_priority": int(JOB.priority)}
    stored = ExistingJob(**{**same, **others, "is_encrypted": False})
    assert stored.differences(replace(JOB, scheduled_at=START + timedelta(hours=1))) == []
    assert stored.differences(replace(JOB, **{name: OTHERS[name]})) == [name.removesuffix("_seconds")]


def test_each_field_of_a_new_job_counts_or_does_not_for_a_reason() -> None:
    names = [*OTHERS, *CHANGES_MEANWHILE, *DOES_NOT_COUNT]
    assert sorted(names) == sorted(field.name for field in fields(NewJob))
