"""The trace of a job: four columns, of which hammerwork (Rust) writes three ids and a text of its own."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TypedDict

KEPT = ("traceparent", "tracestate", "baggage")
"""What is stored of a carrier, which may be all headers of a request: those of W3C Trace Context and W3C Baggage."""
_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_FLAGS_OF_RUST = re.compile(r"trace_flags=TraceFlags\((\d{1,3})\)")

carrier_of_present_span: Callable[[], Mapping[str, str]] | None = None
"""Set by an integration: the carrier for jobs that are enqueued now."""


class TraceColumns(TypedDict, total=False):
    """The columns of a trace, without the one for the correlation of jobs."""

    trace_id: str
    parent_span_id: str
    span_context: str


def columns(carrier: Mapping[str, str]) -> TraceColumns:
    """The columns of a carrier; none if it has no valid ``traceparent``, which others may have sent."""
    lower = {str(name).lower(): value for name, value in carrier.items()}
    kept = {name: lower[name] for name in KEPT if isinstance(lower.get(name), str)}
    found = _PARENT.fullmatch(kept.get("traceparent", ""))
    if found is None:
        return {}
    return {"trace_id": found[1], "parent_span_id": found[2], "span_context": json.dumps(kept)}


def carrier(trace_id: str | None, parent_span_id: str | None, span_context: str | None) -> dict[str, str]:
    """The carrier of stored columns; empty if they name no span."""
    try:
        stored = json.loads(span_context or "")
    except (ValueError, RecursionError):
        stored = None
    kept = (
        {name: stored[name] for name in KEPT if isinstance(stored.get(name), str)} if isinstance(stored, dict) else {}
    )
    found = _PARENT.fullmatch(kept.get("traceparent", ""))
    if found is not None and (found[1], found[2]) == (trace_id, parent_span_id):
        return kept
    flags = _FLAGS_OF_RUST.search(span_context or "")
    parent = f"00-{trace_id}-{parent_span_id}-{int(flags[1]) & 255 if flags else 1:02x}"
    return {"traceparent": parent} if _PARENT.fullmatch(parent) else {}
