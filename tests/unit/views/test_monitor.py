"""The picture of ``spawn monitor`` on screens of several sizes, and what is told of changes."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from hammerwork_cli.core.values import Counts, JobStatus
from hammerwork_cli.features.queue.model import QueuePause, QueueState
from hammerwork_cli.features.spawn.models.monitor import BusyWorker, Flow, MonitorSnapshot, RunningOperation
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.views.monitor import Frame, picture
from hammerwork_cli.features.spawn.views.monitor_lines import Changes, plain_lines, record_lines
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.view.text import painted_cells
from tests.conftest import each_row
from tests.rows import START

ERROR = "Processing error: Codec error: moov atom not found in segment, the input may have been cut"
HOSTILE = "q\x1b[2J\u202e[red]漢字\n🎬"


def node(number: int, queue: str = "segment", status: str = "Dead", **values: object) -> TreeNode:
    job = f"{number:08x}-0000-4000-8000-000000000000"
    bare = TreeNode(job, queue, status, 2, 3, None, START, START, None, None, None, None, None, None, None)
    return bare._replace(**values)


def running(number: int, queue: str, age: float, **statuses: int) -> RunningOperation:
    config = f'{{"operation_id": "night_{number % 256:03}"}}'
    parent = node(number, queue, "Completed", stored_config=config)
    since = (START - timedelta(seconds=age)).isoformat()
    operation = SpawnOperation(parent, Counts({"Completed": 4}), since, None)
    below = Counts(statuses)
    now_running = below.of(JobStatus.RUNNING)
    return RunningOperation(operation, counted=True, below=below, running=now_running, last_ended=START.isoformat())


@pytest.fixture
def snapshot() -> MonitorSnapshot:
    """A busy minute."""
    errors = (ERROR, "connection reset by peer\n  at read()", None)
    return MonitorSnapshot(
        at=START,
        queues=(),
        flow=Flow(seconds=5, enqueued=121, started=1_262, completed=1_250, failed=1),
        pending=312_112,
        running=17,
        more_pending=False,
        more_running=False,
        operations=(
            running(0xABCD01, "video_ingest", 64, Completed=1_912, Dead=38, Running=9, Pending=3_041),
            running(0xABCD02, "nightly_report_of_the_whole_company", 3_600, Completed=3, Pending=1),
            running(0xABCD03, "thumbnail", 1.5, Running=8, Pending=92),
        ),
        failures=tuple(
            node(
                0x29904B70 + number,
                error=errors[number % 3],
                failed_at=START - timedelta(hours=number * 3, seconds=4),
                queue="segment" if number % 2 else "subtitle",
            )
            for number in range(10)
        ),
        workers=(
            BusyWorker("render-1.example:4711", ("segment", "subtitle"), "running", 8, 8, 15_201, 12, 0.4),
            BusyWorker("render-2.example:99", ("segment",), "silent", 1, 8, 9, 0, 95),
            BusyWorker("render-3.example:100", ("segment",), "stopping", 8, 8, 9, 0, 2),
        ),
        failed_since=True,
        progress=(
            JobProgress(f"29904b70-0000-4000-8000-{9:012}", "segment", 1, 0.976, "part 41 of 42", START.isoformat()),
            JobProgress(f"39904b70-0000-4000-8000-{9:012}", "subtitle", 2, 0.05, "東京\x1b[2J", START.isoformat()),
        ),
        states=(
            QueueState(
                "segment", START, Counts({"Running": 16}), 312_004, 12, 0, completed=90_431, failed=71, workers=3
            ),
            QueueState("thumbnail", START, ready=92, workers=0),
            QueueState("mail", START, ready=4, pause=QueuePause("mail", START, "ann", None), workers=1),
        ),
    )


def frame(width: int, height: int, **settings: object) -> Frame:
    return Frame(width, height, colour=False, charset="utf8", interval=5)._replace(**settings)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (50, 15)])
def test_a_busy_minute_on_a_screen(
    snapshot: MonitorSnapshot, expected: Callable[[str, str], None], width: int, height: int
) -> None:
    lines = picture(snapshot, frame(width, height))
    expected(f"monitor_{width}x{height}.txt", "\n".join(lines) + "\n")


def test_a_database_where_nothing_happens(snapshot: MonitorSnapshot, expected: Callable[[str, str], None]) -> None:
    quiet = snapshot._replace(queues=("mail",), flow=Flow(5, 0, 0, 0, 0), pending=0, running=0, more_pending=False,
        operations=(), progress=(), failures=(), workers=(), states=(),
    )  # fmt: skip
    expected("monitor_quiet.txt", "\n".join(picture(quiet, frame(80, 24))) + "\n")


@each_row("width", [30, 59, 60, 74, 75, 80, 140])
def test_all_figures_are_there_on_every_width(snapshot: MonitorSnapshot, width: int) -> None:
    drawn = "\n".join(picture(snapshot, frame(width, 40)))
    for word in ("enqueued", "started", "completed", "failed", "pending", "retrying", "running"):
        assert word in drawn, word


@pytest.mark.parametrize(("charset", "colour"), [("utf8", False), ("ascii", True)])
def test_whatever_the_size_and_the_data_nothing_is_wider_or_longer(
    snapshot: MonitorSnapshot, charset: str, colour: bool
) -> None:
    hostile = snapshot._replace(
        queues=(HOSTILE,),
        operations=tuple(running(number, HOSTILE * 5, 1, Running=1, Odd=2) for number in range(30)),
        failures=tuple(node(number, HOSTILE, HOSTILE, error=HOSTILE * 50) for number in range(10)),
        states=tuple(QueueState(HOSTILE * 9, START, ready=10**9, completed=5, workers=0) for _ in range(10)),
        workers=tuple(BusyWorker(HOSTILE * 9, (HOSTILE,) * 9, "running", 1, 1, 1, 1, 1) for _ in range(10)),
    )
    for width in (1, 2, 7, 20, 49, 59, 60, 61, 79, 80, 109, 110, 200):
        # What a line is made of has no part in how many there are: each width has other heights in each case.
        for height in (1, 2, 3, 5, 8, 11, 12, 17, 18, 24, 60)[(width + colour) % 2 :: 2]:
            lines = picture(hostile, frame(width, height, charset=charset, colour=colour, profile=HOSTILE))
            assert len(lines) <= height
            assert all(painted_cells(line) <= width for line in lines)
            assert colour or all(line.isprintable() for line in lines)
            assert charset != "ascii" or all(line.isascii() for line in lines)


def test_the_first_line_names_the_profile_of_the_database(snapshot: MonitorSnapshot) -> None:
    assert picture(snapshot, frame(80, 24, profile="production"))[0].startswith("hammerwork · @production · all queues")
    assert picture(snapshot, frame(50, 15, profile="production"))[0].startswith("@production · all queues")


def test_that_the_server_is_gone_stands_first(snapshot: MonitorSnapshot) -> None:
    lines = picture(snapshot, frame(50, 15, note="Trying again: The connection was lost."))
    assert lines[0] == "14:00:00 UTC · Trying again: The connection was l…"


@pytest.mark.parametrize(
    ("width", "said"), [(140, "8/9 children · more below · 1 failed · 12 running"), (50, "8/9 children")]
)
def test_a_tree_too_large_to_be_counted_has_no_share_and_no_estimate(
    snapshot: MonitorSnapshot, width: int, said: str
) -> None:
    operation = running(1, "ingest", 64).operation._replace(children=Counts({"Completed": 7, "Dead": 1, "Running": 1}))
    large = RunningOperation(operation, counted=True, running=12, last_ended=START)
    lines = picture(snapshot._replace(operations=(large,)), frame(width, 40))
    [line] = [line for line in lines if "ingest" in line]
    assert said in line
    assert not any(word in line for word in ("%", "left", "░"))
    told = json.loads(next(record_lines(snapshot._replace(operations=(large,)), ())))["operations"][0]
    assert (told["below"], told["children"]["total"], told["running"]) == (None, 9, 12)


def test_how_long_it_will_take_is_said_while_there_is_progress(snapshot: MonitorSnapshot) -> None:
    for rate, said in ((0.05, True), (0, False), (None, False)):
        one = running(1, "ingest", 600, Completed=30, Pending=10)._replace(per_second=rate)
        lines = picture(snapshot._replace(operations=(one,)), frame(140, 40))
        assert any("about 3m 20s left" in line for line in lines) is said


def test_without_our_indexes_it_is_said_what_is_missing(snapshot: MonitorSnapshot) -> None:
    known = running(1, "ingest", 5, Running=3).operation._replace(children=Counts({"Running": 3}))
    bare = snapshot._replace(operations=(RunningOperation(known, counted=False, running=3),))
    lines = picture(bare, frame(120, 40))
    assert any("3 running" in line and "%" not in line for line in lines)
    assert any("hammerwork migration run" in line for line in lines)
    told = json.loads(next(record_lines(bare, ())))["operations"][0]["children"]
    assert told == {"total": None, "completed": None, "failed": None, "running": 3, "pending": None} | {
        "retrying": None,
        "cancelled": None,
    }


def test_failed_attempts_are_seen_before_the_jobs_have_failed(snapshot: MonitorSnapshot) -> None:
    retries = (node(1, "mail", "Retrying", error="ConnectionError: refused", attempts=1), node(2, "mail", "Retrying"))
    outage = snapshot._replace(failures=(), retries=retries, retrying=13, failed_attempts=2.0)
    lines = picture(outage, frame(100, 40))
    heading = lines.index("Failed attempts: 13 retrying · 2.0/s failed attempts")
    assert lines[heading + 1] == "  mail 00000001  after 1 attempt   ConnectionError: refused"
    told = json.loads(next(record_lines(outage, ())))
    assert (told["retrying"], told["failed_attempts_per_second"]) == (13, 2.0)
    assert told["retries"][0]["error"] == "ConnectionError: refused"
    assert "13 retrying" in next(plain_lines(outage, ()))
    assert not any("Failed attempts" in line for line in picture(snapshot, frame(100, 40)))


def test_a_failure_of_another_day_has_its_date(snapshot: MonitorSnapshot) -> None:
    failed = node(1, "mail", failed_at=START.replace(hour=0) - timedelta(minutes=1), error="late")
    recent = node(2, "mail", failed_at=START.replace(hour=0), error="early")
    lines = picture(snapshot._replace(failures=(recent, failed)), frame(100, 40))
    assert any(line.startswith("  23 Nov 23:59  mail 00000001") for line in lines)
    assert any(line.startswith("  00:00:00      mail 00000002") for line in lines)


@pytest.mark.parametrize("workers", [None, ()])
def test_where_no_worker_is_registered_that_is_said(
    snapshot: MonitorSnapshot, workers: tuple[BusyWorker, ...] | None
) -> None:
    lines = picture(snapshot._replace(workers=workers), frame(100, 40))
    assert lines[lines.index("Workers") + 1] == "  none registered (Rust workers do not register)"


def test_only_changes_are_shown_and_each_failure_once(snapshot: MonitorSnapshot) -> None:
    changes = Changes(record_lines)
    first = json.loads("".join(changes.lines(snapshot)))
    assert len(first["failures"]) == 10
    quiet = snapshot._replace(flow=Flow(5, 0, 0, 0, 0), at=START + timedelta(seconds=5))
    assert list(changes.lines(quiet)) == []
    newest = node(7, error="new", failed_at=START + timedelta(seconds=6))
    again = json.loads("".join(changes.lines(quiet._replace(failures=(newest, *snapshot.failures[:9])))))
    assert [failure["error"] for failure in again["failures"]] == ["new"]
    assert list(changes.lines(quiet._replace(failures=(newest, *snapshot.failures[:9])))) == []
    retried = quiet._replace(failures=snapshot.failures[:9])
    assert list(changes.lines(retried)) == []
    fewer = json.loads("".join(changes.lines(retried._replace(pending=9_999, more_pending=False))))
    assert (fewer["pending"], fewer["more_pending"], fewer["failures"]) == (9_999, False, [])


def test_a_job_that_fails_again_is_shown_again(snapshot: MonitorSnapshot) -> None:
    changes = Changes(record_lines)
    list(changes.lines(snapshot))
    once_more = snapshot.failures[0]._replace(failed_at=START + timedelta(seconds=9))
    told = json.loads("".join(changes.lines(snapshot._replace(failures=(once_more,)))))
    assert [failure["id"] for failure in told["failures"]] == [once_more.id]


def test_sentences_name_what_happened(snapshot: MonitorSnapshot) -> None:
    failed = node(1, HOSTILE, error="boom\nat line 2", failed_at=datetime(2026, 11, 24, tzinfo=START.tzinfo))
    lines = list(plain_lines(snapshot._replace(failures=(failed,)), [failed]))
    assert lines[0] == (
        "2026-11-24 14:00:00 121 enqueued, 1,262 started, 1,250 completed, 1 failed, 312,112 pending, 17 running,"
        " 3 operations running"
    )
    assert lines[1] == "  running: segment 29904b70-0000-4000-8000-000000000009: 97.6%, part 41 of 42"
    assert lines[-1].endswith("00000001-0000-4000-8000-000000000000 Dead: boom")
    assert all(map(str.isprintable, lines))
