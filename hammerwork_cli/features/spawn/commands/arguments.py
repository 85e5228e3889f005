"""Options of the verbs of ``spawn``."""

from typing import Annotated

import typer

from hammerwork_cli.features.tree.views.picture import Charset

CharsetOption = Annotated[Charset | None, typer.Option("--charset", help="Characters to draw with.")]
