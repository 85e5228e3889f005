"""Workers run on SQLite, unless a test says that the database matters, with ``@all_databases``."""

import contextlib
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, Worker
from hammerwork_cli.core.values import id_list, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.isolation import process
from hammerwork_cli.runtime.worker import listener
from tests.conftest import EACH_DIALECT
from tests.forks import ForkForHandlers
from tests.rust3 import outcomes

PATIENCE = 30.0
mariadb_too = pytest.mark.parametrize("dialect", EACH_DIALECT[::2])
"""Like ``on_mariadb``, for a test of what a worker does about any server: others show what servers differ in."""
# On PostgreSQL, each worker of a test would take as long to end as it listens between two looks at whether to stop.
listener.LISTEN_SECONDS = 0.1


def until(is_so: Callable[[], Any], longest_pause: float = 0.1, patience: float = PATIENCE) -> None:
    """Waits for what must come, on a machine that may be slow."""
    end, pause = time.monotonic() + patience, 0.01
    while not is_so():
        assert time.monotonic() < end
        time.sleep(pause)
        # Most looks are statements: one that waits for seconds takes fewer of them.
        pause = min(1.2 * pause, longest_pause)


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``; with ``@all_databases`` each in turn, as in ``tests/commands``."""
    return str(request.param)


class Stage:
    """A migrated database with a queue, and looks into it.

    Attributes:
        connections: for a part of a worker that a test drives by itself.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.queue = Queue(url)
        self.connections = Connections(url, 1)
        self.database: Database = connect(url)

    def enqueue(self, *jobs: Job) -> list[Job]:
        return self.queue.enqueue_many(jobs)

    def put(self, queue: str, payload: Any) -> Job:
        """Writes a job as another program does, which may put anything into its payload."""
        job = NewJob.of(queue, json.dumps(payload), self.database.now())
        enqueue.many(self.database, [job])
        return self.queue.get(job.id)

    def work(self, app: Handlers, **options: Any) -> Any:
        """Runs a worker until there is nothing more to do."""
        settings = {"drain": True, "poll_interval": 0.05, "concurrency": 2, **options}
        return Worker(self.queue, app, **settings).run()

    def rows(self, columns: str = "id, status", where: str = "1 = 1") -> list[tuple[Any, ...]]:
        return self.database.query(f"SELECT {columns} FROM hammerwork_jobs WHERE {where} ORDER BY created_at, id")

    def one(self, job: Job | str, columns: str = "status") -> Any:
        """The columns of one job: the value itself when it is one column."""
        wanted = job if isinstance(job, str) else job.id
        found = self.rows(columns, f"id = '{wanted}'")
        assert len(found) == 1, found
        return found[0] if "," in columns else found[0][0]

    def status(self, *jobs: Job) -> list[str]:
        """That of each job, by one statement: many tests ask again and again."""
        found = dict(self.rows("id, status", f"id IN ({', '.join(repr(job.id) for job in jobs)})"))
        return [found[job.id] for job in jobs]

    def children(self, parent: Job | str, columns: str = "id") -> list[tuple[Any, ...]]:
        wanted = parent if isinstance(parent, str) else parent.id
        every = self.rows(f"depends_on, {columns}")
        return [row[1:] for row in every if wanted in id_list(row[0])]

    def timestamp(self, job: Job | str, column: str) -> Any:
        return timestamp(self.one(job, column))

    def execute(self, sql: str) -> None:
        self.database.script(sql)

    def operations(self, columns: str = "parent_id, outcome, children") -> list[tuple[Any, ...]]:
        return self.database.query(f"SELECT {columns} FROM hammerwork_spawn_operations ORDER BY ended_at")

    def rescue(self) -> list[tuple[str, int, int]]:
        """Takes every worker for lost, as an observer that saw no heartbeat would: (name, back, dead) of each."""
        return [
            (heartbeat.name, *job_counts)
            for heartbeat in (*registry.heartbeats(self.database), *registry.ended_with_jobs(self.database))
            if (job_counts := registry.rescue(self.database, heartbeat, self.database.now()))
        ]

    def close(self) -> None:
        self.queue.close()
        self.connections.close()
        self.database.close()


@pytest.fixture
def stage(migrated_url: str) -> Iterator[Stage]:
    made = Stage(migrated_url)
    yield made
    made.close()


@pytest.fixture
def stage3(dialect: str, new_database: Callable[..., str]) -> Iterator[Stage]:
    """A stage whose database version 3 of hammerwork (Rust) has migrated too."""
    made = Stage(new_database(dialect, migrated=True, change=outcomes.migrate))
    yield made
    made.close()


@pytest.fixture
def theirs(stage3: Stage) -> Iterator[outcomes.Outcomes]:
    """What version 3 does with the jobs of that stage."""
    with contextlib.closing(connect(stage3.url)) as database:
        yield outcomes.Outcomes(database)


@pytest.fixture
def lite(new_database: Callable[..., str]) -> Iterator[Stage]:
    """A stage on SQLite, for what no database has a part in."""
    made = Stage(new_database("sqlite", migrated=True))
    yield made
    made.close()


class Crew:
    """Workers of one database, each in a thread until the test ends. Their jobs of the queue ``held`` wait for a word.

    Attributes:
        runs: job id -> how often a handler began it.
        go_on: set when the held jobs are to end.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.workers: list[Worker] = []
        self.runs: Counter[str] = Counter()
        self.go_on = threading.Event()
        self.handlers = Handlers()
        self.handlers.register_job("held", self.hold)
        self.handlers.register_job("counted", self.count)
        self._threads: list[threading.Thread] = []

    def hold(self, job: Job) -> None:
        self.count(job)
        assert self.go_on.wait(PATIENCE)

    def count(self, job: Job) -> None:
        self.runs[job.id] += 1

    def begin(self, number: int = 1, **options: Any) -> Worker:
        """Starts workers; the last of them."""
        for _ in range(number):
            name = f"worker {len(self.workers)}"
            # Twenty looks a second would cost more than all that most of these tests do.
            settings = {"handlers": self.handlers, "lease": 2.0, "poll_interval": 0.2, "name": name, **options}
            worker = Worker(settings.pop("url", self.stage.url), **settings)
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()
            self.workers.append(worker)
            self._threads.append(thread)
        until(lambda: len(self.heartbeats()) == len(self.workers))
        return self.workers[-1]

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def heartbeats(self) -> dict[str, int]:
        """Worker id -> heartbeats, of those that have not ended."""
        known = {worker.id for worker in self.workers}
        found = self.stage.database.query("SELECT id, beats FROM hammerwork_workers WHERE ended_at IS NULL")
        return {str(worker): beats for worker, beats in found if str(worker) in known}

    def wait_for_heartbeats(self, times: int) -> None:
        """Waits until each worker has beaten so often; six times are a lease."""
        before = self.heartbeats()
        assert len(before) == len(self.workers)
        until(lambda: all(self.heartbeats().get(worker, 0) >= beats + times for worker, beats in before.items()))

    def end(self) -> None:
        self.go_on.set()
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)


@pytest.fixture
def crew(stage: Stage) -> Iterator[Crew]:
    made = Crew(stage)
    yield made
    made.end()


@pytest.fixture
def forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers fork the processes for their handlers from one that has imported what they need: a start is imports.

    For tests of what handlers do in a process, not of how it begins and ends, which are in ``isolation``.
    """
    monkeypatch.setattr(process, "subprocess", ForkingSubprocess())


class ForkingSubprocess:
    """The module, with another ``Popen``."""

    Popen = ForkForHandlers

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


@pytest.fixture
def app() -> Handlers:
    """Handlers, with one for ``noop`` that does nothing."""
    made = Handlers()
    made.register_job("noop", lambda job: None)  # noqa: ARG005  it does nothing
    return made


Spawner = Callable[[Any], Any]
