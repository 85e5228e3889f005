"""The source files that a worker watches."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from hammerwork_cli.runtime.host import sources
from hammerwork_cli.runtime.host.sources import Sources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sources, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(sources, "POLL_SECONDS", 0.01)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_files_of_an_application_are_watched_and_those_of_installed_packages_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = folder / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "watched_library.py").write_text("import colorsys\n")
    monkeypatch.syspath_prepend(installed)
    (folder / "watched_app.py").write_text("import watched_library\n")
    sys.modules.pop("colorsys", None)
    watched = Sources(folder)
    with watched.recorded():
        import_module("watched_app")
    (installed / "watched_library.py").write_text("changed = True\n")
    assert watched.changed() == []
    (folder / "watched_app.py").write_text("changed = True\n")
    assert watched.changed() == ["watched_app.py"]


def test_a_file_that_changes_while_it_is_read_or_that_disappears_has_changed(folder: Path) -> None:
    itself = "import os\nos.utime(__file__, (1, 1))\n"
    (folder / "changes_itself.py").write_text(itself)
    (folder / "disappears.py").write_text("import os\nos.remove(__file__)\n")
    watched = Sources(folder)
    with watched.recorded():
        import_module("changes_itself")
        import_module("disappears")
    assert watched.changed() == ["changes_itself.py", "disappears.py"]


def test_only_a_file_that_is_new_beside_the_others_ends_a_wait_in_which_none_changes(folder: Path) -> None:
    (folder / "waits_app.py").write_text("import pathlib\npathlib.Path(__file__).with_name('made.txt').touch()\n")
    watched = Sources(folder)
    with watched.recorded():
        import_module("waits_app")
    (folder / "package").mkdir()
    written = iter([folder / "package" / "notes.txt", folder / "package" / "__init__.py"])
    look = watched._changes

    def look_and_write() -> dict[str, sources.Stamp]:
        if (path := next(written, None)) is not None:
            path.touch()
        return look()

    watched._changes = look_and_write  # type: ignore[method-assign]
    assert watched.wait() == [os.path.join("package", "__init__.py")]  # noqa: PTH118


def test_a_file_that_appears_before_the_wait_begins_ends_it(folder: Path) -> None:
    (folder / "lacks.py").write_text("import lacking\n")
    watched = Sources(folder)
    with watched.recorded(), pytest.raises(ModuleNotFoundError):
        import_module("lacks")
    (folder / "lacking.py").touch()
    assert watched.wait() == ["lacking.py"]
