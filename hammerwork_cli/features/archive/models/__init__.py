"""The archive: jobs on their way into it and out of it, and what lists say of it."""
