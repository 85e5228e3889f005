"""The real Mermaid parser, in one node process for the whole test run."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "mermaid"


@dataclass(frozen=True, slots=True)
class Diagram:
    """What Mermaid made of a text.

    Attributes:
        ok: whether it accepts it, its limits of 500 edges and 50,000 characters included.
        error: its message when not.
        kind: ``flowchart-v2`` and so on.
        nodes: ``{"id", "label", "shape", "classes"}``; a label is what a reader sees, entities decoded.
        edges: ``{"from", "to", "label", "stroke"}``.
        classes: name -> styles of ``classDef``.
        tasks: ``{"text", "section", "crit", "start", "end"}`` of a Gantt chart; times in milliseconds since 1970.
    """

    ok: bool
    error: str | None
    kind: str | None
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    classes: dict[str, list[str]]
    tasks: list[dict[str, Any]]

    @property
    def labels(self) -> dict[str, str]:
        """Node id -> label."""
        return {node["id"]: node["label"] for node in self.nodes}


class MermaidParser:
    """Call it with one diagram, or :meth:`many`. Needs ``npm ci`` in ``tests/mermaid``."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, "parse.mjs"], cwd=FOLDER, text=True, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, text: str) -> Diagram:
        return self.many([text])[0]

    def many(self, texts: list[str]) -> list[Diagram]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the Mermaid parser ended; its message stands above")
        return [_diagram(one) for one in json.loads(answer)]

    def close(self) -> None:
        self._process.communicate()


def _diagram(result: dict[str, Any]) -> Diagram:
    return Diagram(
        ok=result["ok"],
        error=result["error"],
        kind=result["diagramType"],
        nodes=result["nodes"],
        edges=result["edges"],
        classes=result["classes"],
        tasks=result["tasks"],
    )
