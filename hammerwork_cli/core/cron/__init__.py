"""Schedules: cron expressions, intervals, and the runs that follow from them."""

from hammerwork_cli.core.cron.rust import next_run, parse

__all__ = ["next_run", "parse"]
