"""``hammerwork monitor dashboard``: ``spawn monitor`` by the name that hammerwork (Rust) has for it."""

from inspect import signature
from typing import Any

from hammerwork_cli.cli.context import Context
from hammerwork_cli.features.spawn.commands.monitor import monitor


def dashboard(context: Context, **given: Any) -> None:
    """
    \b
    Examples:
      hammerwork monitor dashboard
      hammerwork monitor dashboard --queue video_ingest --interval 1
    """
    monitor(context, **given)


# Typer reads the parameters from here.
dashboard.__dict__["__signature__"] = signature(monitor)
dashboard.__annotations__ = monitor.__annotations__
