"""Each block of Python in the documentation passes ``mypy --strict``, and so in a reader's project."""

import re
import subprocess
import sys
from pathlib import Path

from tests.pages import ROOT, Block, Page, documentation

AGAIN = "# mypy: disable-error-code=no-redef"
"""The first line of a module: blocks of a page show several functions of one name."""
WRONG = 'from hammerwork_cli import Job\n\nJob("mail").with_priority("high").priority.word\n'


def module(blocks: list[Block], files: list[str]) -> str:
    """Blocks in one module, each at its line of the page."""
    text = AGAIN
    for block in blocks:
        text += "\n" * (block.line - text.count("\n")) + block.text
    return re.sub(rf"^from ({'|'.join(files)}) import", r"from .\1 import", text, flags=re.MULTILINE) if files else text


def write(folder: Path, blocks: list[Block]) -> None:
    """Writes what the blocks of a page share, and each of their files, as modules of a package."""
    folder.mkdir()
    files = [block.file.removesuffix(".py") for block in blocks if block.file]
    shared = [block for block in blocks if not block.file.startswith("test_")]
    modules = {"__init__": [], "page": shared} | {
        block.file.removesuffix(".py"): [block] for block in blocks if block.file
    }
    for name, parts in modules.items():
        (folder / f"{name}.py").write_text(module(parts, files), encoding="utf-8")


def test_every_example_in_python_passes_a_strict_type_checker(tmp_path: Path) -> None:
    pages = {
        page.name: [block for block in page.blocks if block.language == "python"] for page in map(Page, documentation())
    }
    for name, blocks in pages.items():
        if run := [block for block in blocks if not block.reason]:
            write(tmp_path / re.sub(r"\W", "_", name.removesuffix(".md")), run)
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--no-error-summary", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    found = (done.stdout + done.stderr).splitlines()
    # What mypy remembers of an earlier run has the path of that run.
    assert [re.sub(r".*/(wrong\.py:\d+): .*", r"\1", line) for line in found] == ["wrong.py:3"], "\n".join(found)
