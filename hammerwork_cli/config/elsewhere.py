"""Settings, variables and files of hammerwork (Rust) that have no effect here, and what to use instead."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

WEBHOOKS_VARIABLE = "HAMMERWORK_WEBHOOKS_FILE"
WEBHOOKS_FILE = "webhooks.json"
_KEY = "worker start --encryption-key env:NAME, or the setting encryption_keys"
_IMPORT = "hammerwork webhook import"
KEYS: Mapping[str, str] = {"encryption_config": _KEY}
"""Key of the configuration file -> what to use instead."""
_VARIABLES: Mapping[str, str] = {
    WEBHOOKS_VARIABLE: _IMPORT,
    "HAMMERWORK_DATABASE_POOL_SIZE": "HAMMERWORK_POOL_SIZE",
    "HAMMERWORK_ENCRYPTION_ALGORITHM": "Job.with_encryption(algorithm)",
    "HAMMERWORK_ENCRYPTION_COMPRESSION": "smaller payloads: what is encrypted here is not compressed",
    "HAMMERWORK_ENCRYPTION_CONFIG": _KEY,
    "HAMMERWORK_ENCRYPTION_DEFAULT_RETENTION_SECS": "Job.with_retention_policy(timedelta)",
    "HAMMERWORK_ENCRYPTION_ENCRYPTED_QUEUES": "job enqueue --encrypt, or Job.with_encryption()",
    "HAMMERWORK_ENCRYPTION_PURGE_INTERVAL_SECS": "a running worker, which looks every ten minutes",
    "HAMMERWORK_EVENT_BUFFER_SIZE": "monitor logs --follow",
    "HAMMERWORK_JOB_TIMEOUT_SECONDS": "job enqueue --timeout, or @app.job(timeout=...)",
    "HAMMERWORK_LOG": "HAMMERWORK_LOG_LEVEL",
    "HAMMERWORK_WORKER_POOL_SIZE": "worker start --concurrency",
    "RUST_LOG": "HAMMERWORK_LOG_LEVEL",
}


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Returns the variables of hammerwork (Rust) that are set and not read, each with what to use instead."""
    return ((name, other) for name, other in _VARIABLES.items() if environ.get(name))


def webhooks(environ: Mapping[str, str], config: Path) -> Path | None:
    """Returns the file in which the command line of hammerwork (Rust) keeps webhooks; ``None`` if there is none.

    Args:
        config: the configuration file, beside which it is unless a variable names another.
    """
    named = environ.get(WEBHOOKS_VARIABLE)
    path = Path(named) if named else config.parent / WEBHOOKS_FILE
    with suppress(OSError):  # nobody may look into its folder
        return path if path.is_file() else None
    return None


NO_WEBHOOKS = f"It keeps webhooks of hammerwork (Rust), to which nothing posts here. Take them over: {_IMPORT}"
