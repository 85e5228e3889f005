"""Tables that the original made in a database of utf8mb3 or latin1: JSON holds every character all the same."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, Worker
from hammerwork_cli.database import connect
from hammerwork_cli.database.migration_files import steps
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import listing, unique
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.worker.queries import claim
from tests.callers import MysqlConnector, calling
from tests.conftest import Makers
from tests.database.test_plans import VERSION_2, WHOLE_TABLE, plan
from tests.rows import Rows
from tests.runtime.conftest import Stage

pytestmark = pytest.mark.mysql
TEXT = "Zoë €5 Ж 😀"


@pytest.fixture(scope="module", params=["utf8mb3_general_ci", "latin1_german1_ci"])
def narrow_url(request: pytest.FixtureRequest, makers: Makers) -> Iterator[str]:
    """The tables of the original in such a collation, and ours beside them."""
    maker = makers["mysql"]
    url: str = maker.empty()
    with contextlib.closing(connect(url)) as database:
        database.script(f"ALTER DATABASE COLLATE {request.param}")
        present: frozenset[str] = frozenset()
        for step in steps("001_initial_schema", "mysql", request.param):
            if statement := step.statement(present):
                database.script(statement)
            present = step.after(present)
        migrations.run(database)  # the others take the collation of what is there
    yield url
    maker.drop(url)


@pytest.fixture
def narrow(narrow_url: str, makers: Makers) -> Iterator[Stage]:
    with contextlib.closing(Stage(narrow_url)) as stage:
        yield stage
    makers["mysql"].clear(narrow_url)


def test_unique_keys_hold_every_character(narrow: Stage) -> None:
    first = narrow.queue.enqueue(Job("echo", TEXT).with_unique(TEXT))
    again = narrow.queue.enqueue(Job("echo").with_unique(TEXT, replace=["payload"]))
    assert (again.id, again.created, again.payload) == (first.id, False, None)
    assert unique.key_of(narrow.database, first.id) == TEXT
    narrow.execute(f"DELETE FROM hammerwork_jobs WHERE id = '{first.id}'")
    assert not WHOLE_TABLE.search(plan(narrow.database, "job.unique.page", after=None, limit=10))
    assert unique.forget(narrow.database, None, 10) is None
    assert unique.key_of(narrow.database, first.id) is None


def test_payloads_results_and_trees_are_those_of_any_other_database(narrow: Stage, app: Handlers) -> None:
    app.register_job("echo", lambda job: job.payload["text"])
    app.register_job("join", lambda job: job.payload)
    app.register_handler("split", lambda context: [Job("echo", {"text": context.result}) for _ in range(3)])
    config = SpawnConfig(handler="split", operation_id="night 1", metadata={"says": TEXT})
    root, other = Job("echo", {"text": TEXT}).with_spawn_config(config), Job("echo", {"text": TEXT})
    joined = Job("join", TEXT).depends_on(root, other)
    narrow.enqueue(root, other, joined)
    stranger = Rows(narrow.database).job(queue="echo", status="Pending")
    narrow.execute(f"UPDATE hammerwork_jobs SET payload = '{{\"text\": \"{TEXT}\"}}' WHERE id = '{stranger}'")
    report = narrow.work(app)
    assert (report.completed, report.failed) == (7, 0)
    assert [json.loads(data) for (data,) in narrow.rows("result_data")] == [TEXT] * 7
    assert [narrow.queue.get(job).result for job in (root, other, joined, stranger)] == [TEXT] * 4
    tree = tree_queries.tree(narrow.database, root.id)
    assert sorted(node.queue for node in tree.nodes.values()) == ["echo"] * 4 + ["join"]
    assert Doctor(narrow.database, now=narrow.database.now()).examine() == []


def test_an_application_enqueues_in_its_transaction(narrow: Stage) -> None:
    with calling(MysqlConnector, narrow.url) as caller:
        for job in (Job("echo", TEXT), Job("Zoë", [TEXT])):
            assert [caller.enqueue(narrow.queue, job).created for _ in range(2)] == [True, False]
            caller.enqueue(narrow.queue, Job("echo").depends_on(job).with_callbacks(on_complete=Job("echo", TEXT)))
        with pytest.raises(RefusedValueError, match="cannot store"):
            caller.enqueue(narrow.queue, Job("😀"))
        caller.commit()
        assert narrow.queue.get(job).payload == [TEXT]


def test_characters_of_an_error_that_the_tables_lack_are_written_out(narrow: Stage, app: Handlers) -> None:
    def fail(job: Job) -> None:
        raise ValueError(job.payload)

    app.register_job("fails", fail)
    long = "Ж😀" * 30_000  # written out it would be longer than its column
    said, longer = Job("fails", TEXT, max_attempts=1), Job("fails", long, max_attempts=1)
    narrow.enqueue(said, longer)
    narrow.work(app)
    assert narrow.status(said, longer) == ["Dead", "Dead"]
    wanted = "Zoë €5 Ж" if narrow.database.charset == "utf8mb3" else r"Zoë €5 \u0416"
    assert narrow.one(said, "error_message").startswith(rf"ValueError: {wanted} \U0001f600" + "\n")
    assert narrow.one(longer, "error_message").endswith(r"\U0001f600" + "\n")


def test_the_outcome_of_a_spawn_is_recorded_in_any_words(narrow: Stage, app: Handlers) -> None:
    def fail(context: object) -> list[Job]:
        raise ValueError(TEXT)

    app.register_handler(TEXT, fail)
    app.register_handler("well", lambda context: [Job("noop")])  # noqa: ARG005  whatever spawns it
    config = SpawnConfig(operation_id=TEXT * 20, on_error="complete")
    roots = [Job("noop").with_spawn_config(config.with_handler(name)) for name in (TEXT, "well")]
    narrow.enqueue(*roots)
    narrow.work(app, queues=["noop"])
    assert narrow.status(*roots) == ["Completed"] * 2
    assert len(narrow.children(roots[1])) == 1
    for operation, handler, error in narrow.operations("operation_id, handler, error_message"):
        assert operation.startswith("Zoë €5")
        assert len(operation) == 255
        if handler != "well":
            assert r"\U0001f600" in handler
            assert "Zoë €5" in error
            assert r"\U0001f600" in error


def test_ids_out_of_lists_are_looked_up_in_the_indexes(narrow: Stage) -> None:
    rows = Rows(narrow.database)
    with rows.at_once():
        for _ in range(500):
            rows.job(dependency_status="waiting")
        parent = rows.job(spawns=True)
        rows.job(parent, dependency_status="waiting")
    narrow.database.query("ANALYZE TABLE hammerwork_jobs")
    ids = narrow.database.ids([parent])
    stored = json.dumps([{"id": parent, "result": "1", "expires": None}])
    children = plan(narrow.database, "tree.relatives.child_ids", parents=json.dumps([parent]))
    results = plan(
        narrow.database, "worker.finish.store_results", results=stored, token=parent, now=narrow.database.now()
    )
    if VERSION_2 in children:
        found, one = "Covering index lookup on j using idx_hammerwork_jobs_first_parent", "Single-row index lookup on j"
    else:
        found, one = '"key": "idx_hammerwork_jobs_first_parent"', '"table_name": "j", "access_type": "eq_ref"'
    assert found in " ".join(children.split()), children
    assert one in " ".join(results.split()), results
    assert "idx_hammerwork_jobs_first_parent" in plan(narrow.database, "tree.release.waiting_for", ids=ids)


def test_a_name_that_the_tables_cannot_hold_is_refused_in_a_sentence(narrow: Stage, app: Handlers) -> None:
    fits, lacks = ("Ж", "😀") if narrow.database.charset == "utf8mb3" else ("Zoë €5", "Ж")
    refused = f"The tables of this database are in {narrow.database.charset} and cannot store {lacks!r}"
    narrow.enqueue(Job(fits, 1))
    assert queues.has_jobs(narrow.database, fits)
    with pytest.raises(RefusedValueError, match=refused):
        narrow.enqueue(Job(lacks, 1))
    with pytest.raises(RefusedValueError, match=f"their character set is {narrow.database.charset}"):
        listing.find(narrow.database, JobFilter(queues=(lacks,)), limit=1)
    app.register_job(lacks, lambda job: job.payload)
    with pytest.raises(RefusedValueError, match=refused):
        Worker(narrow.queue, app, drain=True).run()


def test_of_queues_whose_names_the_tables_spell_alike_those_with_jobs_are_found_unless_they_are_paused(
    narrow: Stage,
) -> None:
    narrow.enqueue(Job("Zoë"), Job("Zoá"), Job("noop"))
    now, names = narrow.database.now(), ["Zoë", "Zoé", "Zoá", "noop", "idle"]
    assert claim.with_jobs(narrow.database, names, before=now) == ["Zoë", "Zoá", "noop"]
    for name in ("Zoë", "noop"):
        queues.pause(narrow.database, name, by="me", now=now)
    assert claim.with_jobs(narrow.database, names, before=now) == ["Zoá"]
    assert claim.with_jobs(narrow.database, names, after=now) == []
