"""The folders of the package stay small enough to be seen at a glance."""

from collections import Counter
from pathlib import Path

from tests.conftest import ROOT

MOST = 16
LONGEST = 400


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if "node_modules" not in path.parts]


def test_no_room_has_more_than_16_modules_side_by_side() -> None:
    folders = ("hammerwork_cli", "tests", "chaos", "mutants", "benchmarks", "examples")
    found = [path for folder in folders for path in modules(ROOT / folder)]
    rooms = Counter(path.parent.relative_to(ROOT) for path in found if path.name != "__init__.py")
    assert len(rooms) > 20
    assert {str(room): number for room, number in rooms.items() if number > MOST} == {}


def test_no_module_is_longer_than_400_lines() -> None:
    folders = ("hammerwork_cli", "chaos", "mutants", "benchmarks")
    found = [path for folder in folders for path in modules(ROOT / folder)]
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in found}
    assert len(lengths) > 300
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}
