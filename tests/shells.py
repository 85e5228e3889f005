"""Real shells at a terminal, with the completion scripts loaded: what a person types, and what comes out."""

import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "completions"
SHELLS = ("bash", "zsh", "fish")
PATIENCE = 30.0
"""Seconds until a shell that does not answer counts as broken."""

# In two pieces, since the terminal shows what is typed, too.
_PROMPT = "'rea''dy>'"
_START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"PS1={_PROMPT}; set +H; source '{SCRIPTS}/hammerwork.bash'\n"),
    "zsh": (
        ["zsh", "-f", "-i"],
        f"fpath=('{SCRIPTS}' $fpath); autoload -U compinit; compinit -u -D; setopt interactive_comments;"
        f" PS1={_PROMPT}\n",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        f"function fish_prompt; echo -n {_PROMPT}; end; set fish_greeting; source '{SCRIPTS}/hammerwork.fish'\n",
    ),
}
_STAND_IN = """#!/bin/sh
[ "$1" = --complete-values ] && { {count} exec {program} "$@"; }
for word; do printf '%s\\0' "$word"; done > {answer}.new
mv {answer}.new {answer}
"""


class Shell:
    """An interactive shell in which ``hammerwork`` tells what it was called with.

    Args:
        folder: for the files of this shell.
        program: a command that answers what the shell asks for.

    Attributes:
        shown: what the terminal was sent since ``move``.
        is_lost: whether it did not do what was waited for, so that nobody knows what it would do next.
    """

    def __init__(self, name: str, folder: Path, program: str, environ: dict[str, str]) -> None:
        self.shown = ""
        self.is_lost = False
        self._answer = folder / "answer"
        self._asked = folder / "asked"
        stand_in = folder / "bin" / "hammerwork"
        stand_in.parent.mkdir(exist_ok=True)
        text = _STAND_IN.replace("{answer}", f"'{self._answer}'").replace("{program}", program)
        stand_in.write_text(text.replace("{count}", f"echo x >> '{self._asked}';"))
        stand_in.chmod(0o755)
        command, start = _START[name]
        self._master, end = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=folder,
            start_new_session=True,
            # Fish wants the terminal for itself.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**environ, "PATH": f"{stand_in.parent}:{environ['PATH']}", "TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(end)
        self.send(start)
        self.wait(lambda: "ready>" in self.shown)

    def move(self, folder: Path, **variables: str) -> None:
        """Goes on in another folder with other variables: to start another shell takes longer than most tests."""
        exported = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        assert self.calls(f"cd {shlex.quote(str(folder))} && export {exported} && hammerwork moved") == ["moved"]
        self._asked.unlink(missing_ok=True)
        self.shown = ""

    def calls(self, typed: str) -> list[str]:
        """Types a line and the return key: the arguments that ``hammerwork`` is called with."""
        self._answer.unlink(missing_ok=True)
        self.send(typed + "\r")
        self.wait(self._answer.exists)
        return self._answer.read_bytes().decode().split("\0")[:-1]

    @property
    def questions(self) -> int:
        """How often values were asked for so far."""
        return len(self._asked.read_text().splitlines()) if self._asked.exists() else 0

    def send(self, text: str) -> None:
        """Types."""
        os.write(self._master, text.encode())

    def wait(self, done: Callable[[], bool]) -> None:
        """Reads what the terminal is sent until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline:
                self.is_lost = True
                raise TimeoutError(f"the shell showed: {self.shown[-2000:]!r}")
            if select.select([self._master], [], [], 0.02)[0]:
                self._read()

    def _read(self) -> None:
        try:
            part = os.read(self._master, 65536).decode("utf-8", "replace")
        except OSError as error:
            self.is_lost = True
            raise EOFError(f"the shell ended; it showed: {self.shown[-2000:]!r}") from error
        self.shown += part
        # Fish asks what kind of terminal this is, and waits for the answer.
        if "\x1b[0c" in part or "\x1b[c" in part:
            self.send("\x1b[?6c")

    def close(self) -> None:
        """Ends the shell."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)


def missing(name: str) -> bool:
    """Whether the shell is not installed."""
    return shutil.which(name) is None
