"""``hammerwork demo``: something real to look at."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.files import make_folder
from hammerwork_cli.cli.verb import Verbs
from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.view.text import plural, short_id, statuses

if TYPE_CHECKING:
    from hammerwork_cli.features.spawn.queries.tree_watch import WatchedTree
    from hammerwork_cli.features.tree.spawn_tree import SpawnTree

app = Verbs()

FOLDER = Path("hammerwork-demo")
NAME = "hammerwork"
REPAIRED = "Retry the failed segments with handlers that can read them. One more upload is due in 8 hours."
LIMITS = Limits.of(TreeFormat.TEXT, None, None, None, full=False)


@app.verb("demo")
def demo(
    context: Context,
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Folder of its database.")] = FOLDER,
) -> None:
    """
    \b
    Example:
      hammerwork demo
    """
    if "database_url" in context.options:
        raise UsageError(
            "demo creates its own database and does not take --database-url.", hint="Choose its place with --folder."
        )
    make_folder(folder)
    url = DatabaseUrl.of_file(folder / "demo.db")
    with closing(connect(url)) as database:
        migrations.run(database)
        root = _enqueue(url)
        with _worker(url) as thread:
            _watch(context, url, database, root, thread)
        _show(context, url, database, tree_queries.tree(database, root))


def _enqueue(url: DatabaseUrl) -> str:
    from hammerwork_cli import demonstration
    from hammerwork_cli.runtime.api.queue import Queue

    with Queue(url) as queue:
        queue.enqueue(demonstration.tomorrow())
        return queue.enqueue(demonstration.upload()).id


@contextmanager
def _worker(url: DatabaseUrl) -> Iterator[threading.Thread]:
    """Runs until its queues are empty, in a thread: this one looks on."""
    from hammerwork_cli.demonstration import released as handlers
    from hammerwork_cli.runtime.host.logs import silent
    from hammerwork_cli.runtime.worker.worker import Worker

    worker = Worker(url, handlers, concurrency=8, poll_interval=0.1, drain=True)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001  raised again by who waits for it
            failures.append(error)

    with silent():
        thread = threading.Thread(target=work, name="hammerwork-demo")
        thread.start()
        try:
            yield thread
        finally:
            worker.stop()
            thread.join()
    for failure in failures:
        raise failure


def _watch(context: Context, url: DatabaseUrl, database: Database, root: str, thread: threading.Thread) -> None:
    """Shows what happens until there is nothing left to do or somebody has seen enough."""
    from hammerwork_cli.cli.live import Ending, Follower, InLines, OnScreen, Pace
    from hammerwork_cli.cli.screen import Screen, can_redraw
    from hammerwork_cli.features.spawn.queries.tree_watch import TreePictures
    from hammerwork_cli.features.tree.views.screen import Headline, Style, tree_screen

    watch = TreePictures(database, root, whole=True, depth=LIMITS.depth, max_jobs=LIMITS.max_jobs)
    style = Style(LIMITS, None, context.charset, context.colour)
    told: list[str] = []

    def verdict(seen: "WatchedTree") -> Ending | None:
        return Ending.REACHED if seen.finished or not thread.is_alive() else None

    def draw(seen: "WatchedTree", width: int, height: int, note: str | None) -> Sequence[str]:
        return tree_screen(seen.tree, style, Headline(seen.at, seen.counts, seen.stuck, note), width, height)

    def speak(seen: "WatchedTree") -> Sequence[str]:
        said = f"{plural(seen.counts.total, 'job')}: {statuses(seen.counts)}"
        if said not in told[-1:]:
            told.append(said)
            context.note(said)
        return ()

    if can_redraw(context):
        with Screen(context.stdout) as screen:
            surface = OnScreen["WatchedTree"](screen, draw, lambda *_: ())
            Follower(lambda: connect(url), watch, surface, verdict, Pace(0.1)).run()
    else:
        Follower(lambda: connect(url), watch, InLines["WatchedTree"](context, speak), verdict, Pace(0.5)).run()


def _show(context: Context, url: DatabaseUrl, database: Database, tree: "SpawnTree") -> None:
    from hammerwork_cli.features.spawn.views import operations as operations_views

    root = tree.target
    program = quote(typed_program())
    context.lines([f"$ {program} spawn list  # in {url.path}"])
    context.show_table(operations_queries.operations(database, limit=10), operations_views.OPERATIONS)
    context.lines(["", f"$ {program} spawn tree {short_id(root)}"])
    drawn = picture(tree, TreeFormat.TEXT, LIMITS, charset=context.charset, width=context.width, colour=context.colour)
    context.write(drawn.parts)
    commands = [f"  {program} {words}" for words in _next(root, tree)]
    repaired = [f"  {program} {words}" for words in _again(root)]
    context.lines(["", "Now try:", f"  export HAMMERWORK_DATABASE_URL={quote(url.raw)}", *commands])
    context.lines(["", REPAIRED, *repaired])


def typed_program() -> str:
    """How this program is typed in the current folder: by its name where a shell finds it by that, else by its path."""
    typed = Path(sys.argv[0])
    own = typed if typed.name == NAME else Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if not own.exists() or (found is not None and own.samefile(found)):
        return NAME
    own = own.absolute()
    return os.path.join(".", own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)  # noqa: PTH118


def _next(root: str, tree: "SpawnTree") -> list[str]:
    """Commands to type; what has failed is looked at first."""
    dead = next((node.id for node in tree.nodes.values() if node.status == "Dead"), root)
    return [
        f"spawn why {short_id(root)}",
        f"job show {short_id(dead)}",
        f"spawn tree {short_id(root)} --format mermaid",
        "spawn stats --detailed",
    ]


def _again(root: str) -> list[str]:
    return [
        f"job retry {short_id(root)} --tree --only failed",
        "worker start --handlers hammerwork_cli.demonstration:app --drain",
    ]
