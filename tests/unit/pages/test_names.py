"""The tables of names and states in docs/ are complete."""

import ast
import inspect
import re
import textwrap
from enum import Enum

import hammerwork_cli
from docs import python_names
from hammerwork_cli import JobStatus, SpawnConfig, testing
from hammerwork_cli.view.json import WORKER_STATES
from tests.conftest import ROOT

CONFIGURATION = (ROOT / "docs" / "handlers" / "configure.md").read_text(encoding="utf-8")


def test_every_field_of_the_configuration_is_explained():
    (table,) = re.findall(r"\| field \| default.*?\n\n", CONFIGURATION, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.strip().splitlines())))
    assert named == set(SpawnConfig.__dataclass_fields__) - {"extra"}


def described(kind):
    """The arguments and attributes of which a docstring says something; ``a, b: ...`` describes both."""
    named = re.findall(r"^    ([a-z]\w*(?:, \w+)*): ", inspect.getdoc(kind), re.MULTILINE)
    return {name for names in named for name in names.split(", ")}


def test_the_reference_has_every_public_name():
    assert {*python_names.ORDER, *python_names.FUNCTIONS, *(one.__name__ for one in python_names.errors())} == {
        name
        for name in hammerwork_cli.__all__
        if name not in {"__version__", "Context"}  # which is SpawnContext
    }
    assert len(python_names.ORDER) == len(set(python_names.ORDER))


def test_the_reference_describes_every_method_and_every_argument_of_a_constructor():
    missing = set()
    for name in python_names.ORDER:
        kind = getattr(hammerwork_cli, name)
        members = dict(python_names.members(kind))
        silent = {one for one, value in members.items() if not inspect.getdoc(python_names.value_of(value))}
        is_made = name not in python_names.MADE and not issubclass(kind, Enum)
        given = {*inspect.signature(kind.__init__).parameters} - {"self"} if is_made else set()
        given -= {one.removeprefix("with_") for one in members} | {
            one for one in given if python_names.HIDDEN.match(one)
        }
        missing |= {f"{name}.{one}" for one in (silent | given) - described(kind)}
    assert missing == set()


def public(kind):
    """The names without an underscore that a class and its objects have, those of Python itself left out."""
    for one in kind.__mro__:
        if not one.__module__.startswith("hammerwork_cli"):
            continue
        yield from (*vars(one), *inspect.get_annotations(one))
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(one)))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) == "self"
            ):
                yield node.attr


def test_the_reference_has_every_name_without_an_underscore_of_every_public_class():
    sections = dict(
        re.findall(r"^##+ (\S+)\n(.*?)(?=^## |^### \w+Error\n|\Z)", python_names.page(), re.DOTALL | re.MULTILINE)
    )
    kinds = {name: getattr(hammerwork_cli, name) for name in hammerwork_cli.__all__ if name != "Context"}
    kinds |= {f"testing.{name}": getattr(testing, name) for name in testing.__all__}
    missing = []
    for name, kind in kinds.items():
        if inspect.isclass(kind):
            said = sections.get(name, "") + "".join(sections.get(one.__name__, "") for one in kind.__mro__[1:])
            rows = re.findall(r"^\| (`[\w`, ]+`) \|", said, re.MULTILINE)
            known = {one.strip("` ") for row in rows for one in row.split(",")}
            known |= {*re.findall(r"^(?:### [\w.]+\.|\*\*`)(\w+)", said, re.MULTILINE)} | {*dir(Exception)}
            missing += [f"{name}.{one}" for one in sorted({*public(kind)} - known) if not one.startswith("_")]
    assert missing == []


def test_the_page_about_states_has_every_status_of_jobs_dependencies_and_workers():
    page = (ROOT / "docs" / "reference" / "states.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    known = {*JobStatus, *WORKER_STATES, "none", "waiting", "satisfied", "failed"}
    assert named == known, "each has a row in docs/reference/states.md"
    explained = set(re.findall(r"^\| ([a-z ]+) \|", page.partition("## Statuses")[0], re.MULTILINE))
    assert set(re.findall(r"--> \w+: (.*)", page)) == explained - {"transition"}
