"""When something recurs: the schedules of recurring jobs, and those that make jobs."""

from hammerwork_cli.models.cron.rust import next_run, parse

__all__ = ["next_run", "parse"]
