"""Batches: what became of jobs that were enqueued together."""
