"""Writes the OpenAPI document from the table of endpoints and the schemas of the command line."""

from collections.abc import Iterable, Mapping
from typing import Any

from hammerwork_cli.features.schema.views import DRAFT, SCHEMAS
from hammerwork_cli.version import __version__
from hammerwork_cli.view.shape import Schema
from hammerwork_cli.web import events, problems
from hammerwork_cli.web.endpoints.endpoint import JSON, Endpoint
from hammerwork_cli.web.endpoints.parameters import Parameter

REFUSALS = {
    400: "A parameter or the body is not valid",
    401: "The token is missing or wrong",
    403: "Host or Origin is not allowed, or the server is read-only",
    404: "The job or queue does not exist",
    409: "The present state does not allow it, or an id prefix matches several jobs",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The database refuses a value",
    503: "The database is unreachable, or its tables are missing",
    504: "Reading takes too long, so it was cancelled",
}
ALWAYS = (400, 401, 403, 503)
OF_READING = (504,)
OF_CHANGES = (413, 415)


def openapi(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    used = list(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in used:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    schemas = {
        endpoint.schema: _bare(SCHEMAS[endpoint.schema]) for endpoint in used if isinstance(endpoint.schema, str)
    }
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DRAFT,
        "info": {
            "title": "hammerwork",
            "version": __version__,
            "description": "Job queues whose jobs spawn jobs. Answers are the JSON that the command line prints.",
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {
                **schemas,
                "problem": problems.SCHEMA,
                "event": events.DATA.key("The data of an event, by the event's name").schema,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "$schema"}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(endpoint),
        "tags": [_tag(endpoint)],
        "summary": endpoint.about,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": {str(endpoint.status): _success(endpoint)},
    }
    if endpoint.body is not None:
        content = {JSON: {"schema": endpoint.body}}
        operation["requestBody"] = {"content": content, "required": "required" in endpoint.body}
    if endpoint.also is not None:
        operation["responses"][str(endpoint.also)] = _success(endpoint)
    statuses = {*ALWAYS, *endpoint.refusals, *(OF_CHANGES if endpoint.changes else OF_READING)}
    for status in sorted(statuses):
        operation["responses"][str(status)] = _refusal(REFUSALS[status])
    return operation


def _name(endpoint: Endpoint) -> str:
    words = endpoint.path.replace("{", "").replace("}", "").replace("-", "_").strip("/").split("/")
    return "_".join([endpoint.method.lower(), *words])


def _tag(endpoint: Endpoint) -> str:
    """What it is about, by which generators group operations."""
    _, first, *rest = endpoint.path.split("/")
    return rest[0] if first == "api" else "server"


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: Mapping[str, Any] = parameter.schema
    if parameter.default is not None and parameter.default != ():
        schema = {**schema, "default": parameter.default}
    described = {
        "name": parameter.name,
        "in": "path" if parameter.in_path else "query",
        "description": parameter.about,
        "required": parameter.in_path,
        "schema": schema,
    }
    return {**described, "style": "form", "explode": False} if schema["type"] == "array" else described


def _success(endpoint: Endpoint) -> dict[str, Any]:
    schema = endpoint.schema
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in endpoint.other_types}
    if events.MEDIA_TYPE in content:
        about = "Events. The data of each is JSON by the property of the schema `event` with the name of the event"
        content[events.MEDIA_TYPE] = {"schema": {"type": "string", "description": about}}
    if schema is not None:
        shape = {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema
        content[JSON] = {"schema": shape}
    answer: dict[str, Any] = {"description": "OK", "content": content}
    if endpoint.is_list:
        answer["headers"] = {
            "Next-Cursor": {
                "description": "The cursor of the next page, if there is one",
                "schema": {"type": "string"},
            },
            "Link": {"description": "The next page, if there is one", "schema": {"type": "string"}},
        }
    if endpoint.counts_all:
        answer["headers"]["Total-Count"] = {
            "description": "With failed: the length of the whole list; with a + where there may be more",
            "schema": {"type": "string", "pattern": "^[0-9]+[+]?$"},
        }
    return answer


def _refusal(about: str) -> dict[str, Any]:
    return {
        "description": about,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/problem"}}},
    }
