"""Hammerwork: database-backed job queues whose jobs spawn jobs."""

__version__ = "0.1.0"
