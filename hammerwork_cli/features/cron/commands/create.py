"""``hammerwork cron create`` and ``update``."""

from dataclasses import replace
from inspect import Parameter
from typing import Annotated, Any, NamedTuple, Self

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import note_new_queue
from hammerwork_cli.cli.option_sets import OptionGroup
from hammerwork_cli.cli.options import Format, FormatOption, NoEncryptOption
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.commands.arguments import SHOWN_DATES, ScheduleArgument, ShowOnlyOption, note_meaning
from hammerwork_cli.features.cron.options import NAME, SCHEDULE_OPTIONS, ScheduleOption, read_schedule
from hammerwork_cli.features.cron.queries import changes, recurring, schedules
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.cron.views import schedules as views
from hammerwork_cli.features.job.commands import new_job_options
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.options import SCHEDULE, json_value
from hammerwork_cli.view.text import visible


class GivenOptions(NamedTuple):
    """What was given of the options of a schedule."""

    options: dict[str, Any]  # by name, with the payload as a value
    payload: str | None  # the text of the payload

    @classmethod
    def of(cls, **given: Any) -> Self:
        text = None if given["payload"] is None else read.text_from(given["payload"])
        payload = None if text is None else json_value(text, "The payload")
        config = new_job_options.value_of("spawn_config", given["spawn_config"])
        return cls({**given, "payload": payload, "spawn_config": config}, text)


def _known(option: ScheduleOption) -> Any:
    """What Typer knows of an option."""
    flags = option.flags or [new_job_options.flag_of(option.name)]

    def check(given: str | None) -> str | None:
        if given is not None and option.read is not None:
            option.read(given, option.name)
        return given

    return typer.Option(*flags, metavar=option.metavar, callback=check, help=option.help)


def _annotation(option: ScheduleOption | str) -> Any:
    if isinstance(option, ScheduleOption):
        return Annotated[str | None, _known(option)]
    return new_job_options.job_annotation(option, SCHEDULE)


def _parameter(option: ScheduleOption | str) -> Parameter:
    name = option if isinstance(option, str) else option.name
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(option))


ScheduleOptions = Annotated[GivenOptions, OptionGroup([_parameter(one) for one in SCHEDULE_OPTIONS], GivenOptions.of)]


def create(
    context: Context,
    options: ScheduleOptions,
    name: Annotated[str | None, _known(NAME)] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it disabled.")] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Enqueue a recurring job, as hammerwork (Rust) does.")
    ] = False,
    no_encrypt: NoEncryptOption = False,
    dry_run: ShowOnlyOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    CRON has the five fields of Unix cron: minute, hour, day of the month, month, day of the week (0 or 7 is Sunday);
    when both days are given, either one is enough. Six or seven fields follow hammerwork (Rust): seconds come first,
    and 1 is Sunday. @hourly, @daily, @weekly, @monthly and @yearly work too. --every counts from --starts, or from now.
    `cron check` explains an expression in words. Without --name, a schedule that already enqueues the same job at the
    same times is a conflict (exit code 6).

    Defaults: --timezone UTC, --priority normal, --max-attempts 3, --overlap skip, --catch-up last, --grace 60s.

    Every `worker start` enqueues the jobs, unless it drains; one with --upkeep-only does nothing else. If the payload
    is an object, each job also gets the key _schedule with name, due_at and kind.

    --overlap says what happens at a due time while a job of the schedule is open: skip enqueues no job, skip-tree also
    enqueues none while any job below one is open, and allow enqueues one anyway. --catch-up says what happens to due
    times that passed while no worker was running: last runs the newest one, none runs those that are at most --grace
    late, and all runs the newest 100. `cron history` lists the skipped and missed ones.

    --in-place enqueues a recurring job instead: one row that comes back after each occurrence, and that Rust workers
    run too. It has no name and no history, and does not take --overlap, --catch-up, --grace or --jitter.

    \b
    Examples:
      hammerwork cron create --queue report --payload '{}' --schedule '30 2 * * Mon-Fri' --timezone Europe/Oslo
      hammerwork cron create --queue ping --payload '{}' --every 45m --name heartbeat
      hammerwork cron create --queue ingest --payload '{}' --schedule @hourly --spawn-handler frames --overlap skip-tree
    """
    given, text = options
    given["queue"] = context.queue(given["queue"])
    new = read_schedule({**given, "name": name, "enabled": not disabled}, payload=text)
    database = context.database(changes=True, plaintext_meant=no_encrypt)
    now = context.now(database)
    note_new_queue(context, database, new.queue)
    if in_place:
        if name is not None or dry_run:
            raise UsageError(
                "--in-place cannot be combined with --name or --dry-run.",
                hint="To see due times: hammerwork cron check CRON",
            )
        job = recurring.create(database, new, now)
        context.note(views.meaning_text(job, schedules.coming(job, SHOWN_DATES, now)))
        context.answer(views.changed_record(job), form, lambda: [job.id])
        return
    if name is None:
        new = replace(new, name=changes.free_name(database, new))
    if dry_run:
        changes.check(database, new, now)
        schedule = changes.preview(new, now)
    else:
        schedule = changes.add(database, new, Author(context.operator), now)
    if name is None and new.name != new.queue:
        context.note(
            f"There is a schedule {visible(new.queue)} already; this creates another one, {visible(new.name)}."
            " To change a schedule instead: hammerwork cron update"
        )
    note_meaning(context, database, schedule, now)
    context.answer(views.changed_record(schedule), form, lambda: [visible(schedule.name)])
    if dry_run:
        context.note(f"Would create the schedule {visible(schedule.name)}.")


def update(
    context: Context,
    name: ScheduleArgument,
    options: ScheduleOptions,
    no_encrypt: NoEncryptOption = False,
    dry_run: ShowOnlyOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Options that you omit do not change.

    \b
    Examples:
      hammerwork cron update report --schedule '0 4 * * *'
      hammerwork cron update report --timezone Europe/Oslo --overlap skip-tree
      hammerwork cron update report --ends none
    """
    given, text = options
    if all(value is None for value in given.values()):
        raise UsageError("No change was given.", hint="See: hammerwork cron update --help")
    database = context.database(changes=True, plaintext_meant=no_encrypt)
    now, before = context.now(database), schedules.find(database, name)
    after = changes.change(
        database,
        before,
        lambda known: read_schedule(given, known, payload=text),
        Author(context.operator),
        now,
        dry_run=dry_run,
    )
    note_meaning(context, database, after, now)
    context.answer(views.changed_record(after), form, lambda: views.changes_text(before, after))
