"""Limits hold for the whole tree: whoever sets them, for early and late children."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext, SpawnLimitError, Worker
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.spawn.queries import growth
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import tree
from hammerwork_cli.features.worker.queries import ancestry
from tests.conftest import all_databases
from tests.runtime.conftest import Stage

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))


def grow(app: Handlers, *, children: int = 2, config: SpawnConfig | None = None) -> None:
    """Jobs of ``node`` spawn others, without end."""

    @app.spawn("node")
    def split(context: SpawnContext) -> Iterator[Job]:
        for _ in range(children):
            child = Job("node", {}, max_attempts=1)
            yield child.with_spawn_config(config) if config else child


def size(stage: Stage, root: Job) -> int:
    return len(tree.tree(stage.database, root.id).nodes) - 1


def recur(stage: Stage, root: Job) -> None:
    """Starts an occurrence of a recurring root."""
    now = stage.database.json_timestamp(stage.database.now())
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = '{now}', next_run_at = '{now}' WHERE id = '{root.id}'")


def test_the_roots_limits_bind_those_below_that_say_nothing_or_more(stage: Stage, app: Handlers) -> None:
    grow(app)
    (wide,) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_descendants=20)))
    (deep,) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_depth=2)))
    stage.work(app, concurrency=4)
    assert size(stage, wide) == 20
    assert size(stage, deep) == 2 + 4
    generous = Handlers()
    grow(generous, config=SpawnConfig(max_descendants=1000, max_depth=30))
    (root,) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_descendants=6)))
    stage.work(generous, concurrency=4)
    assert size(stage, root) == 6


@all_databases
def test_a_tree_that_sets_no_limit_has_that_of_the_worker_and_others_go_on(stage: Stage, app: Handlers) -> None:
    grow(app)
    (root,) = stage.enqueue(Job("node", {}))
    stage.work(app, max_descendants=40, concurrency=1)
    assert size(stage, root) == 40
    ((error,), *others) = stage.rows("error_message", "status = 'Dead'")
    assert error == (
        "max_descendants allows 40 jobs below the root unless a spawn configuration, or --max-descendants of the"
        f" worker, sets another number, and this would be 42 (root {root.id}). Nothing was spawned."
    )
    assert {text for (text,) in others} == {error}
    (lifted, other) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_descendants=50)), Job("noop"))
    stage.work(app, max_descendants=40, concurrency=1)
    assert (size(stage, lifted), stage.status(lifted, other)) == (50, ["Completed"] * 2)


def test_the_limit_of_a_worker_costs_small_trees_no_counter(stage: Stage, app: Handlers) -> None:
    grow(app)
    (root,) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_depth=5)))
    stage.work(app, max_descendants=1000, concurrency=4)
    assert size(stage, root) == 2 + 4 + 8 + 16 + 32
    assert stage.database.query("SELECT * FROM hammerwork_spawn_trees") == []


def test_each_of_several_trees_that_grow_has_a_limit_of_its_own(stage: Stage, app: Handlers) -> None:
    grow(app)
    limits = (4, 8, 2)
    roots = [Job("node", {}).with_spawn_config(SpawnConfig(max_descendants=limit)) for limit in limits]
    stage.enqueue(*roots)
    stage.work(app)
    assert tuple(size(stage, root) for root in roots) == limits


LIMITS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"max_descendants": 50}, {"max_descendants": 7}, 7),
    ({"max_depth": 5}, {"max_depth": 2}, 3),
    ({"max_descendants": 7, "max_depth": 9}, {"max_descendants": 50, "max_depth": 3}, 7),
    ({"max_descendants": 50, "max_depth": 2}, {"max_descendants": 2, "max_depth": 9}, 1),
]
"""Of the root, of the only job below it, and how many jobs the tree has then."""


def test_an_ancestor_in_the_middle_may_set_a_tighter_limit_than_the_root_and_no_wider_one(
    stage: Stage, app: Handlers
) -> None:
    @app.spawn("node")
    def split(context: SpawnContext) -> list[Job]:
        child = Job("node", {}, max_attempts=1)
        if context.depth == 0:
            return [child.with_spawn_config(SpawnConfig(**context.parent_job.payload["middle"]))]
        return [child, Job("node", {}, max_attempts=1)]

    roots = [
        Job("node", {"middle": of_middle}).with_spawn_config(SpawnConfig(**of_root)) for of_root, of_middle, _ in LIMITS
    ]
    stage.enqueue(*roots)
    stage.work(app, concurrency=2)
    assert [size(stage, root) for root in roots] == [jobs for _, _, jobs in LIMITS]


def test_late_children_beyond_the_trees_limit_leave_its_room_to_others_where_their_parent_completes(
    stage: Stage, app: Handlers
) -> None:
    @app.spawn("root")
    @app.spawn("greedy")
    @app.spawn("modest")
    def split(context: SpawnContext) -> list[Job]:
        some = {"greedy": 4, "modest": 3}.get(context.parent_job.queue)
        return [Job("noop", {}) for _ in range(some)] if some else [greedy, modest]

    completes = SpawnConfig(on_error="complete")
    greedy, modest = Job("greedy", {}).with_spawn_config(completes), Job("modest", {}).with_spawn_config(completes)
    (root,) = stage.enqueue(Job("root", {}).with_spawn_config(SpawnConfig(max_descendants=5)))
    stage.work(app, concurrency=1)
    assert stage.status(root, greedy, modest) == ["Completed"] * 3
    assert stage.children(greedy) == []
    assert stage.children(modest, "status") == [("Completed",)] * 3
    recorded = {str(row[0]): row[1:] for row in stage.operations("parent_id, outcome, children, error_message")}
    outcome, children, error = recorded[greedy.id]
    assert (outcome, children) == ("failed", 0)
    assert error.startswith("max_descendants allows 5 jobs below the root, and this would be ")


@all_databases
def test_a_limit_that_comes_later_counts_who_is_there_already(stage: Stage, app: Handlers) -> None:
    @app.spawn("node")
    def late(context: SpawnContext) -> list[Job]:
        first = context.depth == 0
        config = SpawnConfig(max_descendants=5)
        return [Job("node", {}, max_attempts=1).with_spawn_config(config) for _ in range(3 if first else 1)]

    (root,) = stage.enqueue(Job("node", {}))
    stage.work(app)
    assert size(stage, root) == 5


def test_early_and_late_children_count_together(stage: Stage, app: Handlers) -> None:
    refused: list[SpawnLimitError] = []

    @app.job("both", retry=SOON)
    def early(job: Job, context: SpawnContext) -> None:
        for number in range(job.payload["early"]):
            try:
                context.spawn(Job("noop", {}), key=f"early-{number}")
            except SpawnLimitError as error:
                refused.append(error)

    @app.spawn("both")
    def late(context: SpawnContext) -> list[Job]:
        return [Job("noop", {}) for _ in range(context.parent_job.payload["late"])]

    def both(early: int, late: int, **limits: int) -> Job:
        job = Job("both", {"early": early, "late": late}, max_attempts=1)
        return job.with_spawn_config(SpawnConfig(**limits, on_error="complete"))

    ten, five, four, six = stage.enqueue(
        both(10, 0, max_descendants=5),
        both(10, 0, max_spawn_count=5),
        both(2, 2, max_spawn_count=4),
        both(3, 3, max_spawn_count=5),
    )
    stage.work(app, concurrency=1)
    assert [len(stage.children(job)) for job in (ten, five, four, six)] == [5, 5, 4, 3]
    assert {(error.limit, error.value, error.attempted) for error in refused} == {
        ("max_descendants", 5, 6),
        ("max_spawn_count", 5, 6),
    }
    assert stage.status(ten, five, four, six) == ["Completed"] * 4
    failed = [
        (parent, error) for parent, outcome, error in stage.operations("parent_id, outcome, error_message") if error
    ]
    said = "max_spawn_count allows 5 children of one job, and this would be 6"
    assert [(parent, said in error) for parent, error in failed] == [(six.id, True)]


@all_databases
def test_many_who_spawn_at_once_stay_within_the_limit_of_their_tree(stage: Stage, app: Handlers) -> None:
    together = threading.Barrier(4)

    @app.job("early")
    def early(job: Job, context: SpawnContext) -> None:
        together.wait(20)
        for number in range(5):
            context.spawn(Job("leaf", {}), key=str(number))

    @app.spawn("root")
    def fan(context: SpawnContext) -> list[Job]:
        return [Job("early", {}, max_attempts=1) for _ in range(4)]

    (root,) = stage.enqueue(Job("root", {}).with_spawn_config(SpawnConfig(max_descendants=12)))
    stage.work(app, queues=("root", "early"), concurrency=4)
    assert size(stage, root) == 12


def test_each_run_of_a_recurring_root_has_the_whole_limit(stage: Stage, app: Handlers) -> None:
    places: list[tuple[int, str]] = []

    @app.job("node")
    def note(job: Job, context: SpawnContext) -> None:
        places.append((context.depth, context.root_id))

    @app.spawn("node")
    def two(context: SpawnContext) -> list[Job]:
        return [Job("node", {}, max_attempts=1) for _ in range(2 if context.depth < 2 else 0)]

    config = SpawnConfig(max_descendants=6, max_depth=3)
    (root,) = stage.enqueue(Job("node", {}).with_cron("0 0 3 * * *").with_spawn_config(config))
    for day in range(3):
        later = stage.database.json_timestamp(stage.database.now() + timedelta(days=day))
        past = stage.database.json_timestamp(stage.database.now() - timedelta(days=1))
        stage.execute(
            f"UPDATE hammerwork_jobs SET scheduled_at = '{past}', next_run_at = '{later}' WHERE id = '{root.id}'"
        )
        stage.work(app)
    assert size(stage, root) == 3 * 6
    assert sorted(places) == sorted([(0, root.id)] * 3 + [(1, root.id)] * 6 + [(2, root.id)] * 12)
    assert [row[0] for row in stage.database.query("SELECT descendants FROM hammerwork_spawn_trees")] == [6] * 3


def test_a_run_of_a_recurring_root_has_no_room_that_an_earlier_one_left(stage: Stage, app: Handlers) -> None:
    number = iter([1, 3, 2])
    app.spawn("root")(lambda _: [Job("noop") for _ in range(next(number))])
    config = SpawnConfig(max_descendants=2)
    (root,) = stage.enqueue(Job("root", max_attempts=1).with_cron("0 0 3 * * *").with_spawn_config(config))
    errors = []
    for day in range(3):
        later = stage.database.json_timestamp(stage.database.now() + timedelta(days=day))
        stage.execute(
            f"UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = '{later}' WHERE id = '{root.id}'"
        )
        stage.work(app)
        errors.append(stage.one(root, "error_message"))
    assert [bool(error) for error in errors] == [False, True, False]
    assert "max_descendants allows 2 jobs below the root, and this would be 3" in errors[1]
    assert size(stage, root) == 1 + 2


def test_a_run_of_a_recurring_root_is_not_counted_by_the_counter_of_the_next_one(stage: Stage, app: Handlers) -> None:
    limit = SpawnConfig(max_descendants=8)
    free, limited, next_one = Job("free"), Job("limited", max_attempts=1), Job("next")
    runs = iter([[free, limited.with_spawn_config(limit)], [next_one.with_spawn_config(limit)]])
    app.spawn("root")(lambda _: next(runs))
    app.spawn("next")(lambda _: [Job("noop")])
    app.spawn("free")(lambda _: [Job("noop") for _ in range(4)])
    app.spawn("limited")(lambda _: [Job("noop") for _ in range(3)])
    (root,) = stage.enqueue(Job("root").with_cron("0 0 3 * * *"))
    for queue in ("root", "root", "next", "free", "limited"):
        if queue == "root":
            recur(stage, root)
        stage.work(app, queues=[queue])
    assert stage.status(free, next_one, limited) == ["Completed", "Completed", "Dead"]
    assert "max_descendants allows 8 jobs below the root" in stage.one(limited, "error_message")


def test_plain_dependencies_are_no_generations(stage: Stage, app: Handlers) -> None:
    places: list[int] = []

    @app.spawn("last")
    def leaf(context: SpawnContext) -> list[Job]:
        places.append(context.depth)
        return [Job("noop", {})]

    @app.spawn("sequence")
    def sequence(context: SpawnContext) -> Iterator[Job]:
        before = context.parent_job
        for number in range(40):
            before = Job("last" if number == 39 else "noop", {}).depends_on(before)
            yield before

    chain = [Job("noop", {})]
    for _ in range(34):
        chain.append(Job("noop", {}).depends_on(chain[-1]))
    chain.append(Job("last", {}).depends_on(chain[-1]))
    stage.enqueue(Job("sequence", {}), *chain)
    stage.work(app)
    assert sorted(places) == [0, 1]
    assert {row[0] for row in stage.rows("status")} == {"Completed"}


def test_a_dependent_of_a_spawned_job_is_in_its_tree(stage: Stage, app: Handlers) -> None:
    grow(app, children=1)
    (root,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_descendants=2)))
    found: list[tuple[int, str]] = []

    @app.spawn("parent")
    def split(context: SpawnContext) -> list[Job]:
        return [Job("noop", {})]

    stage.work(app, queues=("parent",))
    ((child,),) = stage.children(root)

    @app.job("plain", retry=SOON)
    def plain(job: Job, context: SpawnContext) -> None:
        found.append((context.depth, context.root_id))
        context.spawn(Job("noop", {}), key="a")
        context.spawn(Job("noop", {}), key="b")

    (dependent,) = stage.enqueue(Job("plain", {}, max_attempts=1).depends_on(child))
    stage.work(app, queues=("noop", "plain"))
    assert found == [(1, root.id)]
    assert stage.one(dependent) == "Dead"
    assert "max_descendants allows 2" in stage.one(dependent, "error_message")


@all_databases
def test_jobs_that_a_rust_worker_spawned_are_a_generation_below_their_parent(stage: Stage, app: Handlers) -> None:
    grow(app, children=1)
    (root,) = stage.enqueue(Job("elsewhere", {}).with_spawn_config(SpawnConfig(max_depth=2)))
    earlier = stage.database.json_timestamp(stage.database.now() - timedelta(seconds=9))
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Completed', started_at = '{earlier}' WHERE id = '{root.id}'")
    (child,) = stage.enqueue(Job("node", {}, max_attempts=1).depends_on(root))
    stage.work(app)
    # Of the two generations that the root allows, Rust has made one.
    assert size(stage, root) == 2
    assert len(stage.children(child)) == 1


def test_jobs_that_are_spawned_again_count_in_the_tree_too(stage: Stage, app: Handlers) -> None:
    @app.spawn("parent")
    def split(context: SpawnContext) -> list[Job]:
        context.spawn(Job("noop", {}), key="early")
        return [Job("noop", {})]

    (root,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_descendants=5)))
    stage.work(app)
    for _ in range(2):
        spawn_requests.request(stage.database, root.id, handler=None, config=None, by="me", now=stage.database.now())
        stage.work(app)
    failed, done = spawn_requests.requests(stage.database, root.id)
    assert (done.state, failed.state) == ("done", "failed")
    assert "max_descendants allows 5 jobs below the root, and this would be 6" in (failed.error or "")
    assert size(stage, root) == 5


def test_a_long_way_of_plain_dependencies_is_not_followed_to_its_end(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ancestry, "MOST_LEVELS", 3)
    found: list[str] = []
    app.register_job("last", lambda job, context: found.append(context.root_id))  # noqa: ARG005  it looks up only
    chain = [Job("noop", {})]
    for queue in ("noop", "noop", "noop", "noop", "last"):
        chain.append(Job(queue, {}).depends_on(chain[-1]))
    stage.enqueue(*chain)
    stage.work(app)
    assert found == [chain[2].id]


def test_damaged_ancestry_reads_as_none() -> None:
    for stored in (None, "", "7", "[]", "{", '{"depth": 3}', '{"root": 7}'):
        assert Ancestry.parse(stored) is None
    assert Ancestry.parse('{"root": "r", "depth": "3", "max_depth": true, "other": 1}') == Ancestry("r")
    full = Ancestry("r", "2026", 3, 4, 5, "s")
    assert Ancestry.parse(full.stored()) == full


@pytest.mark.parametrize(
    "order", [("other", "root", "limited", "free", "limited"), ("root", "other", "free", "limited", "limited")]
)
def test_branches_without_a_limit_count_once_another_one_has_it(
    stage: Stage, app: Handlers, order: tuple[str, ...]
) -> None:
    limit = SpawnConfig(max_descendants=10)
    app.spawn("root")(
        lambda _: [Job("limited").with_spawn_config(limit), Job("free"), Job("limited").with_spawn_config(limit)]
    )
    app.spawn("limited")(lambda _: [Job("noop") for _ in range(3)])
    app.spawn("free")(lambda _: [Job("noop") for _ in range(4)])
    app.spawn("other")(lambda _: [Job("noop")])  # another tree has a count of its own
    root, _ = stage.enqueue(Job("root"), Job("other").with_spawn_config(limit))
    for queue in order:
        stage.work(app, queues=[queue], max_jobs=1, concurrency=1)
    children = stage.children(root, "queue_name, status")
    assert sorted(children) == [("free", "Completed"), ("limited", "Completed"), ("limited", "Dead")]


@all_databases
def test_a_limit_that_comes_in_a_later_run_counts_what_that_run_spawned(stage: Stage, app: Handlers) -> None:
    unlimited, limited = Job("limb", max_attempts=1), Job("limb", max_attempts=1)
    limbs = iter([unlimited, limited.with_spawn_config(SpawnConfig(max_descendants=4))])
    app.spawn("root")(lambda _: [next(limbs)])

    @app.job("limb")
    def early(job: Job, context: SpawnContext) -> None:
        for number in range(3):
            context.spawn(Job("noop"), key=str(number))

    (root,) = stage.enqueue(Job("root").with_cron("0 0 3 * * *"))
    for _ in range(2):
        recur(stage, root)
        stage.work(app)
    assert stage.status(unlimited, limited) == ["Completed"] * 2
    assert size(stage, root) == 2 * 4


@pytest.mark.parametrize("of", ["limited", "free"])
def test_a_limit_that_comes_late_counts_nothing_of_an_occurrence_beside_it(
    stage: Stage, app: Handlers, of: str
) -> None:
    limited, free = Job("limited", max_attempts=1), Job("free")
    limbs = [limited.with_spawn_config(SpawnConfig(max_descendants=4)), free]
    later = iter(limbs if of == "limited" else reversed(limbs))

    @app.job("free")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop"), key="early")

    app.spawn("root")(lambda _: [next(later)])
    app.spawn("free")(lambda _: [Job("noop")])
    app.spawn("limited")(lambda _: [Job("noop") for _ in range(3)])
    (root,) = stage.enqueue(Job("root").with_cron("0 0 3 * * *"))
    for queue in ("root", "root", "free", "limited"):
        if queue == "root":
            recur(stage, root)
        stage.work(app, queues=[queue])
    assert stage.status(limited, free) == ["Completed"] * 2, stage.one(limited, "error_message")


def test_a_limit_that_comes_late_in_an_occurrence_counts_the_deleted_jobs_of_its_time_and_tree(
    stage: Stage, app: Handlers
) -> None:
    @app.job("free")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop"), key="early")

    limited = Job("limited", max_attempts=1).with_spawn_config(SpawnConfig(max_descendants=6))
    limbs = iter([[Job("free"), Job("free")], [Job("free"), limited]])
    app.spawn("root")(lambda _: next(limbs))
    app.spawn("free")(lambda _: [Job("noop")])
    app.spawn("limited")(lambda _: [Job("noop") for _ in range(3)])
    (root,) = stage.enqueue(Job("root").with_cron("0 0 3 * * *"))
    for _ in range(2):
        recur(stage, root)
        stage.enqueue(Job("free"), Job("free"))
        stage.work(app, queues=["root", "free"])
        stage.execute("DELETE FROM hammerwork_jobs WHERE queue_name IN ('free', 'noop')")
    stage.work(app, queues=["limited"])
    assert "max_descendants allows 6 jobs below the root, and this would be 7" in stage.one(limited, "error_message")


def test_a_handler_knows_how_many_more_children_it_may_have(stage: Stage, app: Handlers) -> None:
    rooms: dict[str, list[int | None]] = {}

    @app.job("parent")
    def parent(job: Job, context: SpawnContext) -> None:
        found = rooms.setdefault(job.payload["of"], [])
        found.append(context.room)
        if context.depth == 0:
            context.spawn(Job("noop"), key="one")
            found.append(context.room)
            unlimited = SpawnConfig(max_spawn_count=None)
            context.spawn(Job("parent", {"of": "child"}).with_spawn_config(unlimited), key="two")
            found.append(context.room)

    for number, config in enumerate(
        (
            SpawnConfig(max_spawn_count=5),
            SpawnConfig(max_spawn_count=5, max_descendants=3),
            SpawnConfig(max_spawn_count=None),
            SpawnConfig(max_spawn_count=None, max_depth=1),
        )
    ):
        stage.enqueue(Job("parent", {"of": f"{number}"}).with_spawn_config(config))
        stage.work(app, concurrency=1)
    assert rooms == {
        "0": [5, 4, 3],
        "1": [3, 2, 1],
        "2": [None, None, None],
        "3": [None, None, None],
        "child": [None, 1, None, 0],
    }


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", ["generator", "coroutine"])
def test_a_job_at_the_deepest_level_fails_only_if_it_would_spawn(lite: Stage, app: Handlers, kind: str) -> None:
    ends: list[str] = []

    def folders(context: SpawnContext) -> Iterator[Job]:
        files = context.parent_job.payload["files"]
        ends.append(f"{context.depth} {context.room}")
        try:
            for number in range(files):
                yield Job("folder", {"files": number}, max_attempts=1)
        finally:
            ends.append("closed")

    async def listed(context: SpawnContext) -> list[Job]:
        return list(folders(context))

    app.register_job("folder", lambda job: job.payload["files"])
    app.spawn("folder")(folders if kind == "generator" else listed)
    (root,) = lite.enqueue(Job("folder", {"files": 2}).with_spawn_config(SpawnConfig(max_depth=1)))
    lite.work(app, concurrency=1)
    found = dict(lite.children(root, "payload, status"))
    assert {json.loads(payload)["files"]: status for payload, status in found.items()} == {0: "Completed", 1: "Dead"}
    assert ends == ["0 100", "closed", "1 0", "closed", "1 0", "closed"]
    (error,) = lite.database.query("SELECT error_message FROM hammerwork_jobs WHERE status = 'Dead'")[0]
    assert "max_depth allows 1 generation below the root, and this would be 2" in error


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_limits_and_priorities_may_be_written_with_the_handlers(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    (tmp_path / f"declared_{isolation}.py").write_text(DECLARED)
    monkeypatch.syspath_prepend(str(tmp_path))
    tree, early, own = Job("node", {}), Job("early", {}, priority="low"), Job("node", {}, priority="background")
    lite.enqueue(tree, early, own.with_spawn_config(SpawnConfig(max_depth=1)))
    settings: Any = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": isolation}
    Worker(lite.queue, f"declared_{isolation}:app", **settings).run()
    assert size(lite, tree) == 2 + 4
    assert size(lite, own) == 2
    assert sorted(lite.children(early, "queue_name, priority")) == [("leaf", 1), ("node", 3), ("urgent", 4)]
    assert {priority for (priority,) in lite.children(own, "priority")} == {3}
    assert lite.one(early, "result_data") == "[3,0]"


DECLARED = """
from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnLimitError

app, other = Handlers(), Handlers()
app.register_job("leaf", lambda job: None)
app.register_job("urgent", lambda job: None, priority=4)
app.register_job("node", lambda job: None, priority="high", spawn_config=SpawnConfig(max_depth=2))

@other.job("early", spawn_config=SpawnConfig(max_spawn_count=3))
def early(job, context):
    before = context.room
    for queue in ("leaf", "urgent", "node"):
        child = Job(queue, {}).with_spawn_config(SpawnConfig(max_depth=0)) if queue == "node" else Job(queue)
        context.spawn(child, key=queue)
    return [before, context.room]

@app.spawn("node")
def split(context):
    if context.room != 0:
        yield Job("node", {}, max_attempts=1)
        yield Job("node", {}, max_attempts=1)

app.include(other)
"""


@all_databases
def test_health_and_the_doctor_name_a_tree_that_never_ends_and_the_command_that_stops_it(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    monkeypatch.setattr(growth, "LEAST_SPAWNED", 20)
    grow(app)
    (ends,) = stage.enqueue(Job("node", {}).with_spawn_config(SpawnConfig(max_depth=3)))
    stage.work(app)
    assert growth.growing(stage.database, stage.database.now()) == []  # it has ended
    (root,) = stage.enqueue(Job("node", {}))
    stage.work(app, max_jobs=40, concurrency=1)
    (tree,) = growth.growing(stage.database, stage.database.now())
    assert (tree.root, tree.handler, tree.queue, tree.trees) == (root.id, "node", "node", 1)
    assert tree.generations >= 4
    checked = run("monitor", "health", "--only", "growing_trees", "--format", "json", url=stage.url).json["checks"][0]
    assert (checked["status"], checked["about"]) == ("warning", [root.id])
    assert "node has spawned 80 jobs in 10 minutes, in one tree" in checked["message"]
    found = run("spawn", "doctor", url=stage.url)
    assert f"To stop it: {checked['hint']}" in run("spawn", "doctor", "--format", "json", url=stage.url).stdout
    assert "1 job whose trees may grow without an end" in found.stdout
    program, *words = checked["hint"].split()
    stopped = run(*words, "--yes", url=stage.url)
    assert (program, stopped.exit_code) == ("hammerwork", 0), stopped.stderr
    stage.work(app)
    assert stage.rows("id", "status = 'Pending'") == []
    assert growth.growing(stage.database, stage.database.now()) == []
    assert ends.id != root.id
    for _ in range(3):
        stage.enqueue(Job("node", {}))
    stage.work(app, max_jobs=60, concurrency=1)
    (tree,) = growth.growing(stage.database, stage.database.now())
    assert (tree.trees, tree.stop) == (4, "queue pause node")
