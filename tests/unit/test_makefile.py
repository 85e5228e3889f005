"""CI starts every target of the Makefile, so that none breaks unseen."""

import re

from tests.pages import ROOT

DELETES = {"clean"}
"""Nothing would be left to start."""


def test_ci_starts_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (declared,) = re.findall(r"^\.PHONY: (demo .*)$", makefile, re.MULTILINE)
    recipes = re.findall(r"\$\(MAKE\)(?: -C \S+)?((?: [a-z][a-z-]*)+)", makefile)
    script = re.findall(
        r"^make\b(?: --\S+(?: \d+)?)*((?: [a-z][a-z-]*)+)", (ROOT / ".ci/run").read_text(), re.MULTILINE
    )
    started = {target for line in recipes + script for target in line.split()}
    assert set(declared.split()) - started == DELETES
    smokes = set(re.findall(r"^smoke-([a-z-]+):", makefile, re.MULTILINE))
    (listed,) = re.findall(r"addprefix smoke-,([^)]*)\)", makefile)
    assert set(listed.replace("\\", " ").split()) == smokes
