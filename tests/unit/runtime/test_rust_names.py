"""The methods of the library of hammerwork (Rust): each is there, or its absence says what to use instead."""

import re
from datetime import timedelta

import pytest

import hammerwork_cli
from hammerwork_cli import Handlers, Job, Queue, RetryStrategy, Worker, Workflow
from hammerwork_cli.runtime.api.absent import _INSTEAD
from tests.commands.test_given_twice import LEAVES
from tests.conftest import each_row

METHODS = {
    Job: """with_max_attempts with_priority as_critical as_high_priority as_low_priority as_background with_delay
        with_timeout with_retry_strategy with_exponential_backoff with_linear_backoff with_fibonacci_backoff with_cron
        with_cron_schedule as_recurring with_timezone depends_on depends_on_jobs with_workflow with_result_storage
        with_result_ttl with_result_config with_trace_id with_correlation_id with_parent_span_id with_span_context
        with_tracing_id with_spawn_handler with_spawn_config with_spawning with_encryption with_pii_fields
        with_retention_policy is_dead""",
    Queue: """enqueue enqueue_batch enqueue_workflow enqueue_cron_job get_job get_job_result dequeue
        dequeue_with_priority_weights complete_job fail_job retry_job mark_job_dead mark_job_timed_out delete_job
        retry_dead_job get_dead_jobs get_dead_jobs_by_queue purge_dead_jobs get_dead_job_summary get_queue_stats
        get_all_queue_stats get_job_counts_by_status get_processing_times get_error_frequencies get_priority_stats
        get_queue_depth get_recurring_jobs get_due_cron_jobs reschedule_cron_job disable_recurring_job
        enable_recurring_job pause_queue resume_queue is_queue_paused get_paused_queues store_job_result
        delete_job_result cleanup_expired_results resolve_job_dependencies get_ready_jobs fail_job_dependencies
        cancel_workflow get_workflow_status get_workflow_jobs get_batch_status get_batch_jobs delete_batch set_throttle
        get_throttle remove_throttle get_all_throttles""",
    Worker: """with_poll_interval with_max_retries with_retry_delay with_default_retry_strategy with_default_timeout
        with_priority_weights with_strict_priority with_weighted_priority with_rate_limit with_throttle_config
        with_spawn_manager build with_stats_collector with_metrics_collector with_alert_manager with_event_manager
        with_batch_processing_enabled with_event_hooks on_job_start on_job_complete on_job_fail on_job_timeout
        on_job_retry""",
    Workflow: "add_job add_parallel_jobs then with_failure_policy with_metadata validate",
}


@each_row(("kind", "name"), [(kind, name) for kind, names in METHODS.items() for name in names.split()])
def test_a_method_of_rust_is_there_or_its_absence_names_what_to_use(kind: type, name: str) -> None:
    made = {
        Job: lambda: Job("mail"),
        Queue: lambda: Queue("sqlite:///none.db"),
        Worker: lambda: Worker("sqlite:///none.db", lambda job: None, queues=["mail"]),  # noqa: ARG005
        Workflow: lambda: Workflow("nightly"),
    }[kind]()
    if hasattr(kind, name):
        assert callable(getattr(made, name))
        return
    with pytest.raises(
        AttributeError, match=rf"^'{kind.__name__}' object has no attribute '{name}'\. In Python, use \S"
    ):
        getattr(made, name)


def test_the_commands_that_are_named_instead_exist_and_have_the_options() -> None:
    texts = [text for names in _INSTEAD.values() for text in names.values()]
    named = {code for text in texts for code in re.findall(r"`([a-z][^`]*)`", text)}
    assert len(named) > 10
    for code in named - {"web serve", "cron"}:
        path, *options = code.split(" --")
        assert path in LEAVES, code
        assert {f"--{one}" for one in options} <= {name for option in LEAVES[path].params for name in option.opts}


def test_backoffs_time_zones_and_spans_are_set_by_the_methods_of_rust() -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    job = Job("mail").with_exponential_backoff(minute, 3.0, hour)
    assert job.retry_strategy == RetryStrategy.exponential(minute, 3.0, hour)
    assert job.with_linear_backoff(minute, minute).retry_strategy == RetryStrategy.linear(minute, minute)
    assert job.with_fibonacci_backoff(minute, hour).retry_strategy == RetryStrategy.fibonacci(minute, hour)
    for zoned in (
        Job("mail").with_cron("0 0 2 * * *").with_timezone("Europe/Berlin"),
        Job("mail").with_timezone("Europe/Berlin").with_cron("0 0 2 * * *"),
    ):
        assert zoned.timezone == "Europe/Berlin"
    spans = job.with_parent_span_id("a1").with_span_context("{}")
    assert (spans.parent_span_id, spans.span_context) == ("a1", "{}")


@each_row(
    ("kind", "name"),
    [(RetryStrategy, "custom"), (RetryStrategy, "exponential_with_jitter"), (Handlers(), "has_handler")],
)
def test_a_name_of_another_class_of_rust_is_answered_too(kind: object, name: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'\. In Python, use \S"):
        getattr(kind, name)
    assert not hasattr(kind, "nothing")


@each_row("name", ["JobBatch", "JobGroup", "JobQueue", "WorkerPool"])
def test_the_import_of_a_class_of_rust_says_what_to_use(name: str) -> None:
    with pytest.raises(ImportError, match=rf"has no attribute '{name}'\. In Python, use \S"):
        exec(f"from hammerwork_cli import {name}")  # noqa: S102
    assert not hasattr(hammerwork_cli, "nothing")


def test_another_missing_attribute_has_the_error_of_python() -> None:
    with pytest.raises(AttributeError, match=r"^'Job' object has no attribute 'nothing'$"):
        _ = Job("mail").nothing  # type: ignore[attr-defined]
