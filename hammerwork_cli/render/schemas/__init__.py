"""JSON schemas of what the verbs print: the promise that scripts rely on.

They stand here once, as tables of fields. The tests run every reading verb in every format and compare: a key that is
missing here, or one too many, fails them.
"""

from hammerwork_cli.render.archive.lists import ARCHIVED, ARCHIVED_SUM
from hammerwork_cli.render.archive.policies import POLICY
from hammerwork_cli.render.backup.backups import BACKUP, BACKUP_FILE, COPIED, RESTORED, VERIFIED
from hammerwork_cli.render.backup.importing import IMPORT
from hammerwork_cli.render.batch import BATCH, BATCH_DETAILS
from hammerwork_cli.render.callbacks import CALLBACK
from hammerwork_cli.render.config import SETTING
from hammerwork_cli.render.cron.declared import STEP
from hammerwork_cli.render.cron.details import SCHEDULE_DETAILS
from hammerwork_cli.render.cron.runs import GAP, RUN
from hammerwork_cli.render.cron.schedules import DUE, MEANING, SCHEDULE, TRIGGERED
from hammerwork_cli.render.job.changes import OUTCOME
from hammerwork_cli.render.job.details import JOB_DETAILS
from hammerwork_cli.render.job.enqueue import ENQUEUED
from hammerwork_cli.render.job.export import EXPORTED
from hammerwork_cli.render.job.listing import JOB
from hammerwork_cli.render.maintenance import PURGED, SIZE, WORK
from hammerwork_cli.render.migration import MIGRATION_PLAN, MIGRATION_STATE
from hammerwork_cli.render.monitor.health import CHECK_OUTCOME, HEALTH_REPORT
from hammerwork_cli.render.monitor.logs import EVENT
from hammerwork_cli.render.monitor.metrics import METRICS
from hammerwork_cli.render.queue.changes import PAUSE_CHANGE
from hammerwork_cli.render.queue.health import CHECK, QUEUE_HEALTH
from hammerwork_cli.render.queue.listing import PAUSE, QUEUE
from hammerwork_cli.render.queue.stats import QUEUE_STATS
from hammerwork_cli.render.schemas.jobs import JOB_LINE
from hammerwork_cli.render.schemas.others import CONFIG_PATH, ERROR
from hammerwork_cli.render.schemas.words import Schema, list_of, record, text
from hammerwork_cli.render.spawn.again import SPAWN_REQUEST
from hammerwork_cli.render.spawn.comparison import COMPARISON
from hammerwork_cli.render.spawn.doctor import FINDING
from hammerwork_cli.render.spawn.failures import ERROR_GROUP, ERRORS
from hammerwork_cli.render.spawn.monitor_lines import MONITOR
from hammerwork_cli.render.spawn.records import OPERATION, PENDING, SPAWN_STATS
from hammerwork_cli.render.spawn.rehearsal import REHEARSAL
from hammerwork_cli.render.spawn.timeline_records import TIMELINE
from hammerwork_cli.render.spawn.wait import WAIT
from hammerwork_cli.render.spawn.why import WHY
from hammerwork_cli.render.tree.json import IN_TREE, TREE
from hammerwork_cli.render.tree.lineage import LINEAGE, LINEAGE_LINE
from hammerwork_cli.render.worker import ASKED_WORKER, LEASED_JOB, WORKER, WORKER_REPORT, WORKER_STATUS
from hammerwork_cli.render.workflow import WORKFLOW, WORKFLOW_DETAILS, WORKFLOW_GRAPH

DRAFT = "https://json-schema.org/draft/2020-12/schema"


_DEFINED: dict[str, tuple[str, Schema]] = {
    "spawn-list": ("Parents that spawned children, newest first", list_of(OPERATION.schema)),
    "spawn-tree": ("The tree that a job belongs to", TREE.schema),
    "spawn-tree-line": ("A job of a tree, as jsonl has it", IN_TREE.schema),
    "spawn-stats": ("Statistics of spawning in a window of time", SPAWN_STATS.schema),
    "spawn-lineage": ("Ancestors and descendants of a job", LINEAGE.schema),
    "spawn-lineage-line": ("A job of a lineage, as jsonl, csv and tsv have it", LINEAGE_LINE.schema),
    "spawn-pending": ("Jobs that have yet to spawn, or that completed without spawning", list_of(PENDING.schema)),
    "spawn-timeline": ("Where the time of a tree went", TIMELINE.schema),
    "spawn-compare": ("The times of two trees side by side", COMPARISON.schema),
    "spawn-rehearse": ("What a job would spawn", REHEARSAL.schema),
    "spawn-wait": ("The outcome of a tree", WAIT.schema),
    "spawn-on-end": ("What is enqueued at the end of a job and everything below it", list_of(CALLBACK.schema)),
    "spawn-monitor": ("A snapshot of what happens", MONITOR.schema),
    "spawn-again": ("A spawn request and its outcome", SPAWN_REQUEST.schema),
    "spawn-why": ("Why jobs failed, and the blockers of those that wait", WHY.schema),
    "spawn-why-all": ("Failures by error, as `spawn why` without a job has them", ERRORS.schema),
    "spawn-why-all-line": ("An error, as jsonl, csv and tsv have it", ERROR_GROUP.schema),
    "spawn-doctor": ("Kinds of damage", list_of(FINDING.schema)),
    "job-list": ("Jobs, newest first", list_of(JOB.schema)),
    "job-show": ("Everything about a job; with several ids, json has a list of them", JOB_DETAILS.schema),
    "job-enqueue": ("A job that was enqueued; with --file, json has a list of them", ENQUEUED.schema),
    "job-enqueue-file": ("A line of `job enqueue --file`", JOB_LINE),
    "job-export": ("Whole jobs", list_of(EXPORTED.schema)),
    "job-import": ("An import, or its plan", IMPORT.schema),
    "job-retry": ("The outcome of a change, or its plan", OUTCOME.schema),
    "job-cancel": ("The outcome of a change, or its plan", OUTCOME.schema),
    "job-delete": ("The outcome of a change, or its plan", OUTCOME.schema),
    "job-purge": ("The outcome of a change, or its plan", OUTCOME.schema),
    "queue-list": ("Queues", list_of(QUEUE.schema)),
    "queue-stats": ("Statistics of a queue, or of all", QUEUE_STATS.schema),
    "queue-health": ("Health of queues", QUEUE_HEALTH.schema),
    "queue-health-line": ("A check of a queue, as jsonl, csv and tsv have it", CHECK.schema),
    "queue-paused": ("Queues that are paused", list_of(PAUSE.schema)),
    "queue-pause": ("The outcome of pausing, or its plan", list_of(PAUSE_CHANGE.schema)),
    "queue-resume": ("The outcome of resuming, or its plan", list_of(PAUSE_CHANGE.schema)),
    "queue-clear": ("The outcome of a change, or its plan", OUTCOME.schema),
    "cron-list": ("Schedules by name", list_of(SCHEDULE.schema)),
    "cron-show": ("Everything about a schedule", SCHEDULE_DETAILS.schema),
    "cron-history": ("Runs of a schedule, the last due one first", list_of(RUN.schema)),
    "cron-next": ("The next due times", list_of(DUE.schema)),
    "cron-check": ("What a cron expression means", MEANING.schema),
    "cron-create": ("A schedule that was created, or would be", SCHEDULE.schema),
    "cron-update": ("A schedule after a change", SCHEDULE.schema),
    "cron-apply": ("What became of declared schedules, or would", list_of(STEP.schema)),
    "cron-enable": ("Schedules after they were enabled", list_of(SCHEDULE.schema)),
    "cron-disable": ("Schedules after they were disabled", list_of(SCHEDULE.schema)),
    "cron-backfill": ("Due times that had no job, the earliest first", list_of(GAP.schema)),
    "cron-trigger": ("The job that `cron trigger` enqueued", TRIGGERED.schema),
    "cron-convert": ("A schedule that was converted from a recurring job", SCHEDULE.schema),
    "cron-delete": ("A schedule that was deleted, or would be", SCHEDULE.schema),
    "batch-enqueue": ("The batch as it is now", BATCH.schema),
    "batch-list": ("Batches, newest first", list_of(BATCH.schema)),
    "batch-show": ("Everything about a batch", BATCH_DETAILS.schema),
    "batch-wait": ("The batch as it was when the wait ended", BATCH.schema),
    "batch-retry": ("The outcome of a change, or its plan", OUTCOME.schema),
    "batch-cancel": ("The outcome of a change, or its plan", OUTCOME.schema),
    "batch-export": ("Whole jobs", list_of(EXPORTED.schema)),
    "batch-delete": ("The outcome of a change, or its plan", OUTCOME.schema),
    "workflow-create": ("The workflow as it is now", WORKFLOW.schema),
    "workflow-list": ("Workflows, newest first", list_of(WORKFLOW.schema)),
    "workflow-show": ("Everything about a workflow but its graph", WORKFLOW_DETAILS.schema),
    "workflow-wait": ("The workflow as it was when the wait ended", WORKFLOW.schema),
    "workflow-retry": ("The outcome of a change, or its plan", OUTCOME.schema),
    "workflow-cancel": ("The outcome of a change, or its plan", OUTCOME.schema),
    "workflow-delete": ("The outcome of a change, or its plan", OUTCOME.schema),
    "workflow-dependencies": ("Ancestors and descendants of a job", LINEAGE.schema),
    "workflow-dependencies-line": ("A job of a lineage, as jsonl, csv and tsv have it", LINEAGE_LINE.schema),
    "workflow-graph": ("The jobs of a workflow and what they wait for", WORKFLOW_GRAPH.schema),
    "worker-start": ("The report of a worker that has stopped", WORKER_REPORT.schema),
    "worker-list": ("Workers, newest first", list_of(WORKER.schema)),
    "worker-status": ("Workers and their running jobs", list_of(WORKER_STATUS.schema)),
    "worker-status-jobs": ("Running jobs, as `worker status --jobs` has them", list_of(LEASED_JOB.schema)),
    "worker-stop": ("Workers that were asked to stop, or would be", list_of(ASKED_WORKER.schema)),
    "worker-restart": ("Workers that were asked to restart, or would be", list_of(ASKED_WORKER.schema)),
    "monitor-health": ("What is wrong now", HEALTH_REPORT.schema),
    "monitor-health-line": ("A check, as jsonl, csv and tsv have it", CHECK_OUTCOME.schema),
    "monitor-metrics": ("Figures of queues, workers and spawning", METRICS.schema),
    "monitor-logs": ("Something that happened to a job", EVENT.schema),
    "monitor-dashboard": ("A snapshot of what happens", MONITOR.schema),
    "archive-run": ("The outcome of a change, or its plan", OUTCOME.schema),
    "archive-list": ("Archived jobs, most recently archived first", list_of(ARCHIVED.schema)),
    "archive-show": ("Everything about an archived job", JOB_DETAILS.schema),
    "archive-restore": ("The outcome of a change, or its plan", OUTCOME.schema),
    "archive-stats": ("Archived jobs by queue and reason", list_of(ARCHIVED_SUM.schema)),
    "archive-purge": ("The outcome of a change, or its plan", OUTCOME.schema),
    "archive-set-policy": ("A policy", POLICY.schema),
    "archive-set-policy-plan": (
        "The plan of a policy, by its ages and in the archive (--dry-run)",
        list_of(OUTCOME.schema),
    ),
    "archive-get-policy": ("A retention policy", POLICY.schema),
    "archive-policies": ("Retention policies, by queue", list_of(POLICY.schema)),
    "archive-remove-policy": ("The policy that was removed", POLICY.schema),
    "maintenance-cleanup": ("The outcome of a change, or its plan", OUTCOME.schema),
    "maintenance-purge-encrypted": ("What was deleted, or would be", PURGED.schema),
    "maintenance-vacuum": ("Work on tables", list_of(WORK.schema)),
    "maintenance-analyze": ("Work on tables", list_of(WORK.schema)),
    "maintenance-reindex": ("Work on indexes", list_of(WORK.schema)),
    "maintenance-sizes": ("Tables and indexes, the largest table first", list_of(SIZE.schema)),
    "maintenance-health": ("Checks of tables and indexes", HEALTH_REPORT.schema),
    "maintenance-health-line": ("A check, as jsonl, csv and tsv have it", CHECK_OUTCOME.schema),
    "maintenance-check": ("Kinds of damage", list_of(FINDING.schema)),
    "job-requeue-stale": ("Kinds of damage", list_of(FINDING.schema)),
    "maintenance-dead-jobs": ("Kinds of damage", list_of(FINDING.schema)),
    "backup-create": ("A file that was written", BACKUP.schema),
    "backup-restore": ("A restore, or its plan", RESTORED.schema),
    "backup-verify": ("A file that was read to its end", VERIFIED.schema),
    "backup-list": ("Files of jobs, newest first", list_of(BACKUP_FILE.schema)),
    "backup-copy": ("A copy, its plan, or a comparison", COPIED.schema),
    "migration-run": ("Migrations that were applied", list_of(MIGRATION_STATE.schema)),
    "migration-status": ("Migrations and their states", list_of(MIGRATION_STATE.schema)),
    "migration-plan": ("Pending migrations and their statements", list_of(MIGRATION_PLAN.schema)),
    "config-show": ("Settings and their sources", list_of(SETTING.schema)),
    "config-get": ("A setting", SETTING.schema),
    "config-path": ("The path of the configuration file", CONFIG_PATH),
    "schema": ("Schemas", list_of(record({"name": text(), "description": text()}))),
    "error": ("An error on stderr, with --format json or jsonl", ERROR),
}

INPUTS = frozenset({"job-enqueue-file"})
"""The schemas of files that commands read."""
SCHEMAS = {
    name: {"$schema": DRAFT, "title": name, "description": about, **schema}
    for name, (about, schema) in _DEFINED.items()
}
"""Schema by name: group and verb with a hyphen between."""


def line_schema(name: str) -> Schema:
    """What one line of a verb's jsonl, csv or tsv holds: an item of a list, or the whole object.

    Raises:
        KeyError: there is no schema of that name.
    """
    schema = SCHEMAS.get(f"{name}-line") or SCHEMAS[name]
    items: Schema = schema.get("items", schema)
    return items
