"""Two trees side by side."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.features.schema.views import SCHEMAS
from hammerwork_cli.features.spawn.models.comparison import Comparison
from hammerwork_cli.features.spawn.models.timeline import Timeline
from hammerwork_cli.features.spawn.views.comparison import COMPARISON, JudgedComparison, comparison_text
from hammerwork_cli.view.json import document
from hammerwork_cli.view.text import PAINT, cells, visible
from tests.conftest import each_row
from tests.unit.timeline.test_times import add, read
from tests.unit.views.trees import HOSTILE, Growing


def night(ran: float, *, queued: float = 1, last: str = "publish", failed: bool = False) -> Timeline:
    """A root, a segment that waits and runs for so long, and a last job."""
    growing = Growing()
    root = add(growing, 0, 0, 1, queue="ingest")
    end = 1 + queued + ran
    segment = add(growing, 1, 1 + queued, end, root, queue="segment")
    add(growing, end, end, end + 1, segment, queue=last, status="Dead" if failed else "Completed")
    return read(growing.tree())


def record(a: Timeline, b: Timeline, most: float | None = None) -> Any:
    found = json.loads(document(COMPARISON.record(JudgedComparison(Comparison(a, b), most))))
    Draft202012Validator(SCHEMAS["spawn-compare"]).validate(found)
    return found


def test_the_slower_tree_is_measured_against_the_first() -> None:
    found = record(night(7), night(9, queued=3, failed=True), 0.2)
    assert (found["a"]["seconds"], found["b"]["seconds"], found["change"]) == (10, 14, 0.4)
    assert (found["fail_above"], found["exceeded"]) == (0.2, True)
    assert {part: more for part, more in found["difference_seconds"].items() if more} == {"queued": 2, "running": 2}
    assert (found["a"]["failed"], found["b"]["failed"]) == (0, 1)
    assert next((queue["queue"], queue["state"]) for queue in found["by_queue"]) == ("segment", "both")
    assert (found["by_queue"][0]["a"]["ran_p50_seconds"], found["by_queue"][0]["b"]["ran_p50_seconds"]) == (7, 9)


@pytest.mark.parametrize(
    ("ran", "most", "exceeded"), [(9, 0.2, False), (9.1, 0.2, True), (5, 0.0, False), (7, 0, False)]
)
def test_only_more_than_the_given_share_is_too_much(ran: float, most: float, exceeded: bool) -> None:
    assert Comparison(night(7), night(ran)).exceeds(most) == exceeded
    assert record(night(7), night(ran))["exceeded"] is False


def test_queues_are_new_or_gone() -> None:
    found = record(night(7), night(7, last="mail"))
    assert {queue["queue"]: queue["state"] for queue in found["by_queue"]} == {
        "ingest": "both",
        "segment": "both",
        "publish": "gone",
        "mail": "new",
    }
    assert found["b"]["path"] == ["ingest", "segment", "mail"]


def test_a_tree_that_took_no_time_has_no_change() -> None:
    growing = Growing()
    add(growing, 0, 0, 0)
    nothing = read(growing.tree())
    assert record(nothing, night(1), 0.2)["change"] is None
    assert Comparison(nothing, night(1)).exceeds(0.2)
    assert record(nothing, nothing, 0.2)["exceeded"] is False


def test_the_text_shows_both_sides_in_80_columns() -> None:
    lines = list(comparison_text(Comparison(night(7), night(9, queued=3, last="mail")), width=80))
    assert lines[0].startswith("A  ingest 00000000 · 3 jobs: 3 completed · 10.0 s")
    assert lines[2] == "B took 40.0% more time than A."
    assert "Critical path of B: ingest → segment → mail" in lines
    assert any(line.split()[:5] == ["time", "10.0", "s", "14.0", "s"] and "+4.0 s" in line for line in lines)
    assert any("7.0 s → 9.0 s" in line for line in lines)
    assert any(line.split()[:2] == ["publish", "gone"] for line in lines)
    assert max(map(cells, lines)) <= 80


@each_row("charset", ["utf8", "ascii"])
@each_row("width", [40, 80, None])
def test_hostile_names_stay_text(charset: str, width: int | None) -> None:
    growing = Growing()
    parent = add(growing, 0, 0, 1, queue=HOSTILE[0])
    for number, name in enumerate(HOSTILE):
        parent = add(growing, number + 1, number + 1.5, number + 2, parent, queue=name)
    found = Comparison(read(growing.tree()), night(1))
    lines = [PAINT.sub("", line) for line in comparison_text(found, charset=charset, width=width, colour=True)]
    assert [line for line in lines if visible(line) != line] == []
    assert charset != "ascii" or "".join(lines).isascii()
