"""The JSON schemas of what the verbs print, which follow from their shapes: the promise that scripts rely on.

The tests run every reading verb in every format and compare: a missing key, or one too many, fails them. A shape is
imported when somebody asks for its schema.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from operator import itemgetter
from typing import Any

from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Schema, Shape

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ERROR = Shape[Any](
    {
        "error": Shape[Any](
            {
                "code": key.text("Stable"),
                "message": key.text(),
                "hint": key.null_or(key.text("The next step")),
                "exit_code": key.count(),
            }
        ).key("Further keys depend on the error"),
    }
)
LISTED = Shape[tuple[str, str]]({"name": key.text().of(itemgetter(0)), "description": key.text().of(itemgetter(1))})
"""A schema of a list: its name and what it is."""
_DEFINED: dict[str, tuple[str, str]] = {
    "spawn-list": ("Parents that spawned children, newest first", "[spawn.records.OPERATION]"),
    "spawn-tree": ("The tree that a job belongs to", "tree.json.TREE"),
    "spawn-tree-line": ("A job of a tree, as jsonl has it", "tree.json.IN_TREE"),
    "spawn-stats": ("Statistics of spawning in a window of time", "spawn.stats_records.SPAWN_STATS"),
    "spawn-lineage": ("Ancestors and descendants of a job", "tree.lineage.LINEAGE"),
    "spawn-lineage-line": ("A job of a lineage, as jsonl, csv and tsv have it", "tree.lineage.LINEAGE_LINE"),
    "spawn-pending": (
        "Jobs that have yet to spawn, or that completed without spawning",
        "[spawn.pending_records.PENDING]",
    ),
    "spawn-timeline": ("Where the time of a tree went", "spawn.timeline_records.TIMELINE"),
    "spawn-compare": ("The times of two trees side by side", "spawn.comparison.COMPARISON"),
    "spawn-rehearse": ("What a job would spawn", "spawn.rehearsal.REHEARSAL"),
    "spawn-wait": ("The outcome of a tree", "spawn.wait.WAIT"),
    "spawn-on-end": ("What is enqueued at the end of a job and everything below it", "[callbacks.CALLBACK]"),
    "spawn-monitor": ("A snapshot of what happens", "spawn.monitor_lines.MONITOR"),
    "spawn-again": ("A spawn request and its outcome", "job.spawn_requests.SPAWN_REQUEST"),
    "spawn-why": ("Why jobs failed, and the blockers of those that wait", "spawn.why.WHY"),
    "spawn-why-all": ("Failures by error, as `spawn why` without a job has them", "spawn.failures.ERRORS"),
    "spawn-why-all-line": ("An error, as jsonl, csv and tsv have it", "spawn.failures.ERROR_GROUP"),
    "spawn-doctor": ("Kinds of damage", "[spawn.doctor.FINDING]"),
    "job-list": ("Jobs, newest first", "[job.listing.JOB]"),
    "job-show": ("Everything about a job; with several ids, json has a list of them", "job.details.JOB_DETAILS"),
    "job-enqueue": ("A job that was enqueued; with --file, json has a list of them", "job.enqueue.ENQUEUED"),
    "job-enqueue-file": ("A line of `job enqueue --file`", "job.enqueue.JOB_LINE"),
    "job-export": ("Whole jobs", "[job.export.EXPORTED]"),
    "job-import": ("An import, or its plan", "backup.importing.IMPORT"),
    "job-retry": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "job-cancel": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "job-delete": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "job-purge": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "queue-list": ("Queues", "[queue.listing.QUEUE]"),
    "queue-limit": ("Limits of queues", "[queue.limits.LIMIT]"),
    "queue-stats": ("Statistics of a queue, or of all", "queue.stats.QUEUE_STATS"),
    "queue-health": ("Health of queues", "queue.health.QUEUE_HEALTH"),
    "queue-health-line": ("A check of a queue, as jsonl, csv and tsv have it", "queue.health.CHECK"),
    "queue-paused": ("Queues that are paused", "[queue.listing.PAUSE]"),
    "queue-pause": ("The outcome of pausing, or its plan", "[queue.changes.PAUSE_CHANGE]"),
    "queue-resume": ("The outcome of resuming, or its plan", "[queue.changes.PAUSE_CHANGE]"),
    "queue-clear": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "cron-list": ("Schedules by name", "[cron.schedules.SCHEDULE]"),
    "cron-show": ("Everything about a schedule", "cron.details.SCHEDULE_DETAILS"),
    "cron-history": ("Runs of a schedule, the last due one first", "[cron.runs.RUN]"),
    "cron-next": ("The next due times", "[cron.schedules.DUE]"),
    "cron-check": ("What a cron expression means", "cron.schedules.MEANING"),
    "cron-create": ("A schedule that was created, or would be", "cron.schedules.SCHEDULE"),
    "cron-update": ("A schedule after a change", "cron.schedules.SCHEDULE"),
    "cron-apply": ("What became of declared schedules, or would", "[cron.declared.STEP]"),
    "cron-enable": ("Schedules after they were enabled", "[cron.schedules.SCHEDULE]"),
    "cron-disable": ("Schedules after they were disabled", "[cron.schedules.SCHEDULE]"),
    "cron-backfill": ("Due times that had no job, the earliest first", "[cron.runs.GAP]"),
    "cron-trigger": ("The job that `cron trigger` enqueued", "cron.schedules.TRIGGERED"),
    "cron-convert": ("A schedule that was converted from a recurring job", "cron.schedules.SCHEDULE"),
    "cron-delete": ("A schedule that was deleted, or would be", "cron.schedules.SCHEDULE"),
    "batch-enqueue": ("The batch as it is now", "batch.BATCH"),
    "batch-list": ("Batches, newest first", "[batch.BATCH]"),
    "batch-show": ("Everything about a batch", "batch.BATCH_DETAILS"),
    "batch-wait": ("The batch as it was when the wait ended", "batch.BATCH"),
    "batch-retry": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "batch-cancel": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "batch-export": ("Whole jobs", "[job.export.EXPORTED]"),
    "batch-delete": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "workflow-create": ("The workflow as it is now", "workflow.WORKFLOW"),
    "workflow-list": ("Workflows, newest first", "[workflow.WORKFLOW]"),
    "workflow-show": ("Everything about a workflow except its graph", "workflow.WORKFLOW_DETAILS"),
    "workflow-wait": ("The workflow as it was when the wait ended", "workflow.WORKFLOW"),
    "workflow-retry": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "workflow-cancel": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "workflow-delete": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "workflow-dependencies": ("Ancestors and descendants of a job", "tree.lineage.LINEAGE"),
    "workflow-dependencies-line": ("A job of a lineage, as jsonl, csv and tsv have it", "tree.lineage.LINEAGE_LINE"),
    "workflow-graph": ("The jobs of a workflow and what they wait for", "workflow.WORKFLOW_GRAPH"),
    "worker-start": ("The report of a worker that has stopped", "worker.WORKER_REPORT"),
    "worker-list": ("Workers, newest first", "[worker.WORKER]"),
    "worker-status": ("Workers and their running jobs", "[worker.WORKER_STATUS]"),
    "worker-status-jobs": ("Running jobs, as `worker status --jobs` has them", "[worker.LEASED_JOB]"),
    "worker-stop": ("Workers that were asked to stop, or would be", "[worker.ASKED_WORKER]"),
    "worker-restart": ("Workers that were asked to restart, or would be", "[worker.ASKED_WORKER]"),
    "monitor-health": ("What is wrong now", "monitor.health.HEALTH_REPORT"),
    "monitor-health-line": ("A check, as jsonl, csv and tsv have it", "monitor.health.CHECK_OUTCOME"),
    "monitor-metrics": ("Figures of queues, workers and spawning", "monitor.metrics.METRICS"),
    "monitor-logs": ("Something that happened to a job", "monitor.logs.EVENT"),
    "monitor-dashboard": ("A snapshot of what happens", "spawn.monitor_lines.MONITOR"),
    "webhook-list": ("Webhooks by name", "[webhook.WEBHOOK]"),
    "webhook-show": ("A webhook", "webhook.WEBHOOK"),
    "webhook-add": ("A webhook that was added", "webhook.WEBHOOK"),
    "webhook-update": ("A webhook after a change", "webhook.WEBHOOK"),
    "webhook-rotate-secret": ("A webhook with another secret", "webhook.WEBHOOK"),
    "webhook-enable": ("A webhook after a change", "webhook.WEBHOOK"),
    "webhook-disable": ("A webhook after a change", "webhook.WEBHOOK"),
    "webhook-toggle": ("A webhook after a change", "webhook.WEBHOOK"),
    "webhook-remove": ("A webhook that was removed", "webhook.WEBHOOK"),
    "webhook-deliveries": ("Deliveries of a webhook, newest first", "[webhook.DELIVERY]"),
    "webhook-replay": ("What is delivered again", "webhook.REPLAYED"),
    "webhook-stats": ("Webhooks and how many deliveries they had", "[webhook.STATS]"),
    "webhook-test": ("A request and its answer", "webhook.EXCHANGE"),
    "webhook-verify": ("A signature that is valid", "webhook.VERIFIED"),
    "webhook-import": ("Webhooks that were added", "[webhook.WEBHOOK]"),
    "streaming-list": ("Streams by name", "[streaming.STREAM]"),
    "streaming-show": ("A stream, and what waits", "streaming.STREAM"),
    "streaming-add": ("A stream that was added", "streaming.STREAM"),
    "streaming-update": ("A stream after a change", "streaming.STREAM"),
    "streaming-enable": ("A stream after a change", "streaming.STREAM"),
    "streaming-disable": ("A stream after a change", "streaming.STREAM"),
    "streaming-toggle": ("A stream after a change", "streaming.STREAM"),
    "streaming-remove": ("A stream that was removed", "streaming.STREAM"),
    "streaming-replay": ("What is sent again", "streaming.REPLAYED"),
    "streaming-test": ("An event that was sent", "streaming.SENT"),
    "streaming-stats": ("Streams by name", "[streaming.STREAM]"),
    "streaming-health": ("Streams by name", "[streaming.STREAM]"),
    "archive-run": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "archive-list": ("Archived jobs, most recently archived first", "[archive.ARCHIVED]"),
    "archive-show": ("Everything about an archived job", "job.details.JOB_DETAILS"),
    "archive-restore": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "archive-stats": ("Archived jobs by queue and reason", "[archive.ARCHIVED_SUM]"),
    "archive-purge": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "archive-set-policy": ("A policy", "archive.POLICY"),
    "archive-set-policy-plan": (
        "The plan of a policy, by its ages and in the archive (--dry-run)",
        "[job.changes.OUTCOME]",
    ),
    "archive-get-policy": ("A retention policy", "archive.POLICY"),
    "archive-policies": ("Retention policies, by queue", "[archive.POLICY]"),
    "archive-remove-policy": ("The policy that was removed", "archive.POLICY"),
    "maintenance-cleanup": ("The outcome of a change, or its plan", "job.changes.OUTCOME"),
    "maintenance-purge-encrypted": ("What was deleted, or would be", "maintenance.PURGED"),
    "maintenance-vacuum": ("Work on tables", "[maintenance.WORK]"),
    "maintenance-analyze": ("Work on tables", "[maintenance.WORK]"),
    "maintenance-reindex": ("Work on indexes", "[maintenance.WORK]"),
    "maintenance-sizes": ("Tables and indexes, the largest table first", "[maintenance.SIZE]"),
    "maintenance-health": ("Checks of tables and indexes", "monitor.health.HEALTH_REPORT"),
    "maintenance-health-line": ("A check, as jsonl, csv and tsv have it", "monitor.health.CHECK_OUTCOME"),
    "maintenance-check": ("Kinds of damage", "[spawn.doctor.FINDING]"),
    "job-requeue-stale": ("Kinds of damage", "[spawn.doctor.FINDING]"),
    "maintenance-dead-jobs": ("Kinds of damage", "[spawn.doctor.FINDING]"),
    "backup-create": ("A file that was written", "backup.backups.BACKUP"),
    "backup-restore": ("A restore, or its plan", "backup.backups.RESTORED"),
    "backup-verify": ("A file that was read to its end", "backup.backups.VERIFIED"),
    "backup-list": ("Files of jobs, newest first", "[backup.backups.BACKUP_FILE]"),
    "backup-copy": ("A copy, its plan, or a comparison", "backup.backups.COPIED"),
    "migration-run": ("Migrations that were applied", "[migration.MIGRATION_STATE]"),
    "migration-status": ("Migrations and their states", "[migration.MIGRATION_STATE]"),
    "migration-plan": ("Pending migrations and their statements", "[migration.MIGRATION_PLAN]"),
    "config-show": ("Settings and their sources", "[config.SETTING]"),
    "config-get": ("A setting", "config.SETTING"),
    "config-path": ("The path of the configuration file", "config.CONFIG_PATH"),
    "schema": ("Schemas", "[schema.LISTED]"),
    "event": ("An event, as webhooks and streams send it", "event.EVENT"),
    "error": ("An error on stderr, with --format json or jsonl", "schema.ERROR"),
}
"""Name -> what it is, and where its shape is: feature, module of its views, name. In brackets: a list of these."""

INPUTS = frozenset({"job-enqueue-file"})
"""The schemas of files that commands read."""
SENT = frozenset({"event"})
"""The schemas of what workers send."""
ABOUT = {name: about for name, (about, _) in _DEFINED.items()}
"""What each schema is, by its name."""


class _Schemas(Mapping[str, Schema]):
    """The schemas by name: group and verb with a hyphen between."""

    def __getitem__(self, name: str) -> Schema:
        about, place = _DEFINED[name]
        module, _, shape = place.strip("[]").rpartition(".")
        feature, *inner = module.split(".")
        found = getattr(import_module(".".join(("hammerwork_cli.features", feature, "views", *inner))), shape)
        schema = found.schema if isinstance(found, Shape) else found
        listed = {"type": "array", "items": schema} if place.startswith("[") else schema
        return {"$schema": DRAFT, "title": name, "description": about, **listed}

    def __iter__(self) -> Iterator[str]:
        return iter(_DEFINED)

    def __len__(self) -> int:
        return len(_DEFINED)


SCHEMAS = _Schemas()


def line_schema(name: str) -> Schema:
    """What one line of a verb's jsonl, csv or tsv holds: an item of a list, or the whole object."""
    schema = SCHEMAS.get(f"{name}-line") or SCHEMAS[name]
    items: Schema = schema.get("items", schema)
    return items
