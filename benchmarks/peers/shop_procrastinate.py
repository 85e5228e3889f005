"""examples/shop.py with Procrastinate, as far as it can.

An attempt has no time limit. No result is kept, so the order has the receipt. The mail is not written with the end of
the attempt: a crash between the two repeats the charge.
"""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass

from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

URL = os.environ["DATABASE_URL"]
app = App(connector=PsycopgConnector(conninfo=URL))


@dataclass
class Order:
    """A row of the table of orders, and the arguments of its job."""

    number: int
    customer: str
    cents: int


class CardDeclinedError(Exception):
    """No other attempt would help."""


def connect(url: str) -> Engine:
    """Names the driver."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


def place(session: Session, order: Order) -> int:
    """Writes the order and its job in the caller's transaction."""
    session.execute(text("INSERT INTO orders VALUES (:number, :customer, :cents)"), asdict(order))
    connection = session.connection().connection.driver_connection
    return charge.configure(connection=connection).defer(**asdict(order))


def bank(reference: str, cents: int) -> str:
    """Stands for the client of a bank; tests have to patch it."""
    return f"{reference} paid {cents / 100:.2f}"


@app.task(pass_context=True, retry=RetryStrategy(max_attempts=3, wait=60, retry_exceptions=[OSError]))
def charge(context: JobContext, number: int, customer: str, cents: int) -> None:
    """Keeps the receipt with the order."""
    receipt = bank(str(context.job.id), cents)
    with Session(connect(URL)) as session, session.begin():
        values = {"receipt": receipt, "number": number}
        session.execute(text("UPDATE orders SET receipt = :receipt WHERE number = :number"), values)
    with suppress(AlreadyEnqueued):
        mail.configure(queueing_lock=customer, schedule_in={"minutes": 10}).defer(to=customer)


@app.task
def mail(to: str) -> str:
    """Stands for a mail server."""
    return f"Thank you, {to}."


def main(*customers: str) -> None:
    """Places an order for each customer, all or none."""
    columns = "number INTEGER, customer VARCHAR(80), cents INTEGER, receipt TEXT"
    with app.open(), Session(connect(URL)) as session, session.begin():
        session.execute(text(f"CREATE TABLE IF NOT EXISTS orders ({columns})"))
        for number, customer in enumerate(customers, 1):
            place(session, Order(number, customer, 1999))
