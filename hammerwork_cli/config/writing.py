"""Changes the configuration file: one line at a time, so that comments and unknown keys stay."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hammerwork_cli.config import parse_file, read_bytes
from hammerwork_cli.config.keys import KEYS, Key
from hammerwork_cli.errors import ConfigError

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TABLE = re.compile(r"\s*\[")
_HEAD = """\
# Settings of hammerwork. An option wins over the environment, the environment over this file.
# `hammerwork config show` tells what holds and where it comes from.
"""


def template() -> str:
    """A file in which every setting is explained and none is set."""
    parts = [_HEAD]
    for key in KEYS.values():
        default = "" if key.default is None else f" Default: {toml(key.default)}"
        parts.append(
            f"\n# {key.purpose}{default}\n# Environment: {', '.join(key.variables)}\n# {key.name} = {key.example}\n"
        )
    return "".join(parts)


def toml(value: str | int) -> str:
    """A value as TOML spells it."""
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def store(path: Path, key: Key, value: str | int) -> None:
    """Puts a value into the file, which is made when there is none.

    Raises:
        ConfigError: the file cannot be read, changed or written.
    """
    _change(path, {key.name: value}, lambda lines: _with(lines, key.name, f"{key.name} = {toml(value)}"))


def remove(path: Path, key: Key) -> bool:
    """Takes a value out of the file; says whether there was one.

    Raises:
        ConfigError: the file cannot be read, changed or written.
    """
    content = read_bytes(path)
    if content is None or key.name not in parse_file(path, content):
        return False
    _change(path, {key.name: None}, lambda lines: _without(lines, key.name))
    return True


def write(path: Path, text: str) -> None:
    """Writes the file as a whole: all of it or nothing, readable by its owner only.

    Raises:
        ConfigError: it cannot be written.
    """
    # A link, as those keep who have their settings in a repository, stays one.
    path = Path(os.path.realpath(path))
    try:
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=".config-", dir=path.parent)  # only the owner can read it
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.", hint="Check the permissions.") from error


def delete(path: Path) -> None:
    """Removes the file.

    Raises:
        ConfigError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed: {error.strerror}.", hint="Check the permissions.") from error


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, open to their owner only, unless they are there.

    Raises:
        OSError: one cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _change(path: Path, changes: dict[str, Any], edit: Callable[[list[str]], list[str]]) -> None:
    content = read_bytes(path) or b""
    wanted = {key: value for key, value in {**parse_file(path, content), **changes}.items() if value is not None}
    text = "".join(edit(_LINE.findall(content.decode())))
    try:
        changed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        changed = None
    # A value over several lines looks like more lines than it is.
    if changed != wanted:
        raise ConfigError(
            f"{path} is written in a way that cannot be changed safely.", hint="Change it with an editor."
        )
    write(path, text)


def _head(lines: list[str]) -> int:
    """How many lines there are before the first table."""
    return next((number for number, line in enumerate(lines) if _TABLE.match(line)), len(lines))


def _find(lines: list[str], name: str) -> int | None:
    place = re.compile(rf"""\s*(?:{name}|"{name}"|'{name}')\s*=""")
    return next((number for number in range(_head(lines)) if place.match(lines[number])), None)


def _with(lines: list[str], name: str, line: str) -> list[str]:
    place = _find(lines, name)
    if place is not None:
        return [*lines[:place], f"{line}{_comment(lines[place])}{_ending(lines[place])}", *lines[place + 1 :]]
    example = re.compile(rf"#\s*{name}\s*=")
    head = _head(lines)
    place = next((number + 1 for number in range(head) if example.match(lines[number])), head)
    before = [*lines[:place]]
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return [*before, line + "\n", *lines[place:]]


def _without(lines: list[str], name: str) -> list[str]:
    place = _find(lines, name)
    return lines if place is None else [*lines[:place], *lines[place + 1 :]]


def _comment(line: str) -> str:
    """The comment at the end of a line, with the blanks before it."""
    for found in re.finditer(r"\s*#", line):
        try:
            tomllib.loads(line[: found.start()])
        except tomllib.TOMLDecodeError:
            continue
        return line[found.start() :].rstrip("\r\n")
    return ""


def _ending(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :] or "\n"
