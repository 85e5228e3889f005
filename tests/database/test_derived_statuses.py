"""Retrying and Cancelled, which no worker writes: derived the same way wherever jobs are counted, chosen or shown."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from hammerwork_cli.core.values import (
    DERIVED,
    FAILURES,
    STORED,
    UNSUCCESSFUL,
    WAITING,
    JobStatus,
    derived_words,
    spellings,
)
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import changes, listing
from hammerwork_cli.features.job.queries.changes import CancelJobs, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByFilter, ByIds, Subtrees
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import HealthLimits
from hammerwork_cli.features.spawn.queries import failed as failed_queries
from hammerwork_cli.features.spawn.queries import operations, wait
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.spawn.queries.why import diagnose
from hammerwork_cli.features.tree.queries import children, tree
from hammerwork_cli.features.tree.queries.relatives import Relatives
from tests.conftest import each_row, on_sqlite
from tests.rows import START, Rows

NOW = START + timedelta(hours=1)
CANCELLED = "cancelled by ann@desk through hammerwork: wrong file"
FOLLOWED = "a job that it depends on was cancelled by ann@desk through hammerwork"
IN_RUST = "Workflow cancelled"


@pytest.fixture
def rows(database: Database) -> Rows:
    """Writes jobs into ``database``."""
    return Rows(database)


def retrying(rows: Rows, *parents: str, **columns: Any) -> str:
    return rows.job(*parents, status="Pending", attempts=1, error_message="ValueError: 13", **columns)


def cancelled(rows: Rows, *parents: str, error: str = CANCELLED, **columns: Any) -> str:
    return rows.job(*parents, status="Failed", error_message=error, failed_at=NOW, **columns)


def status_of(database: Database, job: str) -> str:
    return Relatives(database).job(job).status


def test_a_pending_job_with_an_error_of_an_earlier_attempt_is_retrying(database: Database, rows: Rows) -> None:
    assert status_of(database, retrying(rows)) == "Retrying"
    assert status_of(database, rows.job(status="Pending", attempts=1)) == "Pending"
    assert status_of(database, rows.job(status="Pending", error_message="of the last occurrence")) == "Pending"
    assert status_of(database, rows.job(status="Running", attempts=2, error_message="x")) == "Running"
    assert status_of(database, rows.job(status='"pending"', attempts=2, error_message="x")) == "Pending"


@each_row("error", [CANCELLED, FOLLOWED, IN_RUST, CANCELLED.replace(": wrong file", "")])
def test_a_failed_job_that_somebody_cancelled_is_cancelled(database: Database, rows: Rows, error: str) -> None:
    assert status_of(database, cancelled(rows, error=error)) == "Cancelled"
    assert status_of(database, rows.job(status="Dead", error_message=error)) == "Dead"


@each_row("error", ["cancelled by the customer", "ValueError: cancelled by ann through hammerwork", None])
def test_other_errors_are_failures(database: Database, rows: Rows, error: str | None) -> None:
    assert status_of(database, rows.job(status="Failed", error_message=error)) == "Failed"


def test_each_derived_status_has_one_that_rows_hold() -> None:
    assert set(DERIVED.values()) <= set(STORED)
    assert JobStatus.CANCELLED not in STORED
    assert set(JobStatus.PENDING._spellings) <= set(spellings([JobStatus.RETRYING]))
    assert not derived_words(WAITING)
    assert set(derived_words([JobStatus.RETRYING])) == set(JobStatus.RETRYING._spellings)


FOUND: list[tuple[set[JobStatus], set[str]]] = [
    ({JobStatus.RETRYING}, {"retrying"}),
    ({JobStatus.PENDING}, {"pending"}),
    ({JobStatus.PENDING, JobStatus.RETRYING}, {"pending", "retrying"}),
    ({JobStatus.CANCELLED}, {"cancelled"}),
    ({JobStatus.FAILED}, {"failed"}),
    ({*FAILURES}, {"failed", "dead"}),
    ({*UNSUCCESSFUL}, {"failed", "dead", "cancelled"}),
    ({JobStatus.CANCELLED, JobStatus.RETRYING}, {"cancelled", "retrying"}),
]
"""The statuses of a filter -> the jobs that it finds."""


def test_filters_know_derived_statuses(database: Database, rows: Rows) -> None:
    parent = rows.job(spawns=True)
    jobs = {
        "pending": rows.job(parent, status="Pending", spawns=True),
        "retrying": retrying(rows, parent, spawns=True),
        "failed": rows.job(parent, status="Failed", error_message="x", spawns=True),
        "dead": rows.job(parent, status="Dead", spawns=True),
        "cancelled": cancelled(rows, parent, spawns=True),
    }
    for job in jobs.values():
        rows.job(job)
    names = {job: name for name, job in jobs.items()}
    for wanted, found in FOUND:
        chosen = tuple(sorted(wanted))
        page = listing.find(database, JobFilter(statuses=chosen), limit=20)
        assert {names[one.node.id] for one in page.jobs} == found, chosen
        below = children.page(database, parent, limit=20, statuses=chosen)
        assert {names[one.node.id] for one in below.children} == found, chosen
        spawned = operations.operations(database, limit=20, statuses=chosen)
        assert {names[one.parent.id] for one in spawned} == found, chosen
        counted = ByFilter(JobFilter(statuses=chosen)).read(database).groups
        assert {group.status.lower() for group in counted} == found, chosen


def test_queues_count_derived_statuses_apart(database: Database, rows: Rows) -> None:
    rows.job(status="Pending")
    retrying(rows)
    retrying(rows, scheduled_at=NOW + timedelta(minutes=5))
    retrying(rows, queue="other")
    rows.job(status="Failed", error_message="x", failed_at=NOW)
    cancelled(rows)
    cancelled(rows)
    for window, queue in product((None, timedelta(hours=1)), (None, "work")):
        stats = queues.stats(database, now=NOW, queue=queue, window=window)
        counts = {status: jobs for status, jobs in stats.state.counts.by_status.items() if jobs}
        other = 0 if queue else 1
        assert counts == {"Pending": 1, "Retrying": 2 + other, "Failed": 1, "Cancelled": 2}
        assert (stats.state.ready, stats.state.scheduled, stats.state.pending) == (2 + other, 1, 3 + other)
        if window:
            assert stats.state.failed == 1
            assert {row.status: row.jobs for row in stats.by_priority if row.jobs} == counts


def test_an_outage_is_unhealthy_before_the_attempts_run_out(database: Database, rows: Rows) -> None:
    for _ in range(3):
        retrying(rows)
    [health] = queues.health(database, HealthLimits(retrying=2), now=NOW)
    assert [(check.name, check.value) for check in health.exceeded] == [("retrying", 3)]
    [health] = queues.health(database, HealthLimits(retrying=3, failed=0, failure_rate=0.0), now=NOW)
    assert health.healthy


def test_trees_operations_and_figures_count_derived_statuses(database: Database, rows: Rows) -> None:
    parent = rows.job(spawns=True)
    retrying(rows, parent)
    cancelled(rows, parent)
    rows.job(parent)
    assert tree.tree(database, parent).counts.by_status == {"Completed": 2, "Retrying": 1, "Cancelled": 1}
    [operation] = operations.operations(database, limit=5)
    assert (operation.children.retrying, operation.children.cancelled, operation.children.failed) == (1, 1, 0)
    stats = stats_queries.stats(database, since=START, recent=START)
    assert (stats.overall.retrying, stats.overall.cancelled, stats.overall.failed) == (1, 1, 0)
    watch = wait.TreeWatch(database, [parent], NOW)
    watch.read()
    assert (watch.counts.retrying, watch.counts.cancelled) == (1, 1)
    groups = {(group.status, group.jobs) for group in children.groups(database, parent)}
    assert groups == {("Completed", 1), ("Retrying", 1), ("Cancelled", 1)}
    assert not failed_queries.operations(database, limit=5).operations


@on_sqlite
def test_the_cause_of_a_cancelled_job_is_whoever_cancelled_it(database: Database, rows: Rows) -> None:
    job = cancelled(rows)
    found = diagnose(database, job, limit=5, now=NOW)
    assert [(group.error, group.is_cancelled) for group in found.groups] == [(CANCELLED, True)]
    assert found.failed


@on_sqlite
def test_a_job_that_waits_for_a_cancelled_one_is_stuck_behind_it(database: Database, rows: Rows) -> None:
    parent = cancelled(rows)
    child = rows.job(parent, status="Pending", dependency_status="waiting")
    [blocker] = diagnose(database, child, limit=5, now=NOW).blockers
    assert blocker.parents == {parent: "Cancelled"}
    assert blocker.is_stuck


def test_the_doctor_still_finds_what_waits_for_a_cancelled_job(database: Database, rows: Rows) -> None:
    parent = cancelled(rows)
    rows.job(parent, status="Pending", dependency_status="waiting")
    before = [finding.jobs for finding in Doctor(database, now=NOW).examine()]
    database.transaction(lambda: rows.run("UPDATE hammerwork_jobs SET error_message = 'x' WHERE status = 'Failed'"))
    assert [finding.jobs for finding in Doctor(database, now=NOW).examine()] == before


def test_a_retry_leaves_cancelled_jobs_alone_unless_they_are_asked_for(database: Database, rows: Rows) -> None:
    parent = rows.job()
    job, dead = cancelled(rows, parent), rows.job(parent, status="Dead")
    plan = changes.plan(database, Subtrees([parent], RetryJobs.in_trees), RetryJobs(NOW))
    assert (plan.changed, plan.left.by_status) == (1, {"Cancelled": 1})
    outcome = changes.run(database, Subtrees([parent], RetryJobs.in_trees), RetryJobs(NOW))
    assert (outcome.changed, outcome.left.by_status, outcome.refused) == (1, {"Cancelled": 1}, 0)
    assert (status_of(database, job), status_of(database, dead)) == ("Cancelled", "Pending")
    outcome = changes.run(database, ByIds([job]), RetryJobs(NOW, cancelled=True))
    assert (outcome.changed, status_of(database, job)) == (1, "Pending")


def test_a_cancelled_job_brings_the_jobs_back_that_were_cancelled_with_it(database: Database, rows: Rows) -> None:
    parent = rows.job(status="Pending")
    child = rows.job(parent, status="Pending", dependency_status="waiting")
    changes.run(database, ByIds([parent]), CancelJobs(NOW, by="ann@desk"))
    assert (status_of(database, parent), status_of(database, child)) == ("Cancelled", "Cancelled")
    outcome = changes.run(database, ByIds([parent]), RetryJobs(NOW, cancelled=True))
    assert (outcome.changed, outcome.followed) == (1, 1)
    assert status_of(database, child) == "Pending"


@on_sqlite
def test_a_retrying_job_can_be_cancelled(database: Database, rows: Rows) -> None:
    job = retrying(rows)
    assert changes.run(database, ByIds([job]), CancelJobs(NOW, by="ann@desk")).changed == 1
    assert status_of(database, job) == "Cancelled"
