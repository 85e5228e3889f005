"""Payload templates of hammerwork (Rust): JSON whose strings hold ``{{event.path}}``.

Values are put into the parsed template, so that no text of an event can become JSON.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.errors import UsageError

LARGEST = 1 << 16
"""Characters of a template."""
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

Fields = Mapping[str, "Fields | bool"]
"""The fields of ``event``, and what a path may name below each: these, anything (true) or nothing (false)."""


def check(template: str, fields: Fields) -> None:
    """Checks a template.

    Raises:
        UsageError: it is no JSON or too large, it names what no event has, or a placeholder is in a key or has no end.
    """
    _check(parsed(template), fields)


def parsed(template: str) -> Any:
    """Returns the JSON that a template is.

    Raises:
        UsageError: it is no JSON or too large.
    """
    if len(template) > LARGEST:
        raise UsageError(f"The template has more than {LARGEST:,} characters.")
    try:
        return json_of(template)
    except ValueError as error:
        raise UsageError(
            f"The template {error}.", hint='Write {"text": "Job {{event.data.id}}"}, for example.'
        ) from None


def _check(part: Any, fields: Fields) -> None:
    if isinstance(part, dict):
        for key, value in part.items():
            if "{{" in key:
                raise UsageError(f"The template has a placeholder in a key: {key!r:.80}.", hint="Only values may.")
            _check(value, fields)
    elif isinstance(part, list):
        for member in part:
            _check(member, fields)
    elif isinstance(part, str):
        if "{{" in _PLACEHOLDER.sub("", part):
            raise UsageError(f"A placeholder of the template has no end: {part!r:.80}.", hint="Write }} after it.")
        for found in _PLACEHOLDER.finditer(part):
            _check_path(found[1].strip(), fields)


def _check_path(path: str, fields: Fields) -> None:
    root, *steps = path.split(".")
    if root != "event" or not all(steps):
        _refuse(path, "is not a path", "Write {{event}}, or {{event.type}}, for example.")
    known: Fields | bool = fields
    for place, step in enumerate(steps):
        if isinstance(known, bool):
            if known:
                return
            _refuse(path, "leads into a text or number", f"Write {{{{{'.'.join([root, *steps[:place]])}}}}}.")
        if step not in known:
            has = f"{steps[place - 1] if place else root} has: {', '.join(sorted(known) if place else known)}."
            _refuse(path, "names no field", did_you_mean(step, known) or has)
        known = known[step]


def _refuse(path: str, problem: str, hint: str) -> NoReturn:
    raise UsageError(f"{{{{{path:.80}}}}} in the template {problem}.", hint=hint)


def filled(template: str, event: Mapping[str, Any]) -> Any:
    """Returns the JSON value that a template makes of an event.

    A text that is one placeholder becomes the value, with its type. Within other text, a text stands without quotes,
    null is empty, and other values are JSON. What the event lacks is null.
    """
    return _filled(parsed(template), event)


def _filled(part: Any, event: Mapping[str, Any]) -> Any:
    if isinstance(part, dict):
        return {key: _filled(value, event) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(member, event) for member in part]
    if not isinstance(part, str):
        return part
    alone = _PLACEHOLDER.fullmatch(part)
    if alone and "{{" not in alone[1]:
        return _at(alone[1], event)
    return _PLACEHOLDER.sub(lambda found: _text(_at(found[1], event)), part)


def _at(path: str, event: Mapping[str, Any]) -> Any:
    found: Any = event
    for step in path.strip().split(".")[1:]:
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
