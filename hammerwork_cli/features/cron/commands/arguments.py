"""Arguments of the verbs of ``cron``, and notes that several of them print."""

from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.core.cron.words import notes_on
from hammerwork_cli.database import Database
from hammerwork_cli.features.cron.model import Schedule
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.cron.views import schedules as views

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="A schedule's name, or at least 4 hex digits of its id.")
]
ShowOnlyOption = Annotated[bool, typer.Option("--dry-run", help="Show the schedule and change nothing.")]
SHOWN_DATES = 3


def note_meaning(context: Context, database: Database, schedule: Schedule, now: datetime) -> None:
    """Notes what a schedule means, and that no worker enqueues its jobs."""
    context.note(views.meaning_text(schedule, schedules.coming(schedule, SHOWN_DATES, now)))
    for note in notes_on(schedule.expression):
        context.note(note)
    if schedule.enabled and not schedule.is_in_place:
        from hammerwork_cli.features.callbacks.commands import note_upkeep  # lists of schedules start faster without it

        note_upkeep(context, database, now, "enqueues the jobs of schedules")
