"""What a worker's log says of runs that did not end well, and of other workers' jobs."""

import re
import time
from datetime import timedelta

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy
from hammerwork_cli.queries.job import changes
from hammerwork_cli.queries.job.changes import Cancel
from hammerwork_cli.queries.job.selections import Named
from tests.runtime.conftest import Stage

LOST = "belongs to another worker now, or was changed by hand: the outcome here is not written."


def test_a_failure_says_whether_it_is_final_or_when_the_next_attempt_comes(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    @app.job("fails", retry=RetryStrategy.fixed(timedelta(milliseconds=20)))
    def fail(job: Job) -> None:
        raise ValueError("no data\nat all")

    @app.job("refuses")
    def refuse(job: Job) -> object:
        return object()

    @app.job("slow")
    def slow(job: Job) -> None:
        time.sleep(1.2)

    fails, refused, late = Job("fails", max_attempts=2), Job("refuses"), Job("slow", timeout=timedelta(seconds=1))
    daily = Job("fails", max_attempts=1).with_cron("0 30 2 * * *")
    lite.enqueue(fails, refused, late, daily)
    lite.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '2026-01-01T00:00:00.000000Z' WHERE id = '{daily.id}'")
    report = lite.work(app, concurrency=4)
    assert report.failed == 5
    said = [record.getMessage() for record in caplog.records if "failed in attempt" in record.getMessage()]
    first, second = (line for line in said if fails.id in line)
    assert re.fullmatch(
        rf"Job {fails.id} \(fails\) failed in attempt 1 of 2 and will be tried again in 20 ms: ValueError: no data",
        first,
    )
    assert second == f"Job {fails.id} (fails) failed in attempt 2 of 2 and is Dead now: ValueError: no data"
    (final,) = (line for line in said if refused.id in line)
    assert "failed in attempt 1 of 3 and is Dead now: The result " in final
    (timed_out,) = (line for line in said if late.id in line)
    assert timed_out.endswith("failed in attempt 1 of 3 and is TimedOut now: It did not end within 1 s.")
    (recurs,) = (line for line in said if daily.id in line)
    assert re.search(r"failed in attempt 1 of 1 and recurs at \d{4}-\d\d-\d\d 02:30:00: ValueError: no data", recurs)


@pytest.mark.parametrize(
    ("later", "said"), [(0, None), (1, "1 job of these queues is"), (2, "2 jobs of these queues are")]
)
def test_a_worker_that_has_drained_its_queues_says_what_is_due_later(
    stage: Stage, app: Handlers, caplog: pytest.LogCaptureFixture, later: int, said: str | None
) -> None:
    caplog.set_level("INFO", "hammerwork")
    (now,) = stage.enqueue(Job("noop"))
    delayed = [Job("noop").with_delay(timedelta(hours=1)), Job("noop").with_cron("0 0 3 1 1 * 2037")][:later]
    elsewhere, cancelled = (Job(queue).with_delay(timedelta(hours=1)) for queue in ("elsewhere", "noop"))
    stage.enqueue(*delayed, elsewhere, cancelled, Job("noop").with_delay(timedelta(hours=1)).depends_on(elsewhere))
    changes.run(stage.database, Named([cancelled.id]), Cancel(stage.database.now(), by="me"))
    stage.work(app)
    assert stage.one(now) == "Completed"
    assert [line for line in caplog.messages if "due later" in line] == ([f"{said} due later."] if said else [])


def test_of_a_job_that_went_to_another_worker_the_log_does_not_say_that_it_failed(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    """As after SIGCONT: who stood still for a lease has lost its jobs, and they run elsewhere."""

    def lose(job: Job) -> None:
        lite.execute(f"UPDATE hammerwork_jobs SET claim_token = 'another' WHERE id = '{job.id}'")

    @app.job("returns")
    def returns(job: Job) -> None:
        lose(job)

    @app.job("raises")
    def raises(job: Job) -> None:
        lose(job)
        raise ValueError("too late")

    jobs = lite.enqueue(Job("returns"), Job("raises"))
    report = lite.work(app, max_jobs=2)
    assert (report.completed, report.failed) == (0, 0)
    assert "failed in attempt" not in caplog.text
    assert [f"Job {job.id} ({job.queue}) {LOST}" in caplog.messages for job in jobs] == [True, True]
    assert {record.levelname for record in caplog.records if LOST in record.getMessage()} == {"WARNING"}
