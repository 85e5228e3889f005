"""Checks the model of docs/explain/liveness.md: ``python -m chaos.liveness --steps 1000000 --seed 1``."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from chaos.liveness.machine import check
from hammerwork_cli.database import connect
from hammerwork_cli.features.migration import queries as migrations


def main() -> int:
    """Prints the seed, and how many steps were taken."""
    parser = argparse.ArgumentParser(prog="python -m chaos.liveness")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--url", help="an empty database; an SQLite file that is removed by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hammerwork-liveness-") as folder:
        database = connect(options.url or f"sqlite:///{Path(folder) / 'liveness.db'}")
        migrations.run(database)
        print(f"{database.server}: {options.steps:,} steps, --seed {options.seed}", flush=True)
        began = time.monotonic()
        taken = check(database, options.steps, options.seed)
        print(f"{taken:,} steps in {time.monotonic() - began:.0f} s: all invariants held")
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
