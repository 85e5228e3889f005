"""Runs jobs: the names that authors of handlers import, and the worker."""
