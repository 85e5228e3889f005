"""``hammerwork config``: the settings, and the file that holds them."""

import sys
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, YesOption
from hammerwork_cli.cli.verb import Verb, group, verb_with
from hammerwork_cli.config import KEYS, Setting, blaming, known, writing
from hammerwork_cli.errors import AnswerIsNoError, ConflictError
from hammerwork_cli.render.config import SETTING_KEYS, SETTINGS, ShownSetting, setting_record
from hammerwork_cli.render.formats.text import visible

app = group(
    "config",
    "Show and change settings: option, then environment, then file, then default.",
    "config show",
    "config set default_queue video_ingest",
)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A setting, such as default_limit; see `config show`.")]
SecretsOption = Annotated[bool, typer.Option("--show-secrets", help="Show passwords too.")]


@app.command("show", cls=Verb)
def show(ctx: typer.Context, show_secrets: SecretsOption = False, form: FormatOption = Format.TABLE) -> None:
    """Every setting: its value, its source and its purpose. Passwords are masked.

    \b
    Examples:
      hammerwork config show
      hammerwork config show --format json | jq -r '.[] | select(.source == "file") | .key'
    """
    context: Context = ctx.obj
    found = [_setting(context, name) for name in KEYS]
    _note_file(context)
    context.show(
        [_shown(setting, secrets=show_secrets) for setting in found],
        form,
        columns=SETTINGS,
        record=setting_record,
        keys=SETTING_KEYS,
        empty="",
    )


@app.command("get", cls=Verb)
def get(
    ctx: typer.Context, key: KeyArgument, show_secrets: SecretsOption = False, form: FormatOption = Format.TABLE
) -> None:
    """Print the value of one setting; exit code 1 when it is not set and has no default.

    \b
    Examples:
      hammerwork config get default_limit
      hammerwork config get database_url --show-secrets
    """
    context: Context = ctx.obj
    setting = _shown(_setting(context, key), secrets=show_secrets)
    if form is Format.TABLE and setting.value is None:
        raise AnswerIsNoError(
            f"{setting.name} is not set.", hint=f"Set it with: hammerwork config set {setting.name} ..."
        )
    context.answer(setting_record(setting), form, lambda: [visible(str(setting.value))])


@app.command("set", cls=Verb)
def set_(
    ctx: typer.Context,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value; - reads it from stdin.")],
) -> None:
    """Write a setting into the file; the rest of the file stays unchanged.

    \b
    Examples:
      hammerwork config set default_limit 100
      hammerwork config set database_url - < url.txt
    """
    context: Context = ctx.obj
    wanted = known(key)
    with blaming(wanted.name):
        checked = wanted.from_text(sys.stdin.readline().strip() if value == "-" else value)
    writing.store(context.settings.path, wanted, checked)
    context.note(f"{wanted.name} is {visible(str(wanted.masked(checked)))} in {context.settings.path}")
    for variable in wanted.variables:
        if context.environ.get(variable):
            context.note(f"{variable} is set, and wins over the file.")


@app.command("unset", cls=Verb)
def unset(ctx: typer.Context, key: KeyArgument) -> None:
    """Remove a setting from the file; a missing one is not an error.

    \b
    Examples:
      hammerwork config unset default_queue
    """
    context: Context = ctx.obj
    wanted = known(key)
    removed = writing.remove(context.settings.path, wanted)
    context.note(f"{wanted.name} is {'no longer' if removed else 'not'} in {context.settings.path}")


@app.command("reset", cls=verb_with({"--confirm": "--yes"}))
def reset(
    ctx: typer.Context,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed; change nothing.")] = False,
) -> None:
    """Remove the whole configuration file.

    \b
    Examples:
      hammerwork config reset --dry-run
      hammerwork config reset --yes
    """
    context: Context = ctx.obj
    path = context.settings.path
    if not path.exists():
        context.note(f"There is no {path}.")
        return
    context.note(f"{'Would remove' if dry_run else 'Removes'} {path}")
    if not dry_run:
        context.confirm("Remove the configuration file?", yes=yes)
        writing.delete(path)


@app.command("path", cls=Verb)
def path(ctx: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Print the path of the configuration file, whether it exists or not. HAMMERWORK_CONFIG names another one.

    \b
    Examples:
      hammerwork config path
      "$EDITOR" "$(hammerwork config path)"
      hammerwork config path --format json | jq .exists
    """
    context: Context = ctx.obj
    where = context.settings.path
    context.answer({"path": str(where), "exists": where.exists()}, form, lambda: [str(where)])


@app.command("init", cls=Verb)
def init(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a configuration file that explains every setting and sets none.

    \b
    Examples:
      hammerwork config init
      HAMMERWORK_CONFIG=staging.toml hammerwork config init
    """
    context: Context = ctx.obj
    where = context.settings.path
    if where.exists() and not force:
        raise ConflictError(f"{where} is there already.", hint="--force overwrites it.")
    writing.write(where, writing.template())
    context.lines([str(where)])


def _setting(context: Context, name: str) -> Setting:
    wanted = known(name)
    option = context.options.get("database_url") if wanted.name == "database_url" else None
    return context.settings.get(wanted.name, option)


def _shown(setting: Setting, *, secrets: bool) -> ShownSetting:
    key = setting.key
    value = setting.value if secrets else key.masked(setting.value)
    return ShownSetting(key.name, value, setting.source, key.default, key.variables, key.purpose)


def _note_file(context: Context) -> None:
    settings = context.settings
    if not settings.path.exists():
        context.note(f"There is no {settings.path}.")
        return
    context.note(f"File: {settings.path}")
    for name in settings.file.keys() - KEYS.keys():
        context.note(f"  {visible(name)} in it is not a setting of this program.")
    context.note_exposure()
