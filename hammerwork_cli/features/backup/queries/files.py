"""Files of jobs: JSON lines with a header and a trailer, packed with gzip if the name ends in ``.gz``.

The trailer counts the records and has the SHA-256 of everything before it, so that a file that was cut or changed is
refused. A file may come from anybody: lines are bounded, values are only ever parsed as JSON, and nothing is believed
before the trailer fits.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from hammerwork_cli import disk
from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.errors import RefusedValueError, UsageError
from hammerwork_cli.features.backup.models.tables import FORMAT, TABLES, VERSION, Record, other_columns

LONGEST_LINE = 1 << 27
"""Bytes of a line when it is unpacked: a payload may have a gigabyte in some databases, and no job should."""
LONGEST_HEADER = 1 << 16
"""Bytes of the first line, which a list of files reads of every file in a folder."""
_OF_RUST = re.compile(rb'\s*\{[\s\S]*?"version"\s*:\s*"(\d+\.\d+)"')
GZIP = b"\x1f\x8b"


class DamagedFileError(RefusedValueError):
    """A file is not a whole file of jobs: it was cut or changed, or is something else."""

    exit_code = 3
    code = "file_damaged"


class FileLine(NamedTuple):
    number: int  # of its line
    word: str  # of its table
    record: Record
    size: int  # bytes of its line


# Writing.


class BackupWriter:
    """Writes the lines of a file."""

    def __init__(self, stream: IO[bytes], header: Mapping[str, Any]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.counts: dict[str, int] = {}
        self._line({"format": FORMAT, "version": VERSION, **header})

    def add(self, word: str, record: Record) -> None:
        self.counts[word] = self.counts.get(word, 0) + 1
        self._line({word: record})

    def end(self) -> None:
        """Writes the trailer."""
        self._stream.write(_encoded({"counts": self.counts, "sha256": self._hash.hexdigest()}))

    def _line(self, value: object) -> None:
        line = _encoded(value)
        self._hash.update(line)
        self._stream.write(line)


def _encoded(value: object) -> bytes:
    return _ENCODER.encode(value).encode() + b"\n"


@contextmanager
def created(path: str, stdout: IO[bytes]) -> Iterator[IO[bytes]]:
    """Opens a file for its owner alone, packed if its name ends in ``.gz``; see :func:`hammerwork_cli.disk.written`.

    Args:
        path: where; ``-`` is stdout.
    """
    if disk.is_stdout(path):
        yield stdout
        stdout.flush()
        return
    if not Path(path).name:
        raise UsageError(f"{path!r} is not the name of a file.")
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(disk.written(path))
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
        if path.endswith(".gz"):
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0)
            stack.enter_context(closing(packed))
            yield packed  # type: ignore[misc]  # a GzipFile writes bytes
        else:
            yield raw


# Reading.


class BackupReader:
    """Reads a file, as often as wanted. Its records are to be believed only when they have been read to the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.counts: dict[str, int] = {}  # records by the word of their table, as soon as all are read
        self.sha256: str | None = None  # the checksum, as soon as all are read
        try:
            self.header = next(self._lines())[1]  # the first line
        except DamagedFileError:
            self._refuse_rust()
            raise
        if self.header.get("format") != FORMAT:
            self._refuse_rust()
            raise DamagedFileError("This file was written neither by backup create nor by job export --tree.")
        if self.header.get("version") != VERSION:
            raise DamagedFileError(
                f"This file has version {self.header.get('version')!r:.20}; this program reads version {VERSION}.",
                hint="Upgrade hammerwork-cli.",
            )
        try:
            # Word of a table -> the columns of it that this version does not know.
            self.others = other_columns(self.header)
        except ValueError as error:
            raise DamagedFileError("Line 1 does not describe columns.") from error

    def records(self) -> Iterator[FileLine]:
        counts: dict[str, int] = {}
        digest = hashlib.sha256()
        lines = self._lines()
        digest.update(next(lines)[0])
        number = 1
        for raw, value in lines:
            number += 1
            if "sha256" in value:
                self._check_end(value, counts, digest.hexdigest(), next(lines, None))
                self.counts, self.sha256 = counts, digest.hexdigest()
                return
            digest.update(raw)
            word = next(iter(value), None)
            if len(value) != 1 or word not in TABLES or not isinstance(value[word], dict):
                raise DamagedFileError(f"Line {number} is not a record.")
            counts[word] = counts.get(word, 0) + 1
            yield FileLine(number, word, value[word], len(raw))
        raise DamagedFileError("The file is truncated: its last line is missing.", hint="Export it again.")

    def _check_end(self, trailer: Record, counts: dict[str, int], digest: str, after: object) -> None:
        if after is not None:
            raise DamagedFileError("The file continues after its last line.")
        if trailer.get("counts") != counts or trailer.get("sha256") != digest:
            raise DamagedFileError("The file was changed or is damaged: its checksum does not match.")

    def _refuse_rust(self) -> None:
        """Raises if the file is one JSON object with a version, as hammerwork (Rust) writes it."""
        try:
            start = self._unpacked().read(LONGEST_HEADER)
        except (OSError, EOFError, zlib.error):
            return
        found = _OF_RUST.match(start)
        if found:
            raise DamagedFileError(
                f"This is a backup of hammerwork (Rust), in its format {found[1].decode()},"
                " which only that program restores.",
                hint="Restore it with cargo hammerwork backup restore into an empty database, and then:"
                " hammerwork backup copy",
            )

    def _unpacked(self) -> IO[bytes]:
        self._file.seek(0)
        packed = self._file.read(2) == GZIP
        self._file.seek(0)
        return gzip.GzipFile(fileobj=self._file, mode="rb") if packed else self._file  # type: ignore[return-value]

    def _lines(self) -> Iterator[tuple[bytes, Record]]:
        stream = self._unpacked()
        number = 0
        while True:
            number += 1
            longest = LONGEST_LINE if number > 1 else LONGEST_HEADER
            try:
                line = stream.readline(longest + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise DamagedFileError(
                    f"Line {number} cannot be decompressed: the file is truncated or damaged."
                ) from error
            if not line and number > 1:
                return
            if len(line) > longest:
                raise DamagedFileError(f"Line {number} is longer than {longest:,} bytes.")
            yield line, _object(line, number)


def _object(line: bytes, number: int) -> Record:
    try:
        value = json_of(line.decode())
    except ValueError as error:
        if not isinstance(error, UnicodeDecodeError) and not str(error).startswith("is not JSON"):
            raise DamagedFileError(f"Line {number} {error}.") from error
        raise DamagedFileError(
            f"Line {number} is not JSON: the file is truncated, damaged, or not a backup."
        ) from error
    if not isinstance(value, dict):
        raise DamagedFileError(f"Line {number} is not a JSON object.")
    return value


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
