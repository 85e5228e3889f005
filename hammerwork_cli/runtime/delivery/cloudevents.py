"""Events as CloudEvents 1.0, of webhooks and streams."""

from collections.abc import Mapping
from typing import Any

CONTENT_TYPE = "application/cloudevents+json"
"""Of an event in structured mode: all of it in one JSON object."""
_SOURCE = "/hammerwork"


def cloud_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an event, as ``Event.record()`` makes it, in structured mode.

    Source and id name the event, and the subject is the id of the job, tree, batch or workflow that it is about.
    """
    made = {
        "specversion": "1.0",
        "id": record["id"],
        "source": _SOURCE,
        "type": f"hammerwork.{record['type']}",
        "time": record["timestamp"],
    }
    subject = record["data"].get("id")
    if isinstance(subject, str) and subject:  # an empty one is not allowed
        made["subject"] = subject
    return {**made, "datacontenttype": "application/json", "data": record["data"]}
