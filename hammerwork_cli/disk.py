"""Files that commands read and write.

What is read has a bound, because a file may be endless. What is written appears under its name once it is whole.
"""

import errno
import fcntl
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hammerwork_cli.errors import UsageError

LARGEST_TEXT = 1 << 26
"""Bytes of a file that is read into memory."""
LARGEST_KEPT = 1 << 34
"""Bytes of stdin, or of a pipe, that are kept on the disk to be read several times."""
IN_MEMORY = 1 << 26
PIECE = 1 << 20
LONGEST_LINE = 1 << 16
"""Characters of a line that is read from stdin, such as an answer or a URL."""
LOCK_SECONDS = 10.0


# Reading.


def read(path: str | Path, most: int = LARGEST_TEXT) -> bytes:
    """Returns the content of a file; the text ``-`` is stdin.

    Raises OSError if it cannot be read, or has more than ``most`` bytes.
    """
    if path == "-":
        content = sys.stdin.buffer.read(most + 1)
    else:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(most)
    return content


def text(path: str | Path, most: int = LARGEST_TEXT) -> str:
    """Returns the text of a file in UTF-8; the text ``-`` is stdin."""
    name = "stdin" if path == "-" else path
    try:
        return read(path, most).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text.") from error


def line() -> str:
    """Returns the next line of stdin, without white space at its ends."""
    return sys.stdin.readline(LONGEST_LINE).strip()


def lines() -> Iterator[str]:
    """Yields the lines of stdin that are not blank, without white space at their ends."""
    while found := sys.stdin.buffer.readline(LONGEST_LINE):
        if len(found) == LONGEST_LINE:
            raise UsageError(f"stdin has a line of more than {LONGEST_LINE:,} bytes.")
        try:
            text = found.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise UsageError("stdin is not UTF-8 text.") from error
        if text:
            yield text


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Opens a file that can be read several times; ``-`` is stdin, which is kept until the end."""
    try:
        source = _kept(sys.stdin.buffer) if path == "-" else _rereadable(path)
    except OSError as error:
        hint = "Write it into a file first." if error.errno == errno.EFBIG else None
        name = "stdin" if path == "-" else path
        raise UsageError(f"{name} cannot be read: {error.strerror}.", hint=hint) from error
    with source:
        yield source


def _rereadable(path: str) -> IO[bytes]:
    found = Path(path).open("rb")  # noqa: SIM115  the caller closes it
    if stat.S_ISREG(os.fstat(found.fileno()).st_mode):
        return found
    with found:
        return _kept(found)


def _kept(stream: IO[bytes]) -> IO[bytes]:
    from tempfile import SpooledTemporaryFile, gettempdir

    space = os.statvfs(gettempdir())
    most = min(LARGEST_KEPT, space.f_bavail * space.f_frsize // 2)
    kept = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  the caller closes it
    try:
        size = 0
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > most:
                raise _too_large(most)
            kept.write(piece)
    except BaseException:
        kept.close()
        raise
    return kept


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {most:,} bytes")


# Writing.


@contextmanager
def written(path: str | Path, mode: int = 0o600, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Opens a file for writing, which gets its name when it is whole: one that is cut never replaces a good one.

    A symbolic link stays one. A pipe and a device such as ``/dev/null`` get the bytes as they are written.

    Args:
        mode: of a new file, before the umask.
    """
    path = Path(path)
    stream = _through(path)
    if stream is not None:
        with stream:
            yield stream
        return
    with _part(path, mode) as (raw, part):
        yield raw
        raw.flush()
        if durable:
            os.fsync(raw.fileno())
        part.replace(os.path.realpath(path))


def replace(path: str | Path, content: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Replaces the content of a regular file at once."""
    check_regular(path)
    with written(path, mode, durable=durable) as file:
        file.write(content)


def check_regular(path: str | Path) -> None:
    """Checks that a file, if it exists, may be replaced or removed."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).stat().st_mode) or _descriptor(Path(path)) is not None:
            raise OSError(errno.EINVAL, "it is not a regular file")


def is_stdout(path: str) -> bool:
    """Whether a path stands for stdout: ``-``, or ``/dev/stdout``."""
    return path == "-" or _descriptor(Path(path)) == 1


def _through(path: Path) -> IO[bytes] | None:
    """Opens what is written through; ``None`` for a file that is replaced."""
    own = _descriptor(path)
    if own is not None:
        return os.fdopen(os.dup(own), "wb")
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(kind):
        return None
    if not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
        raise OSError(errno.EINVAL, "it is neither a file, a pipe nor a terminal")
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_NOCTTY), "wb")


def _descriptor(path: Path) -> int | None:
    """The descriptor of this process that a path such as ``/dev/stdout`` names.

    Its file must not be replaced: the shell, or the next command of its line, goes on writing into it.
    """
    for _ in range(40):
        folder = os.path.realpath(path.parent)
        if folder in {"/dev/fd", f"/proc/{os.getpid()}/fd"} and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = folder / path.readlink()
    return None


@contextmanager
def _part(path: Path, mode: int) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file beside another one, which is locked while it is written, and removed if it is not renamed.

    Its name is random: after a kill, the same process id may come again at once.
    """
    target = Path(os.path.realpath(path))
    stem = f".{target.name[:48]}."  # a name has at most 255 bytes
    _remove_stale(target.parent, stem)
    while True:
        part = target.with_name(f"{stem}{os.urandom(4).hex()}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            continue
        _lock(descriptor)
        if _is_at(descriptor, part):
            break
        os.close(descriptor)  # another process took it for a stale one before it was locked
    try:
        with os.fdopen(descriptor, "wb") as raw:
            yield raw, part
    finally:
        with suppress(OSError):
            part.unlink()


def _remove_stale(folder: Path, stem: str) -> None:
    """Removes the parts that killed processes have left: nobody holds the locks of those."""
    wanted = re.compile(re.escape(stem) + "[0-9a-f]{8}\\.part")
    with suppress(OSError):
        for part in [one for one in folder.iterdir() if wanted.fullmatch(one.name)]:
            with suppress(OSError):
                descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
                finally:
                    os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes from changing a file between reading and writing it. Its folder must exist."""
    target = Path(os.path.realpath(path))  # all links to a file share its lock
    lock = target.with_name(f".{target.name[:48]}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor)
            if _is_at(descriptor, lock):
                try:
                    yield
                finally:
                    lock.unlink()
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise OSError(errno.EBUSY, "another process is changing it") from None
            time.sleep(0.01)
        except OSError:
            return  # some file systems of networks have no locks
        else:
            return


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file, which the holder of a lock before may have removed."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
