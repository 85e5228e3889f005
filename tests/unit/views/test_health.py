"""The checks of ``monitor health`` on terminals of several widths."""

import pytest

from hammerwork_cli.features.monitor.models.health import Check, CheckName, HealthReport, Level
from hammerwork_cli.features.monitor.views.health import hint, message, report_text
from hammerwork_cli.view.text import cells
from tests.rows import START

LONG = "a_name_that_is_longer_than_what_is_left_of_a_line_of_a_terminal"
CHECKS = (
    Check(CheckName.UNSERVED_QUEUES, Level.CRITICAL, 4, 0, ("mail", "thumbnail", "transcode", "segment")),
    Check(CheckName.PAUSED_QUEUES, Level.WARNING, 2, 0, (LONG, "mail")),
    Check(CheckName.TIMES_IN_THE_FUTURE, Level.HEALTHY, 0, 0),
)


@pytest.mark.parametrize("width", [None, 60, 80, 200])
def test_sentences_are_broken_between_words_and_commands_stay_whole(width: int | None) -> None:
    shown = list(report_text(HealthReport(START, CHECKS), width=width, colour=False))
    commands = [f"{'':10}{step}" for step in map(hint, CHECKS) if step]
    assert [line for line in shown if line in commands] == commands
    assert all(width is None or cells(line) <= width for line in shown if line not in commands)
    assert "".join(message(CHECKS[0]).split()) in "".join("".join(shown).split())
    assert not any(line.rstrip().endswith("paused queues") for line in shown)  # the long name begins on its line
    if width is None:
        assert len(shown) == 1 + len(CHECKS) + len(commands)
