"""Version 3 at the end of a run, and at an enqueue: ``finish_job_run`` with its cascades. Section 3, "Life of a job".

On SQLite, which the original does not know, it does what it does on MySQL.
"""

from hammerwork_cli.database import Database
from tests.rows import Rows

MIGRATIONS = (
    "015_add_job_leases",
    "016_versioned_encryption_keys",
    "017_add_kms_data_keys",
    "018_add_job_retry_strategy",
)


def use(database: Database) -> None:
    """Records the migrations of version 3, and makes those of its columns that a job needs (section 2)."""
    rows, now = Rows(database), database.now()
    kind = {"postgresql": "TIMESTAMPTZ", "mysql": "TIMESTAMP(6) NULL", "sqlite": "TEXT"}[database.dialect]
    for column in ("last_heartbeat_at", "lease_expires_at"):
        if column not in database.jobs_columns():
            rows.run(f"ALTER TABLE hammerwork_jobs ADD COLUMN {column} {kind}")
    for migration in MIGRATIONS:
        record = {"migration_id": migration, "executed_at": now, "execution_time_ms": 1}
        rows.insert("hammerwork_migrations", record)
    database.forget_schema()
