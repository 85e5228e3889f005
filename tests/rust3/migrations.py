"""Version 3's migrator: one lock for the whole run, the recorded ids minus its own, each object only if it is absent.

Section 2 of the facts, "Schema and migrations". It starts with tables that have 001 to 014, which 1.15.5 has as well.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.database import Database
from tests.rows import Rows

MIGRATIONS = (
    "015_add_job_leases",
    "016_versioned_encryption_keys",
    "017_add_kms_data_keys",
    "018_add_job_retry_strategy",
)
LOCK = 0x686D72776B6D6967
"""Section 2: the session advisory lock of PostgreSQL."""
AUDITED = "('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete', 'Update')"


class Migrator:
    """A run of ``cargo hammerwork migration run``.

    Attributes:
        as_mysql: on MariaDB, drop a check as MySQL understands it, which ends the run there with a syntax error (R38).
            Without, it does what the original means.
    """

    def __init__(self, database: Database, *, as_mysql: bool = False) -> None:
        self.database = database
        self.as_mysql = as_mysql

    def run(self, *, last: str = MIGRATIONS[-1]) -> list[str]:
        """Applies what is not recorded up to ``last``, and returns it. Ids that it does not know mean nothing to it."""
        with self.locked():
            recorded = {str(row[0]) for row in self.database.query("SELECT migration_id FROM hammerwork_migrations")}
            pending = [name for name in MIGRATIONS if name not in recorded and name <= last]
            for name in pending:
                began = time.monotonic()
                self.apply(name)
                self.record(name, began)
        return pending

    def apply(self, name: str) -> None:
        """PostgreSQL: a migration is a transaction. MySQL: each statement is."""
        steps = {"015": self.leases, "016": self.key_versions, "017": self.kms_data_keys, "018": self.retry_strategy}
        if self.database.dialect == "postgresql":
            self.database.transaction(steps[name[:3]])
        else:
            steps[name[:3]]()

    def record(self, name: str, began: float) -> None:
        """Section 2: an id that is recorded meanwhile is left alone."""
        took = round((time.monotonic() - began) * 1000)
        ignore, end = ("", "ON CONFLICT (migration_id) DO NOTHING") if self.on_postgres else ("IGNORE", "")
        Rows(self.database).run(
            f"INSERT {ignore} INTO hammerwork_migrations (migration_id, executed_at, execution_time_ms)"
            f" VALUES (%s, %s, %s) {end}",
            [name, self.database.now(), took],
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Section 2: waits in the server, on PostgreSQL without a limit, on MySQL for 600 seconds."""
        if self.on_postgres:
            take, give = f"pg_advisory_lock({LOCK})", f"pg_advisory_unlock({LOCK})"
        else:
            ((database,),) = self.database.query("SELECT DATABASE()")
            name = "hammerwork_migrations:" + hashlib.sha1(database.encode(), usedforsecurity=False).hexdigest()
            take, give = f"GET_LOCK('{name}', 600)", f"RELEASE_LOCK('{name}')"
        ((taken,),) = self.database.query(f"SELECT {take}")
        assert self.on_postgres or taken == 1
        try:
            yield
        finally:
            self.database.query(f"SELECT {give}")

    @property
    def on_postgres(self) -> bool:
        return self.database.dialect == "postgresql"

    # The migrations: the table of section 2.

    def leases(self) -> None:
        for column in ("last_heartbeat_at", "lease_expires_at"):
            self.column("hammerwork_jobs", column, "TIMESTAMPTZ" if self.on_postgres else "TIMESTAMP(6) NULL")
        if self.on_postgres:
            on = "hammerwork_jobs (lease_expires_at, started_at)"
            self.index("idx_hammerwork_jobs_running_lease", on, "status = 'Running'")
        else:
            self.index("idx_hammerwork_jobs_status_lease", "hammerwork_jobs (status, lease_expires_at)")

    def key_versions(self) -> None:
        unique = "hammerwork_encryption_keys (key_id, key_version)"
        if self.on_postgres:
            key = "hammerwork_encryption_keys_key_id_key"
            self.database.script(f"ALTER TABLE hammerwork_encryption_keys DROP CONSTRAINT IF EXISTS {key}")
            self.index("idx_hammerwork_encryption_keys_key_version", unique, kind="UNIQUE INDEX")
            self.database.script("ALTER TABLE hammerwork_key_audit_log DROP CONSTRAINT IF EXISTS valid_operation")
            check = "valid_operation"
        else:
            self.index("idx_hammerwork_encryption_keys_key_version", unique, kind="UNIQUE INDEX")
            if "key_id" in self.indexes():
                self.database.script("ALTER TABLE hammerwork_encryption_keys DROP INDEX key_id")
            what = "CHECK" if self.as_mysql or not getattr(self.database, "is_mariadb", False) else "CONSTRAINT"
            self.database.script(f"ALTER TABLE hammerwork_key_audit_log DROP {what} check_operation")
            check = "check_operation"
        self.database.script(
            f"ALTER TABLE hammerwork_key_audit_log ADD CONSTRAINT {check} CHECK (operation IN {AUDITED})"
        )

    def kms_data_keys(self) -> None:
        uuid, binary, time_, now, prefix = "CHAR(36)", "BLOB", "TIMESTAMP(6)", "CURRENT_TIMESTAMP(6)", "check"
        version = "UNIQUE INDEX idx_hammerwork_kms_data_keys_version"
        if self.on_postgres:
            uuid, binary, time_, now, prefix = "UUID", "BYTEA", "TIMESTAMPTZ", "NOW()", "valid"
            version = "CONSTRAINT uq_hammerwork_kms_data_keys_version UNIQUE"
        self.database.script(
            "CREATE TABLE IF NOT EXISTS hammerwork_kms_data_keys ("
            f"id {uuid} PRIMARY KEY, key_name VARCHAR(191) NOT NULL, kms_provider VARCHAR(16) NOT NULL,"
            " kms_key_id VARCHAR(512) NOT NULL, key_version INTEGER NOT NULL, key_size INTEGER NOT NULL,"
            f" wrapped_key {binary} NOT NULL, status VARCHAR(20) DEFAULT 'Active' NOT NULL,"
            f" created_at {time_} DEFAULT {now} NOT NULL, retired_at {time_} NULL,"
            f" {version} (key_name, kms_provider, kms_key_id, key_version),"
            f" CONSTRAINT {prefix}_kms_provider CHECK (kms_provider IN ('aws', 'gcp')),"
            f" CONSTRAINT {prefix}_kms_data_key_status CHECK (status IN ('Active', 'Retired')))"
        )

    def retry_strategy(self) -> None:
        self.column("hammerwork_jobs", "retry_strategy", "JSONB" if self.on_postgres else "JSON NULL")
        where = "batch_id IS NOT NULL" if self.on_postgres else ""
        self.index("idx_hammerwork_jobs_batch_status", "hammerwork_jobs (batch_id, status)", where)

    # Only if absent: section 2.

    def column(self, table: str, name: str, kind: str) -> None:
        here = "current_schema()" if self.on_postgres else "DATABASE()"
        ((there,),) = self.database.query(
            f"SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = {here}"
            f" AND table_name = '{table}' AND column_name = '{name}'"
        )
        if not there:
            self.database.script(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")

    def index(self, name: str, on: str, where: str = "", kind: str = "INDEX") -> None:
        if name not in self.indexes():
            self.database.script(f"CREATE {kind} {name} ON {on}" + (f" WHERE {where}" if where else ""))

    def indexes(self) -> set[str]:
        sql = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE()"
        if self.on_postgres:
            sql = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
        return {row[0] if isinstance(row[0], str) else row[0].decode() for row in self.database.query(sql)}
