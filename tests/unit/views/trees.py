"""Trees made in memory, for the tests of everything that draws them."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import SpawnTree

START = datetime(2026, 11, 24, 14, 18, 25, 393217, tzinfo=UTC)
CONFIG = '{"handler": "media", "max_spawn_count": 100, "operation_id": "ingest_000"}'


def uuid(number: int) -> str:
    """An id whose first eight digits tell jobs apart."""
    return f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012d}"


def stored(instant: datetime | None) -> str | None:
    """An instant as PostgreSQL writes it."""
    return None if instant is None else instant.isoformat(" ", "microseconds").removesuffix(":00")


class Growing:
    """Adds jobs one by one, parents first, and makes a tree of them."""

    def __init__(self) -> None:
        self.nodes: dict[str, TreeNode] = {}

    def job(self, queue: str, status: str = "Completed", parents: Sequence[str] = (), **known: Any) -> str:
        """A new job; returns its id. ``known`` sets fields of the node; ``error``, ``attempts`` and so on."""
        number = len(self.nodes)
        created = START + timedelta(milliseconds=number)
        ended = created + timedelta(milliseconds=known.pop("took", 1400))
        began = stored(created)
        node = TreeNode(
            id=uuid(number),
            queue=queue,
            stored_status=status,
            stored_priority=2,
            attempts=0 if status == "Pending" else 1,
            stored_parents=json.dumps(list(parents)) if parents else None,
            created_at=began,
            started_at=None if status == "Pending" else began,
            completed_at=stored(ended) if status == "Completed" else None,
            failed_at=stored(ended) if status in {"Failed", "Dead", "TimedOut"} else None,
            error=None,
            stored_config=None,
            workflow_id=None,
            workflow_name=None,
            archived_at=None,
        )
        node = node._replace(**known) if known else node
        self.nodes[node.id] = node
        return node.id

    def depend(self, job: str, *parents: str) -> None:
        """Makes a job depend on others, earlier or later ones."""
        self.nodes[job] = self.nodes[job]._replace(stored_parents=json.dumps(parents))

    def tree(
        self,
        target: str | None = None,
        roots: tuple[str, ...] = (),
        *,
        child_counts: dict[str, Counts] | None = None,
        unread: frozenset[str] = frozenset(),
    ) -> SpawnTree:
        """The tree, whose target is the first job unless told."""
        nodes = self.nodes
        children: dict[str, list[str]] = {}
        missing: set[str] = set()
        parents = {job: node.depends_on for job, node in nodes.items()}
        for job, of_one in parents.items():
            for parent in dict.fromkeys(of_one):
                if parent in nodes:
                    children.setdefault(parent, []).append(job)
                else:
                    missing.add(parent)
        roots = roots or tuple(job for job, of_one in parents.items() if nodes.keys().isdisjoint(of_one))
        depths = dict.fromkeys(roots, 0)
        for job, of_one in parents.items():
            if job not in depths:
                depths[job] = 1 + max((depths.get(parent, 0) for parent in of_one), default=-1)
        return SpawnTree(
            roots=roots,
            target=target or roots[0],
            nodes=nodes,
            depths=depths,
            children=children,
            child_counts=child_counts or {},
            unread=unread,
            missing=frozenset(missing),
        )


def video() -> SpawnTree:
    """The 41 jobs of one ingested video, four of them dead."""
    growing = Growing()
    root = growing.job("video_ingest", stored_config=CONFIG)
    stages = ["transcode"] * 4 + ["thumbnail"] * 3 + ["subtitle"]
    stage_jobs = [growing.job(queue, parents=[root]) for queue in stages]
    for number, transcode in enumerate(stage_jobs[:4]):
        for segment in range(8):
            dead = number < 2 and segment in {2, 5}
            growing.job(
                "segment",
                "Dead" if dead else "Completed",
                [transcode],
                attempts=3 if dead else 1,
                error="Codec error: moov atom not found\nat offset 12" if dead else None,
            )
    return growing.tree()


def fan_out(width: int, status: Callable[[int], str] = lambda _: "Completed", **known: Any) -> SpawnTree:
    """A parent of ``width`` chunks."""
    growing = Growing()
    root = growing.job("dataset", stored_config=CONFIG)
    for number in range(width):
        growing.job("chunk", status(number), [root], **known)
    return growing.tree()


def chain(depth: int, last: str = "Completed") -> SpawnTree:
    """Jobs of which each spawned the next, ``depth`` levels below the first; the last one is the target."""
    growing = Growing()
    job = growing.job("crawl", stored_config=CONFIG)
    for level in range(depth):
        job = growing.job("crawl", last if level == depth - 1 else "Completed", [job], stored_config=CONFIG)
    return growing.tree(job)


def diamond(status: str = "Pending") -> SpawnTree:
    """Two branches that a join waits for."""
    growing = Growing()
    root = growing.job("decompose")
    left, right = growing.job("extract", "Completed", [root]), growing.job("transform", "Running", [root])
    growing.job("join", status, [left, right])
    return growing.tree()


def large(files: int) -> SpawnTree:
    """1,101 jobs for each file, in four levels; every 997th a dead chunk."""
    growing = Growing()
    root = growing.job("import", stored_config=CONFIG)
    for _ in range(files):
        file = growing.job("file", parents=[root], stored_config=CONFIG)
        for _ in range(10):
            part = growing.job("part", parents=[file], stored_config=CONFIG)
            for _ in range(109):
                dead = len(growing.nodes) % 997 == 0
                growing.job("chunk", "Dead" if dead else "Completed", [part], error="disk full" if dead else None)
    return growing.tree()


def tangle(seed: int, jobs: int = 40) -> SpawnTree:
    """Jobs that depend on each other at random: joins, cycles, jobs that depend on themselves or on nothing there."""
    random = Random(seed)
    growing = Growing()
    made = [growing.job("root")]
    for _ in range(jobs - 1):
        parents = random.sample(made, min(len(made), random.choice([1, 1, 1, 2, 3])))
        made.append(growing.job(random.choice("abc"), random.choice(STATUSES), parents))
    for job in random.sample(made[1:], 3):
        growing.depend(job, *growing.nodes[job].depends_on, random.choice([*made[1:], uuid(10**6)]))
    return growing.tree(random.choice(made), (made[0],))


STATUSES = ["Completed"] * 6 + ["Failed", "Dead", "TimedOut", "Running", "Pending", "Retrying", "weird"]

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "two\nlines\r\n\tand a tab",
    "\u202eright to left\u202c \u2066isolated\u2069",
    "zero\u200bwidth\ufeff \u2028separator",
    "lone \ud800 surrogate",
    "quotes \" and ' and `ticks`",
    "[bold]markup[/bold] <b>html</b> &amp; &#35; <script>alert(1)</script>",
    '"]; end; click n1 "javascript:alert(1)"',
    "end",
    "1. list",
    "- item",
    "# heading #35; #quot;",
    "**bold** __under__ _x_ ~~gone~~",
    "%%{init: {'securityLevel': 'loose'}}%%",
    "graph TD\nsubgraph x",
    "$$\\frac{1}{2}$$ \\n \\N \\",
    "a|b --> c:::d @{ shape: cyl }",
    "日本語の行列 ファイル",
    "עברית و العربية",
    "👩‍🚀 👨‍👩‍👧 ❤️‍🔥 🇩🇪",
    "e\u0301 é ñ",
    "\x00\x7f\x9b31m",
    "=cmd|' /C calc'!A0",
    "",
    " ",
    "x" * 5000,
    "http://example.com/?a=b&c=d www.example.com",
    "`**md**`",
]


def hostile() -> SpawnTree:
    """A tree in which every text of the database is meant to do harm."""
    growing = Growing()
    root = growing.job("root", stored_config='{"operation_id": "\\u001b]0;owned\\u0007"}', workflow_name=HOSTILE[0])
    for text in HOSTILE:
        parent = growing.job(text, "Dead", [root], error=f"{text}\n{text}", stored_config="not json")
        growing.job(text, text, [parent])
    return growing.tree()
