"""The parameters that name a job."""

from dataclasses import replace
from functools import partial

from hammerwork_cli.core.input.reading import BEGINNING_PATTERN
from hammerwork_cli.errors import LIST_ARCHIVED
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.web.endpoints.parameters import Parameter

JOB = Parameter(
    "id",
    {"type": "string", "pattern": f"^{BEGINNING_PATTERN}$"},
    "A job's id, or at least its first 4 hex digits.",
    in_path=True,
    is_a="a job id",
    resolve=listing.resolve,
)
ARCHIVED_JOB = replace(JOB, resolve=partial(listing.resolve, hint=LIST_ARCHIVED))
