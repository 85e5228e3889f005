"""Retention policies: how they are set, and how workers apply them."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import ENDS, JobStatus
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import LimitReachedError
from hammerwork_cli.features.archive.models.policies import FIRST_RUN_DELAY, Ages, Policy, PolicyAction
from hammerwork_cli.features.archive.models.rows import Archival
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.archive.queries import retention as queries
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.worker import retention
from tests.commands.archive.test_archive import CLOCK, NOW, archived, asked, ended, ids
from tests.conftest import Outcome, all_databases, eventually
from tests.rows import Rows
from tests.worker_context import WORKER, worker_context

Run = Callable[..., Outcome]
DAY = timedelta(days=1)
EVERY = dict.fromkeys(ENDS, 30 * DAY)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    with contextlib.closing(connect(migrated_url)) as opened:
        yield opened


def put(
    database: Database, queue: str, action: PolicyAction = PolicyAction.ARCHIVE, ages: Ages = EVERY, **more: Any
) -> None:
    policies.put(database, Policy(queue, action, ages, **more), by="ada", now=NOW - 2 * FIRST_RUN_DELAY)


def carried_out(database: Database, is_over: Callable[[], bool] = lambda: False) -> list[tuple[str, int, int]]:
    done = queries.run_policies(database, policies.all_policies(database), NOW, is_over)
    return [(one.policy.queue, one.jobs, one.purged) for one in done]


def test_a_policy_is_set_changed_shown_and_removed(run: Run, migrated_url: str) -> None:
    words = ("archive", "set-policy", "--queue", "Mail")
    new = asked(run, migrated_url, *words, "--older-than", "30d", "--dead-after", "never")
    assert (new["completed_seconds"], new["timed_out_seconds"], new["dead_seconds"]) == (2592000, 2592000, None)
    assert (new["action"], new["by"], new["enabled"], new["purge_seconds"]) == ("archive", "tree", True, None)
    changed = asked(run, migrated_url, *words, "--failed-after-days", "1", "--no-compress", "--enabled", "false")
    assert changed == {**new, "failed_seconds": 86400, "compression_level": None, "enabled": False}
    assert asked(run, migrated_url, "archive", "get-policy", "-q", "Mail") == changed
    asked(run, migrated_url, "archive", "get-policy", "-q", "mail", code=5)
    deleting = ("archive", "set-policy", "--all", "--completed-after", "7d", "--action", "delete")
    assert "--yes" in asked(run, migrated_url, *deleting, code=2)
    asked(run, migrated_url, *deleting, "--yes")
    assert [one["queue"] for one in asked(run, migrated_url, "archive", "policies")] == ["*", "Mail"]
    shown = run("archive", "get-policy", "--all", url=migrated_url).stdout
    assert shown.splitlines()[:2] == ["Trees of all other queues are deleted:", "  Completed  7d after the end"]
    assert asked(run, migrated_url, "archive", "remove-policy", "--all", "--yes")["queue"] == "*"
    asked(run, migrated_url, "archive", "remove-policy", "--all", "--yes", code=5)
    for wrong in ("--queue a", "--older-than 1d", "--queue * --older-than 1d", "--all --queue a --older-than 1d"):
        asked(run, migrated_url, "archive", "set-policy", *wrong.split(), code=2)
    assert len(asked(run, migrated_url, "archive", "policies")) == 1


@all_databases
def test_each_queue_has_its_policy_and_the_others_share_one(run: Run, migrated_url: str, database: Database) -> None:
    rows = Rows(database)
    mail = ended(rows, queue="mail")
    child = ended(rows, mail, queue="other")  # goes with its root
    video, late = ended(rows, queue="video"), ended(rows, queue="Mail")
    dead = ended(rows, queue="mail", status="Dead")
    kept = {ended(rows, queue="keep"), ended(rows, queue="mail", days=10), ended(rows, queue="video", recurring=True)}
    kept.add(ended(rows, queue="mail", retention_policy="KeepIndefinitely"))
    unfinished = ended(rows, queue="video")
    kept |= {unfinished, rows.job(unfinished, queue="mail", status="Pending")}
    rows.insert(
        "hammerwork_jobs_archive",
        {"id": new_id(), "queue_name": "mail", "payload": b"{}", "status": "Dead", "created_at": NOW - 90 * DAY}
        | {"scheduled_at": NOW - 90 * DAY, "archived_at": NOW - 80 * DAY},
    )
    put(database, "mail", ages={JobStatus.COMPLETED: 30 * DAY, JobStatus.DEAD: 40 * DAY}, purge_after=70 * DAY)
    put(database, "keep", enabled=False)
    put(database, "*", PolicyAction.DELETE)
    plan = ("archive", "set-policy", "--all", "--older-than", "30d", "--action", "delete", "--dry-run")
    assert [one["changed"] for one in asked(run, migrated_url, *plan)] == [2]
    assert carried_out(database) == [("*", 2, 0), ("mail", 3, 1)]
    assert ids(migrated_url) == kept
    assert archived(migrated_url) == {mail, child, dead}
    assert {video, late}.isdisjoint(ids(migrated_url))
    assert carried_out(database) == [("*", 0, 0), ("mail", 0, 0)]
    [every, _, of_mail] = asked(run, migrated_url, "archive", "policies")
    assert (every["last_jobs"], of_mail["last_jobs"], of_mail["last_error"]) == (0, 0, None)
    shown = asked(run, migrated_url, "archive", "show", mail)
    assert (shown["archival_reason"], shown["archived_by"]) == ("Automatic", "retention")


@all_databases
def test_a_tree_below_roots_of_two_queues_goes_by_no_policy_of_one_of_them(
    run: Run, migrated_url: str, database: Database
) -> None:
    rows = Rows(database)
    tmp, audit = ended(rows, queue="tmp"), ended(rows, queue="audit")
    tree = {tmp, audit, ended(rows, tmp, audit, queue="tmp")}
    put(database, "tmp", PolicyAction.DELETE)
    put(database, "audit", ages={JobStatus.COMPLETED: 3650 * DAY})
    put(database, "*", PolicyAction.DELETE)
    assert carried_out(database) == [("*", 0, 0), ("audit", 0, 0), ("tmp", 0, 0)]
    assert asked(run, migrated_url, "maintenance", "cleanup", "--queue", "tmp", "--yes")["changed"] == 0
    assert ids(migrated_url) == tree


@all_databases
def test_a_new_policy_waits_for_second_thoughts_and_a_run_ends_when_its_time_is_over(
    migrated_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "PAGE", 2)
    rows = Rows(database)
    trees = []
    for _ in range(5):
        root = ended(rows)
        trees.append({root, ended(rows, root)})
    policies.put(database, Policy("*", PolicyAction.ARCHIVE, EVERY), by="ada", now=NOW)
    assert carried_out(database) == []
    put(database, "*")
    over = iter([False, False, True])
    [(_, went, _)] = carried_out(database, lambda: next(over, True))
    assert 0 < went < 10
    assert [tree for tree in trees if tree <= archived(migrated_url)]
    [(_, rest, _)] = carried_out(database)
    assert went + rest == 10
    assert archived(migrated_url) == set.union(*trees)


def test_the_policy_that_has_waited_longest_goes_first_and_one_that_did_not_begin_is_not_noted(
    database: Database,
) -> None:
    for queue in ("a", "b", "c"):
        put(database, queue)
    policies.note(database, "a", now=NOW - DAY, jobs=0, error=None)
    policies.note(database, "b", now=NOW - 2 * DAY, jobs=0, error=None)
    turns = iter([False, False, True])
    assert [queue for queue, *_ in carried_out(database, lambda: next(turns))] == ["c", "b"]
    runs = {one.queue: one.last_run_at for one in policies.all_policies(database)}
    assert runs["a"] < runs["b"] == runs["c"]


def test_a_row_that_nobody_foresaw_stops_its_own_policy_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates")

    put(database, "a")
    put(database, "b", PolicyAction.DELETE)
    monkeypatch.setattr(queries, "change", fail)
    assert [queue for queue, *_ in carried_out(database)] == ["a", "b"]
    assert {one.last_error for one in policies.all_policies(database)} == {
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\x78' in position 0: surrogates"
    }


@all_databases
def test_a_plan_has_both_what_goes_by_age_and_what_goes_from_the_archive(
    run: Run, migrated_url: str, database: Database
) -> None:
    rows = Rows(database)
    rows.job(status="Pending")
    ended(rows)
    for queue in ("work", "other"):
        rows.insert(
            "hammerwork_jobs_archive",
            {"id": new_id(), "queue_name": queue, "payload": b"{}", "status": "Dead", "created_at": NOW - 90 * DAY}
            | {"scheduled_at": NOW - 90 * DAY, "archived_at": NOW - 80 * DAY},
        )
    words = ("archive", "set-policy", "--queue", "work", "--purge-after", "1d")
    plans = asked(run, migrated_url, *words, "--older-than", "30d", "--dry-run")
    assert [(one["action"], one["changed"], one["dry_run"]) for one in plans] == [
        ("archive", 1, True),
        ("purge", 1, True),
    ]
    shown = run(*words, "--older-than", "30d", "--dry-run", url=migrated_url, env=CLOCK).stdout
    assert [line for line in shown.splitlines() if line.startswith("To ")] == ["To archive: 1 job", "To purge: 1 job"]
    assert [one["action"] for one in asked(run, migrated_url, *words, "--dry-run")] == ["purge"]
    assert policies.all_policies(database) == []
    assert len(ids(migrated_url)) == 2
    asked(run, migrated_url, *words, "--yes")
    put(database, "work", ages={}, purge_after=DAY)
    assert carried_out(database) == [("work", 0, 1)]


def test_an_error_of_one_policy_is_noted_and_the_others_go_on(
    run: Run, migrated_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(database)
    broken, fine = ended(rows, queue="broken"), ended(rows, queue="fine")
    for queue in ("broken", "fine"):
        put(database, queue)
    archived_by = Archival.archived

    def failing(how: Archival, job: dict[str, Any], *more: Any) -> dict[str, Any]:
        if job["queue_name"] == "broken":
            raise LimitReachedError("another session has locked the table")
        return archived_by(how, job, *more)

    with monkeypatch.context() as context:
        context.setattr(Archival, "archived", failing)
        assert carried_out(database) == [("broken", 0, 0), ("fine", 1, 0)]
    found = {one["queue"]: one["last_error"] for one in asked(run, migrated_url, "archive", "policies")}
    assert found == {"broken": "another session has locked the table", "fine": None}
    [check] = asked(run, migrated_url, "monitor", "health", "--only", "retention")["checks"]
    assert (check["status"], check["about"]) == ("warning", ["broken"])
    assert (ids(migrated_url), archived(migrated_url)) == ({broken}, {fine})
    assert carried_out(database) == [("broken", 1, 0), ("fine", 0, 0)]
    later = {"HAMMERWORK_NOW": (NOW + 2 * DAY).isoformat()}
    outcome = run("monitor", "health", "--only", "retention", "--format", "json", url=migrated_url, env=later)
    assert outcome.json["checks"][0]["about"] == ["broken", "fine"]


@all_databases
def test_of_two_workers_one_carries_policies_out(
    migrated_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHECK_SECONDS", 0.1)
    rows = Rows(database)
    jobs = {ended(rows) for _ in range(30)}
    put(database, "*")
    clock, stopped_at_once = ServerClock(), threading.Event()
    clock.set(NOW)
    monkeypatch.setattr("hammerwork_cli.runtime.clock.PROVEN_SECONDS", 0)
    threads = [
        retention.Retention(
            worker_context(Connections(migrated_url, 1, stopped_at_once), WORKER._replace(id=new_id()), clock=clock)
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: archived(migrated_url) == jobs)
    eventually(lambda: duties.times(database)[queries.DUTY] > NOW + timedelta(minutes=9))
    for thread in threads:
        thread.end()
    for thread in threads:
        thread.join(60)
    [policy] = policies.all_policies(database)
    assert (policy.last_jobs, policy.last_error) == (30, None)


def keys(url: str) -> int:
    with contextlib.closing(connect(url)) as database:
        return len(database.query("SELECT id FROM hammerwork_unique"))


def test_a_worker_carries_policies_out_unless_an_option_forbids_it(
    lite_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr("hammerwork_cli.runtime.clock.PROVEN_SECONDS", 1)
    app = Handlers()
    app.job("mail")(str)
    with contextlib.closing(connect(lite_url)) as database:
        now = database.now()
        then = now - 40 * DAY
        old = Rows(database).job(created_at=then, completed_at=then)
        policies.put(database, Policy("*", PolicyAction.DELETE, EVERY), by="ada", now=now - 2 * FIRST_RUN_DELAY)
        key = {"id": new_id(), "queue_name": "mail", "unique_key": "k", "job_id": new_id()}  # its job is gone
        Rows(database).insert("hammerwork_unique", key)
    Worker(lite_url, app, drain=True).run()
    assert (ids(lite_url), keys(lite_url)) == ({old}, 1)
    worker = Worker(lite_url, app)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        eventually(lambda: not ids(lite_url) and not keys(lite_url))
    finally:
        worker.stop()
        running.join(60)
