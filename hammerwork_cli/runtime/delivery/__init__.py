"""Sends events to receivers of webhooks and to the backends of streams; knows no database."""
