"""Jobs and changes to them, as people see them."""

import json
from datetime import timedelta

import pytest

from hammerwork_cli.core.values import Counts, JobStatus
from hammerwork_cli.features.job.models.job import JobDetails, StoredJob
from hammerwork_cli.features.job.models.plan import ChangeOutcome, ChangePlan, JobGroup
from hammerwork_cli.features.job.views import changes, listing
from hammerwork_cli.features.job.views.details import details_text, parsed
from hammerwork_cli.features.tree.model import TreeNode
from tests.conftest import each_row
from tests.jobs import NOW, identity


def details(payload: str | None, error: str | None = None) -> JobDetails:
    """A job with this payload and error."""
    node = TreeNode(identity(1), "mail", "Pending", 2, 0, "[]", NOW, None, None, None, None, None, None, None, None)
    return JobDetails(
        StoredJob(node._replace(error=error), NOW, 3, "none"), False, payload, None, {}, (), (), Counts(), ()
    )


def text(payload: str | None, *, error: str | None = None, width: int | None = 80, full: bool = False) -> list[str]:
    """What a terminal, or with ``width=None`` a pipe, is given."""
    return list(details_text(details(payload, error), now=NOW + timedelta(minutes=5), width=width, full=full))


@pytest.mark.parametrize(
    ("status", "attempts", "said"),
    [
        (JobStatus.RUNNING, 1, "Running, attempt 1 of 3"),
        (JobStatus.PENDING, 1, "Pending after 1 of 3 attempts"),
        (JobStatus.PENDING, 0, "Pending"),
        (JobStatus.DEAD, 3, "Dead after 3 of 3 attempts"),
    ],
)
def test_a_running_job_is_in_an_attempt_and_another_one_after_some(status: JobStatus, attempts: int, said: str) -> None:
    shown = details("{}")
    node = shown.job.node._replace(stored_status=status, attempts=attempts)
    shown = shown._replace(job=shown.job._replace(node=node))
    lines = [" ".join(line.split()) for line in details_text(shown, now=NOW, width=80, full=False)]
    assert f"status {said}" in lines


def test_a_long_payload_is_bounded_on_a_terminal_only() -> None:
    payload = json.dumps(list(range(1000)))
    assert text(payload)[-1].startswith("  … 962 more lines: --full")
    assert len(text(payload, width=None)) == len(text(payload, full=True)) > 1000


def test_a_long_line_is_cut_to_the_terminal_only() -> None:
    payload = json.dumps({"a": "é" * 500})
    assert max(map(len, text(payload))) <= 80
    assert text(payload)[-1] == "  A line that ends in … is longer: --full, or --format json"
    assert "--full" not in "".join([*text(payload, full=True), *text("{}")])
    assert "é" * 500 in "".join(text(payload, width=None))


def test_a_huge_payload_is_not_parsed_for_a_screen() -> None:
    lines = text('"' + "x" * 5_000_000)
    assert len(lines) < 60
    assert lines[-1].startswith("  …")


def test_a_payload_that_is_nested_too_deeply_is_given_as_text() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert parsed(deep) == deep
    assert text(deep, width=None)[-1] == f"  {deep}"


def test_an_error_of_several_lines_is_shown_line_by_line() -> None:
    trace = 'OSError: gone\n\nTraceback (most recent call last):\n  File "a.py", line 1\nOSError: \x1b[2Jgone\n'
    lines = text("{}", error=trace)
    assert "  error     OSError: gone" in lines
    at = lines.index("Error")
    assert lines[at : at + 7] == [
        "Error",
        "  OSError: gone",
        "",
        "  Traceback (most recent call last):",
        '    File "a.py", line 1',
        "  OSError: \\x1b[2Jgone",
        "",
    ]
    assert "Error" not in text("{}", error="gone\n")


def test_of_a_long_error_a_terminal_shows_the_end() -> None:
    error = "\n".join(["first", *map(str, range(1000)), "last"])
    lines = text("{}", error=error)
    at = lines.index("Error")
    assert lines[at + 1].startswith("  … 962 lines before: --full")
    assert lines[at + 41 : at + 43] == ["  last", ""]
    assert "  500" in text("{}", error=error, width=None)
    assert "  500" in text("{}", error=error, full=True)


def test_a_payload_that_cannot_be_read_is_said_to_be_so() -> None:
    assert text(None)[-1] == "  cannot be read"


@each_row(
    ("status", "expected"),
    [
        ("Running", ("5m 00s", None)),
        ("Dead", (None, "boom")),
        ("Retrying", (None, "ready for 5m 00s; boom")),
        ("Cancelled", (None, "boom")),
        ("Pending", (None, "ready for 5m 00s")),
        ("Completed", ("2.0 s", None)),
        ("Odd", (None, None)),
    ],
)
def test_run_time_and_note_say_what_matters_of_a_job_in_its_status(
    status: str, expected: tuple[str | None, str | None]
) -> None:
    end = NOW + timedelta(seconds=2) if status == "Completed" else None
    start = NOW if status in {"Running", "Completed"} else None
    error = "boom\nTraceback" if status in {"Dead", "Retrying", "Cancelled"} else None
    node = TreeNode(identity(1), "q", status, 2, 1, "[]", NOW, start, end, None, error, None, None, None, None)
    job, now = StoredJob(node, NOW, 3, "none"), NOW + timedelta(minutes=5)
    shown = {column.header: column.value(job) for column in listing.columns(now)}
    assert (shown["run time"], shown["note"]) == expected


def test_the_note_of_a_retrying_job_says_when_it_is_tried_again_and_why() -> None:
    node = TreeNode(identity(1), "q", "Retrying", 2, 1, "[]", NOW, None, None, None, "boom", None, None, None, None)
    job = StoredJob(node, NOW + timedelta(minutes=5), 3, "none")
    assert listing.note(job, NOW, ages=True) == "due in 5m 00s; boom"


def test_a_plan_of_many_queues_is_bounded_and_counts_the_rest() -> None:
    groups = tuple(JobGroup(f"queue-{number}", "Dead", number) for number in range(1, 101))
    plan = ChangePlan.of("retry", groups, {}, cautious=True)
    lines = "\n".join(changes.plan_text(plan, terminal=False)).splitlines()
    assert lines[0] == "To retry: 5,050 jobs"
    assert lines[2].split() == ["queue-100", "Dead", "100"]
    assert "… and 3,240 jobs in 80 more lines" in lines
    assert len(lines) == changes.SHOWN_GROUPS + 4


def test_an_outcome_says_what_followed_and_what_was_left() -> None:
    outcome = ChangeOutcome("cancel", changed=1, left=Counts({"Running": 2, "\x1b[31m": 1}), followed=3)
    lines = list(changes.outcome_text(outcome))
    assert lines[0] == "Cancelled 1 job and 3 jobs that waited for it."
    assert lines[1].startswith(r"Skipped 1 job: \x1b[31m. Only Pending and Retrying jobs can be cancelled.")
    assert lines[2].startswith("Skipped 2 jobs: Running. With --force, its worker interrupts the handler")


def test_an_outcome_without_a_job_says_why() -> None:
    assert list(changes.outcome_text(ChangeOutcome("retry", changed=0, left=Counts()))) == [
        "Nothing to retry: no job matches."
    ]
    left = ChangeOutcome("retry", changed=0, left=Counts({"archived": 1}))
    assert list(changes.outcome_text(left)) == [
        "Nothing to retry.",
        "Skipped 1 job: archived. Archived jobs stay unchanged.",
    ]
