"""Hides values for ``--redact``. Only ids, states, times and counts are shown: the keys that this module lists.

Of a spawn configuration, which may hold anything, the known numbers and flags are shown: ``spawn/views/redacted.py``.
"""

from typing import Any

from hammerwork_cli.core.values import HIDDEN, JobStatus
from hammerwork_cli.features.batch.model import BatchStatus
from hammerwork_cli.features.cron.model import CatchUp, Overlap, RunKind, ScheduleKind
from hammerwork_cli.features.job.models.plan import Reason
from hammerwork_cli.features.monitor.models.health import Level
from hammerwork_cli.features.spawn.views import redacted
from hammerwork_cli.features.streaming.model import Backend, Partitioning, StreamFormat
from hammerwork_cli.features.webhook.model import METHODS, WebhookBody
from hammerwork_cli.features.workflow.model import FailurePolicy, WorkflowStatus

_SHOWN = """
accepted action allow_private answered_at archived archived_at attempt attempt_history attempts average backlog
backlog_seconds batch_id blocked buffer_seconds buffer_size by by_handler by_priority by_queue cancelled changed
changes check checked_at checks child_counts children children_total clock_ahead_seconds completed completed_at
completed_per_minute completed_seconds compression_level concurrency consequences created created_at critical_path
cron_schedule database dead_seconds delayed delivered deliveries depends_on depth distance dropped dry_run due_at
due_later duties edges empty enabled encrypted_at encrypted_bytes ended ended_at ends_at errors events failed
failed_at failed_below failed_seconds failing_since failure_rate finished_at finisher_stalled_seconds fired_at first
first_at followed from gone grace_seconds groups handler handlers has_jobs has_spawn_config heartbeat_at held_slots
hold host http_status id in_archive include_payload insecure internal is_encrypted jitter_seconds job job_id
job_seconds jobs jobs_per_minute key largest last_at last_failure_at last_heartbeat_at last_jobs last_run last_run_at
last_runs last_sent_at last_success_at lease_expires_at lease_seconds limit limit_concurrency limit_per limit_rate
main_stalled_seconds max_attempts max_backlog max_retries mean_seconds memory_bytes missed missed_from more
more_errors more_failed_below more_groups name needs_decision newest newest_failure_at next next_run_at nodes notes
old_secret_until oldest oldest_pending_at oldest_pending_seconds oldest_seconds open operation_id operations outcome
p50_seconds p95_seconds parent parent_id parents parts path paused paused_at paused_queues payload_bytes pending pid
plan priorities priority progress purge_seconds queue queue_names queued queued_p50_seconds queued_p95_seconds queues
ran_p50_seconds ran_p95_seconds ran_seconds read_only ready ready_at recent recorded recurring redacted repeated
reported_at request request_id requested_at result_expires_at result_stored_at retention_delete_at retrying root roots
run_started_at running runs schedule scheduled scheduled_at schema_version seconds sent share siblings signed
silent_seconds since skipped slowest source spawn_requests spawned_at spawning spawns started_at starts_at state
stored_bytes stream success_rate syntax target timed timed_out_at timed_out_seconds timeout_seconds timezone to total
total_nodes tree trees truncated type unit unknown unwritten_outcomes unwritten_seconds up_seconds updated_at value
version waited_seconds waiting wall_time_seconds webhook window_seconds without_queueing_seconds words worker
worker_id workers workflow_id
"""
SHOWN = frozenset(_SHOWN.split())
"""Keys of answers, at any depth, whose values are shown."""
_STATUSES = frozenset(JobStatus)
WORDS = {
    "status": _STATUSES | frozenset(BatchStatus) | frozenset(WorkflowStatus) | frozenset(Level),
    "failure_policy": frozenset(FailurePolicy),
    "dependency_status": frozenset({"none", "waiting", "satisfied", "failed"}),
    "kind": frozenset(ScheduleKind) | frozenset(RunKind),
    "overlap": frozenset(Overlap),
    "catch_up": frozenset(CatchUp),
    "auth": frozenset({"bearer", "basic", "header"}),
    "body": frozenset(WebhookBody),
    "method": frozenset(METHODS),
    "backend": frozenset(Backend),
    "partitioning": frozenset(Partitioning),
    "format": frozenset(StreamFormat),
}
"""Keys whose values are words of a list. Any other value may be someone's text, and becomes ``unknown``."""
COUNTS = {"by_status": _STATUSES, "left": _STATUSES | frozenset(Reason)}
"""Keys of objects whose keys are words of a list and whose values are numbers."""


def hidden(value: Any) -> Any:
    """Hides everything in the JSON value of an answer that must not be shown, at any depth."""
    if isinstance(value, dict):
        return {key: _member(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [hidden(member) for member in value]
    return value


def _member(key: str, value: Any) -> Any:
    if value is None:
        return None
    if key == "spawn_config":
        return redacted.spawn_config(value)
    if key in WORDS:
        return redacted.word(value, WORDS[key])
    if key in COUNTS and isinstance(value, dict):
        return redacted.counts(value, COUNTS[key])
    return hidden(value) if key in SHOWN else HIDDEN
