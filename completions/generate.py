"""Writes the completion scripts out of the command line itself: ``make completions``.

A script is a file of ``completions/source``, which knows its shell, with what this makes of the commands in the place
of the line ``# <commands>``. What a word completes to is told by its *kind*:

- empty: nothing is known; ``a,b``: one of these words; ``+a,b``: several of them with commas between;
- ``:queues``, ``:jobs``, ``:workers``, ``:webhooks``, ``:streams``, ``:schedules``: asked from the
  database (``hammerwork --complete-values``);
- ``:queue_lists``: several queues with commas between, as ``--queue`` takes them;
- ``:profiles``: asked from the configuration file in the same way;
- ``:files``, ``:folders``; ``:json``: ``@`` and a file; ``:urls``: how a database's URL begins, or ``@`` and a profile;
  ``:keys,a,b``: one of these settings, or one of a profile.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from hammerwork_cli.app import app
from hammerwork_cli.config import KEYS
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.monitor.models.health import CheckName
from hammerwork_cli.features.schema.views import SCHEMAS

FOLDER = Path(__file__).parent
MARK = "# <commands>\n"

STATUSES = ",".join(status.value.lower() for status in JobStatus)
EVENTS = ",".join(event.removeprefix("job.") for event in EventType)
PRIORITIES = ",".join(priority.word for priority in JobPriority)
KINDS = {
    "QUEUE": ":queues",
    "JOB": ":jobs",
    "WORKER": ":workers",
    "WEBHOOK": ":webhooks",
    "STREAM": ":streams",
    "SCHEDULE": ":schedules",
    "EVENT": EVENTS,
    "EVENTS": EVENTS,
    "PROFILE": ":profiles",
    "URL": ":urls",
    "FILE": ":files",
    "FOLDER": ":folders",
    "JSON": ":json",
    "STATUS": STATUSES,
    "PRIORITY": PRIORITIES,
    "CHECK": ",".join(CheckName),
    "SCHEMA": ",".join(SCHEMAS),
    "KEY": ",".join((":keys", *KEYS)),
    "--inherit": "priority,queue,retry,timeout,trace,none",
    "--redact": "payload,result,error",
}
"""Kind by the name of an option, or by the word that stands for a value in the help; nobody can guess other words."""


@dataclass(frozen=True)
class Option:
    """An option that help shows.

    Attributes:
        names: ``-q``, ``--queue``.
        kind: of its value, ``None`` when it takes none.
        repeats: whether it may be given several times.
    """

    names: tuple[str, ...]
    help: str
    metavar: str
    kind: str | None
    repeats: bool


@dataclass(frozen=True)
class Argument:
    """An argument.

    Attributes:
        repeats: whether it takes all words that are left.
    """

    metavar: str
    kind: str
    repeats: bool


@dataclass(frozen=True)
class Command:
    """A command or a group of them.

    Attributes:
        path: ``("spawn", "list")``; empty for the program itself.
        commands: of a group.
    """

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple["Command", ...]

    def everything(self) -> Iterator["Command"]:
        """This command and all below it."""
        yield self
        for command in self.commands:
            yield from command.everything()


# The command line.

_HELP = Option(("-h", "--help"), "Show the help and exit.", "", None, repeats=False)


def read(command: Any, path: tuple[str, ...] = ()) -> Command:
    """A command of Typer's and everything below it, without what is hidden."""
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    below = getattr(command, "commands", {})
    return Command(
        path,
        _first_sentence(command.help),
        (*(_option(param) for param in shown if param.param_type_name == "option"), _HELP),
        tuple(_argument(param) for param in shown if param.param_type_name == "argument"),
        tuple(read(below[name], (*path, name)) for name in below if not below[name].hidden),
    )


def _option(param: Any) -> Option:
    flag = param.is_flag or param.count
    kind = None if flag else ":queue_lists" if "--queue" in param.opts else _kind(param)
    several = "+" if param.multiple and kind and not kind.startswith(":") else ""
    return Option(
        (*param.opts, *param.secondary_opts),
        _first_sentence(param.help),
        _metavar(param),
        f"{several}{kind}" if kind is not None else None,
        param.multiple,
    )


def _argument(param: Any) -> Argument:
    return Argument(_metavar(param), _kind(param), param.nargs != 1)


def _metavar(param: Any) -> str:
    found = re.search(r"[A-Z]+", param.metavar or "")
    return found[0] if found else max(param.opts, key=len).lstrip("-").upper()


def _kind(param: Any) -> str:
    choices = getattr(param.type, "choices", None)
    if choices:
        return ",".join(str(getattr(choice, "value", choice)) for choice in choices)
    if "=" in (param.metavar or ""):
        return ""
    for word in (max(param.opts, key=len), _metavar(param)):
        if word in KINDS:
            return KINDS[word]
    if hasattr(param.type, "dir_okay"):
        return ":files" if param.type.file_okay else ":folders"
    return ""


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph)[0]


# Bash.


def bash(root: Command) -> str:
    """A ``case`` of a shell function: what may follow each command."""
    return "".join(map(_bash_case, root.everything()))


def _bash_case(command: Command) -> str:
    takes = [f"{name}={option.kind}" for option in command.options if option.kind is not None for name in option.names]
    settings = {
        "commands": " ".join(below.path[-1] for below in command.commands),
        "options": " ".join(name for option in command.options for name in option.names if name.startswith("--")),
        "takes": f" {' '.join(takes)} ",
        "arguments": " ".join(f"{argument.kind or '-'}{'*' * argument.repeats}" for argument in command.arguments),
    }
    lines = [f"            {name}={_quoted(value)}\n" for name, value in settings.items() if value.strip()]
    return f"        {_quoted(' '.join(command.path))})\n{''.join(lines)}            ;;\n"


def _quoted(text: str) -> str:
    """Text in single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


# Zsh.


def zsh(root: Command) -> str:
    """A shell function for each command."""
    return "\n".join(map(_zsh_function, root.everything()))


def _zsh_function(command: Command) -> str:
    lines = [*(_zsh_option(option) for option in command.options)]
    if command.commands:
        lines += ["'1: :->command'", "'*:: :->below'"]
    for number, argument in enumerate(command.arguments, 1):
        place = "*" if argument.repeats else str(number)
        lines.append(_quoted(f"{place}:{argument.metavar}:{_zsh_action(argument.kind)}"))
    specs = "".join(f" \\\n        {line}" for line in lines)
    if not command.commands:
        return f"{_zsh_name(command)}() {{\n    _arguments -s{specs}\n}}\n"
    named = "".join(f"                {_quoted(_zsh_pair(below))}\n" for below in command.commands)
    below = "".join(f"                {below.path[-1]}) {_zsh_name(below)} ;;\n" for below in command.commands)
    return (
        f"{_zsh_name(command)}() {{\n    local curcontext=$curcontext state state_descr line\n    typeset -A opt_args\n"
        f"    _arguments -s -C{specs} && return\n"
        f"    case $state in\n        command)\n            local -a commands=(\n{named}            )\n"
        f"            _describe -t commands command commands\n            ;;\n"
        f"        below)\n            case $words[1] in\n{below}            esac\n            ;;\n    esac\n}}\n"
    )


def _zsh_name(command: Command) -> str:
    return "_".join(("_hammerwork_at", *(word.replace("-", "_") for word in command.path)))


def _zsh_pair(command: Command) -> str:
    return f"{command.path[-1]}:{_without(command.help, ':')}"


def _zsh_option(option: Option) -> str:
    described = f"[{_without(option.help, '[]')}]"
    value = "" if option.kind is None else f":{option.metavar}:{_zsh_action(option.kind)}"
    specs = []
    for name in option.names:
        joint = "" if option.kind is None else "=" if name.startswith("--") else "+"
        others = "*" if option.repeats else f"({' '.join(option.names)})" if len(option.names) > 1 else ""
        specs.append(_quoted(f"{others}{name}{joint}{described}{value}"))
    return " ".join(specs)


def _zsh_action(kind: str) -> str:
    if kind.startswith(":"):
        # The space keeps _arguments from adding its own arguments.
        return f" _hammerwork_value {kind[1:]}"
    if kind.startswith("+"):
        return f" _values -s , value {' '.join(kind[1:].split(','))}"
    return f"({' '.join(kind.split(','))})" if kind else " "


def _without(text: str, special: str) -> str:
    """Text with backslashes before what ``_arguments`` would read."""
    return re.sub(f"([{re.escape(special)}\\\\])", r"\\\1", text)


# Fish.


def fish(root: Command) -> str:
    """A ``complete`` for each command, option and argument."""
    groups = " ".join(command.path[0] for command in root.commands if command.commands)
    lines = [f"set -g __hammerwork_groups {groups}"]
    for command in root.everything():
        lines += ["", *_fish_lines(command)]
    return "\n".join(lines) + "\n"


def _fish_lines(command: Command) -> Iterator[str]:
    here = f"complete -c hammerwork -n {_fish_quoted(' '.join(('__hammerwork_at', *command.path)))}"
    for below in command.commands:
        yield f"{here} -a {below.path[-1]} -d {_fish_quoted(below.help)}"
    for option in command.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        value = "" if option.kind is None else f" {_fish_value(option.kind)}"
        yield f"{here} {names}{value} -d {_fish_quoted(option.help)}"
    for argument in command.arguments:
        if argument.kind:
            yield f"{here} {_fish_value(argument.kind).removeprefix('-x ')}"


def _fish_value(kind: str) -> str:
    if kind == ":files":
        return "-r -F"
    if kind.startswith(":"):
        return f"-x -k -a '(__hammerwork_value {kind[1:]})'"
    if kind.startswith("+"):
        return f"-x -a '(__hammerwork_several {' '.join(kind[1:].split(','))})'"
    return f"-x -a {_fish_quoted(' '.join(kind.split(',')))}" if kind else "-x"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"hammerwork.bash": bash, "_hammerwork": zsh, "hammerwork.fish": fish}
"""What makes each script."""


def scripts() -> dict[str, str]:
    """The scripts by their names."""
    root = read(get_command(app))
    sources = {name: (FOLDER / "source" / name).read_text(encoding="utf-8") for name in SHELLS}
    return {name: sources[name].replace(MARK, make(root)) for name, make in SHELLS.items()}


def main() -> int:
    """Writes the scripts."""
    for name, text in scripts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
