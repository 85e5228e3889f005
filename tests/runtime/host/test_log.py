"""What a worker's log says of runs that did not end well, and of other workers' jobs."""

import json
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import hammerwork_cli
from hammerwork_cli import Handlers, Job, RetryStrategy, Worker
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.runtime.host import secrets
from hammerwork_cli.runtime.host.logs import JsonLines, TextLines, named
from hammerwork_cli.runtime.worker import loop
from tests.conftest import one_case_on_servers
from tests.runtime.conftest import Stage

LOST = "The job was taken from this worker: another claim has it now. Its outcome here is not written."


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
    said = [named(record) for record in caplog.records if "failed in attempt" in record.getMessage()]
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


@one_case_on_servers
@pytest.mark.parametrize(
    ("later", "said"), [(0, None), (1, "1 job of these queues is"), (2, "at least 2 jobs of these queues are")]
)
def test_a_worker_that_has_drained_its_queues_says_what_is_due_later(
    stage: Stage,
    app: Handlers,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    later: int,
    said: str | None,
) -> None:
    monkeypatch.setattr(loop, "MOST_LATER", 2)
    caplog.set_level("INFO", "hammerwork")
    (now,) = stage.enqueue(Job("noop"))
    delayed = [Job("noop").with_delay(timedelta(hours=1)), Job("noop").with_cron("0 0 3 1 1 * 2037")][:later]
    elsewhere, cancelled = (Job(queue).with_delay(timedelta(hours=1)) for queue in ("elsewhere", "noop"))
    stage.enqueue(*delayed, elsewhere, cancelled, Job("noop").with_delay(timedelta(hours=1)).depends_on(elsewhere))
    changes.run(stage.database, ByIds([cancelled.id]), changes.CancelJobs(stage.database.now(), by="me"))
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
    assert {record.job_id for record in caplog.records if record.getMessage() == LOST} == {job.id for job in jobs}
    assert {record.levelname for record in caplog.records if record.getMessage() == LOST} == {"WARNING"}


ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("how", ["thread", "coroutine", "spawn handler", "process"])
def test_the_record_of_a_failure_has_the_exception_and_the_job_beside_a_message_without_ids(
    lite: Stage,
    app: Handlers,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    (tmp_path / "failing_app.py").write_text(
        "from hammerwork_cli import Handlers\n\napp = Handlers()\n\n\n"
        "def fail(job):\n    raise ValueError('no data')\n\n\n"
        "async def fail_later(job):\n    fail(job)\n\n\n"
        "app.register_job('thread', fail)\napp.register_job('process', fail)\n"
        "app.register_job('coroutine', fail_later)\n"
        "app.register_handler('spawn handler', lambda context: fail(context.parent_job))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    jobs = lite.enqueue(*(Job(how, max_attempts=1, trace_id="t-1") for _ in range(2)))
    isolation = "process" if how == "process" else "thread"
    settings: Any = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": isolation}
    worker = Worker(lite.queue, "failing_app:app", queues=(how,), **settings)
    worker.run()
    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert {record.job_id for record in failures} == {job.id for job in jobs}  # type: ignore[attr-defined]
    assert {(record.queue, record.attempt) for record in failures} == {(how, 1)}  # type: ignore[attr-defined]
    assert len({record.msg for record in failures}) == len({record.getMessage() for record in failures}) == 1
    assert not ID.search(failures[0].getMessage())
    for record in failures:
        assert record.exc_info
        assert record.exc_info[1] is not None
        lines = JsonLines().format(record)
        assert json.loads(lines)["job_id"] == record.job_id  # type: ignore[attr-defined]
        assert json.loads(lines)["trace_id"] == "t-1"
        assert json.loads(lines)["worker"] == worker.id
        assert "ValueError: no data" in json.loads(lines)["error"]
        assert 'failing_app.py", line 7, in fail' in json.loads(lines)["error"]
        if how != "process":
            cause: BaseException | None = record.exc_info[1]
            while not isinstance(cause, ValueError):
                assert cause is not None
                cause = cause.__cause__
        text = TextLines().format(record)
        assert f"Job {record.job_id} ({how}) failed in attempt 1 of 1 and is Dead now: " in text  # type: ignore[attr-defined]
        line, *trace = text.splitlines()
        assert line.count("no data") == 1, text
        assert trace[0] == "    Traceback (most recent call last):"
        assert trace[1].endswith(('failing_app.py", line 7, in fail', 'failing_app.py", line 11, in fail_later')) or (
            "<lambda>" in trace[1]
        ), text
        assert trace[-1] == "    ValueError: no data"


def test_no_message_of_a_worker_about_one_job_is_made_with_its_id() -> None:
    """So that programs that collect errors group them: the id is a field of the record, which the text log shows."""
    folder = Path(hammerwork_cli.__file__).parent / "runtime"
    named_in = [
        f"{file.relative_to(folder)}: {template}"
        for file in folder.rglob("*.py")
        for template in re.findall(r'"([^"\n]*(?<![Tt]he )[Jj]ob %s[^"\n]*)"', file.read_text(encoding="utf-8"))
    ]
    assert named_in == ["worker/upkeep/schedules.py: Schedule %s enqueued job %s."]


def test_an_exception_that_holds_the_password_of_the_worker_or_cannot_be_written_is_left_out_of_the_record(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_forms", set())  # passwords of other tests may stand in paths
    secrets.keep(DatabaseUrl.parse("postgresql://user:s3cr3t-of-worker@host/jobs"))

    @app.job("fails")
    def fail(job: Job) -> None:
        raise ValueError(job.payload)

    @app.job("odd")
    def odd(job: Job) -> None:
        raise ValueError("caf\udce9")

    texts = ("with s3cr3t-of-worker", "plain")
    lite.enqueue(*(Job("fails", text, max_attempts=1) for text in texts), Job("odd", max_attempts=1))
    lite.work(app)
    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(failures) == 3
    assert [record.getMessage().rpartition(": ")[2] for record in failures if record.exc_info] == ["plain"]
    assert "s3cr3t-of-worker" not in caplog.text
