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
NARROWING = ("hours", "since", "detailed", "queue", "status", "limit", "depth", "max_depth", "max_nodes", "siblings")
"""Parameters that let an endpoint look at less."""


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request."""

    database: Database
    values: Mapping[str, Any]  # parameters by name, with defaults
    body: Any  # the JSON of the request; `None` without a body
    now: datetime  # by the database's clock for a change
    settings: ServerSettings
    operator: str  # `user@host`, which changes record as their author


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a handler."""

    record: Any = None
    cursor: str | None = None  # start of the next page of a list
    media_type: str = JSON
    chunks: Iterable[str] | None = None  # text instead of the record, in pieces
    text: bytes = b""  # JSON text of the record
    size: int = 0  # approximate bytes of memory that the source of the chunks takes
    status: int | None = None  # if it is not the endpoint's
    headers: Mapping[str, str] = field(default_factory=dict)
    # Makes the answer instead, after the connection was given back: it waits for others.
    later: "Callable[[], Answer] | None" = None


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path."""

    method: str
    path: str
    handler: Handler | None  # runs in a thread with a connection; `None` if the application answers without one
    about: str
    # Of the answer: a name in `schema.views`, or a schema if no command prints such a record; `None` if it is not JSON.
    schema: str | Schema | None
    parameters: tuple[Parameter, ...] = ()
    other_types: tuple[str, ...] = ()  # media types of the answer besides JSON
    body: Schema | None = None
    changes: bool = False
    is_kept: bool = False  # an answer is kept for some seconds whatever changes, because it may cost much to find
    counts_all: bool = False  # it may tell the length of the whole list
    status: int = 200  # of success
    also: int | None = None  # another one
    refusals: tuple[int, ...] = field(default=())  # HTTP statuses of its own errors

    @property
    def is_shared(self) -> bool:
        """Whether several clients may get the same answer. An answer that streams can be read only once."""
        return not self.changes and not self.other_types

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that its body may have."""
        return tuple((self.body or {}).get("properties", ()))

    @property
    def narrower(self) -> str:
        """What to do where an answer takes too long to find."""
        given = [parameter.name for parameter in self.parameters if parameter.name in NARROWING]
        return f"Narrow it by {', '.join(given)}." if given else "Ask again when the database is less busy."

    @property
    def is_list(self) -> bool:
        """Whether it answers in pages."""
        return any(parameter.name == "cursor" for parameter in self.parameters)
