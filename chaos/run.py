"""One run: workers work and die, servers and clocks too, until so many have died and all the work is done."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from chaos import checking, duties, events, handlers, plan
from chaos.checking import Findings
from chaos.clocks import Clock
from chaos.crew import LOOK, WORKERS, Crew, fates, freezes
from chaos.notices import full_notify_queue
from chaos.plan import Planned, Watched
from chaos.servers import CLOCK, CRASH, FORGETFUL, FREEZE, HALT, START, THAW, Server
from chaos.sink import AWAY
from chaos.watching import Watch
from hammerwork_cli import Queue
from hammerwork_cli.database import DatabaseUrl, connect
from hammerwork_cli.errors import HammerworkError
from tests.proxies import ProxyProcess

FEW = 60
"""Unfinished jobs at which more are enqueued as long as there is somebody to kill."""
QUIET_SECONDS = 120
"""After so long without any change, whatever has not ended is stuck. It is longer than any pause of a worker."""
LEASES = {"sqlite": 4.0, "postgresql": 3.0, "mysql": 3.0}
"""Seconds; workers come by the one lock of a file in no order."""
LATE_LEASES = 2.0
"""How long no heartbeat is too long even on a busy machine; who stands still does so for longer."""
STEPS = (-2.5, 0.0, 2.5)
"""How far a clock may go wrong, in leases."""


DAY = 86_400.0
WRONG = (-3650 * DAY, -DAY, DAY, 3650 * DAY)
"""How far a clock is wrong for a moment, in seconds."""


@dataclass
class Outcome:
    """What happened in a run.

    Attributes:
        kills: step -> how many workers died there.
        freezes: step -> how many workers stood still there for longer than their lease and went on.
        restarts: how a server was ended for a moment -> how often.
        outages: the database was away for longer than the lease while all workers lived.
        forgets: a server died and had forgotten what it had acknowledged, or an older copy of a file came back.
        forgotten: changes of jobs that were forgotten then.
        clock_steps: clocks that went forward or back by more than a lease.
        wrong_clocks: clocks that were wrong by a day or by years for a moment.
        full_notify: the queue of notifications was full for longer than the lease.
        swallows: all open connections of the workers delivered nothing any more, and new ones worked.
        swallowed: those connections.
        frozen_backends: processes of the server stood still, or the whole server, and went on.
        away: those who get events were away, and the receiver was killed.
        unanswered: step -> how many connections were lost there.
        slowest_heartbeat: seconds between two heartbeats of a worker that was well.
        late: how often such a worker lost jobs, or was taken for lost, after more than its lease without a heartbeat.
        findings: what the check found.
        seconds: how long it took.
    """

    kills: Counter[str] = field(default_factory=Counter)
    freezes: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    forgets: int = 0
    forgotten: int = 0
    clock_steps: int = 0
    wrong_clocks: int = 0
    full_notify: int = 0
    swallows: int = 0
    swallowed: int = 0
    frozen_backends: int = 0
    away: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    slowest_heartbeat: float = 0.0
    late: int = 0
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0


class Size(NamedTuple):
    """How much of everything there is in a run.

    Attributes:
        kills: workers that die.
        freezes: workers that stand still for a while.
        restarts: of the server.
        outages: of the database, longer than the lease.
        forgets: of the server's, or of the file's.
        clock_steps: of the server's and the workers' clocks.
        wrong_clocks: of these, for a moment.
        full_notify: times that the queue of notifications is full.
        swallows: of all open connections of the workers.
        frozen_backends: of processes of the server, or of the whole server, for up to some leases.
        away: times that those who get events are away, and the receiver is killed.
        stream: children of a generator.
        extras: some of :data:`chaos.plan.EXTRAS`.
    """

    kills: int = 0
    freezes: int = 0
    restarts: int = 0
    outages: int = 0
    forgets: int = 0
    clock_steps: int = 0
    wrong_clocks: int = 0
    full_notify: int = 0
    swallows: int = 0
    frozen_backends: int = 0
    away: int = 0
    stream: int = 20
    extras: frozenset[str] = frozenset()

    @property
    def moves_clocks(self) -> bool:
        """Whether any clock is set."""
        return self.clock_steps > 0 or self.wrong_clocks > 0


class Run:
    """Workers on one database.

    Args:
        urls: of one migrated database; each worker takes the next.
        server: its server, where it is one that may be ended.
        folder: for the workers' logs and effects.
        size: how much happens.
        seed: the same seed enqueues the same jobs and draws the same fates.
        clock: that of the workers' host, where it may step.
        way: the workers' to the server, where it may swallow what it carries.
    """

    def __init__(
        self,
        urls: Sequence[str],
        server: Server | None,
        folder: Path,
        size: Size,
        seed: int,
        clock: Clock | None = None,
        way: ProxyProcess | None = None,
    ) -> None:
        self.way = way
        self.url, self.server, self.folder, self.size, self.seed = urls[0], server, folder, size, seed
        self.clock = clock
        self.drawn = Random(seed)
        self.outcome = Outcome()
        self.roots: list[Planned] = []
        self.watched: list[Watched] = []
        self.waves = 0
        self.problems: list[str] = []
        coming = fates(size.kills, self.drawn)
        for freeze in freezes(size.freezes, self.drawn):
            coming.insert(self.drawn.randint(0, len(coming)), freeze)
        dialect = DatabaseUrl.parse(self.url).dialect
        self.lease = LEASES[dialect]
        ways = [way.url(url) for url in urls] if way else urls
        self.crew = Crew(self.url, ways, folder, coming, self.drawn, self.lease, size.extras, clock)
        self.receiver = events.Receiver(folder)
        self.watch = Watch(self.url, self.lease, None if dialect == "sqlite" else LATE_LEASES * self.lease)
        self._faults = self._deck()
        self._number_of_faults = len(self._faults)

    def go(self) -> Outcome:
        """Runs it to the end and checks what is left."""
        began, outcome = time.monotonic(), self.outcome
        self._put_clock(0)
        duties.begin(self.url, self.size.extras)
        if "events" in self.size.extras:
            events.begin(self.url, self.folder, self.receiver)
        self._enqueue()
        try:
            self.crew.begin()
            for left in self._unfinished():
                self.crew.look_after()
                if not self.crew.none_doomed and left < FEW:  # who is to die needs work in which it can
                    self._enqueue()
                if self._fault_is_due:
                    self._meet(self._faults.pop())
            self.crew.end()
        except HammerworkError as error:
            for line in checking.sessions(self.url):
                error.add_note(line)
            raise
        finally:
            self.crew.kill()
            self.watch.close()
            self.receiver.kill()
        self.problems += duties.second_run(self.url, timedelta(seconds=max(WRONG) if self.outcome.wrong_clocks else 0))
        outcome.kills, outcome.freezes = self.crew.kills, self.crew.freezes
        outcome.slowest_heartbeat, outcome.late = self.watch.slowest, self.watch.late
        forgot = self.server is not None and not self.server.lives_in_workers and outcome.forgets > 0
        outcome.findings = checking.check(
            self.url,
            self.roots,
            self.folder / "effects",
            watched=self.watched,
            forgot=forgot,
            repeats=outcome.forgets > 0,
        )
        outcome.findings.wrong += self.problems + self.crew.problems + self.watch.problems
        with contextlib.suppress(FileNotFoundError):
            outcome.unanswered.update((self.folder / "unanswered").read_text(encoding="ascii").splitlines())
        outcome.seconds = time.monotonic() - began
        return outcome

    def _enqueue(self) -> None:
        more = plan.wave(self.waves, self.seed, self.size.stream, self.size.extras)
        watched = list(plan.watched(self.waves)) if "callbacks" in self.size.extras else []
        with Queue(self.url) as queue:
            queue.enqueue_many(handlers.roots(more))
            for one in watched:
                handlers.enqueue_watched(queue, one)
            if "unique" in self.size.extras:
                uniques = plan.uniques(self.waves)
                handlers.enqueue_uniques(self.url, uniques)
                more += uniques
            if any(root.kind == "ttl" for root in more):
                queue._connections.run(checking.spoil)
        self.roots += [*more, *(planned for one in watched for planned in one.planned)]
        self.watched += watched
        self.waves += 1

    def _unfinished(self) -> Iterator[int]:
        """Until all is done: how much is left, looked at now and then."""
        last, changed, looked = -1, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now - looked > 5 * LOOK:
                left, looked = self.watch.look(self.crew.is_well), now
                if left is not None and left != last:
                    last, changed = left, now
                # They go on for ever otherwise, and what their last run spawned has to be done too.
                if self.crew.none_doomed and not self._faults and self._recurring_ended() and last == 0:
                    return
                if now - changed > QUIET_SECONDS:
                    self.problems.append(f"nothing has changed for {QUIET_SECONDS} s, and {last} jobs have not ended")
                    self.problems += checking.stuck_rows(self.watch.database) if self.watch.database else []
                    return
            yield last if last >= 0 else FEW
            time.sleep(LOOK)

    def _recurring_ended(self) -> bool:
        with contextlib.suppress(HammerworkError):
            database = self.watch.database
            return database is not None and all(
                (checking.end_recurring(database), duties.end_schedules(database), checking.unfinished(database) == 0)
            )
        return False

    # What happens to servers and clocks.

    def _deck(self) -> list[Callable[[], None]]:
        size = self.size
        deck = [
            *[self._restart] * size.restarts,
            *[self._outage] * size.outages,
            *[self._forget] * size.forgets,
            *[self._step] * size.clock_steps,
            *[self._wrong] * size.wrong_clocks,
            *[self._fill_notify] * size.full_notify,
            *[self._swallow] * size.swallows,
            *[self._freeze_backends] * size.frozen_backends,
            *[self._send_away] * (size.away if "events" in size.extras else 0),
        ]
        self.drawn.shuffle(deck)
        return deck

    @property
    def _fault_is_due(self) -> bool:
        """They come evenly between the deaths."""
        begun = self._number_of_faults - len(self._faults)
        died = self.crew.kills.total()
        if self.crew.none_doomed:  # of those that were to die, some may have ended by themselves
            return bool(self._faults)
        return bool(self._faults) and died >= (begun + 0.5) / self._number_of_faults * self.size.kills

    def _meet(self, fault: Callable[[], None]) -> None:
        """Says in the kept folder when it began and ended: the workers' logs may have wrong clocks."""
        with (self.folder / "faults").open("a", encoding="ascii") as file:
            print(f"{datetime.now():%H:%M:%S.%f} {fault.__name__.lstrip('_')} begins", file=file, flush=True)
            fault()
            print(f"{datetime.now():%H:%M:%S.%f} {fault.__name__.lstrip('_')} is over", file=file)

    @contextlib.contextmanager
    def _down(self, how: str) -> Iterator[None]:
        assert self.server is not None
        self.crew.down_until = float("inf")
        self.server.order(how)
        yield
        self.watch.up_since = time.monotonic()
        self.server.order(START)
        self.crew.down_until = time.monotonic() + 2 * self.lease

    def _restart(self) -> None:
        how = (CRASH, HALT)[self.outcome.restarts.total() % 2]
        with self._down(how):
            self._go_on(self.drawn.uniform(0, self.lease))
        self.outcome.restarts[how] += 1

    def _outage(self) -> None:
        with self._down((HALT, CRASH)[self.outcome.outages % 2]):
            # Nobody is killed meanwhile: whoever has ended has done so by himself.
            time.sleep(self.drawn.uniform(1.5, 3) * self.lease)
        self.outcome.outages += 1

    def _forget(self) -> None:
        """What was acknowledged is gone, from some moment on, as if it had never been.

        What a database holds is still as it must be: a completion that was forgotten happens again, with its children
        of other ids. Only who was told of the first one knows of both. All that was enqueued before is there.
        """
        assert self.server is not None
        self._enqueue()  # so that there is something to forget
        self.server.order(FORGETFUL)
        self.crew.end_rust()  # it would complete jobs whose claim was forgotten: a Rust worker does not check
        self._go_on(self.drawn.uniform(0.5, 1.5) * self.lease)
        if self.server.lives_in_workers:
            self.crew.kill()
        before = self.watch.changes()
        self.watch.close()
        with self._down(CRASH):
            time.sleep(LOOK)
        self.outcome.forgotten += max(0, before - self.watch.changes())
        self.outcome.forgets += 1
        if self.server.lives_in_workers:
            self.crew.begin()
        else:
            self.crew.begin_rust()

    def _swallow(self) -> None:
        """The open connections of the workers die without a word; the server has not heard of it either."""
        assert self.way is not None
        swallowed, until = self.way.swallow(), time.monotonic() + 10 * self.lease
        while swallowed < WORKERS and time.monotonic() < until:  # after a restart they come back one by one
            self._go_on(LOOK)
            swallowed += self.way.swallow()
        self.crew.down_until = max(self.crew.down_until, time.monotonic() + 2 * self.lease)
        self.outcome.swallowed += swallowed
        self.outcome.swallows += 1
        self._go_on(self.drawn.uniform(0, 2) * self.lease)

    def _send_away(self) -> None:
        """The receiver of the webhook and the program of the stream refuse everything, and the receiver dies."""
        (self.folder / AWAY).touch()
        self._go_on(self.drawn.uniform(0.2, 1) * self.lease)
        self.receiver.kill()
        self._go_on(self.drawn.uniform(0.2, 1) * self.lease)
        self.receiver.begin()
        (self.folder / AWAY).unlink()
        self.outcome.away += 1

    def _freeze_backends(self) -> None:
        """Processes of the server stand still, with locks or without, and do later what they had been asked for."""
        assert self.server is not None
        self.crew.down_until = float("inf")
        self.server.order(FREEZE)
        self._go_on(self.drawn.uniform(0.5, 2.5) * self.lease)
        self.watch.up_since = time.monotonic()
        self.server.order(THAW)
        self.crew.down_until = time.monotonic() + 2 * self.lease
        self.outcome.frozen_backends += 1

    def _step(self) -> None:
        """Puts the server's clock, the workers', or both forward or back."""
        self.outcome.clock_steps += 1
        seconds = self.drawn.choice(STEPS) * self.lease
        which = self.drawn.choice(("server", "host", "both"))
        if self.server is not None and self.server.has_clock and which != "host":
            self.server.order(f"{CLOCK} {seconds}")
            if which == "server":
                return
        self._put_clock(seconds)

    def _fill_notify(self) -> None:
        """Nobody can be notified, and what finishes, spawns or is enqueued goes on all the same."""
        with contextlib.closing(connect(self.url)) as database, full_notify_queue(database):
            self._enqueue()
            self._go_on(self.drawn.uniform(1, 2) * self.lease)
        self.outcome.full_notify += 1

    def _wrong(self) -> None:
        """Puts both clocks forward or back by far for a moment, and then right."""
        self.outcome.wrong_clocks += 1
        seconds = self.drawn.choice(WRONG)
        for wrong in (seconds, 0.0):
            if self.server is not None and self.server.has_clock:
                self.server.order(f"{CLOCK} {wrong}")
            self._put_clock(wrong)
            # Another one right after it would be no moment any more to whoever starts meanwhile.
            self._go_on(self.drawn.uniform(3, 6) if wrong else self.lease)

    def _put_clock(self, seconds: float) -> None:
        if self.clock is not None:
            self.clock.put(seconds)

    def _go_on(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.crew.look_after()
            time.sleep(LOOK)
