"""The page about the public names of Python, from their signatures and docstrings."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import hammerwork_cli
from hammerwork_cli import testing
from hammerwork_cli.cached import cached
from hammerwork_cli.contrib import opentelemetry, sentry
from hammerwork_cli.runtime.api.handlers import HandlerOptions
from hammerwork_cli.runtime.api.schedules import ScheduleOptions
from hammerwork_cli.testing.jobs import JobFields

PAGE = """\
# Python names

```python
from hammerwork_cli import Handlers, Job, Queue, Worker

app = Handlers()
app.register_job("mail", lambda job: f"sent to {{job.payload['to']}}")
with Queue("sqlite:///jobs.db") as queue:
    mail = queue.enqueue(Job("mail", {{"to": "ada@example.org"}}))
    print(Worker(queue, app, drain=True).run().completed, queue.get(mail).result)
```

```text
1 sent to ada@example.org
```

All public names are imported from `hammerwork_cli`, which is typed. [Write handlers](../handlers/index.md) explains how
to use them.

{names}
"""
ORDER = [
    *("Queue", "AsyncQueue", "Transaction", "Batch", "Workflow", "Job", "JobPriority", "JobStatus"),
    *("Handlers", "SpawnManager", "SpawnHandler", "SpawnContext", "Resources", "SpawnResult", "SpawnConfig"),
    *("RetryStrategy", "Jitter", "Retry", "Snooze", "Discard", "Cancel", "Worker", "WorkerReport", "EncryptionKeys"),
    *("Codec", "Compressed", "StreamedEvent", "EventFile"),
]
FUNCTIONS = ["convert", "statement", "events"]
TESTING = [testing.Outcome, testing.Jobs, testing.DrainReport]
MADE = {"Codec", "Resources", "RetryStrategy", "SpawnContext", "SpawnHandler", "StreamedEvent", "Transaction"}
"""Classes that nobody makes by their constructor."""
OPTIONS = (HandlerOptions, ScheduleOptions, JobFields)
"""What ``**options`` stands for: the table of a function's arguments has theirs in its place."""
HIDDEN = re.compile(r"^_")
ROLE = re.compile(r":\w+:`~?([^`]+)`")
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Example|Examples):$", re.MULTILINE)


def page() -> str:
    """The page."""
    parts = [part for name in ORDER for part in _described(name, getattr(hammerwork_cli, name))]
    parts += [part for name in FUNCTIONS for part in _function(name, getattr(hammerwork_cli, name))]
    tests = [
        *_function("testing.run", testing.run),
        *_function("testing.clear", testing.clear),
        *(part for one in TESTING for part in _described(f"testing.{one.__name__}", one)),
    ]
    integrations = [
        *_function("contrib.opentelemetry.instrument", opentelemetry.instrument),
        *_function("contrib.sentry.instrument", sentry.instrument),
    ]
    return PAGE.format(names="\n\n".join(filter(None, [*parts, "## Errors", *_errors(), *tests, *integrations])))


def errors() -> list[type[Exception]]:
    """The errors, each after those from which it is derived."""
    named = {name: getattr(hammerwork_cli, name) for name in hammerwork_cli.__all__ if name not in ORDER}
    found = [one for one in named.values() if inspect.isclass(one) and issubclass(one, Exception)]
    return sorted(found, key=lambda one: [base.__name__ for base in reversed(one.__mro__)])


def members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, those that it inherits first."""
    seen: set[str] = set()
    for one in reversed([base for base in kind.__mro__ if base.__module__.startswith("hammerwork_cli.")]):
        for member, value in vars(one).items():
            is_shown = isinstance(value, (property, classmethod, staticmethod, cached)) or inspect.isfunction(value)
            if is_shown and member not in seen and not HIDDEN.match(member):
                seen.add(member)
                yield member, value


def _described(name: str, kind: type[Any]) -> Iterator[str]:
    yield f"## {name}"
    if issubclass(kind, Enum):
        yield _text((inspect.getdoc(kind) or "").split("\n\n")[0])
        yield _table([(f"`{one.name}`", f"`{one.value}`") for one in kind], "member", "value")
        attributes: set[str] = set()
    else:
        if name not in MADE:
            yield _code(name, inspect.signature(kind.__init__))
        attributes = set(re.findall(r"^    (\w+): ", inspect.getdoc(kind) or "", re.MULTILINE))
        yield _text(inspect.getdoc(kind) or "")
    for member, value in members(kind):
        if isinstance(value, (property, cached)):
            if member not in attributes:
                yield f"**`{member}`** {_text(inspect.getdoc(value) or inspect.getdoc(value_of(value)) or '')}"
        elif member not in attributes:
            bound = getattr(kind, member)
            yield f"### {name}.{member}"
            yield _code(member, inspect.signature(bound))
            yield _text(inspect.getdoc(bound) or "")


def _function(name: str, function: Any) -> Iterator[str]:
    yield f"## {name}"
    yield _code(name.rpartition(".")[2], inspect.signature(function))
    yield _text(inspect.getdoc(function) or "")


def value_of(value: Any) -> Any:
    """The function behind a property that is computed once."""
    return getattr(value, "_compute", value)


def _errors() -> Iterator[str]:
    rows = [
        (f"`{one.__name__}`", f"`{one.__mro__[1].__name__}`", _line((one.__doc__ or "").split("\n\n")[0]))
        for one in errors()
    ]
    yield _table(rows, "error", "is a", "")
    for one in errors():
        if "Attributes:" in (one.__doc__ or ""):
            yield f"### {one.__name__}"
            yield _text(inspect.getdoc(one) or "")


def _code(name: str, signature: inspect.Signature) -> str:
    given = [one for one in signature.parameters.values() if one.name != "self" and not HIDDEN.match(one.name)]
    shown = [_argument(one) for one in given]
    for place, one in enumerate(given):
        if one.kind is one.KEYWORD_ONLY and not any(other.kind is one.VAR_POSITIONAL for other in given[:place]):
            shown.insert(place, "*")
            break
    line = f"{name}({', '.join(shown)})"
    text = line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(shown) + ",\n)"
    return f"```text\n{text}\n```"


def _argument(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    if one.default is one.empty:
        return stars + one.name
    default = one.default.value if isinstance(one.default, Enum) else one.default
    shown = repr(default)
    return f"{one.name}={'...' if shown.startswith('<') or len(shown) > 40 else shown}"


def _text(docstring: str) -> str:
    """A docstring in Google's style as Markdown: its sections become tables or paragraphs."""
    first, *rest = SECTION.split(docstring.strip())
    parts = [_paragraphs(first)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        entries = _entries(body)
        if title in {"Args", "Attributes"}:
            shown = [row for entry in entries if not HIDDEN.match(entry[0]) for row in _rows(*entry)]
            parts.append(_table(shown, {"Args": "argument", "Attributes": "attribute"}[title], ""))
        elif title == "Raises":
            parts.append(" ".join(f"Raises {_names(name)}: {_full(about)}" for name, about in entries))
        else:
            parts.append(f"{title}: {_line(body)}")
    return "\n\n".join(filter(None, parts))


def _rows(name: str, about: str) -> Iterator[tuple[str, str]]:
    kinds = [kind for kind in OPTIONS if f"`{kind.__name__}`" in about]
    if name != "options" or not kinds:
        yield _names(name), about
    for kind in kinds if name == "options" else ():
        *_, body = SECTION.split(inspect.getdoc(kind) or "")
        yield from ((_names(option), said) for option, said in _entries(body))


def _names(text: str) -> str:
    return ", ".join(f"`{one.strip()}`" for one in text.split(","))


def _full(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _entries(body: str) -> list[tuple[str, str]]:
    found = re.findall(r"^    (\S[^:\n]*): ((?:.*\n?)(?:^     +.*\n?|^\n)*)", body.rstrip() + "\n", re.MULTILINE)
    return [(name, _line(about)) for name, about in found]


def _paragraphs(text: str) -> str:
    """Paragraphs; one whose lines are indented is code."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        f"```text\n{inspect.cleandoc(block)}\n```" if block.startswith("    ") else _line(block) for block in blocks
    )


def _line(text: str) -> str:
    text = ROLE.sub(lambda found: f"`{found[1]}`", " ".join(text.split())).replace("``", "`")
    parts = re.split(r"(`[^`]*`)", re.sub(r":$", ":", text))
    parts[::2] = [part.replace("<", r"\<").replace("*", r"\*") for part in parts[::2]]
    return "".join(parts).replace("::", ":")


def _table(rows: list[tuple[str, ...]], *head: str) -> str:
    if not rows:
        return ""
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows)]
    return "\n".join("".join(f"| {cell} " if cell else "| " for cell in line) + "|" for line in lines)
