"""How far jobs are: handlers report it, heartbeats write it, and whoever looks at the job sees it."""

import asyncio
import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Job, RetryStrategy, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.tree import progress
from hammerwork_cli.features.tree.progress import JobProgress
from hammerwork_cli.features.tree.queries.progress import reported
from hammerwork_cli.features.worker.queries import registry
from tests.conftest import Outcome, all_databases, each_row
from tests.runtime.conftest import Crew, Stage, until

Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(crew: Crew, run: Callable[..., Outcome]) -> Look:
    """A command's answer in JSON."""

    def ask(*words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(run(*words, url=crew.stage.url).stdout)
        return answer

    return ask


def test_everything_that_shows_a_running_job_shows_how_far_it_is(
    crew: Crew, look: Look, run: Callable[..., Outcome]
) -> None:
    def import_pages(job: Job, context: SpawnContext) -> None:
        context.progress(0.1, "not seen, if it is quick")
        context.progress(0.25, "page 1 of \x1b[2J4")
        crew.hold(job)

    crew.handlers.register_job("import", import_pages)
    job, other = crew.stage.enqueue(Job("import"), Job("held"))
    crew.begin(concurrency=2)
    until(lambda: crew.runs[job.id] and look("job", "show", job.id, "--format", "json")["progress"])
    found = look("job", "show", job.id, "--format", "json")["progress"]
    assert (found["share"], found["text"]) == (0.25, "page 1 of \x1b[2J4")
    assert found["reported_at"] >= crew.stage.timestamp(job, "started_at").isoformat()[:19]
    assert look("job", "show", other.id, "--format", "json")["progress"] is None
    assert look("spawn", "tree", job.id, "--format", "json")["nodes"][0]["progress"] == found
    (running,) = look("spawn", "monitor", "--count", "1", "--format", "jsonl")["progress"]
    assert running == {"id": job.id, "queue": "import", "attempt": 1, **found}
    for words in (("job", "show"), ("spawn", "tree")):
        text = run(*words, job.id, url=crew.stage.url).stdout
        assert "25.0%" in text
        assert "page 1 of \\x1b[2J4" in text
    crew.go_on.set()
    until(lambda: crew.stage.status(job) == ["Completed"])
    assert look("job", "show", job.id, "--format", "json")["progress"] is None
    until(lambda: not reported(crew.stage.database))


def test_a_retried_job_has_not_come_as_far_as_its_last_attempt(crew: Crew, look: Look) -> None:
    async def fails_first(job: Job, context: SpawnContext) -> None:
        if job.attempts == 1:
            context.progress(0.9)
            before = crew.heartbeats()
            while crew.heartbeats() == before:
                await asyncio.sleep(0.05)
            raise ValueError("once more")
        await asyncio.to_thread(crew.hold, job)

    crew.handlers.register_job("import", fails_first, retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    crew.begin()  # first: the handler asks by the same connection
    (job,) = crew.stage.enqueue(Job("import"))
    until(lambda: crew.runs[job.id])
    assert look("job", "show", job.id, "--format", "json")["progress"] is None
    assert look("spawn", "tree", job.id, "--format", "json")["nodes"][0]["progress"] is None


@all_databases
def test_a_worker_takes_what_nodes_have_left_for_it_and_forgets_that_of_other_jobs(stage: Stage) -> None:
    database, (mine, other), jobs = stage.database, (new_id(), new_id()), [new_id() for _ in range(3)]
    for share in (0.1, 0.2):
        for worker, job in ((mine, jobs[0]), (mine, jobs[1]), (other, jobs[2])):
            registry.report(database, worker, JobProgress(job, "q", 1, share, "café 😀", ""))
    (found,) = registry.take_reports(database, mine, {jobs[0]})
    assert (found.job, found.share, found.text) == (jobs[0], 0.2, "café 😀")
    assert abs(timestamp(found.reported_at) - database.now()) < timedelta(minutes=1)
    left = {str(job) for (job,) in database.query("SELECT job_id FROM hammerwork_progress")}
    assert left == {jobs[0], jobs[2]}


@pytest.mark.parametrize("share", [-0.1, 1.01, 50, math.nan, True, "0.5", None])
def test_a_share_is_a_number_from_0_to_1(share: Any) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        SpawnContext(Job("import")).progress(share)


@each_row(
    "column",
    [None, "", "{", "7", "[7]", '[["id"]]', '[["id","q",1,2,"","now"]]', '[["id","q","1",0.5,"","now"]]', "[" * 9999],
)
def test_a_column_that_no_worker_wrote_holds_no_progress(column: str | None) -> None:
    assert list(progress.parse(column)) == []


def test_a_worker_writes_the_last_thousand_jobs_that_reported() -> None:
    reports = [JobProgress(f"job {number}", "q", 1, 0.5, "", f"{number:06}") for number in range(1500)]
    kept = list(progress.parse(progress.stored(reports)))
    assert kept == list(reversed(reports))[: progress.MOST]
