"""The commands that answers and hints print: each of them must run when it is pasted."""

import re
from collections.abc import Mapping
from typing import Any

from hammerwork_cli.core.values import Migrated

GROUPS = (
    *("spawn", "job", "queue", "cron", "batch", "workflow", "worker"),
    *("monitor", "webhook", "streaming", "archive", "maintenance", "backup", "web", "migration"),
)
"""The groups whose commands open a database."""
FIRST = "hammerwork migration run"
"""What has to run before a command that a database without all migrations refuses."""
# Compiled on first use, since most commands suggest no other one.
_COMMAND = rf"\bhammerwork (?=(?P<verb>(?:{'|'.join(GROUPS)}) [a-z][a-z-]*)(?P<rest>[^\n)]*))(?!\S+ \S+ --help)"
_JSON = r"\s*[\[{\"]"
_READING: Mapping[str, str] = {
    "spawn": "compare doctor lineage list monitor on-end pending rehearse stats timeline tree wait why",
    "job": "export list show",
    "queue": "health list paused stats",
    "cron": "check history list next show",
    "batch": "export list show wait",
    "workflow": "dependencies graph list show wait",
    "worker": "list status",
    "monitor": "dashboard health logs metrics",
    "webhook": "deliveries list show stats test verify",
    "streaming": "health list show stats test",
    "archive": "get-policy list policies show stats",
    "maintenance": "check health sizes",
    "backup": "create list verify",
    "web": "serve",
    "migration": "plan run status",
}
READING = frozenset(f"{group} {verb}" for group, verbs in _READING.items() for verb in verbs.split())
"""Commands that change nothing, or do without the migrations of hammerwork-cli."""
OURS = frozenset(
    {
        *("archive get-policy", "archive policies", "cron history", "cron list", "cron next", "cron show"),
        *("worker list", "worker status"),
        *(f"webhook {verb}" for verb in ("deliveries", "list", "show", "stats", "test")),
        *(f"streaming {verb}" for verb in ("health", "list", "show", "stats", "test")),
    }
)
"""Those among them that a database with some of the migrations refuses: they read tables of hammerwork-cli alone."""
_CHANGING = r" --(?:fix|on-[a-z]+|clear)\b"
"""Options with which a command of :data:`READING` changes the database."""


class Step(str):
    """A text in a record that may name commands. What a database stores is none."""

    __slots__ = ()


def with_steps(value: Any, migrated: Migrated) -> Any:
    """A record, or a part of one, whose steps are :func:`runnable`."""
    if migrated is Migrated.ALL:
        return value
    if isinstance(value, Step):
        return runnable(value, migrated)
    if isinstance(value, dict):
        return {name: with_steps(inner, migrated) for name, inner in value.items()}
    return [with_steps(inner, migrated) for inner in value] if isinstance(value, list) else value


def runnable(text: str, migrated: Migrated, *, option: str = "") -> str:
    """The text with commands that run when they are pasted, with :data:`FIRST` before those that would be refused.

    Lines of JSON stay, because they are data.

    Args:
        option: one that each command gets, because it must open the same database.
    """
    return "\n".join(line if re.match(_JSON, line) else _runnable(line, migrated, option) for line in text.split("\n"))


def _runnable(line: str, migrated: Migrated, option: str) -> str:
    def written(found: re.Match[str]) -> str:
        program = f"hammerwork {option}"
        first = FIRST.replace("hammerwork ", program) + " && " if _is_refused(found, migrated) else ""
        return first + program

    # A command may quote an error that names a command, and must still find that error.
    return re.sub(_COMMAND, written, line, count=line.lstrip().startswith("hammerwork "))


def _is_refused(command: re.Match[str], migrated: Migrated) -> bool:
    if migrated is Migrated.ALL:
        return False
    verb, rest = command["verb"], command["rest"].partition("hammerwork ")[0]
    if verb not in READING or re.search(_CHANGING, rest):
        return True
    return migrated is Migrated.SOME and (verb in OURS or " --worker " in rest) and not rest.startswith(" --jobs")
