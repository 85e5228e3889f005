"""The doctor finds the damage that is really there, fixes damage that has one right outcome, and skips the rest."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import MissingTablesError
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.spawn.models.doctor import Damage, Finding, in_cycles
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from tests.conftest import on_sqlite
from tests.database.conftest import current_only, one_way_on_servers
from tests.rows import START, Rows

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
DUMPS = [
    pytest.param("media.postgresql", marks=pytest.mark.postgres),
    pytest.param("damaged.mariadb", marks=pytest.mark.mysql),
]
FOUND = {
    "media.postgresql": {"lost": 4, "not_released": 5, "never_spawned": 5},
    "damaged.mariadb": {"misspelt_status": 2, "lost": 16, "not_released": 5, "ran_early": 1, "never_spawned": 5},
}


def doctor(database: Database, *, lost: bool = True, **options: Any) -> Doctor:
    return Doctor(database, now=NOW, lost_before=NOW - timedelta(hours=2) if lost else None, **options)


def counted(found: Iterable[Finding]) -> dict[str, int]:
    return {finding.kind.value: finding.left for finding in found}


def fix(database: Database, **options: Any) -> dict[str, int]:
    """Mends everything; how many jobs of each kind."""
    healer = doctor(database, **options)
    return {finding.kind.value: finding.fixed for finding in healer.fix(healer.examine()) if finding.fixed}


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every value of every table, in one order, whatever changes: MySQL names columns in another one each time."""
    database.forget_schema()
    found = {}
    for table, kinds in database.schema.items():
        columns = sorted(kinds)
        rows = database.query(f"SELECT {', '.join(columns)} FROM {table}")
        found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return {table: sorted(rows, key=lambda row: (str(row.get("id")), repr(row))) for table, rows in found.items()}


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Job -> column -> old and new value; nothing else may differ but the history of attempts."""
    rest = before.keys() - {"hammerwork_jobs", "hammerwork_attempts"}
    assert {table: before[table] for table in rest} == {table: after[table] for table in rest}
    assert len(before["hammerwork_jobs"]) == len(after["hammerwork_jobs"])
    return {
        str(old["id"]): {
            column: (old[column], new[column])
            for column in old
            # MySQL computes it from the others.
            if column != "claimable" and old[column] != new[column]
        }
        for old, new in zip(before["hammerwork_jobs"], after["hammerwork_jobs"], strict=True)
        if old != new
    }


def job(database: Database, id_: str) -> dict[str, Any]:
    return next(row for row in everything(database)["hammerwork_jobs"] if row["id"] == id_)


@pytest.mark.parametrize("name", DUMPS)
def test_damage_by_hammerwork_rust_is_fixed_and_nothing_else_changes(restored: Callable[[str], str], name: str) -> None:
    with contextlib.closing(connect(restored(name))) as database:
        before = everything(database)
        healer = doctor(database)
        assert counted(healer.examine()) == FOUND[name]
        with pytest.raises(MissingTablesError, match="reads but never changes"):
            healer.fix([])
        assert everything(database) == before

        migrations.run(database)
        before = everything(database)
        found = healer.examine()
        taken = of_segments(database)
        assert counted(found) == FOUND[name]
        healer.fix(found)

        changed = changes(before, everything(database))
        jobs = {row["id"]: row for row in before["hammerwork_jobs"]}
        assert len(changed) == sum(finding.jobs for finding in found if finding.fixable)
        for id_, columns in changed.items():
            if jobs[id_]["status"] == "Running":
                assert columns["error_message"][1].startswith("Its worker was lost while it ran this job.")
                started = jobs[id_]["started_at"]
                rest = {name: values for name, values in columns.items() if name != "error_message"}
                assert rest == {"status": ("Running", "Pending"), "started_at": (started, None)}
            elif jobs[id_]["status"] == "pending":
                assert columns == {"status": ("pending", "Pending")}
            else:
                assert columns == {"dependency_status": ("waiting", "satisfied")}
        left = {kind: jobs for kind, jobs in FOUND[name].items() if kind in {"ran_early", "never_spawned"}}
        assert counted(healer.examine()) == left
        assert fix(database) == {}
        assert changes(before, everything(database)) == changed
        if name == "damaged.mariadb":
            assert (taken[0], of_segments(database)) == (0, (12, 0))


def of_segments(database: Database) -> tuple[int, int]:
    """How many jobs of a queue Rust workers can take, and how many jobs have a status that they cannot read."""
    binary = "BINARY " if database.dialect == "mysql" else ""
    pending = f"SELECT COUNT(*) FROM hammerwork_jobs WHERE {binary}status = "
    ((takes,),) = database.query(f"{pending}'Pending' AND queue_name = 'segment'")
    ((misspelt,),) = database.query(f"{pending}'pending'")
    return takes, misspelt


@pytest.mark.mysql
def test_jobs_in_tables_that_are_half_made_are_reported(restored: Callable[[str], str]) -> None:
    with contextlib.closing(connect(restored("stuck-at-010.mariadb"))) as database:
        before = everything(database)
        found = doctor(database).examine()
        assert counted(found) == {"unfinished_tables": 71}
        assert not found[0].fixable
        assert fix(database) == {}
        assert everything(database) == before


def test_a_healthy_database_has_nothing_wrong(readable: Database, rows: Rows) -> None:
    parent = rows.job(queue="top", spawns=True)
    rows.job(parent)
    rows.job(parent, status="Dead", error_message="boom")
    waiting = rows.job(status="Running", started_at=NOW)
    rows.job(parent, waiting, status="Pending", dependency_status="waiting")
    assert doctor(readable).examine() == []
    assert fix(readable) == {}


MISSPELT = {
    "pending": "Pending",
    '"Pending"': "Pending",
    "FAILED": "Failed",
    "timed_out": "TimedOut",
    '"timedout"': "TimedOut",
    " completed ": "Completed",
    "dead": "Dead",
}


def test_a_misspelt_status_becomes_the_proper_word(database: Database) -> None:
    rows = Rows(database)
    for status in ("Completed", "Dead", "Retrying"):
        rows.job(status=status)
    bad = {rows.job(status=written, started_at=START, error_message="kept"): written for written in MISSPELT}
    before = everything(database)
    found = doctor(database, examples=len(bad)).examine()
    assert counted(found) == {"misspelt_status": len(bad)}
    assert {example.id: example.status for example in found[0].examples} == bad
    assert fix(database) == {"misspelt_status": len(bad)}
    assert changes(before, everything(database)) == {
        id_: {"status": (written, MISSPELT[written])} for id_, written in bad.items()
    }


def test_a_word_that_is_no_status_is_reported_and_left(database: Database) -> None:
    odd = Rows(database).job(status="Gone fishing")
    found = doctor(database).examine()
    assert [(finding.kind, [example.id for example in finding.examples]) for finding in found] == [
        (Damage.UNKNOWN_STATUS, [odd])
    ]
    assert fix(database) == {}
    assert job(database, odd)["status"] == "Gone fishing"


# Jobs whose worker is gone.


def test_running_jobs_are_left_alone_until_an_age_is_given(database: Database) -> None:
    rows = Rows(database)
    rows.job(status="Running", started_at=START, attempts=1)
    assert doctor(database, lost=False).examine() == []
    assert fix(database, lost=False) == {}
    jobs, since, _ = doctor(database, lost=False).running()
    assert (jobs, timestamp(since)) == (1, START)


@current_only
def test_a_lost_job_runs_again_or_is_dead_after_its_last_attempt(readable: Database, rows: Rows) -> None:
    again = rows.job(status="Running", started_at=START, attempts=1, max_attempts=3)
    last = rows.job(status="Running", started_at=START, attempts=3, max_attempts=3)
    told = rows.job(status="Running", started_at=START, attempts=3, max_attempts=3, error_message="the first time")
    unstarted = rows.job(status="Running", attempts=0)
    young = rows.job(status="Running", started_at=NOW - timedelta(minutes=119), attempts=1)
    before = everything(readable)
    assert fix(readable) == {"lost": 2, "lost_last_attempt": 2}
    changed = changes(before, everything(readable))
    assert young not in changed
    error = "Its worker was lost while it ran this job. It was found on 2026-11-24 20:00 UTC."
    assert changed[again].keys() == {"status", "started_at", "error_message"}
    assert changed[again]["status"] == ("Running", "Pending")
    assert changed[again]["error_message"] == (None, error)
    assert changed[unstarted] == {"status": ("Running", "Pending"), "error_message": (None, error)}
    assert changed[last].keys() == {"status", "failed_at", "error_message"}
    assert changed[last]["status"] == ("Running", "Dead")
    assert timestamp(changed[last]["failed_at"][1]) == NOW
    assert changed[last]["error_message"] == (None, error)
    # Its error was that of an earlier attempt.
    assert changed[told]["error_message"] == ("the first time", error)
    history = attempts.of_jobs(readable, [again, last, told, unstarted, young])
    assert {
        job: [(one.attempt, one.outcome, one.worker_id, one.error) for one in of] for job, of in history.items()
    } == {
        again: [(1, "lost", None, error)],
        last: [(3, "lost", None, error)],
        told: [(3, "lost", None, error)],
        unstarted: [(0, "lost", None, error)],
    }
    assert timestamp(history[again][0].started_at) == START
    assert timestamp(history[again][0].ended_at) == NOW


@current_only
def test_a_recurring_job_that_was_lost_on_its_last_attempt_is_due_again(readable: Database, rows: Rows) -> None:
    lost = {"status": "Running", "started_at": START, "attempts": 3, "max_attempts": 3, "recurring": True}
    daily = rows.job(**lost, cron_schedule="0 30 2 * * *", timezone="Europe/Oslo")
    other = rows.job(**lost, cron_schedule="@hourly", error_message="of an earlier attempt")
    unreadable = rows.job(**lost, cron_schedule="every now and then")
    assert fix(readable) == {"lost_last_attempt": 3}
    jobs = {row["id"]: row for row in everything(readable)["hammerwork_jobs"]}
    assert (jobs[daily]["status"], jobs[daily]["attempts"], jobs[daily]["started_at"]) == ("Pending", 0, None)
    assert (
        timestamp(jobs[daily]["scheduled_at"])
        == timestamp(jobs[daily]["next_run_at"])
        == NOW.replace(day=25, hour=1, minute=30)
    )
    assert jobs[daily]["error_message"].startswith("Its worker was lost while it ran this job.")
    assert jobs[other]["error_message"] == jobs[daily]["error_message"]
    assert timestamp(jobs[other]["next_run_at"]) == NOW.replace(hour=21)
    assert jobs[unreadable]["status"] == "Dead"
    assert counted(doctor(readable).examine()) == {"cron_stopped": 1}


@current_only
def test_an_occurrence_that_was_lost_does_not_run_twice_when_the_clock_was_put_back(readable: Database) -> None:
    lost = {"status": "Running", "started_at": START, "attempts": 3, "max_attempts": 3, "recurring": True}
    ran_at = NOW.replace(hour=22)  # by the clock before it was put back
    recurring = Rows(readable).job(**lost, cron_schedule="@hourly", next_run_at=ran_at)
    assert fix(readable) == {"lost_last_attempt": 1}
    assert timestamp(job(readable, recurring)["next_run_at"]) == ran_at + timedelta(hours=1)


def test_a_job_that_a_worker_took_meanwhile_stays_its_own(database: Database) -> None:
    rows = Rows(database)
    taken = rows.job(status="Running", started_at=START, attempts=1)
    healer = doctor(database)
    found = healer.examine()
    stale = healer._damaged(Damage.LOST, limit=10)
    rows.run(
        f"UPDATE hammerwork_jobs SET started_at = {database.placeholder}", [database._adapt(NOW - timedelta(seconds=1))]
    )
    assert counted(found) == {"lost": 1}
    assert healer._fix_damaged(Damage.LOST, stale) == 0
    assert healer.fix(found)[0].left == 0
    assert job(database, taken)["status"] == "Running"


# Jobs that wait.


@current_only
def test_jobs_that_wait_for_completed_jobs_are_released(readable: Database, rows: Rows) -> None:
    done = [rows.job() for _ in range(2)]
    archived = rows.job(archived_at=START)
    quoted = rows.job(status="Dead")
    released = [
        rows.job(done[0], status="Pending", dependency_status="waiting"),
        rows.job(*done, status="Pending", dependency_status="waiting"),
        rows.job(done[0], done[0], status="Pending", dependency_status="waiting"),
        rows.job(archived, status="Pending", dependency_status="waiting"),
        rows.job(status="Pending", dependency_status="waiting"),
    ]
    running = rows.job(status="Running", started_at=NOW)
    kept = [
        rows.job(running, done[0], status="Pending", dependency_status="waiting"),
        rows.job(done[0], status="Failed", dependency_status="waiting"),
        rows.job(done[0], status="Pending", dependency_status="waiting", archived_at=START),
    ]
    before = everything(readable)
    assert counted(doctor(readable).examine()) == {"not_released": 5}
    assert fix(readable) == {"not_released": 5}
    changed = changes(before, everything(readable))
    assert changed == {id_: {"dependency_status": ("waiting", "satisfied")} for id_ in released}
    assert not changed.keys() & {*kept, quoted}


@current_only
def test_a_parent_that_is_in_the_archive_only_counts(readable: Database, rows: Rows) -> None:
    done, dead = str(rows.job()), str(rows.job())
    for id_, status in ((done, "Completed"), (dead, "Dead")):
        rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{id_}'")
        row = {"id": id_, "queue_name": "old", "payload": b"{}", "status": status, "created_at": START}
        row |= {"scheduled_at": START, "archived_at": START, "attempts": 1, "max_attempts": 3}
        rows.insert("hammerwork_jobs_archive", row)
    released = rows.job(done, status="Pending", dependency_status="waiting")
    failed = rows.job(dead, status="Pending", dependency_status="waiting")
    assert fix(readable) == {"not_released": 1, "parent_failed": 1}
    assert job(readable, released)["dependency_status"] == "satisfied"
    assert job(readable, failed)["status"] == "Failed"


@current_only
def test_failures_are_passed_down_as_a_worker_would_have(readable: Database, rows: Rows) -> None:
    dead = rows.job(status="Dead", error_message="boom")
    first = rows.job(dead, status="Pending", dependency_status="waiting")
    second = rows.job(first, status="Pending", dependency_status="waiting")
    third = rows.job(second, rows.job(), status="Pending", dependency_status="waiting")
    satisfied = rows.job(dead, status="Pending", dependency_status="satisfied")
    before = everything(readable)
    assert counted(doctor(readable).examine()) == {"parent_failed": 1}
    assert fix(readable) == {"parent_failed": 3}
    changed = changes(before, everything(readable))
    assert changed.keys() == {first, second, third}
    for id_, parent, status in ((first, dead, "Dead"), (second, first, "Failed"), (third, second, "Failed")):
        assert changed[id_].keys() == {"status", "dependency_status", "failed_at", "error_message"}
        assert changed[id_]["status"] == ("Pending", "Failed")
        assert changed[id_]["dependency_status"] == ("waiting", "failed")
        assert changed[id_]["error_message"][1] == f"It depends on job {parent}, which is {status}."
    assert job(readable, satisfied)["status"] == "Pending"
    assert doctor(readable).examine() == []


AFTER_A_FAILURE = {
    "fail_fast": ("Failed", "failed"),
    "continue_on_failure": ("Failed", "failed"),
    "ignore_failures": ("Pending", "satisfied"),
    "manual": ("Pending", "waiting"),
}


def test_a_workflow_says_what_a_failure_means(database: Database) -> None:
    rows = Rows(database)
    dead, done, running = rows.job(status="TimedOut"), rows.job(), rows.job(status="Running", started_at=NOW)
    held, going = dict[str, str](), dict[str, str]()
    for policy in AFTER_A_FAILURE:
        flow = rows.job()  # any id will do
        workflow = {"id": flow, "name": "nightly", "status": "running", "created_at": START, "failure_policy": policy}
        workflow |= {"total_jobs": 2, "completed_jobs": 0, "failed_jobs": 0, "metadata": "{}"}
        if policy == "ignore_failures":
            workflow |= {"failure_policy": "manual", "metadata": '{"_failure_policy": "ignore_failures"}'}
        rows.insert("hammerwork_workflows", workflow)
        waiting = {"status": "Pending", "dependency_status": "waiting", "workflow_id": flow}
        held[policy], going[policy] = rows.job(dead, done, **waiting), rows.job(dead, running, **waiting)
    found = doctor(database).examine()
    assert counted(found) == {"parent_failed": 4, "not_released_after_failure": 1, "parent_failed_manual": 2}
    fix(database)
    jobs = {row["id"]: (row["status"], row["dependency_status"]) for row in everything(database)["hammerwork_jobs"]}
    assert {policy: jobs[id_] for policy, id_ in held.items()} == AFTER_A_FAILURE
    assert jobs[going["ignore_failures"]] == ("Pending", "waiting")


def test_a_parent_that_is_retried_meanwhile_does_not_take_its_children_with_it(database: Database) -> None:
    rows = Rows(database)
    dead = rows.job(status="Dead")
    child = rows.job(dead, status="Pending", dependency_status="waiting")
    healer = doctor(database)
    rows.run(f"UPDATE hammerwork_jobs SET status = 'Pending' WHERE id = '{dead}'")
    assert database.transaction(lambda: healer._fail({child: dead}, to_the_end=True)) == []
    assert job(database, child)["status"] == "Pending"


def test_missing_parents_and_circles_are_reported_and_left(readable: Database, rows: Rows) -> None:
    gone = rows.job()
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{gone}'")
    orphan = rows.job(gone, status="Pending", dependency_status="waiting")
    lonely, one, two, after = (rows.job(status="Pending", dependency_status="waiting") for _ in range(4))
    for id_, parent in ((lonely, lonely), (one, two), (two, one), (after, one)):
        rows.run(f"UPDATE hammerwork_jobs SET depends_on = '{rows.ids([parent])}' WHERE id = '{id_}'")
    found = {finding.kind: finding for finding in doctor(readable).examine()}
    assert counted(found.values()) == {"parent_missing": 1, "cycle": 3}
    assert [(example.id, example.detail) for example in found[Damage.PARENT_MISSING].examples] == [(orphan, gone)]
    assert {example.id for example in found[Damage.CYCLE].examples} == {lonely, one, two}
    before = everything(readable)
    assert fix(readable) == {}
    assert everything(readable) == before


@current_only
def test_a_dependency_status_that_no_worker_accepts_is_fixed(readable: Database, rows: Rows) -> None:
    running = rows.job(status="Running", started_at=NOW)
    free = rows.job(status="Pending", dependency_status=None)
    held = rows.job(running, status="Pending", dependency_status=None)
    retried = rows.job(rows.job(), status="Pending", dependency_status="failed")
    ended = rows.job(running, status="Failed", dependency_status="failed")
    before = everything(readable)
    assert fix(readable) == {"barred": 3, "not_released": 1}
    states = {id_: columns["dependency_status"][1] for id_, columns in changes(before, everything(readable)).items()}
    assert states == {free: "none", held: "waiting", retried: "satisfied"}
    assert ended not in states


@current_only
def test_lists_that_are_null_become_empty_on_postgresql(readable: Database, rows: Rows) -> None:
    null = rows.job(status="Pending", depends_on=None, dependents=None)
    half = rows.job(rows.job(), status="Pending", dependents=None)
    if readable.dialect != "postgresql":
        assert doctor(readable).examine() == []
        return
    before = everything(readable)
    assert fix(readable) == {"null_lists": 2}

    def plain(value: Any) -> Any:
        return "{}" if value == [] and not isinstance(value, str) else value

    changed = changes(before, everything(readable))
    assert {id_: {key: plain(new) for key, (_, new) in columns.items()} for id_, columns in changed.items()} == {
        null: {"depends_on": "{}", "dependents": "{}"},
        half: {"dependents": "{}"},
    }


# What a person must decide.


def test_jobs_that_ran_before_their_parents_are_reported(database: Database) -> None:
    rows = Rows(database)
    running, done = rows.job(status="Running", started_at=NOW), rows.job()
    early = rows.job(done, running, status="Completed", dependency_status="waiting")
    rows.job(done, status="Completed", dependency_status="waiting")
    ended = rows.job(completed_at=START + timedelta(hours=1))
    ran = {"status": "Completed", "dependency_status": "waiting"}
    earlier = rows.job(done, ended, **ran, started_at=START + timedelta(minutes=59))
    rows.job(done, ended, **ran, started_at=START + timedelta(minutes=61))
    rows.job(done, ended, status="Completed", dependency_status="satisfied", started_at=START)
    found = doctor(database).examine()
    assert counted(found) == {"ran_early": 2}
    assert [(example.id, example.detail) for example in found[0].examples] == [(early, running), (earlier, ended)]


def test_recurring_jobs_that_ended_are_reported(database: Database) -> None:
    rows = Rows(database)
    hourly, daily, once = "0 0 * * * *", "@Daily", "0 0 0 24 12 ? 2025"
    dead = rows.job(status="Dead", recurring=True, cron_schedule=hourly)
    rows.job(status="Pending", recurring=True, cron_schedule=hourly)
    # A Rust worker that cannot read a schedule, or computes no next run, leaves its job Completed.
    unreadable = rows.job(status="Completed", recurring=True, cron_schedule=daily)
    left = rows.job(status="completed", recurring=True, cron_schedule=hourly, timezone="Europe/Oslo")
    rows.job(status="Completed", recurring=True, cron_schedule=once)
    rows.job(status="Completed", recurring=False, cron_schedule=hourly)
    found = {finding.kind: finding for finding in doctor(database).examine()}[Damage.CRON_STOPPED]
    assert [(example.id, example.detail) for example in found.examples] == [
        (dead, hourly),
        (unreadable, daily),
        (left, hourly),
    ]


@one_way_on_servers
def test_parents_that_never_spawned_are_reported_with_the_reason(readable: Database, rows: Rows) -> None:
    long = {"inherit_priority": True, "inherit_retry_strategy": True, "inherit_timeout": False}
    long |= {"inherit_trace_context": True}
    expected = {
        rows.job(spawns={"handler": "x", "max_spawn_count": 3}): "Rust workers ignore its short form",
        rows.job(spawns=["no", "object"]): "it cannot be read",
        rows.job(spawns=long): None,
    }
    with_child = rows.job(spawns=long)
    rows.job(with_child)
    rows.job(rows.job(), with_child)
    rows.job(spawns=True, status="Pending")
    rows.job(spawns=True, status="Dead")
    found = doctor(readable).examine()
    assert counted(found) == {"never_spawned": 3}
    assert {example.id: example.detail for example in found[0].examples} == expected


# All together.


def test_one_queue_can_be_checked_and_fixed_alone(database: Database) -> None:
    rows = Rows(database)
    other = rows.job(queue="other", status="pending")
    rows.job(queue="mine", status="pending")
    done = rows.job()
    rows.job(done, queue="other", status="Pending", dependency_status="waiting")
    assert counted(doctor(database, queues=["mine"]).examine()) == {"misspelt_status": 1}
    assert fix(database, queues=["mine"]) == {"misspelt_status": 1}
    assert job(database, other)["status"] == "pending"
    assert counted(doctor(database).examine()) == {"misspelt_status": 1, "not_released": 1}


@on_sqlite
def test_looking_takes_the_same_few_statements_however_many_jobs_there_are(database: Database) -> None:
    rows = Rows(database)
    parent = rows.job(spawns=True)
    statements = []
    for _ in range(2):
        for _ in range(60):
            rows.job(parent, status="Pending", dependency_status="waiting")
            rows.job(status="running", started_at=START, attempts=1)
        healer = doctor(database)
        database.tags, database.schema  # noqa: B018  read once a connection
        before = database.executed
        found = healer.examine()
        statements.append(database.executed - before)
        assert [len(finding.examples) for finding in found] == [5] * len(found)
    assert statements[0] == statements[1] <= 16


@on_sqlite
def test_several_pages_are_fixed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hammerwork_cli.features.spawn.queries.doctor.PAGE", 7)
    rows = Rows(database)
    done, dead = rows.job(), rows.job(status="Dead")
    for _ in range(20):
        rows.job(done, status="Pending", dependency_status="waiting")
        rows.job(dead, status="Pending", dependency_status="waiting")
        rows.job(status="dead")
    assert fix(database) == {"misspelt_status": 20, "not_released": 20, "parent_failed": 20}
    assert doctor(database).examine() == []


def test_two_doctors_at_once_fix_each_job_once(migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        done, dead = rows.job(), rows.job(status="Dead")
        for _ in range(60):
            rows.job(done, status="Pending", dependency_status="waiting")
            rows.job(dead, status="Pending", dependency_status="waiting")
            rows.job(status="Running", started_at=START, attempts=1)
            rows.job(status='"Completed"')
    fixed: list[dict[str, int]] = []
    ready = threading.Barrier(2)

    def work() -> None:
        with contextlib.closing(connect(migrated_url)) as mine:
            ready.wait(30)
            fixed.append(fix(mine))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    kinds = ("misspelt_status", "lost", "not_released", "parent_failed")
    assert {kind: sum(one.get(kind, 0) for one in fixed) for kind in kinds} == dict.fromkeys(kinds, 60)
    with contextlib.closing(connect(migrated_url)) as database:
        assert doctor(database).examine() == []


def test_circles_are_found_in_a_long_chain() -> None:
    chain = [(str(number), str(number + 1)) for number in range(20_000)]
    assert in_cycles(chain) == set()
    assert in_cycles([*chain, ("19999", "19998")]) == {"19998", "19999"}
    assert in_cycles([("a", "a"), ("b", "a"), ("a", "c")]) == {"a"}


@on_sqlite
def test_a_page_of_a_sweep_names_what_it_released(database: Database) -> None:
    rows = Rows(database)
    parent = rows.job()
    jobs = [rows.job(parent, status="Pending", dependency_status="waiting") for _ in range(3)]
    rows.job(rows.job(status="Running"), status="Pending", dependency_status="waiting")
    _, fixed = doctor(database).fix_waiting_page(None)
    assert (sorted(fixed.released), fixed.failed) == (sorted(jobs), ())


def test_a_page_of_a_sweep_fails_a_whole_chain(database: Database) -> None:
    rows = Rows(database)
    chain = [rows.job(status="Dead")]
    for _ in range(6):
        chain.append(rows.job(chain[-1], status="Pending", dependency_status="waiting"))
    after, fixed = doctor(database).fix_waiting_page(None)
    assert (after, fixed.released, sorted(fixed.failed)) == (None, (), sorted(chain[1:]))
    assert {row[0] for row in database.query("SELECT status FROM hammerwork_jobs")} == {"Dead", "Failed"}
