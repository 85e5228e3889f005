"""``hammerwork completion``: the completion scripts of shells."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.verb import Verbs

app = Verbs()

_PACKAGE = Path(__file__).parents[2]
FOLDERS = (_PACKAGE / "completions", _PACKAGE.parent / "completions")
"""Where the scripts are: in an installed package, and beside the package in a checkout."""


class Shell(StrEnum):
    """Shells whose words can be completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: "hammerwork.bash", Shell.ZSH: "_hammerwork", Shell.FISH: "hammerwork.fish"}


@app.verb("completion")
def completion(
    context: Context,
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.", show_default=False)],
) -> None:
    """
    Add the line for your shell to its startup file (~/.bashrc, or ~/.zshrc below compinit). For fish, write the script
    to a file once.

    \b
    Examples:
      source <(hammerwork completion bash)
      source <(hammerwork completion zsh)
      hammerwork completion fish > ~/.config/fish/completions/hammerwork.fish
    """
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    context.write([(folder / SCRIPTS[shell]).read_text(encoding="utf-8")])
