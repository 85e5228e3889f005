"""How Sphinx makes a site of these pages: ``make docs``."""

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

from hammerwork_cli import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "hammerwork"
author = "The hammerwork-cli authors"
release = version = __version__
html_title = f"hammerwork {version}"
html_theme = "furo"
html_show_copyright = False

extensions = ["myst_parser"]
myst_heading_anchors = 4  # named as forges name them
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["misc.highlighting_failure"]  # SQL with placeholders

# The diagrams are drawn by the Mermaid of the tests, so that the site works without a network; where that is not
# installed, a reader gets their text.
MERMAID = Path(__file__).parent.parent / "tests" / "mermaid" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
DRAW = """addEventListener("DOMContentLoaded", () => {
  const { theme } = document.body.dataset;
  const isDark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  mermaid.initialize({ startOnLoad: true, theme: isDark ? "dark" : "default" });
});"""
html_static_path = [str(MERMAID)] if MERMAID.exists() else []

PAGE_LINK = re.compile(r"\]\(([\w./-]+)\.md\)")
LINK = re.compile(r"(?<!!)\[([^][]+)\]\(([^)#:]+)(?:#[^)]*)?\)")


class Diagram(Directive):
    """A fence of Mermaid, for the browser to draw, or else to read."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The diagram's text."""
        text = "\n".join(self.content)
        if MERMAID.exists():
            return [nodes.raw("", f'<pre class="mermaid">{escape(text)}</pre>', format="html")]
        note = nodes.note(
            "", nodes.paragraph(text="A diagram in the language of Mermaid. make docs draws it where npm is installed.")
        )
        return [note, nodes.literal_block(text, text, language="text")]


def load_mermaid(app: "Sphinx", _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Loads what draws diagrams where there are any."""
    if 'class="mermaid"' in context.get("body", ""):
        app.add_js_file(MERMAID.name)
        app.add_js_file(None, body=DRAW)


def adapt(app: "Sphinx", page: str, text: list[str]) -> None:
    """Makes what a forge shows well into what Sphinx understands."""
    folder = Path(page).parent
    if folder.name == "commands" and Path(page).name != "index":
        text[0] = f"---\norphan: true\n---\n\n{text[0]}"  # its index is a table of all: the sidebar would repeat it
    text[0] = LINK.sub(lambda link: without_link(app.srcdir / folder, link), text[0])
    if Path(page).name == "index" and folder.name != "commands":
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
    app.add_config_value("draws_diagrams", MERMAID.exists(), "env")  # so that a change reads all pages again
    app.add_directive("mermaid", Diagram)
    app.connect("source-read", adapt)
    app.connect("html-page-context", load_mermaid)
