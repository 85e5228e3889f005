"""Who holds the lock of a file, in a process with other libraries."""

import sqlite3
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database.drivers.sqlite_holders import refuse_deadlock
from hammerwork_cli.errors import UsageError


class Lazy:
    """As the settings of Django are that nobody has configured."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("There are no settings.")

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise RuntimeError(value)

    def all(self, **how: Any) -> Any:
        raise RuntimeError(how)


def test_objects_that_cannot_say_what_they_are_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = Lazy()
    django = types.ModuleType("django.db")
    django.connections = lazy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django.db", django)
    file = tmp_path / "jobs.db"
    refuse_deadlock(file)
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("CREATE TABLE one (id)")
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(UsageError, match="would wait for its end"):
        refuse_deadlock(file)
    holder.close()
