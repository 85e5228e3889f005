"""A small tree with a value in nearly every column of every table, for what carries jobs to other databases."""

import contextlib
import gzip
import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.backup.models.tables import TABLES
from hammerwork_cli.features.backup.queries.rows import Rows as Stored
from tests.rows import START, Rows

ROOT, CHILD, JOIN, PACKED = (f"{digit * 8}-0000-4000-8000-00000000{digit * 4}" for digit in "abcd")
WORKFLOW, BATCH, OPERATION = (f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "e12")
HOSTILE = "é🎬 \x1b[31m \u202e<b>'\"\\ =1+1"
AROUND = ("schedules", "runs", "callbacks", "policies", "unique_keys", "limits")
"""Tables that belong to no tree."""
ANCESTRY = json.dumps({"root": ROOT, "depth": 1, "spawner": ROOT})


def fill(url: str) -> None:
    """A small tree with a value in nearly every column, beside a job that does not belong to it."""
    later = START + timedelta(microseconds=123_456)
    times: dict[str, Any] = {
        "created_at": START,
        "scheduled_at": later,
        "started_at": later,
        "failed_at": later,
        "timed_out_at": later,
    }
    times |= {"result_stored_at": later, "result_expires_at": later, "claimed_at": later, "next_run_at": None}
    texts: dict[str, Any] = {"workflow_name": HOSTILE, "trace_id": "t", "correlation_id": "c", "parent_span_id": "p"}
    texts |= {"span_context": "{}", "result_storage_type": "database", "archival_reason": "Manual"}
    texts |= {"ancestry": ANCESTRY, "retry_strategy": '{"kind": "fixed"}', "error_message": f"line one\n{HOSTILE}"}
    numbers: dict[str, Any] = {
        "attempts": 2,
        "max_attempts": 9,
        "timeout_seconds": 30,
        "result_ttl_seconds": 2**40,
        "priority": 3,
    }
    numbers |= {"result_max_size_bytes": 2**33, "claim_losses": 1, "releases": 4}
    ids: dict[str, Any] = {
        "workflow_id": WORKFLOW,
        "batch_id": BATCH,
        "claim_token": OPERATION,
        "claimed_by": OPERATION,
    }
    secret: dict[str, Any] = {"is_encrypted": True, "encryption_key_id": "k", "encryption_algorithm": "AES256GCM"}
    secret |= {"encrypted_payload": b"\x00\xff", "encryption_nonce": b"n" * 12, "encryption_tag": b"\x01" * 16}
    secret |= {"payload_hash": "h", "encrypted_at": later, "retention_delete_at": later}
    with contextlib.closing(connect(url)) as database:
        made = Rows(database)
        values = {"text": HOSTILE, "nested": [1, 2.5, -1e-7, True, None, {"": 2**60}]}
        made.job(id=ROOT, queue="video", payload=values, spawns={"max_spawn_count": 7}, completed_at=later)
        result = json.dumps({"rows": [1.5]})
        made.job(
            ROOT, id=CHILD, queue=HOSTILE[:8], status="Dead", result_data=result, **times, **texts, **numbers, **ids
        )
        made.job(ROOT, CHILD, id=JOIN, queue="join", status="Pending", dependency_status="waiting", **secret)
        packed = gzip.compress(b'{"packed": true}')
        archived = {"payload_compressed": True, "archived_at": START, "completed_at": START, "priority": "High"}
        archive = dict(made_archive(database, made, packed), **archived)
        made.insert("hammerwork_jobs_archive", archive)
        made.job(queue="other")
        for table, row in others().items():
            made.insert(table, row)


def made_archive(database: Database, made: Rows, payload: bytes) -> dict[str, Any]:
    return {
        "id": PACKED,
        "queue_name": "old",
        "payload": payload,
        "status": "Completed",
        "created_at": START,
        "scheduled_at": START,
        "depends_on": made.ids([CHILD]),
    }


def others() -> dict[str, dict[str, Any]]:
    """Records of the tree, by table."""
    return {
        "hammerwork_workflows": {"id": WORKFLOW, "name": HOSTILE, "status": "running", "created_at": START},
        "hammerwork_batches": {
            "id": BATCH,
            "batch_name": "b",
            "total_jobs": 1,
            "status": "Pending",
            "failure_mode": "ContinueOnError",
            "created_at": START,
            "metadata": '{"a":1}',
        },
        "hammerwork_spawn_operations": {
            "id": OPERATION,
            "parent_id": ROOT,
            "root_id": ROOT,
            "depth": 0,
            "occurrence": "",
            "handler": HOSTILE,
            "config": "{",
            "outcome": "spawned",
            "children": 2,
            "started_at": START,
            "ended_at": START,
        },
        "hammerwork_spawned_children": {
            "parent_id": ROOT,
            "occurrence": "",
            "spawn_key": "key é",
            "child_id": CHILD,
            "spawned_at": START,
            "root_id": ROOT,
        },
        "hammerwork_spawn_requests": {
            "id": OPERATION,
            "job_id": CHILD,
            "queue_name": "q",
            "state": "pending",
            "requested_at": START,
        },
        "hammerwork_attempts": {
            "job_id": CHILD,
            "started_at": START + timedelta(microseconds=123_456),
            "ended_at": START + timedelta(seconds=1),
            "attempt": 1,
            "outcome": "failed",
            "error_message": HOSTILE,
        },
        "hammerwork_spawn_trees": {"root_id": ROOT, "occurrence": "", "descendants": 3},
        "hammerwork_schedules": {
            "id": OPERATION,
            "name": HOSTILE,
            "queue_name": "mail",
            "payload": f'{{"a":  {json.dumps(HOSTILE)}}}',
            "priority": 2,
            "max_attempts": 3,
            "timeout_seconds": 30,
            "expression": "0 2 * * *",
            "timezone": "Europe/Zurich",
            "overlap": "skip",
            "catch_up": "last",
            "grace_seconds": 60,
            "jitter_seconds": 5,
            "enabled": True,
            "next_run_at": START + timedelta(days=36_500),
            "last_error": HOSTILE,
            "source": "cli",
            "revision": 2**40,
            "declared": '{"name": 1}',
            "created_at": START,
            "updated_at": START,
        },
        "hammerwork_schedule_runs": {
            "schedule_id": OPERATION,
            "due_at": START + timedelta(microseconds=123_456),
            "kind": "scheduled",
            "outcome": "enqueued",
            "job_id": CHILD,
            "created_at": START,
        },
        "hammerwork_watches": {
            "id": OPERATION,
            "subject": "tree",
            "subject_id": ROOT,
            "event": "success",
            "job": f'{{"queue": "told", "payload": {json.dumps(HOSTILE)}}}',
            "state": "open",
            "check_at": START,
            "ended_at": START + timedelta(seconds=1),
            "created_at": START,
            "changed_at": START,
        },
        "hammerwork_joins": {
            "job_id": JOIN,
            "parent_id": ROOT,
            "scope": "tree",
            "on_failure": "run",
            "parent_ended": True,
            "open_jobs": 2**40,
            "failed_jobs": 1,
            "checked_at": START,
        },
        "hammerwork_queue_limits": {
            "queue_name": "mail",
            "concurrency": 2,
            "rate": 10,
            "period_ms": 2**40,
            "per_key": HOSTILE,
            "changed_by": "ann@desk",
            "changed_at": START,
            "claims": 2**40,
        },
        "hammerwork_unique": {"id": OPERATION, "queue_name": "mail", "unique_key": HOSTILE, "job_id": CHILD},
        "hammerwork_retention": {
            "queue_name": "mail",
            "action": "archive",
            "completed_seconds": 2**40,
            "archive_seconds": 60,
            "by_tree": True,
            "compression_level": 6,
            "enabled": False,
            "updated_at": START,
            "last_error": HOSTILE,
        },
    }


def records(url: str, *, without: Collection[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tree and of the database around it, in the values of a file."""
    with contextlib.closing(connect(url)) as database:
        found = {word: list(Stored(database, word).all()) for word in TABLES if word not in without}
    found["jobs"] = [one for one in found["jobs"] if one["queue_name"] != "other"]
    return found
