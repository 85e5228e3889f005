"""Methods of hammerwork (Rust), and keywords of it and of other queues, that are not here, with what to use instead."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_CLAIMING = "Worker, which alone claims and ends jobs"
_COMMANDS = "the commands `job list`, `job retry`, `job delete` and `job purge`, or the REST API"
_FIGURES = "the commands `queue stats` and `monitor metrics`, or the REST API"
_RECURRING = "the command `cron`, or app.schedule"
_LIMITS = "Queue.limit, app.limit or the command `queue limit`"
_HOOKS = "callbacks (Job.with_callbacks, on_complete=...), or @app.around"
_FIGURES_OF_WORKERS = "the command `monitor metrics`, or GET /metrics of `web serve`"

_INSTEAD = {
    "Job": {
        "with_cron_schedule": "with_cron(schedule, timezone)",
        "as_recurring": "with_cron(schedule, timezone)",
        "with_result_storage": "what handlers return: it is always stored in the database",
        "with_result_config": "with_result_ttl(ttl), and Job(result_max_size=...)",
        "with_tracing_id": "with_trace_id(trace_id)",
        "is_dead": "Queue.find(job).status",
        "with_spawning": "with_spawn_handler(name) and with_spawn_config(config)",
    },
    "Queue": {
        "with_encryption": "Queue(url, encryption=EncryptionKeys.read('env:NAME'))",
        "with_encrypted_queues": "Job.with_encryption() of each job",
        "purge_expired_encrypted_jobs": "a running worker, or the command `maintenance purge-encrypted`",
        "enqueue_cron_job": "enqueue(job.with_cron(schedule)), or app.schedule",
        "get_job": "find(job)",
        "get_job_result": "results(jobs)",
        "dequeue": _CLAIMING,
        "dequeue_with_priority_weights": _CLAIMING,
        "complete_job": _CLAIMING,
        "fail_job": _CLAIMING,
        "retry_job": _CLAIMING,
        "mark_job_dead": _CLAIMING,
        "mark_job_timed_out": _CLAIMING,
        "delete_job": _COMMANDS,
        "retry_dead_job": "retry(job)",
        "get_dead_jobs": "jobs(status='dead')",
        "get_dead_jobs_by_queue": "jobs(queue, status='dead')",
        "purge_dead_jobs": _COMMANDS,
        "get_dead_job_summary": "the command `spawn why`",
        "get_error_frequencies": "the command `spawn why`",
        "get_queue_stats": _FIGURES,
        "get_all_queue_stats": _FIGURES,
        "get_job_counts_by_status": _FIGURES,
        "get_processing_times": _FIGURES,
        "get_priority_stats": _FIGURES,
        "get_queue_depth": _FIGURES,
        "get_recurring_jobs": _RECURRING,
        "get_due_cron_jobs": _RECURRING,
        "reschedule_cron_job": _RECURRING,
        "disable_recurring_job": _RECURRING,
        "enable_recurring_job": _RECURRING,
        "pause_queue": "pause(queue)",
        "resume_queue": "resume(queue)",
        "is_queue_paused": "the command `queue list --paused`",
        "get_paused_queues": "the command `queue list --paused`",
        "store_job_result": "the value that a handler returns",
        "delete_job_result": "Job.with_result_ttl(ttl)",
        "cleanup_expired_results": "a running worker, which deletes them",
        "get_batch_status": "the command `batch show`",
        "get_batch_jobs": "the command `job list --batch`",
        "delete_batch": "the command `job delete --batch`",
        "get_workflow_status": "the command `workflow show`",
        "get_workflow_jobs": "the command `job list --workflow`",
        "cancel_workflow": "the command `job cancel --workflow`",
        "resolve_job_dependencies": "a running worker, which releases jobs",
        "get_ready_jobs": "a running worker, which releases jobs",
        "fail_job_dependencies": "a running worker, which fails them",
        "set_throttle": _LIMITS,
        "get_throttle": "the command `queue limit`",
        "remove_throttle": "Queue.remove_limit",
        "get_all_throttles": "the command `queue limit`",
    },
    "Worker": {
        "with_poll_interval": "Worker(poll_interval=seconds)",
        "with_max_retries": "Job.with_max_attempts(attempts)",
        "with_retry_delay": "Worker(retry=RetryStrategy.fixed(delay))",
        "with_default_retry_strategy": "Worker(retry=strategy)",
        "with_default_timeout": "@app.job(timeout=...)",
        "with_priority_weights": "Worker(weighted=True)",
        "with_weighted_priority": "Worker(weighted=True)",
        "with_strict_priority": "Worker(weighted=False), which is the default",
        "with_rate_limit": _LIMITS,
        "with_throttle_config": _LIMITS,
        "with_autoscaling": "several workers: nothing starts or stops them by load",
        "with_event_hooks": _HOOKS,
        "on_job_start": _HOOKS,
        "on_job_complete": _HOOKS,
        "on_job_fail": _HOOKS,
        "on_job_timeout": _HOOKS,
        "on_job_retry": _HOOKS,
        "with_stats_collector": _FIGURES_OF_WORKERS,
        "with_metrics_collector": _FIGURES_OF_WORKERS,
        "with_alert_manager": "the exit code of the command `monitor health`",
        "with_event_manager": "the command `monitor logs --follow`",
        "with_batch_processing_enabled": "the command `batch show`: every worker runs jobs of batches",
    },
    "RetryStrategy": {
        "custom": "@app.job(retry=function), which computes the pause",
        "exponential_with_jitter": "RetryStrategy.exponential(base, multiplier, max_delay, jitter=...)",
    },
    "SpawnManager": {"has_handler": "Handlers.register_spawn, which refuses a name that is taken"},
    "Workflow": {
        "add_job": "add(key, job)",
        "add_parallel_jobs": "add(key, job) for each job",
        "then": "add(key, job, after=keys)",
        "with_failure_policy": "Workflow(name, failure_policy=...)",
        "with_metadata": "Workflow(name, metadata=...)",
        "validate": "Queue.enqueue_workflow, which checks it",
    },
}

_MODULE = {
    "JobBatch": "Queue.enqueue_batch(name, jobs)",
    "JobGroup": "Workflow, or Queue.enqueue_batch(name, jobs)",
    "JobQueue": "Queue(url)",
    "WorkerPool": "Worker(url, app, concurrency=...), which has several slots",
}
"""Names of hammerwork (Rust) that the package lacks -> what to use instead."""

_ATTEMPTS = "Job(max_attempts=...), which counts the first attempt too"
_CHILD = "context.spawn(job, key=...) in the handler of the parent, or Job(dependencies=[parent]) to wait for it"
_PAUSE = "Job(retry_strategy=RetryStrategy...)"
_LIMIT = "app.limit(queue, concurrency=..., rate=...)"

_PER_CHILD = ("max_tasks_per_child", "maxtasksperchild", "worker_max_tasks_per_child")

_KEYWORDS: Mapping[str, Mapping[str, str]] = {
    "Job": {
        **dict.fromkeys(("args", "body", "data", "input", "kwargs", "message", "params"), "Job(payload=...)"),
        **dict.fromkeys(("at", "eta", "run_at", "schedule_at", "scheduled_for"), "Job(scheduled_at=...)"),
        **dict.fromkeys(("countdown", "delay_seconds", "schedule_in"), "Job(delay=timedelta(seconds=...))"),
        **dict.fromkeys(("max_retries", "max_tries", "retries", "retry", "retry_limit"), _ATTEMPTS),
        **dict.fromkeys(("backoff", "retry_backoff", "retry_delay", "retry_policy"), _PAUSE),
        **dict.fromkeys(("parent", "parent_id", "parent_job"), _CHILD),
        **dict.fromkeys(("after", "depends_on", "parents"), "Job(dependencies=[job, ...])"),
        **dict.fromkeys(("func", "function", "kind", "task"), "Job(queue=...): a handler is that of a queue"),
        **dict.fromkeys(("time_limit", "timeout_seconds"), "Job(timeout=timedelta(seconds=...))"),
        **dict.fromkeys(("cron", "schedule"), "@app.cron(schedule), or Job(cron_schedule=...)"),
        **dict.fromkeys(("dedupe_key", "idempotency_key", "unique_for", "unique_key"), "Job(...).with_unique(...)"),
        **dict.fromkeys(("job_id", "task_id"), "Job(id=...), a UUID"),
        **dict.fromkeys(("on_complete", "on_failure", "on_success"), "Job(...).with_callbacks(on_complete=...)"),
        "batch_id": "Queue.enqueue_batch(name, jobs)",
        "encrypt": "Job(...).with_encryption()",
        "handler": "Job(...).with_spawn_handler(name)",
        "max_spawn_count": "Job(...).with_spawn_config(SpawnConfig(max_spawn_count=...))",
        "pii_fields": "Job(...).with_pii_fields(path, ...)",
        "result_expires": "Job(result_ttl=timedelta(...))",
        "spawn_handler": "Job(...).with_spawn_handler(name)",
        "tz": "Job(timezone=...)",
    },
    "handler": {
        **dict.fromkeys(("attempts", "max_attempts", "max_retries", "retries"), _ATTEMPTS),
        **dict.fromkeys(("backoff", "default_retry_delay", "retry_backoff", "retry_delay"), "retry=RetryStrategy..."),
        **dict.fromkeys(("retry_policy", "retry_strategy"), "retry=RetryStrategy..."),
        **dict.fromkeys(("soft_time_limit", "time_limit", "timeout_seconds"), "timeout=timedelta(seconds=...)"),
        **dict.fromkeys(("discard_on", "dont_autoretry_for", "throws"), "give_up_on=..."),
        **dict.fromkeys(("concurrency", "max_concurrency", "rate_limit"), _LIMIT),
        **dict.fromkeys(("cron", "schedule"), "@app.cron(schedule)"),
        "autoretry_for": "retry_on=...",
        "bind": "a second parameter of the function, named context",
    },
    "Worker": {
        **dict.fromkeys(_PER_CHILD, "max_jobs_per_process=..."),
        **dict.fromkeys(("max_memory_per_child", "worker_max_memory_per_child"), "max_memory=..., in bytes"),
        **dict.fromkeys(("num_workers", "processes", "threads", "worker_concurrency", "workers"), "concurrency=..."),
    },
    "enqueue": dict.fromkeys(("conn", "db", "session", "transaction"), "enqueue(job, connection=...)"),
}
"""What takes a keyword -> the keyword -> what to use instead."""


def instead_of(kind: str, names: Iterable[str]) -> str | None:
    """What to use instead of the first known one of some keywords; ``None`` if none is known."""
    return next((_KEYWORDS[kind][name] for name in names if name in _KEYWORDS[kind]), None)


def no_keyword(error: TypeError, instead: str | None) -> TypeError:
    """The error about an argument that is not taken, with what to use instead."""
    return TypeError(f"{error}. Use {instead}.") if instead else error


def explained(
    call: Callable[Parameters, Result], instead: Callable[[tuple[Any, ...], Mapping[str, Any]], str | None]
) -> Callable[Parameters, Result]:
    """The same function, whose error about a keyword that it lacks says what to use instead.

    Args:
        instead: finds that by the arguments, of which ``self`` is the first one of a method.
    """

    @wraps(call)
    def called(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return call(*given, **named)
        except TypeError as error:
            if (trace := error.__traceback__) is None or trace.tb_next is not None:
                raise  # of the function itself
            raise no_keyword(error, instead(given, named)) from None

    return called


def hinting(kind: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """A decorator: an error about a keyword that a function lacks says what to use instead."""
    return lambda call: explained(call, lambda _, named: instead_of(kind, named))


def deprecated(name: str, instead: str) -> None:
    """Warns the caller of a name that the next release drops."""
    warnings.warn(f"{name} will be gone in the next release. Use {instead}.", DeprecationWarning, stacklevel=3)


def no_attribute(cls: type, name: str) -> AttributeError:
    """The error about an attribute that a class lacks, with what to use instead of one of hammerwork (Rust)."""
    message = f"{cls.__name__!r} object has no attribute {name!r}"
    instead = next((_INSTEAD.get(one.__name__, {}).get(name) for one in cls.__mro__ if one.__name__ in _INSTEAD), None)
    return AttributeError(f"{message}. In Python, use {instead}." if instead else message)


def no_name(module: str, name: str) -> Exception:
    """The error about a name that the package lacks; an import shows only an ``ImportError`` as it is."""
    message = f"module {module!r} has no attribute {name!r}"
    if name in _MODULE:
        return ImportError(f"{message}. In Python, use {_MODULE[name]}.", name=module)
    return AttributeError(message)


class TranslatedType(type):
    """A class of classes whose missing class methods say what to use instead of those of hammerwork (Rust)."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            raise no_attribute(cls, name)


class Translated:
    """A class whose missing methods say what to use instead of those of hammerwork (Rust)."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker would take every misspelt attribute for a known one

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(type(self), name)
