"""Settings: an option wins over the environment, the environment over the TOML file, and the file over the default."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hammerwork_cli.cached import cached
from hammerwork_cli.config.keys import KEYS, Key, known
from hammerwork_cli.errors import ConfigError

__all__ = ["KEYS", "Key", "Setting", "Settings", "blaming", "config_path", "embedded_path", "known", "parse_file"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its source: ``option``, the name of a variable, ``file`` or ``default``."""

    key: Key
    value: Any
    source: str


class Settings:
    """The settings of a process, which reads the file on first use."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self.path = config_path(environ)

    @cached
    def file(self) -> dict[str, Any]:
        """The content of the file with unknown keys; empty if the file does not exist.

        Raises:
            ConfigError: the file is unreadable or not TOML, or ``HAMMERWORK_CONFIG`` names a file that does not exist.
        """
        content = read_bytes(self.path)
        if content is None and self._environ.get("HAMMERWORK_CONFIG"):
            raise ConfigError(
                f"HAMMERWORK_CONFIG names {self.path}, which does not exist.",
                hint="Create it with: hammerwork config init",
            )
        return parse_file(self.path, content) if content is not None else {}

    @property
    def is_exposed(self) -> bool:
        """Whether other users can read a password in the file."""
        url = self.file.get("database_url")
        return KEYS["database_url"].masked(url) != url and bool(self.path.stat().st_mode & 0o077)

    def get(self, name: str, option: str | None = None) -> Setting:
        """Returns a setting.

        Args:
            name: name of a key.
            option: value on the command line.

        Raises:
            ConfigError: a value is not valid, and the message names its source; or the file is unreadable.
        """
        key = known(name)
        if option is not None:
            return Setting(key, key.from_text(option), "option")
        for variable in key.variables:
            if self._environ.get(variable):
                with blaming(variable):
                    return Setting(key, key.from_text(self._environ[variable]), variable)
        if key.name in self.file:
            with blaming(f"{key.name} in {self.path}"):
                return Setting(key, key.from_file(self.file[key.name]), "file")
        return Setting(key, key.default, "default")


@contextmanager
def blaming(source: str) -> Iterator[None]:
    """Puts the source of a value before the message of a ConfigError."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{source}: {error.message}", hint=error.hint) from error


def config_path(environ: Mapping[str, str]) -> Path:
    """Returns the configuration file: ``HAMMERWORK_CONFIG``, else ``hammerwork/config.toml`` in the user's folder."""
    if environ.get("HAMMERWORK_CONFIG"):
        return _home(environ, environ["HAMMERWORK_CONFIG"])
    return _home(environ, environ.get("XDG_CONFIG_HOME") or "~/.config") / "hammerwork" / "config.toml"


def embedded_path(environ: Mapping[str, str]) -> Path:
    """Returns the SQLite file that is used if no database is configured."""
    return _home(environ, environ.get("XDG_DATA_HOME") or "~/.local/share") / "hammerwork" / "hammerwork.db"


def _home(environ: Mapping[str, str], path: str) -> Path:
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return Path(home + path[1:])
    return Path(path).expanduser()


def read_bytes(path: Path) -> bytes | None:
    """Returns the content of a file; ``None`` if it does not exist.

    Raises:
        ConfigError: the file is unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", hint="Check its permissions.") from error


def parse_file(path: Path, content: bytes) -> dict[str, Any]:
    """Returns the values in the content of a configuration file.

    Raises:
        ConfigError: the content is not TOML; the message names line and column.
    """
    import tomllib

    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        before = content[: error.start]
        problem = f"not UTF-8 (at line {before.count(10) + 1}, column {len(before) - before.rfind(10)})"
    except tomllib.TOMLDecodeError as error:
        lines = content.decode().split("\n")
        problem = str(error).replace("at end of document", f"at line {len(lines)}, column {len(lines[-1]) + 1}")
    except RecursionError:
        problem = "its values are nested too deeply"
    raise ConfigError(f"{path} is not valid TOML: {problem}.", hint="Correct that line, or remove the file.")
