"""Endpoints: rows of a table by which the server routes, reads requests, answers, and writes the OpenAPI document."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.view.shape import Schema
from hammerwork_cli.web.endpoints.parameters import Parameter
from hammerwork_cli.web.endpoints.settings import ServerSettings

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request.

    Attributes:
        values: parameters by name, with defaults.
        body: the JSON of the request; ``None`` without a body.
        now: the present; by the database's clock for a change.
        operator: ``user@host``, which changes record as their author.
    """

    database: Database
    values: Mapping[str, Any]
    body: Any
    now: datetime
    settings: ServerSettings
    operator: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a handler.

    Attributes:
        cursor: start of the next page of a list.
        chunks: text instead of the record, in pieces.
        text: JSON text of the record.
        size: approximate bytes of memory that the source of the chunks takes.
        status: HTTP status, if it is not the endpoint's.
        later: makes the answer instead, after the connection was given back: it waits for others.
    """

    record: Any = None
    cursor: str | None = None
    media_type: str = JSON
    chunks: Iterable[str] | None = None
    text: bytes = b""
    size: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    later: "Callable[[], Answer] | None" = None


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path.

    Attributes:
        handler: runs in a thread with a connection; ``None`` if the application answers without a handler.
        schema: schema of the answer: a name in ``schema.views``, or a schema if no command prints such a record;
            ``None`` if the answer is not JSON.
        other_types: media types of the answer besides JSON.
        is_kept: whether an answer is kept for some seconds whatever changes, because it may cost much to find.
        counts_all: whether it may tell the length of the whole list.
        status: HTTP status of success.
        also: another HTTP status of success.
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
    is_kept: bool = False
    counts_all: bool = False
    status: int = 200
    also: int | None = None
    refusals: tuple[int, ...] = field(default=())

    @property
    def is_shared(self) -> bool:
        """Whether several clients may get the same answer. An answer that streams can be read only once."""
        return not self.changes and not self.other_types

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that its body may have."""
        return tuple((self.body or {}).get("properties", ()))

    @property
    def is_list(self) -> bool:
        """Whether it answers in pages."""
        return any(parameter.name == "cursor" for parameter in self.parameters)
