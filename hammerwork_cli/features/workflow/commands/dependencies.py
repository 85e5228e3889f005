"""``hammerwork workflow dependencies``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.options import Format, FormatOption, JobArgument
from hammerwork_cli.features.spawn.commands.tree import lineage


def dependencies(
    ctx: typer.Context,
    job: JobArgument,
    dependents: Annotated[bool, typer.Option("--dependents", help="Only jobs that wait for it.")] = False,
    depth: Annotated[int, typer.Option("--depth", metavar="N", min=1, max=100_000, help="Levels up and down.")] = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork workflow dependencies 1c22a0f1
      hammerwork workflow dependencies 1c22a0f1 --dependents --depth 100
    """
    lineage(ctx, job, descendants=dependents, depth=depth, form=form)
