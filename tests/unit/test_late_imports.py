"""What a library imports, and does not use at once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

HEAVY = """
VALUE = 7
def double(number): return 2 * number
class Kind: name = "kind"
"""
USER = """
import heavy
from heavy import double, Kind
def use(): return heavy.VALUE, double(2), Kind.name, Kind().name
"""


def python(folder: Path, program: str) -> list[str]:
    """What a program prints in an interpreter of its own, with these modules."""
    (folder / "heavy.py").write_text(HEAVY)
    (folder / "user.py").write_text(USER)
    (folder / "heir.py").write_text("from heavy import Kind\nclass Heir(Kind): pass\n")
    begin = f"import sys, threading; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]\n"
    begin += "from hammerwork_cli.late_imports import late, state_versions\n"
    done = subprocess.run([sys.executable, "-c", begin + program], capture_output=True, encoding="utf-8", check=True)
    return done.stdout.splitlines()


def test_a_stand_in_is_loaded_on_first_use_whatever_is_used(tmp_path: Path) -> None:
    program = """
with late("heavy"):
    import user
print("heavy" in sys.modules)
print(user.use())
print(user.heavy.VALUE, sys.modules["heavy"].VALUE)
"""
    assert python(tmp_path, program) == ["False", "(7, 4, 'kind', 'kind')", "7 7"]


def test_a_base_class_is_loaded_at_once(tmp_path: Path) -> None:
    program = """
with late("heavy"):
    import heir
import heavy
print(heir.Heir.name, issubclass(heir.Heir, heavy.Kind))
"""
    assert python(tmp_path, program) == ["kind True"]


def test_nothing_is_late_that_is_loaded_or_that_another_thread_could_import(tmp_path: Path) -> None:
    program = """
import json
end = threading.Event()
threading.Thread(target=end.wait).start()
with late("heavy", "json"):
    import user
end.set()
print(type(user.heavy).__name__, type(sys.modules["json"]).__name__)
"""
    assert python(tmp_path, program) == ["module module"]


def test_psycopg_and_asyncio_are_whole_after_the_driver_was_imported(tmp_path: Path) -> None:
    program = """
from hammerwork_cli.database import DatabaseUrl, driver
driver(DatabaseUrl.parse("postgresql://host/database"))
print({"importlib.metadata", "asyncio.sslproto", "base64", "locale", "random", "ssl", "zoneinfo"} & {*sys.modules})

import asyncio, psycopg, psycopg_binary, subprocess
from psycopg.conninfo import conninfo_attempts
shuffled = conninfo_attempts({"host": "127.0.0.1,127.0.0.2", "load_balance_hosts": "random"})
print(*sorted(one["host"] for one in shuffled))
print(psycopg.Xid.from_string("1_Z3RyaWQ=_YnF1YWw=").gtrid)
print(subprocess.run(["echo", "text"], stdout=subprocess.PIPE, text=True).stdout.strip())
from importlib.metadata import version
print(psycopg.__version__ == version("psycopg"), psycopg_binary.__version__ == version("psycopg-binary"))

async def greet_over_tls():
    async def answer(reader, writer):
        writer.write(b"no TLS here")
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=True, server_hostname="host")
    except OSError as error:
        print(type(error).__name__)
    server.close()
asyncio.run(greet_over_tls())

async def fail():
    raise ValueError
async def stack_of_failed_task():
    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    task.print_stack(file=sys.stdout)
asyncio.run(stack_of_failed_task())
"""
    whole = python(tmp_path, program)
    assert whole[:6] == ["set()", "127.0.0.1 127.0.0.2", "gtrid", "text", "True True", "SSLError"]
    assert whole[-1] == "ValueError"


@pytest.mark.postgres
def test_psycopg_reads_times_of_zones_after_the_driver_was_imported(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    program = f"""
from hammerwork_cli.database import connect
url = {new_database("postgres")!r}
connect(url).close()
print("zoneinfo" in sys.modules)

import psycopg
with psycopg.connect(url, options="-c TimeZone=Europe/Oslo") as connection:
    for binary in (False, True):
        (time,) = connection.cursor(binary=binary).execute("SELECT timestamptz '2026-07-01 12:00Z'").fetchone()
        print(time, time.tzinfo.key)
"""
    assert python(tmp_path, program) == ["False", *["2026-07-01 14:00:00+02:00 Europe/Oslo"] * 2]
