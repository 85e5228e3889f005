"""Who holds the lock of a file, in a process with other libraries."""

import sqlite3
import sys
import threading
import types
from collections.abc import Iterator
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


@pytest.fixture(params=[True, False], ids=["alone", "beside a thread"])
def alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether this thread is the only one, whatever threads other tests have left."""
    if request.param:
        monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])
        yield True
        return
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield False
    end.set()
    thread.join()


def test_objects_that_cannot_say_what_they_are_do_not_matter(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = Lazy()
    django = types.ModuleType("django.db")
    django.connections = lazy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django.db", django)
    file = tmp_path / "jobs.db"
    refuse_deadlock(file)
    # Another thread could end the transaction in a connection that is not checked.
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=not alone)
    holder.execute("CREATE TABLE one (id)")
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(UsageError, match="would wait for its end"):
        refuse_deadlock(file)
    holder.close()
