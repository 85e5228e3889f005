"""Handlers to read, to run and to begin with: one application a file."""
