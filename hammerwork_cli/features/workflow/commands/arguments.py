"""The argument of the verbs of ``workflow``."""

from typing import Annotated

import typer

WorkflowArgument = Annotated[
    str, typer.Argument(metavar="WORKFLOW", help="A workflow's id, or at least its first 4 hex digits.")
]
