"""``hammerwork cron apply``."""

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from hammerwork_cli import app_path, disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import AppDirOption, DryRunOption, Format, FormatOption, NoEncryptOption, YesOption
from hammerwork_cli.core.input.documents import json_of, toml_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.model import DeclarationAction, Declared
from hammerwork_cli.features.cron.options import read_schedules
from hammerwork_cli.features.cron.queries import declaring
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.cron.views import declared as views
from hammerwork_cli.view.text import plural, visible


def apply(
    context: Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A TOML file (.toml), or a JSON file."),
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option("--handlers", metavar="MODULE:ATTRIBUTE", help="Apply the schedules of an application."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Name of the source. [default: its own]")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete schedules of this source that it no longer declares.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also undo changes made by hand.")] = False,
    no_encrypt: NoEncryptOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    app_dir: AppDirOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    In a file, each schedule is a table with its name, and the options of `cron create` are the keys (max_attempts for
    --max-attempts). The queue defaults to the name of the schedule, and the payload to an empty object. An application
    declares schedules with @app.cron and app.schedule.

    An option changes if the source has changed it since the last apply. Options that were changed by hand stay, and the
    plan marks them as kept. The command takes over schedules of other sources. Files with the same name are one source
    unless you give each a --source.

    \b
    Examples:
      hammerwork cron apply schedules.toml --dry-run
      hammerwork cron apply schedules.toml --prune --yes
      hammerwork cron apply --handlers my_app:app
    """
    if (file is None) == (not handlers):
        raise UsageError("Give a file of schedules, or --handlers MODULE:ATTRIBUTE, not both.")
    if source is not None and file is None:
        raise UsageError("--source needs a file: an application is a source by its own name.")
    if file is not None:
        declared = _of_file(file, source)
    else:
        with redirect_stdout(context.stderr):  # whatever the application prints
            declared = _of_application(handlers, app_dir)
    flags = {"prune": prune, "overwrite": overwrite, "dry_run": dry_run, "no_encrypt": no_encrypt, "yes": yes}
    _apply(context, declared, **flags, form=form)


@app_path.without()  # the application has been loaded
def _apply(
    context: Context,
    declared: Declared,
    *,
    prune: bool,
    overwrite: bool,
    dry_run: bool,
    no_encrypt: bool,
    yes: bool,
    form: Format,
) -> None:
    if not declared.schedules and not prune:
        raise UsageError(f"{visible(declared.source)} declares no schedule.", hint="See: hammerwork cron apply --help")
    database = context.database(changes=True, plaintext_meant=no_encrypt)
    now = context.now(database)
    steps = declaring.plan(database, declared, now, prune=prune, overwrite=overwrite)
    gone = [step.name for step in steps if step.action is DeclarationAction.REMOVE]
    if not dry_run:
        if gone:
            context.confirm(
                f"Delete {plural(len(gone), 'schedule')} and the history: {views.names_text(gone)}?",
                yes=yes,
                form=form,
                plan=gone,
            )
            now = context.now(database)  # no change starts a run at once, however long the answer took
        declaring.apply(database, steps, Author(context.operator), now)
    context.show(
        steps,
        form,
        columns=views.STEPS,
        shape=views.STEP,
        empty="There is no schedule to create, change or delete.",
    )
    if dry_run:
        context.note("Nothing was changed: this is the plan.")


def _of_file(file: Path, source: str | None) -> Declared:
    text = disk.text(file)
    try:
        value = toml_of(text) if file.suffix.lower() == ".toml" else json_of(text)
    except ValueError as error:
        raise UsageError(f"{file} {error}.") from error
    return Declared(f"file:{source or file.name}"[:255], read_schedules(value))


def _of_application(handlers: list[str] | None, folder: Path | None) -> Declared:
    from hammerwork_cli.runtime.host.loading import OWN_VARIABLES, load_handlers, only

    for name in OWN_VARIABLES:
        os.environ.pop(name, None)
    found = load_handlers(only(handlers) or "", folder)
    return Declared(found._source, tuple(found._schedules.values()))
