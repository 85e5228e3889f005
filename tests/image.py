"""Builds the image of deploy/Dockerfile without Docker, and runs what it has built: ``python -m tests.image``.

Each stage is a bare root with the system and the Python of this machine, read-only, a copy of /etc, and nothing else.
Commands run there by ``chroot``, without the variables of this process. It needs root with the right to mount, and the
package index, as ``make test`` does in a fresh clone. ``--if-possible`` does nothing without that right.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from hammerwork_cli.version import __version__
from tests.pages import ROOT

DEPLOY = ROOT / "deploy"
INSTALLING = ("PIP_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY")
"""Beginnings of variables that say how this machine reaches its package index: a build gets them as ``--build-arg``."""
INSIDE = r"""
set -e
mount --bind "$1" "$1"
mount --bind /usr "$1/usr"
mount -o remount,bind,ro "$1/usr"
if [ "$2" != /usr/local ]; then
    mount -t tmpfs -o mode=755 tmpfs "$1/usr/local"
    mkdir "$1/usr/local/bin"
    printf '#!/bin/sh\nexec %s "$@"\n' "$3" >"$1/usr/local/bin/python"
    chmod 755 "$1/usr/local/bin/python"
    case $2 in /usr*) ;; *) mkdir -p "$1$2"; mount --bind "$2" "$1$2"; mount -o remount,bind,ro "$1$2" ;; esac
fi
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
for folder in $5; do mkdir -p "$1$folder"; mount -t tmpfs -o mode=1777 tmpfs "$1$folder"; done
if [ -n "$6" ]; then mkdir -p "$1/data"; mount --bind "$6" "$1/data"; fi
if [ -n "$5" ]; then mount -o remount,bind,ro "$1"; fi
root=$1 user=$4
shift 6
exec chroot --userspec="$user" "$root" "$@"
"""
PATIENCE = 120.0
"""Seconds for what takes some of them."""


@dataclass
class Stage:
    """What follows a ``FROM``."""

    root: Path
    workdir: str = "/"
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})

    def start(
        self, words: Sequence[str], more: Mapping[str, str] | None = None, data: Path | None = None
    ) -> "subprocess.Popen[str]":
        """Starts a program in the root.

        Args:
            more: further variables.
            data: a folder for /data. With it the root is read-only but for /tmp and /run/worker, as in Kubernetes.
        """
        variables = {**self.variables, **(more or {})}
        inside = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        inside += ["/bin/sh", "-c", f'cd {shlex.quote(self.workdir)} && exec "$@"', "sh", *words]
        empty = "/tmp /run/worker" if data else ""  # noqa: S108  of the root
        places = [
            str(self.root),
            sys.base_prefix,
            os.path.realpath(sys.executable),
            self._userspec(),
            empty,
            str(data or ""),
        ]
        return subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh", *places, *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self, words: Sequence[str], more: Mapping[str, str] | None = None, data: Path | None = None, code: int = 0
    ) -> str:
        """Runs a program to its end; returns what it prints. Ends this process with it if its exit code is another."""
        started = self.start(words, more, data)
        said, _ = started.communicate(timeout=10 * PATIENCE)
        if started.returncode != code:
            sys.exit(f"{shlex.join(words)} ended with {started.returncode}:\n{said}")
        return said

    def _userspec(self) -> str:
        """The user and its group, as Docker finds it."""
        lines = (line.split(":") for line in (self.root / "etc" / "passwd").read_text("utf-8").splitlines())
        return next((f"{line[2]}:{line[3]}" for line in lines if self.user in {line[0], line[2]}), f"{self.user}:0")


def bare_root(folder: Path) -> Path:
    """A root with a copy of /etc, and places for everything else."""
    folder.mkdir()
    for name in ("usr", "dev", "proc", "run", "var", "opt", "home", "root"):
        (folder / name).mkdir()
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (folder / name).symlink_to(f"usr/{name}")
    subprocess.run(["cp", "--archive", "/etc", str(folder / "etc")], check=True)
    return folder


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yields the instructions of a Dockerfile, and what follows each."""
    for line in re.sub(r"\\\n", "", text).splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def ignored(path: Path, patterns: Sequence[str]) -> bool:
    """Whether a .dockerignore keeps a path of the repository out: its last pattern that fits decides."""
    name, out = path.relative_to(ROOT).as_posix(), False
    parents = [name, *(one.as_posix() for one in Path(name).parents if one.name)]
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(fnmatch(one, bare) or fnmatch(f"/{one}", bare.replace("**", "*")) for one in parents):
            out = not pattern.startswith("!")
    return out


def copy(stage: Stage, words: list[str], stages: Mapping[str, Stage]) -> None:
    """``COPY``, from the repository or from another stage."""
    origin = stages[words.pop(0).removeprefix("--from=")] if words[0].startswith("--from=") else None
    *sources, target = words
    place = stage.root / os.path.join(stage.workdir, target).lstrip("/")  # noqa: PTH118  an absolute path begins anew
    patterns = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()

    def kept_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if ignored(Path(folder, name), patterns)]

    for source in sources:
        found = (origin.root if origin else ROOT) / source.lstrip("/")
        if not origin and ignored(found, patterns):
            sys.exit(f"COPY {source}: Dockerfile.dockerignore keeps it out")
        if found.is_dir() and origin:
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--archive", str(found), str(place)], check=True)
        elif found.is_dir():
            shutil.copytree(found, place, ignore=kept_out)
        else:
            folder = place if target.endswith("/") else place.parent
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, folder / (found.name if target.endswith("/") else place.name))


def variables_of(pairs: str, known: Mapping[str, str]) -> dict[str, str]:
    """What ``ENV`` sets."""
    pieces = (pair.partition("=") for pair in shlex.split(pairs))
    return {name: re.sub(r"\$(\w+)", lambda found: known[found[1]], value) for name, _, value in pieces}


def build(folder: Path) -> Stage:
    """Carries out the Dockerfile; returns its last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(Path())
    for name, rest in instructions((DEPLOY / "Dockerfile").read_text("utf-8")):
        say(f"{name} {rest}")
        match name:
            case "FROM":
                called = rest.partition(" AS ")[2] or str(len(stages))
                stage = stages[called] = Stage(bare_root(folder / str(len(stages))))
            case "WORKDIR":
                stage.workdir = rest
                (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "RUN":
                index = {name: value for name, value in os.environ.items() if name.upper().startswith(INSTALLING)}
                stage.run(["/bin/sh", "-c", rest], index)
            case "COPY":
                copy(stage, rest.split(), stages)
            case "ENV":
                stage.variables |= variables_of(rest, stage.variables)
            case "USER":
                stage.user = rest
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            case "CMD":
                stage.command = json.loads(rest)
            case _:
                sys.exit(f"{name} is not an instruction that this knows")
    return stage


def prove(image: Stage, folder: Path) -> None:
    """Runs the image as deploy/ does: without privileges, read-only, with its own commands, until it is stopped."""
    data = folder / "data"
    data.mkdir()
    os.chown(data, int(image.user), 0)
    variables = {"HAMMERWORK_DATABASE_URL": "sqlite:////data/jobs.db?mode=rwc"}

    def hammerwork(*words: str) -> str:
        say(shlex.join([*image.entrypoint, *words]))
        return image.run([*image.entrypoint, *words], variables, data)

    identity = image.run(["/bin/sh", "-c", "id -u; touch /app/x /opt/x 2>/dev/null || echo read-only"], None, data)
    if identity.split() != [image.user, "read-only"]:
        sys.exit(f"it runs as {identity}")
    if __version__ not in hammerwork("--version"):
        sys.exit("it is another version")
    hammerwork("migration", "run")
    job = hammerwork("job", "enqueue", "--queue", "video", "--payload", '{"seconds": 30}', "--spawn-handler", "video")
    say(shlex.join([*image.entrypoint, *image.command]))
    worker = image.start([*image.entrypoint, *image.command], variables, data)
    try:
        hammerwork("spawn", "wait", job.split()[-1], "--timeout", f"{PATIENCE:.0f}s")
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text("utf-8").split()
        os.kill(int(children[0]), signal.SIGTERM)
        said, _ = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
    if worker.returncode != 0 or '"level"' not in said:
        sys.exit(f"the worker ended with {worker.returncode}:\n{said}")


def say(text: str) -> None:
    """Prints what happens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def can_mount() -> bool:
    """Whether this process may do what it needs."""
    tried = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    needed = shutil.which("unshare") and shutil.which("chroot")
    return (
        bool(needed) and os.geteuid() == 0 and subprocess.run(tried, capture_output=True, check=False).returncode == 0
    )


def main() -> None:
    """Builds and proves; the exit code is that of the first command that fails."""
    if not can_mount():
        say("The image is not built: that needs root with the right to mount, unshare and chroot.")
        sys.exit(0 if "--if-possible" in sys.argv else 1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hammerwork-image-") as folder:
        prove(build(Path(folder)), Path(folder))
    say(f"The image has run, {time.monotonic() - began:.0f} s after the first command.")


if __name__ == "__main__":
    main()
