"""What the API answers: the JSON of the commands, on every database."""

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.commands.test_contract import ENVIRONMENT, HOSTILE, Asked, validate
from tests.conftest import each_row
from tests.rows import Rows
from tests.web.api.conftest import everywhere
from tests.web.api.servers import Server

Run = Callable[..., Any]

SAME = {
    "/api/spawn/operations?limit=500": ("spawn list --limit 500", "spawn-list"),
    "/api/spawn/operations?since=2h&status=failed,dead,Completed": (
        "spawn list --limit 50 --since 2h --status failed,dead,completed",
        "spawn-list",
    ),
    "/api/spawn/operations?failed=true&limit=500": ("spawn list --failed --limit 500", "spawn-list"),
    "/api/spawn/operations?queue=transcode&limit=2": ("spawn list --queue transcode --limit 2", "spawn-list"),
    "/api/spawn/stats": ("spawn stats", "spawn-stats"),
    "/api/spawn/stats?hours=1000&queue=transcode&detailed=true": (
        "spawn stats --hours 1000 --queue transcode --detailed",
        "spawn-stats",
    ),
    "/api/failures": ("spawn why", "spawn-why-all"),
    "/api/failures?queue=segment&queue=transcode": ("spawn why --queue segment,transcode", "spawn-why-all"),
    "/api/jobs?queue=segment,mail&limit=500": ("job list --queue segment --queue mail --limit 500", "job-list"),
    "/api/jobs?status=dead&status=completed&limit=500": ("job list --status dead,completed --limit 500", "job-list"),
    "/api/schedules?queue=segment,mail": ("cron list --queue mail,segment", "cron-list"),
    "/api/failures?queue=segment&since=1000h&limit=1": (
        "spawn why --queue segment --since 1000h --limit 1",
        "spawn-why-all",
    ),
    "/api/jobs?limit=500": ("job list --limit 500", "job-list"),
    "/api/jobs?status=dead&since=1h": ("job list --status dead --since 1h", "job-list"),
    "/api/jobs/{root}": ("job show {root}", "job-show"),
    "/api/jobs/{lonely}": ("job show {lonely}", "job-show"),
    "/api/jobs/{cycle}": ("job show {cycle}", "job-show"),
    "/api/jobs/{root}/spawn-tree": ("spawn tree {root}", "spawn-tree"),
    "/api/jobs/{join}/spawn-tree?max_depth=1": ("spawn tree {join} --depth 1", "spawn-tree"),
    "/api/jobs/{cycle}/spawn-tree": ("spawn tree {cycle}", "spawn-tree"),
    "/api/jobs/{segment}/spawn-tree?children_only=true": ("spawn tree {segment} --children-only", "spawn-tree"),
    "/api/jobs/{root}/timeline": ("spawn timeline {root}", "spawn-timeline"),
    "/api/jobs/{join}/timeline?siblings=true": ("spawn timeline {join} --all", "spawn-timeline"),
    "/api/schedules": ("cron list", "cron-list"),
    "/api/schedules/{schedule}": ("cron show {schedule}", "cron-show"),
    "/api/schedules/nightly/runs?since=1000h": ("cron history nightly --since 1000h", "cron-history"),
    "/api/queues": ("queue list --internal", "queue-list"),
    "/api/queues/{queue}?hours=1000": ("queue stats {queue} --detailed --hours 1000", "queue-stats"),
}


@everywhere
def test_an_answer_is_what_the_command_prints(served: Server, full: Asked, run: Run) -> None:
    wrong = []
    for path, (command, schema) in SAME.items():
        # Without parameters, the contract of the commands asks every database.
        if "?" in path or full.url.startswith("sqlite"):
            answer = served.get(path.format(**full.names))
            words = command.format(**full.names).split()
            printed = run(*words, "--format", "json", url=full.url, env=ENVIRONMENT).json
            if (answer.status_code, answer.headers["content-type"]) != (200, "application/json"):
                wrong.append((path, answer.text))
            elif answer.json() != printed:
                wrong.append((path, answer.json(), printed))
            else:
                validate(printed, SCHEMAS[schema])
    assert wrong == []


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("mermaid", "text/vnd.mermaid; charset=utf-8"), ("dot", "text/vnd.graphviz; charset=utf-8")],
)
def test_a_drawing_is_what_the_command_prints(
    served: Server, full: Asked, run: Run, form: str, media_type: str
) -> None:
    for name in ("root", "join", "cycle", "lonely"):
        answer = served.get(f"/api/jobs/{full.names[name]}/spawn-tree?format={form}")
        assert answer.headers["content-type"] == media_type
        assert answer.text == run("spawn", "tree", full.names[name], "--format", form, url=full.url).stdout


def test_children_stand_inside_their_parents_when_nested(served: Server, full: Asked) -> None:
    flat = served.json(f"/api/jobs/{full.names['root']}/spawn-tree")
    nested = served.json(f"/api/jobs/{full.names['root']}/spawn-tree", format="nested")
    assert nested["total_nodes"] == len(flat["nodes"])
    edges, seen = set(), {}

    def walk(node: dict[str, Any], level: int) -> None:
        assert node["depth"] == level
        seen[node["id"]] = {key: value for key, value in node.items() if key in flat["nodes"][0] and key != "children"}
        for child in node["children"]:
            edges.add((node["id"], child["id"]))
            walk(child, level + 1)

    for root in nested["roots"]:
        walk(root, 0)
    assert edges == {(edge["from"], edge["to"]) for edge in flat["edges"]}
    assert seen == {
        node["id"]: {key: value for key, value in node.items() if key != "children"} for node in flat["nodes"]
    }


def test_a_job_with_several_parents_holds_its_children_once_when_nested(served: Server, full: Asked) -> None:
    found: list[Any] = []

    def walk(node: dict[str, Any]) -> None:
        found.append(node)
        for child in node["children"]:
            walk(child)

    nested = served.json(f"/api/jobs/{full.names['join']}/spawn-tree", format="nested")
    for root in nested["roots"]:
        walk(root)
    places = [node for node in found if node["id"] == full.names["join"]]
    assert sorted(node["repeated"] for node in places) == [False, True]
    cycle = served.json(f"/api/jobs/{full.names['cycle']}/spawn-tree", format="nested")
    assert cycle["roots"][0]["children"][0]["repeated"] is True


@everywhere
def test_the_number_of_failed_trees_is_exact_however_few_are_listed(served: Server, full: Asked) -> None:
    every = served.get("/api/spawn/operations?failed=true&limit=500")
    tops = served.get("/api/spawn/operations?failed=true&topmost=true&limit=1")
    assert every.headers["total-count"] == str(len(every.json()))
    assert len(tops.json()) == 1
    assert 1 < int(tops.headers["total-count"]) < len(every.json())
    assert "total-count" not in served.get("/api/spawn/operations").headers
    listed = served.json("/api/spawn/operations", topmost="true", limit=500)
    validate(listed, SCHEMAS["spawn-list"])
    assert {"tree"} <= listed[0].keys()
    inner = {one["parent_id"] for one in served.json("/api/spawn/operations", limit=500)}
    assert {one["parent_id"] for one in listed} < inner


@everywhere
def test_operations_can_be_those_of_roots_and_of_parents_before_a_time(served: Server, full: Asked) -> None:
    jobs = {job: served.json(f"/api/jobs/{job}") for job in _parents(served)}
    for more in ({}, {"failed": "true"}, {"topmost": "true"}):
        _assert_filtered(served, jobs, more)
    # The offset of a time that nobody has encoded arrives as a space.
    for wrong in ("yesterday", "2026-02-30T00:00Z", "2026-11", "2026-11-24T14:00 01:00"):
        assert served.get("/api/spawn/operations", params={"until": wrong}).status_code == 400


def _parents(served: Server, **wanted: str) -> list[str]:
    return [one["parent_id"] for one in served.json("/api/spawn/operations", limit=500, **wanted)]


def _assert_filtered(served: Server, jobs: dict[str, Any], more: dict[str, str]) -> None:
    def listed(**wanted: str) -> list[str]:
        return _parents(served, **more, **wanted)

    every, roots = listed(), listed(roots="true")
    assert 0 < len(roots) <= len(every)
    assert roots == [job for job in every if not jobs[job]["parents"]]
    older, newer = listed(until="1"), listed(since="1")
    assert sorted(older + newer) == sorted(every)
    assert listed(until="1000000") == []
    border = max(jobs[job]["created_at"] for job in every)
    older, newer = listed(until=border), listed(since=border)
    assert newer
    assert older or more
    assert sorted(older + newer) == sorted(every)


@everywhere
def test_the_jobs_below_one_are_counted(served: Server, full: Asked) -> None:
    tree = served.json(f"/api/jobs/{full.names['root']}/spawn-tree", children_only="true")
    counts = served.json(f"/api/jobs/{full.names['root']}/tree-counts")
    assert counts["total"] == len(tree["nodes"]) - 1
    assert counts["more"] is False
    failed = served.json("/api/failed-jobs", limit=3)
    assert failed == sorted(failed, key=lambda job: job["failed_at"] or "", reverse=True)
    assert {job["status"] for job in failed} <= {"Failed", "Dead", "TimedOut"}


def test_configuration_can_be_left_out(served: Server, full: Asked) -> None:
    path = f"/api/jobs/{full.names['root']}/spawn-tree"
    complete = served.json(path)["nodes"]
    short = served.json(path, include_config="false")["nodes"]
    assert any("max_spawn_count" in (node["spawn_config"] or {}) for node in complete)
    assert {key for node in short for key in node["spawn_config"] or {}} <= {"operation_id"}
    for one, other in zip(complete, short, strict=True):
        assert (one["operation_id"], one["has_spawn_config"]) == (other["operation_id"], other["has_spawn_config"])


# Pages.


def pages(server: Server, path: str, **parameters: Any) -> list[Any]:
    """All pages of a list, by the cursor that each one gives; the link of the first leads the same way."""
    found, cursor = [], None
    while True:
        question = parameters if cursor is None else {**parameters, "cursor": cursor}
        answer = server.get(path, params=question)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = answer.headers.get("next-cursor")
        if cursor is None:
            assert "link" not in answer.headers
            return found
        link = re.fullmatch(r'<(.*)>; rel="next"', answer.headers["link"])
        assert link
        if len(found) > 1:
            continue
        following = server.get(path, params={**parameters, "cursor": cursor}).json()
        if "/children" not in path:
            assert server.get(path, params={**parameters, "cursor": cursor.rpartition("/")[2]}).json() == following
        assert server.get(link[1]).json() == following


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/jobs", "id"),
        ("/api/spawn/operations", "parent_id"),
        ("/api/spawn/operations?failed=true", "parent_id"),
        ("/api/jobs/{root}/children", "id"),
        ("/api/jobs/{lonely}/children", "id"),
        ("/api/jobs/{cycle}/children", "id"),
        ("/api/jobs/{root}/children?depth=5", "id"),
    ],
)
@everywhere
def test_pages_hold_everything_once_and_in_order(served: Server, full: Asked, path: str, key: str) -> None:
    path, _, depth = path.format(**full.names).partition("?")
    parameters = dict([depth.split("=")]) if depth else {}
    whole = [row[key] for row in served.json(path, limit=500, **parameters)]
    small = pages(served, path, limit=3, **parameters)
    assert [row[key] for page in small for row in page] == whole
    assert all(len(page) == 3 for page in small[:-1])
    assert len(set(whole)) == len(whole)


@everywhere
def test_children_come_with_the_failed_first_then_those_above_failures_then_what_runs_then_the_oldest(
    served: Server, full: Asked
) -> None:
    tree = served.json(f"/api/jobs/{full.names['root']}/spawn-tree")
    parents = [edge["from"] for edge in tree["edges"]]
    for parent in dict.fromkeys(parents):
        children = served.json(f"/api/jobs/{parent}/children", limit=500)
        assert {child["id"] for child in children} == {edge["to"] for edge in tree["edges"] if edge["from"] == parent}
        places = [(_urgency(child), child["created_at"], child["id"]) for child in children]
        assert places == sorted(places)
        counts = {node["id"]: node["children"] for node in tree["nodes"]}
        assert {child["id"]: child["children"] for child in children}.items() <= counts.items()


def _urgency(child: dict[str, Any]) -> int:
    failed = child["status"] in {"Failed", "Dead", "TimedOut"}
    return 0 if failed else 1 if child["failed_below"] else 2 if child["status"] == "Running" else 3


@everywhere
def test_children_are_filtered_and_counted(served: Server, full: Asked) -> None:
    path = f"/api/jobs/{full.names['segment']}"
    parent = served.json(path)["parents"][0]["id"]
    everybody = served.json(f"/api/jobs/{parent}/children")
    groups = served.json(f"/api/jobs/{parent}/child-groups")
    assert sum(group["jobs"] for group in groups) == len(everybody)
    for group in groups:
        of = {"status": group["status"], "queue": group["queue"]}
        if group["failed_below"]:
            of["failed_below"] = "true"
        chosen = served.json(f"/api/jobs/{parent}/children", **of)
        assert len(chosen) == group["jobs"]
        assert sum(child["failed_below"] for child in chosen) == group["failed_below"]
        assert {child["status"] for child in chosen} == {group["status"]}
    deep = served.json(f"/api/jobs/{full.names['root']}/children", depth=3, status="dead", limit=500)
    assert full.names["segment"] in {job["id"] for job in deep}
    assert {job["status"] for job in deep} == {"Dead"}


def test_parents_are_the_ancestors_of_the_lineage(served: Server, full: Asked, run: Run) -> None:
    for name in ("segment", "join", "root", "cycle"):
        command = ("spawn", "lineage", full.names[name], "--ancestors", "--format", "json")
        for depth in (1, 10):
            printed = run(*command, "--depth", str(depth), url=full.url).json["ancestors"]
            assert served.json(f"/api/jobs/{full.names[name]}/parent", depth=depth) == printed
    assert [job["distance"] for job in served.json(f"/api/jobs/{full.names['segment']}/parent")] == [1]


def test_workers_are_those_of_the_list(served: Server, full: Asked, run: Run) -> None:
    answer = served.json("/api/workers", since="100w")
    printed = run("worker", "list", "--since", "100w", "--format", "json", url=full.url, env=ENVIRONMENT).json
    assert len(answer) >= 1
    # Their heartbeats are older in the second answer.
    assert [_without_ages(worker) for worker in answer] == [_without_ages(worker) for worker in printed]
    validate(answer, SCHEMAS["worker-list"])
    assert len(served.json("/api/workers", since="100w", limit=1)) == 1
    for since in ("2020-01-01T00:00Z", "2999-01-01T00:00+01:00"):
        listed = run("worker", "list", "--since", since, "--format", "json", url=full.url, env=ENVIRONMENT).json
        assert [one["id"] for one in served.json("/api/workers", since=since)] == [one["id"] for one in listed]
    assert served.json("/api/workers", queue="no such queue") == []


def _without_ages(worker: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in worker.items() if not key.endswith("_seconds")}


# Operations, ids.


@everywhere
def test_an_operation_is_found_by_its_job_a_prefix_and_its_own_id(served: Server, full: Asked) -> None:
    listed = served.json("/api/spawn/operations", limit=500)
    named = [operation for operation in listed if operation["operation_id"]]
    ids = [operation["operation_id"] for operation in named]
    for operation in listed[:5]:
        found = served.json(f"/api/spawn/operations/{operation['parent_id'].upper()}")
        jobs = found.pop("jobs")
        assert found == operation
        assert len(jobs) == operation["children"]["total"]
    unique = next(operation for operation in named if ids.count(operation["operation_id"]) == 1)
    assert served.json(f"/api/spawn/operations/{unique['operation_id']}")["parent_id"] == unique["parent_id"]


def test_a_job_that_spawns_nothing_is_no_operation(served: Server, full: Asked) -> None:
    for path in (full.names["segment"], "no-such-operation", "ffff" * 8):
        answer = served.get(f"/api/spawn/operations/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.sqlite
def test_a_prefix_that_fits_several_jobs_is_a_conflict_with_candidates(
    serve: Callable[..., Server], empty_url: str
) -> None:
    ids = ["abcd0000-0000-4000-8000-000000000001", "abcd0000-0000-4000-8000-000000000002"]
    with closing(connect(empty_url)) as database:
        for job in ids:
            Rows(database).job(id=job)
    server = serve(empty_url)
    for path in ("/api/jobs/abcd", "/api/jobs/ABCD-0000/children", "/api/spawn/operations/abcd"):
        answer = server.get(path)
        assert answer.status_code == 409
        assert answer.json()["code"] == "ambiguous_id"
        assert answer.json()["candidates"] == ids
    assert server.json("/api/jobs/abcd0000000040008000000000000001")["id"] == ids[0]


def test_a_name_may_hold_anything(served: Server) -> None:
    found = served.json(f"/api/queues/{quote(HOSTILE, safe='')}")
    assert found["queue"] == HOSTILE
    assert served.get("/api/queues/no%2Fsuch%2Fqueue").status_code == 404


# What is wrong.


@each_row(
    ("path", "status", "code"),
    [
        ("/api/jobs/ffffffff-ffff-4fff-8fff-ffffffffffff", 404, "not_found"),
        ("/api/jobs/xyz", 400, "usage"),
        ("/api/jobs/abc", 400, "usage"),
        ("/api/queues/nothing-here", 404, "not_found"),
        ("/api/nothing-here", 404, "no_such_path"),
        ("/nothing-here", 404, "no_such_path"),
        ("/api/jobs/", 404, "no_such_path"),
        ("/api/jobs?limit=many", 400, "usage"),
        ("/api/jobs?limt=5", 400, "usage"),
        ("/api/jobs?limit=5&limit=6", 400, "usage"),
        ("/api/jobs?status=finished", 400, "usage"),
        ("/api/jobs?since=yesterday", 400, "usage"),
        ("/api/jobs?cursor=here", 400, "usage"),
        ("/api/spawn/stats?hours=nan", 400, "usage"),
        ("/api/spawn/stats?detailed=1", 400, "usage"),
        ("/api/jobs/{root}/spawn-tree?format=yaml", 400, "usage"),
        ("/api/queues/%00", 400, "usage"),
    ],
)
def test_an_error_is_a_problem_with_a_real_status(
    served: Server, full: Asked, path: str, status: int, code: str
) -> None:
    answer = served.get(path.format(**full.names))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"].endswith(".")


@pytest.mark.parametrize(
    ("path", "detail", "hint"),
    [
        ("/api/jobs/zzzz", "'zzzz' is not a job id.", "its first 4 hex digits"),
        ("/api/jobs?since=soon", "'soon' is not a duration or a time.", "15m"),
        ("/api/jobs?cursor=x", "'x' is not a cursor.", "Next-Cursor"),
        ("/api/jobs?limt=5", "There is no parameter 'limt' here.", "There are: limit, cursor, queue, status, since."),
    ],
)
def test_values_that_do_not_fit_are_named_in_words(served: Server, path: str, detail: str, hint: str) -> None:
    body = served.get(path).json()
    assert body["detail"] == detail
    assert hint in body["hint"]


def test_a_parameter_that_belongs_into_the_body_is_refused_with_a_hint(served: Server, full: Asked) -> None:
    path = f"/api/jobs/{full.names['root']}/retry"
    assert served.post(f"{path}?tree=true").json()["hint"] == 'Put it into the JSON body: {"tree": ...}'
    hint = served.post(f"{path}?x=1").json()["hint"]
    assert hint == "There are: none; in the JSON body: tree, force, dry_run, respawn, cancelled, now."
    bad = served.post("/api/jobs", {"queue": "a", "payload": 1, "depends_on": ["no"]}).json()["detail"]
    assert bad == "The body['depends_on'][0] is not valid: 'no' has another form."


def test_a_name_with_nul_is_refused_in_words(served: Server) -> None:
    for answer, what in (
        (served.get("/api/queues/ma%00il"), "The parameter 'name'"),
        (served.get("/api/jobs?queue=ma%00il"), "The parameter 'queue'[0]"),
        (served.post("/api/jobs", {"queue": "ma\0il", "payload": 1}), "The body['queue']"),
    ):
        assert answer.status_code == 400
        detail = answer.json()["detail"]
        assert detail == f"{what} is not valid: 'ma\\x00il' contains NUL, which not every database can store."


def test_an_unsupported_method_is_refused_with_the_supported_ones(served: Server) -> None:
    answer = served.client.put("/api/jobs", headers={"origin": served.url})
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert {word.strip() for word in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_the_head_of_an_answer_can_be_asked_for(served: Server) -> None:
    head, whole = served.client.head("/api/queues"), served.get("/api/queues")
    assert head.status_code == 200
    assert head.text == ""
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_a_tree_that_is_cut_says_so(served: Server, full: Asked) -> None:
    whole = served.json(f"/api/jobs/{full.names['root']}/spawn-tree")
    cut = served.json(f"/api/jobs/{full.names['root']}/spawn-tree", max_nodes=5)
    assert whole["truncated"] is False
    assert cut["truncated"] is True
    assert len(cut["nodes"]) <= 5


def test_an_empty_database_has_empty_lists(serve: Callable[..., Server], migrated_url: str) -> None:
    server = serve(migrated_url)
    for path in ("/api/jobs", "/api/spawn/operations", "/api/queues"):
        assert server.json(path) == []
    assert server.json("/api/spawn/stats")["operations"] == 0
    assert server.json("/health") == {"status": "ok", "stalled_workers": 0}
