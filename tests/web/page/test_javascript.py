"""The JavaScript of the page and the client: unit tests, and which module imports which.

``make check`` has types and rules.
"""

import re
import shutil
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

from tests.conftest import ROOT, unavailable

TOOLS = ROOT / "tests" / "web"
PAGE = ROOT / "hammerwork_cli" / "web" / "static" / "page"
ROOMS = ["", "tree", "state", "views"]
"""The folders of the page. A module imports from its own folder and those before it; main.js starts them all."""


def test_the_javascript_passes() -> None:
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        unavailable("node is missing: install nodejs and npm")
    done = subprocess.run([node, "unit/all.js"], cwd=TOOLS, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\S pass [1-9]", done.stdout, re.MULTILINE), done.stdout


def imports() -> dict[Path, set[Path]]:
    """Each module of the page with the modules that it imports."""
    pattern = re.compile(r'^(?:import|export) [^"]*"(\.[^"]+)";', re.MULTILINE)
    return {
        path.relative_to(PAGE): {
            (path.parent / name).resolve().relative_to(PAGE.parent) for name in pattern.findall(path.read_text("utf-8"))
        }
        for path in PAGE.rglob("*.js")
    }


def test_the_modules_of_the_page_import_each_other_in_one_direction() -> None:
    found = imports()
    own = {
        path: {one.relative_to("page") for one in wanted if one.parts[0] == "page"} for path, wanted in found.items()
    }
    assert len(own) > 20
    assert sum(map(len, own.values())) > 50
    TopologicalSorter(own).prepare()  # raises for a circle
    upward = [
        f"{path} imports {one}"
        for path, wanted in own.items()
        for one in wanted
        if path.name != "main.js" and ROOMS.index(str(one.parent).strip(".")) > ROOMS.index(str(path.parent).strip("."))
    ]
    assert upward == []


def test_only_the_templates_of_the_page_use_its_library() -> None:
    users = {str(path) for path, wanted in imports().items() if any(one.parts[0] == "vendor" for one in wanted)}
    assert users == {"template.js"}
