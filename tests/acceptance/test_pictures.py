"""The pictures of the documentation show what the program does."""

from collections.abc import Callable

import pytest

from tests.pictures import FOLDER, TERMINAL, drawn, printed, words_of


@pytest.mark.postgres
@pytest.mark.parametrize("name", TERMINAL)
def test_a_picture_of_the_terminal_has_what_the_command_prints(
    name: str, shared_restored: Callable[[str], str], tmp_path
) -> None:
    dump, command = TERMINAL[name]
    picture = tmp_path / "now.svg"
    picture.write_text(drawn(name, command, printed(command, shared_restored(dump))), encoding="utf-8")
    assert words_of(FOLDER / f"{name}.svg") == words_of(picture), "take it anew: make pictures"


@pytest.mark.parametrize("picture", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_fetches_nothing(picture) -> None:
    text = picture.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text.replace("https://www.textualize.io", "")
