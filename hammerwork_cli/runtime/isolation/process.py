"""A process that runs handlers, as its worker sees it."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from hammerwork_cli import app_path
from hammerwork_cli.runtime.api.resources import CLOSE_SECONDS
from hammerwork_cli.runtime.api.spawn import SpawnError
from hammerwork_cli.runtime.host.loading import OWN_VARIABLES
from hammerwork_cli.runtime.isolation.pipe import BadMessageError, Pipe
from hammerwork_cli.runtime.isolation.protocol import Failure, Reply, Start
from hammerwork_cli.runtime.outcomes.failures import JobError, RemoteError

LAST_SECONDS = 5.0
log = logging.getLogger("hammerwork")
_PROGRAM = """
import sys
descriptor, sys.path[:], sys.argv[1:] = int(sys.argv[1]), sys.argv[2:], []
from hammerwork_cli.runtime.isolation.guard import stand
stand(descriptor)
from hammerwork_cli.runtime.isolation.child import main
main(descriptor)
"""


class ProcessDiedError(SpawnError):
    """The process that ran a handler died."""

    code = "process_died"


class Process:
    """One process. The thread of its slot uses it; the main thread may kill it."""

    def __init__(self, start: Start) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._guard = subprocess.Popen(  # noqa: S603  hammerwork itself
                    [
                        sys.executable,
                        *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]  # as multiprocessing
                        "-P",
                        "-c",
                        _PROGRAM,
                        str(theirs.fileno()),
                        *app_path.others(),
                    ],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={name: value for name, value in os.environ.items() if name not in OWN_VARIABLES},
                    process_group=0,  # a Ctrl-C in the terminal is not for this process
                )
            except OSError as error:
                ours.close()
                raise JobError(f"A process for handlers cannot be started: {error.strerror}.") from error
        self._pipe = Pipe(ours, self._lives)
        self._doomed = False  # both threads may set it; nothing clears it
        self._number = 0  # the slot's thread alone
        self._start = start
        # Of the process that runs handlers, not of its guard. Its thread writes it once.
        self.pid: int | None = None
        # Whether it has loaded the handlers, and serves no request. Its thread writes it; the main thread and the one
        # that watches the memory read it.
        self.is_idle = False
        # Whether a handler has changed it for good, and the attempts that it has served. Its thread alone.
        self.is_spent, self.attempts = False, 0
        # Why it is killed, if that is not its own doing. The thread that watches the memory writes it once.
        self.reason: str | None = None
        self._retired_at: float | None = None  # its thread, or the main thread at the end of the worker

    def wait_until_ready(self) -> None:
        """Waits until it has loaded the handlers.

        Raises:
            JobError: it cannot load them.
            ProcessDiedError: it died at once.
        """
        self.say(self._start)
        answer = self.hear()
        if answer.kind == "error":
            self.end()
            raise JobError(answer.value.first) from cause(answer.value)
        self.pid = answer.value
        self.is_idle = True

    def request(self, verb: str, arguments: tuple[object, ...]) -> None:
        """Sends a request under a new number, which each answer to it must have."""
        self._number += 1
        self.is_idle = False
        self.say((verb, arguments))

    def say(self, message: object) -> None:
        """Sends a message that belongs to the present request."""
        try:
            self._pipe.send(self._number, message)
        except (EOFError, OSError) as error:
            raise self._died() from error

    def hear(self) -> Reply:
        """The next answer to the present request, however long it takes.

        Raises:
            ProcessDiedError: none will come; or something else came, after which the process is not trusted.
        """
        try:
            number, answer = self._pipe.receive()
            if number != self._number or not isinstance(answer, Reply):
                raise BadMessageError("it answered a question that was not asked")
        except BadMessageError as error:
            self.doom()
            raise ProcessDiedError(
                f"The process that ran the handler was killed because of its answer: {error}."
            ) from error
        except (EOFError, OSError) as error:
            raise self._died() from error
        return answer

    def _died(self) -> ProcessDiedError:
        self.doom()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(LAST_SECONDS)
        if self.reason is not None:
            return ProcessDiedError(f"The process that ran the handler was killed: {self.reason}.")
        return ProcessDiedError(f"The process that ran the handler ended: {_ending(self._guard.returncode)}.")

    def _lives(self) -> bool:
        return self._guard.poll() is None

    @property
    def is_usable(self) -> bool:
        """Whether it can serve another request."""
        return not self._doomed and self._retired_at is None and self._lives()

    def retire(self) -> None:
        """Lets it close its resources and end: it serves no further request."""
        if self._retired_at is None:
            self._retired_at = time.monotonic()
            self._pipe.finish()

    def wait_for_end(self) -> None:
        """Waits until it has ended, if it is retired. It is killed if that takes too long."""
        if self._retired_at is None or self._doomed:
            return
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(max(0.0, self._retired_at + CLOSE_SECONDS - time.monotonic()))
        if self._lives():
            log.error("A process could not close its resources and end within %g s: it is killed.", CLOSE_SECONDS)
            self.doom()

    def doom(self) -> None:
        """Kills it, with all programs that it started: another process will replace it."""
        self._doomed = True
        with suppress(OSError):
            self._guard.terminate()

    def end(self) -> None:
        """Kills it, and frees what it held."""
        self.doom()
        self._pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(LAST_SECONDS)


def cause(failure: Failure) -> RemoteError | None:
    """The error in the process, for a traceback."""
    if not (failure.trace or failure.wanted):
        return None
    return RemoteError(failure.message, failure.first, failure.trace, failure.wanted, failure.pause)


def job_error(failure: Failure) -> JobError:
    """The error of a job whose handler failed elsewhere."""
    error = JobError(failure.first)
    error.retryable, error.__cause__ = failure.retryable, cause(failure)
    return error


def _ending(code: int | None) -> str:
    if code is None:
        return "its status is unknown"
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"exit code {code}"


def start_of(target: str, url: str, log: tuple[str, bool] | None) -> Start:
    """The first message to a process. Handlers in the program itself are found by its module's name."""
    name, colon, attribute = target.partition(":")
    if name == "__main__":
        main: Any = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        name = spec.name if spec else os.path.splitext(os.path.basename(main.__file__))[0]  # noqa: PTH119, PTH122
    return Start(name + colon + attribute, url, log, app_path.added())
