"""What the command line of hammerwork (Rust) has and this one has not, with what to use instead."""

import re

_COMMAND = re.compile(r"No such command '(?P<name>[^']+)'")
_OPTION = re.compile(r"No such option: (?P<name>-\S+)")
_QUIET_LAST = "Option '-q' requires an argument"
_EXPORT = (
    "In hammerwork (Rust) this exports the jobs of a queue; here it exports those of a batch.",
    "Export jobs: hammerwork job export --queue QUEUE --status failed >jobs.jsonl",
)
QUIET = (
    "Here -q is short for --queue.",
    "To print no notes: --quiet",
)
_VERBOSE = (
    "There is no verbose mode: a command prints its answer, and notes to stderr.",
    "For the traceback of an error: --debug. For a worker's log: HAMMERWORK_LOG_LEVEL=debug",
)
_ANYWHERE = {"-q": QUIET, "-v": _VERBOSE, "--verbose": _VERBOSE}
"""Options of every command of hammerwork (Rust)."""
_ABSENT = {
    "hammerwork webhook": (
        "There are no webhooks yet: nothing posts to a URL, and webhooks.json is not read.",
        "Let a handler post: hammerwork spawn on-end JOB --on-complete QUEUE enqueues its job at the end of a tree.",
    ),
    "hammerwork encryption": (
        "There is no audit of keys: hammerwork-cli writes nothing to the table hammerwork_key_audit_log.",
        "Read what hammerwork (Rust) wrote there with SQL: "
        "SELECT * FROM hammerwork_key_audit_log WHERE key_id = '...' ORDER BY timestamp DESC LIMIT 100",
    ),
    "hammerwork streaming": (
        "There are no streams: nothing sends events to Kafka, Kinesis or Pub/Sub.",
        "Read events as JSON lines: hammerwork monitor logs --follow --format jsonl",
    ),
    "hammerwork worker start --timeout": (
        "A worker has no timeout for its jobs.",
        "Set it for a job (hammerwork job enqueue --timeout 15m) or for its handler (@app.job(timeout=...)).",
    ),
    "hammerwork archive set-policy --batch-size": (
        "A policy has no batch size: workers choose it.",
        "For one run: hammerwork archive run --batch-size 1000",
    ),
    "hammerwork batch export --output": _EXPORT,
    "hammerwork batch export -o": _EXPORT,
    "hammerwork batch export --include-payload": _EXPORT,
    "hammerwork batch export --limit": _EXPORT,
    "hammerwork batch export": _EXPORT,
}


def instead(path: str, message: str) -> tuple[str, str] | None:
    """Returns a message and a hint for words that only hammerwork (Rust) understands.

    Args:
        path: of the command, such as ``hammerwork worker start``.
        message: the error of the parser.
    """
    found = _COMMAND.search(message) or _OPTION.search(message)
    if found is None:
        if _QUIET_LAST in message:
            return QUIET
        return _ABSENT.get(path) if "Missing argument" in message else None
    name = found["name"].rstrip(".")
    return _ABSENT.get(f"{path} {name}") or _ANYWHERE.get(name)
