"""Takes the pictures of the page, for ``make pictures``."""

import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, expect, sync_playwright

from tests.web.page.chromium import program
from tests.web.page.sites import Night, fill, plant_large_tree, serving

SIZE = ViewportSize(width=1400, height=760)


def take(into: Path) -> None:
    night = Night.now()
    with tempfile.TemporaryDirectory() as folder:
        database = fill(Path(folder) / "demo.db", night.jobs)
        root = night.running.depends_on[0]
        plant_large_tree(database, root, 20_000)
        with serving(database) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
            pictures: list[tuple[Literal["light", "dark"], str]] = [("light", "/"), ("dark", f"/#/jobs/{root}")]
            for scheme, path in pictures:
                page = browser.new_page(base_url=site.url, viewport=SIZE, color_scheme=scheme)
                page.goto(path)
                page.locator(".failures, [role=treeitem]").first.wait_for()
                if scheme == "dark":
                    page.locator(".row.job").nth(3).click()
                page.locator(".operations.completed").wait_for()
                expect(page.locator(".bar.uncounted")).to_have_count(0, timeout=30_000)
                page.wait_for_timeout(500)  # bars grow
                page.screenshot(path=into / f"page-{scheme}.png")
