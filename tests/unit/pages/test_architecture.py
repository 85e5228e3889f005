"""The pages that explain the code name what is there."""

import re
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.pages import ROOT, Page

PACKAGE = ROOT / "hammerwork_cli"
ARCHITECTURE = Page(ROOT / "docs" / "explain" / "architecture.md")
BELOW = (
    ROOT,
    PACKAGE,
    *(PACKAGE / "features").glob("*/"),
    PACKAGE / "runtime",
    ROOT / "chaos",
    ROOT / "mutants",
    PACKAGE / "web" / "static",
)
"""Where a path may begin."""
PATH = re.compile(r"[\w.*-]*/[\w./*-]*|[\w*-]+\.(?:py|sql|toml|js)")
AVOIDED = {"utils.py", "helpers.py", "common.py"}
IMPORT = re.compile(r"^ *from ([\w.]+) import (?:\(([^)]*)\)|(.+))", re.MULTILINE)
EXPLAINING = [
    ARCHITECTURE,
    *(Page(ROOT / "docs" / "develop" / f"{name}.md") for name in ("code", "add", "chaos")),
]


def test_every_path_that_a_page_names_is_there() -> None:
    named = [(page.name, code) for page in EXPLAINING for code in page.code if PATH.fullmatch(code)]
    assert {page for page, _ in named} == {page.name for page in EXPLAINING}
    assert [one for one in named if one[1] not in AVOIDED and not is_there(one[1].rstrip("/"))] == []


def is_there(path: str) -> bool:
    """Whether a path leads somewhere; a file may stand without its folder, where the text around it says which."""
    return any([*folder.glob(path)] for folder in BELOW) or ("/" not in path and any(PACKAGE.rglob(path)))


def test_every_module_that_a_sequence_goes_through_is_there() -> None:
    named = {
        name for block in ARCHITECTURE.blocks for name in re.findall(r"participant \w+ as (\w+/[\w/]+)", block.text)
    }
    assert named
    assert [name for name in named if not is_there(f"features/{name}") and not is_there(f"features/{name}.py")] == []


def test_every_arrow_of_the_picture_is_an_import() -> None:
    picture = next(block.text for block in ARCHITECTURE.blocks if block.text.startswith("flowchart"))
    folders = dict(re.findall(r"(\w+)\[\(?\"<b>([\w/]+)</b>", picture))
    arrows = re.findall(r"(\w+) --> (\w+)", picture)
    assert arrows
    for start, end in arrows:
        name = folders[end].replace("/", r"\.")
        wanted = re.compile(rf"hammerwork_cli\.(features\.\w+\.)?{name}\b|hammerwork_cli\.features\.\w+\.{name[:-1]}\.")
        assert [found for found in imports(folders[start]) if wanted.match(found)], f"{start} --> {end}"


@cache
def imports(part: str) -> set[str]:
    """What the modules of a folder, or of this part of each feature, import."""
    places = [PACKAGE / part, *PACKAGE.glob(f"features/*/{part}"), *PACKAGE.glob(f"features/*/{part}.py")]
    return imported_by(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))


def imported_by(modules: Iterable[Path]) -> set[str]:
    found = [one for path in modules for one in IMPORT.findall(path.read_text(encoding="utf-8"))]
    return {f"{module}.{name}" for module, several, one in found for name in re.findall(r"\w+", several or one)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    imported = {
        name: {one if one in modules else one.rpartition(".")[0] for one in imported_by([path])} & modules.keys()
        for name, path in modules.items()
    }
    assert "hammerwork_cli.errors" in imported["hammerwork_cli.app"]
    TopologicalSorter(imported).prepare()  # raises a CycleError, which names them
