"""The diagrams of the documentation can be drawn."""

import pytest

from tests.mermaid_parser import MermaidParser
from tests.pages import Page, documentation

DRAWN = [page for page in map(Page, documentation()) if any(block.language == "mermaid" for block in page.blocks)]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in DRAWN])
def test_mermaid_accepts_the_diagrams_of_a_page(page: Page, parse_mermaid: MermaidParser) -> None:
    diagrams = parse_mermaid.many([block.text for block in page.blocks if block.language == "mermaid"])
    assert [diagram.error for diagram in diagrams] == [None] * len(diagrams)
