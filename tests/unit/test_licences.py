"""The page about licences names what an installation contains."""

import re

from tests.conftest import ROOT


def test_the_page_names_every_pinned_package() -> None:
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    page = (ROOT / "docs" / "reference" / "licences.md").read_text()
    assert len(pinned) > 20
    assert [name for name in pinned if f"`{name}`" not in page] == []
