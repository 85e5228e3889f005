"""The archive, and ``maintenance cleanup``, on every database."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import ENDS, JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.archive.models.policies import Ages
from hammerwork_cli.features.job.queries import changes
from tests.conftest import Outcome, all_databases, one_case_on_servers
from tests.database.test_beside_rust import RustProgram
from tests.jobs import execute, identity
from tests.rows import START, Rows
from tests.whole_tree import CHILD, JOIN, PACKED, ROOT, fill, records

Run = Callable[..., Outcome]
NOW = START + timedelta(days=100)
CLOCK = {"HAMMERWORK_NOW": NOW.isoformat()}
NOT_ARCHIVED = {"claim_token", "claimed_by", "claimed_at", "releases", "archival_reason", "archival_policy_applied"}


def asked(run: Run, url: str, *words: str, code: int = 0) -> Any:
    """What a verb says as JSON."""
    outcome = run(*words, "--format", "json", url=url, env=CLOCK)
    assert outcome.exit_code == code, outcome
    return outcome.json if outcome.stdout else outcome.stderr


def ids(url: str, table: str = "hammerwork_jobs") -> set[str]:
    with contextlib.closing(connect(url)) as database:
        return {str(job) for (job,) in database.query(f"SELECT id FROM {table}")}


def archived(url: str) -> set[str]:
    return ids(url, "hammerwork_jobs_archive")


def ended(rows: Rows, *parents: str, status: str = "Completed", days: float = 50, **columns: Any) -> str:
    """A job that ended so many days ago."""
    times = {ENDS[status]: NOW - timedelta(days=days)} if status in ENDS else {}
    return rows.job(*parents, status=status, **times, **columns)


def without(record: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def in_seconds(record: dict[str, Any]) -> dict[str, Any]:
    """The times as the archive of MySQL has them."""
    return {
        name: value[:19] if isinstance(value, str) and value[10:11] == "T" and value.endswith("Z") else value
        for name, value in record.items()
    }


@all_databases
def test_a_tree_comes_back_from_the_archive_with_every_value(run: Run, migrated_url: str) -> None:
    fill(migrated_url)
    execute(
        migrated_url,
        f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = created_at, dependency_status = 'satisfied',"
        f" retention_delete_at = NULL WHERE id = '{JOIN}'",
    )
    execute(migrated_url, "UPDATE hammerwork_spawn_requests SET state = 'done'")
    before = records(migrated_url)
    outcome = asked(run, migrated_url, "archive", "run", "--queue", "video", "--yes", "--archived-by", "ada" * 40)
    assert (outcome["action"], outcome["changed"], outcome["left"]) == ("archive", 3, {})
    assert archived(migrated_url) == {ROOT, CHILD, JOIN, PACKED}
    assert ids(migrated_url).isdisjoint({ROOT, CHILD, JOIN})
    drawn = asked(run, migrated_url, "spawn", "tree", ROOT)["nodes"]
    assert {node["id"] for node in drawn if node["archived_at"]} == {ROOT, CHILD, JOIN, PACKED}
    shown = asked(run, migrated_url, "archive", "show", CHILD)
    assert (shown["in_archive"], shown["archival_reason"], shown["archived_by"]) == (True, "Manual", "ada" * 33 + "a")
    assert shown["workflow_id"] is not None

    assert asked(run, migrated_url, "archive", "restore", ROOT, "--tree", "--as-was", "--yes")["changed"] == 4
    assert archived(migrated_url) == set()
    after = records(migrated_url)
    whole = {job["id"]: without(job, NOT_ARCHIVED) for job in after["jobs"]}
    expected = {job["id"]: without(job, NOT_ARCHIVED) for job in before["jobs"]}
    assert whole.pop(PACKED)["payload"] == {"packed": True}
    if migrated_url.startswith("mysql"):
        whole, expected = ({job: in_seconds(row) for job, row in rows.items()} for rows in (whole, expected))
    assert whole == expected
    recorded = {"operations", "children", "requests", "attempts", "trees"}
    assert {word: after[word] for word in recorded} == {word: before[word] for word in recorded}


def fits(status: str, days: float, ages: Ages) -> bool:
    wanted = ages.get(JobStatus(status))
    return wanted is not None and timedelta(days=days) > wanted


@one_case_on_servers
@pytest.mark.parametrize(("verb", "table"), [("archive run", True), ("maintenance cleanup", False)])
@all_databases
def test_the_rules_name_the_jobs_that_leave_random_forests(
    run: Run, migrated_url: str, verb: str, *, table: bool
) -> None:
    chance = random.Random(verb)
    days_by_status = {"Completed": 30, "Failed": 60, "Dead": 90, "TimedOut": 60}
    ages = {JobStatus(status): timedelta(days=days) for status, days in days_by_status.items()}
    parents: dict[str, tuple[str, ...]] = {}
    goes: dict[str, bool] = {}

    def plant(rows: Rows) -> None:
        for number in range(60 if migrated_url.startswith("sqlite") else 20):
            made: list[str] = []
            for _ in range(chance.randint(1, 6)):
                above = tuple(chance.sample(made, min(len(made), chance.choice([1, 1, 1, 2]))))
                if above and not chance.randrange(12) and parents:
                    above = (*above, chance.choice(list(parents)))  # a join with another tree
                status = chance.choices([*ages, "Pending", "Running"], [20, 3, 3, 1, 1, 1])[0]
                days = chance.choice([95, 95, 95, 95, 70, 40, 10])
                spared = not chance.randrange(40)
                job = ended(rows, *above, status=status, days=days, recurring=spared)
                parents[job], goes[job] = above, fits(status, days, ages) and not spared
                made.append(job)
            if not number % 10:
                rows.job(depends_on=rows.ids([identity(number)]), completed_at=START)  # its parent is gone

    with contextlib.closing(connect(migrated_url)) as database:
        database.transaction(lambda: plant(Rows(database)))
    expected = {job for tree in components(parents) for job in tree if all(goes[member] for member in tree)}
    before, orphans = ids(migrated_url), ids(migrated_url) - parents.keys()
    assert len(expected) > (20 if migrated_url.startswith("sqlite") else 8)
    options = ["--keep-completed-days", "30", "--keep-failed-days", "60", "--keep-dead-days", "90"]
    if table:
        options = [
            "--completed-after-days=30",
            "--failed-after-days=60",
            "--dead-after-days=90",
            "--timed-out-after-days=60",
        ]
    words = [*verb.split(), *options, "--batch-size", "7"]
    assert asked(run, migrated_url, *words, "--dry-run")["changed"] == len(expected | orphans)
    assert ids(migrated_url) == before
    assert asked(run, migrated_url, *words, "--yes")["changed"] == len(expected | orphans)
    assert before - ids(migrated_url) == expected | orphans
    assert archived(migrated_url) == ((expected | orphans) if table else set())


def components(parents: dict[str, tuple[str, ...]]) -> list[set[str]]:
    found: list[set[str]] = []
    for job, above in parents.items():
        touched = [tree for tree in found if tree & {job, *above}]
        found = [tree for tree in found if tree not in touched] + [{job, *above}.union(*touched)]
    return found


KILLED = """
import os, sys
from hammerwork_cli import app
from hammerwork_cli.features.job.queries.changes import _Progress
steps, step = [], _Progress.step
def dying(self, batch):
    step(self, batch)
    steps.append(batch)
    if len(steps) == 2:
        os.kill(os.getpid(), 9)
_Progress.step = dying
app.main(sys.argv[1:])
"""


def test_a_run_that_is_killed_is_finished_by_the_next_one(
    run: Run, clean_environment: dict[str, str], migrated_url: str
) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        trees = []
        for _ in range(3):
            root = ended(rows)
            middle = [ended(rows, root) for _ in range(3)]
            trees += [root, *middle, *(ended(rows, parent) for parent in middle for _ in range(2))]
    words = ["archive", "run", "--older-than", "1d", "--yes", "--batch-size", "4", "-u", migrated_url]
    dead = subprocess.run(
        [sys.executable, "-c", KILLED, *words], env={**os.environ, **clean_environment, **CLOCK}, check=False
    )
    assert dead.returncode == -signal.SIGKILL
    first = archived(migrated_url)
    assert len(first) == 8
    assert ids(migrated_url) == set(trees) - first
    assert asked(run, migrated_url, *words[:-2])["changed"] == len(trees) - 8
    assert (ids(migrated_url), archived(migrated_url)) == (set(), set(trees))


@all_databases
def test_a_job_that_is_retried_meanwhile_stays_with_everything_above_it(
    run: Run, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        root, alone = ended(rows), ended(rows)
        left, right = ended(rows, root), ended(rows, root)
        leaf, other = ended(rows, left, status="Dead"), ended(rows, right)
    step = changes._Progress.step

    def retrying(self: Any, batch: Any) -> None:
        execute(migrated_url, f"UPDATE hammerwork_jobs SET status = 'Pending' WHERE id = '{leaf}'")
        step(self, batch)

    monkeypatch.setattr(changes._Progress, "step", retrying)
    for verb in (("archive", "run", "--older-than", "1d"), ("job", "purge", "--all", "--tree")):
        outcome = asked(run, migrated_url, *verb, "--yes")
        assert ids(migrated_url) >= {root, left, leaf}
    assert archived(migrated_url) >= {other, right, alone}
    assert outcome["changed"] == 0


def test_jobs_archived_by_hammerwork_rust_are_moved_and_restored_and_it_restores_those_of_hammerwork_cli(
    run: Run, new_database: Callable[..., str], kind: str
) -> None:
    url = new_database(kind, migrated=True)
    with contextlib.closing(connect(url)) as database:
        original = RustProgram(database)
        for number in (1, 2, 3, 4):
            original.put(number, priority=4, payload=json.dumps({"number": number, "text": "a" * 99}))
            original.complete(identity(number))
        for number in (2, 3):
            original.archive(number)
        # Restored from both tables, and from the archive alone.
        assert asked(run, url, "archive", "restore", identity(2), "--as-was")["changed"] == 1
        assert asked(run, url, "job", "show", identity(2))["archived_at"] is None
        assert identity(2) not in archived(url)
        assert asked(run, url, "archive", "run", "--older-than", "1d", "--yes")["changed"] == 4
        kept = asked(run, url, "archive", "show", identity(3))
        assert (kept["archival_reason"], kept["archived_by"], kept["priority"]) == ("Manual", "cli", "critical")
        assert kept["payload"]["number"] == 3
        original.restore(1)
        assert original.take("media") == identity(1)
        assert asked(run, url, "archive", "restore", identity(3), "--run-again")["changed"] == 1
        original.send("UPDATE hammerwork_jobs SET scheduled_at = created_at")
        assert original.take("media") == identity(3)


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_restored_job_runs_again_after_those_that_run_before_it(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        root = ended(rows, payload={"a": 1}, result_data='{"b": 2}')
        child = ended(rows, root, status="Dead", error_message="broken", attempts=3, dependency_status="satisfied")
        later = NOW + timedelta(days=7)
        single = ended(rows, status="Failed", scheduled_at=later)
    assert asked(run, migrated_url, "archive", "run", "--older-than", "1d", "--yes")["changed"] == 3
    assert "Restoring a tree needs a choice: run its jobs again, or keep their status." in str(
        asked(run, migrated_url, "archive", "restore", root, "--tree", "--yes", code=2)
    )
    assert "did not fail" in str(asked(run, migrated_url, "archive", "restore", root, code=2))
    assert asked(run, migrated_url, "archive", "restore", single)["changed"] == 1
    assert asked(run, migrated_url, "archive", "restore", root, "--tree", "--run-again", "--yes")["changed"] == 2
    found = {job["id"]: job for job in asked(run, migrated_url, "job", "list")}
    assert {job["status"] for job in found.values()} == {"Pending"}
    assert found[single]["scheduled_at"] == later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert (found[root]["dependency_status"], found[child]["dependency_status"]) == ("none", "waiting")
    assert (found[child]["attempts"], found[child]["error"]) == (0, None)
    assert asked(run, migrated_url, "archive", "restore", single, "--as-was", code=5)
    assert archived(migrated_url) == set()


@pytest.mark.parametrize("age", ["", ",", "=1d", "failed="])
def test_an_age_that_is_not_there_takes_no_jobs(run: Run, new_database: Callable[..., str], age: str) -> None:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        job = ended(Rows(database))
    for words in (("run",), ("set-policy", "--all")):
        outcome = run("archive", *words, "--older-than", age, "--yes", url=url)
        assert (outcome.exit_code, "--older-than needs a duration" in outcome.stderr) == (2, True)
    assert ids(url) == {job}


@all_databases
def test_lists_sums_and_purges_of_the_archive(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        mails = [ended(rows, queue="mail", payload={"text": "a" * 500}) for _ in range(3)]
        dead = ended(rows, queue="video", status="Dead", error_message="no space")
        kept = ended(rows, queue="video", retention_delete_at=NOW + timedelta(days=9))
        asked(run, migrated_url, "archive", "run", "--older-than", "1d", "--yes", "--reason", "compliance")
        assert ids(migrated_url) == {kept}
        schedule = {"recurring": True, "cron_schedule": "0 0 * * * *", "timezone": "UTC", "next_run_at": NOW}
        recurring = ended(rows, queue="report", status="Dead", error_message="no space", **schedule)
        for words in (
            "job purge --completed --older-than 1d",
            "job purge --all --tree --older-than 1d",
            "job purge --dead",
            "job purge --all --queue report",
            "archive run --older-than 1d --no-tree",
            "maintenance cleanup --by job",
        ):
            assert asked(run, migrated_url, *words.split(), "--yes")["changed"] == 0, words
        assert ids(migrated_url) == {kept, recurring}
        assert asked(run, migrated_url, "job", "delete", "--queue", "report", "--yes")["changed"] == 1
        long_ago = "2026-01-01T00:00:00.000000Z" if database.dialect == "sqlite" else "2026-01-01 00:00:00"
        rows.run(f"UPDATE hammerwork_jobs_archive SET archived_at = '{long_ago}' WHERE id = '{dead}'")
        waits = rows.job(mails[0], status="Pending", dependency_status="waiting")
    listed = asked(run, migrated_url, "archive", "list")
    assert [job["id"] for job in listed] == [*sorted(mails, reverse=True), dead]
    assert {job["archival_reason"] for job in listed} == {"Compliance"}
    for verb in ("show", "restore"):
        assert "hammerwork archive list" in str(asked(run, migrated_url, "archive", verb, identity(999), code=5))
    assert listed[0]["payload_bytes"] == 511 > listed[0]["stored_bytes"]
    assert (listed[3]["error"], listed[3]["archived_at"]) == ("no space", "2026-01-01T00:00:00.000000Z")
    assert asked(run, migrated_url, "archive", "list", "--limit", "2") == listed[:2]
    assert asked(run, migrated_url, "archive", "list", "--cursor", listed[1]["id"]) == listed[2:]
    assert asked(run, migrated_url, "archive", "list", "--offset", "3") == listed[3:]
    assert [job["id"] for job in asked(run, migrated_url, "archive", "list", "--status", "dead")] == [dead]
    [mail, video] = asked(run, migrated_url, "archive", "stats")
    assert (mail["queue"], mail["jobs"], mail["payload_bytes"]) == ("mail", 3, 3 * 511)
    assert (video["queue"], video["jobs"], video["oldest"]) == ("video", 1, "2026-01-01T00:00:00.000000Z")
    assert asked(run, migrated_url, "archive", "purge", "--older-than", "30d", "--dry-run")["changed"] == 1
    assert asked(run, migrated_url, "archive", "purge", "--older-than", "30d", "--yes")["changed"] == 1
    assert archived(migrated_url) == set(mails)
    later = {"HAMMERWORK_NOW": (NOW + timedelta(days=5)).isoformat()}
    outcome = run("archive", "purge", "--older-than", "1d", "--yes", "--format", "json", url=migrated_url, env=later)
    assert (outcome.json["changed"], outcome.json["left"]) == (2, {"waited_for": 1})
    assert archived(migrated_url) == {mails[0]}
    assert waits in ids(migrated_url)


def test_a_database_without_the_columns_is_refused_and_its_archive_is_listed(
    run: Run, restored: Callable[[str], str]
) -> None:
    url = restored("media.postgresql")
    before = ids(url)
    assert run("archive", "run", "--older-than", "1d", "--yes", url=url).exit_code == 4
    assert run("archive", "list", url=url).exit_code == 0
    assert run("archive", "stats", url=url).exit_code == 0
    assert ids(url) == before


SHORT = '{"type": "Fixed", "duration_ms": 5000}'
LONG = '{"type": "Linear", "base_ms": 1000, "increment_ms": 1000, "max_delay_ms": null}'
OTHER = '{"type": "Custom", "name": "mine"}'


def strategies(url: str, columns: str, table: str = "hammerwork_jobs_archive") -> list[Any]:
    with contextlib.closing(connect(url)) as database:
        rows = database.query(f"SELECT {columns} FROM {table} ORDER BY id")
    return [tuple(one if one is None else json.loads(one) for one in row) for row in rows]


@all_databases
def test_both_programs_find_the_retry_strategy_of_an_archived_job(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        kept = [SHORT, LONG, OTHER, None]
        jobs = [ended(rows, id=identity(number), retry_strategy=one) for number, one in enumerate(kept)]
        is_short = database.dialect == "mysql"  # its column has 50 characters
    exact = [one and json.loads(one) for one in kept]
    asked(run, migrated_url, "archive", "run", "--older-than", "1d", "--yes")
    # Version 3 cannot read a row with a strategy that it does not know.
    shared = [exact[0], None if is_short else exact[1], None, None]
    assert strategies(migrated_url, "retry_strategy, own_retry_strategy") == list(zip(shared, exact, strict=True))
    for job in jobs:
        asked(run, migrated_url, "archive", "restore", job, "--as-was")
    assert strategies(migrated_url, "retry_strategy", "hammerwork_jobs") == [(one,) for one in exact]


@one_case_on_servers
@pytest.mark.parametrize("verb", ["restore", "import"])
@all_databases
def test_a_job_that_version_3_archived_comes_back_with_its_retry_strategy(
    run: Run, migrated_url: str, tmp_path: Any, verb: str
) -> None:
    """3.x writes the strategy as JSON text (facts, section 3, Archive); 1.15.5 writes none."""
    with contextlib.closing(connect(migrated_url)) as database:
        row = {"id": identity(1), "queue_name": "mail", "payload": b"{}", "status": "Dead", "retry_strategy": SHORT}
        times = dict.fromkeys(("created_at", "scheduled_at", "failed_at", "archived_at"), START)
        Rows(database).insert("hammerwork_jobs_archive", row | times)
    if verb == "restore":
        asked(run, migrated_url, "archive", "restore", identity(1), "--run-again")
    else:
        path = str(tmp_path / "tree")
        assert run("job", "export", identity(1), "--tree", "-o", path, url=migrated_url).exit_code == 0
        asked(run, migrated_url, "job", "import", path, "--new-ids", "--as", "pending")
    assert strategies(migrated_url, "retry_strategy", "hammerwork_jobs") == [(json.loads(SHORT),)]
