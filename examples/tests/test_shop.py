from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from examples.shop import CardDeclinedError, Order, app, bank, connect, main, place
from hammerwork_cli import Job
from hammerwork_cli.testing import Jobs, run

ORDER = Job("charge", Order(7, "ada", 1999))


def unreachable(reference: str, cents: int) -> str:
    raise ConnectionError("no answer")


def declining(reference: str, cents: int) -> str:
    raise CardDeclinedError(f"no {cents} cents for {reference}")


def test_orders_are_charged_and_one_mail_thanks_a_customer_for_several(jobs: Jobs) -> None:
    main(jobs.queue.url.raw, "ada", "ada", "bob")
    jobs.assert_enqueued("charge", {"customer": "ada"}, count=2)
    assert jobs.drain(app).completed == 3
    assert [mail.payload for mail in jobs.enqueued("mail")] == [{"to": "ada"}, {"to": "bob"}]
    jobs.advance(timedelta(minutes=10))
    assert jobs.drain(app).completed == 2


def test_an_order_that_is_rolled_back_leaves_no_job(jobs: Jobs) -> None:
    main(jobs.queue.url.raw)
    with Session(connect(jobs.queue.url.raw)) as session:
        place(session, jobs.queue, Order(8, "eve", 1))
        assert session.execute(text("SELECT count(*) FROM orders WHERE number = 8")).scalar() == 1
        session.rollback()
    jobs.refute_enqueued("charge", {"customer": "eve"})


@pytest.mark.parametrize(("client", "status"), [(unreachable, "Retrying"), (declining, "Dead")])
def test_only_a_bank_that_does_not_answer_is_asked_again(client: object, status: str) -> None:
    outcome = run(app, ORDER, use={bank: client})
    assert (outcome.status, outcome.children) == (status, ())


def test_the_bank_gets_the_same_reference_in_each_attempt() -> None:
    receipts = [run(app, ORDER, attempt=attempt).result for attempt in (1, 2)]
    assert receipts == [f"{ORDER.id[:8]} paid 19.99"] * 2
