"""Trees that may grow without an end."""

from typing import NamedTuple


class GrowingTree(NamedTuple):
    """A tree whose jobs spawn by the handler of their parents, generation after generation, more than one child each.

    Of several such trees of a handler, the one that has spawned most.
    """

    root: str
    queue: str | None  # of the root; `None` if it is gone
    status: str  # of the root, as its row spells it
    handler: str
    generations: int  # in which the handler has spawned
    spawned: int  # jobs that it has spawned just now, in all of these trees
    trees: int
    spawning: str  # a queue whose jobs spawn by it

    @property
    def said(self) -> str:
        """What it does, in words."""
        trees = f"{self.trees:,} trees" if self.trees > 1 else "one tree"
        return (
            f"{self.handler} has spawned {self.spawned:,} jobs in 10 minutes, in {trees}, and its children spawn by it"
            f" too, through {self.generations} generations"
        )

    @property
    def stop(self) -> str:
        """What stops it: words after ``hammerwork``."""
        if self.trees > 1:
            return f"queue pause {self.spawning}"
        return f"job cancel {self.root} --tree --force"
