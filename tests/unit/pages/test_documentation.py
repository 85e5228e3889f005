"""Every link of the documentation leads somewhere, and every page is linked. The web is not asked."""

import re
from functools import cache

from tests.pages import ROOT, Database, Page, documentation

FILES = sorted({*documentation(), *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md")})
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""Sections of a version, in the order of Keep a Changelog."""


def test_every_link_of_a_page_leads_somewhere() -> None:
    read = cache(Page)

    def leads_somewhere(page: Page, link: str) -> bool:
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        return target.exists() and target.is_relative_to(ROOT) and (not anchor or anchor in read(target).anchors)

    links = [(page, line, link) for page in map(read, FILES) for line, link in page.links()]
    own = [(page, line, link) for page, line, link in links if not re.match(r"https?:|mailto:", link)]
    assert len(own) > 100
    assert [f"{page.name}:{line}: {link}" for page, line, link in own if not leads_somewhere(page, link)] == []


def test_every_page_of_the_documentation_is_linked_from_the_index_of_its_folder() -> None:
    for folder in {path.parent for path in documentation()} - {ROOT, ROOT / "benchmarks"}:
        index = folder / "index.md"
        linked = {(folder / link.partition("#")[0]).resolve() for _, link in Page(index).links()}
        assert set(folder.glob("*.md")) - {index} <= linked, folder.name


def test_a_page_about_a_database_that_the_reader_lacks_says_so() -> None:
    dumps = {
        page: {step.kind for step in page.steps if isinstance(step, Database)} for page in map(Page, documentation())
    }
    shown = [page for page, kinds in dumps.items() if "media.postgresql" in kinds]
    assert shown
    assert [page.name for page in shown if "an example database" not in page.prose] == []


def test_every_page_that_code_names_is_there() -> None:
    named = re.compile(r"\bdocs/[\w/-]+\.(?:md|png|svg)")
    folders = ["hammerwork_cli", "tests", "chaos", "benchmarks", "examples", "mutants"]
    kinds = {".py", ".js", ".mjs", ".ts", ".css", ".html", ".sql", ".sh", ".toml"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    own = [path for path in files if "node_modules" not in path.parts]
    for path in [*own, ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("*.md")]:
        for name in named.findall(path.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)}: {name}"


def test_a_workflow_runs_the_script_of_ci_and_nothing_else() -> None:
    workflows = [path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").iterdir()]
    assert {run for text in workflows for run in re.findall(r"(?m)^ +(?:- )?run: *(.*)", text)} == {".ci/run"}


def test_a_changelog_has_each_section_of_a_version_and_each_entry_once() -> None:
    short, full = (
        re.split(r"(?m)^## ", (ROOT / name).read_text("utf-8"))[1:] for name in ("CHANGELOG.md", "CHANGES.md")
    )
    unreleased = short.pop(0)
    assert unreleased.startswith("[Unreleased]")
    assert [version.partition("\n")[0] for version in short] == [version.partition("\n")[0] for version in full]
    for version in [unreleased, *short, *full]:
        name, *sections = re.split(r"(?m)^### ", version)
        titles = [section.partition("\n")[0] for section in sections]
        assert titles == sorted(set(titles), key=KINDS.index), name
        for title, section in zip(titles, sections, strict=True):
            lines = section.strip().splitlines()[2:]
            assert [line for line in lines if not line.startswith("- ")] == [], f"{name} {title}"


def test_an_entry_of_a_released_version_is_in_the_list_of_changes_alone() -> None:
    """A merge by union brings back what was moved: take main's CHANGELOG.md, and add your lines under [Unreleased]."""
    texts = [(ROOT / name).read_text("utf-8") for name in ("CHANGELOG.md", "CHANGES.md")]
    entries = [line for text in texts for line in text.splitlines() if line.startswith("- ")]
    assert sorted(entries) == sorted(set(entries))
