"""The Mermaid parser that other tests rely on says no when it should."""

import pytest

from tests.mermaid_parser import MermaidParser


def test_a_flowchart_comes_back_as_nodes_edges_and_classes(parse_mermaid: MermaidParser) -> None:
    text = 'graph TD\n  a["one"]:::done -->|why| b("two")\n  classDef done fill:#dfd\n'
    diagram = parse_mermaid(text)
    assert diagram.ok
    assert diagram.kind == "flowchart-v2"
    assert diagram.labels == {"a": "one", "b": "two"}
    assert [(edge["from"], edge["to"], edge["label"]) for edge in diagram.edges] == [("a", "b", "why")]
    assert diagram.nodes[0]["classes"] == ["done"]
    assert diagram.classes == {"done": ["fill:#dfd"]}


def test_a_label_is_what_a_reader_sees(parse_mermaid: MermaidParser) -> None:
    diagram = parse_mermaid('graph TD\n  a["#lt;b#gt; #quot;é#quot; #35;<br/>日本"]')
    assert diagram.labels == {"a": '<b> "é" #\n日本'}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("graph TD\n  a[", "Parse error"),
        ("graph TD\n" + "".join(f"  a{n} --> b{n}\n" for n in range(501)), "Edge limit"),
        ("graph TD\n" + "  a --> b\n" * 6000, "Maximum text size"),
        ("no diagram", "No diagram type"),
    ],
    ids=["broken", "edges", "length", "unknown"],
)
def test_a_diagram_that_mermaid_would_not_draw_is_refused(parse_mermaid: MermaidParser, text: str, why: str) -> None:
    diagram = parse_mermaid(text)
    assert not diagram.ok
    assert diagram.error is not None
    assert why in diagram.error


def test_many_diagrams_are_answered_in_their_order(parse_mermaid: MermaidParser) -> None:
    diagrams = parse_mermaid.many([f"graph TD\n  n{n}\n" if n % 2 else "graph TD\n  n[" for n in range(6)])
    assert [diagram.ok for diagram in diagrams] == [False, True] * 3
    assert diagrams[3].labels == {"n3": "n3"}
