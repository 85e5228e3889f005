"""JSON and TOML that somebody else has written: a key twice, an infinity or too many values are refused."""

import json
import re
from math import isfinite
from typing import Any

MOST_VALUES = 4_000_000
"""Values of a document. One can have three bytes in the text (``[],``), and takes up to 80 in memory."""
_JSON_MARKS, _TOML_MARKS = "[{,:", "[{,="
_TEXT_OR_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{,:=]', re.DOTALL)


def json_of(text: str) -> Any:
    _check_size(text, _JSON_MARKS)
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from error
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):
            raise ValueError("has a number with too many digits") from None
        raise


def toml_of(text: str) -> dict[str, Any]:
    import tomllib

    _check_size(text, _TOML_MARKS)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not TOML: {error}") from error


def _check_size(text: str, marks: str) -> None:
    """Counts what stands between values before they are made: a file of 130 KB can be unpacked to values of 4 GB."""
    if len(text) <= MOST_VALUES or sum(map(text.count, marks)) <= MOST_VALUES:
        return
    values = 0
    for found in _TEXT_OR_MARK.finditer(text):  # those within texts do not count
        values += found[0] in marks
        if values > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES:,} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"has the key {twice!r:.80} twice in one object")
    return found


def _number(digits: str) -> float:
    if isfinite(number := float(digits)):
        return number
    raise ValueError(f"has a number that is too large: {digits:.60}")


def _no_constant(word: str) -> None:
    raise ValueError(f"is not JSON: {word} is not a JSON number")


# A function of the module json would make a decoder for each line of a file.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_no_constant)
