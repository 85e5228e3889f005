"""Schedules through the REST API: what people change, and what --redact hides."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from hammerwork_cli.database import connect
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from tests.web.api.servers import Server

NAME = "a/b 'ü\"%"
PATH = "/api/schedules/a%2Fb%20'%C3%BC%22%25"
SECRET = "classified"


def add(url: str) -> None:
    options = {"queue": "mail", "payload": {"a": 1, "b": SECRET}, "schedule": "30 2 * * *", "description": SECRET}
    with closing(connect(url)) as database:
        new = read_schedule({**options, "name": NAME})
        changes.add(database, new, Author("me"), database.now())


def test_a_schedule_is_triggered_disabled_and_enabled(serve: Callable[..., Server], empty_url: str) -> None:
    add(empty_url)
    server = serve(empty_url)
    made = server.post(f"{PATH}/trigger", {"payload": {"a": 2}, "at": "2037-01-01T00:00:00Z"})
    assert made.status_code == 200, made.text
    job = server.json(made.headers["location"])
    assert (job["id"], job["queue"], job["scheduled_at"]) == (
        made.json()["job_id"],
        "mail",
        "2037-01-01T00:00:00.000000Z",
    )
    assert (job["payload"]["a"], job["payload"]["b"], job["payload"]["_schedule"]["name"]) == (2, SECRET, NAME)
    off = server.post(f"{PATH}/disable", {"reason": "the warehouse is down"}).json()
    assert (off["enabled"], off["next_run_at"], off["reason"]) == (False, None, "the warehouse is down")
    assert server.post(f"{PATH}/disable").json() == off
    on = server.post(f"{PATH}/enable").json()
    assert (on["enabled"], on["reason"], on["changed_by"]) == (True, None, off["changed_by"])
    runs: Any = server.json(f"{PATH}/runs")
    assert [(run["kind"], run["job_id"]) for run in runs] == [("triggered", job["id"])]
    assert server.post("/api/schedules/nothing/trigger").status_code == 404
    assert server.post(f"{PATH}/trigger", {"payload": 1}).status_code == 400
    assert server.post(f"{PATH}/trigger", {"at": "at two in the morning"}).status_code == 400


def test_redact_hides_what_a_schedule_may_hold(serve: Callable[..., Server], empty_url: str) -> None:
    add(empty_url)
    server = serve(empty_url, "--redact")
    for path in ("/api/schedules", PATH, f"{PATH}/runs"):
        assert SECRET not in server.get(path).text
    found = server.json(PATH)
    assert (found["payload"], found["description"], found["name"]) == ("[redacted]", "[redacted]", NAME)
    assert (found["schedule"], found["overlap"], found["kind"]) == ("30 2 * * *", "skip", "schedule")
