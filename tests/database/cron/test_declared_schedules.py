"""Schedules that files and applications declare: what they change, and what somebody changed by hand."""

from typing import Any

import pytest

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, RefusedValueError, UsageError
from hammerwork_cli.features.cron.model import DeclarationStep, Declared
from hammerwork_cli.features.cron.options import read_schedule, read_schedules
from hammerwork_cli.features.cron.queries import changes, declaring, manual, schedules
from hammerwork_cli.features.cron.queries.changes import Author
from tests.conftest import each_row, on_sqlite
from tests.database.cron.test_schedules import HOSTILE, MINUTE
from tests.rows import START

ME = Author("me@here")


def apply(database: Database, source: str, tables: dict[str, Any], **options: bool) -> list[DeclarationStep]:
    steps = declaring.plan(database, Declared(source, read_schedules(tables)), START, **options)
    declaring.apply(database, steps, Author(source), START)
    return steps


def actions(steps: list[DeclarationStep]) -> dict[str, str]:
    return {step.name: str(step.action) for step in steps}


def update(database: Database, name: str, **given: Any) -> None:
    found = schedules.find(database, name)
    changes.change(database, found, lambda known: read_schedule(given, known), ME, START)


def test_options_that_are_declared_otherwise_change_and_changes_by_hand_stay(database: Database) -> None:
    mine: dict[str, Any] = {
        HOSTILE: {"schedule": "* * * * *", "payload": {"text": HOSTILE}, "starts": "2020-01-01T00:00:00Z"},
        "ping": {"every": "45m", "queue": "net", "priority": "high"},
    }
    assert actions(apply(database, "file:a", mine)) == {HOSTILE: "create", "ping": "create"}
    before = schedules.find(database, HOSTILE)
    assert actions(apply(database, "file:a", mine)) == {HOSTILE: "keep", "ping": "keep"}
    assert schedules.find(database, HOSTILE) == before
    update(database, "ping", every="10m")
    manual.switch(database, before, ME, START, enabled=False)
    mine["ping"]["queue"] = "net2"
    mine[HOSTILE]["overlap"] = "allow"
    changed = apply(database, "file:a", mine)
    assert actions(changed) == {HOSTILE: "change", "ping": "change"}
    assert [[one.option for one in step.changes] for step in changed] == [["overlap"], ["queue"]]
    assert [[one.option for one in step.by_hand] for step in changed] == [["enabled"], ["expression"]]
    ping, other = schedules.find(database, "ping"), schedules.find(database, HOSTILE)
    assert (ping.queue, ping.text, ping.changed_by, other.enabled, other.overlap) == (
        *("net2", "@every 600s", "file:a"),
        *(False, "allow"),
    )
    # The file says otherwise of what somebody changed by hand, at last.
    mine["ping"]["every"] = "20m"
    assert actions(apply(database, "file:a", mine)) == {HOSTILE: "keep", "ping": "change"}
    assert schedules.find(database, "ping").text == "@every 1200s"
    apply(database, "file:a", mine, overwrite=True)
    enabled = schedules.find(database, HOSTILE)
    assert enabled.enabled
    assert timestamp(enabled.next_run_at) == START + MINUTE


def test_a_damaged_declaration_stops_nothing(database: Database) -> None:
    apply(database, "file:a", {"one": {"every": "1m"}})
    for number, text in enumerate(("{", "[1]", "7"), 2):
        database.script(f"UPDATE hammerwork_schedules SET declared = '{text}'")
        assert actions(apply(database, "file:a", {"one": {"every": f"{number}m"}})) == {"one": "change"}
    assert schedules.find(database, "one").text == "@every 240s"


@on_sqlite
def test_a_plan_refuses_what_carrying_it_out_would_refuse(database: Database) -> None:
    for source in ("file:a", "file:b"):
        with pytest.raises(UsageError, match=r"'one': .*never due"):
            declaring.plan(database, Declared(source, read_schedules({"one": {"schedule": "0 0 30 2 *"}})), START)
        apply(database, "file:a", {"one": {"every": "1m"}})


@on_sqlite
def test_a_schedule_that_is_over_holds_up_no_other_of_its_application(database: Database) -> None:
    over = {"every": "1m", "ends": "2020-01-01T00:00:00Z"}
    assert actions(apply(database, "code:app", {"old": over, "new": {"every": "1m"}})) == {"new": "create"}
    ends = {"every": "1m", "ends": (START + MINUTE).isoformat()}
    assert actions(apply(database, "code:app", {"old": ends})) == {"old": "create"}
    found = schedules.find(database, "old")
    later = START + 2 * MINUTE
    changed = changes.change(
        database, found, lambda known: read_schedule({"description": "It is over."}, known), ME, later
    )
    assert changed.description == "It is over."


def test_who_disabled_a_schedule_and_why_stays_with_it(database: Database) -> None:
    apply(database, "file:a", {"one": {"every": "1m"}})
    who = Author("ada", "The warehouse is down.")
    manual.switch(database, schedules.find(database, "one"), who, START, enabled=False)
    apply(database, "file:a", {"one": {"every": "1m", "description": "new"}})
    found = schedules.find(database, "one")
    assert (found.enabled, found.description, found.changed_by, found.reason) == (False, "new", who.by, who.reason)


def test_a_schedule_that_changed_after_the_plan_is_not_pruned(database: Database) -> None:
    apply(database, "file:a", {"one": {"every": "1m"}})
    steps = declaring.plan(database, Declared("file:a", ()), START, prune=True)
    update(database, "one", every="2m")
    with pytest.raises(ConflictError):
        declaring.apply(database, steps, ME, START)
    assert schedules.find(database, "one").text == "@every 120s"


def test_another_source_takes_schedules_over_and_only_those_of_a_source_are_pruned(database: Database) -> None:
    apply(database, "file:a", {"one": {"every": "1m"}, "two": {"every": "1m"}})
    manual.switch(database, schedules.find(database, "one"), ME, START, enabled=False)
    changes.add(database, read_schedule({"queue": "q", "payload": 1, "every": "1m", "name": "cli"}), ME, START)
    steps = apply(database, "code:app", {"one": {"every": "1m", "jitter": "5s"}, "cli": {"every": "2m"}})
    assert [step.taken_from for step in steps] == ["file:a", "cli"]
    found = {one.name: one for one in schedules.all_schedules(database)}
    assert {name: one.source for name, one in found.items()} == {"one": "code:app", "two": "file:a", "cli": "code:app"}
    assert (found["one"].enabled, found["one"].jitter_seconds, found["cli"].text) == (False, 5, "@every 120s")
    assert actions(apply(database, "file:a", {}, prune=True)) == {"two": "remove"}
    assert [one.name for one in schedules.all_schedules(database)] == ["cli", "one"]


def test_a_plan_is_carried_out_whole_or_not_at_all(database: Database) -> None:
    apply(database, "file:a", {"one": {"every": "1m"}})
    later = Declared("file:a", read_schedules({"new": {"every": "1m"}, "one": {"every": "2m"}}))
    steps = declaring.plan(database, later, START)
    update(database, "one", every="3m")
    with pytest.raises(ConflictError):
        declaring.apply(database, steps, ME, START)
    assert [(one.name, one.text) for one in schedules.all_schedules(database)] == [("one", "@every 180s")]
    wrong = {"one": {"every": "1m"}, "bad": {"every": "1m", "catch_up": "all"}}
    with pytest.raises(UsageError, match="'bad'"):
        apply(database, "file:a", wrong)
    with pytest.raises(RefusedValueError):
        apply(database, "file:a", {"q" * 300: {"every": "1m"}})


@each_row(
    ("tables", "says"),
    [
        ([], "a table"),
        ({"a": 1}, "'a'"),
        ({"a": {"scheduled": 1}}, "'a': 'scheduled'"),
        ({"a": {}}, "No cron expression or interval was given"),
        ({"a": {"every": "1m", "payload": {"at": START}}}, "JSON cannot hold the payload"),
        ({"a": {"every": "1m", "enabled": "yes"}}, "true or false"),
        ({"a": {"every": "1m", "name": "b"}}, "leave out name"),
        ({"a": {"every": "1m", "payload": float("nan")}}, "JSON cannot hold the payload"),
    ],
)
def test_mistakes_in_a_file_of_schedules_are_named(tables: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_schedules(tables)
