"""Settings: an option wins over the environment, the environment over the TOML file, and the file over the default."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hammerwork_cli.cached import cached
from hammerwork_cli.config.keys import KEYS, PROFILE_KEYS, SettingKey, known, profile_key, profile_of
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import ConfigError

__all__ = [
    "KEYS",
    "Profile",
    "Setting",
    "SettingKey",
    "Settings",
    "Target",
    "blaming",
    "config_path",
    "embedded_path",
    "known",
    "parse_file",
]


LARGEST = 1 << 20
"""Bytes of the configuration file."""


class Setting(NamedTuple):
    """A value and its source: ``option``, the name of a variable, ``file`` or ``default``."""

    key: SettingKey
    value: Any
    source: str


class Profile(NamedTuple):
    """A database with a name."""

    name: str
    url: str
    protected: bool  # whether a change asks for the name


class Target(NamedTuple):
    """The database of a command."""

    url: str | None  # its URL; `None` if no database is configured
    source: str  # see `Setting`
    profile: Profile | None = None  # the profile that was named, or that has the same database


class Settings:
    """The settings of a process, which reads the file on first use."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self.path = config_path(environ)

    @cached
    def file(self) -> dict[str, Any]:
        """The content of the file with unknown keys; empty if the file does not exist."""
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
        tables = [table for table in self._tables.values() if isinstance(table, dict)]
        urls = [self.file.get("database_url"), *(table.get("url") for table in tables)]
        has_password = any(KEYS["database_url"].masked(url) != url for url in urls)
        return has_password and bool(self.path.stat().st_mode & 0o077)

    @property
    def _tables(self) -> dict[str, Any]:
        """Profile -> its table in the file."""
        tables = self.file.get("profiles", {})
        if not isinstance(tables, dict):
            raise ConfigError(f"profiles in {self.path}: The value must be a table.", hint="Write [profiles.NAME].")
        return tables

    @property
    def profile_names(self) -> list[str]:
        return sorted(self._tables)

    @property
    def unknown(self) -> list[str]:
        """Keys in the file that are not settings."""
        inside = [
            f"profiles.{name}.{field}"
            for name, table in self._tables.items()
            for field in (table.keys() - PROFILE_KEYS.keys() if isinstance(table, dict) else ())
        ]
        return sorted([*(self.file.keys() - KEYS.keys() - {"profiles"}), *inside])

    def profile(self, name: str) -> Profile:
        table = self._tables.get(name)
        if not isinstance(table, dict) or "url" not in table:
            has = f"Profiles: {', '.join(self.profile_names)}. " if self.profile_names else ""
            raise ConfigError(
                f"There is no profile {name} with a URL.",
                hint=f"{has}Add one with: hammerwork config set profiles.{name}.url URL",
            )
        return Profile(name, self.of_profile(name, "url").value, self.of_profile(name, "protected").value)

    def of_profile(self, name: str, field: str) -> Setting:
        key, table = profile_key(name, field), self._tables.get(name, {})
        if not isinstance(table, dict) or field not in table:
            return Setting(key, key.default, "default")
        with blaming(f"{key.name} in {self.path}"):
            return Setting(key, key.from_file(table[field]), "file")

    def database(self, option: str | None = None) -> Target:
        """Returns the database of a command, whose option may name a profile, as a variable and the file may."""
        found = self.get("database_url", option)
        name = None if found.value is None else profile_of(found.value)
        if name is None:
            return Target(found.value, found.source, self._profile_of(found.value))
        profile = self.profile(name)
        same = profile if profile.protected else self._profile_of(profile.url)
        return Target(profile.url, found.source, same if same and same.protected else profile)

    def _profile_of(self, url: str | None) -> Profile | None:
        """The profile of the same database as a URL.

        A protected one wins, so that a plain URL cannot bypass the protection.
        """
        if url is None or not self.profile_names:
            return None
        from hammerwork_cli.database.places import same_database

        wanted, profiles = DatabaseUrl.parse(url), []
        for name in self.profile_names:
            with suppress(ConfigError):  # who needs that profile hears of its mistake
                profiles.append((self.profile(name), DatabaseUrl.parse(self.profile(name).url)))
        for profile, place in sorted(profiles, key=lambda one: not one[0].protected):
            # Names are resolved for protection alone: a name server may be slow.
            if same_database(place, wanted, self._environ, resolve=profile.protected):
                return profile
        return None

    def get(self, name: str, option: str | None = None) -> Setting:
        key = known(name)
        if key.name not in KEYS:
            return self.of_profile(*key.path[1:])
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
    return _base(environ, "XDG_CONFIG_HOME", "~/.config") / "hammerwork" / "config.toml"


def embedded_path(environ: Mapping[str, str]) -> Path:
    """Returns the SQLite file that is used if no database is configured."""
    return _base(environ, "XDG_DATA_HOME", "~/.local/share") / "hammerwork" / "hammerwork.db"


def _base(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """A folder of the XDG specification, by which a relative path is ignored."""
    named = environ.get(variable, "")
    return _home(environ, named if named.startswith("/") else default)


def _home(environ: Mapping[str, str], path: str) -> Path:
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return Path(home + path[1:])
    return Path(path).expanduser()


def read_bytes(path: Path) -> bytes | None:
    """Returns the content of a file; ``None`` if it does not exist."""
    if not path.exists():
        return None
    from hammerwork_cli import disk

    try:
        return disk.read(path, LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", hint="Check its permissions.") from error


def parse_file(path: Path, content: bytes) -> dict[str, Any]:
    """Returns the values in the content of a configuration file."""
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
