"""What every call of a handler gets of its own."""

from collections.abc import Callable
from contextvars import copy_context
from copy import deepcopy
from typing import TypeVar

from hammerwork_cli.models import SpawnConfig

Result = TypeVar("Result")


def apart(function: Callable[[], Result]) -> Result:
    """Calls a function of a handler. No other call sees the context variables that it sets."""
    return copy_context().run(function)


def own_config(config: SpawnConfig) -> SpawnConfig:
    """A copy of a configuration, which a handler may change."""
    return config if config.metadata is None and not config.extra else deepcopy(config)
