"""The output of ``spawn doctor``."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.spawn.models.doctor import Damage, Finding, FoundJob
from hammerwork_cli.features.tree.views.json import NAMED
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import cells, count, instant, plural, short_id, shorten, visible


class _Words(NamedTuple):
    title: str
    what: str
    remedy: str
    """The effect of ``--fix``, or advice for a person."""
    detail: str | None = None
    """The wording of an example's detail, with ``{}`` for the detail."""
    done: str | None = None
    """The outcome of ``--fix``, where it is not the same as the remedy."""

    @property
    def outcome(self) -> str:
        return self.remedy if self.done is None else self.done


WORDS = {
    Damage.MISSPELT_STATUS: _Words(
        "{jobs} with a misspelt status",
        "{Their} status is in lower case or in quotes. On PostgreSQL and SQLite, no worker claims {them}; on MySQL and "
        "MariaDB, a Rust worker claims {them} and leaves {them} Running.",
        "corrects the spelling",
        done="corrected",
    ),
    Damage.NULL_LISTS: _Words(
        "{jobs} with NULL lists",
        "{Their} lists of parents are NULL, which Rust workers cannot read.",
        "writes empty lists",
        done="empty lists written",
    ),
    Damage.BARRED: _Words(
        "{jobs} with an invalid dependency status",
        "{They} {are} Pending with a dependency status that no worker accepts.",
        "lets {them} wait for {their} dependencies, or run if {they} {have} none",
        "dependency status {}",
        done="{they} {wait} for {their} dependencies, or {run} if {they} {have} none",
    ),
    Damage.LOST: _Words(
        "lost {jobs}",
        "{They} {have} been Running for too long, or {their} lease is over: {their} worker is gone.",
        "set to Retrying (the lost attempt still counts)",
        "since {} UTC",
    ),
    Damage.LOST_LAST_ATTEMPT: _Words(
        "lost {jobs} on {their} last attempt",
        "{They} {have} been Running for too long, or {their} lease is over, on {their} last attempt.",
        "set to Dead; recurring ones become due at their next occurrence",
        "since {} UTC",
    ),
    Damage.PUT_OFF: _Words(
        "{jobs} postponed by a wrong clock",
        "{They} {wait} for a time in the future that comes from a clock that was ahead.",
        "lets {them} wait that long from now on",
        "until {} UTC",
        done="corrected",
    ),
    Damage.NOT_RELEASED: _Words(
        "{jobs} left waiting though nothing blocks {them}",
        "{They} still {wait} although all {their} dependencies have completed.",
        "releases {them} to run",
        done="released",
    ),
    Damage.NOT_RELEASED_AFTER_FAILURE: _Words(
        "{jobs} left waiting though {their} workflow continues",
        "{They} still {wait} although all {their} dependencies have ended and {their} workflow continues after"
        " failures.",
        "releases {them} to run",
        "{} failed",
        done="released",
    ),
    Damage.PARENT_FAILED: _Words(
        "{jobs} waiting for a failed job",
        "{They} {wait} for a job that failed. Unless the policy of a workflow says otherwise, {they} {fail} with it.",
        "set to Failed; to run {them}, retry {their} dependencies first",
        "{} failed",
    ),
    Damage.PARENT_FAILED_MANUAL: _Words(
        "{jobs} waiting for your decision after a failure",
        "{They} {wait} for a job that failed; {their} workflow leaves the decision to you.",
        "Retry {their} dependencies (hammerwork job retry) or cancel {them} (hammerwork job cancel).",
        "{} failed",
    ),
    Damage.PARENT_MISSING: _Words(
        "{jobs} waiting for a missing job",
        "{They} {wait} for a job that does not exist.",
        "Cancel {them} (hammerwork job cancel) and enqueue {them} again without that dependency.",
        "{} is missing",
    ),
    Damage.CYCLE: _Words(
        "{jobs} waiting in a cycle",
        "They wait for each other in a cycle.",
        "Cancel one of them (hammerwork job cancel) and enqueue it again without the dependency.",
        "waits for {}",
    ),
    Damage.UNKNOWN_STATUS: _Words(
        "{jobs} with an unknown status",
        "{Their} status is unknown.",
        "Inspect one (hammerwork job show ID) and find the program that writes this status.",
    ),
    Damage.UNFINISHED_TABLES: _Words(
        "{jobs} blocked by unfinished tables",
        "{They} {are} Pending, but Rust workers claim nothing until the tables are finished.",
        "Run: hammerwork migration run",
    ),
    Damage.CRON_STOPPED: _Words(
        "recurring {jobs} that ended",
        "{They} {have} ended; nothing schedules {them} again.",
        "Retry {them} (hammerwork job retry ID --force). Enqueue those with an unreadable schedule again.",
        "schedule {}",
    ),
    Damage.RAN_EARLY: _Words(
        "{jobs} that ran too early",
        "{They} ran before {their} dependencies had completed.",
        "If the order matters, retry {them} now: hammerwork job retry ID --force",
        "before {}",
    ),
    Damage.NEVER_SPAWNED: _Words(
        "{jobs} that never spawned",
        "{They} completed without spawning, although {they} {have} a spawn configuration.",
        "If {they} should have: hammerwork spawn again ID",
        "{}",
    ),
    Damage.GONE_BUT_RECORDED: _Words(
        "deleted {jobs} with records left",
        "Another program deleted {them}; the records of {their} spawns remain.",
        "removes these records",
        done="records removed",
    ),
    Damage.GROWING: _Words(
        "{jobs} whose trees may grow without an end",
        "A handler repeats itself below {them}, and each of its jobs spawns several.",
        "If that is not meant, stop {them}.",
        "{}",
    ),
}


def _is_instant(kind: Damage) -> bool:
    return kind in {Damage.LOST, Damage.LOST_LAST_ATTEMPT, Damage.PUT_OFF}


class _Example(NamedTuple):
    kind: Damage
    job: FoundJob

    @property
    def detail(self) -> object:
        return rfc3339(self.job.detail) if _is_instant(self.kind) else self.job.detail


def _advice(finding: Finding) -> str:
    remedy = _said(WORDS[finding.kind].remedy)
    return f"--fix {remedy}" if finding.fixable else remedy


_EXAMPLE = Shape[_Example](
    {
        **NAMED.within("job"),
        "queue": key.null_or(key.text("Null if the job is gone")).of("job.queue"),
        "detail": key.null_or(key.text()),
    }
)
FINDING = Shape[Finding](
    {
        "kind": key.text("The kind of damage").of("kind.value"),
        "jobs": key.count(),
        "severity": key.text("", "damage", "note").of(lambda finding: "note" if finding.is_note else "damage"),
        "mendable": key.flag("Whether --fix repairs it").of("fixable"),
        "mended": key.count().of("fixed"),
        "left": key.count(),
        "what": key.text().of(lambda finding: _said(WORDS[finding.kind].what)),
        "remedy": key.step().of(_advice),
        "examples": key.list_of(_EXAMPLE, "The oldest; status as the row spells it").of(
            lambda finding: [_Example(finding.kind, job) for job in finding.examples]
        ),
    }
)


def findings_text(
    findings: Sequence[Finding], remedy: str, *, width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Yields a paragraph for each kind of damage with its remedy, then ``remedy``: the command to type."""
    fixing = "--fix" if "--fix" in remedy else "Fix:"
    for number, finding in enumerate(findings):
        if number:
            yield ""
        words = WORDS[finding.kind]
        shade = "yellow" if finding.fixable else "bold"
        yield paint(f"{'Note: ' * finding.is_note}{_title(finding, finding.jobs)}", shade, colour)
        yield f"  {_said(words.what, finding.jobs)}"
        yield from (shorten(f"    {line}", width) for line in _examples(finding, words))
        yield f"  {f'{fixing} {_said(words.remedy, finding.jobs)}.' if finding.fixable else _remedy(finding)}"
    fixable = sum(finding.jobs for finding in findings if finding.fixable)
    if fixable:
        yield ""
        yield f"Fix {plural(fixable, 'job')} with: {visible(remedy)}"


def fixed_text(findings: Sequence[Finding], *, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Yields the kinds of damage that were fixed, then those that are left."""
    for finding in findings:
        if finding.fixed:
            line = f"Fixed {_title(finding, finding.fixed)}: {_said(WORDS[finding.kind].outcome, finding.fixed)}"
            yield paint(line, "green", colour)
    left = [finding for finding in findings if finding.left]
    if left and len(left) < len(findings):
        yield ""
    for finding in left:
        words = WORDS[finding.kind]
        yield paint(f"{'Note:' if finding.is_note else 'Left'} {_title(finding, finding.left)}", "bold", colour)
        yield from (shorten(f"    {line}", width) for line in _examples(finding, words))
        what = _said(words.what, finding.left)
        yield f"  {f'{what} Run this again.' if finding.fixable else _remedy(finding)}"


def plan_text(findings: Sequence[Finding]) -> Iterator[str]:
    """Yields the changes that ``--fix`` is about to make."""
    for finding in findings:
        if finding.fixable:
            yield f"  {_title(finding, finding.jobs)}: {_said(WORDS[finding.kind].remedy, finding.jobs)}"


def _remedy(finding: Finding) -> str:
    """The advice, with the id of the first job."""
    first = short_id(finding.examples[0].id) if finding.examples else "ID"
    return re.sub(r"\bID\b", first, _said(WORDS[finding.kind].remedy, finding.jobs))


def _title(finding: Finding, jobs: int) -> str:
    return f"{count(jobs)} {_said(WORDS[finding.kind].title, jobs)}"


def _said(text: str, jobs: int = 2) -> str:
    """A text about one job or several."""
    forms = _ONE if jobs == 1 else dict.fromkeys(_ONE)
    return text.format(**{word: form or word for word, form in forms.items()})


_ONE = {"jobs": "job", "They": "It", "they": "it", "them": "it", "Their": "Its", "their": "its"}
_ONE |= {"are": "is", "have": "has", "wait": "waits", "fail": "fails", "run": "runs"}
"""Word about several jobs -> the same about one."""


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
