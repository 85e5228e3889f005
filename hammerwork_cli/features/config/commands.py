"""``hammerwork config``: the settings, and the file that holds them."""

import re
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, YesOption
from hammerwork_cli.cli.verb import group
from hammerwork_cli.config import KEYS, Setting, blaming, elsewhere, known, writing
from hammerwork_cli.config.keys import PROFILE_KEYS, PROFILE_NAME
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import AnswerIsNoError, ConflictError
from hammerwork_cli.features.config.views import CONFIG_PATH, SETTING, SETTINGS, ShownSetting
from hammerwork_cli.view.text import visible

app = group(
    "config show",
    "config set default_queue video_ingest",
)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A setting, such as default_limit; see `config show`.")]
SecretsOption = Annotated[bool, typer.Option("--show-secrets", help="Show passwords too.")]


@app.verb("show")
def show(context: Context, show_secrets: SecretsOption = False, form: FormatOption = Format.TABLE) -> None:
    """Show every setting and profile: its value, its source and its purpose. Passwords are masked.

    \b
    Examples:
      hammerwork config show
      hammerwork config show --format json | jq -r '.[] | select(.source == "file") | .key'
    """
    found = [_setting(context, name) for name in KEYS]
    for profile in context.settings.profile_names:
        found += [context.settings.of_profile(profile, field) for field in PROFILE_KEYS]
    _note_file(context)
    context.show(
        [_shown(setting, secrets=show_secrets) for setting in found],
        form,
        columns=SETTINGS,
        shape=SETTING,
        empty="",
    )


@app.verb("get")
def get(
    context: Context, key: KeyArgument, show_secrets: SecretsOption = False, form: FormatOption = Format.TABLE
) -> None:
    """Print the value of one setting; exit code 1 when it is not set and has no default.

    \b
    Examples:
      hammerwork config get default_limit
      hammerwork config get database_url --show-secrets
    """
    setting = _shown(_setting(context, key), secrets=show_secrets)
    if form is Format.TABLE and setting.value is None:
        raise AnswerIsNoError(
            f"{setting.name} is not set.", hint=f"Set it with: hammerwork config set {setting.name} ..."
        )
    context.answer(SETTING.record(setting), form, lambda: [visible(setting.text or "")])


@app.verb("set")
def set_(
    context: Context,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value; - reads it from stdin.")],
) -> None:
    """Write a setting into the file; the rest of the file stays unchanged.

    A relative path of an SQLite file is stored as an absolute one, because commands run in other folders too.
    A profile is a database with a name: `-u @production` uses it. Commands that change the database of a protected
    profile ask you to type its name; scripts pass --confirm-profile NAME.

    \b
    Examples:
      hammerwork config set default_limit 100
      hammerwork config set profiles.production.url - < url.txt
      hammerwork config set profiles.production.protected true
      hammerwork config set database_url - < url.txt
    """
    wanted = known(key)
    with blaming(wanted.name):
        checked = wanted.from_text(disk.line() if value == "-" else value)
    if wanted.path[-1] in {"database_url", "url"}:
        checked = DatabaseUrl.absolute(checked)
    writing.store(context.settings.path, wanted, checked)
    shown = _shown(Setting(wanted, checked, "file"), secrets=False)
    context.note(f"{wanted.name} is {visible(shown.text or '')} in {context.settings.path}")
    for variable in wanted.variables:
        if context.environ.get(variable):
            context.note(f"{variable} is set, and overrides the file.")


@app.verb("unset")
def unset(context: Context, key: KeyArgument) -> None:
    """Remove a setting or a whole profile from the file; a missing one is not an error.

    \b
    Examples:
      hammerwork config unset default_queue
      hammerwork config unset profiles.production
    """
    is_profile = re.fullmatch(f"profiles\\.{PROFILE_NAME}", key.strip())
    place = tuple(key.strip().split(".")) if is_profile else known(key).path
    removed = writing.remove(context.settings.path, place)
    context.note(f"{'.'.join(place)} is {'no longer' if removed else 'not'} in {context.settings.path}")


@app.verb("reset")
def reset(
    context: Context,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed; change nothing.")] = False,
) -> None:
    """Remove the whole configuration file.

    \b
    Examples:
      hammerwork config reset --dry-run
      hammerwork config reset --yes
    """
    path = context.settings.path
    if not path.exists():
        context.note(f"There is no {path}.")
        return
    if dry_run:
        context.note(f"Would remove {path}")
        return
    context.confirm(f"Remove the configuration file {path}?", yes=yes)
    writing.delete(path)
    context.note(f"Removed {path}")


@app.verb("path")
def path(context: Context, form: FormatOption = Format.TABLE) -> None:
    """Print the path of the configuration file, whether it exists or not. To use another file, set HAMMERWORK_CONFIG.

    \b
    Examples:
      hammerwork config path
      "$EDITOR" "$(hammerwork config path)"
      hammerwork config path --format json | jq .exists
    """
    where = context.settings.path
    context.answer(CONFIG_PATH.record(where), form, lambda: [str(where)])


@app.verb("init")
def init(
    context: Context,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a configuration file that explains every setting and sets none.

    \b
    Examples:
      hammerwork config init
      HAMMERWORK_CONFIG=staging.toml hammerwork config init
    """
    where = context.settings.path
    if not writing.begin(where, force=force):
        raise ConflictError(f"{where} already exists.", hint="--force overwrites it.")
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
    if settings.path.exists():
        context.note(f"File: {settings.path}")
        for name in settings.unknown:
            other = elsewhere.KEYS.get(name)
            use = f" Use: {other}" if other else ""
            context.note(f"  {visible(name)} in it is not a setting of this program.{use}")
        context.note_exposure()
    else:
        context.note(f"There is no {settings.path}.")
    webhooks = elsewhere.webhooks(context.environ, settings.path)
    for variable, other in elsewhere.variables(context.environ):
        if webhooks is None or variable != elsewhere.WEBHOOKS_VARIABLE:
            context.note(f"{variable} has no effect on this program. Use: {other}")
    if webhooks:
        context.note(f"File: {webhooks}")
        context.note(f"  {elsewhere.NO_WEBHOOKS}")
        if webhooks.stat().st_mode & 0o077:
            context.note(f"  Other users can read it, including its secrets. Run: chmod 600 {webhooks}")
