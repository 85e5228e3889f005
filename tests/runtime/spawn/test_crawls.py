"""A crawl loses no page: links lead to pages that exist, to the page itself, and to pages of parents that failed."""

from threading import Event
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.runtime.api.spawn import SpawnLimitError
from tests.conftest import all_databases
from tests.rows import Rows
from tests.runtime.conftest import Stage

WEB = {
    "root": ["root", "a", "b"],
    "a": ["a", "root", "c"],
    "b": ["a", "b", "c", "root"],
    "c": ["root", "d", "c"],
    "d": ["c", "a", "d"],
}
"""Page -> its links."""


def page(url: str, **options: Any) -> Job:
    return Job("page", {"url": url}, id=uuid5(NAMESPACE_URL, url), max_attempts=1, **options)


def crawling(app: Handlers, web: dict[str, list[str]], fails: str = "", deepest: int | None = None) -> list[str]:
    """Adds a crawler; the pages that it fetched."""
    fetched: list[str] = []

    @app.job("page")
    def crawl(job: Job, context: SpawnContext) -> list[bool | None]:
        url = job.payload["url"]
        fetched.append(url)
        created = [context.spawn(page(link), key=link).created for link in web[url]]
        if url == fails:
            raise ValueError("gone")
        return created

    return fetched


def test_links_to_pages_that_exist_to_an_ancestor_and_to_the_page_itself_lead_to_those(
    stage: Stage, app: Handlers
) -> None:
    fetched = crawling(app, WEB)
    (root,) = stage.enqueue(page("root", priority="high").with_spawn_config(SpawnConfig(max_depth=5)))
    report = stage.work(app)
    assert sorted(fetched) == sorted(WEB)
    assert (report.completed, report.failed) == (len(WEB), 0)
    assert {status for (status,) in stage.rows("status")} == {"Completed"}
    assert stage.queue.results([root])[root.id] == [False, True, True]


def test_pages_at_the_limit_of_depth_may_link_to_what_exists(stage: Stage, app: Handlers) -> None:
    web = {"root": ["a"], "a": ["root", "a"]}
    fetched = crawling(app, web)
    stage.enqueue(page("root").with_spawn_config(SpawnConfig(max_depth=1)))
    report = stage.work(app)
    assert (sorted(fetched), report.failed) == (["a", "root"], 0)


@all_databases
def test_a_page_whose_first_parent_failed_is_fetched_when_another_one_links_to_it(stage: Stage, app: Handlers) -> None:
    """The children of a page that is Dead fail with it unless they have started."""
    fetched = crawling(app, {"dead": ["shared", "alone"], "other": ["shared"], "shared": []}, fails="dead")
    dead, other = stage.enqueue(page("dead"), page("other").with_priority("background"))
    stage.work(app, queues=("page",), concurrency=1, max_jobs=1)
    shared, alone = page("shared"), page("alone")
    assert stage.status(dead, shared, alone) == ["Dead", "Failed", "Failed"]
    below = Rows(stage.database).job(shared.id, queue="noop", status="Failed", dependency_status="failed")
    stage.enqueue(Job("noop").depends_on(other))
    stage.work(app, concurrency=1)
    assert fetched == ["dead", "other", "shared"]
    assert stage.one(shared, "status, attempts, error_message") == ("Completed", 1, None)
    assert (shared.id,) in stage.children(other)
    place = Ancestry.parse(stage.one(shared, "ancestry"))
    assert (place is None, place and place.spawner) == (False, other.id)
    assert stage.children(dead) == [(alone.id,)]
    assert (stage.one(alone), stage.one(below)) == ("Failed", "Completed")


@pytest.mark.parametrize("fail", ["first", "other", "first other"])
def test_a_page_that_two_parents_share_is_fetched_whichever_of_them_fails(
    stage: Stage, app: Handlers, fail: str
) -> None:
    shared = Job("later", id=uuid5(NAMESPACE_URL, "shared"), max_attempts=1)
    spawned, linked = Event(), Event()

    def link(name: str, context: SpawnContext) -> None:
        context.spawn(Job("later", id=shared.id, max_attempts=1), key="shared")
        (spawned if name == "first" else linked).set()
        assert linked.wait(30)
        if name in fail:
            raise ValueError("gone")

    @app.job("first")
    def first(job: Job, context: SpawnContext) -> None:
        link("first", context)

    @app.job("other")
    def other(job: Job, context: SpawnContext) -> None:
        assert spawned.wait(30)
        link("other", context)

    @app.job("later")
    def later(job: Job) -> None:
        pass

    parents = stage.enqueue(Job("first", max_attempts=1), Job("other", max_attempts=1))
    stage.work(app, queues=("first", "other"), concurrency=2, max_jobs=2)
    assert stage.status(*parents) == ["Dead" if name in fail else "Completed" for name in ("first", "other")]
    assert stage.one(shared, "status, error_message") == ("Pending", None)
    assert {stage.one(parent, "ancestry") for parent in parents} == {None}
    stage.work(app, queues=("later",))
    assert stage.one(shared) == "Completed"


def test_a_page_that_an_operator_cancelled_stays_cancelled(stage: Stage, app: Handlers) -> None:
    crawling(app, {"other": ["shared"]})
    shared = page("shared")
    stage.enqueue(shared, page("other"))
    stage.execute(
        "UPDATE hammerwork_jobs SET status = 'Failed', failed_at = created_at,"
        f" error_message = 'cancelled by me through hammerwork' WHERE id = '{shared.id}'"
    )
    stage.work(app)
    assert stage.one(shared) == "Failed"


def test_another_job_with_the_id_of_a_link_is_still_a_conflict(stage: Stage, app: Handlers) -> None:
    errors: list[Exception] = []

    @app.job("page")
    def crawl(job: Job, context: SpawnContext) -> None:
        for link in (Job("page", {"url": "b"}, id=job.id), Job("noop", job.payload, id=job.id)):
            try:
                context.spawn(link, key=link.queue or "")
            except ConflictError as error:
                errors.append(error)

    stage.enqueue(page("a"))
    stage.work(app)
    assert ["payload" in str(error) or "queue" in str(error) for error in errors] == [True, True]


def test_a_page_too_deep_is_a_limit_that_a_crawler_may_catch(stage: Stage, app: Handlers) -> None:
    left_out: list[str] = []

    @app.job("page")
    def crawl(job: Job, context: SpawnContext) -> None:
        try:
            context.spawn(page(f"{job.payload['url']}/next"), key="next")
        except SpawnLimitError:
            left_out.append(job.payload["url"])

    stage.enqueue(page("a").with_spawn_config(SpawnConfig(max_depth=2)))
    report = stage.work(app)
    assert (report.completed, report.failed, left_out) == (3, 0, ["a/next/next"])
