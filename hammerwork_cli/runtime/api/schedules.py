"""Schedules that an application declares."""

import json
from datetime import datetime, timedelta
from typing import Literal, TypedDict

from hammerwork_cli.features.cron.model import NewSchedule
from hammerwork_cli.features.cron.options import STORED, read_schedule
from hammerwork_cli.runtime.api.callbacks import plain, refuse_fields
from hammerwork_cli.runtime.api.job import Job

_OF_A_ROW = {"id", "created", "result"}
"""Fields of a job that a schedule does not take over."""


class ScheduleOptions(TypedDict, total=False):
    """Options of a schedule.

    Attributes:
        timezone: an IANA name; UTC by default.
        overlap: what to do while the last job is open.
        catch_up: what to do about due times that no worker was there for.
        grace: how late a run may be with ``catch_up="none"``; 60 seconds by default.
        jitter: the longest delay of its jobs.
        starts: the first due time is not earlier; an interval counts from it.
        ends: the last due time is not later.
        description: for people.
        enabled: whether workers enqueue its jobs.
    """

    timezone: str
    overlap: Literal["skip", "skip-tree", "allow"]
    catch_up: Literal["last", "none", "all"]
    grace: timedelta
    jitter: timedelta
    starts: datetime
    ends: datetime
    description: str
    enabled: bool


def new_schedule(name: str, schedule: str | timedelta, job: Job, options: ScheduleOptions) -> NewSchedule:
    """Reads what an application says of a schedule.

    Args:
        schedule: as the command line has it, or an interval.
        job: its queue, payload, priority, attempts and timeout are those of each run's job.

    Raises:
        UsageError: something is not valid, or the job has what the jobs of a schedule cannot have.
    """
    job._check()
    refuse_fields(job, f"The jobs of the schedule {name!r:.80}", but={*STORED, "spawn_config", *_OF_A_ROW})
    given = {option: _plain(value) for option, value in options.items()}
    given |= {("every" if isinstance(schedule, timedelta) else "schedule"): _plain(schedule)}
    given |= {option: plain(getattr(job, option)) for option in STORED}
    text = "{}" if job.payload is job.spawn_config is None else job._payload_text()  # an object can name a due time
    return read_schedule({**given, "name": name, "payload": json.loads(text)}, payload=text)


def _plain(value: object) -> object:
    return f"{value.total_seconds()}s" if isinstance(value, timedelta) else value
