"""Brings schedules to what a file or an application declares, and leaves alone what somebody changed by hand.

What a source says is remembered with the schedule. An option that the source says otherwise than last time goes to the
database; every other option stays as it is there.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.cron.model import (
    OPTIONS,
    DeclarationAction,
    DeclarationStep,
    Declared,
    Difference,
    NewSchedule,
    Schedule,
    options_of,
)
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.cron.queries.schedules import all_schedules


def plan(
    database: Database, declared: Declared, now: datetime, *, prune: bool = False, overwrite: bool = False
) -> list[DeclarationStep]:
    """Compares what a source declares with the database, and changes nothing.

    Args:
        declared: all schedules of a source. It takes those over that have another source.
        prune: whether schedules of the source go that it declares no longer.
        overwrite: whether changes by hand are undone.
    """
    present = {schedule.name: schedule for schedule in all_schedules(database)}
    said = {str(schedule): text for schedule, text in database.rows("cron.schedules.declarations")}
    steps = []
    for one in declared.schedules:
        new, before = replace(one, source=declared.source), present.get(one.name)
        if _is_over(new.ends_at, now) and (before is None or _is_over(before.ends_at, now)):
            continue
        try:
            last = _last(before, said, declared.source, overwrite=overwrite) if before else {}
            step = _step(new, before, last)
            _try(database, step, now)
        except HammerworkError as error:
            raise type(error)(f"{one.name!r:.80}: {error.message}", hint=error.hint) from error
        steps.append(step)
    if prune:
        steps += [
            DeclarationStep(DeclarationAction.REMOVE, one.name, one, None)
            for one in _undeclared(present.values(), declared)
        ]
    return steps


def undeclared(database: Database, declared: Declared) -> list[Schedule]:
    """The schedules of a source that it declares no longer."""
    return _undeclared(all_schedules(database, source=declared.source), declared)


def _undeclared(present: Iterable[Schedule], declared: Declared) -> list[Schedule]:
    names = {one.name for one in declared.schedules}
    return [one for one in present if one.source == declared.source and one.name not in names]


def _is_over(end: Timestamp, now: datetime) -> bool:
    at = timestamp(end)
    return at is not None and at <= now


def _try(database: Database, step: DeclarationStep, now: datetime) -> None:
    """Raises what carrying out a step would raise."""
    after = step.after
    if step.before is None:
        assert after is not None  # it is to be created
        changes.check(database, after, now)
        changes.preview(after, now)
    elif step.action is DeclarationAction.CHANGE and after is not None:
        changes.change(database, step.before, lambda _: after, Author(after.source), now, dry_run=True)


def _last(before: Schedule, said: dict[str, str], source: str, *, overwrite: bool) -> dict[str, object]:
    """What the source said last. A schedule that it takes over stays enabled or disabled."""
    if overwrite:
        return {}
    if before.source != source or before.id not in said:
        return {"enabled": True}
    try:
        found = json.loads(said[before.id])
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"enabled": True}


def _step(new: NewSchedule, before: Schedule | None, last: dict[str, object]) -> DeclarationStep:
    says = options_of(new)
    text = json.dumps(says, ensure_ascii=False)
    if before is None:
        return DeclarationStep(DeclarationAction.CREATE, new.name, None, new, text)
    old = NewSchedule.of(before)
    newly = [name for name in OPTIONS if name not in last or last[name] != says[name]]
    after = replace(old, source=new.source, **{name: getattr(new, name) for name in newly})
    has, will = options_of(old), options_of(after)
    changed = tuple(Difference(name, has[name], will[name]) for name in OPTIONS if has[name] != will[name])
    by_hand = tuple(Difference(name, says[name], will[name]) for name in OPTIONS if says[name] != will[name])
    same = not changed and last == says and before.source == new.source
    return DeclarationStep(
        DeclarationAction.CHANGE if changed or before.source != new.source else DeclarationAction.KEEP,
        new.name,
        before,
        after,
        None if same else text,
        changed,
        by_hand,
    )


def apply(database: Database, steps: Sequence[DeclarationStep], author: Author, now: datetime) -> None:
    """Carries a plan out, all of it or nothing. A change starts no run at once.

    Raises:
        ConflictError: somebody has changed one of the schedules meanwhile.
    """

    def work() -> None:
        for step in steps:
            _apply(database, step, author, now)

    if any(step.said is not None or step.action is not DeclarationAction.KEEP for step in steps):
        database.transaction(work)


def _apply(database: Database, step: DeclarationStep, author: Author, now: datetime) -> None:
    schedule, after = step.before, step.after
    if after is None:
        assert schedule is not None  # what is to be removed is there
        if not changes.delete(database, schedule, revision=schedule.revision):
            raise changes.changed_meanwhile(schedule)
        return
    if schedule is None:
        schedule = changes.add(database, after, author, now)
    elif step.action is DeclarationAction.CHANGE:
        if not schedule.enabled and not after.enabled:
            author = Author(schedule.changed_by or author.by, schedule.reason)  # of the one who disabled it
        schedule = changes.change(database, schedule, lambda _: after, author, now)
    if step.said is not None:
        database.run("cron.schedules.declare", id=schedule.id, declared=step.said)
