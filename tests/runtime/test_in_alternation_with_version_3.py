"""Workers of ours and of version 3 end the jobs of one tree, one workflow and one batch, and end in the same states.

The same sequence is played three times: by ours alone, by version 3 alone, and by both in alternation. What the rows
say is compared after every step.
"""

import contextlib
import json
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, Worker, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import id_list, rfc3339
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.worker.queries import claim, finish, rescue
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.outcomes.failures import Failed
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import PATIENCE, Stage, until
from tests.rust3 import outcomes
from tests.rust3.runs import LEASE

SLOT = datetime(2027, 1, 1, tzinfo=UTC)
ENDS = ["complete"] * 9 + ["fail"] * 4 + ["time out"] * 2 + ["lose"] * 2 + ["cancel"]
COLUMNS = "id, status, attempts, dependency_status, next_run_at, completed_at, failed_at, timed_out_at, error_message"
END_COLUMNS = {"Completed": 5, "Failed": 6, "Dead": 6, "TimedOut": 7}
LATER = timedelta(hours=2)


class Play:
    """A tree, a workflow, a batch and a recurring job, whose jobs have names.

    Attributes:
        ids: name -> id. Each job is in the queue of its name.
        clock: the present of both kinds; each step is later than all that the one before has scheduled.
    """

    def __init__(self, stage: Stage, theirs: outcomes.Outcomes, seed: int) -> None:
        self.stage, self.theirs = stage, theirs
        choose = random.Random(seed)
        self.clock = stage.database.now()
        theirs.now = lambda: self.clock
        outcome_policy = OutcomePolicy(
            Handlers(), RetryStrategy.fixed(timedelta(seconds=1)), _Clock(self), threading.Event()
        )
        self._outcome_policy = outcome_policy
        stage.execute("DELETE FROM hammerwork_jobs")
        stage.execute("DELETE FROM hammerwork_workflows")
        stage.execute("DELETE FROM hammerwork_batches")

        def job(name: str, *parents: Job) -> Job:
            return Job(name, max_attempts=choose.choice([1, 1, 2])).depends_on(*parents)

        root = job("root")
        left, right = job("left", root), job("right", root)
        join = job("join", left, right)
        tree = [root, left, right, join, job("below", join)]
        policy = choose.choice(["fail_fast", "continue_on_failure", "manual"])
        workflow = Workflow("night", failure_policy=policy)
        for key, after in (("w1", []), ("w2", ["w1"]), ("w3", []), ("w4", ["w2", "w3"]), ("w5", []), ("w6", ["w4"])):
            workflow.add(key, job(key), after=after)
        members = list(stage.queue.enqueue_workflow(workflow).values())
        first = job("b1")
        batch = [first, job("b2", first), job("b3"), job("b4")]
        stage.queue.enqueue_batch("batch", batch)
        if choose.random() < 0.5:
            stage.execute("""UPDATE hammerwork_batches SET failure_mode = '"FailFast"'""")
        yearly = Job("yearly", max_attempts=2).with_cron("0 0 0 1 1 *")
        jobs = [*stage.enqueue(*tree, job("after b1", first), yearly), *members, *batch]
        self.ids = {str(job.queue): job.id for job in jobs}
        slot = stage.database.json_timestamp(SLOT)
        stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = '{slot}' WHERE recurring")

    def states(self) -> dict[str, Any]:
        """What the rows say: every status, and whether the time of the end is there."""
        found = {str(row[0]): row for row in self.stage.database.query(f"SELECT {COLUMNS} FROM hammerwork_jobs")}
        states: dict[str, Any] = {}
        for name, job in self.ids.items():
            row = found[job]
            ended = row[END_COLUMNS[row[1]]] is not None if row[1] in END_COLUMNS else None
            states[name] = (*row[1:4], rfc3339(row[4]), ended)
        (workflow,) = self.stage.database.query(
            "SELECT status, total_jobs, completed_jobs, failed_jobs, completed_at IS NULL, failed_at IS NULL"
            " FROM hammerwork_workflows"
        )
        (batch,) = self.stage.database.query(
            "SELECT status, total_jobs, completed_jobs, failed_jobs, pending_jobs, completed_at IS NULL"
            " FROM hammerwork_batches"
        )
        return {**states, "workflow": tuple(workflow), "batch": tuple(batch)}

    def choices(self) -> tuple[list[str], list[str]]:
        """The jobs that may be claimed, and those that have not started, in the order of their names."""
        states = self.states()
        pending = [name for name in sorted(self.ids) if states[name][0] == "Pending"]
        return [name for name in pending if states[name][2] in ("none", "satisfied")], pending

    def ours(self, name: str, end: str) -> None:
        """One step by our claims and outcomes."""
        database = self.stage.database
        if end == "cancel":
            changes.run(database, ByIds([self.ids[name]]), changes.CancelJobs(self.clock, by="a test"))
            return
        worker = new_id()
        (job,) = claim.claim(database, name, worker=worker, now=self.clock, limit=1, slots=1)
        assert job.id == self.ids[name]
        self.clock += timedelta(seconds=1)
        if end == "lose":
            assert sum(rescue.return_lost(database, worker, "lost", self.clock)) == 1
            return
        report = finish.finish(database, [self.end(job, end)], self.clock)
        assert not report.lost

    def end(self, job: claim.Claimed, end: str) -> EndedAttempt:
        """How an attempt of ours ends, by the rules of a worker."""
        if end == "complete":
            return self._outcome_policy.completed(job, None)
        return self._outcome_policy.failed(
            job, Failed("no space", AttemptEnd.TIMED_OUT if end == "time out" else AttemptEnd.FAILED)
        )

    def version_3(self, name: str, end: str) -> None:
        """One step by the statements of version 3."""
        if end == "cancel":
            assert self.theirs.by_hand("fail", self.ids[name])
            return
        run = self.theirs.claim_job(self.ids[name])
        self.clock += timedelta(seconds=1)
        if end == "lose":
            self.clock += LEASE
            assert list(self.theirs.reap()) == [self.ids[name]]
        elif end == "complete":
            assert self.theirs.complete(run)
        else:
            assert self.theirs.fail(run, timed_out=end == "time out")


class _Clock(ServerClock):
    """The clock of a play."""

    def __init__(self, play: Play) -> None:
        super().__init__()
        self._play = play

    def now(self) -> datetime:
        return self._play.clock


@pytest.fixture
def stage(stage3: Stage) -> Stage:
    return stage3


def steps(play: Play, seed: int, who: Callable[[int], str]) -> list[tuple[str, dict[str, Any]]]:
    """Plays until nothing is left but the recurring job; what was done, and the states after each step."""
    choose = random.Random(seed)
    told: list[tuple[str, dict[str, Any]]] = []
    recurred = 0
    while True:
        free, pending = play.choices()
        if recurred > 3:
            free, pending = ([name for name in names if name != "yearly"] for names in (free, pending))
        if not free:
            return told
        end = choose.choice(ENDS)
        name = choose.choice(pending if end == "cancel" else free)
        if name == "yearly":
            recurred += 1
            play.stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE recurring")
            end = "complete" if end == "cancel" else end
        play.clock += LATER
        (play.ours if who(len(told)) == "ours" else play.version_3)(name, end)
        told.append((f"{name}: {end}", play.states()))


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("seed", range(6))
def test_this_program_and_version_3_end_jobs_in_the_same_states_alone_and_in_alternation(
    stage: Stage, theirs: outcomes.Outcomes, seed: int
) -> None:
    alternation = random.Random(seed)
    ours = steps(Play(stage, theirs, seed), seed, lambda _: "ours")
    version_3 = steps(Play(stage, theirs, seed), seed, lambda _: "version 3")
    mixed = steps(Play(stage, theirs, seed), seed, lambda _: alternation.choice(["ours", "version 3"]))
    assert len(ours) > 5
    for number, step in enumerate(version_3):
        assert ours[number] == step
        assert mixed[number] == step
    assert len(ours) == len(mixed) == len(version_3)


def fails(payload: Any) -> bool:
    """Whether a payload lets its job fail: text or, as PostgreSQL may have it, a value."""
    return bool((json.loads(payload) if isinstance(payload, str) else payload)["fails"])


class Shared:
    """A tree, a workflow and a batch in one queue, whose jobs fail or complete as their payloads say.

    Attributes:
        expected: job -> the status in which it must end, and the attempts.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.expected: dict[str, tuple[str, int]] = {}
        workflow = Workflow("layers", failure_policy="continue_on_failure")
        layers = [[f"{layer}.{number}" for number in range(6)] for layer in range(4)]
        for layer, keys in enumerate(layers):
            for number, key in enumerate(keys):
                after = [] if layer == 0 else [layers[layer - 1][number], layers[layer - 1][(number + 1) % 6]]
                workflow.add(key, self._job(fails=key in ("0.4", "1.0")), after=after)
        gate = Job("gate", {"fails": False})
        root = self._job().depends_on(gate)
        fan = [self._job().depends_on(root) for _ in range(20)]
        bad = self._job(fails=True)
        tree = [gate, root, bad, *fan, self._job().depends_on(*fan), self._job().depends_on(bad, fan[0])]
        batch = [self._job(fails=number < 3) for number in range(12)]
        stage.queue.enqueue_workflow(workflow)
        stage.enqueue(*tree)
        stage.queue.enqueue_batch("batch", batch)
        rows = {str(row[0]): row[1:] for row in stage.rows("id, depends_on, payload")}
        for job in rows:
            self._expect(job, rows)

    def _expect(self, job: str, rows: dict[str, tuple[Any, ...]]) -> str:
        """How a job must end, which follows from its parents."""
        parents, payload = rows[job]
        if job not in self.expected:
            ends = [self._expect(parent, rows) for parent in id_list(parents)]
            end = ("Dead", 2) if fails(payload) else ("Completed", 1)
            self.expected[job] = end if set(ends) <= {"Completed"} else ("Failed", 0)
        return self.expected[job][0]

    def _job(self, *, fails: bool = False) -> Job:
        return Job("shared", {"fails": fails}, max_attempts=2)

    def is_open(self) -> bool:
        return bool(self.stage.rows("id", "status IN ('Pending', 'Running')"))

    def play(self) -> None:
        """A worker of version 3 until all jobs have ended."""
        with contextlib.closing(connect(self.stage.url)) as database:
            theirs = outcomes.Outcomes(database)
            while True:
                if run := theirs.claim("shared"):
                    assert theirs.fail(run) if fails(run.payload) else theirs.complete(run)
                    self.played += 1
                elif not theirs._ask("SELECT id FROM hammerwork_jobs WHERE status IN ('Pending', 'Running')"):
                    return

    played = 0


@all_databases
def test_both_kinds_at_once_end_every_job_once_and_leave_the_states_that_one_kind_would(stage: Stage) -> None:
    shared = Shared(stage)
    handlers = Handlers()
    ran: list[str] = []

    @handlers.job("shared", retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    def handle(job: Job) -> None:
        ran.append(job.id)
        if job.payload["fails"]:
            raise OSError("no space")

    @handlers.job("gate")
    def wait(job: Job) -> None:
        """Lets the tree begin once the others have had a part."""
        until(lambda: shared.played >= 5)
        ran.append(job.id)

    worker = Worker(stage.url, handlers, concurrency=2, poll_interval=0.02)
    players = [threading.Thread(target=shared.play) for _ in range(2)]
    ours = threading.Thread(target=worker.run)
    for thread in (ours, *players):
        thread.start()
    try:
        until(lambda: not shared.is_open())
    finally:
        worker.stop()
        for thread in (ours, *players):
            thread.join(PATIENCE)
    found = {str(job): (status, attempts) for job, status, attempts in stage.rows("id, status, attempts")}
    assert found == shared.expected
    assert ran
    members = [str(job) for (job,) in stage.rows("id", "workflow_id IS NOT NULL")]
    tally = [shared.expected[job][0] for job in members]
    completed = tally.count("Completed")
    counted = stage.database.query("SELECT status, completed_jobs, failed_jobs FROM hammerwork_workflows")
    assert [tuple(row) for row in counted] == [("failed", completed, len(tally) - completed)]
    counted = stage.database.query("SELECT status, completed_jobs, failed_jobs, pending_jobs FROM hammerwork_batches")
    assert [tuple(row) for row in counted] == [("PartiallyFailed", 9, 3, 0)]
