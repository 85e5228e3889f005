r"""A shop: an order and its job exist both or not at all, and one mail thanks a customer for several orders.

It needs SQLAlchemy.

```sh
python -c 'from examples.shop import main; main("sqlite:///jobs.db", "ada", "ada", "bob")'
hammerwork worker start --handlers examples.shop:app --drain
```
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

from hammerwork_cli import Handlers, Job, Queue, RetryStrategy, SpawnContext

app = Handlers()


@dataclass
class Order:
    """A row of the table of orders, and the payload of its job."""

    number: int
    customer: str
    cents: int


class CardDeclinedError(Exception):
    """No other attempt would help."""


def connect(url: str) -> Engine:
    """The URL of hammerwork leaves out the driver, which SQLAlchemy would choose differently."""
    url = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+mysqlconnector:")
    return create_engine(url, poolclass=NullPool)


def place(session: Session, queue: Queue, order: Order) -> Job:
    """Writes the order and its job in the caller's transaction."""
    session.execute(text("INSERT INTO orders VALUES (:number, :customer, :cents)"), asdict(order))
    return queue.enqueue(Job("charge", order), connection=session)


@app.resource
def bank() -> Iterator[Callable[[str, int], str]]:
    """Stands for the client of a bank, which books a reference once, however often it is asked."""
    yield lambda reference, cents: f"{reference[:8]} paid {cents / 100:.2f}"


@app.job(
    "charge", timeout=timedelta(seconds=30), retry_on=OSError, retry=RetryStrategy.exponential(timedelta(minutes=1))
)
def charge(job: Job[Order], context: SpawnContext[Order]) -> str:
    """Returns the receipt. It tries again while the bank cannot be reached, but not after it has declined."""
    return context.use(bank)(job.id, job.payload.cents)


@app.spawn("charge")
def thank(context: SpawnContext[Order]) -> Iterator[Job]:
    """The mail waits for ten minutes; further orders of the customer spawn no other one meanwhile."""
    customer = context.parent_job.payload.customer
    yield Job("mail", {"to": customer}).with_unique(customer, while_=["waiting"]).with_delay(timedelta(minutes=10))


@app.job("mail")
def mail(job: Job) -> str:
    """Stands for a mail server."""
    return f"Thank you, {job.payload['to']}."


def main(url: str, *customers: str) -> None:
    """Places an order for each customer, all or none."""
    with Queue(url) as queue, Session(connect(url)) as session, session.begin():
        session.execute(text("CREATE TABLE IF NOT EXISTS orders (number INTEGER, customer VARCHAR(80), cents INTEGER)"))
        for number, customer in enumerate(customers, 1):
            place(session, queue, Order(number, customer, 1999))
