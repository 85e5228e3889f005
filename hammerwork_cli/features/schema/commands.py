"""``hammerwork schema``: what the JSON of each verb looks like."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.cli.verb import Verbs
from hammerwork_cli.errors import NotFoundError

app = Verbs()


@app.verb("schema")
def schema(
    context: Context,
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCHEMA]", help="A name such as spawn-tree; leave it out to list all."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A line of --format jsonl is an item of the list, or follows the schema NAME-line if there is one. Later versions may
    add keys, but never rename or remove one. A schema is JSON in every format.

    \b
    Examples:
      hammerwork schema
      hammerwork schema spawn-tree
      hammerwork schema job list
    """
    from hammerwork_cli.features.schema.views import ABOUT, LISTED, SCHEMAS
    from hammerwork_cli.view import json
    from hammerwork_cli.view.table import Column

    if name:
        found = SCHEMAS.get("-".join(name))
        if found is None:
            raise NotFoundError(f"There is no schema {' '.join(name)[:60]!r}.", hint="See: hammerwork schema")
        context.lines([json.document(found, pretty=True)])
        return
    context.show(
        ABOUT.items(),
        form,
        columns=[Column("name", lambda row: row[0]), Column("what", lambda row: row[1], wraps=True)],
        shape=LISTED,
        empty="",
    )
