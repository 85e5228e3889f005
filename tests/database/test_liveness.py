"""The model of docs/explain/liveness.md holds for the real queries, whatever happens to workers, server and clock."""

from collections.abc import Callable

import pytest

from chaos.liveness.machine import Histories, check
from hammerwork_cli.database import connect
from hammerwork_cli.features.spawn.queries.doctor import Doctor

STEPS, SEED = 1_000, 21107
"""The same histories each time; ``make liveness`` looks for others."""


@pytest.mark.long
def test_no_history_takes_a_job_from_who_lives_or_leaves_it_or_counts_it_twice(
    new_database: Callable[..., str],
) -> None:
    database = connect(new_database("sqlite", migrated=True))
    assert check(database, STEPS, SEED) >= STEPS
    database.close()


@pytest.mark.parametrize("rescues", [True, False])
def test_the_model_misses_a_job_that_version_3_abandoned_and_nobody_rescues(
    new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch, rescues: bool
) -> None:
    """Few random histories come to it."""
    if not rescues:
        monkeypatch.setattr(Doctor, "rescue", lambda _: 0)
    database = connect(new_database("sqlite", migrated=True))
    monkeypatch.setattr(Histories, "database", database, raising=False)
    history = Histories()
    history.begin()
    history.version_3_is_killed(number=0)
    assert len(history.abandoned) == 1
    if rescues:
        history._pass(40, 0)
        assert history.abandoned == {}
    else:
        with pytest.raises(AssertionError, match="version 3 has abandoned it"):
            history._pass(40, 0)
    database.close()
