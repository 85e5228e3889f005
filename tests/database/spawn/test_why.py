"""Failures are traced to their causes: the deepest ones below a job, or what is above it."""

from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.spawn.models.why import DelayReason, Diagnosis
from hammerwork_cli.features.spawn.queries.error_texts import pattern
from hammerwork_cli.features.spawn.queries.why import diagnose
from hammerwork_cli.features.spawn.views.delays import DelayLines, delay_commands, hold_text
from hammerwork_cli.features.tree.wait import BlockerReason
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from tests.conftest import each_row, on_sqlite
from tests.database.conftest import one_way_on_servers, readable_on_sqlite
from tests.rows import START, Rows

LATER = START + timedelta(days=1)
HELD = {"status": "Pending", "dependency_status": "waiting"}


def errors(found: Diagnosis) -> list[tuple[str | None, int]]:
    return [(group.error, group.total) for group in found.groups]


def ids(nodes: Any) -> list[str]:
    return [node.id for node in nodes]


def test_the_deepest_failures_are_grouped_by_error_with_the_way_to_each(readable: Database, rows: Rows) -> None:
    root = rows.job(queue="ingest")
    middle = [rows.job(root, queue="transcode") for _ in range(2)]
    leaves = [
        rows.job(parent, queue="segment", status="Dead", error_message=f"segment {number}: moov atom not found")
        for number, parent in enumerate([*middle, *middle])
    ]
    other = rows.job(root, queue="subtitle", status="Failed", error_message="quota exceeded")
    silent = rows.job(root, queue="thumbnail", status="timedout")
    found = diagnose(readable, root, limit=3, now=START)
    assert errors(found) == [("segment 0: moov atom not found", 4), (None, 1), ("quota exceeded", 1)]
    assert found.groups[0].queues.by_status == {"segment": 4}
    assert [ids(failed.path) for failed in found.groups[0].jobs] == [
        [root, middle[number % 2], leaf] for number, leaf in enumerate(leaves[:3])
    ]
    assert [ids(group.jobs[0].path) for group in found.groups[1:]] == [[root, silent], [root, other]]
    assert found.failed
    assert found.consequences == 0
    assert found.counts.by_status == {"Completed": 3, "Dead": 4, "Failed": 1, "TimedOut": 1}


@readable_on_sqlite
def test_the_path_begins_at_the_topmost_ancestor(readable: Database, rows: Rows) -> None:
    root = rows.job()
    middle = rows.job(root)
    leaf = rows.job(middle, status="Dead", error_message="boom")
    beside = rows.job(root, status="Dead", error_message="not below")
    found = diagnose(readable, middle, limit=5, now=START)
    assert errors(found) == [("boom", 1)]
    assert [ids(failed.path) for failed in found.groups[0].jobs] == [[root, middle, leaf]]
    assert beside not in {failed.job.id for group in found.groups for failed in group.jobs}


@readable_on_sqlite
def test_a_failure_above_a_deeper_one_is_no_cause(readable: Database, rows: Rows) -> None:
    root = rows.job(status="Failed", error_message="a child failed")
    middle = rows.job(root)
    rows.job(middle, status="Dead", error_message="boom")
    found = diagnose(readable, root, limit=5, now=START)
    assert errors(found) == [("boom", 1)]
    assert found.consequences == 1


def test_jobs_that_failed_with_their_parent_are_consequences(readable: Database, rows: Rows) -> None:
    root = rows.job()
    cause = rows.job(root, status="Dead", error_message="boom")
    first = rows.job(cause, status="Failed", dependency_status="failed", error_message="it depends on another")
    rows.job(first, status="Failed", dependency_status="failed", error_message="it depends on another")
    found = diagnose(readable, root, limit=5, now=START)
    assert errors(found) == [("boom", 1)]
    assert found.consequences == 2
    assert found.above == ()


@readable_on_sqlite
def test_the_cause_is_looked_for_above_a_job_that_failed_with_another(readable: Database, rows: Rows) -> None:
    root = rows.job()
    cause = rows.job(root, status="Dead", error_message="boom")
    first = rows.job(cause, status="Failed", dependency_status="failed")
    job = rows.job(first, status="Failed", dependency_status="failed")
    found = diagnose(readable, job, limit=5, now=START)
    assert found.groups == ()
    assert found.consequences == 1
    assert [ids(failed.path) for failed in found.above] == [[root, cause]]


@readable_on_sqlite
def test_the_cause_may_be_in_another_tree(readable: Database, rows: Rows) -> None:
    root, elsewhere = rows.job(), rows.job(status="Dead", error_message="boom")
    rows.job(root, elsewhere, status="Failed", dependency_status="failed")
    found = diagnose(readable, root, limit=5, now=START)
    assert [failed.job.id for failed in found.above] == [elsewhere]


@one_way_on_servers
def test_a_waiting_job_names_what_holds_it_and_the_cause_above(readable: Database, rows: Rows) -> None:
    cause = rows.job(status="Dead", error_message="boom")
    first = rows.job(cause, **HELD)
    job = rows.job(first, **HELD)
    found = diagnose(readable, job, limit=5, now=START)
    assert [(blocker.job, blocker.reason) for blocker in found.blockers] == [
        (job, BlockerReason.STUCK_ABOVE),
        (first, BlockerReason.PARENT_FAILED),
    ]
    assert [failed.job.id for failed in found.above] == [cause]
    assert found.failed


@readable_on_sqlite
def test_a_job_that_waits_for_one_that_runs_has_no_failure(readable: Database, rows: Rows) -> None:
    root = rows.job(status="Running", started_at=START)
    job = rows.job(root, rows.job(), **HELD)
    found = diagnose(readable, job, limit=5, now=START)
    assert not found.failed
    assert [(blocker.reason, blocker.blocked_by) for blocker in found.blockers] == [(BlockerReason.UNFINISHED, (root,))]
    gone = rows.job()
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{gone}'")
    missing = rows.job(gone, **HELD)
    assert [
        (blocker.reason, blocker.blocked_by) for blocker in diagnose(readable, missing, limit=5, now=START).blockers
    ] == [(BlockerReason.PARENT_MISSING, (gone,))]


@readable_on_sqlite
def test_circles_end(readable: Database, rows: Rows) -> None:
    one, two = rows.job(status="Dead"), rows.job(status="Failed", dependency_status="failed")
    held = rows.job(**HELD)
    for job, parent in ((one, two), (two, one), (held, held)):
        rows.run(f"UPDATE hammerwork_jobs SET depends_on = '{rows.ids([parent])}' WHERE id = '{job}'")
    assert diagnose(readable, one, limit=5, now=START).failed
    assert diagnose(readable, two, limit=5, now=START).failed
    assert [blocker.reason for blocker in diagnose(readable, held, limit=5, now=START).blockers] == [
        BlockerReason.STUCK_ABOVE
    ]


@readable_on_sqlite
def test_nothing_failed(readable: Database, rows: Rows) -> None:
    root = rows.job()
    rows.job(root, status="Running")
    found = diagnose(readable, root, limit=5, now=START)
    assert not found.failed
    assert (found.groups, found.above, found.blockers) == ((), (), ())
    with pytest.raises(NotFoundError):
        diagnose(readable, "00000000-0000-4000-8000-000000000000", limit=5, now=START)


def test_a_traceback_is_known_by_its_last_line(database: Database) -> None:
    rows = Rows(database)
    root = rows.job()
    for number in range(2):
        frames = "\n".join(f'  File "handler.py", line {line}, in work' for line in range(40 + number))
        rows.job(
            root,
            status="Dead",
            error_message=f"Traceback (most recent call last):\n{frames}\nValueError: chunk {number} is bad\n",
        )
    assert errors(diagnose(database, root, limit=5, now=START)) == [("ValueError: chunk 0 is bad", 2)]


@each_row(
    ("error", "same"),
    [
        ("job 0e47c1ea-8108-4d55-bc42-975a687b04c5 is gone", "job * is gone"),
        ("at 0x7f3b4bb9b090 in frame deadbeef01", "at * in frame *"),
        ("timed out after 30.5 s (attempt 3)", "timed out after * s (attempt *)"),
        ("defaced facade", "defaced facade"),
        ("KeyError: 'title'", "KeyError: 'title'"),
        ("KeyError: 'user_17'", "KeyError: '*'"),
        ("'NoneType' object has no attribute 'get'", "'NoneType' object has no attribute 'get'"),
        ("No module named 'foo.bar'", "No module named 'foo.bar'"),
        ('violates unique constraint "users_email"', 'violates unique constraint "users_email"'),
        ("HTTP 503 after 7 s", "HTTP 503 after * s"),
        ("status_code=404, attempt 404", "status_code=404, attempt *"),
        ("upstream returned 502", "upstream returned 502"),
        ("failed 404 times", "failed * times"),
        (
            "404 Client Error: Not Found for url: https://a.example/u/7?x=y",
            "404 Client Error: Not Found for url: https://a.example/*",
        ),
        (
            "Client error '404 Not Found' for url 'https://a.example/u/ada'",
            "Client error '404 Not Found' for url 'https://a.example/*'",
        ),
        ("Command 'x y' returned non-zero exit status 137.", "Command '*' returned non-zero exit status 137."),
        ("[Errno 2] No such file or directory: '/tmp/a1'", "[Errno 2] No such file or directory: '*'"),
        ("mailbox unavailable: acme@example.com", "mailbox unavailable: *"),
        ("mailbox unavailable: <ada.b+1@mail.example.org>", "mailbox unavailable: <*>"),
        ('no file "a b.mov" for `ada`', 'no file "*" for `*`'),
        ("it can't open the file, don't ask", "it can't open the file, don't ask"),
        ("\n  first line\nsecond line", "first line"),
        ("", ""),
    ],
)
def test_the_varying_parts_of_errors_are_made_equal(error: str, same: str) -> None:
    assert pattern(error) == same


def test_unfinished_jobs_are_explained_by_reason_queue_and_error(readable: Database, rows: Rows) -> None:
    root = rows.job()
    due = [rows.job(root, status="Pending") for _ in range(2)]
    later = rows.job(root, status="Pending", scheduled_at=LATER)
    running = rows.job(root, status="Running", started_at=START)
    failed = [
        rows.job(root, status="Retrying", attempts=1, error_message=f"took {number} s", scheduled_at=LATER)
        for number in range(2)
    ]
    found = diagnose(readable, root, limit=5, now=START + timedelta(hours=2))
    assert [(delay.reason, delay.jobs, delay.first.id) for delay in found.delays] == [
        (DelayReason.LONG_RUNNING, 1, running),
        (DelayReason.RETRYING, 2, failed[0]),
        (DelayReason.READY, 2, due[0]),
        (DelayReason.SCHEDULED, 1, later),
    ]
    assert found.delays[1].error == "took 0 s"
    assert {delay.serving for delay in found.delays} == {0 if readable.is_current else None}


def test_a_job_that_spawned_or_is_archived_is_not_said_to_have_spawned_nothing(readable: Database, rows: Rows) -> None:
    spawned, silent = rows.job(spawns=True), rows.job(spawns=True)
    rows.job(spawned)
    assert diagnose(readable, spawned, limit=5, now=START).never_spawned == ()
    assert [job.id for job in diagnose(readable, silent, limit=5, now=START).never_spawned] == [silent]


def test_a_delivery_waits_until_its_webhook_is_enabled(database: Database) -> None:
    rows, now = Rows(database), database.now()
    chat = Webhook(new_id(), "the chat", "https://example.com/", events=(EventType.JOB_DEAD,))
    webhooks.add(database, chat, by="ada", now=now)
    delivery = rows.job(queue=DELIVERIES, status="Pending", payload={"webhook": chat.id}, dependency_status="none")
    odd = rows.job(queue=DELIVERIES, status="Pending", payload={"webhook": "no id"}, dependency_status="none")

    def reasons(job: str) -> list[tuple[DelayReason, str | None]]:
        return [(delay.reason, delay.webhook) for delay in diagnose(database, job, limit=3, now=now).delays]

    assert reasons(delivery) == reasons(odd) == [(DelayReason.READY, None)]
    webhooks.switch(database, chat, enabled=False, by="ada", now=now)
    assert reasons(delivery) == [(DelayReason.WEBHOOK_DISABLED, "the chat")]
    assert reasons(odd) == [(DelayReason.READY, None)]
    found = diagnose(database, delivery, limit=3, now=now)
    assert delay_commands(found, now) == ["hammerwork webhook enable 'the chat'"]
    assert hold_text(found.delays[0], now) == "its webhook the chat is disabled"
    (section,) = DelayLines(now, ", ", "x", "...", None).sections(found.delays, 3)
    heading, lines = section
    assert heading == "1 job is waiting until its webhook is enabled"
    assert lines == [f"  {DELIVERIES} {delivery[:8]}, the chat"]


@on_sqlite
def test_a_large_tree_takes_few_statements(database: Database) -> None:
    rows = Rows(database)
    root = rows.job()
    counts = []
    diagnose(database, root, limit=3, now=START)  # what is read once a connection
    for _ in range(2):
        for _ in range(80):
            rows.job(root, status="Dead", error_message="boom")
            rows.job(root, **HELD)
        before = database.executed
        diagnose(database, root, limit=3, now=START)
        counts.append(database.executed - before)
    assert counts[0] == counts[1] <= 20
