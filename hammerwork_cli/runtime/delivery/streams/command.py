"""Streams into a program, which writes them wherever it likes.

The program gets a line for each event, ``{"key": KEY, "event": {...}}``, and answers each, in order, with ``ok`` or
``error TEXT``. It gets an event only after it has acknowledged the earlier ones of its key; events of different keys
may wait for their answers at once. At the end of its input it ends.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate

from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.runtime.delivery.streams.failures import LastingStreamError, StreamError, said
from hammerwork_cli.runtime.delivery.streams.messages import Message, rounds
from hammerwork_cli.view.json import document
from hammerwork_cli.view.text import plural

START_SECONDS = 1.0
"""A program that has not ended by then has started."""
END_SECONDS = 2.0
"""For a program to end by itself, and as long again after a SIGTERM."""
DEATH_SECONDS = 0.5
"""How long a program that has closed a pipe may take to end."""
LONGEST_ANSWER = 65_536
"""Bytes of an answer."""
STDERR_LINES = 5
STDERR_CHARACTERS = 300
_PIECE = 65_536


class CommandBackend:
    """Sends messages to a program, which runs from the first use on, and is started again after it has ended."""

    def __init__(self, stream: Stream, timeout: float) -> None:
        self._command: Sequence[str] = stream.target["command"]
        self._timeout = timeout
        self._program: _Program | None = None

    def check(self) -> None:
        """Starts the program, and sees that it goes on running.

        Raises:
            StreamError: it ends at once.
            LastingStreamError: it cannot be started.
        """
        program = self._started()
        if program.has_ended_within(START_SECONDS):
            error = program.failed(f"{program.ending()} at once")
            self._kill()
            raise error

    def send(self, messages: Sequence[Message]) -> None:
        deadline = time.monotonic() + self._timeout
        acknowledged: set[int] = set()
        program = self._started()
        try:
            for positions in rounds(messages):
                lines = [_line(messages[position]) for position in positions]
                refused = None
                for position, answer in zip(positions, program.answers(lines, deadline), strict=True):
                    if answer == "ok":
                        acknowledged.add(position)
                    elif refused is None:
                        refused = f"refused the event {messages[position].id}: {said(answer.removeprefix('error'))}"
                if refused is not None:
                    raise program.failed(refused)
        except StreamError as error:
            error.acknowledged = frozenset(acknowledged)
            if program.is_out_of_step:
                self._kill()
            raise
        except BaseException:
            self._kill()
            raise

    def close(self) -> None:
        """Ends the input of the program, and kills it with its group if it has not ended after some seconds."""
        program, self._program = self._program, None
        if program is not None:
            program.end()

    def _started(self) -> "_Program":
        if self._program is not None and self._program.has_ended_within(0):
            self._kill()
        if self._program is None:
            self._program = _Program(self._command, self._timeout)
        return self._program

    def _kill(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program = None


class _Program:
    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._name, self._timeout = command[0][:100], timeout
        self._before = b""  # of an answer of which the end is not there yet
        # Whether the next answer may belong to an earlier event.
        self.is_out_of_step = False
        self._errors: deque[str] = deque(maxlen=STDERR_LINES)  # its thread appends to it
        try:
            self._process = subprocess.Popen(  # noqa: S603  who adds a stream names the program
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # a Ctrl-C in the terminal is not for it
            )
        except OSError as error:
            raise LastingStreamError(
                f"The program {self._name!r} of the stream cannot be started: {error.strerror}.",
                hint="Correct --command, or install the program on this machine.",
            ) from error
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)
        self._reader = threading.Thread(target=self._read_errors, name="hammerwork-stream-errors", daemon=True)
        self._reader.start()

    def answers(self, lines: Sequence[bytes], deadline: float) -> Iterator[str]:
        """Writes lines, and yields the answers to them as they come.

        Raises:
            StreamError: it ended, did not answer in time, or answered something else.
        """
        self.is_out_of_step = True
        self._read()
        self._refuse_further()
        ends = deque(accumulate(map(len, lines)))  # of the lines that it has not answered
        waiting = memoryview(b"".join(lines))
        size = len(waiting)
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._input, selectors.EVENT_WRITE)
            while ends:
                for text in self._complete():
                    if size - len(waiting) < ends.popleft():
                        raise self.failed("answers an event before it has got it")
                    yield text
                    if not ends:
                        break
                else:
                    ready = selector.select(max(0.0, deadline - time.monotonic()))
                    if not ready:
                        raise self.failed(
                            f"did not answer {plural(len(ends), 'event')} within {self._timeout:g} seconds"
                        )
                    for key, _ in ready:
                        if key.fileobj is self._output:
                            self._read()
                        else:
                            waiting = self._write(waiting)
                    if not waiting and self._input in selector.get_map():
                        selector.unregister(self._input)
        self._refuse_further()
        self.is_out_of_step = False

    def has_ended_within(self, seconds: float) -> bool:
        """Waits at most this long for it to end by itself; returns whether it did."""
        deadline = time.monotonic() + seconds
        while not self._has_ended():
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(0.01, seconds))
        return True

    def ending(self) -> str:
        """What became of it, after "The program"."""
        if not self._has_ended():
            return "closed its input or its output"
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None or ended.si_code == os.CLD_EXITED:
            return f"ended with status {ended.si_status if ended else self._process.returncode}"
        return f"was killed by signal {ended.si_status}"

    def failed(self, what: str) -> StreamError:
        """The error about something that it did, with the last lines of its stderr."""
        if self._has_ended():
            self._reader.join(1)  # it has read the rest then
        errors = " | ".join(self._errors)[-STDERR_CHARACTERS:]
        ending = f". Its stderr: {said(errors)}" if errors else "."
        return StreamError(
            f"The program {self._name!r} of the stream {what}{ending}",
            hint="Try it by hand: it gets a JSON line for each event, and answers each with a line: ok, or error TEXT.",
        )

    def end(self) -> None:
        """Ends its input, then asks it to end, then kills it, with its group."""
        with suppress(OSError):
            self._input.close()
        if not self.has_ended_within(END_SECONDS):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self.has_ended_within(END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kills it with its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its id is not given away before it is waited for
        self._process.wait()
        self._reader.join(1)
        with suppress(OSError):
            self._input.close()
        self._output.close()

    def _has_ended(self) -> bool:
        return self._process.returncode is not None or (
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        )

    def _complete(self) -> Iterator[str]:
        """The answers that are there."""
        while b"\n" in self._before:
            line, _, self._before = self._before.partition(b"\n")
            text = line.decode(errors="replace").strip()
            if text != "ok" and text.partition(" ")[0] != "error":
                raise self.failed(f"answered {said(text)[:80]!r} instead of ok or error TEXT")
            yield text
        if len(self._before) > LONGEST_ANSWER:
            raise self.failed(f"answered a line of more than {LONGEST_ANSWER:,} bytes")

    def _refuse_further(self) -> None:
        if self._before:
            raise self.failed("answers more often than it gets events")

    def _read(self) -> None:
        piece = self._output.read(_PIECE)
        if piece:
            self._before += piece
        elif piece is not None:
            self.has_ended_within(DEATH_SECONDS)
            raise self.failed(self.ending())

    def _write(self, waiting: memoryview) -> memoryview:
        try:
            return waiting[self._input.write(waiting[:_PIECE]) or 0 :]
        except BrokenPipeError:
            self.has_ended_within(DEATH_SECONDS)
            raise self.failed(self.ending()) from None

    def _read_errors(self) -> None:
        assert self._process.stderr
        with self._process.stderr as stream, suppress(ValueError):
            rest = b""
            while piece := stream.read(_PIECE):
                *lines, rest = (rest + piece).split(b"\n")
                self._errors.extend(said(line.decode(errors="replace")) for line in lines if line.strip())
                rest = rest[-_PIECE:]
            if rest.strip():
                self._errors.append(said(rest.decode(errors="replace")))


def _line(message: Message) -> bytes:
    return b'{"key":%b,"event":%b}\n' % (document(message.key).encode(), message.body)
