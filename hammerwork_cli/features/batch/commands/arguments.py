"""The argument of the verbs of ``batch``."""

from typing import Annotated

import typer

OptionalBatchArgument = Annotated[
    str | None, typer.Argument(metavar="[BATCH]", help="A batch's id, or at least its first 4 hex digits.")
]
BatchArgument = Annotated[
    str, typer.Argument(metavar="BATCH", help="A batch's id, or at least its first 4 hex digits.")
]
