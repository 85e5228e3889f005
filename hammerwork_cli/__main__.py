"""The entry point of ``python -P -m hammerwork_cli`` and of the console script."""

import gc
import os
import sys

OBJECTS_AT_START = 100_000
"""Objects that the modules of a command make, and that stay."""
UNUSED = (
    *("ipaddress", "linecache", "tokenize"),
    *("difflib", "gettext", "platform", "shutil", "subprocess", "traceback", "typer.completion", "uuid"),
)
"""What Typer, and what it imports, need only for errors, for completion and to open a browser: a sixth of the start."""


def main() -> None:
    """Runs the command line. Ctrl-C stops it quietly even while its modules are being imported."""
    # Looking for garbage among them takes a twentieth of the start.
    gc.set_threshold(OBJECTS_AT_START)
    try:
        _answer()
    except KeyboardInterrupt:
        os._exit(130)


def _answer() -> None:
    """Prints the version, or values for a shell, before it imports the command line."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from hammerwork_cli.version import __version__

        try:
            os.write(1, f"hammerwork {__version__}\n".encode())
        except OSError:
            pass  # the command line below reports the error as for every other answer
        else:
            return
    if sys.argv[1:2] == ["--complete-values"]:
        from hammerwork_cli.cli.shell_completion import print_values

        print_values(*sys.argv[2:])
    from hammerwork_cli.late_imports import late

    with late(*UNUSED):
        import typer  # noqa: F401
    from hammerwork_cli.app import run

    run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # -m puts the current folder first in the path of modules: a file there could replace a module of a library.
        folder = sys.path.pop(0)
        if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == folder:  # noqa: PTH100, PTH120
            sys.path.append(folder)  # the package itself is in this folder, because it is not installed
    main()
