"""What a stream of a run sends events to: a program that keeps them, unless it is away."""

import os
import sys
from pathlib import Path

AWAY = "away"
"""A file in the folder of the run: while it is there, neither this program nor the receiver takes anything."""
STREAMED = "streamed"


def main(folder: Path) -> None:
    """Adds each event that it reads to a file, and acknowledges it then."""
    file = os.open(folder / STREAMED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for line in sys.stdin:
        if (folder / AWAY).exists():
            print("error it is away", flush=True)
            continue
        os.write(file, line.encode())
        print("ok", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
