"""An error at COMMIT is never the job's own: what finished stays finished, and is written once the server can."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from chaos.notices import full_notify_queue, make_room_for_it
from hammerwork_cli import Handlers, Job
from hammerwork_cli.database import connect
from hammerwork_cli.database.driver_errors import POSTGRES
from hammerwork_cli.errors import DatabaseError, HammerworkError, LimitReachedError
from hammerwork_cli.runtime.faults import Fault
from tests.runtime.conftest import Crew, Stage, until

pytestmark = pytest.mark.postgres


@pytest.fixture
def stage(new_database: Callable[..., str]) -> Iterator[Stage]:
    url = new_database("postgres", migrated=True)
    with contextlib.closing(connect(url)) as database:
        make_room_for_it(database)
    made = Stage(url)
    yield made
    made.close()


def test_a_full_queue_of_notifications_fails_nothing_that_finishes_spawns_or_is_enqueued(
    stage: Stage, app: Handlers
) -> None:
    app.register_handler("parent", lambda _: [Job("noop"), Job("noop")])
    app.register_job("parent", lambda _: {"done": True})
    with full_notify_queue(stage.database):
        first = Job("noop", max_attempts=1)
        jobs = stage.enqueue(
            first, Job("noop", max_attempts=1).depends_on(first), *(Job("parent", max_attempts=1) for _ in range(3))
        )
        report = stage.work(app, queues=("noop", "parent"))
    assert stage.status(*jobs) == ["Completed"] * 5
    assert {status for (status,) in stage.rows("status")} == {"Completed"}
    assert (report.completed, report.failed, report.unwritten) == (5 + 6, 0, 0)


AT_COMMIT = """
CREATE TABLE faults (code text);
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wanted text := (SELECT code FROM faults);
BEGIN IF wanted IS NOT NULL THEN RAISE EXCEPTION 'not now' USING ERRCODE = wanted; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER fails AFTER UPDATE ON hammerwork_jobs DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.status = 'Completed') EXECUTE FUNCTION fails()"""


def test_an_outcome_that_the_server_cannot_commit_now_is_committed_later(stage: Stage, crew: Crew) -> None:
    stage.execute(AT_COMMIT)
    crew.handlers.register_job("parent", crew.count)
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    crew.begin(lease=1.0)
    for number, code in enumerate(("54023", "22001", "40001"), start=1):  # what each code means: see below
        stage.execute(f"INSERT INTO faults VALUES ('{code}')")
        jobs = stage.enqueue(Job("counted", max_attempts=1), Job("parent", max_attempts=1))
        until(lambda jobs=jobs: all(crew.runs[job.id] for job in jobs))
        crew.wait_for_heartbeats(8)
        assert stage.status(*jobs) == ["Running", "Running"], code
        stage.execute("DELETE FROM faults")
        until(lambda: not stage.rows(where="status <> 'Completed'"))
        assert len(stage.rows()) == 3 * number, code
        assert [crew.runs[job.id] for job in jobs] == [1, 1], code


def test_no_code_means_at_commit_that_a_value_is_refused(stage: Stage) -> None:
    stage.execute(AT_COMMIT)
    (job,) = stage.enqueue(Job("noop"))
    stage.execute("INSERT INTO faults VALUES (NULL)")
    change = f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = '{job.id}'"
    raised = {}
    for prefix in (*POSTGRES, "23503", "54023", "P0001"):
        code = prefix.ljust(5, "0")
        stage.execute(f"UPDATE faults SET code = '{code}'")
        with pytest.raises(HammerworkError) as caught:
            stage.database.transaction(lambda: stage.execute(change), tries=1)
        raised[code] = type(caught.value)
    assert stage.status(job) == ["Pending"]
    assert {code for code, error in raised.items() if Fault(30).is_the_jobs(error(""))} == set()
    # A deferred constraint compares the values with rows of others: time tells whose it was.
    assert {code for code, error in raised.items() if error is DatabaseError} == {
        "23502",
        "23503",
        "23505",
        "23514",
        "P0001",
        "XX000",
    }
    assert {raised[code] for code in ("22000", "54000", "54001", "54023")} == {LimitReachedError}
