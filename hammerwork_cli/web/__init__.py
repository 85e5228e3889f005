"""The REST API, and the page and the JavaScript client that use it.

Handlers call queries and answer with the records of views, as the commands do. Only ``features/web/commands.py``
imports this package, and only when the server starts: Starlette, uvicorn and the others come with the extra ``web``.
"""
