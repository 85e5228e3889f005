"""Plain values that queries return and renderers draw.

Timestamps stay as the driver delivered them (text or ``datetime``) until something reads them: a tree of 100,000 jobs
has 400,000 of them, and most are never read.

A module is imported on the first use of a name of it, so that a command that lists operations does not pay for the
models of the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "ancestry": "Ancestry",
    "job": (
        "ARCHIVAL_FACTS AttemptOutcome ENCRYPTION_FACTS EnqueuedJob FACTS JobDetails JobFilter JobPage LATER_FACTS"
        " PastAttempt StoredJob WholeJob"
    ),
    "job_plan": "ChangePlan JobGroup ChangeOutcome Reason Refusal",
    "migration": (
        "Migration MigrationState PlannedMigration RustFit RustVersion TableRewrite TableRows UNREADABLE_STRATEGY"
    ),
    "new_job": "NewJob new_id",
    "input.spawn_config": "ON_ERROR STORED_KEYS SpawnConfig storable_name",
    "spawn": "FailedBelow PendingSpawn RecordedSpawn SpawnGroup SpawnOperation SpawnRequest SpawnStats",
    "tree": "JobDate Lineage SpawnTree TreeNode",
    "values": (
        "FAILURES FINISHED UNSUCCESSFUL WAITING Counts JobPriority JobStatus Timestamp id_list priority_word rfc3339"
        " status_of status_phrase timestamp"
    ),
    "worker": "RunningJob RegisteredWorker",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

if TYPE_CHECKING:
    from hammerwork_cli.models.ancestry import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.input.spawn_config import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.job import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.job_plan import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.migration import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.new_job import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.spawn import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.tree import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.values import *  # noqa: F403  type checkers do not run __getattr__
    from hammerwork_cli.models.worker import *  # noqa: F403  type checkers do not run __getattr__
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
