"""What the program of a stream gets: events, each of which counts as sent once it is acknowledged."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

_PIECE = 65_536


class StreamedEvent:
    """An event that a program gets.

    Attributes:
        key: The key within which the stream keeps the order; ``None`` if it keeps none.
        record: The event: ``id``, ``type``, ``timestamp`` and ``data``, or a CloudEvent.
    """

    def __init__(self, key: str | None, record: dict[str, Any]) -> None:
        self.key, self.record = key, record
        self._answer = "ok"

    def refuse(self, reason: str) -> None:
        """Refuses the event, which is then sent again, and given up in the end; its key waits until then.

        Args:
            reason: What the log, ``streaming list`` and ``monitor health`` say.
        """
        self._answer = f"error {' '.join(reason.split())}"


def events() -> Iterator[StreamedEvent]:
    """Yields the events of a stream in the program of its ``--command``.

    An event is acknowledged when the loop asks for the next one: by then, its work is done. An event at which the
    program ends, however it ends, is sent again. The program's own output goes to stderr: stdout has the answers.

    Yields:
        Events, until the worker needs the program no longer.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with os.fdopen(os.dup(0), "rb") as lines, answers:
        for line in lines:
            if not line.endswith(b"\n"):
                return  # the worker died while it wrote this line: another one sends the whole event
            told = json.loads(line)
            event = StreamedEvent(told["key"], told["event"])
            yield event
            print(event._answer, file=answers, flush=True)


class EventFile:
    """A file with a line of JSON for each event, of which each line is whole.

    A line of which a killed program wrote only a part is cut off when the file is opened, and its event is sent again.
    One program at a time has the file: another one waits until it has ended.

    Args:
        path: The file; it is made if it is not there.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.ftruncate(self._file, self._end_of_lines())
        except BaseException:
            os.close(self._file)
            raise

    def append(self, event: StreamedEvent) -> None:
        """Appends an event as a line, which is in the file afterwards even if the program is killed."""
        line = memoryview(json.dumps(event.record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        while line:
            line = line[os.write(self._file, line) :]

    def sync(self) -> None:
        """Waits until what was appended survives a power failure, too."""
        os.fsync(self._file)

    def close(self) -> None:
        """Closes the file; another program may have it then."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end_of_lines(self) -> int:
        """Position after the last line that is whole."""
        end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - _PIECE)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0
