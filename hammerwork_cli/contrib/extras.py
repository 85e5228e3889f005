"""What integrations need."""

from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.errors import ConfigError


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Turns the error of an import into one that says what to install."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{error.name or extra} is not installed.", hint=f"Install it: pip install 'hammerwork-cli[{extra}]'"
        ) from error
