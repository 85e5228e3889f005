from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from hammerwork_cli.features.event.model import Event, EventType
from hammerwork_cli.features.webhook.model import Webhook
from tests.runtime.delivery.webhooks.receivers import Authority, Receiving

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
JOB = "0192a1b2-0000-7000-8000-000000000001"
EVENT = "5f0c2f0e-1111-5222-8333-444455556666"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DATA = {
    "id": JOB,
    "queue": "mail",
    "status": "Dead",
    "priority": "high",
    "attempts": 3,
    "max_attempts": 3,
    "created_at": "2026-11-30T11:00:00.000000Z",
    "scheduled_at": "2026-11-30T11:00:00.000000Z",
    "started_at": "2026-11-30T11:59:00.000000Z",
    "ended_at": "2026-11-30T11:59:02.500000Z",
    "error": 'ValueError: no "address"',
    "run_seconds": 2.5,
}


def record(type: EventType = EventType.JOB_DEAD, id: str = EVENT, **data: Any) -> dict[str, Any]:
    return Event(id, type, NOW, {**DATA, **data}).record()


def webhook(url: str = "http://localhost/hook", **fields: Any) -> Webhook:
    """A webhook that may reach this machine."""
    return Webhook("0192a1b2-0000-7000-8000-00000000000a", "chat", url)._replace(
        **{"allow_private": True, "timeout_seconds": 10, **fields}
    )


@pytest.fixture
def receiving() -> Iterator[Callable[..., Receiving]]:
    """``receiving(*scripts, context=)``: a receiver that answers by script."""
    with ExitStack() as stack:
        yield lambda *scripts, **options: stack.enter_context(Receiving(*scripts, **options))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"))
