"""Tests of handlers: an attempt without a database, or a database whose time the test moves."""

from hammerwork_cli.testing.attempt import Outcome, run
from hammerwork_cli.testing.databases import clear
from hammerwork_cli.testing.jobs import DrainReport, Jobs

__all__ = ["DrainReport", "Jobs", "Outcome", "clear", "run"]
