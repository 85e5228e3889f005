"""Workflows: jobs that share an id and a failure policy."""
