"""Signatures of requests, and what is wrong with one."""

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.runtime.delivery.webhooks.secrets import key_of

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
ORIGINAL = "X-Hammerwork-Signature"
TOLERANCE = timedelta(minutes=5)
"""How old a request may be, and how far in the future: the libraries of Standard Webhooks have the same."""
_ID = re.compile(r"[!-~]{1,200}")
_LINE = re.compile(r"(?:[<>*] ?)?([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")


def standard(secrets: Iterable[str], delivery_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Returns the headers of Standard Webhooks, with a signature by each secret.

    Without a secret the request is not signed, but a receiver still tells repeats by the id.

    Raises:
        UsageError: a secret begins with ``whsec_``, but is not base64.
    """
    if not _ID.fullmatch(delivery_id):
        raise ValueError("the id of a delivery is printable ASCII without spaces")
    seconds = str(int(at.timestamp()))
    signatures = [f"v1,{_standard(key_of(secret), delivery_id, seconds, body)}" for secret in secrets]
    headers = {ID: delivery_id, TIMESTAMP: seconds}
    return {**headers, SIGNATURE: " ".join(signatures)} if signatures else headers


def original(secret: str, body: bytes) -> dict[str, str]:
    """Returns the header of hammerwork (Rust): its key is the text of the secret, whatever that begins with."""
    return {ORIGINAL: f"sha256={_original(secret, body)}"}


def _standard(key: bytes, delivery_id: str, seconds: str, body: bytes) -> str:
    signed = b".".join((delivery_id.encode(), seconds.encode(), body))
    return b64encode(hmac.digest(key, signed, "sha256")).decode()


def _original(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


# For authors of receivers.


def verify(
    headers: Mapping[str, str], body: bytes, secret: str, now: datetime, tolerance: timedelta = TOLERANCE
) -> None:
    """Checks the signature and the age of a request.

    Args:
        headers: as the receiver got them, in any letter case.
        secret: ``whsec_...`` or another text.

    Raises:
        AnswerIsNoError: says what is wrong.
        UsageError: the secret begins with ``whsec_``, but is not base64.
    """
    given = {name.lower(): value.strip() for name, value in headers.items()}
    if SIGNATURE in given:
        _verify_standard(given, body, secret, now, tolerance)
    elif ORIGINAL.lower() in given:
        _verify_original(given[ORIGINAL.lower()], body, secret)
    else:
        raise AnswerIsNoError(
            f"The request is not signed: it has neither {SIGNATURE} nor {ORIGINAL}.",
            hint="Give all headers that the receiver got, and the webhook a secret.",
        )


def _verify_standard(headers: Mapping[str, str], body: bytes, secret: str, now: datetime, tolerance: timedelta) -> None:
    for name in (ID, TIMESTAMP):
        if not headers.get(name):
            raise AnswerIsNoError(f"The header {name} is missing: it is signed, too.")
    seconds = headers[TIMESTAMP]
    if not re.fullmatch(r"[0-9]{1,11}", seconds, re.ASCII):
        raise AnswerIsNoError(f"{TIMESTAMP} is not a number of seconds since 1970: {seconds!r:.40}.")
    versions = [signature.partition(",") for signature in headers[SIGNATURE].split()]
    found = [value.encode() for version, _, value in versions if version == "v1"]
    if not found:
        raise AnswerIsNoError(f"{SIGNATURE} has no signature of version v1.")
    key = key_of(secret)

    def fits(content: bytes) -> bool:
        wanted = _standard(key, headers[ID], seconds, content).encode()
        return any(hmac.compare_digest(wanted, one) for one in found)

    _check_fit(fits, body)
    age = now.timestamp() - int(seconds)
    if abs(age) > tolerance.total_seconds():
        when = f"{age:,.0f} s old" if age > 0 else f"{-age:,.0f} s in the future"
        raise AnswerIsNoError(
            f"The signature is right, but the request is {when}.",
            hint=f"Receivers refuse more than {tolerance.total_seconds():g} s, so that nobody can send it again.",
        )


def _verify_original(signature: str, body: bytes, secret: str) -> None:
    if not signature.startswith("sha256="):
        raise AnswerIsNoError(f"{ORIGINAL} does not begin with sha256=.")
    found = signature.removeprefix("sha256=").lower().encode()
    _check_fit(lambda content: hmac.compare_digest(_original(secret, content).encode(), found), body)


def _check_fit(fits: Any, body: bytes) -> None:
    if fits(body):
        return
    if body.endswith(b"\n") and fits(body.rstrip(b"\r\n")):
        raise AnswerIsNoError("The signature matches the body without the line break at its end.")
    raise AnswerIsNoError(
        "The signature does not match this body, id, timestamp or secret.",
        hint="Verify the bytes as they came: JSON that was parsed and written again has other bytes.",
    )


def headers_of(text: str) -> dict[str, str]:
    """Reads headers: a JSON object, or lines such as ``Name: value``, with the ``>`` of curl before them or not."""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return found
    else:
        lines = [line for line in text.splitlines() if line.strip(" \t<>*")]
        if lines and re.match(r"(?:[<>*] ?)?[A-Z]+ \S+ HTTP/", lines[0]):
            del lines[0]
        matches = [_LINE.fullmatch(line.strip()) for line in lines]
        if matches and all(matches):
            return {match[1]: match[2] for match in matches if match}
    raise UsageError(
        "The headers cannot be read.", hint="Write a line each, such as webhook-id: ..., or a JSON object."
    )
