"""Where the verb is that somebody looks for in another group, or by another word."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from hammerwork_cli.compat import REPLACED, REPLACED_OPTIONS, VERBS, aliases, names

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
    "archive delete": ("archive purge",),
    "audit": ("job show", "monitor logs"),
    "batches": ("batch list",),
    "children": ("spawn tree JOB --children-only",),
    "clean": ("job purge", "archive run"),
    "config list": ("config show",),
    "cron run": ("cron trigger",),
    "cron runs": ("cron show",),
    "cron upcoming": ("cron show",),
    "disk": ("maintenance sizes",),
    "drain": ("worker stop", "worker start", "queue pause"),
    "dump": ("backup create", "job export"),
    "edit": ("job enqueue", "job cancel"),
    "empty": ("job delete --queue QUEUE",),
    "errors": ("spawn why",),
    "events": ("monitor logs",),
    "failed": ("job list --failed", "spawn why"),
    "failures": ("spawn why", "job list"),
    "fix": ("spawn doctor",),
    "graph": ("spawn tree JOB --format mermaid", "workflow graph"),
    "hold": ("queue pause",),
    "init": ("migration run", "config init"),
    "job create": ("job enqueue",),
    "job graph": ("spawn tree JOB --format mermaid",),
    "job run": ("job enqueue", "worker start"),
    "job status": ("job show",),
    "job watch": ("spawn tree JOB --watch",),
    "jobs": ("job list",),
    "log": ("monitor logs",),
    "maintenance": ("queue pause",),
    "job next": ("job list --status Pending", "spawn why"),
    "move": ("job enqueue --queue QUEUE", "job cancel"),
    "mermaid": ("spawn tree JOB --format mermaid",),
    "limits": ("queue limit",),
    "migrate": ("migration run",),
    "migration apply": ("migration run",),
    "migration up": ("migration run",),
    "monitor status": ("monitor health",),
    "progress": ("spawn tree", "spawn monitor"),
    "ps": ("worker status",),
    "queue add": ("job enqueue",),
    "queue create": ("job enqueue",),
    "queue next": ("job list --status Pending", "spawn why"),
    "queue delete": ("job delete --queue QUEUE",),
    "queue purge": ("job purge --all --queue QUEUE", "job delete --queue QUEUE"),
    "queue retry": ("job retry --queue QUEUE",),
    "queue show": ("queue stats",),
    "queue start": ("queue resume",),
    "queue status": ("queue list",),
    "queue stop": ("queue pause",),
    "queues": ("queue list",),
    "repair": ("spawn doctor",),
    "reschedule": ("job enqueue --at TIME", "job cancel", "cron update"),
    "search": ("job list --payload KEY=TEXT", "job list --error TEXT"),
    "rate-limit": ("queue limit",),
    "rescue": ("spawn doctor",),
    "run": ("worker start",),
    "schedule": ("cron list", "cron create"),
    "schedules": ("cron list",),
    "serve": ("web serve", "worker start"),
    "size": ("maintenance sizes",),
    "spawn graph": ("spawn tree JOB --format mermaid",),
    "status": ("monitor health", "spawn monitor"),
    "tail": ("monitor logs",),
    "top": ("spawn monitor", "worker status"),
    "throttle": ("queue limit",),
    "ui": ("web serve",),
    "unblock": ("spawn doctor",),
    "upcoming": ("cron list",),
    "upgrade": ("migration run",),
    "vacuum": ("maintenance vacuum",),
    "watch": ("spawn monitor", "spawn tree"),
    "web run": ("web serve",),
    "web start": ("web serve",),
    "work": ("worker start",),
    "workers": ("worker list",),
    "workflow run": ("workflow create",),
    "workflows": ("workflow list",),
}
"""Word, or a group with one -> where such a verb is."""
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "--app": ("--handlers",),
    "--burst": ("--drain",),
    "--json": ("--format json",),
    "--max-retries": ("--max-attempts",),
    "--once": ("--drain",),
    "--retries": ("--max-attempts",),
    "-A": ("--handlers",),
    "-p": ("--payload", "--priority", "--port"),
}
"""Option of other programs -> what it may mean, of which an error names what the verb has."""
_APPLICATION = re.compile(r"unexpected extra argument.* \((\w[\w.]*:\w[\w.]*)\)")
MOST = 4
"""Verbs that an error names."""


def elsewhere(root: Any, group: str, word: str) -> list[str]:
    """Returns the verbs that a word may mean which is no verb of a group, the likeliest first, with their arguments."""
    word = word.lower()
    known = dict(_verbs(root))
    if (place := f"{group} {word}" if group in root.commands else word) in PLACES:
        found = [*PLACES[place]]
    else:
        found = _called(known, group, SYNONYMS.get(word, ()))
        found += [path for path, names in known.items() if word in names]
        found += PLACES.get(word, ())
    found = found or [line for path, line in REPLACED.items() if word == path.split()[1]]
    found = found or [path for verb in SYNONYMS.get(word, ()) for path, names in known.items() if verb in names]
    found.sort(key=lambda line: not line.startswith(f"{group} "))
    return [_with_arguments(root, line) for line in list(dict.fromkeys(found))[:MOST]]


def similar_verbs(group: str, verbs: Iterable[str], word: str) -> list[str]:
    """Returns what help shows of the verbs that resemble a misspelt one; of the groups, if ``group`` is empty."""
    known = [*verbs, *(alias.split()[1] for alias in VERBS if alias.startswith(f"{group} "))]
    paths = [f"{group} {name}".strip() for name in get_close_matches(word, known)]
    shown = [REPLACED.get(VERBS.get(path, path)) or VERBS.get(path, path).split()[-1] for path in paths]
    return list(dict.fromkeys(shown))


def shown_options(ctx: Any, names: Iterable[str]) -> list[str]:
    """Returns what help shows for the names of options of a verb: themselves, or what replaces a hidden one."""
    group, verb = str(ctx.parent.command.name if ctx.parent else ""), str(ctx.command.name)
    shown = {name for param in ctx.command.params if not getattr(param, "hidden", False) for name in param.opts}
    shown |= {name for param in ctx.command.params for name in param.secondary_opts}
    found: list[str] = []
    for name in names:
        instead = REPLACED_OPTIONS.get(name) or aliases(group, verb).get(name, "")
        options = [word.strip(",") for word in instead.split() if word.startswith("--")]
        found += [name] if name in shown else options if instead.startswith("-") else filter(None, [instead])
    return list(dict.fromkeys(found))


def meant_options(ctx: Any, option: str | None, message: str) -> list[str]:
    """Returns what to write instead of an option of another program, or of an application without ``--handlers``."""
    known = {name for param in ctx.command.params if not getattr(param, "hidden", False) for name in param.opts}
    lines = OPTIONS.get(option or "", ())
    if found := _APPLICATION.search(message):
        lines = (f"--handlers {found[1]}",)
    return [line for line in lines if line.split()[0] in known]


def _called(known: Mapping[str, set[str]], group: str, verbs: Iterable[str]) -> list[str]:
    """The verbs of a group by their names, or what replaces them."""
    paths = [f"{group} {verb}" for verb in verbs]
    return [REPLACED.get(path, path) for path in paths if path in known or path in REPLACED]


def _verbs(root: Any) -> Iterator[tuple[str, set[str]]]:
    """Yields each verb that help shows, and its names."""
    for group, commands in root.commands.items():
        for name in getattr(commands, "commands", ()):
            if f"{group} {name}" not in REPLACED:
                yield f"{group} {name}", {*names(f"{group} {name}")}


def _with_arguments(root: Any, line: str) -> str:
    """A line with the arguments of its verb, unless it has its own."""
    group, verb, *rest = line.split()
    if rest:
        return line
    params = root.commands[group].commands[verb].params
    arguments = [str(param.metavar).strip("[].") for param in params if param.param_type_name == "argument"]
    return " ".join([line, *arguments])
