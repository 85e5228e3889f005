"""The options for callbacks: --on-complete, --on-success and --on-failure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks import queries
from hammerwork_cli.features.callbacks.model import CallbackEvent, NewCallback
from hammerwork_cli.features.event.model import OF_ENDS, EventType
from hammerwork_cli.features.job.options import json_value, new_callback


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Jobs to enqueue at the end: a queue, or a JSON object with the options of a job."""

    on_complete: Annotated[
        str | None,
        typer.Option("--on-complete", metavar="QUEUE|JSON", help="Enqueue this job once all jobs have ended."),
    ] = None
    on_success: Annotated[
        str | None,
        typer.Option("--on-success", metavar="QUEUE|JSON", help="Enqueue this job once all jobs have completed."),
    ] = None
    on_failure: Annotated[
        str | None,
        typer.Option("--on-failure", metavar="QUEUE|JSON", help="Enqueue this job once the first job has failed."),
    ] = None

    def new(self) -> tuple[NewCallback, ...]:
        """The options as callbacks to insert."""
        given = {
            CallbackEvent.COMPLETE: self.on_complete,
            CallbackEvent.SUCCESS: self.on_success,
            CallbackEvent.FAILURE: self.on_failure,
        }
        return tuple(new_callback(event, _options(text)) for event, text in given.items() if text is not None)


def _options(text: str) -> dict[str, object]:
    if not text.lstrip().startswith(("{", "[", '"')):
        return {"queue": text}
    value = json_value(text, "The callback")
    if not isinstance(value, dict):
        raise UsageError("A callback is the name of a queue, or a JSON object.")
    return value


def note_upkeep(context: Context, database: Database, now: datetime, does: str = "enqueues callbacks") -> None:
    """Notes that no running worker does some upkeep, if that is so."""
    from hammerwork_cli.features.cron.queries.schedules import upkeep_is_running

    if not upkeep_is_running(database, now):
        context.note(f"No running worker {does}. Start one with: hammerwork worker start --upkeep-only")


def note_earlier(context: Context, database: Database, wanted: Collection[EventType]) -> None:
    """Notes that trees and the like that were enqueued before have no event at their end, if such events are wanted."""
    named = {"tree": "trees", "batch": "batches", "workflow": "workflows"}
    subjects = dict.fromkeys(named[event.partition(".")[0]] for event in OF_ENDS if event in wanted)
    if subjects and queries.any_open_job(database):
        context.note(f"{', '.join(subjects).capitalize()} enqueued before now may end without an event.")
