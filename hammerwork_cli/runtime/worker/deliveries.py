"""Delivers events to webhooks: a worker of its own, beside one that does upkeep.

Deliveries are jobs, but their receivers may hang: a worker of their own takes no slot from the application. It starts
once there is a webhook.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from hammerwork_cli.core.clock import latest
from hammerwork_cli.database import Database
from hammerwork_cli.features.cron.queries.schedules import upkeep_is_running
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import NOT_SENT, Webhook, answer_line
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.outcomes import Cancel, Discard, Retry, Snooze
from hammerwork_cli.runtime.api.spawn import SpawnContext
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.delivery.allowed import Allowed
from hammerwork_cli.runtime.delivery.webhooks.sending import DeliveryAnswer, send
from hammerwork_cli.runtime.delivery.webhooks.verdicts import Verdict, backoff, verdict
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS_OF_UPKEEP, WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, TurnThread
from hammerwork_cli.runtime.worker.upkeep.thread import LONGEST_PAUSE
from hammerwork_cli.view.text import duration, first_line, plural, visible

CONCURRENCY = 64
"""Deliveries that a worker makes at once; one receiver has a quarter of them at most, so three may hang."""
GRACE = 5.0
"""Seconds that deliveries have to finish when the worker stops."""
BLOCKED_PAUSE = timedelta(minutes=10)
"""Time after which a delivery looks again whether its webhook is enabled, and may use what it wants of the host."""
REFUSED_SECONDS = 60.0
"""For how long a worker claims no deliveries of a webhook that wants what it does not allow: others may."""
DUTY = "missed events"
BETWEEN_LOOKS = 10.0
"""Seconds between two such looks."""
log = logging.getLogger("hammerwork")


def unsent(database: Database, now: datetime) -> str | None:
    """Says what waits to be sent while no worker sends it; ``None`` if nothing does."""
    hooks = {one.id for some in events.readers(database).values() for one in some if one.kind == "webhook"}
    if not events.readers(database) or upkeep_is_running(database, now):
        return None
    deliveries = sum(number for webhook, number in webhooks.waiting(database).items() if webhook in hooks)
    sending = [visible(one.name) for one in streams.to_send(database)]
    of_streams = f"the {'stream' if len(sending) == 1 else 'streams'} {', '.join(sending)}"
    found = (
        f"{plural(deliveries, 'delivery', 'deliveries')} to webhooks" if deliveries else "",
        f"events for {of_streams}" if sending else "",
    )
    waits = "waits" if deliveries == 1 and not sending else "wait"
    return f"{' and '.join(filter(None, found))} {waits}" if any(found) else None


class Sibling(Protocol):
    """A worker that runs beside another one."""

    def run(self) -> Any: ...

    def stop(self, *, now: bool = False) -> None: ...


class MakeSibling(Protocol):
    """Makes a worker of the same database, which runs other handlers and does no upkeep."""

    def __call__(
        self,
        handlers: Handlers,
        *,
        concurrency: int,
        name: str,
        grace: float,
        left_webhooks: Callable[[], Sequence[str]],
    ) -> Sibling: ...


class Refusals:
    """The webhooks that want more of this host than it allows."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # id -> when a delivery is tried again

    def add(self, webhook: str) -> bool:
        """Notes one; returns whether it is new."""
        is_new = webhook not in self._until
        self._until[webhook] = time.monotonic() + REFUSED_SECONDS
        return is_new

    def present(self) -> list[str]:
        """Ids of those whose deliveries are left to other workers for now."""
        now = time.monotonic()
        return sorted(webhook for webhook, until in self._until.copy().items() if now < until)


def handlers(allowed: Allowed, clock: ServerClock, refused: Refusals) -> Handlers:
    """The handler of deliveries.

    Args:
        allowed: what webhooks may use of this host.
        clock: by which requests are signed. Receivers refuse a time that is minutes off, and a host may have it wrong.
        refused: gets the webhooks that want more.
    """
    found = Handlers()

    def handler(job: Job, context: SpawnContext) -> dict[str, Any]:
        return deliver(job, context, allowed, refused, clock.now())

    found.register_job(DELIVERIES, handler)
    return found


def deliver(job: Job, context: SpawnContext, allowed: Allowed, refused: Refusals, now: datetime) -> dict[str, Any]:
    """Makes a delivery.

    Args:
        allowed: what webhooks may use of this host.
        refused: the webhooks that want more, as the log says once.
        now: by the server's clock.
    """
    payload = job.payload
    webhook = context.queue._run(lambda database: webhooks.by_id(database, payload["webhook"]))
    if webhook is None or not webhook.enabled:  # somebody did not know it yet when they wrote the delivery
        context.queue._run(lambda database: webhooks.settle(database, payload["webhook"], now))
        raise Cancel(webhooks.REMOVED) if webhook is None else Snooze(BLOCKED_PAUSE)
    answer = send(webhook, payload["event"], allowed, delivery_id=job.id, now=now)
    if not answer.is_allowed:
        _note_failure(context, webhook, answer, given_up=False)
        level = logging.WARNING if refused.add(webhook.id) else logging.DEBUG
        log.log(level, "The webhook %s is left to other workers: %s", webhook.name, first_line(answer.error or ""))
        raise Snooze(BLOCKED_PAUSE)
    found = verdict(answer, has_delivered=webhook.last_success_at is not None)
    if found is Verdict.DELIVERED:
        text, now = _said(answer), context.queue._run(lambda database: database.now())
        context.queue._run(lambda database: webhooks.note_success(database, webhook, text, now))
        return {"status": answer.status, "answer": answer.text}
    is_gone, said = found is Verdict.GONE, _said(answer)
    outcome: Retry | Discard
    if found is Verdict.RETRY and job.attempts < job.max_attempts:
        pause = backoff(job.attempts, answer.retry_after)
        outcome, level, follows = Retry(pause, said), logging.WARNING, f"is sent again in {duration(pause)}"
    else:
        outcome, level, follows = Discard(said), logging.ERROR, "is not sent again"
    _note_failure(context, webhook, answer, given_up=isinstance(outcome, Discard), gone=is_gone)
    event = payload["event"].get("type")
    log.log(level, "The webhook %s did not accept %s, which %s: %s", webhook.name, event, follows, first_line(said))
    if is_gone:
        log.error("The webhook %s is disabled: its receiver is gone.", webhook.name)
    outcome._is_logged = True
    raise outcome


def _note_failure(
    context: SpawnContext, webhook: Webhook, answer: DeliveryAnswer, *, given_up: bool, gone: bool = False
) -> None:
    now = context.queue._run(lambda database: database.now())

    def note(database: Database) -> None:
        webhooks.note_failure(database, webhook, _said(answer), now, given_up=given_up, gone=gone)

    context.queue._run(note)


def _said(answer: DeliveryAnswer) -> str:
    """The answer as text, without secrets."""
    could_be_made = answer.status is not None or answer.request_headers
    return answer_line(answer.status, answer.error or answer.text) if could_be_made else f"{NOT_SENT}{answer.error}"


class Deliverer(TurnThread):
    """Lets a worker beside this one deliver events, once there is a webhook.

    It also finds failures that nobody has told.
    """

    def __init__(self, context: WorkerContext, sibling: MakeSibling) -> None:
        super().__init__("deliverer", context.connections.for_thread(LOCK_SECONDS_OF_UPKEEP))
        self._sibling, self._clock, self._allowed = sibling, context.clock, context.options.allowed
        self._name, self._id = context.registration.name, context.registration.id
        # This thread alone uses the rest.
        self._worker: Sibling | None = None
        self._running: threading.Thread | None = None
        self._known: set[tuple[str, Any]] = set()
        self._next_look = 0.0
        self._has_begun = False

    def tasks(self) -> Mapping[str, Task]:
        """Starts the worker that delivers, and looks for failures of other programs."""
        return {
            "Delivering events": lambda: self.connections.run(self._begin, patience=0),
            "Looking for failures of other programs": lambda: self.connections.run(self._look, patience=0),
        }

    def pause(self) -> float:
        return LONGEST_PAUSE

    def end(self) -> None:
        """Lets deliveries finish, too."""
        super().end()
        if self._worker is not None:
            self._worker.stop()

    def join(self, timeout: float | None = None) -> None:
        """Waits for the deliveries, too."""
        super().join(timeout)
        if self._running is not None and self._worker is not None:
            self._running.join(GRACE + 1)
            self._worker.stop(now=True)
            self._running.join(timeout)

    def _begin(self, database: Database) -> None:
        if self._running is not None and self._running.is_alive():
            return
        is_wanted = any(reader.kind == "webhook" for some in events.readers(database).values() for reader in some)
        # Deliveries of webhooks that were removed before this worker started have to end, too.
        is_wanted = is_wanted or (not self._has_begun and webhooks.any_open(database))
        if not self._has_begun:  # this worker may have the settings or the variables that others lack
            webhooks.deliver_unsent(database, self._clock.now())
        self._has_begun = True
        if not is_wanted:
            return
        refused = Refusals()
        self._worker = self._sibling(
            handlers(self._allowed, self._clock, refused),
            concurrency=CONCURRENCY,
            name=f"{self._name}-webhooks",
            grace=GRACE,
            left_webhooks=refused.present,
        )
        if self.stopped.is_set():
            return
        self._running = threading.Thread(
            target=self._run, args=(self._worker,), name="hammerwork-webhooks", daemon=True
        )
        self._running.start()

    def _run(self, worker: Sibling) -> None:
        try:
            worker.run()
        except Exception as error:  # noqa: BLE001  the next turn starts another one
            log.error("Deliveries to webhooks stopped, and will start again: %s", error)

    def _look(self, database: Database) -> None:
        if time.monotonic() < self._next_look or (now := self._clock.trusted_now()) is None:
            return
        self._next_look = time.monotonic() + BETWEEN_LOOKS
        if self._running is not None and (proven := self._clock.proven_now()) is not None:
            for webhook in webhooks.disable_failing(database, proven):
                log.error("The webhook %s is disabled: no delivery has succeeded for days.", webhook.name)
        if not events.wants_failures(database):
            return
        length = timedelta(seconds=BETWEEN_LOOKS)
        if duties.take_due(database, DUTY, self._id, duties.times(database), now=now, length=length):
            self._known = events.write_missed(database, now - events.NOTICED_WITHIN, latest(now), self._known)
