"""``backup create``, ``restore``, ``verify`` and ``list``, between all databases."""

import contextlib
import gzip
import json
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.backup.models import tables
from hammerwork_cli.features.backup.models.tables import GENERATED, LEASES, NOT_IN_FILES, TABLES, ColumnKind
from hammerwork_cli.features.backup.queries import restoring, rows
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, execute, identity, job, statuses, write
from tests.rows import START, Rows
from tests.whole_tree import CHILD, ROOT, fill, records

Run = Callable[..., Outcome]
DIRECTIONS = [("sqlite", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite"), ("sqlite", "sqlite")]
"""Each database is once the source and once the target of another one."""


def marked(*dialects: str) -> Any:
    return pytest.param(*dialects, marks=[getattr(pytest.mark, one) for one in sorted({*dialects})])


def made(run: Run, url: str, path: Path, *options: str) -> Path:
    outcome = run("backup", "create", "-o", str(path), *options, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    return path


def restored(run: Run, url: str, path: Path, *options: str) -> Outcome:
    return run("backup", "restore", "-i", str(path), "--yes", *options, url=url, env=CLOCK)


@pytest.fixture
def filled(migrated_url: str) -> str:
    fill(migrated_url)
    return migrated_url


def pause(url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        paused = {"paused_at": START, "created_at": START, "updated_at": START, "paused_by": "ada"}
        Rows(database).insert("hammerwork_queue_pause", {"queue_name": "mail é", **paused})


@pytest.mark.parametrize(("source", "target"), [marked(*pair) for pair in DIRECTIONS])
def test_a_backup_is_restored_in_any_database_with_every_value(
    run: Run, new_database: Callable[..., str], tmp_path: Path, source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    fill(old)
    pause(old)
    path = made(run, old, tmp_path / "jobs.jsonl.gz")
    outcome = restored(run, new, path)
    assert outcome.exit_code == 0, outcome.stderr
    assert records(new) == records(old)
    same = run("backup", "copy", "--to", new, "--verify-only", "--format", "json", url=old)
    assert (same.exit_code, same.json["equal"]) == (0, True), same.stdout


@all_databases
def test_every_column_of_our_tables_is_in_a_file(migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        for word, table in TABLES.items():
            left_out = GENERATED | LEASES.get(word, frozenset())
            odd = (database.schema[table.name].keys() - left_out) ^ table.columns.keys()
            assert not odd, f"Give a column of {table.name} its kind in backup/models/tables.py: {sorted(odd)}"
        left_out = database.schema.keys() - {table.name for table in TABLES.values()}
    assert left_out | {"hammerwork_kms_data_keys"} == NOT_IN_FILES  # a table of version 3
    assert {kind for table in TABLES.values() for kind in table.columns.values()} == {*ColumnKind} - {ColumnKind.OTHER}


def test_schedules_of_the_same_name_are_refused_and_nothing_is_written(
    run: Run, migrated_url: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    new = new_database("sqlite", migrated=True)
    for url, payload in ((migrated_url, "1"), (new, "2")):
        made_one = run(
            "cron", "create", "--name", "nightly é", "-n", "mail", "-j", payload, "--schedule", "0 2 * * *", url=url
        )
        assert made_one.exit_code == 0, made_one.stderr
    run("archive", "set-policy", "--queue", "mail", "--older-than", "9d", "--yes", url=migrated_url)
    path = made(run, migrated_url, tmp_path / "jobs")
    refused = restored(run, new, path, "--existing", "replace")
    assert refused.exit_code == 2
    assert "another schedule 'nightly é'; rename one of them" in refused.stderr
    assert records(new)["policies"] == []
    assert run("cron", "delete", "nightly é", "--yes", url=new).exit_code == 0
    for _ in range(2):  # the second time in the place of the first
        assert restored(run, new, path, "--existing", "replace").exit_code == 0
    assert records(new) == records(migrated_url)


@all_databases
def test_a_backup_may_have_some_queues_with_all_that_belongs_to_their_jobs(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    def counts(*options: str) -> dict[str, int]:
        path = made(run, filled, tmp_path / "some", *options)
        found: dict[str, int] = run("backup", "verify", str(path), "--format", "json").json["records"]
        return found

    assert counts("--queue", "video") == {"jobs": 1, "operations": 1, "children": 1, "trees": 1}
    assert counts("-n", "old") == {"archive": 1}
    assert counts("--queue", "old", "--no-archive") == {}
    assert counts("--status", "dead") == {
        "jobs": 1,
        "workflows": 1,
        "batches": 1,
        "requests": 1,
        "attempts": 1,
        "unique_keys": 1,
    }
    assert counts("--no-archive")["jobs"] == 4
    new = new_database("sqlite", migrated=True)
    assert restored(run, new, made(run, filled, tmp_path / "some", "--status", "dead")).exit_code == 0
    assert [one["id"] for one in records(new)["jobs"]] == [CHILD]


@all_databases
def test_many_rows_are_written_and_read_a_page_at_a_time(
    run: Run, new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated_url: str
) -> None:
    monkeypatch.setattr(rows, "FIRST_PAGE", 3)
    monkeypatch.setattr(rows, "next_limit", lambda _: 3)
    monkeypatch.setattr(restoring, "MOST_TOGETHER", 2)
    monkeypatch.setattr(restoring, "BATCHES_TOGETHER", 2)
    write(migrated_url, *(job(number) for number in range(1, 12)))
    with contextlib.closing(connect(migrated_url)) as database:
        writer = Rows(database)
        for number in range(1, 12):  # one parent with more children than a page, between some with fewer
            parent = identity(5 if 3 <= number <= 9 else number)
            child = {"parent_id": parent, "occurrence": "", "spawn_key": f"key {number}", "child_id": identity(number)}
            writer.insert("hammerwork_spawned_children", {**child, "spawned_at": START})
    new = new_database("sqlite", migrated=True)
    path = made(run, migrated_url, tmp_path / "jobs")
    assert restored(run, new, path).exit_code == 0
    assert records(new) == records(migrated_url)
    assert len(records(new)["children"]) == 11


def test_a_replacement_leaves_the_rows_of_an_owner_that_another_part_of_the_file_has(
    run: Run, migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "MOST_BYTES", 1)  # so that each record is a part
    write(migrated_url, job(1))
    with contextlib.closing(connect(migrated_url)) as database:
        writer = Rows(database)

        def add(owner: str) -> None:
            for number in range(1, 5):
                child = {"parent_id": owner, "occurrence": "", "spawn_key": f"key {number}", "child_id": identity(2)}
                writer.insert("hammerwork_spawned_children", {**child, "spawned_at": START})
                began = {"job_id": owner, "started_at": START + timedelta(microseconds=number), "attempt": number}
                writer.insert("hammerwork_attempts", {**began, "outcome": "failed", "ended_at": START})

        add(identity(1))
        path = made(run, migrated_url, tmp_path / "jobs")
        add(identity(3))
    before = records(migrated_url)
    ours = identity(1)
    execute(
        migrated_url,
        f"DELETE FROM hammerwork_spawned_children WHERE parent_id = '{ours}' AND spawn_key IN ('key 1', 'key 3')",
    )
    execute(migrated_url, f"DELETE FROM hammerwork_attempts WHERE job_id = '{ours}' AND attempt IN (1, 3)")
    replaced = restored(run, migrated_url, path, "--existing", "replace", "--format", "json").json
    assert (replaced["written"], replaced["replaced"]) == (9, 5)
    assert records(migrated_url) == before


def test_no_more_of_a_file_is_read_than_a_header_may_have(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"[" * 100_000)
    damaged = run("backup", "verify", str(path))
    assert "Line 1 is longer than 65,536 bytes." in damaged.stdout
    assert run("backup", "list", "-p", str(tmp_path), "--format", "json").json == []


@all_databases
def test_records_that_exist_are_a_conflict_are_kept_or_are_replaced(run: Run, filled: str, tmp_path: Path) -> None:
    path = made(run, filled, tmp_path / "jobs")
    before = records(filled)
    execute(filled, f"UPDATE hammerwork_jobs SET queue_name = 'changed' WHERE id = '{ROOT}'")
    execute(filled, f"DELETE FROM hammerwork_jobs WHERE id = '{CHILD}'")
    refused = restored(run, filled, path)
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "records of the file exist" in refused.stderr
    kept = restored(run, filled, path, "--existing", "skip", "--format", "json").json
    assert kept["written"] == 1
    assert [one["queue_name"] for one in records(filled)["jobs"] if one["id"] == ROOT] == ["changed"]
    replaced = restored(run, filled, path, "--existing", "replace", "--format", "json").json
    assert (replaced["existed"], replaced["replaced"]) == (0, replaced["written"])
    assert records(filled) == before
    assert restored(run, filled, path, "--skip-existing").exit_code == 0


def test_pauses_of_other_queues_are_no_conflict(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    pause(filled)
    path = made(run, filled, tmp_path / "jobs")
    new = new_database("sqlite", migrated=True)
    assert run("queue", "pause", "elsewhere", url=new).exit_code == 0
    for options in ((), ("--existing", "replace")):
        outcome = restored(run, new, path, *options)
        assert outcome.exit_code == 0, outcome.stderr
        assert {one["queue_name"] for one in records(new)["pauses"]} == {"mail é", "elsewhere"}


@all_databases
def test_archived_jobs_are_chosen_by_the_status_that_is_shown(run: Run, filled: str, tmp_path: Path) -> None:
    execute(filled, "UPDATE hammerwork_jobs_archive SET status = 'Failed', error_message = 'Workflow cancelled'")

    def archived(status: str) -> int:
        path = made(run, filled, tmp_path / "some", "--status", status)
        return int(run("backup", "verify", str(path), "--format", "json").json["records"].get("archive", 0))

    assert (archived("failed"), archived("cancelled")) == (0, 1)


@pytest.mark.parametrize("text", ['{"a": NaN}', "[Infinity]", "{"])
def test_a_text_that_is_no_json_is_carried_as_text(text: str) -> None:
    assert tables._json_written("payload", text) == {"payload_text": text}


@pytest.mark.parametrize("name", ["", "."])
def test_a_file_needs_a_name(run: Run, filled: str, name: str) -> None:
    outcome = run("backup", "create", "-o", name, url=filled)
    assert (outcome.exit_code, "is not the name of a file" in outcome.stderr) == (2, True)


def test_a_restore_that_was_broken_off_goes_on(
    run: Run, new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated_url: str
) -> None:
    write(migrated_url, *(job(number) for number in range(1, 20)))
    path = made(run, migrated_url, tmp_path / "jobs")
    monkeypatch.setattr(restoring, "MOST_TOGETHER", 2)
    monkeypatch.setattr(restoring, "BATCHES_TOGETHER", 2)
    insert, inserted = rows.Rows.insert, 0

    def failing(self: Any, values: Any) -> int:
        nonlocal inserted
        inserted += 1
        if inserted == 6:
            raise KeyboardInterrupt
        return insert(self, values)

    new = new_database("sqlite", migrated=True)
    monkeypatch.setattr(rows.Rows, "insert", failing)
    assert restored(run, new, path).exit_code == 130
    assert len(statuses(new)) == 8
    assert restored(run, new, path, "--existing", "skip").exit_code == 0
    assert records(new) == records(migrated_url)


@pytest.mark.parametrize(("options", "expected"), [([], "Pending"), (["--running", "as-was"], "Running")])
def test_running_jobs_become_pending_because_no_worker_has_them(
    run: Run, new_database: Callable[..., str], tmp_path: Path, migrated_url: str, options: list[str], expected: str
) -> None:
    write(migrated_url, job(1, JobStatus.RUNNING, attempts=1), job(2, JobStatus.COMPLETED))
    path = made(run, migrated_url, tmp_path / "jobs")
    new = new_database("sqlite", migrated=True)
    done = restored(run, new, path, "--format", "json", *options).json
    assert done["reset"] == (expected == "Pending")
    assert statuses(new) == {1: expected, 2: "Completed"}
    [running, _] = records(new)["jobs"]
    assert running["attempts"] == 1
    assert ("started_at" in running) == (expected == "Running")


def worker(url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        facts = {"host": "h", "pid": 7, "version": "1", "concurrency": 4, "lease_seconds": 600.0, "queues": "[]"}
        facts |= {"handlers": "[]", "state": "running", "id": identity(77), "name": "alive"}
        now = database.now()
        Rows(database).insert("hammerwork_workers", {**facts, "started_at": now, "heartbeat_at": now})


def test_a_restore_beside_a_worker_is_refused_unless_queues_are_paused(
    run: Run, new_database: Callable[..., str], tmp_path: Path, migrated_url: str
) -> None:
    write(migrated_url, job(1), job(2, queue="report"))
    path = made(run, migrated_url, tmp_path / "jobs")
    new = new_database("sqlite", migrated=True)
    worker(new)
    refused = restored(run, new, path)
    assert refused.exit_code == 6
    assert "worker stop --all" in refused.stderr
    assert statuses(new) == {}
    run("queue", "pause", "mail", "--reason", "provider down", url=new)
    assert restored(run, new, path, "--paused").exit_code == 0
    assert statuses(new) == {1: "Pending", 2: "Pending"}
    paused = run("queue", "paused", "--format", "json", url=new).json
    assert {one["queue"]: one["reason"] for one in paused} == {"mail": "provider down", "report": "restored"}


def test_a_restore_asks_and_a_dry_run_writes_nothing(
    run: Run, filled: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    path, new = made(run, filled, tmp_path / "jobs"), new_database("sqlite", migrated=True)
    asked = run("backup", "restore", "-i", str(path), url=new)
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "Confirmation required" in asked.stderr
    plan = run("backup", "restore", "-i", str(path), "--dry-run", "--format", "json", url=new).json
    assert (plan["dry_run"], plan["written"], plan["records"]["jobs"]) == (True, 0, 4)
    assert "video: 1 completed" in run("backup", "restore", "-i", str(path), "--dry-run", url=new).stdout
    assert records(new)["jobs"] == []


def test_a_restore_needs_all_tables(run: Run, filled: str, url: str, tmp_path: Path) -> None:
    path = made(run, filled, tmp_path / "jobs")
    outcome = restored(run, url, path)
    assert outcome.exit_code == 4
    assert "migration run" in outcome.stderr


# Files.


def test_a_damaged_file_is_restored_nowhere_and_verify_says_so(run: Run, filled: str, tmp_path: Path) -> None:
    path = made(run, filled, tmp_path / "jobs")
    whole = run("backup", "verify", str(path), "--format", "json")
    assert (whole.exit_code, whole.json["whole"], whole.json["error"]) == (0, True, None)
    assert (whole.json["kind"], whole.json["oldest"]) == ("backup", "2026-11-24T14:00:00.000000Z")
    before = records(filled)
    data = path.read_bytes()
    for damaged in (data[:-20], data.replace(b"Dead", b"Deaf"), data[: len(data) // 2], b"", data * 2):
        path.write_bytes(damaged)
        verified = run("backup", "verify", str(path), "--format", "json")
        assert (verified.exit_code, verified.json["whole"]) == (1, False)
        assert json.loads(verified.stderr)["error"]["code"] == "no"
        assert "is damaged" in run("backup", "verify", str(path)).stdout
        assert restored(run, filled, path, "--existing", "replace").exit_code == 3
    assert records(filled) == before


def test_a_list_of_files_names_those_that_have_jobs(run: Run, filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    made(run, filled, folder / "b.jsonl.gz")
    assert run("job", "export", ROOT, "--tree", "-o", str(folder / "t.jsonl"), url=filled).exit_code == 0
    (folder / "other.txt").write_text("other")
    (folder / "other.gz").write_bytes(gzip.compress(b"other"))
    (folder / "hostile").write_bytes(b'{"format":"hammerwork-backup","version":1,"kind":7,"server":["\\u001b[31m"]}\n')
    (folder / "below").mkdir()
    found = run("backup", "list", "-p", str(folder), "--format", "json").json
    assert {one["name"]: one["kind"] for one in found} == {"b.jsonl.gz": "backup", "t.jsonl": "tree", "hostile": None}
    text = run("backup", "list", "-p", str(folder)).stdout
    assert "b.jsonl.gz" in text
    assert "\x1b" not in text
    assert run("backup", "list", "-p", str(folder / "nowhere")).exit_code == 2
    empty = run("backup", "list", "-p", str(folder / "below"))
    assert (empty.exit_code, empty.stdout) == (0, "")


def test_stdout_can_have_the_file(run: Run, filled: str, tmp_path: Path) -> None:
    outcome = run("backup", "create", "-o", "-", url=filled, env=CLOCK)
    assert outcome.stdout == made(run, filled, tmp_path / "jobs").read_text()
    assert "Wrote" in outcome.stderr
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o600
    assert run("backup", "create", "-o", "-", "--format", "json", url=filled).exit_code == 2


@all_databases
def test_a_backup_reads_one_moment(
    run: Run, migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(migrated_url, *(job(number) for number in range(1, 6)))
    monkeypatch.setattr(rows, "FIRST_PAGE", 2)
    monkeypatch.setattr(rows, "next_limit", lambda _: 2)
    read, added = rows.Rows.record, False

    def adding(self: Any, row: Any) -> Any:
        nonlocal added
        if not added and self.word == "jobs":
            added = True
            late = job(9, created_at=START + timedelta(hours=1))
            write(migrated_url, late)
        return read(self, row)

    monkeypatch.setattr(rows.Rows, "record", adding)
    path = made(run, migrated_url, tmp_path / "jobs")
    assert added
    assert run("backup", "verify", str(path), "--format", "json").json["records"] == {"jobs": 5}
    assert len(statuses(migrated_url)) == 6
