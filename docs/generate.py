"""Writes what follows from the program itself: ``make reference``.

That is the pages of ``docs/reference``, the types of answers in ``client.d.ts``, and the sets of statuses of the page.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from docs import client_types, python_names
from hammerwork_cli import compat
from hammerwork_cli.app import app
from hammerwork_cli.cli.verb import shared_options
from hammerwork_cli.config import KEYS
from hammerwork_cli.config.keys import PROFILE_KEYS
from hammerwork_cli.core.values import FAILURES, FINISHED, WAITING, JobStatus
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.event.samples import sample
from hammerwork_cli.features.event.shapes import MEANINGS, data_of
from hammerwork_cli.features.schema.views import SCHEMAS
from hammerwork_cli.view.shape import Schema
from hammerwork_cli.web.application import ENDPOINTS, EVENTS, HEALTH, METRICS
from hammerwork_cli.web.endpoints.endpoint import Endpoint

FOLDER = Path(__file__).parent / "reference"
STATUSES = client_types.FILE.parent / "page" / "statuses.js"
GENERATED = "<!-- Written by `make reference`: change the program instead. -->\n\n"

OVERVIEW = """\
# Commands

Groups: {groups}.

{verbs}

## Use the options of all commands

Put them before the group or after the verb.

{options}
"""
SETTINGS = """\
# Settings

```sh
hammerwork config show
hammerwork config set default_limit 100
hammerwork config get default_limit
```

An option overrides the environment, the environment the file, and the file the default.
`hammerwork config show` prints each value with its source.

{settings}

The file is `$XDG_CONFIG_HOME/hammerwork/config.toml`, by default in `~/.config`; `HAMMERWORK_CONFIG` names another one.
A relative `XDG_CONFIG_HOME` is ignored.
`hammerwork config init` writes one that explains all settings:

```toml
{examples}
```

A [profile](../operate/connect.md#give-databases-names) is a table in the file:

```toml
[profiles.production]
{profile}
```

`HAMMERWORK_WEB_TOKEN` is the token of [`hammerwork web serve`](commands/web.md#hammerwork-web-serve). It is not a
setting of the file.
"""
SCHEMA_PAGE = """\
# Schemas of JSON

```sh
hammerwork schema spawn-tree
hammerwork schema job list
```

`hammerwork schema NAME` prints the JSON schema of the answer to `--format json`, with a description of each key; the
REST API answers with the same objects. Keys may be added; none is renamed or removed. Times are RFC 3339 in UTC, ids
full UUIDs, durations seconds, rates 0 to 1.

A line of `--format jsonl` is an item of the list, or an object of the schema `NAME-line` where there is one.

{schemas}
"""
NAMES_PAGE = """\
# Other names of commands and options

Help and completions show one name for everything. The names of [hammerwork (Rust)](../start/from-rust.md) and of
earlier versions also work, silently. A command keeps its options and its output.

## Commands

{verbs}

## Options

{options}
"""
EVENTS_PAGE = """\
# Events

```sh
hammerwork schema event
hammerwork webhook add --name chat --url https://chat.example/hook --events dead,timed_out
```

[Webhooks](../events/webhooks.md) and [streams](../events/streams.md) take these types. You may omit the prefix `job.`.

{types}

An event has the keys `id` (the same at every repetition), `type`, `timestamp` (when it happened), and `data`.

{data}

## Examples

{examples}
"""
ENDPOINT_PAGE = """\
# Endpoints of the REST API

A GET takes its parameters from the query, a POST from the body, as one JSON object. `/openapi.json` has the
types, the bounds and the answers. [Call the REST API](../web/rest.md) explains pages, errors and events.

{endpoints}
"""


def pages() -> dict[str, str]:
    """Text by path below ``docs/reference``."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    groups = {name: root.commands[name] for name in root.commands}
    texts = {
        "commands/index.md": _overview(root, groups),
        **{f"commands/{name}.md": _group(name, group) for name, group in groups.items()},
        "settings.md": _settings(),
        "other-names.md": _other_names(root),
        "schemas.md": _schemas(),
        "endpoints.md": _endpoints(),
        "events.md": _events(),
        "python.md": python_names.page(),
    }
    return {path: f"{GENERATED}{text.strip()}\n" for path, text in texts.items()}


def verbs(name: str, group: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The path and the command of each verb of a group that help shows."""
    if not isinstance(group, TyperGroup):
        yield (name,), group
        return
    for verb, command in group.commands.items():
        if not command.hidden:
            yield (name, verb), command


# Commands.


def _overview(root: Any, groups: dict[str, Any]) -> str:
    context = root.make_context("hammerwork", [], resilient_parsing=True)
    rows = [
        (f"[`{' '.join(path)}`]({name}.md#hammerwork-{'-'.join(path)})", _cell(_first_sentence(command.help)))
        for name, group in groups.items()
        for path, command in verbs(name, group)
    ]
    own = [param for param in root.params if param not in shared_options()]
    options = _options([*own, *shared_options(), root.get_help_option(context)], context)
    linked = ", ".join(f"[{name}]({name}.md)" for name in groups)
    return OVERVIEW.format(groups=linked, verbs=_table(("command", ""), rows), options=options)


def _group(name: str, group: Any) -> str:
    parts = [f"# hammerwork {name}"]
    if isinstance(group, TyperGroup):
        parts.append(_described(group.help or ""))
    parts.append("The [options of all commands](index.md#use-the-options-of-all-commands) work here as well.")
    for path, command in verbs(name, group):
        context = command.make_context(f"hammerwork {' '.join(path)}", [], resilient_parsing=True)
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        own = [param for param in command.params if param not in shared_options()]
        parts.append(f"## {context.command_path}" if path[1:] else "")
        parts += [f"```text\n{usage}\n```", _described(command.help), _options(own, context)]
    return "\n\n".join(filter(None, parts))


def _other_names(root: TyperGroup) -> str:
    names = {old: _linked(new) for old, new in compat.VERBS.items()}
    names |= {old: _linked(new) for old, new in compat.REPLACED.items()}
    rows = [(_code(old), new) for old, new in sorted(names.items())]
    options = [
        (_code(alias), place and _code(f"{place} ..." if " " not in place else place), _code(option))
        for place, aliases in compat.OPTIONS.items()
        for alias, option in sorted(aliases.items())
    ]
    options += sorted(_replaced_options(root))
    options += [
        (_code(flag), _code(verb), "nothing: it has no effect")
        for verb, flags in compat.IGNORED.items()
        for flag in flags
    ]
    return NAMES_PAGE.format(
        verbs=_table(("other name", "command"), rows), options=_table(("other name", "of", "option"), options)
    )


def _replaced_options(root: TyperGroup) -> Iterator[tuple[str, str, str]]:
    """The hidden options with a reader of their own, where they are, and what to write instead."""
    found: dict[tuple[str, str], list[str]] = {}
    for group, commands in root.commands.items():
        for verb, command in getattr(commands, "commands", {}).items():
            for param in command.params:
                if getattr(param, "hidden", False) and param.opts[-1] in compat.REPLACED_OPTIONS:
                    found.setdefault((", ".join(map(_code, param.opts)), param.opts[-1]), []).append(f"{group} {verb}")
    for (names, old), places in found.items():
        yield names, ", ".join(map(_code, places)), _code(compat.REPLACED_OPTIONS[old])


def _linked(line: str) -> str:
    group, verb, *_ = line.split()
    return f"[{_code(line)}](commands/{group}.md#hammerwork-{group}-{verb})"


def _described(text: str) -> str:
    """The paragraphs of a help, and its examples as a block."""
    about, *examples = re.split(r"\x08\n?Examples?:\n", text.strip())
    parts = [_prose(paragraph) for paragraph in about.strip().split("\n\n")]
    for block in examples:
        lines = [line.strip() for line in block.strip().splitlines()]
        parts.append("\n".join(["```text", *lines, "```"]))
    return "\n\n".join(parts)


def _options(params: list[Any], context: Any) -> str:
    records = [param.get_help_record(context) for param in params if not getattr(param, "hidden", False)]
    return _table(("", ""), [(_code(names), _cell(about)) for names, about in filter(None, records)])


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()))[0]


# Markdown.


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    ruled = [head, ("---",) * len(head), *rows]
    return "\n".join("".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in ruled)


def _code(text: object) -> str:
    return f"`{text}`".replace("|", r"\|")


def _cell(text: str) -> str:
    return _prose(text).replace("|", r"\|")


def _prose(text: str) -> str:
    """Plain text of the program as Markdown: options are code, as a dash would be made of their hyphens."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    option = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*(?: jsonl?\b)?")
    parts[::2] = [
        option.sub(lambda found: f"`{found[0]}`", part).replace("<", r"\<").replace("*", r"\*") for part in parts[::2]
    ]
    return "".join(parts)


# Settings.


def _settings() -> str:
    rows = [
        (
            _code(key.name),
            ", ".join(map(_code, key.variables)),
            "" if key.default is None else _code(key.default),
            _cell(key.purpose),
        )
        for key in KEYS.values()
    ]
    return SETTINGS.format(
        settings=_table(("setting", "environment", "default", ""), rows),
        examples="\n".join(f"{key.name} = {key.example}" for key in KEYS.values()),
        profile="\n".join(f"{name} = {key.example}" for name, key in PROFILE_KEYS.items()),
    )


# Schemas.


def _schemas() -> str:
    rows = [(_code(name), _cell(schema["description"])) for name, schema in SCHEMAS.items()]
    return SCHEMA_PAGE.format(schemas=_table(("name", ""), rows))


# Events.


def _events() -> str:
    types = [(_code(event), _cell(MEANINGS[event])) for event in EventType]
    firsts = {data_of(event): event.partition(".")[0] for event in EventType}
    parts = []
    for shape, subject in firsts.items():
        keys = shape.schema["properties"]
        rows = [(_code(name), _cell(_about_key(schema))) for name, schema in keys.items()]
        parts += [f"## Data of {subject}.*", _table(("key", ""), rows)]
    at = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    examples = [f"```json\n{json.dumps(sample(event, at).record())}\n```" for event in EventType]
    return EVENTS_PAGE.format(
        types=_table(("event", "has happened"), types), data="\n\n".join(parts), examples="\n\n".join(examples)
    )


def _about_key(schema: Any) -> str:
    """What a key holds; of one that may be null, by its other schema."""
    return str(schema.get("description") or next((_about_key(one) for one in schema.get("anyOf", ())), ""))


# Endpoints.


def _endpoints() -> str:
    parts, shown = [], dict[str, str]()
    for endpoint in (*ENDPOINTS, EVENTS, HEALTH, METRICS):
        parts += [f"## {endpoint.method} {endpoint.path}", _prose(endpoint.about)]
        if isinstance(endpoint.schema, str):
            parts.append(f"Answers with {_code(endpoint.schema)} ([schemas](schemas.md)).")
        parts.append(_table(("parameter", "default", ""), list(_parameters(endpoint))))
        if isinstance(endpoint.schema, Mapping):
            parts += _answer(endpoint.schema, f"{endpoint.method} {endpoint.path}", shown)
    return ENDPOINT_PAGE.format(endpoints="\n\n".join(filter(None, parts)))


def _answer(schema: Schema, path: str, shown: dict[str, str]) -> list[str]:
    """What an endpoint answers with that no command prints.

    Args:
        shown: JSON of a schema -> the endpoint that shows its keys.
    """
    is_list = schema.get("type") == "array"
    item = schema["items"] if is_list else schema
    if not (keys := item.get("properties")):
        return []
    answers = f"Answers with {'a list of objects' if is_list else 'an object'}"
    first = shown.setdefault(json.dumps(item, sort_keys=True), path)
    if first != path:
        return [f"{answers}, with the keys of {_code(first)}."]
    return [f"{answers}:", _table(("key", ""), [(_code(name), _cell(_about_key(one))) for name, one in keys.items()])]


def _parameters(endpoint: Endpoint) -> Iterator[tuple[str, str, str]]:
    for parameter in endpoint.parameters:
        shown = str(parameter.default).lower() if isinstance(parameter.default, bool) else parameter.default
        yield _code(parameter.name), "" if shown in (None, ()) else _code(shown), _cell(parameter.about)
    for name, field in (endpoint.body or {}).get("properties", {}).items():
        yield _code(name), "", _cell(field.get("description", ""))


# The page.


def page_statuses() -> str:
    """The module of the page with the sets of statuses as they are now."""
    text = STATUSES.read_text(encoding="utf-8")
    for name, members in {"FAILED": FAILURES, "WAITING": WAITING, "FINISHED": FINISHED}.items():
        words = json.dumps([status for status in JobStatus if status in members])
        text = re.sub(rf"(?<={name} = new Set\()[^)]*", words, text)
    return text


if __name__ == "__main__":
    for name, text in pages().items():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    client_types.FILE.write_text(client_types.client_types(), encoding="utf-8")
    STATUSES.write_text(page_statuses(), encoding="utf-8")
