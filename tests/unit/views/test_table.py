import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.spawn.models.pending import PendingSpawn
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.models.stats import SpawnGroup, SpawnStats
from hammerwork_cli.features.spawn.views import operations as operations_views
from hammerwork_cli.features.spawn.views.records import OPERATION
from hammerwork_cli.features.tree.model import RecordedSpawn
from hammerwork_cli.features.tree.spawn_tree import Lineage
from hammerwork_cli.features.tree.views import lineage as lineage_views
from hammerwork_cli.view.delimited import delimited
from hammerwork_cli.view.table import Column, table_text
from hammerwork_cli.view.text import cells
from tests.conftest import each_row
from tests.unit.views import trees
from tests.unit.views.trees import HOSTILE, START, Growing, stored

Expected = Callable[[str, str], None]

NAMES: list[Column[str]] = [
    Column("name", lambda text: text, wraps=True),
    Column("length", lambda text: len(text), "right"),
]


def operations() -> list[SpawnOperation]:
    growing = Growing()
    video = growing.job("video_ingest", stored_config=trees.CONFIG, workflow_name="nightly report")
    crawl = growing.job(
        "クロール\x1b[31m", "Running", stored_config='{"max_depth": 3, "batch_size": 50, "spawn_delay_ms": 200}'
    )
    broken = growing.job("dataset", "Dead", stored_config='"yes please"')
    return [
        SpawnOperation(
            growing.nodes[video],
            Counts({"Completed": 7, "Dead": 1}),
            stored(START),
            stored(START + timedelta(seconds=95)),
        ),
        SpawnOperation(growing.nodes[crawl], Counts({"Running": 3, "Pending": 1197}), stored(START), None),
        SpawnOperation(growing.nodes[broken], Counts(), None, None),
    ]


def lines(text: str) -> str:
    return f"{text}\n"


def test_a_piped_table_is_plain_and_whole(expected: Expected) -> None:
    text = table_text(operations(), operations_views.OPERATIONS_DETAILED, terminal=False)
    assert "\x1b" not in text
    expected("operations_piped.txt", lines(text))


@pytest.mark.parametrize("width", [60, 80, 110, 250])
def test_a_table_on_a_terminal_keeps_to_its_width(expected: Expected, width: int) -> None:
    text = table_text(operations(), operations_views.OPERATIONS_DETAILED, terminal=True, width=width)
    assert max(map(cells, text.splitlines())) <= width
    for operation in operations():
        assert operation.parent.id[:8] in text
    expected(f"operations_{width}.txt", lines(text))


def test_children_whose_status_is_no_status_have_a_column_where_there_are_any() -> None:
    children = Counts({"Completed": 1, "Frozen": 2, "Archived": 1})
    text = table_text(
        [operations()[0]._replace(children=children)], operations_views.OPERATIONS, terminal=True, width=200
    )
    header, line = (text.split() for text in text.split("\n"))
    assert header[3:9] == ["children", "completed", "failed", "running", "pending", "other"]
    assert line[3:9] == ["4", "1", "0", "0", "0", "3"]
    assert "other" not in table_text(operations(), operations_views.OPERATIONS, terminal=True, width=200)


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_colour_is_on_statuses_only_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("TERM", kind)
    coloured = table_text(operations(), operations_views.OPERATIONS, terminal=True, width=140, colour=True)
    plain = table_text(operations(), operations_views.OPERATIONS, terminal=True, width=140)
    assert "\x1b[31mDead" in coloured
    stripped = [line.rstrip() for line in re.sub("\x1b\\[[0-9;]*m", "", coloured).splitlines()]
    assert stripped == plain.splitlines()


def test_hostile_cells_cannot_move_the_cursor_or_speak_markup() -> None:
    for terminal in (True, False):
        text = table_text(HOSTILE, NAMES, terminal=terminal, width=70)
        assert "[bold]markup[/bold]" in text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\u200b\ud800]", text)
        assert ":" in table_text([":smile:"], NAMES, terminal=terminal)


def test_an_empty_table_is_its_header() -> None:
    assert table_text([], NAMES, terminal=False).split() == ["name", "length"]


def test_optional_columns_that_nothing_fills_are_left_out() -> None:
    rows = operations()[1:]
    assert "workflow" not in table_text(rows, operations_views.OPERATIONS, terminal=True, width=140)
    assert "workflow" not in table_text(rows, operations_views.OPERATIONS, terminal=False)
    assert "workflow" in table_text(operations(), operations_views.OPERATIONS, terminal=False)


SHORT: list[Column[tuple[str, int]]] = [
    Column("name", lambda row: row[0], cuts=True),
    Column("failed", lambda row: row[1], "right", is_count=True),
    Column("kind", lambda _: "always the same", drop_order=1),
    Column("when", lambda row: f"{row[1]} o'clock sharp", narrow=lambda row: row[1], drop_order=2),
]


def test_a_narrow_table_leaves_columns_out_in_steps() -> None:
    rows = [("n" * 40, 0), ("m", 0)]

    def header(width: int) -> list[str]:
        return table_text(rows, SHORT, terminal=True, width=width).splitlines()[0].split()

    assert header(90) == header(66) == ["name", "failed", "kind", "when"]
    assert header(44) == header(24) == ["name", "when"]
    assert header(14) == ["name"]
    assert "n" * 40 in table_text(rows, SHORT, terminal=True, width=90)
    assert "n" * 9 + "…" in table_text(rows, SHORT, terminal=True, width=12)
    assert table_text(rows, SHORT, terminal=True, width=8).splitlines()[0].startswith("n")


def test_a_count_that_is_not_nothing_stays_however_narrow() -> None:
    assert "failed" in table_text([("a", 1), ("b", 0)], SHORT, terminal=True, width=18)


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_csv_and_tsv_come_back_as_they_went(kind: str) -> None:
    records = [{"a": text, "b": number, "c": {"d": [text]}} for number, text in enumerate(HOSTILE)]
    text = "".join(delimited(records, kind, ["a", "b", "c", "c.d", "none"]))
    assert len(text.splitlines()) == len(HOSTILE) + 1
    rows = list(csv.reader(io.StringIO(text), delimiter="," if kind == "csv" else "\t"))
    assert rows[0] == ["a", "b", "c", "c.d", "none"]
    assert [row[1] for row in rows[1:]] == [str(number) for number in range(len(HOSTILE))]
    assert rows[1][0] == "\\x1b[31mred\\x1b[0m"
    assert rows[1][2] == '{"d":["\\u001b[31mred\\u001b[0m"]}'
    assert all(row[4] == "" for row in rows[1:])


@each_row(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("-5", "-5"),
        (-5, "-5"),
        ("+1.5e-3", "+1.5e-3"),
        ("-1+1", "'-1+1"),
        (True, "true"),
        (None, ""),
        (0.5, "0.5"),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_defused(value: object, cell: str) -> None:
    text = "".join(delimited([{"a": value, "b": "x"}], "csv", ["a", "b"]))
    assert next(iter(csv.reader(io.StringIO(text.splitlines()[1])))) == [cell, "x"]


def test_csv_of_nothing_has_its_header() -> None:
    assert "".join(delimited([], "csv", OPERATION.columns)).startswith(
        "parent_id,queue,status,priority,children.total,"
    )


def test_operations_in_csv_have_flat_counts(expected: Expected) -> None:
    expected("operations.csv", "".join(delimited(map(OPERATION.record, operations()), "csv", OPERATION.columns)))


def test_pending_jobs_say_why(expected: Expected) -> None:
    growing = Growing()
    will = growing.job("video", "Pending", stored_config=trees.CONFIG)
    bad = growing.job("dataset", "Pending", stored_config="yes please")
    never = growing.job("dataset", stored_config='{"handler": "data_processor"}')
    waits, stuck, gone = (growing.job("join", "Pending") for _ in range(3))
    rows = [
        PendingSpawn(growing.nodes[will], "will_spawn", Counts()),
        PendingSpawn(growing.nodes[bad], "will_spawn", Counts({"Running": 1})),
        PendingSpawn(growing.nodes[never], "never_spawned", Counts()),
        PendingSpawn(growing.nodes[waits], "waiting", Counts({"Running": 2, "Failed": 1, "Completed": 4})),
        PendingSpawn(growing.nodes[stuck], "stuck", Counts({"Completed": 2})),
        PendingSpawn(growing.nodes[gone], "stuck", Counts()),
    ]
    expected("pending.txt", lines(table_text(rows, operations_views.PENDING_WITH_CONFIG, terminal=False)))


def test_the_number_of_spawned_jobs_is_shown_where_some_wait_for_each_other() -> None:
    [one] = [row for row in operations() if row.children.total == 8]
    spawned = RecordedSpawn("r", one.parent.id, None, None, "spawned", 10, None, None, None, None, None, None)
    text = table_text([one._replace(recorded=spawned)], operations_views.OPERATIONS, terminal=False)
    assert text.splitlines()[0].split()[3:6] == ["children", "spawned", "completed"]
    assert text.splitlines()[1].split()[3:6] == ["8", "10", "7"]
    assert "spawned  completed" not in table_text([one], operations_views.OPERATIONS, terminal=False)


def test_stats_show_their_figures_and_details(expected: Expected) -> None:
    group = SpawnGroup("video\x1b", 62, 1475, 1200, 683, 696)
    detailed = SpawnStats(
        START,
        ("video",),
        group,
        5,
        2,
        29,
        timedelta(milliseconds=1),
        timedelta(seconds=3),
        600,
        by_queue=(group, SpawnGroup("empty", 0, 0, 0, 0, 0)),
        by_handler=(SpawnGroup(None, 1, 1, 1, 0, 0),),
        slowest=tuple(operations()),
    )
    expected("stats.txt", "".join(map(lines, operations_views.stats_text(detailed, terminal=False))))
    nothing = SpawnStats(START, (), SpawnGroup(None, 0, 0, 0, 0, 0), 0, 0, 0, None, None)
    text = "\n".join(operations_views.stats_text(nothing, terminal=False))
    assert "success rate     -" in text
    assert "By queue" not in text


def test_a_lineage_is_a_chain_upward_and_a_tree_downward(expected: Expected) -> None:
    tree = trees.video()
    job = tree.nodes[tree.children[tree.target][0]]
    below = Growing()
    below.nodes = {job.id: job} | {child: tree.nodes[child] for child in tree.children[job.id]}
    lineage = Lineage(
        job, ((1, tree.nodes[tree.target]),), below.tree(job.id, (job.id,)), frozenset({trees.uuid(9)}), True
    )
    expected("lineage.txt", "".join(map(lines, lineage_views.lineage_text(lineage, width=100))))
    alone = Growing()
    only = alone.nodes[alone.job("alone")]
    assert list(lineage_views.lineage_text(Lineage(only, (), alone.tree()))) == [
        "Ancestors",
        "  none: it depends on no other job",
        "",
        "Descendants",
        "  none: no job depends on it",
    ]


def test_limits_and_inheritance_are_said_in_words() -> None:
    config = operations()[1].config
    assert operations_views.limits(config) == "no limit, 3 levels, batches of 50, 200 ms apart"
    assert operations_views.inheritance(config) == "priority, retries, trace"
    assert operations_views.limits(operations()[0].config) == "at most 100 children"
    assert operations_views.limits(None) == operations_views.inheritance(None) == "-"
