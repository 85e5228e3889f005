"""Takes the pictures of the documentation: ``make pictures``, into docs/pictures or the folder in ``ARGS``.

Those of the terminal show what the program prints about a database in ``tests/data/dumps``, and
``tests.web.page.screenshots`` takes those of the page.
"""

import io
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

from tests.databases import PostgresDatabases
from tests.pages import ROOT
from tests.servers import server_url

COLUMNS = 118
FOLDER = ROOT / "docs" / "pictures"
TERMINAL = {"spawn-tree": ("media.postgresql", "spawn tree 178ebfc3")}
"""The dump and the command of each picture."""


def printed(command: str, url: str) -> str:
    """What a command prints on a terminal, with its colours."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": str(COLUMNS)}
    program = [sys.executable, "-P", "-m", "hammerwork_cli", "-u", url, "--color", "always", *command.split()]
    return subprocess.run(program, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


def drawn(name: str, command: str, output: str) -> str:
    """A terminal with a command and its output, as SVG that needs no font from elsewhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "green"), (f"hammerwork {command}", "bold")))
    console.print(Text.from_ansi(output.rstrip()))
    picture = console.export_svg(title="", unique_id=name)
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)


def words_of(picture: Path) -> str:
    """The text in a picture, without spaces."""
    shown = "".join(re.findall(r"<text[^>]*>(.*?)</text>", picture.read_text(encoding="utf-8"), re.DOTALL))
    return re.sub(r"\s", "", unescape(shown))


def main() -> None:
    """Writes all pictures anew."""
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    into.mkdir(parents=True, exist_ok=True)
    with server_url("postgres") as server:
        databases = PostgresDatabases(server)
        for name, (dump, command) in TERMINAL.items():
            url = databases.restored(dump)
            picture = drawn(name, command, printed(command, url))
            (into / f"{name}.svg").write_text(picture, encoding="utf-8")
            databases.drop(url)
        databases.close()
    from tests.web.page import screenshots

    screenshots.take(into)


if __name__ == "__main__":
    main()
