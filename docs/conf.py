"""How Sphinx makes a site of these pages: ``make docs``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hammerwork_cli import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "hammerwork"
author = "The hammerwork-cli authors"
release = version = __version__
html_title = f"hammerwork {version}"
html_theme = "furo"
html_show_copyright = False

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_heading_anchors = 4  # named as forges name them
myst_fence_as_directive = ["mermaid"]

PAGE_LINK = re.compile(r"\]\(([\w./-]+)\.md\)")
LINK = re.compile(r"(?<!!)\[([^][]+)\]\(([^)#:]+)(?:#[^)]*)?\)")


def adapt(app: "Sphinx", page: str, text: list[str]) -> None:
    """Makes what a forge shows well into what Sphinx understands."""
    folder = Path(page).parent
    text[0] = LINK.sub(lambda link: without_link(app.srcdir / folder, link), text[0])
    if Path(page).name == "index":
        text[0] += contents(folder, text[0], app.env.found_docs)


def contents(folder: Path, text: str, pages: set[str]) -> str:
    """The pages that an index page links to, in that order: the site's contents.

    A toctree in the page itself would show as code on a forge.
    """
    linked = [link for link in dict.fromkeys(PAGE_LINK.findall(text)) if str(folder / link) in pages]
    return "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(linked) + "\n```\n"


def without_link(folder: Path, link: re.Match[str]) -> str:
    """A link to a file that is not part of the site as the name of that file."""
    docs, target = Path(__file__).parent, (folder / link[2]).resolve()
    if target.is_relative_to(docs) or not target.is_relative_to(docs.parent):
        return link[0]
    name = str(target.relative_to(docs.parent))
    return link[1] if link[1].strip("`/") == name else f"{link[1]} (`{name}` in the repository)"


def setup(app: "Sphinx") -> None:
    """Called by Sphinx."""
    app.connect("source-read", adapt)
