"""Changes the configuration file. Comments, order and unknown keys stay."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hammerwork_cli import disk
from hammerwork_cli.config import parse_file, read_bytes
from hammerwork_cli.config.keys import KEYS, SettingKey
from hammerwork_cli.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_LINE_FEED = re.compile(r"(?<!\r)\n")
_HEAD = """\
# Settings of hammerwork. An option wins over the environment, and the environment over this file.
# `hammerwork config show` prints all values and their sources.
"""
_PROFILES = """
# Databases with names: `hammerwork -u @production spawn list`. A change of a protected one asks for its name.
# [profiles.production]
# url = "postgresql://app@db.example.org/jobs"
# protected = true
"""


def template() -> str:
    """Returns the text of a file that describes every setting and sets none."""
    parts = [_HEAD]
    for key in KEYS.values():
        default = "" if key.default is None else f" Default: {toml(key.default)}"
        parts.append(
            f"\n# {key.purpose}{default}\n# Environment: {', '.join(key.variables)}\n# {key.name} = {key.example}\n"
        )
    return "".join([*parts, _PROFILES])


def toml(value: str | int | bool) -> str:
    if isinstance(value, int):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def begin(path: Path, *, force: bool) -> bool:
    """Writes a file that describes every setting; returns whether there was none, or it was replaced."""
    with _changing(path):
        if path.exists() and not force:
            return False
        disk.replace(path, template().encode())
    return True


def store(path: Path, key: SettingKey, value: str | int | bool) -> None:
    """Stores a value in the file, which is created if necessary."""
    with _changing(path):
        _change(path, key.path, value, lambda document: _set(document, key.path, value))


def remove(path: Path, place: tuple[str, ...]) -> bool:
    """Removes a value or a table from the file, and the tables that are empty then; returns whether there was one."""
    if read_bytes(path) is None:
        return False
    with _changing(path):
        content = read_bytes(path)
        if content is None or _at(parse_file(path, content), place) is None:
            return False
        _change(path, place, None, lambda document: _remove(document, place))
    return True


def delete(path: Path) -> None:
    """Removes the file if it exists."""
    with _changing(path):
        path.unlink(missing_ok=True)


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Holds the lock of the file: what is written is what was read and one change, whoever changes it too.

    A symbolic link stays one: people link to settings that they keep in a repository.
    """
    try:
        disk.check_regular(path)
        make_folder(Path(os.path.realpath(path)).parent)
        with disk.locked(path):
            yield
    except OSError as error:
        hint = "Check the permissions." if isinstance(error, PermissionError) else None
        raise ConfigError(f"Cannot change {path}: {error.strerror}.", hint=hint) from error


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, accessible to their owner only; existing ones stay unchanged.

    Raises OSError if a folder cannot be created.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _change(path: Path, place: tuple[str, ...], value: object, edit: Callable[["TOMLDocument"], object]) -> None:
    content = read_bytes(path) or b""
    wanted = _changed(parse_file(path, content), place, value)
    text = _edited(content.decode(), edit)
    # The file is read by tomllib. The parsers of tomlkit and tomllib must agree on the result.
    if text is None or _values(text) != wanted:
        raise ConfigError(
            f"Cannot change {path} safely, because of the way it is written.", hint="Change it with an editor."
        )
    disk.replace(path, text.encode())


def _at(values: Any, place: tuple[str, ...]) -> Any:
    """The value at a place of nested tables; ``None`` if there is none."""
    for name in place:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _changed(values: Any, place: tuple[str, ...], value: object) -> dict[str, Any]:
    """Nested tables with another value at a place, or without it and the tables that are empty then."""
    name, *rest = place
    values = values if isinstance(values, dict) else {}
    inner = _changed(values.get(name), tuple(rest), value) or None if rest else value
    return {key: member for key, member in {**values, name: inner}.items() if member is not None}


def _edited(text: str, edit: Callable[["TOMLDocument"], object]) -> str | None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        edit(document)
        edited = tomlkit.dumps(document)
    except (TOMLKitError, ValueError, RecursionError):
        return None
    # tomlkit ends the lines that it adds with a line feed, even in files from Windows.
    return edited if "\r\n" not in text or _LINE_FEED.search(text) else _LINE_FEED.sub("\r\n", edited)


def _values(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _set(document: "TOMLDocument", place: tuple[str, ...], value: str | int | bool) -> None:
    import tomlkit

    *tables, name = place
    table: Any = document
    for number, outer in enumerate(tables, 1):
        if outer not in table:
            table[outer] = tomlkit.table(is_super_table=number < len(tables))
        table = table[outer]
    if isinstance(table.get(name), dict):
        raise ValueError("the table would be lost with its comments")
    if tables or not _set_below_example(document, name, value):
        table[name] = tomlkit.value(toml(value))


def _set_below_example(document: "TOMLDocument", name: str, value: str | int | bool) -> bool:
    """Sets a new key below the example of the template, which is in a comment, if there is one."""
    from tomlkit.items import Comment

    example = re.compile(rf"#\s*{name}\s*=")
    for _, item in () if name in document else document.body:
        if isinstance(item, Comment) and example.match(item.trivia.comment):
            item.trivia.trail = (item.trivia.trail or "\n") + f"{name} = {toml(value)}\n"
            return True
    return False


def _remove(document: "TOMLDocument", place: tuple[str, ...]) -> None:
    *tables, name = place
    table: Any = document
    outer: list[tuple[Any, str]] = []
    for step in tables:
        outer.append((table, step))
        table = table[step]
    table.remove(name)
    for above, step in reversed(outer):
        if not above[step]:
            above.remove(step)
