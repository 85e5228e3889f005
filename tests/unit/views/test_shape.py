"""A shape is the one declaration of an output: its records and its schema agree."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from jsonschema import Draft202012Validator

from hammerwork_cli.core.values import Counts
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import MISSING, Shape


class Part(NamedTuple):
    name: str
    took: timedelta | None


class Whole(NamedTuple):
    part: Part
    parts: list[Part]
    counts: Counts
    at: datetime | None = None
    extra: object = MISSING


PART = Shape[Part]({"name": key.text(), "seconds": key.null_or(key.seconds()).of("took")})
WHOLE = Shape[Whole](
    {
        **PART.within("part"),
        "first": key.null_or(PART).of(lambda whole: next(iter(whole.parts), None)),
        "parts": key.list_of(PART),
        "by_status": key.counts("", in_order=True).of("counts"),
        "word": key.word("", "a", "b").of("part.name"),
        "at": key.null_or(key.instant()),
        "extra": key.anything().optional,
    }
)


def test_a_record_is_read_by_attributes_paths_and_functions_and_converted() -> None:
    part = Part("a", timedelta(seconds=1.5))
    given = Whole(part, [part, Part("c", None)], Counts({"b": 1, "a": 2}), datetime(2026, 1, 2, tzinfo=UTC), 7)
    record = WHOLE.record(given)
    assert record == {
        "name": "a",
        "seconds": 1.5,
        "first": {"name": "a", "seconds": 1.5},
        "parts": [{"name": "a", "seconds": 1.5}, {"name": "c", "seconds": None}],
        "by_status": {"a": 2, "b": 1},
        "word": "a",
        "at": "2026-01-02T00:00:00.000000Z",
        "extra": 7,
    }
    assert tuple(record) == WHOLE.columns
    assert list(record["by_status"]) == ["a", "b"]
    Draft202012Validator(WHOLE.schema).validate(record)


def test_null_stays_null_a_missing_key_is_left_out_and_a_strange_word_is_unknown() -> None:
    record = WHOLE.record(Whole(Part("c", None), [], Counts()))
    assert record == {"name": "c", "seconds": None, "first": None, "parts": [], "by_status": {}, "word": "unknown"} | {
        "at": None
    }
    Draft202012Validator(WHOLE.schema).validate(record)
    assert WHOLE.schema["required"] == [name for name in WHOLE.columns if name != "extra"]


def test_a_shape_of_one_key_is_read_too() -> None:
    assert Shape[Part]({"name": key.text()}).record(Part("a", None)) == {"name": "a"}
    assert Shape[Part]({"one": key.count().of(lambda _: 1)}).record(Part("a", None)) == {"one": 1}
