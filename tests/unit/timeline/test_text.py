"""A timeline as text and as a Gantt chart."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.features.schema.views import SCHEMAS
from hammerwork_cli.features.spawn.models.timeline import Timeline
from hammerwork_cli.features.spawn.views.gantt import gantt
from hammerwork_cli.features.spawn.views.timeline import GROUPS, STEPS, TimelineStyle, timeline_text
from hammerwork_cli.features.spawn.views.timeline_records import TIMELINE
from hammerwork_cli.features.tree.views.mermaid import MAX_CHARACTERS
from hammerwork_cli.view.json import document
from hammerwork_cli.view.text import PAINT, cells, shorten, visible
from tests.conftest import each_row
from tests.mermaid_parser import MermaidParser
from tests.unit.timeline.test_times import add, read
from tests.unit.views.trees import HOSTILE, Growing

Expected = Callable[[str, str], None]


def ingest() -> Timeline:
    """Where the time of one video went."""
    growing = Growing()
    root = add(growing, 0, 0.2, 1.1, queue="video_ingest")
    dates = {}
    for number, start in enumerate((1.2, 1.3, 2.5, 5.0)):
        transcode = add(growing, 1.1, start, start + 2.2, root, queue="transcode")
        for segment in range(4):
            created = start + 2.2
            last = add(
                growing,
                created,
                created + 1,
                created + 3 + segment,
                transcode,
                queue="segment",
                status="Dead" if number == 1 and segment == 3 else "Completed",
                attempts=3 if number == 1 and segment == 3 else 1,
            )
            dates[last] = created + 0.5
    return read(growing.tree(), dates, siblings=True)


def hostile() -> Timeline:
    """A path over jobs of every hostile name, one of them with a hostile status, and their siblings."""
    growing = Growing()
    parent = add(growing, 0, 0, 1, queue=HOSTILE[0])
    for number, name in enumerate(HOSTILE):
        add(growing, number + 1, number + 1, number + 2, parent, queue=name, status="Dead")
        parent = add(growing, number + 1, number + 1.5, number + 2, parent, queue=name)
    add(growing, 1, 1, 2, parent, queue="odd", status="Completed", stored_status=f"x{HOSTILE[1]}")
    return read(growing.tree(), siblings=True)


def chain(length: int) -> Timeline:
    """Jobs of a second, each hundredth of half a minute."""
    growing = Growing()
    parents: tuple[str, ...] = ()
    end = 0.0
    for number in range(length):
        start, end = end, end + (1.0 if number % 100 else 30.0)
        parents = (add(growing, start, start, end, *parents),)
    return read(growing.tree())


def text(found: Timeline, **style: Any) -> str:
    return "\n".join(timeline_text(found, TimelineStyle(**style))) + "\n"


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_text_fits_the_terminal_and_looks_as_it_did(expected: Expected, width: int) -> None:
    shown = text(ingest(), width=width)
    expected(f"timeline_{width}.txt", shown)
    assert max(map(cells, shown.splitlines())) <= width


def test_a_pipe_gets_80_columns_and_ascii_only_if_wanted(expected: Expected) -> None:
    shown = text(ingest(), charset="ascii")
    assert shown.isascii()
    expected("timeline_ascii.txt", shown)


@each_row("charset", ["utf8", "ascii"])
@each_row("width", [40, 80, None])
@each_row("colour", [False, True])
def test_hostile_names_stay_text_and_keep_the_columns(charset: str, width: int | None, colour: bool) -> None:
    shown = PAINT.sub("", text(hostile(), charset=charset, width=width, colour=colour))
    lines = shown.splitlines()
    assert [line for line in lines if visible(line) != line] == []
    assert charset != "ascii" or shown.isascii()
    chart = lines[: lines.index("")] if width is None else lines
    assert max(map(cells, chart)) <= (width or 80)


def test_a_long_path_folds_its_shortest_jobs_and_counts_them() -> None:
    lines = text(chain(1000)).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Critical path"))
    rows = lines[start + 1 : lines.index("", start) - 1]
    assert len(rows) <= STEPS + 1
    assert sum("30.0 s" in row for row in rows) == 10
    folded = [int(row.split()[1].replace(",", "")) for row in rows if row.startswith("…")]
    assert sum(folded) + sum(not row.startswith("…") for row in rows) == 1000


def test_min_folds_what_is_shorter() -> None:
    shown = text(chain(101), least=10_000_000)
    assert "… 99 jobs" in shown
    assert shown.count("work ") == 4  # the head, two jobs of half a minute, and the queue


def test_groups_of_siblings_are_drawn_up_to_a_bound() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    for number in range(GROUPS + 50):
        add(growing, 1, 1, 2 + number % 7, root, queue=f"queue{number}")
    shown = text(read(growing.tree(), siblings=True))
    assert "… 51 shorter groups" in shown


def test_a_tree_without_known_times_says_so() -> None:
    growing = Growing()
    add(growing, 5, 2, 1)
    shown = text(read(growing.tree()))
    assert "1 job is left out: its times are missing or contradict each other" in " ".join(shown.split())
    assert "Critical path" not in shown


def test_the_record_has_the_documented_keys_and_adds_up() -> None:
    for found in (ingest(), hostile(), chain(50), read(unknown_only())):
        record = json.loads(document(TIMELINE.record(found)))
        Draft202012Validator(SCHEMAS["spawn-timeline"]).validate(record)
        assert sum(record["parts"].values()) == pytest.approx(record["seconds"])
        assert sum(step["seconds"] for step in record["critical_path"]) == pytest.approx(record["seconds"])


def unknown_only() -> Any:
    growing = Growing()
    add(growing, 5, 2, 1)
    return growing.tree()


def test_mermaid_draws_the_path_as_critical_and_groups_beside_it(parse_mermaid: MermaidParser) -> None:
    found = ingest()
    chart, notes = gantt(found, TimelineStyle())
    diagram = parse_mermaid(chart)
    assert diagram.ok, diagram.error
    assert diagram.kind == "gantt"
    assert notes == []
    critical = [task for task in diagram.tasks if task["crit"]]
    assert [task["text"].split()[0] for task in critical] == [part for step in found.path for part, _, _ in step.spans]
    assert sum(task["end"] - task["start"] for task in critical) == pytest.approx(found.length / 1000)
    assert {task["section"] for task in diagram.tasks if not task["crit"]} == {"Groups of siblings"}


def test_mermaid_shows_hostile_names_as_they_are(parse_mermaid: MermaidParser) -> None:
    found = hostile()
    diagram = parse_mermaid(gantt(found, TimelineStyle())[0])
    assert diagram.ok, diagram.error
    sections = [task["section"] for task in diagram.tasks if task["crit"]]
    for step, section in zip((step for step in found.path if step.spans), dict.fromkeys(sections), strict=True):
        assert step.node is not None
        assert section == f"{shorten(visible(step.node.queue).strip(), 40)} {step.node.id[:8]}".strip()
    assert all(task["start"] <= task["end"] for task in diagram.tasks)


@pytest.mark.parametrize("least", [None, 0])
def test_mermaid_accepts_the_chart_of_a_large_tree(parse_mermaid: MermaidParser, least: int | None) -> None:
    growing = Growing()
    parent = add(growing, 0, 0, 1)
    for number in range(700):
        for sibling in range(2):
            add(growing, number + 1, number + 1, number + 2, parent, queue=f"{sibling}{HOSTILE[0]}" * 3)
        parent = add(growing, number + 1, number + 1.5, number + 2.5, parent)
    chart, notes = gantt(read(growing.tree(), siblings=True), TimelineStyle(least=least))
    assert len(chart) <= MAX_CHARACTERS
    diagram = parse_mermaid(chart)
    assert diagram.ok, diagram.error
    assert len(notes) >= (least is not None)
