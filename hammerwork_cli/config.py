"""Settings: option, then environment, then TOML file, then default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hammerwork_cli.errors import ConfigError

FILE_KEYS = ("database_url", "default_queue", "default_limit", "log_level", "connection_pool_size")
ENVIRONMENT = {
    "database_url": ("HAMMERWORK_DATABASE_URL", "DATABASE_URL"),
    "default_queue": ("HAMMERWORK_DEFAULT_QUEUE",),
    "default_limit": ("HAMMERWORK_DEFAULT_LIMIT",),
    "log_level": ("HAMMERWORK_LOG_LEVEL",),
    "connection_pool_size": ("HAMMERWORK_POOL_SIZE",),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from: ``option``, a variable's name, ``file`` or ``default``."""

    value: Any
    source: str


def config_path(environ: Mapping[str, str]) -> Path:
    """The configuration file: ``HAMMERWORK_CONFIG``, else ``hammerwork/config.toml`` in the user's folder."""
    if environ.get("HAMMERWORK_CONFIG"):
        return Path(environ["HAMMERWORK_CONFIG"]).expanduser()
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "hammerwork" / "config.toml"


def embedded_path(environ: Mapping[str, str]) -> Path:
    """The SQLite file that is used when no database is configured."""
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "hammerwork" / "hammerwork.db"


def read_file(path: Path) -> dict[str, Any]:
    """The configuration file's values; empty when there is no file.

    Raises:
        ConfigError: it cannot be read, or is not TOML; the message names line and column.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Check its permissions.") from error
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Mend that line, or remove the file.") from error


def setting(key: str, option: Any = None, *, environ: Mapping[str, str] = os.environ, default: Any = None) -> Setting:
    """One setting with its source.

    Raises:
        ConfigError: the file cannot be read.
    """
    if option is not None:
        return Setting(option, "option")
    for variable in ENVIRONMENT.get(key, ()):
        if environ.get(variable):
            return Setting(environ[variable], variable)
    values = read_file(config_path(environ))
    if values.get(key) is not None:
        return Setting(values[key], "file")
    return Setting(default, "default")
