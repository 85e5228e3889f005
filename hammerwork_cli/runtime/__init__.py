"""Running jobs: what a handler's author writes, and the worker that runs it."""
