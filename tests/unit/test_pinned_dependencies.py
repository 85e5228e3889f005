"""The lock files pin what pyproject.toml asks for, and the page about licences names what an installation contains."""

import re
import tomllib

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

LARGE = ("kafka", "kinesis", "pubsub")
"""Extras whose libraries only `requirements-streams.lock` has."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0].lower() for requirement in requirements}


def pinned(lock: str) -> set[str]:
    return set(re.findall(r"^([\w-]+)==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    small = [line for name, lines in extras.items() if name not in LARGE for line in lines]
    wanted = names([*project["dependencies"], *small])
    assert wanted <= pinned("requirements.lock"), "run make lock"
    wanted = names([*project["dependencies"], *(line for lines in extras.values() for line in lines)])
    assert wanted <= pinned("requirements-streams.lock"), "run make lock"
    for_developers = names([line for group in PROJECT["dependency-groups"].values() for line in group])
    assert wanted | for_developers <= pinned("requirements-dev.lock"), "run make lock"


def test_the_page_about_licences_names_every_pinned_package() -> None:
    page = (ROOT / "docs" / "reference" / "licences.md").read_text(encoding="utf-8")
    assert [name for name in sorted(pinned("requirements-streams.lock")) if f"`{name}`" not in page] == []
