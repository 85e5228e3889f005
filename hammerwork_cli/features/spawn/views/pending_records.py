"""The shape of jobs that have yet to spawn."""

from hammerwork_cli.features.spawn.models.pending import PendingSpawn
from hammerwork_cli.features.tree.views.json import NODE
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape

PENDING = Shape[PendingSpawn](
    {
        "reason": key.text("", "asked_again", "will_spawn", "never_spawned", "waiting", "stuck"),
        "waits_for": key.counts("The jobs it depends on, by status", in_order=True),
        **NODE.within("job"),
    }
)
