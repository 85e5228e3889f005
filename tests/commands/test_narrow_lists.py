"""Lists on terminals of several widths: a job, a queue, a migration is a line wherever there is room for one."""

from collections.abc import Callable

import pytest

from hammerwork_cli.view.text import cells

LISTS = (
    "queue list",
    "job list --limit 12",
    "job list --failed --limit 6",
    "spawn list --limit 8",
    "spawn pending --limit 3",
    "migration status",
)
NOW = "2026-11-25T00:00:00Z"


@pytest.fixture
def look(on_terminal: Callable[..., str], shared_restored: Callable[[str], str]) -> Callable[[str, int], str]:
    """``look(command, width)``: what a terminal shows of a database of hammerwork (Rust), hostile names and all."""
    url = shared_restored("media.postgresql")
    return lambda command, width: on_terminal(*command.split(), url=url, width=width, env={"HAMMERWORK_NOW": NOW})


@pytest.mark.postgres
@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_lists_keep_to_the_width_of_a_terminal(
    look: Callable[[str, int], str], expected: Callable[[str, str], None], width: int
) -> None:
    shown = {command: look(command, width) for command in LISTS}
    assert max(cells(line) for text in shown.values() for line in text.splitlines()) <= width
    expected(f"lists_{width}.txt", "\n".join(f"$ hammerwork {command}\n{text}" for command, text in shown.items()))


@pytest.mark.postgres
@pytest.mark.parametrize("command", ["queue list", "job list", "spawn list", "migration status"])
def test_every_row_is_a_line_on_more_than_sixty_columns(look: Callable[[str, int], str], command: str) -> None:
    widths = (61, 80, 120)
    lines = {width: len(look(command, width).splitlines()) for width in widths}
    assert lines == dict.fromkeys(widths, len(look(command, 300).splitlines()))
