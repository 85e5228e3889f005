"""Names of things: several in one text, with commas between them, and those that stand beside ids."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.errors import UsageError

_COMMA = re.compile(r"(?<!\\),")


def split(texts: Iterable[str]) -> list[str]:
    r"""Returns the names in some texts, in their order. ``a,b`` has two names; ``a\,b`` is one."""
    return [part.replace("\\,", ",") for text in texts for part in _COMMA.split(text) if part]


def joined(names: Iterable[str]) -> str:
    """Returns a text that :func:`split` reads as these names."""
    return ",".join(name.replace(",", "\\,") for name in names)


def storable_name(name: str) -> str:
    """Cuts a name from another program to the text that the columns of hammerwork-cli can store."""
    return name.encode("utf-8", "replace").decode()[:LONGEST_NAME]


def stored_name(value: object) -> str | None:
    """The name that another program has stored, as :func:`storable_name`; ``None`` if the value is no name."""
    return storable_name(value) if isinstance(value, str) and value else None


class Named(Protocol):
    """What has an id and a name."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


NamedThing = TypeVar("NamedThing", bound=Named)


def of_receiver(name: str, what: str) -> str:
    """Checks the name of a webhook or a stream. It is no id, since commands take both."""
    text = name.strip()
    if not text or len(text) > LONGEST_NAME or any(ord(letter) < 32 for letter in text):
        raise UsageError(f"A {what} needs a name of 1 to {LONGEST_NAME} characters.")
    if uuid_of(text):
        raise UsageError(f"The name of a {what} cannot be a UUID, which would be taken for an id.")
    return text


def called(known: Sequence[NamedThing], text: str) -> NamedThing | None:
    """The one with an id, or else with a name."""
    return next((one for one in known if one.id == text), None) or next(
        (one for one in known if one.name == text), None
    )
