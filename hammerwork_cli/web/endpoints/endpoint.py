"""What an endpoint is: a row of a table that routes, reads requests, answers, and writes the OpenAPI document."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.render.schemas.words import Schema
from hammerwork_cli.web.endpoints.parameters import Parameter
from hammerwork_cli.web.settings import Settings

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read.

    Attributes:
        values: parameters by name, defaults included.
        body: the JSON of the request; ``None`` where there is none.
        now: the present; by the database's clock where something changes.
        operator: who asks, for those who ask later.
    """

    database: Database
    values: Mapping[str, Any]
    body: Any
    now: datetime
    settings: Settings
    operator: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler found.

    Attributes:
        record: JSON value.
        cursor: where the next page of a list begins.
        chunks: text instead of the record, in pieces.
        text: the record as it is sent.
        size: bytes that the chunks' source takes, about.
        status: HTTP status, where it is not the endpoint's.
    """

    record: Any
    cursor: str | None = None
    media_type: str = JSON
    chunks: Iterable[str] | None = None
    text: bytes = b""
    size: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path.

    Attributes:
        handler: runs in a thread that has a connection; ``None`` for what the application answers in its own way.
        about: in a sentence.
        schema: of the answer: a name in ``render.schemas``, or a schema where no command prints the like; ``None``
            where it is no JSON.
        other_types: media types of the answer besides JSON.
        body: schema of the request's body.
        changes: whether it changes something.
        status: HTTP status when it goes well.
        also: another one of these.
        refusals: HTTP statuses of its own errors.
    """

    method: str
    path: str
    handler: Handler | None
    about: str
    schema: str | Schema | None
    parameters: tuple[Parameter, ...] = ()
    other_types: tuple[str, ...] = ()
    body: Schema | None = None
    changes: bool = False
    status: int = 200
    also: int | None = None
    refusals: tuple[int, ...] = field(default=())

    @property
    def is_shared(self) -> bool:
        """Whether an answer can be given to several who ask: not what is read as it is sent."""
        return not self.changes and not self.other_types

    @property
    def fields(self) -> tuple[str, ...]:
        """What its body may hold."""
        return tuple((self.body or {}).get("properties", ()))

    @property
    def is_list(self) -> bool:
        """Whether its answers come in pages."""
        return any(parameter.name == "cursor" for parameter in self.parameters)
