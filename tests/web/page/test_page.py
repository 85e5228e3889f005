"""The page in a real browser, at a live server."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from hammerwork_cli.core.values import JobStatus, rfc3339
from hammerwork_cli.features.job.models.new_job import NewJob
from tests.conftest import Outcome, unavailable
from tests.web.page.conftest import PATIENCE_MS, Visit
from tests.web.page.sites import Night, Site, fill, plant_large_tree, serving, working

expect.set_options(timeout=PATIENCE_MS)

MANY = 5_000
"""Children of a large tree."""


def operation(page: Any, job: NewJob) -> Any:
    return page.locator(f'.operation[data-id="{job.id}"]')


def row(page: Any, job: NewJob) -> Any:
    """The tree's row of a job."""
    return page.get_by_role("treeitem").filter(has_text=job.id[:8])


def rows(page: Any) -> list[str]:
    """The rows of the tree, each as ``sign queue id status ...``."""
    lines = page.get_by_role("treeitem").all_inner_texts()
    return [" ".join(line.split()).lstrip("▾▸ ") for line in lines]


def dialog(page: Any) -> Any:
    return page.locator("dialog[open]")


def scroll_down_to(page: Any, text: str) -> None:
    """Scrolls to the end of the growing tree until a row has a text."""
    wanted = page.get_by_role("treeitem").filter(has_text=text)
    for _ in range(PATIENCE_MS // 100):
        page.locator("#tree").evaluate("element => { element.scrollTop = element.scrollHeight }")
        page.wait_for_timeout(100)
        if wanted.count():
            return
    raise AssertionError(f"no row says {text!r}: {rows(page)}")


# Reading.


def test_each_panel_of_the_overview_is_drawn_when_its_answer_comes_failures_first(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    visited = visit(demo, None)
    page = visited.page
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/spawn/stats*", hold)
    visited.go("/")
    figures = page.locator(".figures")
    expect(figures).to_contain_text("Loading …")
    expect(page.get_by_role("heading", name="Spawned by queue")).to_contain_text("Loading …")
    expect(page.locator(".connection")).to_have_text("Live")

    failures = page.locator("table.failures tr")
    expect(failures).to_have_count(1)
    expect(failures).to_contain_text("moov atom not found")
    expect(failures).to_contain_text("Dead \u00d72")
    segment = page.locator('tr[data-queue="segment"]')
    expect(segment.get_by_role("cell")).to_have_text(["", "2 2.2 %", "0", "1", "2", "91", re.compile("s|min"), "Pause"])
    # The failed and the running jobs are two levels below: all that these operations spawned themselves has completed.
    expect(page.locator(".operations h2")).to_have_text(
        ["Trees with failures 1", "Trees unfinished 1", "Trees completed 1"]
    )
    failing = page.locator(".operations.failed .operation")
    expect(failing).to_contain_text("video_ingest")
    expect(failing).to_contain_text("2 failed of 40 jobs")
    running = operation(page, night.top_of(night.running))
    expect(running).to_contain_text("40 jobs · 1 running, 2 pending")
    bar = running.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuetext", "37 of 40 finished: 1 running, 2 pending, 37 completed")
    widths = [part.bounding_box()["width"] for part in bar.locator("i").all()]
    whole = bar.bounding_box()["width"]
    assert [round(width / whole, 1) for width in widths] == [0.9, 0, 0]

    held[0].continue_()
    expect(figures).to_contain_text(re.compile(r"Operations\s*15"))
    expect(figures).to_contain_text(re.compile(r"Children\s*120"))
    expect(figures).to_contain_text(re.compile(r"Children completed\s*98\.3 %"))


def test_operations_of_every_level_or_of_a_queue_are_listed_when_you_ask(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    page = visit(demo).page
    page.get_by_label("Every level").check()

    expect(page.locator(".operations h2")).to_have_text(
        ["Operations with failures 2", "Operations unfinished 1", "Operations completed 12"]
    )
    expect(operation(page, night.running)).to_contain_text("8 children · 1 running, 2 pending")
    # Of an operation below others, the list knows the children and the failures; the whole tree is counted afterwards.
    expect(operation(page, night.broken)).to_contain_text(re.compile(r"(?<!at least )2 failed of \d+ jobs"))
    expect(operation(page, night.broken).locator(".bar.uncounted")).to_have_count(0)

    page.get_by_label("Queue", exact=True).select_option("video_ingest")
    expect(page.locator(".operation")).to_have_count(3)
    expect(page.locator(".figures")).to_contain_text(re.compile(r"Operations\s*3\s"))
    page.get_by_label("Queue", exact=True).select_option("All queues")
    expect(page.locator(".operation")).to_have_count(15)

    page.get_by_label("Every level").uncheck()
    expect(page.locator(".operation")).to_have_count(3)


def test_the_counts_of_a_tree_tell_apart_what_failed_is_retrying_and_was_cancelled(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    top = own_night.top_of(own_night.running)
    first, second = [job for job in own_night.children(own_night.running) if job.status == "Pending"]
    own_demo.execute("UPDATE hammerwork_jobs SET attempts = 1, error_message = 'torn' WHERE id = ?", first.id)
    visited = visit(own_demo)
    page = visited.page

    expect(operation(page, top)).to_contain_text("40 jobs · 1 retrying, 1 running, 1 pending")
    cells = page.locator('tr[data-queue="segment"]').get_by_role("cell")
    expect(cells).to_have_text(["", "2 2.2 %", "1", "1", "1", "91", re.compile("s|min"), "Pause"])

    visited.go(f"/#/jobs/{own_night.running.id}")
    expect(row(page, own_night.running)).to_contain_text("8 jobs below, 3 unfinished (1 retrying)")
    row(page, second).click()
    aside = page.get_by_role("complementary", name="Job")
    aside.get_by_role("button", name="Cancel", exact=True).click()
    dialog(page).get_by_role("button", name="Cancel the job").click()
    expect(aside.locator("h2")).to_contain_text("Cancelled")
    expect(row(page, own_night.running)).to_contain_text("8 jobs below, 2 unfinished (1 retrying)")
    expect(row(page, own_night.running)).not_to_contain_text("failed")

    visited.go(f"/#/jobs/{top.id}")
    expect(row(page, top)).to_contain_text("40 jobs below, 2 unfinished (1 retrying)")
    expect(row(page, own_night.running)).to_contain_text("8 children, 2 unfinished")
    own_demo.execute("UPDATE hammerwork_jobs SET status = 'Dead' WHERE status = 'Running'")
    page.get_by_role("button", name="Copy as Mermaid").wait_for()
    own_demo.execute(
        "UPDATE hammerwork_jobs SET failed_at = ?, completed_at = NULL WHERE status = 'Dead'",
        rfc3339(datetime.now(UTC)),
    )
    expect(row(page, top)).to_contain_text("1 failed of 40 jobs below, 1 unfinished")


def test_the_tree_opens_level_by_level_with_failures_first_and_a_job_is_shown_beside_it(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    visited = visit(demo)
    page = visited.page
    operation(page, night.broken).click()

    # Two dead segments below one encode: that one stands first and is open; of the others nothing was asked yet.
    expect(page.get_by_role("treeitem")).to_have_count(1 + 8 + 8)
    drawn = rows(page)
    assert drawn[1].split()[1] == "transcode"
    assert "2 failed of 8 children" in drawn[1]
    assert [line.split()[3] for line in drawn[2:4]] == ["Dead", "Dead"]
    assert "moov atom not found" in drawn[2]
    assert len(set(visited.asked("/child-groups"))) == 2

    closed = page.locator('[role=treeitem][aria-expanded="false"]').first
    closed.locator(".twisty").click()
    expect(page.get_by_role("treeitem")).to_have_count(1 + 8 + 8 + 8)
    assert len(set(visited.asked("/child-groups"))) == 3

    dead = night.dead[0]
    row(page, dead).click()
    aside = page.get_by_role("complementary", name="Job")
    expect(aside).to_contain_text(dead.id)
    expect(aside.locator("pre.error")).to_have_text(dead.error_message)
    expect(aside).to_contain_text('"segment": 3')
    expect(aside).to_contain_text("3 of 3")

    aside.locator(".relatives a").click()
    expect(page).to_have_url(re.compile(dead.depends_on[0]))
    expect(page.get_by_role("navigation", name="Ancestors")).to_contain_text(f"video_ingest {night.broken.id[:8]}")


def test_a_job_is_found_by_a_prefix_of_its_id_and_its_tree_leaves_the_focus_to_who_types(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    page = visit(demo, tolerated=("404", "409", "400")).page
    expect(page.locator(".operation").first).to_be_visible()
    search = page.get_by_role("searchbox")

    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type(night.dead[0].id[:13])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(night.dead[0].id))
    expect(row(page, night.dead[0])).to_be_visible()

    other = night.children(night.running)[0]
    held: list[Any] = []
    page.route("**/parent?*", lambda route: held.append(route))
    page.evaluate("address => { location.hash = address }", f"#/jobs/{other.id}")
    while not held:
        page.wait_for_timeout(10)
    search.fill("0" * 32)
    with page.expect_response("**/children?*"):
        held[0].continue_()
    expect(row(page, other)).to_be_visible()
    page.wait_for_timeout(300)  # longer than the page needs to draw the children and choose the focus
    page.keyboard.press("Enter")
    expect(page.locator(".found")).to_contain_text("There is no job 00000000-0000-0000-0000-000000000000")
    search.fill("no id")
    search.press("Enter")
    expect(page.locator(".found")).not_to_contain_text("There is no job")
    expect(page.locator(".found")).not_to_contain_text("No job has")
    expect(page.locator(".found")).to_be_visible()


def test_the_whole_tree_is_copied_as_mermaid_or_shown_without_a_clipboard(
    visit: Callable[..., Visit], demo: Site, night: Night, run: Callable[..., Outcome]
) -> None:
    page = visit(demo, f"/#/jobs/{night.broken.id}", permissions=["clipboard-read", "clipboard-write"]).page
    expect(row(page, night.broken)).to_be_visible()

    page.get_by_role("button", name="Copy as Mermaid").click()

    expect(page.get_by_role("status").filter(has_text="Copied as Mermaid.")).to_be_visible()
    words = ("spawn", "tree", night.broken.id, "--format", "mermaid", "--children-only")
    printed = run(*words, url=f"sqlite:///{demo.database}").stdout
    assert "video_ingest" in printed
    assert page.evaluate("navigator.clipboard.readText()") == printed

    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    page.keyboard.press("m")
    expect(dialog(page).get_by_role("textbox")).to_have_value(re.compile("^graph TD"))
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


# Keyboard and accessibility.


def test_the_keyboard_reaches_every_control_shows_its_shortcuts_and_moves_in_the_tree(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    visited = visit(demo)
    page = visited.page
    expect(page.locator(".operation")).to_have_count(3)
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => [document.activeElement.textContent.trim() || document.activeElement.getAttribute('aria-label')"
            " || document.activeElement.labels[0].textContent.trim(),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        reached.add(seen[0].split("\n")[0])
        assert seen[1] != "none", seen
    assert {"hammerwork", "Find a job by ID prefix", "◐", "?"} <= reached

    page.keyboard.press("?")
    expect(dialog(page)).to_contain_text("Copy the tree as Mermaid")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)

    visited.go(f"/#/jobs/{night.running.id}")
    expect(page.get_by_role("treeitem")).to_have_count(9)
    tree = page.get_by_role("tree")
    tree.focus()

    active = page.locator('[role=treeitem][aria-selected="true"]')

    oldest = min(night.children(night.running), key=lambda job: (job.created_at, job.id))
    page.keyboard.press("ArrowDown")
    expect(active).to_contain_text(oldest.id[:8])
    expect(page.get_by_role("complementary", name="Job")).to_contain_text(oldest.id)
    page.keyboard.press("End")
    expect(active).to_have_attribute("aria-posinset", "8")
    expect(active).to_have_attribute("aria-setsize", "8")
    expect(active).to_have_attribute("aria-level", "2")
    page.keyboard.press("ArrowLeft")
    expect(active).to_contain_text(night.running.id[:8])
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("treeitem")).to_have_count(1)
    expect(active).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("treeitem")).to_have_count(9)
    page.keyboard.press("ArrowRight")
    expect(active).to_have_attribute("aria-level", "2")
    assert tree.get_attribute("aria-activedescendant") == active.get_attribute("id")
    assert active.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


def test_axe_finds_no_violation_in_any_theme_and_the_theme_is_that_of_the_system_until_you_choose_one(
    visit: Callable[..., Visit], demo: Site, night: Night, axe: str
) -> None:
    visited = visit(demo)
    page = visited.page
    for path in ("/", f"/#/jobs/{night.broken.id}"):
        if path != "/":
            visited.go(path)
        expect(page.locator("table.failures tr" if path == "/" else "[role=treeitem]").first).to_be_visible()
        page.evaluate(axe)
        # Only colours depend on the scheme, and only sizes on the width.
        sizes = {"runOnly": ["target-size"]}
        for scheme, width, rules in (
            ("light", 1280, {}),
            ("dark", 1280, {"runOnly": ["color-contrast"]}),
            ("light", 1280, sizes),
            ("light", 390, sizes),
        ):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            assert (ground(page) > 200) if scheme == "light" else (ground(page) < 60)
            found = page.evaluate("rules => axe.run(document, {resultTypes: ['violations'], ...rules})", rules)
            violations = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]]
            assert (scheme, width, violations) == (scheme, width, [])
        page.set_viewport_size({"width": 1280, "height": 800})

    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch between dark and light").click()
    assert ground(page) < 60
    page.reload()
    assert ground(page) < 60
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert ground(page) > 200


def ground(page: Any) -> int:
    """How bright the page is, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) // 3


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that finds barriers."""
    path = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        unavailable("axe-core is missing: run 'npm ci' in tests/web, or 'make test'")
    return path.read_text(encoding="utf-8")


def test_names_errors_and_counts_stay_whole_on_a_screen_and_on_a_phone(
    visit: Callable[..., Visit], demo: Site, night: Night
) -> None:
    visited = visit(demo)
    page = visited.page
    expect(page.locator("tr[data-queue]").first).to_be_visible()
    names = page.locator("tr[data-queue] th .name")
    lines = names.evaluate_all("names => names.map(name => [name.textContent, name.getClientRects().length])")
    assert {number for _, number in lines} == {1}, lines

    page.set_viewport_size({"width": 400, "height": 800})
    name = page.locator("table.failures .name").first
    expect(name).to_be_visible()
    assert name.bounding_box()["height"] < 30
    assert page.evaluate("document.documentElement.scrollWidth") == 400

    visited.go(f"/#/jobs/{night.broken.id}")
    expect(row(page, night.broken)).to_contain_text("2 failed of 40 jobs below")
    below = row(page, night.broken).locator(".below")
    assert below.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 400


# Large trees.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, NewJob]]:
    """Many thousand children below one job."""
    night = Night.now()
    database = fill(tmp_path_factory.mktemp("large") / "large.db", night.jobs)
    root = night.jobs[0]
    plant_large_tree(database, root.id, MANY)
    with serving(database) as site:
        yield site, root


def test_many_thousand_children_are_grouped_and_the_document_has_only_the_rows_in_view(
    visit: Callable[..., Visit], large: tuple[Site, NewJob]
) -> None:
    site, root = large
    visited = visit(site, f"/#/jobs/{root.id}")
    page = visited.page

    root_row = page.get_by_role("treeitem").first
    expect(root_row).to_contain_text(re.compile(rf"failed of {MANY // 1000},\d{{3}} jobs below"))
    counted = re.search(r"[\d,]+ failed of [\d,]+ jobs", root_row.inner_text())
    assert counted is not None
    listed = page.locator(f'.operation[data-id="{root.id}"]')
    expect(listed).to_contain_text(counted[0])
    expect(listed.locator(".bar.uncounted")).to_have_count(0)
    groups = page.locator(".row.group")
    expect(groups.filter(has_text="crop")).to_have_count(4)
    expect(page.get_by_role("treeitem").nth(1)).to_have_text(re.compile(r"crop\s*\D6\s*Dead"))
    expect(page.get_by_role("treeitem").nth(2)).to_contain_text("Out of memory at tile")
    completed = groups.filter(has_text=f"\u00d7{(MANY - 100) // 2:,}").first
    completed.scroll_into_view_if_needed()
    completed.click()
    more = page.locator(".row.more")
    for loaded in (100, 200, 300):
        scroll_down_to(page, f"{(MANY - 100) // 2 - loaded:,} more")
        assert page.get_by_role("treeitem").count() < 80
        more.click()
    assert page.evaluate("document.querySelectorAll('*').length") < 1500
    assert len(set(visited.asked("/children?"))) < 12


def hidden_failures(lines: int) -> list[NewJob]:
    """A file whose jobs have completed: its lines, and their words, but for four dead words and one dead letter."""
    now = datetime.now(UTC)

    def job(queue: str, *parents: NewJob, status: JobStatus = JobStatus.COMPLETED, **fields: Any) -> NewJob:
        fields |= {"failed_at" if status is JobStatus.DEAD else "completed_at": now}
        above = tuple(parent.id for parent in parents)
        values = {"payload": "{}", "created_at": now, "scheduled_at": now, "depends_on": above, **fields}
        return NewJob(queue=queue, status=status, **values)

    file = job("file", payload='{"_spawn_config": {}}')
    found = [job("line", file) for _ in range(lines)]
    words = [job("word", line) for line in found]
    dead = [job("word", line, status=JobStatus.DEAD, error_message="no such word") for line in found[-4:]]
    letter = job("letter", words[-5], status=JobStatus.DEAD, error_message="no such letter")
    return [file, *found, *words, *dead, letter]


@pytest.mark.parametrize("lines", [20, 67, 3000])
def test_failures_at_any_depth_come_first_and_one_key_goes_from_one_to_the_next(
    visit: Callable[..., Visit], own_demo: Site, lines: int
) -> None:
    jobs = hidden_failures(lines)
    fill(own_demo.database, jobs)
    visited = visit(own_demo, f"/#/jobs/{jobs[0].id}")
    page = visited.page
    file, dead = jobs[0], [job for job in jobs if job.status == "Dead"]

    expect(row(page, file)).to_contain_text(f"5 failed of {len(jobs) - 1:,} jobs below")
    expect(row(page, file).locator(".sign")).to_have_text("✕")
    expect(operation(page, file).locator(".sign")).to_have_text("✕")
    expect(page.get_by_role("treeitem").filter(has_text="no such word").first).to_be_visible()
    if lines > 25:
        groups = page.locator(".row.group")
        expect(groups).to_have_count(2)
        expect(groups.first).to_contain_text("\u00d75")
        expect(groups.first).to_contain_text("5 failed below")
        expect(groups.first.locator(".sign")).to_have_text("✕")
        expect(groups.last).to_contain_text(f"\u00d7{lines - 5:,}")
        expect(groups.last).to_have_attribute("aria-expanded", "false")

    seen = []
    active = page.locator('.row[aria-selected="true"]')
    for number in range(len(dead) + 1):
        if number % 2:
            page.get_by_role("button", name="Next failure").click()
        else:
            page.keyboard.press("n")
        if seen:
            expect(active).not_to_contain_text(seen[-1])
        expect(active).to_contain_text("Dead")
        expect(active).to_be_in_viewport()
        seen.append(active.locator("code").inner_text())
    assert sorted(seen[:-1]) == sorted(job.id[:8] for job in dead)
    assert seen[-1] == seen[0]
    expect(page.get_by_role("complementary", name="Job").locator("pre.error")).to_contain_text("no such")
    # Nothing was read of the lines without failures.
    assert len(set(visited.asked("/child-groups"))) <= (12 if lines > 25 else 20)


# Changes.


def test_a_dead_job_is_retried_after_a_confirmation_and_a_refusal_shows_the_reason(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    dead, other = own_night.dead
    payload = '{"big": 9007199254740993, "one": 1.0, "list": [0.1, 12345678901234567890], "text": "9007199254740993.0"}'
    own_demo.execute("UPDATE hammerwork_jobs SET payload = ?, result_data = '1.0' WHERE id = ?", payload, dead.id)
    visited = visit(own_demo, f"/#/jobs/{dead.id}", tolerated=("409",))
    page = visited.page
    aside = page.get_by_role("complementary", name="Job")

    # The numbers are those of the database.
    texts = aside.locator("pre:not(.error)")
    expect(texts.first).to_contain_text('"big": 9007199254740993,')
    expect(texts.first).to_contain_text('"one": 1.0,')
    expect(texts.first).to_contain_text("12345678901234567890")
    expect(texts.first).to_contain_text('"text": "9007199254740993.0"')
    expect(texts.nth(1)).to_have_text("1.0")

    aside.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog(page)).to_contain_text(f"Retry segment {dead.id[:8]}?")
    dialog(page).get_by_role("button", name="Not now").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert own_demo.status(dead.id) == "Dead"

    aside.get_by_role("button", name="Retry", exact=True).click()
    dialog(page).get_by_role("button", name="Retry").click()
    expect(aside.locator("h2")).to_contain_text("Pending")
    expect(row(page, dead)).to_contain_text("Pending")
    expect(page.locator(".toast")).to_contain_text("will run again")
    assert own_demo.status(dead.id) == "Pending"

    aside.get_by_role("button", name="Cancel", exact=True).click()
    dialog(page).get_by_role("button", name="Cancel the job").click()
    expect(aside.locator("h2")).to_contain_text("Cancelled")
    assert own_demo.status(dead.id) == "Failed"

    visited.go(f"/#/jobs/{other.id}")
    expect(aside).to_contain_text(other.id)
    aside.get_by_role("button", name="Retry", exact=True).click()
    own_demo.execute("UPDATE hammerwork_jobs SET status = 'Running' WHERE id = ?", other.id)
    dialog(page).get_by_role("button", name="Retry").click()
    expect(page.locator(".toast.failed")).to_contain_text(other.id)
    assert own_demo.status(other.id) == "Running"


def test_a_queue_is_paused_with_a_reason_and_a_tree_retried_after_its_plan_is_confirmed(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    visited = visit(own_demo)
    page = visited.page
    segment = page.locator('tr[data-queue="segment"]')

    segment.get_by_role("button", name="Pause").click()
    dialog(page).get_by_label("Reason").fill("disk is full")
    dialog(page).get_by_role("button", name="Not now").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert own_demo.execute("SELECT reason FROM hammerwork_queue_pause") == []

    segment.get_by_role("button", name="Pause").click()
    dialog(page).get_by_label("Reason").fill("disk is full")
    dialog(page).get_by_role("button", name="Pause").click()
    expect(segment).to_contain_text("paused: disk is full")
    assert own_demo.execute("SELECT reason FROM hammerwork_queue_pause") == [("disk is full",)]

    segment.get_by_role("button", name="Resume").click()
    dialog(page).get_by_role("button", name="Resume").click()
    expect(segment).not_to_contain_text("paused")
    assert own_demo.execute("SELECT 1 FROM hammerwork_queue_pause") == []

    # Enter does it, too.
    segment.get_by_role("button", name="Pause").click()
    expect(dialog(page).get_by_label("Reason")).to_be_focused()
    page.keyboard.type("tapes are missing")
    page.keyboard.press("Enter")
    expect(segment).to_contain_text("paused: tapes are missing")

    visited.go(f"/#/jobs/{own_night.broken.id}")
    page.get_by_role("button", name="Retry failed descendants").click()
    expect(dialog(page)).to_contain_text("2 jobs: 2 Dead in segment.")
    dialog(page).get_by_role("button", name="Retry them").click()

    expect(page.locator(".operations.failed")).to_have_count(0)
    expect(page.get_by_role("treeitem").filter(has_text="Dead")).to_have_count(0)
    assert {own_demo.status(job.id) for job in own_night.dead} == {"Pending"}
    page.get_by_role("button", name="Retry failed descendants").click()
    expect(page.locator(".toast")).to_have_text("No descendant has failed.")


# Live updates.


def test_the_page_follows_what_completes_and_begins_but_moves_no_row_that_is_pressed(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    visited = visit(own_demo)
    page = visited.page
    expect(page.locator(".connection")).to_have_text("Live")
    loads = page.evaluate("performance.getEntriesByType('navigation').length")
    # All that is above the row has come.
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.locator(".operation")).to_have_count(3)
    finished = operation(page, own_night.top_of(own_night.dead[0]))
    place = finished.bounding_box()
    page.mouse.move(place["x"] + 20, place["y"] + place["height"] / 2)
    page.mouse.down()

    answers: list[Any] = []

    def note_answer(answer: Any) -> None:
        answers.append(answer)

    page.on("response", note_answer)
    complete(own_demo, *own_night.dead)
    for _ in range(PATIENCE_MS // 100):
        page.wait_for_timeout(100)
        if any("failed=true" in answer.url and answer.text() == "[]" for answer in answers):
            break
    else:
        raise AssertionError("the page did not hear that nothing fails any longer")
    page.remove_listener("response", note_answer)
    page.wait_for_timeout(1000)
    assert finished.bounding_box() == place
    page.mouse.up()

    expect(page.get_by_role("treeitem").first).to_be_visible()
    expect(page.locator(".operations.failed")).to_have_count(0)

    parent = own_night.running
    visited.go(f"/#/jobs/{parent.id}")
    bar = operation(page, own_night.top_of(parent)).get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "37")
    before = bar.locator("i.completed").bounding_box()["width"]
    open_children = [job for job in own_night.children(parent) if job.status in {"Running", "Pending"}]
    for number, job in enumerate(open_children, start=1):
        complete(own_demo, job)
        expect(bar).to_have_attribute("aria-valuenow", str(37 + number))
        expect(row(page, job)).to_contain_text("Completed")
    expect(page.locator(".operations.running")).to_have_count(0)
    assert bar.locator("i.completed").bounding_box()["width"] > before

    now = datetime.now(UTC)
    new = NewJob("reports", '{"_spawn_config": {}}', now, now, status=JobStatus.COMPLETED)
    fill(own_demo.database, [new, NewJob("pages", "{}", now, now, depends_on=(new.id,))])
    expect(operation(page, new)).to_contain_text("1 job · 1 pending")
    visited.go("/#/")
    expect(page.locator('tr[data-queue="reports"]')).to_be_visible()
    assert page.evaluate("performance.getEntriesByType('navigation').length") == loads


HANDLERS = """
import time
from hammerwork_cli import Handlers, Job

app = Handlers()

@app.spawn("report")
def pages(context):
    for number in range(5):
        yield Job("page", {"number": number}).with_max_attempts(1)

@app.job("page")
def page(job):
    time.sleep(1)
    if job.payload["number"] == 2:
        raise ValueError("page 2 is torn")
"""


def test_the_bar_of_an_operation_moves_while_a_worker_runs_its_children(
    visit: Callable[..., Visit], own_demo: Site, tmp_path: Path, hammerwork: Callable[..., Any]
) -> None:
    (tmp_path / "night_shift.py").write_text(HANDLERS, encoding="utf-8")
    page = visit(own_demo).page
    expect(page.locator(".connection")).to_have_text("Live")

    with working(own_demo, tmp_path, "--handlers", "night_shift:app", "--concurrency", "1", "--name", "night shift"):
        url = f"sqlite:///{own_demo.database}"
        enqueued = hammerwork(
            "job", "enqueue", "--queue", "report", "--payload", "{}", "--spawn-handler", "report", url=url
        )
        job = enqueued.stdout.strip()
        bar = page.locator(f'.operation[data-id="{job}"]').get_by_role("progressbar")
        seen = [done for done in range(6) if _stops_at(bar, done)]
        expect(page.locator("table.workers")).to_contain_text(re.compile(r"night shift.*running.*page, report", re.S))

    assert len(seen) >= 3, f"the bar does not move while the worker works: {seen}"
    failed = page.locator(".operations.failed").locator(f'.operation[data-id="{job}"]')
    expect(failed).to_contain_text("1 failed of 5 jobs")
    failed.click()
    expect(page.get_by_role("treeitem").nth(1)).to_contain_text("page 2 is torn")


def _stops_at(bar: Any, done: int) -> bool:
    """Whether the growing bar is seen at a value before it goes on."""
    expect(bar).to_have_attribute("aria-valuenow", re.compile(f"[{done}-9]"))
    return bool(bar.get_attribute("aria-valuenow") == str(done))


def wait_for_streams(site: Site, page: Any, number: int) -> None:
    """Waits until the server has so many open event streams."""
    for _ in range(PATIENCE_MS // 100):
        [found] = re.findall(r"^hammerwork_web_watchers (\d+)", httpx.get(f"{site.url}/metrics").text, re.MULTILINE)
        if int(found) == number:
            return
        page.wait_for_timeout(100)
    assert int(found) == number


def complete(site: Site, *jobs: NewJob) -> None:
    for job in jobs:
        site.execute(
            "UPDATE hammerwork_jobs SET status = 'Completed', started_at = created_at, completed_at = ? WHERE id = ?",
            rfc3339(datetime.now(UTC)),
            job.id,
        )


def hide(page: Any, hidden: bool) -> None:
    """What a browser does when another tab comes to the front, and when this one does again."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_all_tabs_share_one_event_stream_that_no_hidden_tab_has_and_all_follow_it(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    site = own_demo
    first = visit(site, is_fresh=True, tolerated=("ERR_",)).page
    pages = [first, *(first.context.new_page() for _ in range(2))]
    for page in pages[1:]:
        page.goto(site.url)
    for page in pages:
        expect(page.locator(".operation")).to_have_count(3)
        expect(page.locator(".connection")).to_have_text("Live")
    wait_for_streams(site, first, 1)

    one, other = own_night.dead
    complete(site, one)
    for page in pages:
        expect(page.locator(".operations.failed .operation")).to_contain_text("1 failed of 40 jobs")

    # Another tab follows when the one with the stream closes.
    first.close()
    last = pages[-1]
    wait_for_streams(site, last, 1)
    complete(site, other)
    for page in pages[1:]:
        expect(page.locator(".operations.failed")).to_have_count(0)
        expect(page.locator(".connection")).to_have_text("Live")

    pages[1].close()
    wait_for_streams(site, last, 1)
    hide(last, hidden=True)
    wait_for_streams(site, last, 0)
    complete(site, *own_night.children(own_night.running))

    # It is up to date when it is seen again.
    hide(last, hidden=False)
    expect(last.locator(".operations.running")).to_have_count(0)
    expect(last.locator(".connection")).to_have_text("Live")
    wait_for_streams(site, last, 1)

    # Without locks, each tab has a stream of its own.
    last.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")
    last.reload()
    expect(last.locator(".connection")).to_have_text("Live")
    wait_for_streams(site, last, 1)


def test_without_an_event_stream_the_page_polls(visit: Callable[..., Visit], own_demo: Site, own_night: Night) -> None:
    visited = visit(own_demo, None, tolerated=("ERR_FAILED",))
    page = visited.page
    page.route("**/api/events*", lambda route: route.abort())
    visited.go("/")
    expect(page.locator(".connection")).to_have_text("Disconnected")

    own_demo.execute("UPDATE hammerwork_jobs SET status = 'Completed' WHERE id = ?", own_night.dead[0].id)

    # The server's answer of a moment ago may have the trees of the test before this one, too.
    changed = page.locator(".operations.failed .operation", has_text="1 failed of 40 jobs")
    expect(changed).to_have_count(1, timeout=40_000)


# Honest ages.

WORKER = """
    INSERT INTO hammerwork_workers (id, name, host, pid, version, queues, handlers, concurrency, lease_seconds, state,
        started_at, heartbeat_at)
    VALUES ('0a000000-0000-4000-8000-000000000000', 'night shift', 'here', 7, '1', '["segment"]', '[]', 4, 30,
        'running', ?, ?)
"""


def pass_seconds(page: Any, seconds: int) -> None:
    """Moves the clock of the page on, when the server has forgotten the answers that it shares for a second."""
    page.wait_for_timeout(1100)
    page.clock.fast_forward(seconds * 1000)


def beat(site: Site, ago: timedelta = timedelta()) -> None:
    """Sets the time when the worker was heard of."""
    site.execute("UPDATE hammerwork_workers SET heartbeat_at = ?", rfc3339(datetime.now(UTC) - ago))


def test_workers_queues_and_trees_are_read_again_without_an_event(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    now = rfc3339(datetime.now(UTC))
    own_demo.execute(WORKER, now, now)
    visited = visit(own_demo, None, is_fresh=True)
    page = visited.page
    page.clock.install()
    visited.go("/")
    expect(page.locator(".connection")).to_have_text("Live")
    worker = page.locator("table.workers tbody tr")
    expect(worker).to_contain_text("running")

    # A killed worker and a deleted job tell nobody.
    beat(own_demo, timedelta(hours=1))
    own_demo.execute("DELETE FROM hammerwork_jobs WHERE queue_name = 'segment' AND status = 'Dead'")
    pass_seconds(page, 15)

    expect(worker).to_contain_text(re.compile("lost|silent"))
    expect(page.locator('tr[data-queue="segment"]').get_by_role("cell").nth(1)).to_have_text("0")
    expect(page.locator(".operations.failed")).to_have_count(0)

    visited.go(f"/#/jobs/{own_night.running.id}")
    expect(page.get_by_role("treeitem")).to_have_count(9)
    pending = next(job for job in own_night.children(own_night.running) if job.status == "Pending")
    own_demo.execute("DELETE FROM hammerwork_jobs WHERE id = ?", pending.id)
    pass_seconds(page, 15)
    expect(page.get_by_role("treeitem")).to_have_count(8)


def test_ages_grow_from_the_moment_when_they_came(visit: Callable[..., Visit], own_demo: Site) -> None:
    now = rfc3339(datetime.now(UTC))
    own_demo.execute(WORKER, now, now)
    visited = visit(own_demo, None, is_fresh=True, tolerated=("ERR_FAILED",))
    page = visited.page
    page.clock.install()
    visited.go("/")
    worker = page.locator("table.workers tbody tr")
    expect(worker).to_contain_text(re.compile(r"\d s ago"))
    page.route("**/api/**", lambda route: route.abort())
    pass_seconds(page, 60)
    expect(page.locator(".connection")).to_have_text("Disconnected")  # no answer is on its way any longer
    came = page.locator("header .as-of").inner_text()
    pass_seconds(page, 600)

    expect(worker).to_contain_text(re.compile(r"1\d min .*ago"))
    expect(page.locator('tr[data-queue="segment"]')).to_contain_text(re.compile(r"1\d min"))
    expect(page.locator(".connection")).to_have_text("Disconnected")
    expect(page.locator("header .as-of")).to_have_text(came)
    expect(page.get_by_role("heading", name="Queues")).to_contain_text(re.compile(r"Not read as of \d\d:\d\d:\d\d"))


def test_the_page_and_its_title_say_that_something_is_wrong(visit: Callable[..., Visit], own_demo: Site) -> None:
    own_demo.execute("DELETE FROM hammerwork_jobs")
    now = rfc3339(datetime.now(UTC))
    own_demo.execute(WORKER, now, now)
    visited = visit(own_demo, None, is_fresh=True)
    page = visited.page
    page.clock.install()
    visited.go("/")
    expect(page.locator(".health")).to_have_text(re.compile("Healthy"))
    expect(page.locator(".verdict")).to_have_count(0)
    expect(page).to_have_title("hammerwork")

    own_demo.execute(
        "INSERT INTO hammerwork_jobs (id, queue_name, payload, status, created_at, scheduled_at) "
        "VALUES ('0b000000-0000-4000-8000-000000000000', 'elsewhere', '{}', 'Pending', ?, ?)",
        *[rfc3339(datetime.now(UTC) - timedelta(minutes=5))] * 2,
    )
    beat(own_demo, timedelta(seconds=9))  # long before the end of its lease
    page.wait_for_timeout(2100)  # the server keeps an answer for 2 s
    page.clock.fast_forward(5000)

    expect(page.locator(".verdict summary")).to_contain_text("1 critical, 1 warning")
    expect(page.locator(".verdict summary")).to_contain_text("no running worker serves the ready jobs of elsewhere")
    expect(page).to_have_title("✖ 1 critical, 1 warning · hammerwork")
    expect(page.locator(".health.critical")).to_be_visible()
    expect(page.locator("table.workers tbody tr")).to_contain_text("silent")
    page.locator(".verdict summary").click()
    expect(page.locator(".verdict li code").first).to_have_text("hammerwork worker list --since 7d --queue elsewhere")
    expect(page.locator(".verdict li").nth(1)).to_contain_text("night shift")


def test_trouble_comes_first_says_of_what_it_is_a_part_and_is_a_link_from_the_verdict(
    visit: Callable[..., Visit], own_demo: Site, axe: str
) -> None:
    own_demo.execute("DELETE FROM hammerwork_jobs")
    now = datetime.now(UTC)
    before = now - timedelta(minutes=10)

    def job(queue: str, **fields: Any) -> NewJob:
        return NewJob(**{"queue": queue, "payload": "{}", "created_at": now, "scheduled_at": now, **fields})

    done = {"status": JobStatus.COMPLETED, "completed_at": now}
    dead = [
        {"status": JobStatus.DEAD, "failed_at": now, "error_message": f"refused by 10.0.0.{number}"}
        for number in range(25)
    ]
    queues = [*(job("mail", **one) for one in dead), *(job("mail", **done) for _ in range(75))]
    queues += [job("a fine queue", **done) for _ in range(900)]
    queues += [
        job("hammerwork-webhooks", **done),
        job("an unserved queue with a long name", created_at=before, scheduled_at=before),
    ]
    fill(own_demo.database, queues)
    own_demo.execute(WORKER, *[rfc3339(now)] * 2)
    columns = "name, host, pid, version, queues, handlers, concurrency, lease_seconds, state, started_at, heartbeat_at"
    own_demo.execute(
        f"INSERT INTO hammerwork_workers (id, {columns}) SELECT '0c000000-0000-4000-8000-000000000000', {columns} "
        "FROM hammerwork_workers"
    )
    own_demo.execute(
        "UPDATE hammerwork_workers SET name = 'night shift-webhooks', queues = '[\"hammerwork-webhooks\"]' "
        "WHERE id LIKE '0c%'"
    )
    own_demo.execute("""UPDATE hammerwork_workers SET queues = '["mail", "a fine queue"]' WHERE id LIKE '0a%'""")
    page = visit(own_demo, width=390).page

    names = page.locator("tr[data-queue] .name")
    expect(names).to_have_text(["an unserved queue with a long name", "mail", "a fine queue"])
    expect(page.locator('tr[data-queue="mail"]')).to_contain_text("25 25.0 %")
    expect(page.locator(".figures")).to_contain_text(re.compile(r"Failed jobs\s*25 of 1,000"))
    expect(page.locator("table.failures tr")).to_have_count(1)
    expect(page.locator("table.failures tr")).to_contain_text("Dead \u00d725")
    expect(page.get_by_role("heading", name="Newest failures by error, of the last 25")).to_be_visible()
    expect(page.locator("tr[data-worker]")).to_have_count(1)

    sentence = page.locator(".verdict summary .cut")
    expect(sentence).to_contain_text("an unserved queue with a long name")
    assert sentence.evaluate("element => element.scrollWidth <= element.clientWidth")
    page.locator(".verdict summary").click()
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})")
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]] == []

    page.locator(".verdict li a").filter(has_text="an unserved queue").click()
    expect(page.locator('tr[data-queue="an unserved queue with a long name"]')).to_be_focused()
    page.locator(".verdict li a").filter(has_text="failure rate").click()
    expect(page.locator('tr[data-queue="mail"]')).to_be_focused()
    expect(page.locator('tr[data-queue="mail"]')).to_be_in_viewport()

    page.get_by_role("button", name="Show 1 internal queue").click()
    expect(page.locator('tr[data-queue="hammerwork-webhooks"]')).to_have_count(1)
    expect(page.locator("tr[data-worker]")).to_have_count(2)


def test_a_page_that_opens_while_the_database_is_down_says_so_and_recovers_as_from_a_lost_server(
    visit: Callable[..., Visit], night: Night, tmp_path: Path
) -> None:
    database = fill(tmp_path / "down.db", night.jobs)
    with serving(database) as site:
        site.execute("ALTER TABLE hammerwork_jobs RENAME TO hammerwork_away")
        page = visit(site, tolerated=("503", "ERR_", "Failed to load")).page
        connection = page.locator(".connection")
        expect(connection).to_have_text("Database unreachable")
        expect(page.locator(".as-of")).to_have_count(0)
        expect(page.get_by_role("alert")).to_be_visible()

        site.execute("ALTER TABLE hammerwork_away RENAME TO hammerwork_jobs")
        expect(connection).to_have_text("Live")
        expect(page.locator(".operation")).to_have_count(3)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator("header")).to_contain_text(re.compile(r"SQLite.*as of \d\d:\d\d:\d\d", re.S))
        expect(page.get_by_role("button", name="Pause").first).to_be_visible()

        site.execute("ALTER TABLE hammerwork_jobs RENAME TO hammerwork_away")
        expect(connection).to_have_text("Database unreachable")
        expect(page.locator(".operation")).to_have_count(3)

        site.execute("ALTER TABLE hammerwork_away RENAME TO hammerwork_jobs")
        expect(connection).to_have_text("Live")
    expect(connection).to_have_text("Disconnected")

    with serving(database, port=int(site.url.rpartition(":")[2])):
        expect(connection).to_have_text("Live")
        expect(page.locator(".alert")).to_have_count(0)


# Long lists.


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, list[NewJob]]]:
    """130 operations, the oldest first, of which 60 have a failed child: the older the operation, the later."""
    begin = datetime.now(UTC) - timedelta(hours=2)
    parents, children = [], []
    for number in range(130):
        at = begin + timedelta(seconds=number)
        parent = NewJob("ingest", '{"_spawn_config": {}}', at, at, status=JobStatus.COMPLETED, completed_at=at)
        child = NewJob("segment", "{}", at, at, depends_on=(parent.id,), status=JobStatus.COMPLETED, completed_at=at)
        if number % 13 < 6:
            child.status, child.completed_at = JobStatus.DEAD, None
            child.failed_at, child.error_message = (
                begin + timedelta(hours=1, seconds=-number),
                f"failure {chr(ord('a') + number % 26)}",
            )
        parents.append(parent)
        children.append(child)
    with serving(fill(tmp_path_factory.mktemp("busy") / "busy.db", [*parents, *children])) as site:
        yield site, [*parents, *children]


def load_older(page: Page) -> None:
    """Loads the operations that are not among the first 50, a page a click."""
    older, operations = page.get_by_role("button", name="Load older operations"), page.locator(".operation")
    expect(page.locator(".operations.failed h2")).to_have_text("Trees with failures 60")
    expect(page.locator(".operations.completed h2")).to_have_text(re.compile(r"completed \d+\+"))
    for _ in range(2):
        shown = operations.count()
        older.click()
        expect(operations).not_to_have_count(shown)
    expect(older).to_have_count(0)


def test_a_long_list_has_the_latest_failures_first_counts_all_and_is_neither_cut_nor_moved_by_an_event(
    visit: Callable[..., Visit], busy: tuple[Site, list[NewJob]]
) -> None:
    site, jobs = busy
    visited = visit(site)
    page = visited.page
    errors = page.locator("table.failures .error")
    expect(errors).to_have_text([f"failure {letter}" for letter in "abcdefno"])
    expect(page.locator(".operations.failed .operation").first).to_have_attribute("data-id", jobs[0].id)

    expect(page.locator(".connection")).to_have_text("Live")
    load_older(page)
    last = page.locator(".operations.completed .operation").last
    last.scroll_into_view_if_needed()
    before, loaded = last.bounding_box(), page.locator(".operations.completed .operation").count()
    asked = len(visited.asked("/api/spawn/operations?limit=130"))

    site.execute("UPDATE hammerwork_jobs SET completed_at = ? WHERE id = ?", rfc3339(datetime.now(UTC)), jobs[-1].id)

    expect(page.locator("header .as-of")).to_be_visible()
    for _ in range(PATIENCE_MS // 100):
        if len(visited.asked("/api/spawn/operations?limit=130")) > asked:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    assert len(visited.asked("/api/spawn/operations?limit=130")) > asked
    assert page.locator(".operations.completed .operation").count() == loaded
    assert last.bounding_box() == before

    page.get_by_role("button", name="Load more operations with failures").click()
    expect(page.locator(".operations h2")).to_have_text(["Trees with failures 60", "Trees completed 70"])
    expect(page.locator(".operation")).to_have_count(130)


# Tokens.


def test_the_page_asks_for_a_token_keeps_it_until_the_tab_is_closed_and_has_no_buttons_where_it_may_only_read(
    visit: Callable[..., Visit], night: Night, demo: Site
) -> None:
    with serving(demo.database, "--token", "correct-horse-battery-staple", "--read-only") as site:
        visited = visit(site, tolerated=("401",))
        page = visited.page
        asked = dialog(page)
        expect(asked).to_contain_text("This server requires a token")
        expect(page.locator(".operation")).to_have_count(0)

        asked.get_by_label("Token").fill("a wrong one, a wrong one")
        asked.get_by_role("button", name="Continue").click()
        expect(asked.get_by_role("alert")).to_have_text("The server rejected this token.")
        asked.get_by_label("Token").fill("correct-horse-battery-staple")
        asked.get_by_role("button", name="Continue").click()
        expect(page.locator(".operation")).to_have_count(3)
        expect(page.locator(".connection")).to_have_text("Live")

        page.reload()
        expect(page.locator(".operation")).to_have_count(3)
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        assert "correct-horse" not in page.content()

        expect(page.locator("header")).to_contain_text("read-only")
        expect(page.locator('tr[data-queue="segment"]')).to_be_visible()
        assert page.get_by_role("button", name=re.compile("Pause|Resume")).count() == 0
        visited.go(f"/#/jobs/{night.dead[0].id}")
        aside = page.get_by_role("complementary", name="Job")
        expect(aside).to_contain_text(night.dead[0].id)
        assert aside.get_by_role("button", name=re.compile("Retry|Cancel")).count() == 0


# Hostile data.

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
QUOTED = "\"'><svg onload=window.pwned=1> ${window.pwned=1} {{7*7}}"


def test_nothing_from_the_database_becomes_markup_or_script_and_no_inline_script_is_allowed(
    visit: Callable[..., Visit], own_demo: Site, own_night: Night
) -> None:
    now = own_night.jobs[0].created_at
    config = {"operation_id": QUOTED, "handler": HOSTILE, "max_spawn_count": 5}
    payload = json.dumps({"title": HOSTILE, "_spawn_config": config})
    parent = NewJob(HOSTILE, payload, now, now, status=JobStatus.COMPLETED, workflow_name=QUOTED)
    child = NewJob(QUOTED, json.dumps({"x": QUOTED}), now, now, depends_on=(parent.id,), status=JobStatus.DEAD)
    child.failed_at = now
    child.error_message = f"{HOSTILE}\n{QUOTED}"
    strange = NewJob("\u202efdp.exe\x1b[2J", "{}", now, now, depends_on=(parent.id,), status=JobStatus.COMPLETED)
    own_demo.execute("DELETE FROM hammerwork_jobs")
    fill(own_demo.database, [parent, child, strange])
    own_demo.execute("UPDATE hammerwork_jobs SET status = ? WHERE id = ?", HOSTILE, strange.id)
    own_demo.execute(
        "INSERT INTO hammerwork_queue_pause (queue_name, paused_by, reason) VALUES (?, ?, ?)", *[HOSTILE] * 3
    )
    own_demo.forget()
    visited = visit(own_demo, None, tolerated=("Content Security Policy", "404"))
    page = visited.page

    def note_dialog(shown: Any) -> None:
        visited.complaints.append(f"dialog: {shown.message}")
        shown.dismiss()

    page.on("dialog", note_dialog)
    assert "unsafe" not in visited.go("/").headers["content-security-policy"]
    expect(operation(page, parent)).to_contain_text(HOSTILE)
    expect(page.locator("table.failures")).to_contain_text(HOSTILE)
    expect(page.locator(".badge.paused")).to_contain_text(HOSTILE)

    operation(page, parent).click()
    expect(row(page, child)).to_contain_text(QUOTED)
    expect(row(page, strange)).to_contain_text(HOSTILE)
    expect(row(page, strange)).to_contain_text(r"\u202efdp.exe\x1b[2J")
    aside = page.get_by_role("complementary", name="Job")
    expect(aside.locator("pre")).to_contain_text("window.pwned=1")
    row(page, child).click()
    expect(aside.locator("pre.error")).to_have_text(f"{HOSTILE}\n{QUOTED}")
    aside.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog(page)).to_contain_text(QUOTED)
    page.keyboard.press("Escape")

    assert page.evaluate("window.pwned") is None
    assert page.locator("#page img").count() == 1, "only the page's own sign"
    assert page.locator("#page :is(script, svg, iframe)").count() == 0
    assert all(
        url.startswith("#/") for url in page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    )
    page.remove_listener("dialog", note_dialog)
    assert visited.complaints == []

    # Even injected markup does not run.
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            """() => {
                const place = document.getElementById('page');
                place.insertAdjacentHTML('beforeend', '<img src=x onerror="window.pwned=1">');
                place.append(Object.assign(document.createElement('script'), {textContent: 'window.pwned=1'}));
            }"""
        )
    page.wait_for_timeout(200)
    assert page.evaluate("window.pwned") is None
