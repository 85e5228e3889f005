"""The model of docs/explain/liveness.md holds for the real queries, whatever happens to workers, server and clock."""

import random
from collections.abc import Callable

from chaos.liveness.machine import check
from hammerwork_cli.database import connect

STEPS = 20_000


def test_no_history_takes_a_job_from_who_lives_or_leaves_it_or_counts_it_twice(
    new_database: Callable[..., str],
) -> None:
    seed = random.randrange(1_000_000)
    print(f"python -m chaos.liveness --steps {STEPS} --seed {seed}")  # noqa: T201  shown when it fails
    database = connect(new_database("sqlite", migrated=True))
    assert check(database, STEPS, seed) >= STEPS
    database.close()
