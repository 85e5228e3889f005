"""Messages in character sets that lack some of their characters."""

from hammerwork_cli.database.texts import LONGEST, cut, written_out
from tests.conftest import each_row


@each_row(
    ("charset", "wanted"),
    [
        ("latin1", r"Zoë €5 \u0416 \U0001f600"),  # MySQL's, which is that of Windows
        ("LATIN1", r"Zoë \u20ac5 \u0416 \U0001f600"),  # PostgreSQL's
        ("WIN1251", r"Zo\xeb €5 Ж \U0001f600"),
        ("utf8mb3", r"Zoë €5 Ж \U0001f600"),
        ("utf8", r"Zoë €5 Ж \U0001f600"),
        ("EUC_TW", r"Zo\xeb \u20ac5 \u0416 \U0001f600"),  # Python has no codec for it
    ],
)
def test_a_character_that_a_character_set_lacks_is_written_out(charset: str, wanted: str) -> None:
    assert written_out("Zoë €5 Ж 😀", charset) == wanted
    assert written_out("plain", charset) == "plain"


def test_a_message_that_is_written_out_keeps_its_beginning_and_its_end() -> None:
    text = written_out("begins " + "Ж" * LONGEST + " ends", "latin1")
    assert len(text) <= LONGEST
    assert text.startswith(r"begins \u0416")
    assert text.endswith(r"\u0416 ends")
    assert cut("é" * (LONGEST // 2)) == "é" * (LONGEST // 2)
    assert len(cut("é" * LONGEST).encode()) <= LONGEST
