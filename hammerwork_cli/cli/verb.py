"""What every verb has in common: its shared options, and a group that imports its verbs late."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

WHOLE_SENTENCE = 1_000
"""Characters of a first sentence in the help of a group, more than any has."""


class Color(StrEnum):
    """Use colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _options(
    database_url: Annotated[
        str | None,
        typer.Option(
            "-u",
            "--database-url",
            metavar="URL",
            help="Database: postgresql://, mysql://, mariadb:// or sqlite:///path.",
        ),
    ] = None,
    color: Annotated[Color | None, typer.Option("--color", help="Use colours.", show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no notes to stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """The options that are accepted before the group and after the verb."""


def _remember(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    if value is not None and value is not False and param.name:
        ctx.obj.options[param.name] = value


@cache
def shared_options() -> list[Any]:
    """The options of :func:`_options`; their values go to ``Context.options``."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(_options)
    options = [option for option in get_command(app).params if option.name != "help"]
    for option in options:
        option.expose_value = False
        setattr(option, "callback", _remember)  # noqa: B010  typed as taking a Click context, which this is
    return options


def group(name: str, text: str, *examples: str) -> typer.Typer:
    """A group of verbs: every module in this package makes one and calls it ``app``.

    Args:
        name: of the group.
        text: its help.
        examples: what to type after ``hammerwork``.
    """
    if examples:
        lines = [f"  hammerwork {example}" for example in examples]
        text = "\n".join([f"{text}\n\n\b", "Examples:" if lines[1:] else "Example:", *lines])
    return typer.Typer(
        name=name, cls=Group, help=text, no_args_is_help=True, add_completion=False, rich_markup_mode=None
    )


class Group(TyperGroup):
    """A group whose help says of each command its whole first sentence, on as many lines as that needs."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands into a help."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(WHOLE_SENTENCE)) for name, one in found if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Verb(TyperCommand):
    """A command that also takes the shared options."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()


class LateGroup(Group):
    """The root group: a group's module is imported when it is asked for.

    Help, completion, suggestions and walking the tree see all groups all the same.
    """

    modules: Sequence[str] = ()
    """Names of groups, which are those of modules below ``hammerwork_cli.commands``."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()

    @property
    def commands(self) -> Any:
        """Name -> command, each imported on first use."""
        return _LateCommands(self.modules)

    @commands.setter
    def commands(self, value: Mapping[str, Any]) -> None:
        del value


class _LateCommands(Mapping[str, Any]):
    _loaded: dict[str, Any] = {}  # noqa: RUF012  one process has one command line

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> Any:
        if name not in self._modules:
            raise KeyError(name)
        if name not in self._loaded:
            command = get_command(import_module(f"hammerwork_cli.commands.{name}").app)
            command.name = name
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
