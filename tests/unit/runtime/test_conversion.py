"""JSON values as dataclasses, pydantic models, and what these are made of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, Optional, TypedDict, TypeVar
from uuid import UUID

import pydantic.dataclasses
import pytest

from hammerwork_cli import UsageError, convert
from hammerwork_cli.runtime.api.encoding import json_text
from tests.conftest import each_row

Item = TypeVar("Item")
Sku = NewType("Sku", str)


class Colour(Enum):
    RED = "red"
    NONE = None
    OLD = Decimal("1.5")


class Access(Flag):
    READ = 1
    WRITE = 2


class Place(TypedDict):
    x: int
    name: NotRequired[str]


@dataclass(frozen=True)
class Line:
    price: float
    sku: Sku = Sku("none")


@dataclass
class Page(Generic[Item]):
    items: list[Item]
    next: "Page[Item] | None" = None


@dataclass(kw_only=True)
class Everything:
    at: datetime
    day: date
    clock: time
    pause: timedelta
    id: UUID
    price: Decimal
    colours: list[Colour]
    access: Access
    lines: tuple[Line, ...]
    pair: tuple[int, str]
    by_number: dict[int, Line]
    by_id: Mapping[UUID, Sequence[bool]]
    kind: Literal["a", 1]
    line: Line | None
    place: Place
    text_or_day: date | str
    whatever: Any
    page: Page[Line]
    old: Optional[Annotated[int, "a note"]] = None  # noqa: UP045  as users write it
    total: float = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(line.price for line in self.lines)


EVERYTHING = Everything(
    at=datetime(2026, 11, 30, 9, tzinfo=UTC),
    day=date(2026, 11, 30),
    clock=time(9, 30),
    pause=timedelta(minutes=1, microseconds=3),
    id=UUID(int=7),
    price=Decimal("9.90"),
    colours=[Colour.RED, Colour.NONE, Colour.OLD],
    access=Access.READ | Access.WRITE,
    lines=(Line(1), Line(2.5, Sku("ink"))),
    pair=(1, "b"),
    by_number={1: Line(3)},
    by_id={},
    kind=1,
    line=None,
    place={"x": 1, "other": 2},  # type: ignore[typeddict-unknown-key]  # a newer program may add one
    text_or_day="tomorrow",
    whatever={"a": [1]},
    page=Page([Line(4)], Page([])),
)


def test_a_dataclass_is_read_as_it_was_written() -> None:
    stored = json.loads(json_text(EVERYTHING))
    assert stored["pause"] == 60.000003
    assert convert(stored, Everything) == EVERYTHING
    assert convert([{"price": 1, "new": True}], list[Line]) == [Line(1)]


@dataclass
class Cat:
    kind: Literal["cat"]
    name: str


@dataclass
class Kitten(Cat):
    weeks: int = 0


@dataclass
class Dog:
    kind: Literal["dog"]
    name: str


@dataclass
class Owner:
    pet: Cat | Kitten | Dog | None
    size: int | str = 0


@pytest.mark.parametrize(
    ("pet", "wanted"),
    [
        ({"kind": "cat", "name": "Tom", "weeks": 3}, Kitten("cat", "Tom", 3)),
        ({"kind": "cat", "name": "Tom"}, Cat("cat", "Tom")),
        ({"kind": "dog", "name": "Rex"}, Dog("dog", "Rex")),
        (None, None),
    ],
)
def test_of_several_classes_the_one_that_knows_most_keys_is_read(pet: Any, wanted: Any) -> None:
    assert convert({"pet": pet}, Owner) == Owner(wanted)


@dataclass
class Careful:
    number: int
    limit: InitVar[int] = 10

    def __post_init__(self, limit: int) -> None:
        if self.number > limit:
            raise ValueError("too large.")


@dataclass
class Order:
    lines: list[Line]
    by: dict[str, Careful]
    at: datetime = datetime.min


@each_row(
    ("value", "kind", "said"),
    [
        ("text", Order, "The value is no Order: it must be an object, not text."),
        ({"lines": []}, Order, "The value is no Order: by is missing."),
        ({"lines": [{"price": 1}, {"price": "SECRET"}], "by": {}}, Order, "lines[1].price must be a number, not text."),
        ({"lines": [{"price": True}], "by": {}}, Order, "lines[0].price must be a number, not a boolean."),
        ({"lines": {}, "by": {}}, Order, "lines must be a list, not an object."),
        ({"lines": [], "by": {"a": {"number": 1.5}}}, Order, "by.a.number must be a whole number, not a number."),
        ({"lines": [], "by": {"a": {"number": 11}}}, Order, "by.a is refused: too large."),
        ({"lines": [], "by": {}, "at": "SECRET"}, Order, "at must be a date and time of ISO 8601."),
        ({"lines": [], "by": {}, "at": 7}, Order, "at must be a date and time of ISO 8601, not a number."),
        ([[1, 2, 3]], list[tuple[int, int]], "The value is no list[tuple[int, int]]: [0] must have 2 items, not 3."),
        ({"pet": {"kind": "cow", "name": "Mu"}}, Owner, "pet.kind must be 'cat'."),
        ({"pet": None, "size": 1.5}, Owner, "size must be int or str, not a number."),
        ({"pet": 3}, Owner, "pet must be Cat or Kitten or Dog or null, not a number."),
        ("SECRET", Colour, """it must be one of "red", null, "1.5"."""),
        (8, Access, "it must be one of 1, 2."),
        ({"x": "SECRET"}, Place, "The value is no Place: x must be a whole number, not text."),
        ({}, Place, "x is missing."),
        (10**400, float, "it must be a number that a float can hold."),
        (1e300, timedelta, "it must be a number of seconds that a timedelta can hold."),
        ("SECRET", Decimal, "it must be a number, or text with one."),
        ({"a": 1}, dict[int, int], "a must be a whole number."),
    ],
)
def test_an_error_names_the_field_and_not_its_value(value: Any, kind: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert(value, kind)
    assert caught.value.message.endswith(said)
    assert "SECRET" not in caught.value.message
    assert not caught.value.retryable


class Strict(pydantic.BaseModel, extra="forbid", strict=True):
    at: datetime
    total: float = pydantic.Field(alias="Total")
    lines: list[Line] = []


@pydantic.dataclasses.dataclass
class Checked:
    url: pydantic.AnyUrl
    pause: timedelta = timedelta(0)


def test_pydantic_reads_what_it_wrote_by_its_own_rules() -> None:
    model = Strict(at=EVERYTHING.at, Total=9.5, lines=[Line(1)])
    stored = json.loads(json_text({"model": model, "many": (model,)}))
    assert stored["model"] == {"at": "2026-11-30T09:00:00Z", "Total": 9.5, "lines": [{"price": 1.0, "sku": "none"}]}
    assert convert(stored["many"], list[Strict]) == [model]
    # What hammerwork keeps in a payload is no key of the model.
    assert convert({**stored["model"], "_spawn_config": {}, "_schedule": {}}, Strict) == model
    checked = Checked(pydantic.AnyUrl("https://example.org/a"), timedelta(seconds=90))
    assert convert(json.loads(json_text(checked)), Checked) == checked


def test_an_error_of_pydantic_names_the_field_and_not_its_value() -> None:
    with pytest.raises(UsageError) as caught:
        convert([{"at": "2026-11-30T09:00:00Z", "Total": "SECRET", "lines": [{"price": "SECRET"}]}], list[Strict])
    assert caught.value.message == (
        "The value is no list[Strict]: [0].Total is refused: Input should be a valid number (1 more)."
    )
    with pytest.raises(UsageError, match=r"url is refused: Input should be a valid URL") as caught:
        convert({"url": "SECRET"}, Checked)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


class Opaque:
    pass


@dataclass
class Tagged:
    tags: set[str]


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        (Opaque, "Opaque cannot be read from JSON.", "Use a dataclass or a pydantic model."),
        (Tagged, "Tagged.tags: set[str] cannot be read from JSON.", "Use list."),
        (dict[float, int], "An object in JSON cannot have float as its keys.", "Use str."),
    ],
)
def test_a_type_that_json_cannot_hold_is_refused(kind: Any, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert({}, kind)
    assert (caught.value.message, caught.value.hint) == (said, hint)
