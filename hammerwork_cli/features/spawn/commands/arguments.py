"""Options of the verbs of ``spawn``."""

from typing import Any

import typer


def charset_option(formats: str) -> Any:
    """``--charset``, for the formats that draw: ``text or mermaid``."""
    return typer.Option("--charset", help=f"With --format {formats}: characters to draw with.")
