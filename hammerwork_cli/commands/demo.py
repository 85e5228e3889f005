"""``hammerwork demo``: something real to look at."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from hammerwork_cli import demonstration
from hammerwork_cli.commands.verb import Verb
from hammerwork_cli.context import Context, make_folder
from hammerwork_cli.database import DatabaseUrl, connect
from hammerwork_cli.errors import UsageError
from hammerwork_cli.queries import enqueue, migrations, spawns, trees
from hammerwork_cli.render import tables
from hammerwork_cli.render.pictures import Limits, TreeFormat, picture
from hammerwork_cli.render.text import short_id

app = typer.Typer(name="demo", add_completion=False, rich_markup_mode=None)

FOLDER = Path("hammerwork-demo")


@app.command("demo", cls=Verb)
def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where its database goes.")] = FOLDER,
) -> None:
    """Makes an embedded database, fills it with a video platform's night, and shows what was spawned.

    \b
    Example:
      hammerwork demo
    """
    context: Context = ctx.obj
    if "database_url" in context.options:
        raise UsageError(
            "demo makes a database of its own and takes no --database-url.", hint="--folder says where it goes."
        )
    make_folder(folder)
    url = DatabaseUrl.of_file(folder / "demo.db")
    database = connect(url)
    try:
        migrations.run(database)
        jobs = demonstration.night(context.now())
        enqueue.insert(database, jobs)
        operations = spawns.operations(database, limit=10)
        broken = demonstration.broken_root(jobs)
        tree = trees.tree(database, broken)
    finally:
        database.close()
    context.lines([f"$ hammerwork spawn list  # in {url.path}"])
    context.show_table(operations, tables.OPERATIONS)
    context.lines(["", f"$ hammerwork spawn tree {short_id(broken)}"])
    limits = Limits.of(TreeFormat.TEXT, None, None, None, full=False)
    drawn = picture(tree, TreeFormat.TEXT, limits, charset=context.charset, width=context.width, colour=context.colour)
    context.write(drawn.parts)
    context.lines(
        [
            "",
            "Now try:",
            f"  export HAMMERWORK_DATABASE_URL={quote(url.raw)}",
            f"  hammerwork spawn tree {short_id(broken)} --status dead",
            f"  hammerwork spawn tree {short_id(broken)} --format mermaid",
            "  hammerwork spawn stats --detailed",
            "  hammerwork spawn pending",
        ]
    )
