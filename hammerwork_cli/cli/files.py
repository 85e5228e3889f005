"""Folders of databases."""

from pathlib import Path

from hammerwork_cli.errors import ConfigError


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, accessible to their owner only; existing ones stay unchanged."""
    from hammerwork_cli.config import writing

    try:
        writing.make_folder(folder)
    except FileExistsError as error:
        raise ConfigError(
            f"The folder {folder} cannot be created: {error.filename} is a file.", hint="Give another folder."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be created: {error.strerror or error}.", hint="Give another folder."
        ) from error
