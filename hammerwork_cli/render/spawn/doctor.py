"""What ``spawn doctor`` shows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.doctor import Damage, Finding, FoundJob
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import cells, count, instant, plural, short_id, shorten, visible

FINDING_KEYS = ("kind", "jobs", "severity", "mendable", "mended", "left", "what", "remedy", "examples")
"""Keys of :func:`finding_record`, and columns of csv and tsv."""


@dataclass(frozen=True, slots=True)
class _Words:
    what: str
    remedy: str
    """What ``--fix`` does, or what a person can do."""
    detail: str | None = None
    """How an example's detail reads, with ``{}`` for it."""


WORDS = {
    Damage.MISSPELT_STATUS: _Words(
        "Their status is in lower case or in quotes: no worker takes and ends them.",
        "writes the proper word",
    ),
    Damage.NULL_LISTS: _Words("Their lists of parents are NULL, which the original cannot read.", "writes empty lists"),
    Damage.BARRED: _Words(
        "They are Pending, with a dependency status that no worker accepts.",
        "lets them wait for what they depend on, or run when that is nothing",
        "dependency status {}",
    ),
    Damage.LOST: _Words(
        "They have been Running for longer than --older-than: their worker is gone.",
        "makes them Pending again; the attempt stays counted",
        "since {} UTC",
    ),
    Damage.LOST_LAST_ATTEMPT: _Words(
        "They have been Running for longer than --older-than, on their last attempt.",
        "makes them Dead; those that recur are due again at their next run",
        "since {} UTC",
    ),
    Damage.NOT_RELEASED: _Words(
        "They wait, although everything they depend on has completed.",
        "releases them, so that they run",
    ),
    Damage.NOT_RELEASED_AFTER_FAILURE: _Words(
        "They wait, although all they depend on has ended and their workflow goes on.",
        "releases them, so that they run",
        "{} failed",
    ),
    Damage.PARENT_FAILED: _Words(
        "They wait for a job that failed; without a policy to go on, they fail with it.",
        "makes them Failed; to run them, first retry what they depend on",
        "{} failed",
    ),
    Damage.PARENT_FAILED_MANUAL: _Words(
        "They wait for a job that failed, and their workflow leaves the decision to you.",
        "hammerwork job retry the jobs they depend on, or hammerwork job cancel them.",
        "{} failed",
    ),
    Damage.PARENT_MISSING: _Words(
        "They wait for a job that does not exist.",
        "hammerwork job cancel them, and enqueue them anew without that dependency.",
        "{} is missing",
    ),
    Damage.CYCLE: _Words(
        "They wait for each other in a circle.",
        "hammerwork job cancel one of them, and enqueue it anew without the dependency.",
        "waits for {}",
    ),
    Damage.UNKNOWN_STATUS: _Words(
        "Their status is a word that nobody knows.", "Look at them (hammerwork job show ID) and find out who writes it."
    ),
    Damage.UNFINISHED_TABLES: _Words(
        "They are Pending in unfinished tables, from which the original takes nothing.",
        "Run: hammerwork migration run",
    ),
    Damage.CRON_STOPPED: _Words(
        "They recur, and have ended: nothing schedules them again.",
        "Retry them: hammerwork job retry ID --force. Enqueue those anew whose schedule cannot be read.",
        "schedule {}",
    ),
    Damage.RAN_EARLY: _Words(
        "They were taken before what they depend on had completed.",
        "If it matters, when that has completed: hammerwork job retry ID --force",
        "before {}",
    ),
    Damage.NEVER_SPAWNED: _Words(
        "They completed and spawned nothing, though they carry a spawn configuration.",
        "If they should have: hammerwork spawn again ID",
        "{}",
    ),
    Damage.GONE_BUT_RECORDED: _Words(
        "They were deleted by another program; what workers recorded of their spawning is still there.",
        "removes what was recorded of them",
    ),
}


def finding_record(finding: Finding) -> Record:
    """A kind of damage.

    Keys: ``kind``, ``jobs`` (how many were found), ``severity`` (``damage``, or ``note`` for what has happened and
    holds no job), ``mendable`` (whether ``--fix`` fixes it), ``mended`` and ``left`` (how many were fixed, and how
    many there are now), ``what``, ``remedy``, and ``examples``: the oldest jobs with ``id``, ``queue``, ``status``
    as the row spells it, and ``detail`` (a parent's id, an instant, a schedule; or null).
    """
    words = WORDS[finding.kind]
    return {
        "kind": finding.kind.value,
        "jobs": finding.jobs,
        "severity": "note" if finding.is_note else "damage",
        "mendable": finding.fixable,
        "mended": finding.fixed,
        "left": finding.left,
        "what": words.what,
        "remedy": f"--fix {words.remedy}" if finding.fixable else words.remedy,
        "examples": [_example_record(finding.kind, example) for example in finding.examples],
    }


def _is_instant(kind: Damage) -> bool:
    return kind in {Damage.LOST, Damage.LOST_LAST_ATTEMPT}


def _example_record(kind: Damage, example: FoundJob) -> Record:
    detail = rfc3339(example.detail) if _is_instant(kind) else example.detail
    return {"id": example.id, "queue": example.queue, "status": example.status, "detail": detail}


def findings_text(
    findings: Sequence[Finding], remedy: str, *, width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Lines: a paragraph for each kind of damage, what mends it, and ``remedy``: what to type."""
    for number, finding in enumerate(findings):
        if number:
            yield ""
        words = WORDS[finding.kind]
        shade = "yellow" if finding.fixable else "bold"
        yield paint(f"{'Note: ' * finding.is_note}{_title(finding, finding.jobs)}", shade, colour)
        yield f"  {words.what}"
        yield from (shorten(f"    {line}", width) for line in _examples(finding, words))
        yield f"  {f'--fix {words.remedy}.' if finding.fixable else _remedy(finding)}"
    fixable = sum(finding.jobs for finding in findings if finding.fixable)
    if fixable:
        yield ""
        yield f"Mend {plural(fixable, 'job')} with: {visible(remedy)}"


def mended_text(findings: Sequence[Finding], *, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Lines: what was mended, and what is left."""
    for finding in findings:
        if finding.fixed:
            line = f"Mended {_title(finding, finding.fixed)}: {WORDS[finding.kind].remedy}"
            yield paint(line, "green", colour)
    left = [finding for finding in findings if finding.left]
    if left and len(left) < len(findings):
        yield ""
    for finding in left:
        words = WORDS[finding.kind]
        yield paint(f"{'Note:' if finding.is_note else 'Left'} {_title(finding, finding.left)}", "bold", colour)
        yield from (shorten(f"    {line}", width) for line in _examples(finding, words))
        yield f"  {f'{words.what} Run this again.' if finding.fixable else _remedy(finding)}"


def plan_text(findings: Sequence[Finding]) -> Iterator[str]:
    """Lines: what ``--fix`` is about to do."""
    for finding in findings:
        if finding.fixable:
            kind = finding.kind.value.replace("_", " ")
            yield f"  {count(finding.jobs)} {kind}: {WORDS[finding.kind].remedy}"


def _remedy(finding: Finding) -> str:
    """What helps, with the id of the first of them."""
    first = short_id(finding.examples[0].id) if finding.examples else "ID"
    return re.sub(r"\bID\b", first, WORDS[finding.kind].remedy)


def _title(finding: Finding, jobs: int) -> str:
    return f"{plural(jobs, 'job')}: {finding.kind.value.replace('_', ' ')}"


def _examples(finding: Finding, words: _Words) -> Iterator[str]:
    queues = [shorten(visible(example.queue or "-"), 24) for example in finding.examples]
    longest = max(map(cells, queues), default=0)
    for example, queue in zip(finding.examples, queues, strict=True):
        detail = _detail(finding.kind, words, example)
        padding = " " * (longest - cells(queue))
        yield f"{short_id(example.id)}  {queue}{padding}  {visible(example.status)}{detail}"
    if finding.jobs > len(finding.examples) > 0:
        yield f"… {count(finding.jobs - len(finding.examples))} more"


def _detail(kind: Damage, words: _Words, example: FoundJob) -> str:
    if words.detail is None or example.detail is None:
        return ""
    if _is_instant(kind) or isinstance(example.detail, datetime):
        return f"  {words.detail.format(instant(example.detail))}"
    text = short_id(example.detail) if len(example.detail) == 36 else visible(example.detail)
    return f"  {words.detail.format(text)}"
