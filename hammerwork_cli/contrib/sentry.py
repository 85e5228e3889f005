"""Reports errors of handlers to Sentry."""

from hammerwork_cli import app_path
from hammerwork_cli.contrib import extras
from hammerwork_cli.runtime.api.handlers import Handlers

__all__ = ["instrument"]


def instrument(app: Handlers) -> None:
    """Reports each error of a job's handler, with the tags ``queue``, ``job_id`` and ``attempt``.

    :class:`Retry`, :class:`Snooze`, :class:`Discard` and :class:`Cancel` are not reported. A line of the log about an
    error that is reported is not another event of Sentry; that about a timeout or an error of a spawn handler is one.

    Args:
        app: the application, whose module or lifespan calls ``sentry_sdk.init``.

    Raises:
        ConfigError: Sentry's SDK is not installed.
    """
    with extras.needed("sentry"), app_path.without():
        from hammerwork_cli.contrib import reports
    reports.instrument(app)
