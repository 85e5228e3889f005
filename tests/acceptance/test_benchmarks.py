"""The benchmark fails where it measures nothing. ``make smoke`` runs each part but ``beside``, on tables too
small for goals.
"""

from benchmarks.__main__ import PARTS, problems
from benchmarks.measuring import FULL_SIZE, Result, goal_at


def test_a_part_that_measures_nothing_or_judges_a_small_table_is_a_problem() -> None:
    whole = [Result(measure.replace("*", "9"), "", 9, 0.5) for part in PARTS.values() for measure in part]
    assert problems(whole, tuple(PARTS), 9) == []
    without = [Result(f"{one.measure}, without 015", "", 9, 0.5) for one in whole if one.measure != "queue stats"]
    assert problems(without, tuple(PARTS), 9) == ["nothing was measured: queue stats"]
    assert problems(without, ("trees", "streams"), 9) == []
    below = [Result("memory", "", 9, -1, "KiB"), Result("peak memory", "", 9, -1, "MiB more than for 1,000")]
    assert problems(below, (), 9) == ["below zero: memory"]
    judged = [Result("--version", "", 0, 3.0, goal=2.0), Result("queue stats", "", 9, 3.0, goal=2.0)]
    assert problems(judged, (), 9) == ["judged on too small a table: queue stats"]
    assert problems(judged, (), FULL_SIZE) == []


def test_a_goal_is_the_most_that_a_figure_may_be_on_a_table_that_is_not_too_small() -> None:
    assert [goal_at(jobs, 2.0) for jobs in (FULL_SIZE - 1, FULL_SIZE)] == [None, 2.0]
    figures = [Result("queue stats", "", 9, value, goal=goal) for value, goal in ((2.0, 2.0), (2.1, 2.0), (9.0, None))]
    assert [figure.met for figure in figures] == [True, False, None]
    assert figures[1].record["met"] is False
