"""What every verb has in common: its shared options, and a group that imports its verbs late."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COLORS = ("auto", "always", "never")


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None and value is not False and parameter.name:
        ctx.obj.options[parameter.name] = value


def shared_options() -> list[click.Option]:
    """The options that are accepted before the group and after the verb."""
    remembered: dict[str, Any] = {"expose_value": False, "callback": _remember}
    return [
        click.Option(
            ["-u", "--database-url"],
            metavar="URL",
            help="Database: postgresql://, mysql://, mariadb:// or sqlite:///path.",
            **remembered,
        ),
        click.Option(["--color"], type=click.Choice(COLORS), help="Colours: auto, always, never.", **remembered),
        click.Option(["--quiet"], is_flag=True, help="No notes on stderr.", **remembered),
        click.Option(["--debug"], is_flag=True, help="Show tracebacks.", **remembered),
    ]


class Verb(TyperCommand):
    """A command that also takes the shared options."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()


class LateGroup(TyperGroup):
    """The root group: a group's module is imported when it is asked for.

    Help, completion, suggestions and walking the tree see all groups all the same.
    """

    modules: Mapping[str, tuple[str, str]] = {}
    """Group name -> (module below ``hammerwork_cli.commands``, one line of help)."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += shared_options()

    @property
    def commands(self) -> Mapping[str, click.Command]:  # type: ignore[override]  # a dictionary there, lazy here
        return _LateCommands(self.modules)

    @commands.setter
    def commands(self, value: Mapping[str, click.Command]) -> None:
        del value


class _LateCommands(Mapping[str, click.Command]):
    _loaded: dict[str, click.Command] = {}  # noqa: RUF012  one process has one command line

    def __init__(self, modules: Mapping[str, tuple[str, str]]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _ = self._modules[name]
            command = get_command(import_module(f"hammerwork_cli.commands.{module}").app)
            command.name = name
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
