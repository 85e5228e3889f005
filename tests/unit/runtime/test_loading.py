"""Finding an application's handlers by name."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hammerwork_cli import Handlers
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.runtime.host.loading import load

APP = """
from hammerwork_cli import Handlers

app = Handlers()
empty = Handlers()
number = 17

@app.job("q")
def work(job):
    return 1

def make():
    return app

def make_nothing():
    return None

def fail():
    raise RuntimeError("no configuration")

class Box:
    inner = app
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """``module(text)``: the name of a module in ``tmp_path`` that has this text."""
    path, known = list(sys.path), set(sys.modules)

    def write(text: str) -> str:
        name = f"handlers_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return name

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize("attribute", ["app", "make", "Box.inner"])
def test_handlers_are_named_by_module_and_attribute_or_made_by_a_function(module, tmp_path, attribute):
    found = load(f"{module(APP)}:{attribute}", tmp_path)
    assert isinstance(found, Handlers)
    assert found.queues == ("q",)


def test_the_current_folder_is_searched_first(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert isinstance(load(f"{module(APP)}:app"), Handlers)


def test_a_module_that_one_of_the_standard_library_shadows_is_said_to_be_so(module, tmp_path):
    (tmp_path / "queue.py").write_text(APP, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"means another module .*: that of Python's standard library") as caught:
        load("queue:app", tmp_path)
    assert caught.value.hint == "Rename your module."


def test_a_module_in_a_package_is_found(module, tmp_path):
    (tmp_path / "pack_of_handlers").mkdir()
    (tmp_path / "pack_of_handlers" / "video.py").write_text(APP, encoding="utf-8")
    assert isinstance(load("pack_of_handlers.video:app", tmp_path), Handlers)


@pytest.mark.parametrize("target", ["handlers", "handlers:", ":app", ""])
def test_a_name_has_two_parts(target, tmp_path):
    with pytest.raises(ConfigError, match="names no handlers") as caught:
        load(target, tmp_path)
    assert "module:attribute" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere_to_be_found:app", "There is no module 'nowhere_to_be_found'"),
        ("handlers.py:app", "There is no module 'handlers.py'"),
        ("hammerwork_cli.nowhere:app", "There is no module 'hammerwork_cli.nowhere'"),
    ],
)
def test_a_module_that_is_not_there_is_said_to_be_missing(module, tmp_path, target, message):
    with pytest.raises(ConfigError, match=message):
        load(target, tmp_path)


def test_a_missing_module_comes_with_the_folder_that_was_searched(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load("nowhere_to_be_found:app", tmp_path)
    assert f"the installed modules, then {tmp_path} (--app-dir" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("application", "There is no application in the module"),
        ("app.inner", "There is no app.inner in the module"),
        ("number", "is of type int, not a Handlers, a Worker, or a function"),
        ("make_nothing", "is of type NoneType, not a Handlers"),
        ("empty", "has no handlers"),
        ("work", r"work is called without arguments, and has the parameters \(job\): it is not a Handlers"),
        ("fail", r"failed when it was called: RuntimeError: no configuration \(.*, line 19\)"),
    ],
)
def test_a_target_that_is_not_handlers_is_refused_with_its_type(module, tmp_path, attribute, message):
    with pytest.raises(ConfigError, match=message):
        load(f"{module(APP)}:{attribute}", tmp_path)


def test_a_handler_in_place_of_all_gets_a_hint_with_the_handlers(module, tmp_path):
    name = module(APP)
    with pytest.raises(ConfigError) as caught:
        load(f"{name}:work", tmp_path)
    assert caught.value.hint == f"Name the Handlers: {name}:app, {name}:empty"


def test_an_error_of_the_library_while_a_module_is_imported_keeps_its_hint(module, tmp_path):
    generator = 'from hammerwork_cli import Handlers\napp = Handlers()\n\n@app.job("a")\ndef a(job):\n    yield 1\n'
    with pytest.raises(ConfigError, match=r"The handler of 'a' is a generator, .* \(.*, line 4\)") as caught:
        load(f"{module(generator)}:app", tmp_path)
    assert "@app.spawn" in (caught.value.hint or "")


def test_a_wrong_attribute_gets_a_hint_with_the_right_one(module, tmp_path):
    name = module(APP)
    with pytest.raises(ConfigError) as caught:
        load(f"{name}:handlers", tmp_path)
    assert f"{name}:app" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nraise KeyError('DATABASE_URL')", r"KeyError: 'DATABASE_URL' \(.*\.py, line 2\)"),
        ("\n\nimport not_installed_anywhere", r"No module named 'not_installed_anywhere' \(.*\.py, line 3\)"),
        ("def broken(:\n", r"SyntaxError: [^()]* \([^()]*\.py, line 1\)"),
        ("from hammerwork_cli import Nothing", r"ImportError: cannot import name 'Nothing'.*line 1\)"),
        ("import sys\nsys.exit(3)", r"SystemExit: 3 \(.*\.py, line 2\)"),
    ],
)
def test_a_module_that_does_not_import_tells_its_own_error_and_line(module, tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"cannot be imported: .*{message}"):
        load(f"{module(text)}:app", tmp_path)
