"""Whoever adds a word to an enum hears of each table that needs a line for it."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database.driver_errors import SENTENCES
from hammerwork_cli.features.archive.models.rows import WEIGHTS
from hammerwork_cli.features.completion.commands import SCRIPTS
from hammerwork_cli.features.event.shapes import MEANINGS
from hammerwork_cli.features.monitor.models.log import KIND_ORDER
from hammerwork_cli.features.monitor.views import health
from hammerwork_cli.features.spawn.views import delays, doctor, wait, why
from hammerwork_cli.features.streaming.commands.changes import TITLES
from hammerwork_cli.features.tree.views import dot, mermaid
from hammerwork_cli.runtime.delivery.streams import targets
from hammerwork_cli.runtime.delivery.webhooks import bodies
from hammerwork_cli.view import colour, text
from tests.pages import ROOT

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
    dot._COLOURS,
    targets.FIELDS,
    bodies.FIELDS,
    colour._STATUS_COLOURS,
]


def test_tables_have_a_line_for_each_word() -> None:
    missing = {}
    for table in TABLES:
        words: type[Enum] = type(next(iter(table)))
        if left := set(words) - table.keys():
            missing[f"{words.__name__} -> {type(next(iter(table.values()))).__name__}"] = left
    assert missing == {}


def test_text_mermaid_and_the_page_know_each_status() -> None:
    page = (ROOT / "hammerwork_cli" / "web" / "static" / "page" / "statuses.js").read_text("utf-8")
    known = {
        "_STATUS_ORDER of view/text.py": {*text._STATUS_ORDER},
        "_STYLES of mermaid.py": {status for status in JobStatus if mermaid._style(status) != "other"},
        "page/statuses.js": {*re.findall(r'"(\w+)"', page)},
    }
    missing = {table: sorted(left) for table, words in known.items() if (left := {*JobStatus} - words)}
    assert missing == {}
