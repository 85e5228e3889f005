"""``python -P -m hammerwork_cli``, and the console script."""

import os
import sys


def main() -> None:
    """Runs the command line. Ctrl-C ends it quietly while its modules are still imported, too."""
    try:
        _answer()
    except KeyboardInterrupt:
        os._exit(130)


def _answer() -> None:
    """The version is answered before anything else is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from hammerwork_cli import __version__

        try:
            os.write(1, f"hammerwork {__version__}\n".encode())
        except OSError:
            pass  # said by the program, as for every other answer
        else:
            return
    if sys.argv[1:2] == ["--complete-values"]:
        from hammerwork_cli.cli.shell_completion import print_values

        print_values(*sys.argv[2:])
    from hammerwork_cli.app import run

    run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # -m puts the current folder before all others, where what lies there by chance would be imported.
        folder = sys.path.pop(0)
        if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == folder:  # noqa: PTH100, PTH120
            sys.path.append(folder)  # this package lies there, and is not installed
    main()
