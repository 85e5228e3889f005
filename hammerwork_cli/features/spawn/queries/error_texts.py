"""Texts of errors, and patterns that group equal ones."""

import re
from collections.abc import Sequence

from hammerwork_cli.core.input.reading import UUID_PATTERN
from hammerwork_cli.database import Database
from hammerwork_cli.features.tree.model import TreeNode

_TRACEBACK = "Traceback (most recent call last)"
_VARYING = re.compile(
    rf"\b{UUID_PATTERN}\b"
    r"|(?P<site>\bhttps?://[^\s/?#'\"]+/)[^\s'\"]+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*"
    r"|\b(?:0x[0-9a-f]+|(?=[a-f]*\d)[0-9a-f]{8,})\b"
    r"|(?P<number>\d+(?:[.,:]\d+)*)"
    r"|(?<!\w)(?P<quote>['\"`])(?!https?://)(?P<text>[^'\"`]+)(?P=quote)(?!\w)",
    re.IGNORECASE,
)
"""Parts that may differ between occurrences of the same error: ids, numbers, quoted texts, addresses of mail, and what
follows the host in a URL.
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.-]{0,59}")
_BEFORE_NAME = re.compile(
    r"(?:KeyError:|NameError: name|\b(?:attribute|module named|import name|key|field|column|relation|table|argument"
    r"|type|parameter|keyword|function|method|property|index|constraint|header|variable|option|setting):?) $",
    re.IGNORECASE,
)
_BEFORE_CODE = re.compile(
    r"(?:\bHTTP/|\b(?:HTTP(?:/[\d.]+)?(?: error| status| code)*|status(?:[ _]code)?|error code|exit (?:status|code)"
    r"|errno|signal|SQLSTATE)[\s:=(\['\"#]{0,3})$",
    re.IGNORECASE,
)
_BEFORE_ANSWER = re.compile(
    r"\b(?:code|error|failed|returned|got|answered|response|replied|with)[\s:=(\['\"#]{0,3}$", re.IGNORECASE
)
_COUNTED = re.compile(r" ?(?:ms|s|times|rows|jobs|seconds|bytes|items)\b")
_PHRASE = re.compile(r" (?:Client |Server )?[A-Z][a-z]+|, message=")
_STATUS = re.compile("[1-5][0-9][0-9]")
_NEAR = 40
"""Characters before a part that say what it is."""


def pattern(error: str) -> str:
    """The headline of an error with ``*`` for what may differ between occurrences of the same error.

    Names in code and codes stay, since they say which error it is: ``KeyError: 'email'``, ``HTTP 503``. The filter of
    jobs by error understands the pattern: :class:`JobFilter`.
    """
    return _VARYING.sub(_star, headline(error))


def _star(found: re.Match[str]) -> str:
    if (found["text"] and _is_name(found)) or (found["number"] and _is_code(found)):
        return found[0]
    quote = found["quote"] or ""
    return f"{found['site'] or quote}*{quote}"


def _is_name(found: re.Match[str]) -> bool:
    text = found["text"]
    if _STATUS.match(text) and _PHRASE.match(text, 3):
        return True
    is_named = _BEFORE_NAME.search(_before(found)) or found.string.startswith(" object", found.end())
    return bool(is_named and _NAME.fullmatch(text))


def _is_code(found: re.Match[str]) -> bool:
    number, before = found["number"], _before(found)
    if len(number) <= 5 and _BEFORE_CODE.search(before):
        return True
    if not _STATUS.fullmatch(number) or before[-1:].isalnum():
        return False
    if _PHRASE.match(found.string, found.end()):
        return True
    return number[0] in "45" and bool(_BEFORE_ANSWER.search(before)) and not _COUNTED.match(found.string, found.end())


def _before(found: re.Match[str]) -> str:
    return found.string[max(0, found.start() - _NEAR) : found.start()]


def headline(error: str) -> str:
    """The line of an error that names it: the last one of a traceback, else the first."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1] if lines[0].startswith(_TRACEBACK) else lines[0]


def error_texts(database: Database, nodes: Sequence[TreeNode]) -> dict[str, str]:
    """Id -> error, for the jobs that have one; of a traceback only its end, which contains the headline."""
    errors = {node.id: node.error for node in nodes if node.error}
    cut = [job for job, error in errors.items() if error.startswith(_TRACEBACK)]
    for job, ending in database.rows_in("spawn.why.error_endings", cut):
        errors[job] = of_traceback(ending)
    return errors


def of_traceback(ending: str) -> str:
    """A traceback of which only the end was read."""
    return f"{_TRACEBACK}:\n{ending}"
