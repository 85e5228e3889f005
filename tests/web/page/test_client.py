"""The JavaScript client in Node, at a live server."""

import contextlib
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from docs import client_types
from hammerwork_cli import Job, Queue, Workflow
from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.database import DatabaseUrl
from tests.conftest import Outcome, unavailable
from tests.web.page.sites import Night, Site, serving

HERE = Path(__file__).parent
TOOLS = HERE.parent / "node_modules"
STATIC = HERE.parent.parent.parent / "hammerwork_cli" / "web" / "static"


@dataclass
class Refusal:
    """A SpawnError."""

    name: str
    status: int
    detail: str
    hint: str | None
    code: str | None
    problem: dict[str, Any]


class Node:
    """A process that calls the client."""

    def __init__(self, node: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([node, "client.mjs"], cwd=HERE, encoding="utf-8", **pipes)

    def ask(self, site: str, method: str, *given: Any, **options: Any) -> None:
        """Starts a call; ``options`` are the client's."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"client": [site, options], "method": method, "arguments": given}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """The answer to the call, or its refusal."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "node ended"
        answer = json.loads(line)
        self.cursor = answer.get("cursor")
        return Refusal(**answer["error"]) if "error" in answer else answer.get("answer")

    def call(self, site: str, method: str, *given: Any, **options: Any) -> Any:
        self.ask(site, method, *given, **options)
        return self.answer()

    def wait_for_stream(self) -> None:
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "open\n"


def node_path() -> str:
    path = shutil.which("node") or shutil.which("nodejs")
    if path is None:
        unavailable("node is missing: install nodejs and npm")
    return path


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A process that calls the client, for all tests. It must exit without being killed."""
    running = Node(node_path())
    yield running
    _, complaints = running.process.communicate(timeout=20)
    assert running.process.returncode == 0
    assert complaints.replace("open\n", "") == ""


@pytest.fixture
def printed(run: Callable[..., Outcome], demo: Site) -> Callable[..., Any]:
    """``printed(*args)``: the JSON that the command prints."""

    def command(*args: str) -> Any:
        return run(*args, "--format", "json", url=f"sqlite:///{demo.database}").json

    return command


def test_the_example_of_the_documentation_works(node: Node, demo: Site, night: Night) -> None:
    tree = node.call(demo.url, "getSpawnTree", night.broken.id)
    stats = node.call(demo.url, "getSpawnStats", "video_ingest", 24)
    operations = node.call(demo.url, "getSpawnOperations", 2)

    assert tree["target"] == night.broken.id
    assert len(tree["nodes"]) == 41
    assert stats["operations"] == 3
    assert len(operations) == 2


def test_answers_equal_the_output_of_the_commands(
    node: Node, demo: Site, night: Night, printed: Callable[..., Any]
) -> None:
    job = night.broken.id

    assert node.call(demo.url, "getSpawnTree", job) == printed("spawn", "tree", job, "--depth", "10")
    assert node.call(demo.url, "getSpawnOperations", 50) == printed("spawn", "list", "--limit", "50")
    assert node.call(demo.url, "getJob", job) == printed("job", "show", job)
    queues = node.call(demo.url, "getQueues")
    assert [(one["queue"], one["by_status"]) for one in queues] == [
        (one["queue"], one["by_status"]) for one in printed("queue", "list")
    ]
    stats = node.call(demo.url, "getSpawnStats", None, 24, {"detailed": True})
    assert stats["by_queue"] == printed("spawn", "stats", "--detailed")["by_queue"]


def test_depth_limit_and_configuration_are_parameters(node: Node, demo: Site, night: Night) -> None:
    shallow = node.call(demo.url, "getSpawnTree", night.broken.id, "json", 1)
    small = node.call(demo.url, "getSpawnTree", night.broken.id, "json", 10, {"maxNodes": 5})
    below = node.call(demo.url, "getSpawnTree", night.running.id, "json", 10, {"childrenOnly": True})
    bare = node.call(demo.url, "getSpawnTree", night.broken.id, "json", 0, {"includeConfig": False})

    assert {one["depth"] for one in shallow["nodes"]} == {0, 1}
    assert small["truncated"]
    assert below["roots"] == [night.running.id]
    assert bare["nodes"][0]["spawn_config"] == {"operation_id": "ingest-001"}


def test_diagrams_are_text(node: Node, demo: Site, night: Night, run: Callable[..., Outcome]) -> None:
    for form, depth in (("mermaid", "10"), ("dot", "1")):
        words = ("spawn", "tree", night.broken.id, "--format", form, "--depth", depth)
        printed = run(*words, url=f"sqlite:///{demo.database}").stdout
        assert node.call(demo.url, "getSpawnTree", night.broken.id, form, int(depth)) == printed


def test_children_come_page_by_page_failures_first(node: Node, demo: Site, night: Night) -> None:
    parent = night.dead[0].depends_on[0]
    found, cursor = [], None
    while True:
        page = node.call(demo.url, "getChildren", parent, {"limit": 3, "cursor": cursor})
        found += page
        cursor = node.cursor
        if cursor is None:
            break

    assert [one["status"] for one in found[:2]] == ["Dead", "Dead"]
    assert sorted(one["id"] for one in found) == sorted(job.id for job in night.jobs if parent in job.depends_on)
    groups = node.call(demo.url, "getChildGroups", parent)
    assert groups == [
        {"queue": "segment", "status": "Dead", "jobs": 2, "failed_below": 0, "more_failed_below": False},
        {"queue": "segment", "status": "Completed", "jobs": 6, "failed_below": 0, "more_failed_below": False},
    ]
    top = night.broken.id
    assert [one["failed_below"] for one in node.call(demo.url, "getChildren", top, {"failedBelow": True})] == [2]
    assert len(node.call(demo.url, "getChildren", top, {"failedBelow": False})) == len(night.children(night.broken)) - 1
    only = node.call(demo.url, "getChildren", parent, {"status": "Dead", "queue": "segment"})
    assert [one["id"] for one in only] == [one["id"] for one in found[:2]]
    ancestors = node.call(demo.url, "getParents", night.dead[0].id, {"depth": 5})
    assert [one["queue"] for one in ancestors] == ["video_ingest", "transcode"]


def test_failed_trees_come_by_their_tops_with_their_number_and_counts(node: Node, demo: Site, night: Night) -> None:
    [broken] = node.call(demo.url, "getSpawnOperations", 5, {"failed": True, "topmost": True})
    counts = node.call(demo.url, "getTreeCounts", night.broken.id)
    failures = node.call(demo.url, "getFailedJobs", 5, {"queue": "segment", "since": "1h"})

    assert (broken["parent_id"], broken["failed_below"], broken["children"]["failed"]) == (night.broken.id, 2, 0)
    assert broken["tree"] == counts
    assert (counts["total"], counts["failed"], counts["more"]) == (40, 2, False)
    assert {job["id"] for job in failures} == {job.id for job in night.dead}


def test_an_error_carries_its_status_detail_hint_and_code(node: Node, demo: Site) -> None:
    unknown = node.call(demo.url, "getJob", "00000000-0000-4000-8000-000000000000")
    wrong = node.call(demo.url, "getSpawnOperations", -1)
    nowhere = node.call("http://127.0.0.1:9", "getQueues")

    assert (unknown.name, unknown.status, unknown.code) == ("SpawnError", 404, "not_found")
    assert "00000000-0000-4000-8000-000000000000" in unknown.detail
    assert unknown.hint is not None
    assert unknown.problem["title"] == "Not Found"
    assert wrong.status == 400
    assert "limit" in wrong.detail
    assert (nowhere.status, nowhere.detail) == (0, "The server cannot be reached.")


def test_the_token_is_sent(node: Node, demo: Site) -> None:
    with serving(demo.database, "--token", "correct-horse-battery-staple") as site:
        refused = node.call(site.url, "getQueues")
        accepted = node.call(f"{site.url}/", "getQueues", token="correct-horse-battery-staple")
        streamed = node.call(site.url, "listen", {"wanted": 1})

    assert (refused.status, refused.code) == (401, "token")
    assert len(accepted) == 5
    assert streamed == [{"status": 401}], "it does not ask again and again"


def test_jobs_and_queues_are_changed(node: Node, own_demo: Site, own_night: Night) -> None:
    dead, running = own_night.dead[0].id, own_night.running
    retried = node.call(own_demo.url, "retryJob", dead)
    planned = node.call(own_demo.url, "retryJob", own_night.broken.id, {"tree": True, "dryRun": True})
    cancelled = node.call(own_demo.url, "cancelJob", dead, {"reason": "no need"})
    refused = node.call(own_demo.url, "retryJob", running.id)
    enqueued = node.call(own_demo.url, "enqueue", {"queue": "segment", "payload": {"n": 1}})
    paused = node.call(own_demo.url, "pauseQueue", "segment", "disk is full")
    resumed = node.call(own_demo.url, "resumeQueue", "segment")

    assert retried["changed"] == 1
    assert (planned["changed"], planned["dry_run"]) == (1, True)
    assert cancelled["changed"] == 1
    assert own_demo.status(dead) == "Failed"
    assert refused.status == 409
    assert own_demo.status(enqueued["id"]) == "Pending"
    assert (paused["paused"], paused["reason"]) == (True, "disk is full")
    assert resumed["paused"] is False


def test_workflows_are_read_and_changed(node: Node, own_demo: Site) -> None:
    made = Workflow("nightly").add("a", Job("a")).add("b", Job("b"), after="a")
    with Queue(DatabaseUrl.of_file(own_demo.database)) as queue:
        jobs = queue.enqueue_workflow(made)
    listed = node.call(own_demo.url, "getWorkflows", 50, {"name": "night", "status": "running"})
    graph = node.call(own_demo.url, "getWorkflowGraph", made.id)
    cancelled = node.call(own_demo.url, "cancelWorkflow", made.id, {"reason": "no need"})
    retried = node.call(own_demo.url, "retryWorkflow", made.id, {"cancelled": True})
    again = node.call(own_demo.url, "getWorkflow", made.id)

    assert [row["id"] for row in listed] == [made.id]
    assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [(jobs["a"].id, jobs["b"].id)]
    assert (cancelled["action"], retried["action"]) == ("cancel", "retry")
    assert (again["status"], again["pending"], again["waiting"]) == ("running", 2, 1)


def test_workers_are_asked_to_spawn_again(node: Node, own_demo: Site, own_night: Night) -> None:
    job = own_night.running.id
    asked = node.call(own_demo.url, "spawnAgain", job, "transcode", {"max_spawn_count": 3})
    nothing = node.call(own_demo.url, "spawnAgain", "00000000-0000-4000-8000-000000000000")

    assert asked["job_id"] == job
    assert asked["handler"] == "transcode"
    assert nothing.status == 404
    assert node.call(own_demo.url, "getWorkers") == []


def test_a_subscription_delivers_changes_until_it_ends(node: Node, own_demo: Site, own_night: Night) -> None:
    job = own_night.dead[0].id
    node.ask(own_demo.url, "listen", {"wanted": 3})
    node.wait_for_stream()
    own_demo.execute(
        "UPDATE hammerwork_jobs SET status = 'Completed', completed_at = ? WHERE id = ?",
        rfc3339(datetime.now(UTC)),
        job,
    )

    opened, ready, changed = node.answer()

    assert opened == "open"
    assert ready["type"] == "ready"
    assert changed["type"] == "jobs"
    assert [(one["id"], one["status"]) for one in changed["data"]["jobs"]] == [(job, "Completed")]
    assert node.call(own_demo.url, "listen", {"wanted": 0}) == []


def test_a_broken_stream_reconnects(node: Node, demo: Site) -> None:
    with serving(demo.database) as site:
        node.ask(site.url, "listen", {"wanted": 5, "opens": 2})  # it may be refused often before that
        node.wait_for_stream()
    with serving(demo.database, port=int(site.url.rpartition(":")[2])):
        heard = node.answer()
    node.wait_for_stream()

    assert heard[0] == "open"
    assert {"status": 0} in heard
    assert "open" in heard[1:]


def test_the_example_in_the_documentation_works(demo: Site, tmp_path: Path) -> None:
    examples = re.findall(
        r"```js\n(.*?)```", (STATIC.parent.parent.parent / "docs/web/client.md").read_text("utf-8"), re.DOTALL
    )
    program = "".join(examples).replace("http://localhost:8080", demo.url).replace("60_000", "1_000")
    shutil.copy(STATIC / "client.js", tmp_path)
    (tmp_path / "example.mjs").write_text(program, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")

    done = subprocess.run([node_path(), "example.mjs"], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60)

    assert done.stderr == ""
    assert "transcode: 6 of 8, 2 failed\ngraph TD" in done.stdout
    assert "404 There is no job 00000000-0000-4000-8000-000000000000." in done.stdout


# The shipped files.


def test_the_server_serves_the_client(demo: Site) -> None:
    connection = http.client.HTTPConnection(demo.url.removeprefix("http://"))
    connection.request("GET", "/client.js")
    with contextlib.closing(connection), connection.getresponse() as response:
        assert response.headers["Content-Type"].startswith("text/javascript")
        assert response.read() == (STATIC / "client.js").read_bytes()


def test_the_types_describe_the_answers_and_a_program_compiles_against_them(
    node: Node, demo: Site, night: Night, tmp_path: Path
) -> None:
    broken, dead = night.broken.id, night.dead[0].id
    answers = {
        "SpawnTree": ("getSpawnTree", broken),
        "SpawnOperation[]": ("getSpawnOperations",),
        "SpawnOperation & {jobs: TreeNode[]}": ("getSpawnOperation", broken),
        "SpawnStats": ("getSpawnStats", None, 24, {"detailed": True}),
        "TreeNode[]": ("getChildren", broken),
        "ChildGroup[]": ("getChildGroups", broken),
        "(JobNode & {distance: number})[]": ("getParents", dead, {"depth": 9}),
        "Job": ("getJob", dead),
        "ListedJob[]": ("getJobs",),
        "TreeCounts": ("getTreeCounts", broken),
        "(ListedJob & {failed_at: string | null})[]": ("getFailedJobs", 5),
        "Queue[]": ("getQueues",),
        "About": ("getAbout",),
        "HealthReport": ("getHealth",),
    }
    names = sorted(set(re.findall(r"\b[A-Z]\w+", " ".join(answers))))
    lines = [f'import type {{ {", ".join(names)} }} from "{STATIC / "client.js"}";']
    for kind, (method, *given) in answers.items():
        answer = node.call(demo.url, method, *given)
        assert answer, method
        lines.append(f"export const {method}: {kind} = {json.dumps(answer, indent=1)};")
    (tmp_path / "answers.ts").write_text("\n".join(lines), encoding="utf-8")

    compiler = tool("typescript").parent / ".bin" / "tsc"
    options = ["--strict", "--noEmit", "--target", "es2023", "--lib", "es2023,dom,dom.iterable", "--module", "nodenext"]
    done = subprocess.run(
        [compiler, "--ignoreConfig", *options, tmp_path / "answers.ts", HERE.parent / "client_types.ts"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_types_of_answers_are_the_shapes_of_the_program() -> None:
    assert client_types.FILE.read_text("utf-8") == client_types.client_types(), "run: make reference"


def test_the_types_name_every_method() -> None:
    source, types = (STATIC / name for name in ("client.js", "client.d.ts"))
    methods = set(re.findall(r"^  (?:async )?([a-z]\w*)\(", source.read_text("utf-8"), re.MULTILINE)) - {"constructor"}
    declared = set(re.findall(r"^  ([a-z]\w*)\(", types.read_text("utf-8"), re.MULTILINE)) - {"constructor"}
    assert methods == declared
    assert {"getSpawnTree", "getSpawnStats", "getSpawnOperations", "getChildren", "subscribe"} <= methods


def test_the_library_in_the_page_is_the_published_one_with_its_licence() -> None:
    published, shipped = tool("lit-html"), STATIC / "vendor" / "lit-html"
    files = [path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()]
    assert Path("LICENSE") in files
    assert [str(path) for path in files if (shipped / path).read_bytes() != (published / path).read_bytes()] == []


def tool(name: str) -> Path:
    """A package of ``tests/web/package.json``."""
    path = TOOLS / name
    if not path.is_dir():
        unavailable(f"{name} is missing: run 'npm ci' in tests/web, or 'make test'")
    return path
