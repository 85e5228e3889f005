"""Looking again and again until something has happened: in place on a terminal, line by line elsewhere."""

import select
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.screen import Screen
from hammerwork_cli.database import Database
from hammerwork_cli.database.interrupts import Terminated
from hammerwork_cli.database.retrying import OUTAGES, OutageListener, read_through_outages
from hammerwork_cli.errors import HammerworkError

State = TypeVar("State")
Seen = TypeVar("Seen", contravariant=True)
Shown = TypeVar("Shown", covariant=True)

Draw = Callable[[State, int, int, str | None], Sequence[str]]
Leave = Callable[[State, int, int], Sequence[str]]

NAP = 0.25
KEYS = "q quits, Ctrl-Z pauses until fg, ? hides this line"


class Ending(Enum):
    """Why looking ended."""

    REACHED = "reached"
    FAILED = "failed"
    COUNTED = "counted"
    TIMEOUT = "timeout"
    QUIT = "quit"
    INTERRUPTED = "interrupted"


class Watch(Protocol[Shown]):
    def connected(self, database: Database) -> None:
        """Goes on with another connection."""

    def refresh(self) -> Shown: ...


class Surface(OutageListener, Protocol[Seen]):
    """What a look is shown on."""

    def show(self, state: Seen) -> None: ...

    def wait(self, seconds: float) -> bool:
        """Waits; ``False`` when somebody wants to end it."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and for how long."""

    interval: float  # seconds between two refreshes, unless these take long
    timeout: float | None = None  # seconds after which it ends; `None` for never
    count: int | None = None  # looks after which it ends; `None` for never

    def after(self, took: float) -> float:
        """Seconds to wait after a look: the database rests for at least twice as long as a look took."""
        return max(self.interval, 2 * took)


class Follower(Generic[State]):
    """Looks, shows, waits, and over again; a server that is away is waited for.

    Args:
        verdict: whether a look ends it, and why.
        pace: how often, and for how long.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        watch: Watch[State],
        surface: Surface[State],
        verdict: Callable[[State], Ending | None],
        pace: Pace,
    ) -> None:
        self._connect = connect
        self._watch = watch
        self._surface = surface
        self._verdict = verdict
        self._pace = pace
        self._end = None if pace.timeout is None else time.monotonic() + pace.timeout

    def run(self) -> Ending:
        """Returns why it ended; Ctrl-C is one of the ways."""
        try:
            return self._run()
        except Terminated:
            raise
        except KeyboardInterrupt:
            return Ending.INTERRUPTED

    def _run(self) -> Ending:
        looks = 0
        while True:
            began = time.monotonic()
            state = self._look()
            if isinstance(state, Ending):
                return state
            looks += 1
            self._surface.show(state)
            if ending := self._verdict(state):
                return ending
            if looks == self._pace.count:
                return Ending.COUNTED
            if ending := self._pause(self._pace.after(time.monotonic() - began)):
                return ending

    def _look(self) -> State | Ending:
        """A look, with a fresh connection where the server was lost."""
        ending: Ending | None = None

        def wait(seconds: float) -> bool:
            nonlocal ending
            ending = self._pause(seconds)
            return ending is None

        try:
            return read_through_outages(
                self._watch.refresh, lambda: self._watch.connected(self._connect()), self._surface, wait=wait
            )
        except OUTAGES:
            if ending is None:
                raise
            return ending

    def _pause(self, seconds: float) -> Ending | None:
        left = None if self._end is None else self._end - time.monotonic()
        if left is not None and left <= 0:
            return Ending.TIMEOUT
        if not self._surface.wait(seconds if left is None else min(seconds, left)):
            return Ending.QUIT
        return Ending.TIMEOUT if left is not None and left <= seconds else None


class OnScreen(Generic[State]):
    """Draws over a terminal.

    Args:
        draw: (state, columns, lines, note for the first line) -> lines.
        leave: (state, columns, lines) -> lines that stay behind above the prompt.
    """

    def __init__(self, screen: Screen, draw: Draw[State], leave: Leave[State]) -> None:
        self._screen = screen
        self._draw = draw
        self._leave = leave
        self._state: State | None = None
        self._note: str | None = None
        self._shows_keys = False

    def show(self, state: State) -> None:
        self._state = state
        self._redraw()

    def lost(self, error: HammerworkError) -> None:
        """Leaves the picture, and says that it is old."""
        self._note = f"Trying again: {error.message}"
        self._redraw()

    def back(self) -> None:
        """Takes the note away."""
        self._note = None

    def wait(self, seconds: float) -> bool:
        """Waits for the time to pass or for ``q``. ``?`` shows the keys."""
        end = time.monotonic() + seconds
        while event := self._screen.wait(max(end - time.monotonic(), 0)):
            if event == "quit":
                return False
            self._shows_keys ^= event == "keys"
            self._redraw()
        return True

    def last(self) -> Sequence[str]:
        """The last picture, to be left behind above the prompt."""
        width, height = self._screen.size
        return [] if self._state is None else self._leave(self._state, width, height - 1)

    def _redraw(self) -> None:
        note = self._note or (KEYS if self._shows_keys else None)
        if self._state is not None:
            self._screen.draw(self._draw(self._state, *self._screen.size, note))
        elif self._note:
            self._screen.draw([self._note])


class InLines(Generic[State]):
    """Writes lines as they come.

    Args:
        speak: state -> lines; none when there is nothing new.
    """

    def __init__(self, context: Context, speak: Callable[[State], Iterable[str]]) -> None:
        self._context = context
        self._speak = speak

    def show(self, state: State) -> None:
        """Writes what is new, and does not keep it back."""
        lines = self._speak(state)
        self._context.lines(lines if self._context.json_output else map(self._context.runnable, lines))
        self._context.stdout.flush()

    def lost(self, error: HammerworkError) -> None:
        """Says so on stderr."""
        self._note(f"{error.message} Trying again.")

    def back(self) -> None:
        """Says so on stderr."""
        self._note("The database answers again.")

    def wait(self, seconds: float) -> bool:
        """Waits, in naps."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            if self._reader_has_gone():
                raise BrokenPipeError
            time.sleep(min(rest, NAP))
        return True

    def _note(self, text: str) -> None:
        self._context.note(text)
        self._context.stderr.flush()

    def _reader_has_gone(self) -> bool:
        """Whether the other end of a pipe is closed: when there is nothing to write, nothing else would tell."""
        if sys.platform == "win32":
            return False
        with suppress(OSError, ValueError):
            poll = select.poll()
            poll.register(self._context.stdout.fileno(), 0)
            return any(event & select.POLLERR for _, event in poll.poll(0))
        return False


def follow_on_screen(
    context: Context,
    watch: Watch[State],
    verdict: Callable[[State], Ending | None],
    draw: Draw[State],
    leave: Leave[State],
    pace: Pace,
) -> Ending:
    """Draws every look over the one before, and leaves the last one behind."""
    with Screen(context.stdout) as screen:
        surface: OnScreen[State] = OnScreen(
            screen,
            lambda *look: list(map(context.runnable, draw(*look))),
            lambda *look: list(map(context.runnable, leave(*look))),
        )
        ending = Follower(context.database, watch, surface, verdict, pace).run()
    context.lines(surface.last())
    return ending


def follow_in_lines(
    context: Context,
    watch: Watch[State],
    verdict: Callable[[State], Ending | None],
    speak: Callable[[State], Iterable[str]],
    pace: Pace,
) -> Ending:
    """Writes what is new of every look."""
    return Follower(context.database, watch, InLines(context, speak), verdict, pace).run()
