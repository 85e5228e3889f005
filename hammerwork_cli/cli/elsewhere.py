"""Where the verb is that somebody looks for in another group, or by another word."""

from collections.abc import Iterator, Mapping
from typing import Any

from hammerwork_cli.compat import names

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "abort": ("cancel",),
    "add": ("enqueue", "create"),
    "count": ("stats",),
    "describe": ("show",),
    "destroy": ("delete",),
    "get": ("show",),
    "info": ("show", "status"),
    "inspect": ("show",),
    "kill": ("cancel", "stop"),
    "ls": ("list",),
    "new": ("enqueue", "create"),
    "push": ("enqueue",),
    "remove": ("delete",),
    "requeue": ("retry",),
    "rerun": ("retry",),
    "rm": ("delete",),
    "submit": ("enqueue",),
    "unpause": ("resume",),
    "view": ("show",),
}
"""Word -> the verbs of this program for it, which are looked for in the same group first."""
PLACES: Mapping[str, tuple[str, ...]] = {
    "drain": ("worker stop", "worker start", "queue pause"),
    "dump": ("backup create", "job export"),
    "empty": ("queue clear",),
    "errors": ("spawn why",),
    "events": ("monitor logs",),
    "failures": ("spawn why", "job list"),
    "fix": ("spawn doctor",),
    "hold": ("queue pause",),
    "init": ("migration run", "config init"),
    "log": ("monitor logs",),
    "maintenance": ("queue pause",),
    "migrate": ("migration run",),
    "progress": ("spawn tree", "spawn monitor"),
    "ps": ("worker status",),
    "repair": ("spawn doctor",),
    "rescue": ("spawn doctor", "maintenance dead-jobs"),
    "run": ("worker start",),
    "schedule": ("cron create",),
    "serve": ("web serve", "worker start"),
    "tail": ("monitor logs",),
    "top": ("spawn monitor", "worker status"),
    "unblock": ("spawn doctor",),
    "upgrade": ("migration run",),
    "watch": ("spawn monitor", "spawn tree"),
    "work": ("worker start",),
}
"""Word -> where such a verb is."""
MOST = 4
"""Verbs that an error names."""


def elsewhere(root: Any, group: str, word: str) -> list[str]:
    """Returns the verbs that a word may mean which is no verb of a group, the likeliest first."""
    word = word.lower()
    known = dict(_verbs(root))
    found = [f"{group} {verb}" for verb in SYNONYMS.get(word, ()) if f"{group} {verb}" in known]
    found += [path for path, names in known.items() if word in names]
    found += PLACES.get(word, ())
    if not found:
        found = [path for verb in SYNONYMS.get(word, ()) for path, names in known.items() if verb in names]
    return list(dict.fromkeys(found))[:MOST]


def _verbs(root: Any) -> Iterator[tuple[str, set[str]]]:
    """Yields each verb of the program, and its names."""
    for group, commands in root.commands.items():
        for name in getattr(commands, "commands", ()):
            yield f"{group} {name}", {*names(f"{group} {name}")}
