"""Names of verbs and options that help does not show, for scripts for hammerwork (Rust) or for an earlier version.

Help and completions show none of them; ``docs/reference/other-names.md`` lists them all. An option that does something
of its own, such as ``job purge --older-than-days``, is a hidden option of its verb.
"""

from collections.abc import Iterator, Mapping

VERBS: Mapping[str, str] = {
    "batch create": "batch enqueue",
    "batch status": "batch show",
    "cron add": "cron create",
    "cron remove": "cron delete",
    "worker show": "worker status",
    "workflow status": "workflow show",
}
"""Another name of a verb -> the verb, in the same group."""
REPLACED: Mapping[str, str] = {
    "archive get-policy": "archive policies",
    "archive show": "job show JOB",
    "batch cancel": "job cancel --batch BATCH",
    "batch delete": "job delete --batch BATCH",
    "batch export": "job export --batch BATCH",
    "batch retry": "job retry --batch BATCH",
    "batch wait": "spawn wait --batch BATCH",
    "config path": "config show",
    "config reset": "config init --force",
    "cron next": "cron show SCHEDULE",
    "job requeue-stale": "spawn doctor --older-than DURATION --fix",
    "maintenance check": "spawn doctor",
    "maintenance cleanup": "job purge --all --tree --older-than 30d",
    "maintenance dead-jobs": "spawn doctor --older-than 24h --fix",
    "maintenance health": "monitor health --tables",
    "migration plan": "migration run --dry-run",
    "monitor dashboard": "spawn monitor",
    "queue clear": "job delete --queue QUEUE",
    "queue health": "monitor health --queue QUEUE",
    "queue paused": "queue list --paused",
    "streaming health": "monitor health",
    "streaming stats": "streaming list",
    "streaming toggle": "streaming enable STREAM",
    "webhook toggle": "webhook enable WEBHOOK",
    "workflow cancel": "job cancel --workflow WORKFLOW",
    "workflow delete": "job delete --workflow WORKFLOW",
    "workflow dependencies": "spawn lineage JOB",
    "workflow retry": "job retry --workflow WORKFLOW",
    "workflow wait": "spawn wait --workflow WORKFLOW",
}
"""Verb that works as ever, with its own options and output, and is not shown -> what to write instead."""
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "": {"-n": "--queue", "-Q": "--queue", "--queue-name": "--queue", "--confirm": "--yes"},
    "webhook": {"--queues": "--queue", "--priorities": "--priority"},
    "queue": {"-d": "--database-url"},
    "batch enqueue": {"--jobs": "--file", "--batch-size": "--progress-every"},
    "job cancel": {"--all-pending": "--all"},
    "cron backfill": {"--from": "--since", "--to": "--until"},
    "cron check": {"-c": "--limit", "--count": "--limit"},
    "monitor dashboard": {"-i": "--interval", "--refresh": "--interval", "--until": "--exit-on"},
    "monitor logs": {"--lines": "--limit", "--tail": "--follow"},
    "spawn monitor": {"--until": "--exit-on"},
    "worker start": {"--workers": "--concurrency"},
    "streaming": {"--queues": "--queue", "--priorities": "--priority"},
    "streaming list": {"-d": "--detailed"},
    "streaming add": {"-n": "--name"},
    "streaming test": {"--job-id": "--job"},
    "streaming update": {"-n": "--name"},
    "webhook list": {"-d": "--detailed"},
    "webhook add": {"-n": "--name"},
    "webhook test": {"--job-id": "--job"},
    "webhook update": {"-n": "--name"},
    "workflow create": {"-n": "--name", "--jobs-file": "--file"},
}
"""Verb, group, or nothing for all verbs -> alias -> option; for verbs that have the option, and none by that name."""
REPLACED_OPTIONS: Mapping[str, str] = {
    "--by": "--tree, --no-tree",
    "--completed-after": "--older-than completed=7d",
    "--completed-after-days": "--older-than completed=7d",
    "--confirm": "--yes",
    "--dead-after": "--older-than dead=30d",
    "--dead-after-days": "--older-than dead=30d",
    "--failed-after": "--older-than failed=30d",
    "--failed-after-days": "--older-than failed=30d",
    "--failed-since-hours": "--failed-since 2h",
    "--headers": "--header",
    "--hours": "--since 24h",
    "--job-id": "JOB",
    "--keep-completed-days": "job purge --completed --older-than 30d",
    "--keep-failed-days": "job purge --failed --older-than 30d",
    "--last-hours": "--since 2h",
    "--max-attempts-reached": "--status dead",
    "--offset": "--cursor CURSOR",
    "--older-than-days": "--older-than 30d",
    "--older-than-hours": "--until 2h",
    "--only": "--all",
    "--period": "--since 24h",
    "--recent": "--since 1h",
    "--skip-existing": "--existing skip",
    "--stream": "STREAM",
    "--timed-out-after": "--older-than timedout=30d",
    "--timed-out-after-days": "--older-than timedout=30d",
    "--webhook": "WEBHOOK",
    "--worker-id": "WORKER",
}
"""Hidden option that has a reader of its own -> what to write instead."""
VALUED: Mapping[str, tuple[str, ...]] = {"archive run": ("--compress",), "archive set-policy": ("--compress",)}
"""Verb -> flags that ``true`` or ``false`` may follow."""
IGNORED: Mapping[str, tuple[str, ...]] = {
    "backup create": ("--include-completed", "--include-failed"),  # a backup has everything
    "workflow dependencies": ("--tree",),  # the answer is always a tree
    "workflow show": ("--dependencies",),  # the graph always has them
}
"""Verb -> flags without an effect."""

_EXPORT = (
    "In hammerwork (Rust) this exports the jobs of a queue; here it exports those of a batch.",
    "Export jobs: hammerwork job export --queue QUEUE --status failed >jobs.jsonl",
)
QUIET = (
    "Here -q is short for --queue.",
    "To print no notes: --quiet",
)
_FORMAT = (
    "Here --format is that of the answer. Events are not sent as avro, protobuf or msgpack: these need a registry.",
    "Give the format of events so: --encoding json, or --encoding cloudevents",
)
_VERBOSE = (
    "There is no verbose mode: a command prints its answer, and notes to stderr.",
    "For the traceback of an error: --debug. For a worker's log: HAMMERWORK_LOG_LEVEL=debug",
)
ABSENT_EVERYWHERE: Mapping[str, tuple[str, str]] = {"-q": QUIET, "-v": _VERBOSE, "--verbose": _VERBOSE}
"""Options of every command of hammerwork (Rust) -> the message, and the hint what to use instead."""
ABSENT: Mapping[str, tuple[str, str]] = {
    "encryption": (
        "There is no audit of keys: hammerwork-cli writes nothing to the table hammerwork_key_audit_log.",
        "Read what hammerwork (Rust) wrote there with SQL: "
        "SELECT * FROM hammerwork_key_audit_log WHERE key_id = '...' ORDER BY timestamp DESC LIMIT 100",
    ),
    "worker start --timeout": (
        "A worker has no timeout for its jobs.",
        "Set it for a job (hammerwork job enqueue --timeout 15m) or for its handler (@app.job(timeout=...)).",
    ),
    "worker start --max-tasks-per-child": (
        "A worker counts jobs, not tasks.",
        "With --isolation process: --max-jobs-per-process 100",
    ),
    "worker start --max-memory-per-child": (
        "A worker has no memory limit by that name.",
        "With --isolation process: --max-memory 512M (Celery counts KiB)",
    ),
    "streaming add --format": _FORMAT,
    "streaming stats --hours": (
        "A stream counts its events since it was added, not by hours.",
        "Those figures: hammerwork streaming stats. Rates: hammerwork monitor metrics --format prometheus",
    ),
    "streaming update --format": _FORMAT,
    "webhook add --url": (
        "A webhook needs a URL.",
        "Write --url https://example.org/hook: -u names the database here.",
    ),
    "archive set-policy --batch-size": (
        "A policy has no batch size: workers choose it.",
        "For one run: hammerwork archive run --batch-size 1000",
    ),
    "batch export --output": _EXPORT,
    "batch export -o": _EXPORT,
    "batch export --include-payload": _EXPORT,
    "batch export --limit": _EXPORT,
    "batch export": _EXPORT,
}
"""Verb, with an option that is absent, missing or has an absent value, or without -> the message, and the hint what to
use instead."""


def aliases(group: str, verb: str) -> dict[str, str]:
    return {**OPTIONS[""], **OPTIONS.get(group, {}), **OPTIONS.get(f"{group} {verb}", {})}


def names(path: str) -> Iterator[str]:
    """Yields the names that a verb has in its group."""
    yield path.split()[1]
    yield from (alias.split()[1] for alias, verb in VERBS.items() if verb == path)
