"""``import hammerwork_cli``: what it offers, and that it costs nothing until it is used."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest

import hammerwork_cli
from tests.conftest import ROOT


def loaded(code: str) -> set[str]:
    """The modules that some code imported."""
    command = [
        sys.executable,
        "-c",
        f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else():
    assert loaded("import hammerwork_cli") == {"hammerwork_cli"}


def test_a_handlers_module_pays_for_no_command_line_and_no_driver():
    modules = loaded("from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnHandler")
    assert "hammerwork_cli.runtime.api.handlers" in modules
    heavy = {"typer", "rich", "tabulate", "asyncio", "psycopg", "mysql", "sqlite3", "zoneinfo"}
    assert not modules & heavy
    assert not [module for module in modules if re.match(r"hammerwork_cli\.features\.\w+\.(commands|queries)", module)]


def test_every_public_name_is_there_and_described():
    assert [name for name in hammerwork_cli.__all__ if not getattr(hammerwork_cli, name).__doc__] == []
    assert {*hammerwork_cli.__all__} <= {*dir(hammerwork_cli)}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Wroker'"):
        hammerwork_cli.Wroker  # type: ignore[attr-defined]  # noqa: B018  asked for


def test_type_checkers_see_that_the_package_is_typed():
    assert (ROOT / "hammerwork_cli" / "py.typed").exists()


BLOCK = r"if .*:(?:\n(?: {4}.*)?)*?"
"""Of a module, such as that of ``TYPE_CHECKING``, up to a class in it."""


def test_no_two_classes_share_a_name():
    places = defaultdict(list)
    for path in (ROOT / "hammerwork_cli").rglob("*.py"):
        for name in re.findall(rf"^(?:{BLOCK}\n {{4}})?class (\w+)", path.read_text("utf-8"), re.MULTILINE):
            places[name].append(str(path.relative_to(ROOT)))
    assert len(places) > 100
    assert {name: paths for name, paths in places.items() if paths[1:]} == {}
