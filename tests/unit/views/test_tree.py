import re
from collections import deque
from collections.abc import Callable
from datetime import timedelta

import pytest

from hammerwork_cli.core.values import FAILURES, Counts
from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree
from hammerwork_cli.features.tree.views.outline import Below
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat
from hammerwork_cli.features.tree.views.screen import Headline, Style, tree_screen
from hammerwork_cli.features.tree.views.text import tree_text
from hammerwork_cli.view.text import TIMES, painted_cells
from tests.conftest import each_row
from tests.unit.views import trees
from tests.unit.views.trees import START, Growing, uuid

Expected = Callable[[str, str], None]

EVERYTHING = {"max_depth": None, "max_children": None, "max_nodes": None}


def draw(tree: SpawnTree, **options: object) -> str:
    return "".join(f"{line}\n" for line in tree_text(tree, **options))  # type: ignore[arg-type]


def counted(text: str) -> int:
    """Jobs that the lines stand for: one, a folded number, or ``... 12 more``; repeated ones are not counted."""
    total = 0
    for line in text.splitlines():
        if "(*)" not in line:
            number = re.search(rf"{TIMES}([\d,]+)|\.\.\. ([\d,]+) (?:more|child)", line)
            total += int((number[1] or number[2]).replace(",", "")) if number else 1
    return total


def test_failures_come_first_and_quiet_siblings_are_folded(expected: Expected) -> None:
    expected("tree_video.txt", draw(trees.video()))


def test_the_header_tells_the_time_of_the_whole_tree_once_all_of_it_has_ended() -> None:
    growing = Growing()
    root = growing.job("ingest")
    growing.job("step", "Dead", [root], took=8000)
    assert " · took 8.0 s · itself: Completed in 1.4 s" in draw(growing.tree()).splitlines()[0]
    growing.job("step", "Running", [root])
    assert " · took " not in draw(growing.tree())


def test_on_a_terminal_no_line_is_wider_and_the_numbers_of_the_first_stay() -> None:
    for width in (40, 80):
        for colour in (False, True):
            lines = draw(trees.hostile(), width=width, colour=colour).splitlines()
            assert max(map(painted_cells, lines)) <= width
    first = draw(trees.video(), width=80).splitlines()[0]
    assert " · 41 jobs: 37 completed, 4 dead · " in first
    assert first.endswith("…")


@pytest.mark.parametrize(("items", "is_whole"), [(4, True), (5, False)])
def test_a_tree_of_up_to_six_jobs_is_drawn_whole(items: int, is_whole: bool) -> None:
    growing = Growing()
    root = growing.job("order")
    siblings = [growing.job("item", parents=[root]) for _ in range(items)]
    total = growing.job("total", parents=siblings)
    text = draw(growing.tree())
    assert (f"total {total[:8]}" in text, TIMES in text) == (is_whole, not is_whole)
    assert all((f"item {job[:8]}" in text) == is_whole for job in siblings)


def test_the_reason_why_a_job_cannot_start_is_shown_and_only_jobs_with_the_same_one_are_folded() -> None:
    growing = Growing()
    root = growing.job("ingest")
    jobs = [growing.job("step", "Pending", [root]) for _ in range(50)]
    day = START + timedelta(days=3650)
    marks = Annotations(frozenset(jobs[:2]), {jobs[2]: day, jobs[3]: day + timedelta(days=1), jobs[4]: day})
    lines = draw(growing.tree(), annotations=marks, now=START).splitlines()
    assert lines[1:] == [
        f"├── step {TIMES}2 · Pending · stuck",
        f"├── step {TIMES}3 · Pending · the first due 2036-11-21",
        f"└── step {TIMES}45 · Pending",
    ]
    soon = Annotations(due={jobs[0]: START + timedelta(minutes=5)})
    assert f"step {jobs[0][:8]} · Pending · due in 5m 00s" in draw(growing.tree(), annotations=soon, now=START)


def test_a_tree_can_be_drawn_in_ascii(expected: Expected) -> None:
    text = draw(trees.hostile(), charset="ascii", width=100)
    assert text.isascii()
    expected("tree_hostile_ascii.txt", text)


def test_hostile_text_stays_text(expected: Expected) -> None:
    text = draw(trees.hostile())
    assert text.isprintable() or not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text
    )
    assert len(text.splitlines()) == text.count("\n")
    expected("tree_hostile.txt", text)


def test_a_fan_out_names_what_failed_and_what_runs(expected: Expected) -> None:
    def status(number: int) -> str:
        return (
            "Dead" if number in {3, 40} else "Running" if number > 1196 else "Pending" if number > 430 else "Completed"
        )

    text = draw(trees.fan_out(1200, status, attempts=2), now=START + timedelta(hours=2, minutes=5))
    assert counted(text) == 1201
    expected("tree_fan_out.txt", text)


def test_more_failures_than_lines_are_counted_and_each_error_is_shown_once_first(expected: Expected) -> None:
    growing = Growing()
    root = growing.job("dataset")
    for number in range(4812):
        growing.job("chunk", "Failed", [root], error="disk full" if number == 4000 else "timeout")
    text = draw(growing.tree())
    assert counted(text) == 4813
    assert text.count("disk full") == 1
    assert "... 4,792 more: 4,792 failed" in text
    expected("tree_many_failures.txt", "".join(text.splitlines(keepends=True)[:4]))


def test_all_27_526_jobs_are_accounted_for_in_a_page_or_two(expected: Expected) -> None:
    text = draw(trees.large(files=25))
    assert len(text.splitlines()) < 120
    expected("tree_large.txt", text)


def test_a_depth_limit_is_marked_and_the_target_below_it_is_drawn(expected: Expected) -> None:
    expected("tree_chain.txt", draw(trees.chain(30, "Dead"), width=80))


def test_children_that_a_depth_limit_cuts_are_counted() -> None:
    text = draw(trees.video(), max_depth=1)
    assert text.count("... 8 children below, not drawn: --depth") == 2
    assert "segment" not in text


def test_a_chain_of_1_000_is_drawn_whole_and_stays_on_the_screen() -> None:
    lines = draw(trees.chain(1000), **EVERYTHING).splitlines()
    assert len(lines) == 1001
    assert max(map(len, lines)) < 120
    assert lines[-1].lstrip().startswith("[1000] crawl")


def test_10_000_siblings_are_one_line_or_10_000() -> None:
    tree = trees.fan_out(10_000)
    assert draw(tree).splitlines()[1:] == [f"└── chunk {TIMES}10,000 · Completed"]
    assert sum(1 for _ in tree_text(tree, **EVERYTHING)) == 10_001  # type: ignore[arg-type]


def test_lines_come_before_the_rest_is_drawn() -> None:
    lines = tree_text(trees.fan_out(1000), **EVERYTHING)  # type: ignore[arg-type]
    assert next(lines).startswith("dataset")
    assert "chunk" in next(lines)


def test_a_job_reached_twice_is_drawn_once_and_then_referred_to(expected: Expected) -> None:
    expected("tree_diamond.txt", draw(trees.diamond(), now=START + timedelta(minutes=3)))


def test_a_failed_dependency_explains_a_job_that_waits() -> None:
    growing = Growing()
    root = growing.job("etl")
    parents = [
        growing.job(f"load{number}", status, [root]) for number, status in enumerate(["Dead", "Running", "Completed"])
    ]
    growing.job("report", "Pending", parents)
    assert "report" in draw(growing.tree())
    assert "Pending · waiting on 2 (1 running, 1 dead)" in draw(growing.tree())


def test_a_missing_parent_is_named() -> None:
    growing = Growing()
    root = growing.job("a")
    growing.job("b", "Pending", [root, uuid(77)])
    growing.job("b", "Pending", [root])
    text = draw(growing.tree())
    assert f"Pending · depends on {uuid(77)[:8]}, which is not in the database" in text


def test_a_parent_in_another_tree_is_named() -> None:
    growing = Growing()
    root, other = growing.job("a"), growing.job("z")
    growing.job("b", "Pending", [root, other])
    del growing.nodes[other]
    tree = growing.tree()
    tree = SpawnTree(tree.roots, tree.target, tree.nodes, tree.depths, tree.children)
    assert f"also depends on {other[:8]}, of another tree" in draw(tree)


def test_a_job_that_depends_on_itself_ends_there() -> None:
    growing = Growing()
    job = growing.job("loop", "Pending")
    growing.depend(job, job)
    assert "(*) depends on itself" in draw(growing.tree(roots=(job,)), **EVERYTHING)


def test_a_cycle_ends_and_is_called_one() -> None:
    growing = Growing()
    one = growing.job("a", "Pending")
    two = growing.job("b", "Pending", [one])
    three = growing.job("c", "Pending", [two])
    growing.depend(one, three)
    lines = draw(growing.tree(roots=(one,)), **EVERYTHING).splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith("(*) a cycle: shown above")


def test_several_roots_stand_below_one_summary(expected: Expected) -> None:
    growing = Growing()
    left, right = growing.job("extract"), growing.job("extract", "Running")
    growing.job("merge", "Pending", [left, right])
    expected("tree_two_roots.txt", draw(growing.tree()))


def test_a_filter_keeps_the_way_to_what_it_keeps(expected: Expected) -> None:
    expected("tree_only_dead.txt", draw(trees.video(), status={"Dead"}))


def test_a_filter_that_nothing_passes_says_so() -> None:
    text = draw(trees.video(), status=["TimedOut"])
    assert text.splitlines()[1:] == ["No job that was read is timed out."]


def test_the_target_is_marked_wherever_it_is() -> None:
    video = trees.video()
    for target in video.nodes:
        tree = SpawnTree(video.roots, target, video.nodes, video.depths, video.children)
        for options in ({}, {"max_depth": 0}, {"max_nodes": 3}, {"max_children": 1}, {"status": ["Running"]}):
            marked = [line for line in draw(tree, **options).splitlines() if "◀ this job" in line]
            assert len(marked) == 1, options
            assert target[:8] in marked[0]


def test_an_unread_part_is_not_called_complete() -> None:
    growing = Growing()
    root = growing.job("a")
    child = growing.job("b", parents=[root])
    tree = growing.tree(
        child_counts={root: Counts({"Completed": 40, "Dead": 2}), child: Counts({"Running": 3})},
        unread=frozenset({child}),
    )
    lines = draw(tree).splitlines()
    assert "at least 46 jobs: 41 completed, 3 running, 2 dead" in lines[0]
    assert "below: at least 3 running" in lines[1]
    assert lines[2] == "│   └── ... 3 children below, not read"
    assert lines[3] == "└── ... 41 more: 39 completed, 2 dead"


def test_matches_of_a_filter_and_their_ancestors_are_never_folded() -> None:
    growing = Growing()
    root = growing.job("ingest")
    parents = [growing.job("transcode", parents=[root]) for _ in range(6)]
    asked = [growing.job("thumb", "Pending", [parent]) for parent in parents[2:] for _ in range(15)]
    done = [growing.job("thumb", "Completed", [parent]) for parent in parents]
    drawn = draw(growing.tree(), status=["Pending"])
    assert all(job[:8] in drawn for job in [*asked, *parents[2:]])
    drawn = draw(growing.tree(), status=["Completed"])
    assert all(job[:8] in drawn for job in [*parents, *done])


def test_open_jobs_are_drawn_by_name_until_they_are_many() -> None:
    growing = Growing()
    root = growing.job("ingest")
    parents = [growing.job("transcode", parents=[root]) for _ in range(6)]
    children = [growing.job("thumb", "Pending", [parents[3]]) for _ in range(4)]
    lines = draw(growing.tree()).splitlines()
    assert lines[1].startswith(f"├── transcode {TIMES}5 · Completed")
    assert lines[2].startswith(f"└── transcode {parents[3][:8]} ")
    assert [line.split()[2] for line in lines[3:7]] == [job[:8] for job in children]
    assert f"transcode {TIMES}6" in draw(growing.tree(), most_open=3)


def test_jobs_that_are_retrying_are_drawn_with_their_errors_before_running_ones() -> None:
    growing = Growing()
    root = growing.job("ingest")
    quiet = growing.job("step", parents=[root])
    runs = growing.job("step", "Running", [root])
    above = growing.job("step", parents=[root])
    retried = [growing.job("leaf", "Retrying", [above], error="ValueError: 13") for _ in range(2)]
    again = growing.job("step", "Retrying", [root], attempts=2, error="OSError: late")
    lines = draw(growing.tree(), max_children=30).splitlines()
    order = [next(place for place, line in enumerate(lines) if job[:8] in line) for job in (again, above, runs, quiet)]
    assert order == sorted(order)
    assert "Retrying after 2 attempts · last error: OSError: late" in lines[order[0]]
    for job in retried:
        assert f"leaf {job[:8]} · Retrying after 1 attempt · last error: ValueError: 13" in "\n".join(lines)


def test_a_cancelled_job_is_no_failure() -> None:
    growing = Growing()
    root = growing.job("ingest")
    job = growing.job("step", "Cancelled", [root], error="cancelled by ann@desk through hammerwork")
    drawn = draw(growing.tree())
    assert "2 jobs: 1 completed, 1 cancelled" in drawn
    assert f"step {job[:8]} · Cancelled after 1 attempt · cancelled by ann@desk through hammerwork" in drawn


def on_screen(tree: SpawnTree, height: int, statuses: list[str] | None = None) -> list[str]:
    style = Style(Limits.of(TreeFormat.TEXT, None, None, None, full=True), statuses, "utf8", colour=False)
    return tree_screen(tree, style, Headline(START, tree.counts, 0, None), 80, height)


def test_a_screen_folds_no_more_than_its_height_needs() -> None:
    growing = Growing()
    root = growing.job("ingest")
    parents = [growing.job("transcode", parents=[root]) for _ in range(10)]
    children = [growing.job("thumb", parents=[parent]) for parent in parents for _ in range(2)]
    retried = [growing.job("thumb", "Pending", [parents[4]]) for _ in range(4)]
    high = "\n".join(on_screen(growing.tree(), 50))
    assert all(job[:8] in high for job in [*parents, *children, *retried])
    low = on_screen(growing.tree(), 12)
    assert len(low) <= 12
    assert all(job[:8] in "\n".join(low) for job in [parents[4], *retried])
    assert f"transcode {TIMES}9 · Completed" in "\n".join(low)


def test_few_lines_leave_out_what_is_over_before_what_is_open() -> None:
    growing = Growing()
    root = growing.job("ingest")
    for number in range(12):
        growing.job(f"kind{number}", parents=[root])
    still = growing.job("last", "Pending", [root])
    assert still[:8] in draw(growing.tree(), max_nodes=5)


def test_few_lines_still_show_the_failures_of_every_branch() -> None:
    growing = Growing()
    root = growing.job("root")
    for _ in range(20):
        branch = growing.job("branch", parents=[root])
        for number in range(60):
            growing.job(f"queue{number}", "Dead" if number == 59 else "Completed", [branch])
    text = draw(growing.tree(), max_nodes=70, max_children=25)
    assert text.count("branch") == 20
    assert text.count("queue59") == 2
    assert text.count("not drawn: --max-nodes") == 18
    assert len(draw(growing.tree(), max_nodes=200).splitlines()) <= 200 + 21


def test_errors_are_cut_to_the_width_and_nothing_else_is() -> None:
    growing = Growing()
    root = growing.job("root")
    growing.job("日本語", "Dead", [root], attempts=3, error="文字" * 100)
    line = draw(growing.tree(), width=80).splitlines()[1]
    assert line.endswith("…")
    assert sum(2 if ord(character) > 0x3000 else 1 for character in line) <= 80
    assert "文字" * 100 in draw(growing.tree())


def test_colours_change_nothing_but_the_colour() -> None:
    plain = draw(trees.video(), width=90)
    coloured = draw(trees.video(), width=90, colour=True)
    assert "\x1b[31mDead\x1b[0m" in coloured
    assert re.sub("\x1b\\[[0-9]*m", "", coloured) == plain


def test_archived_jobs_and_priorities_are_shown() -> None:
    growing = Growing()
    growing.job("a", stored_priority=3, archived_at="2026-11-25 00:00:00+00", stored_config="{}")
    assert "Completed in 1.4 s · high priority · archived · spawned nothing" in draw(growing.tree())


def test_the_error_of_an_open_job_is_that_of_an_earlier_attempt() -> None:
    growing = Growing()
    root = growing.job("a")
    growing.job("b", "Running", (root,), attempts=2, error="ValueError: late\n\nTraceback")
    growing.job("c", "Retrying", (root,), attempts=1, error="ValueError: late")
    growing.job("d", "Dead", (root,), attempts=3, error="ValueError: late")
    drawn = draw(growing.tree())
    assert ", attempt 2 · last error: ValueError: late\n" in drawn
    assert "Retrying after 1 attempt · last error: ValueError: late" in drawn
    assert "Dead after 3 attempts · ValueError: late" in drawn


@each_row("seed", range(40))
def test_any_tangle_of_jobs_is_drawn_to_its_end(seed: int) -> None:
    tree = trees.tangle(seed)
    whole = draw(tree, **EVERYTHING)
    assert all(job[:8] in whole for job in tree.nodes)
    failed = [job for job, node in tree.nodes.items() if node.status in FAILURES]
    folded = draw(tree, max_depth=None, max_children=None)
    assert all(job[:8] in folded for job in failed)
    assert folded == draw(tree, max_depth=None, max_children=None)
    for options in ({"max_nodes": 7}, {"max_depth": 2}, {"max_children": 1}, {"status": ["Dead"]}):
        assert tree.target[:8] in draw(tree, **options)


@each_row("seed", range(40))
def test_descendants_are_counted_exactly_with_joins_and_cycles(seed: int) -> None:
    tree = trees.tangle(seed)
    below = Below(tree)
    for job in tree.nodes:
        seen, queue = {job}, deque([job])
        while queue:
            new = [child for child in tree.children.get(queue.popleft(), ()) if child not in seen]
            seen.update(new)
            queue.extend(dict.fromkeys(new))
        exact = Counts()
        for other in seen - {job}:
            exact.add(tree.nodes[other].status)
        counts, whole = below.of(job)
        assert (counts.by_status, whole) == (exact.by_status, True)
