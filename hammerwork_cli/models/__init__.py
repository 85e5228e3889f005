"""What the program talks about: plain values without a database behind them.

Moments stay as the driver delivered them (text or ``datetime``) until somebody asks:
a tree of 100,000 jobs has 400,000 of them and most are never looked at.
"""

from hammerwork_cli.models.jobs import NewJob, new_id
from hammerwork_cli.models.spawn_config import SpawnConfig
from hammerwork_cli.models.spawns import PendingSpawn, SpawnGroup, SpawnOperation, SpawnStats
from hammerwork_cli.models.trees import Lineage, SpawnTree, TreeNode
from hammerwork_cli.models.values import (
    FAILURES,
    FINISHED,
    WAITING,
    Counts,
    JobPriority,
    JobStatus,
    Moment,
    id_list,
    moment,
    priority_word,
    rfc3339,
    status_of,
)

__all__ = [
    "FAILURES",
    "FINISHED",
    "WAITING",
    "Counts",
    "JobPriority",
    "JobStatus",
    "Lineage",
    "Moment",
    "NewJob",
    "PendingSpawn",
    "SpawnConfig",
    "SpawnGroup",
    "SpawnOperation",
    "SpawnStats",
    "SpawnTree",
    "TreeNode",
    "id_list",
    "moment",
    "new_id",
    "priority_word",
    "rfc3339",
    "status_of",
]
