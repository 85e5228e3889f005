"""Limits of the values in the tables."""

LONGEST_NAME = 255
"""Characters of a name: of a queue, worker, host, spawn handler or operation, and of the key of an early child."""
LONGEST_ARCHIVER = 100
"""Characters of ``archived_by`` in MySQL."""
LONGEST_ERROR = 4_000
"""Bytes of an error in the history. A job itself keeps the whole error of its last attempt."""
LONGEST_TRACE = 128
"""Characters of a trace id, correlation id or parent span id."""
MOST_PARENTS = 1000
"""Dependencies of a job. The CHECK of PostgreSQL does not allow more, and other databases keep to the same number."""
LARGEST_INTEGER = 2**31 - 1
"""The largest number in an integer column."""
LARGEST_BIGINT = 2**63 - 1
"""The largest number in a bigint column."""
