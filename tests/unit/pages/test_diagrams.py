"""The diagrams of the documentation can be drawn."""

from tests.mermaid_parser import MermaidParser
from tests.pages import Page, documentation


def test_mermaid_accepts_the_diagrams_of_all_pages(parse_mermaid: MermaidParser) -> None:
    drawn = [
        (f"{page.name}:{block.line}", block.text)
        for page in map(Page, documentation())
        for block in page.blocks
        if block.language == "mermaid"
    ]
    diagrams = parse_mermaid.many([text for _, text in drawn])
    places = [place for place, _ in drawn]
    assert places
    assert {place: one.error for place, one in zip(places, diagrams, strict=True) if one.error is not None} == {}
