"""Whoever adds a word to an enum hears of each table that needs a line for it."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from docs.generate import STATUSES, page_statuses
from hammerwork_cli.core.values import FINISHED, GOOD_FIRST, WAITING, WEIGHTS, JobStatus
from hammerwork_cli.database.driver_errors import SENTENCES
from hammerwork_cli.features.completion.commands import SCRIPTS
from hammerwork_cli.features.event.shapes import MEANINGS
from hammerwork_cli.features.monitor.models.log import KIND_ORDER
from hammerwork_cli.features.monitor.views import health
from hammerwork_cli.features.spawn.views import delays, doctor, wait, why
from hammerwork_cli.features.streaming.commands.changes import TITLES
from hammerwork_cli.runtime.delivery.streams import targets
from hammerwork_cli.runtime.delivery.webhooks import bodies
from hammerwork_cli.view.colour import STATUS_COLOURS

TABLES: list[Mapping[Any, object]] = [
    SENTENCES,
    WEIGHTS,
    SCRIPTS,
    MEANINGS,
    KIND_ORDER,
    TITLES,
    health.COLOURS,
    delays._LAST_ATTEMPTS,
    doctor.WORDS,
    wait._WORDS,
    why._REASONS,
    targets.FIELDS,
    bodies.FIELDS,
    STATUS_COLOURS,
]


def test_tables_have_a_line_for_each_word() -> None:
    missing = {}
    for table in TABLES:
        words: type[Enum] = type(next(iter(table)))
        if left := set(words) - table.keys():
            missing[f"{words.__name__} -> {type(next(iter(table.values()))).__name__}"] = left
    assert missing == {}


def test_each_status_has_a_place_in_counts_and_a_kind_on_the_page() -> None:
    assert sorted(GOOD_FIRST) == sorted(JobStatus)
    assert {JobStatus.RUNNING} | WAITING | FINISHED == {*JobStatus}
    assert STATUSES.read_text("utf-8") == page_statuses(), "run: make reference"
