"""Integrations with other libraries, each with an extra: ``hammerwork-cli[opentelemetry]``, ``[sentry]``."""
