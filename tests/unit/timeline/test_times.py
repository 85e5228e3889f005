"""Where the time went, of trees made by hand with known answers, and of any tree."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hammerwork_cli.features.spawn.models.timeline import Timeline
from hammerwork_cli.features.spawn.queries.timeline import timeline_of
from hammerwork_cli.features.tree.model import JobDate
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from tests.conftest import each_row
from tests.unit.views.trees import START, Growing, stored

NOW = 100
"""Seconds after START."""
BASE = round(START.timestamp() * 1_000_000)


def at(seconds: float | None) -> str | None:
    return None if seconds is None else stored(START + timedelta(seconds=seconds))


def add(
    growing: Growing,
    created: float,
    started: float | None,
    ended: float | None,
    *parents: str,
    status: str = "Completed",
    queue: str = "work",
    **known: Any,
) -> str:
    """Adds a job with its times in seconds after START."""
    failed = status in {"Failed", "Dead", "TimedOut"}
    times = {"completed_at": None if failed else at(ended), "failed_at": at(ended) if failed else None}
    return growing.job(queue, status, parents, created_at=at(created), started_at=at(started), **times, **known)


def read(tree: SpawnTree, waits: dict[str, float] | None = None, *, siblings: bool = False) -> Timeline:
    dates = {job: JobDate(at(date), False) for job, date in (waits or {}).items()}
    return timeline_of(replace(tree, dates=dates), START + timedelta(seconds=NOW), siblings=siblings)


def seconds(parts: dict[str, int]) -> dict[str, float]:
    return {part: length / 1_000_000 for part, length in parts.items()}


def steps(found: Timeline) -> list[tuple[str, dict[str, float]]]:
    return [(step.node.queue if step.node else "?", seconds(step.parts)) for step in found.path]


def test_the_path_leads_over_the_slowest_child_and_its_parts_add_up() -> None:
    growing = Growing()
    root = add(growing, 0, 0.2, 1.1, queue="ingest")
    slow = add(growing, 1.1, 5, 7.2, root, queue="transcode")
    add(growing, 1.1, 1.2, 2, root, queue="thumbnail")
    last = add(growing, 7.2, 8.2, 14.2, slow, queue="segment")
    found = read(growing.tree(), {last: 7.7})
    assert steps(found) == [
        ("ingest", {"queued": 0.2, "running": 0.9}),
        ("transcode", {"queued": 3.9, "running": 2.2}),
        ("segment", {"delayed": 0.5, "queued": 0.5, "running": 6.0}),
    ]
    assert seconds(found.parts) == {"delayed": 0.5, "queued": 4.6, "running": 9.1}
    assert found.length == 14_200_000
    assert found.alone == 9_600_000
    assert (found.open, found.unknown) == (0, 0)


def test_a_join_continues_the_path_of_the_parent_that_ended_last() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1, queue="root")
    quick = add(growing, 1, 1, 2, root, queue="quick")
    slow = add(growing, 1, 1, 5, root, queue="slow")
    add(growing, 1, 6, 8, quick, slow, queue="join")
    found = read(growing.tree())
    assert steps(found) == [
        ("root", {"running": 1.0}),
        ("slow", {"running": 4.0}),
        ("join", {"queued": 1.0, "running": 2.0}),
    ]
    assert seconds(dict(found.sums))["blocked"] == 4.0


def test_the_time_between_the_end_of_a_parent_and_the_creation_of_its_child_is_spawning() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    add(growing, 3, 3, 4, root)
    assert seconds(read(growing.tree()).parts) == {"spawning": 2.0, "running": 2.0}


def test_a_child_of_a_running_parent_takes_over_when_it_was_created() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 10, queue="root")
    add(growing, 4, 6, 20, root, queue="early")
    found = read(growing.tree())
    assert steps(found) == [("root", {"running": 4.0}), ("early", {"queued": 2.0, "running": 14.0})]
    assert found.alone == 18_000_000


def test_earlier_attempts_and_their_pauses_are_one_part() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    job = add(growing, 1, 9, 10, root, attempts=3, status="Dead")
    found = read(growing.tree(), {job: 8})
    assert seconds(found.parts) == {"retrying": 8.0, "running": 2.0}
    assert found.alone == found.length
    started = BASE + 3_000_000
    dated = replace(growing.tree(), dates={job: JobDate(at(8), False)})
    known = timeline_of(dated, START + timedelta(seconds=NOW), firsts={job: started})
    assert seconds(known.parts) == {"queued": 2.0, "retrying": 6.0, "running": 2.0}
    assert known.alone == 8_000_000
    assert [queue.queued for queue in known.queues] == [(0, 2_000_000)]


def test_a_tree_with_open_jobs_runs_until_now_and_its_path_ends_with_the_job_that_runs_longest() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    add(growing, 1, 50, None, root, status="Running", queue="late")
    add(growing, 1, 40, None, root, status="Running", queue="long")
    blocked = add(growing, 1, None, None, root, status="Pending", queue="blocked")
    tree = growing.tree()
    waiting = replace(tree, dates={blocked: JobDate(None, True)})
    found = timeline_of(waiting, START + timedelta(seconds=NOW))
    assert [name for name, _ in steps(found)] == ["work", "long"]
    assert seconds(found.parts) == {"queued": 39.0, "running": 61.0}
    assert found.open == 3
    assert seconds(dict(found.sums))["blocked"] == 99.0


def test_a_job_between_two_attempts_is_retrying_and_one_that_never_started_is_queued() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    add(growing, 1, 2, None, root, status="Pending", attempts=1)
    tree = growing.tree()
    assert seconds(read(tree).parts) == {"retrying": 99.0, "running": 1.0}
    waiting = {job: node._replace(attempts=0) for job, node in tree.nodes.items()}
    tree.nodes.update(waiting)
    assert seconds(read(tree).parts) == {"queued": 99.0, "running": 1.0}
    assert seconds(read(tree, {list(tree.nodes)[1]: 500}).parts) == {"delayed": 99.0, "running": 1.0}


def test_a_job_that_was_cancelled_before_it_started_never_ran() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    add(growing, 1, None, 7, root, status="Failed")
    found = read(growing.tree())
    assert seconds(found.parts) == {"queued": 6.0, "running": 1.0}
    assert found.queues[0].ran == (1_000_000, 1_000_000)


def test_a_job_that_failed_while_it_waited_for_another_was_blocked() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    add(growing, 0, None, 0.5, root, status="Failed")
    assert seconds(dict(read(growing.tree()).sums)) == {
        **dict.fromkeys(("spawning", "delayed", "queued", "retrying", "unknown"), 0.0),
        "blocked": 0.5,
        "running": 1.0,
    }


@each_row(
    "changed",
    [
        {"started_at": at(0.5)},  # before its creation
        {"completed_at": at(1.5)},  # before its start
        {"completed_at": None},  # completed at no time
        {"started_at": None},
        {"created_at": "infinity"},
        {"stored_status": "whatever"},
        {"stored_status": "Running", "started_at": None},
    ],
)
def test_a_job_with_contradicting_or_missing_times_is_unknown_and_left_out(changed: dict[str, Any]) -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1, queue="root")
    bad = add(growing, 1, 2, 3, root, queue="bad")
    growing.nodes[bad] = growing.nodes[bad]._replace(**changed)
    found = read(growing.tree())
    assert found.unknown == 1
    assert steps(found) == [("root", {"running": 1.0})]
    assert {queue.queue: queue.jobs for queue in found.queues} == {"root": 1, "bad": 1}


def test_below_an_unknown_job_the_time_since_the_creation_of_the_root_is_unknown() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1)
    bad = add(growing, 9, 2, 3, root)
    add(growing, 3, 4, 8, bad, queue="leaf")
    found = read(growing.tree())
    assert steps(found) == [("?", {"unknown": 3.0}), ("leaf", {"queued": 1.0, "running": 4.0})]
    assert found.length == 8_000_000


def test_an_archived_job_has_its_times_like_any_other() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1, status="Archived", archived_at=at(50))
    add(growing, 1, 2, 4, root, archived_at=at(50))
    assert seconds(read(growing.tree()).parts) == {"queued": 1.0, "running": 3.0}


def test_a_tree_without_any_known_time_has_no_path() -> None:
    growing = Growing()
    add(growing, 5, 2, 1)
    found = read(growing.tree())
    assert (found.length, found.path, found.unknown, found.alone) == (0, (), 1, 0)


def test_a_circle_of_jobs_ends_the_path_once_round() -> None:
    growing = Growing()
    first = add(growing, 0, 1, 2)
    second = add(growing, 0, 3, 4, first)
    growing.depend(first, second)
    found = read(growing.tree(roots=(first,)))
    assert found.length == sum(found.parts.values()) == 4_000_000


def test_siblings_are_one_group_for_each_parent_and_queue() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1, queue="root")
    add(growing, 1, 2, 5, root, queue="a")
    add(growing, 1, 3, 9, root, queue="a", status="Dead")
    add(growing, 1, 2, 3, root, queue="b")
    groups = read(growing.tree(), siblings=True).siblings
    assert groups is not None
    assert [(one.queue, one.parent, one.jobs, one.failed) for one in groups] == [
        ("root", None, 1, 0),
        ("a", root, 2, 1),
        ("b", root, 1, 0),
    ]
    assert [(time - BASE) / 1_000_000 for time in groups[1].times[:6]] == [1, 1, 1, 2, 2, 9]


def test_percentiles_are_measured_values() -> None:
    growing = Growing()
    root = add(growing, 0, 0, 1, queue="root")
    for number in range(1, 21):
        add(growing, 1, 1 + number, 1 + 3 * number, root)
    (work,) = (one for one in read(growing.tree()).queues if one.queue == "work")
    assert work.queued == (10_000_000, 19_000_000)
    assert work.ran == (20_000_000, 38_000_000)


# Any tree at all.

TIME = st.none() | st.integers(0, 30)
STATUS = st.sampled_from(["Pending", "Retrying", "Running", "Completed", "Failed", "Dead", "TimedOut", "Archived", "?"])


@st.composite
def any_tree(draw: st.DrawFn) -> tuple[SpawnTree, dict[str, int]]:
    """Jobs with any times, whether or not they contradict each other, and any parents."""
    growing = Growing()
    dates: dict[str, JobDate] = {}
    for number in range(draw(st.integers(1, 8))):
        known = list(growing.nodes)
        parents = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
        if number and not parents:
            parents = known[:1]
        status = draw(STATUS)
        created, started, ended = (draw(TIME) for _ in range(3))
        if draw(st.booleans()):
            created, started, ended = sorted(draw(st.integers(0, 30)) for _ in range(3))
        job = add(growing, created or 0, started, ended, *parents, status=status, attempts=draw(st.integers(0, 3)))
        if draw(st.booleans()):
            dates[job] = JobDate(at(draw(st.integers(0, 40))), draw(st.booleans()))
    jobs = list(growing.nodes)
    if draw(st.booleans()):
        growing.depend(jobs[0], draw(st.sampled_from(jobs)))
    firsts = {job: BASE + draw(st.integers(0, 40)) * 1_000_000 for job in jobs if draw(st.booleans())}
    return replace(growing.tree(roots=(jobs[0],)), dates=dates), firsts


@settings(max_examples=80, deadline=None)
@given(any_tree(), st.integers(0, 60))
def test_whatever_the_times_the_path_goes_forward_and_adds_up(
    drawn: tuple[SpawnTree, dict[str, int]], now: int
) -> None:
    tree, firsts = drawn
    found = timeline_of(tree, START + timedelta(seconds=now), firsts=firsts, siblings=True)
    assert sum(found.parts.values()) == found.length >= 0
    assert sum(step.length for step in found.path) == found.length
    place = found.begun
    for step in found.path:
        for _, start, end in step.spans:
            assert place == start < end
            place = end
    assert place == found.ended
    assert all(length >= 0 for length in found.sums.values())
    assert 0 <= found.alone <= found.length
    assert len([step for step in found.path if step.node]) == len({step.node.id for step in found.path if step.node})
    assert sum(group.jobs for group in found.siblings or ()) + found.unknown == len(tree.nodes)
    assert sum(queue.jobs for queue in found.queues) == len(tree.nodes)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_a_healthy_chain_is_its_own_path(jobs: list[tuple[int, int, int]]) -> None:
    growing = Growing()
    end = 0.0
    parents: tuple[str, ...] = ()
    for spawning, queued, running in jobs:
        created = end + (spawning if parents else 0)
        end = created + queued + running
        parents = (add(growing, created, created + queued, end, *parents),)
    found = read(growing.tree())
    assert found.unknown == 0
    assert [step.node.id for step in found.path if step.node] == list(growing.nodes)
    assert found.length == end * 1_000_000
    assert found.alone == found.length - found.parts.get("queued", 0)
