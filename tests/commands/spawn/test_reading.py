"""Each option of the reading verbs of ``spawn`` changes the answer, for programs and for people."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from tests.conftest import all_databases
from tests.jobs import CLOCK, identity, job, write

Run = Callable[..., Any]
Words = tuple[str, ...]


@pytest.fixture
def forest(migrated_url: str) -> str:
    """Three trees, and jobs to come; a job's number is its age in minutes.

    40 night ── 39, and 30 ingest ── 26, 25, 24 (dead), and 23 (running) ── 5 (waits)
    90 ingest (dead) ── 85
    3000 ingest, two days old ── 2999
    10 ingest and 9 mail, which will spawn
    """
    write(
        migrated_url,
        spawner(40, JobStatus.COMPLETED, "night"),
        spawner(30, JobStatus.COMPLETED, **below(40)),
        spawner(90, JobStatus.DEAD),
        spawner(3000, JobStatus.COMPLETED),
        spawner(10),
        spawner(9, queue="mail"),
        job(39, JobStatus.COMPLETED, "probe", **below(40)),
        *(job(number, JobStatus.COMPLETED, "segment", **below(30)) for number in (26, 25)),
        job(24, JobStatus.DEAD, "segment", **below(30)),
        job(23, JobStatus.RUNNING, "segment", **below(30)),
        job(5, depends_on=(identity(23),), dependency_status="waiting"),
        job(85, JobStatus.COMPLETED, "segment", **below(90)),
        job(2999, JobStatus.COMPLETED, "segment", **below(3000)),
    )
    return migrated_url


@all_databases
def test_a_list_of_leaves_names_the_option_for_the_tops_of_trees(run: Run, migrated_url: str) -> None:
    """Each job of such a queue carries a spawn configuration, and the leaves are the newest."""
    leaves = [spawner(number, JobStatus.COMPLETED, **below(30)) for number in range(1, 8)]
    write(migrated_url, spawner(30, JobStatus.COMPLETED), *leaves)
    done = run("spawn", "list", "--limit", "7", url=migrated_url, env=CLOCK)
    assert "7 of these have no children. The tops of trees alone: --roots" in done.stderr
    tops = run("spawn", "list", "--roots", url=migrated_url, env=CLOCK)
    assert "no children" not in tops.stderr
    assert [row["parent_id"] for row in read(run, migrated_url, "list", "--roots")] == [identity(30)]


def spawner(number: int, status: JobStatus = JobStatus.PENDING, queue: str = "ingest", **fields: Any) -> Any:
    config = f'{{"_spawn_config": {{"operation_id": "op-{number}", "handler": "splitter", "max_spawn_count": 7}}}}'
    return job(number, status, queue, payload=config, **fields)


def below(parent: int) -> dict[str, Any]:
    return {"depends_on": (identity(parent),), "dependency_status": "satisfied"}


def number(job: str) -> int:
    return int(job[:8], 16)


def read(run: Run, url: str, *words: str) -> Any:
    """The answer as JSON."""
    done = run("spawn", *words, "--format", "json", url=url, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    return done.json


def shown(run: Run, url: str, *words: str) -> str:
    """The answer for people."""
    done = run("spawn", *words, url=url, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    return str(done.stdout)


def drawn(text: str) -> list[int]:
    """The jobs of a table or a tree, from top to bottom."""
    return [number(word) for word in re.findall(r"\b0000[0-9a-f]{4}\b", text)]


# spawn list.


CHOSEN = [
    ((), [30, 40, 90, 3000]),
    (("--recent",), [30, 40]),
    (("--since", "35m"), [30]),
    (("--until", "35m"), [40, 90, 3000]),
    (("--since", "1h", "--until", "35m"), [40]),
    (("--roots",), [40, 90, 3000]),
    (("--limit", "1"), [30]),
    (("--queue", "ingest"), [30, 90, 3000]),
    (("--status", "DEAD"), [90]),
    (("--status", "dead,running", "--status", "failed"), [90]),
    (("--operation", "op-40"), [40]),
    (("--queue", "ingest", "--status", "completed", "--recent"), [30]),
]


@all_databases
def test_list_shows_the_parents_that_its_options_choose(run: Run, forest: str) -> None:
    found = []
    for words, _ in CHOSEN:
        parents = [number(operation["parent_id"]) for operation in read(run, forest, "list", *words)]
        if forest.startswith("sqlite"):  # a table is made of the same rows
            assert drawn(shown(run, forest, "list", *words)) == parents
        found.append((words, parents))
    assert found == CHOSEN


def test_list_counts_the_children_by_how_they_went(run: Run, forest: str) -> None:
    (found,) = read(run, forest, "list", "--limit", "1")
    assert found["children"] == {
        "total": 4,
        "completed": 2,
        "failed": 1,
        "running": 1,
        "pending": 0,
        "retrying": 0,
        "cancelled": 0,
    }


def test_the_table_shows_failures_below_the_children_where_there_are_some(run: Run, forest: str) -> None:
    header, *rows = shown(run, forest, "list").splitlines()
    columns = re.split(r"  +", header)
    cells = {number(row[:8]): dict(zip(columns, re.split(r"  +", row), strict=True)) for row in rows}
    assert {job: (row["failed"], row["failed below"]) for job, row in cells.items()} == {
        30: ("1", "-"),
        40: ("0", "1"),
        90: ("0", "-"),
        3000: ("0", "-"),
    }
    assert "failed below" not in shown(run, forest, "list", "--queue", "ingest")


def test_an_empty_list_speaks_of_a_filter_only_where_there_is_one(run: Run, migrated_url: str) -> None:
    assert run("spawn", "list", url=migrated_url).stderr.startswith("No parent has spawned. ")
    assert run("spawn", "list", "--since", "1h", url=migrated_url).stderr.startswith("No matching parent has spawned. ")


def test_detailed_adds_columns_to_the_list(run: Run, forest: str) -> None:
    plain, detailed = (shown(run, forest, "list", *words) for words in ((), ("--detailed",)))
    for word in ("handler", "splitter", "limits", "at most 7 children", "inherits", "success", "66.7%", "wall time"):
        assert word in detailed
        assert word not in plain
    assert drawn(detailed) == drawn(plain)


# spawn stats.


@pytest.mark.parametrize(
    ("words", "operations", "recent", "children"),
    [
        ((), 3, 2, 7),
        (("--hours", "0.6"), 1, 1, 4),
        (("--hours", "72"), 4, 2, 8),
        (("--queue", "ingest"), 2, 1, 5),
        (("--queue", "night", "--hours", "1"), 1, 1, 2),
    ],
)
def test_stats_count_the_window_and_the_queue_that_were_asked_for(
    run: Run, forest: str, words: Words, operations: int, recent: int, children: int
) -> None:
    figures = read(run, forest, "stats", *words)
    assert (figures["operations"], figures["recent"], figures["children"]) == (operations, recent, children)
    text = shown(run, forest, "stats", *words)
    assert f"{operations} ({recent} in the last hour)" in text
    assert re.search(rf"children +{children} \(", text)


def test_detailed_adds_groups_and_the_slowest_to_the_figures(run: Run, forest: str) -> None:
    plain, detailed = (read(run, forest, "stats", *words) for words in ((), ("--detailed",)))
    details = ("by_queue", "by_handler", "slowest")
    assert [plain.get(name) for name in details] == [None, None, None]
    assert {group["name"]: group["operations"] for group in detailed["by_queue"]} == {"ingest": 2, "night": 1}
    assert {group["name"]: group["operations"] for group in detailed["by_handler"]} == {"splitter": 3}
    assert [number(one["parent_id"]) for one in detailed["slowest"]] == [40, 90]
    titles = {"By queue", "By handler", "Slowest"}
    assert not titles & {*shown(run, forest, "stats").splitlines()}
    assert titles <= {*shown(run, forest, "stats", "--detailed").splitlines()}


def test_stats_of_a_window_without_operations_name_the_window_of_the_newest_one(run: Run, forest: str) -> None:
    text = shown(run, forest, "stats", "--hours", "0.01", "--queue", "ingest")
    assert text.startswith("No operation of queue ingest since ")
    command = text.splitlines()[1].split()
    assert command[:3] == ["hammerwork", "spawn", "stats"]
    assert read(run, forest, *command[2:])["operations"] > 0
    assert "operations " in shown(run, forest, "stats", "--hours", "0.01", "--queue", "unknown")


# spawn pending.


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        ((), [9, 10, 5]),
        (("--queue", "ingest"), [10]),
        (("--limit", "1"), [9, 5]),
    ],
)
def test_pending_shows_the_jobs_that_its_options_choose(run: Run, forest: str, words: Words, jobs: list[int]) -> None:
    assert [number(one["id"]) for one in read(run, forest, "pending", *words)] == jobs
    assert drawn(shown(run, forest, "pending", *words)) == jobs


def test_show_config_adds_the_configuration_to_what_is_pending(run: Run, forest: str) -> None:
    plain, configured = (shown(run, forest, "pending", *words) for words in ((), ("--show-config",)))
    for word in ("spawn config", '"operation_id":"op-10"'):
        assert word in configured
        assert word not in plain


# spawn tree.


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        ((), [40, 30, 39, 26, 25, 24, 23, 5]),
        (("--children-only",), [30, 26, 25, 24, 23, 5]),
        (("--status", "dead"), [40, 30, 24]),
        (("--status", "running,pending"), [40, 30, 23, 5]),
        (("--depth", "1"), [40, 39, 30]),
        (("--max-children", "1"), [40, 30, 24]),
        (("--max-nodes", "2"), [40, 30]),
        (("--children-only", "--depth", "1"), [30, 26, 25, 24, 23]),
    ],
)
def test_tree_shows_the_jobs_that_its_options_choose(run: Run, forest: str, words: Words, jobs: list[int]) -> None:
    found = read(run, forest, "tree", identity(30), *words)
    assert {number(node["id"]) for node in found["nodes"]} == {*jobs}
    assert [number(root) for root in found["roots"]] == jobs[:1]
    folded = {25, 26}
    assert {*drawn(shown(run, forest, "tree", identity(30), *words))} - folded == {*jobs} - folded


def test_siblings_are_folded_in_text_unless_the_full_tree_is_wanted(run: Run, forest: str) -> None:
    folded, full = (shown(run, forest, "tree", identity(30), *words) for words in ((), ("--full",)))
    assert {25, 26} <= {*drawn(full)} == {40, 39, 30, 26, 25, 24, 23, 5}
    assert not {25, 26} & {*drawn(folded)}
    assert "segment ×2" in folded  # noqa: RUF001


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_tree_is_drawn_in_ascii_where_lc_all_asks_for_it(run: Run, forest: str, locale: str) -> None:
    done = run("spawn", "tree", identity(30), url=forest, env={**CLOCK, "LC_ALL": locale})
    assert done.exit_code == 0
    assert done.stdout.isascii()
    assert "|-- " in done.stdout


def test_a_tree_is_drawn_with_the_characters_that_were_asked_for(run: Run, forest: str) -> None:
    lines, ascii_lines = (shown(run, forest, "tree", identity(30), *words) for words in ((), ("--charset", "ascii")))
    assert "├── " in lines
    assert "|-- " in ascii_lines
    assert "├" not in ascii_lines


# spawn lineage.


@pytest.mark.parametrize(
    ("words", "above", "below"),
    [
        ((), [40, 30], [23, 5]),
        (("--ancestors",), [40, 30], None),
        (("--descendants",), None, [23, 5]),
        (("--ancestors", "--descendants"), [40, 30], [23, 5]),
        (("--depth", "1"), [30], [23, 5]),
    ],
)
def test_lineage_shows_the_directions_and_levels_that_were_asked_for(
    run: Run, forest: str, words: Words, above: list[int] | None, below: list[int] | None
) -> None:
    found = read(run, forest, "lineage", identity(23), *words)
    assert numbers(found["ancestors"]) == above
    assert numbers(found["descendants"] and found["descendants"]["nodes"]) == below
    text = shown(run, forest, "lineage", identity(23), *words)
    assert drawn(text) == [*(above or []), *(below or [])]
    assert ("Ancestors" in text, "Descendants" in text) == (above is not None, below is not None)


def numbers(nodes: Sequence[dict[str, Any]] | None) -> list[int] | None:
    return None if nodes is None else [number(node["id"]) for node in nodes]
