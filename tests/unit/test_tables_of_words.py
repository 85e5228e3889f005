"""Whoever adds a word to an enum hears of each table that needs a line for it."""

from enum import Enum
from pkgutil import resolve_name

from docs.generate import STATUSES, page_statuses
from hammerwork_cli.core.values import FINISHED, GOOD_FIRST, WAITING, JobStatus

TABLES = [
    "hammerwork_cli.core.values:WEIGHTS",
    "hammerwork_cli.database.driver_errors:SENTENCES",
    "hammerwork_cli.features.completion.commands:SCRIPTS",
    "hammerwork_cli.features.event.shapes:MEANINGS",
    "hammerwork_cli.features.monitor.models.log:KIND_ORDER",
    "hammerwork_cli.features.monitor.views.health:COLOURS",
    "hammerwork_cli.features.spawn.views.delays:_LAST_ATTEMPTS",
    "hammerwork_cli.features.spawn.views.doctor:WORDS",
    "hammerwork_cli.features.spawn.views.wait:_WORDS",
    "hammerwork_cli.features.spawn.views.why:_REASONS",
    "hammerwork_cli.features.streaming.commands.changes:TITLES",
    "hammerwork_cli.runtime.delivery.streams.targets:FIELDS",
    "hammerwork_cli.runtime.delivery.webhooks.bodies:FIELDS",
    "hammerwork_cli.view.colour:STATUS_COLOURS",
]


def test_tables_have_a_line_for_each_word() -> None:
    missing = {}
    for name in TABLES:
        table = resolve_name(name)
        words: type[Enum] = type(next(iter(table)))
        if left := set(words) - table.keys():
            missing[name] = left
    assert missing == {}


def test_each_status_has_a_place_in_counts_and_a_kind_on_the_page() -> None:
    assert sorted(GOOD_FIRST) == sorted(JobStatus)
    assert {JobStatus.RUNNING} | WAITING | FINISHED == {*JobStatus}
    assert STATUSES.read_text("utf-8") == page_statuses(), "run: make reference"
