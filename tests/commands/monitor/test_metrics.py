"""``hammerwork monitor metrics``: for people, for programs, and as Prometheus reads them."""

import contextlib
import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.event.samples import sample
from hammerwork_cli.features.monitor.views import metrics as render
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.view.text import visible
from hammerwork_cli.web import metrics as web
from tests.conftest import all_databases
from tests.rows import START, Rows

Run = Callable[..., Any]
NOW = START + timedelta(minutes=30)
ENV = {"HAMMERWORK_NOW": NOW.isoformat()}
HOSTILE = 'evil\x1b[2J"\\\n}'


@pytest.fixture
def url(migrated_url: str) -> str:
    """A queue with jobs in several states, and an operation."""
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        parent = rows.job(queue="ingest", spawns=True, completed_at=START + timedelta(seconds=9))
        for number in range(3):
            started = START + timedelta(minutes=1)
            rows.job(
                parent, queue="segment", started_at=started, completed_at=started + timedelta(seconds=number + 1.05)
            )
        rows.job(parent, queue="segment", status="Dead", failed_at=START + timedelta(minutes=2))
        rows.job(queue="segment", completed_at=START - timedelta(days=2))
        rows.job(queue=HOSTILE, status="Pending")
        rows.job(queue="ingest", status="Melted")
    return migrated_url


def problems(family: Metric) -> list[str]:
    """What `promtool check metrics` finds wrong with a family, among other things."""
    labels = {label for sample in family.samples for label in sample.labels}
    rules = {
        "no help text": not family.documentation,
        "not a known type": family.type not in {"gauge", "counter", "summary", "histogram"},
        "quantile is the label of a summary": ("quantile" in labels) > (family.type == "summary"),
        "le is the label of a histogram": ("le" in labels) > (family.type == "histogram"),
        "_total is the end of a counter": family.type != "counter" and family.name.endswith("_total"),
        "_count, _sum and _bucket are of summaries": bool(re.search("_(count|sum|bucket)$", family.name)),
        "a unit that is no base unit": bool(
            re.search("_(milliseconds|minutes|hours|days|kilobytes)(_|$)", family.name)
        ),
        "its name repeats its type": bool(re.search("gauge|counter|summary|histogram", family.name)),
    }
    return [f"{family.name}: {rule}" for rule, broken in rules.items() if broken]


def samples(text: str) -> dict[str, list[Sample]]:
    families = list(text_string_to_metric_families(text))
    assert [problem for family in families for problem in problems(family)] == []
    assert len({family.name for family in families}) == len(families)
    return {family.name: family.samples for family in families}


def test_prometheus_reads_the_figures_without_the_web_extra(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = run("monitor", "metrics", "--format", "prometheus", url=url, env=ENV)
    assert done.exit_code == 0, done.stderr
    found = samples(done.stdout)
    jobs = {(one.labels["queue"], one.labels["status"]): one.value for one in found["hammerwork_jobs"] if one.value}
    assert jobs == {
        ("ingest", "Completed"): 1,
        ("ingest", "unknown"): 1,
        ("segment", "Completed"): 4,
        ("segment", "Dead"): 1,
        (visible(HOSTILE), "Pending"): 1,
    }
    assert {one.labels["state"]: one.value for one in found["hammerwork_workers"]} == {
        "running": 0,
        "stopping": 0,
        "stalled": 0,
        "silent": 0,
        "lost": 0,
    }
    assert [one.value for one in found["hammerwork_spawn_children"]] == [4]
    assert {one.labels["quantile"]: one.value for one in found["hammerwork_spawn_child_seconds"]} == {
        "0.5": pytest.approx(2.05, abs=0.01),
        "0.95": pytest.approx(3.05, abs=0.01),
    }


def test_the_web_server_has_the_same_families(run: Run, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        assert (
            run("monitor", "metrics", "--format", "prometheus", url=url, env=ENV).stdout
            == web.text(database, NOW).decode()
        )


@pytest.mark.sqlite
def test_of_very_many_queues_and_schedules_all_but_some_share_a_label(
    run: Run, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database("sqlite", migrated=True)
    monkeypatch.setattr(render, "MOST_QUEUES", 2)
    with contextlib.closing(connect(url)) as database:
        for number in range(5):
            Rows(database).job(queue=f"queue {number}", status="Dead")
            schedule = read_schedule({"queue": "q", "payload": {}, "every": "1m", "name": f"schedule {number}"})
            changes.add(database, schedule, Author("me"), NOW - timedelta(minutes=number + 1))
    found = samples(run("monitor", "metrics", "--format", "prometheus", url=url, env=ENV).stdout)
    dead = [one for one in found["hammerwork_jobs"] if one.labels["status"] == "Dead"]
    assert {one.labels["queue"]: one.value for one in dead} == {"queue 0": 1, "queue 1": 1, "other": 3}
    late = {one.labels["schedule"]: one.value for one in found["hammerwork_schedule_late_seconds"]}
    assert late == {"schedule 0": 0, "schedule 1": 60, "other": 4 * 60}, "the latest of the others"


def test_a_database_without_our_tables_is_measured_without_workers(
    run: Run, shared_restored: Callable[[str], str]
) -> None:
    done = run("monitor", "metrics", "--format", "prometheus", url=shared_restored("media.postgresql"), env=ENV)
    found = samples(done.stdout)
    assert found["hammerwork_jobs"]
    assert "hammerwork_workers" not in found
    shown = run("monitor", "metrics", url=shared_restored("media.postgresql"), env=ENV).stdout
    assert "Workers: not recorded in this database" in shown


def test_ended_jobs_and_spawning_are_those_of_the_period(run: Run, url: str) -> None:
    def segment(*words: str) -> dict[str, Any]:
        found = run("monitor", "metrics", "--format", "json", *words, url=url, env=ENV).json
        return {queue["queue"]: queue for queue in found["queues"]}["segment"]

    hour, week = segment(), segment("-t", "7d")
    assert (hour["completed"], hour["failed"], hour["failure_rate"]) == (3, 1, 0.25)
    assert hour["completed_per_minute"] == 0.05
    assert (week["completed"], week["failed"]) == (4, 1)
    none = run("monitor", "metrics", "-t", "1m", "--format", "json", url=url, env=ENV).json
    assert (none["spawning"]["operations"], none["window_seconds"]) == (0, 60)


def test_rates_and_the_end_of_the_backlog_are_those_of_queue_stats(run: Run, url: str) -> None:
    with contextlib.closing(connect(url)) as database:
        ready = "status = 'Pending', started_at = NULL, dependency_status = 'none', scheduled_at = created_at"
        database.script(f"UPDATE hammerwork_jobs SET {ready} WHERE queue_name = 'segment' AND status <> 'Completed'")
    (found,) = run("monitor", "metrics", "-q", "segment", "--format", "json", url=url, env=ENV).json["queues"]
    stats = run("queue", "stats", "segment", "--detailed", "--format", "json", url=url, env=ENV).json
    for key in ("completed", "failed", "failure_rate", "completed_per_minute", "backlog_seconds", "ready"):
        assert found[key] == stats[key], key
    assert found["ready"] > 0
    assert 0 < found["backlog_seconds"] < 3600 * found["ready"] / found["completed"]
    assert "done in" in run("monitor", "metrics", url=url, env=ENV).stdout


def test_one_queue_is_chosen_by_either_name_of_the_option(run: Run, url: str) -> None:
    ours = run("monitor", "metrics", "--queue", "segment", "--format", "json", url=url, env=ENV)
    assert [queue["queue"] for queue in ours.json["queues"]] == ["segment"]
    theirs = run("monitor", "metrics", "-n", "segment", "--format", "json", url=url, env=ENV)
    assert theirs.stdout == ours.stdout


def test_people_get_a_table_and_two_sentences(run: Run, url: str) -> None:
    shown = run("monitor", "metrics", url=url, env=ENV).stdout
    assert shown.startswith("all queues, the last hour, 2026-11-24 14:30:00 UTC\n")
    assert "Workers: none\n" in shown
    assert "Spawning: 1 operation with 4 children, 3 completed, 1 failed; run times p50 2.0 s, p95 3.0 s" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("period", ["0s", "soon", "9999999999d"])
def test_a_period_that_is_none_is_refused(run: Run, url: str, period: str) -> None:
    done = run("monitor", "metrics", "-t", period, "--format", "json", url=url, env=ENV)
    assert done.exit_code == 2
    assert json.loads(done.stderr)["error"]["code"] == "usage"


EVENT_FAMILIES = ("hammerwork_webhook_", "hammerwork_stream_")


@all_databases
def test_webhooks_and_streams_are_measured_by_name(run: Run, url: str) -> None:
    def found(*words: str) -> dict[str, dict[str, float]]:
        text = run("monitor", "metrics", "--format", "prometheus", *words, url=url, env=ENV).stdout
        return {
            name: {next(iter(one.labels.values())): one.value for one in family}
            for name, family in samples(text).items()
            if name.startswith(EVENT_FAMILIES)
        }

    assert found() == {}
    with contextlib.closing(connect(url)) as database:
        rows, everything = Rows(database), tuple(EventType)
        hooks = [Webhook(new_id(), name, "https://example.com/", events=everything) for name in ("chat", HOSTILE)]
        for hook in hooks:
            webhooks.add(database, hook, by="me", now=START)
        for status in ("Pending", "Running", "Completed", "Dead"):
            rows.job(queue=DELIVERIES, status=status, payload={"webhook": hooks[0].id, "event": {}})
        rows.job(queue=DELIVERIES, status="Pending", payload={"no": "webhook"})
        webhooks.note_success(database, hooks[0], "200", NOW)
        webhooks.note_failure(database, hooks[1], "500", NOW, given_up=True)
        target = {"command": ["true"]}
        lakes = [Stream(new_id(), name, Backend.COMMAND, target, events=everything) for name in ("idle", "lake")]
        for lake in lakes:
            streams.add(database, lake, by="me", now=START)
        for age in (20, 10):
            at = NOW - timedelta(seconds=age)
            record = sample(EventType.QUEUE_PAUSED, at).record()
            event = {"stream_id": lakes[1].id, "event_type": record["type"], "body": json.dumps(record)}
            event["created_at"] = at
            rows.insert("hammerwork_stream_events", event)
        streams.note_sent(database, lakes[1], streams.unsent(database, lakes[1], 1), NOW)
        streams.note_failure(database, lakes[1], "away", NOW)
        rows.insert("hammerwork_stream_events", {**event, "stream_id": lakes[0].id})
        streams.drop(database, lakes[0], streams.unsent(database, lakes[0], 1), "too large", NOW)
    assert found() == {
        "hammerwork_webhook_delivered": {"chat": 1, visible(HOSTILE): 0},
        "hammerwork_webhook_failed": {"chat": 0, visible(HOSTILE): 1},
        "hammerwork_webhook_waiting_deliveries": {"chat": 1, visible(HOSTILE): 0},
        "hammerwork_stream_backlog": {"idle": 0, "lake": 1},
        "hammerwork_stream_oldest_seconds": {"idle": 0, "lake": 10},
        "hammerwork_stream_sent": {"idle": 0, "lake": 1},
        "hammerwork_stream_failed": {"idle": 0, "lake": 1},
        "hammerwork_stream_dropped": {"idle": 1, "lake": 0},
    }
    assert found("--queue", "segment") == {}, "they are of no queue"
