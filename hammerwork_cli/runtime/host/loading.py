"""Finds an application's handlers by name."""

import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from hammerwork_cli import app_path
from hammerwork_cli.errors import ConfigError, HammerworkError, UsageError
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.importing import ENQUEUE, START, importing
from hammerwork_cli.runtime.api.signatures import signature

OWN_VARIABLES = frozenset({"HAMMERWORK_WEB_TOKEN"})
"""Hidden from an application's code: with the token it could change jobs through the web server."""
_FORM = "Name them as module:attribute, for example --handlers my_handlers:app for app in my_handlers.py."
COMBINE = "Combine them in one application: app.include(other_app)."
"""What to do about several applications for one worker."""
_EXECUTOR = "Write --executor my_cluster:make, or --executor QUEUE=my_cluster:make, for def make() in my_cluster.py."
_KINDS = "a Handlers, a Worker, or a function that returns one"


def only(targets: Sequence[str] | None) -> str | None:
    """The value of ``--handlers``."""
    if targets and len(targets) > 1:
        raise UsageError(f"--handlers was given {len(targets)} times, but takes one application.", hint=COMBINE)
    return targets[0] if targets else None


def load(target: str, folder: Path | None = None) -> object:
    """Finds the object that ``--handlers`` names.

    Args:
        target: ``module:attribute``; the attribute is a :class:`Handlers`, a ``Worker``, or a callable without
            arguments that returns one.
        folder: where modules are looked for last, so that none there takes the place of an installed one or of the
            standard library's; the current one by default.

    Raises:
        ConfigError: it does not exist, does not import, or has no handlers. The message has the import's own error
            and where it happened.
    """
    folder = (folder or Path()).absolute()
    app_path.add(str(folder))
    return _found(target, folder)


def _found(target: str, folder: Path) -> object:
    name, colon, attribute = target.partition(":")
    if not (colon and name and attribute):
        raise ConfigError(f"{target!r:.100} names no handlers.", hint=_FORM)
    if "," in target:
        raise ConfigError(f"{target!r:.100} names several applications; a worker has only one.", hint=COMBINE)
    module = _module(name, folder)
    value = _attribute(module, attribute, folder)
    if callable(value) and _handlers_or_none(value) is None:
        _refuse_handler(value, target, module)
        value = _guarded(value, f"{target} failed when it was called")
    handlers = _handlers_or_none(value)
    if handlers is None:
        raise ConfigError(f"{target} is of type {type(value).__name__}, not {_KINDS}.", hint=_FORM)
    if handlers is value and not (handlers.queues or handlers.handler_names or handlers._schedules):
        raise ConfigError(
            f"{target} has no handlers.", hint="Register some: @app.job(queue) for what jobs do, @app.spawn(queue)."
        )
    handlers.name = target
    return value


def load_handlers(target: str, folder: Path | None = None) -> Handlers:
    """The handlers that a name leads to, also those of a worker; arguments and errors are those of :func:`load`."""
    return handlers_of(load(target, folder))


def load_executors(targets: Sequence[str], folder: Path | None = None) -> Any:
    """Finds what ``--executor`` names: for all queues, or for those that are named.

    Args:
        targets: ``module:attribute``, or ``queue=module:attribute`` for one queue; the attribute is a
            :class:`concurrent.futures.Executor`, or a function or class that makes one.
        folder: as for :func:`load`.

    Returns:
        The executor or the function, or queue -> one.

    Raises:
        UsageError: one is given for all queues, and another one too.
        ConfigError: one does not exist, does not import, or is something else.
    """
    folder = (folder or Path()).absolute()
    app_path.add(str(folder))
    found: dict[str, Any] = {}
    for target in targets:
        queue, equals, name = target.rpartition("=")
        if queue in found or (equals and not queue):
            raise UsageError(f"--executor {target[:60]} cannot be used.", hint=f"{_EXECUTOR} Give each queue one.")
        module, colon, attribute = name.partition(":")
        if not (colon and module and attribute):
            raise ConfigError(f"{name!r:.100} names no executor.", hint=_EXECUTOR)
        value = _attribute(_module(module, folder), attribute, folder)
        if not isinstance(value, Executor) and not callable(value):
            raise ConfigError(f"{name} is of type {type(value).__name__}, not an executor.", hint=_EXECUTOR)
        found[queue] = value
    if "" in found and len(found) > 1:
        raise UsageError("--executor is given for all queues, and for one of them too.", hint="Name the queue of each.")
    return found.get("", found)


def reload_handlers(target: str, folders: Iterable[str]) -> Handlers:
    """The same in another process.

    Args:
        target: as for :func:`load`.
        folders: those that the first process added to the path of modules.
    """
    for folder in folders:
        app_path.add(folder)
    with importing(ENQUEUE):  # in each process again
        return handlers_of(_found(target, Path.cwd()))


def handlers_of(found: object) -> Handlers:
    """The handlers that :func:`load` found: the object itself, or those of a worker."""
    handlers = _handlers_or_none(found)
    assert handlers is not None
    return handlers


def _handlers_or_none(value: object) -> Handlers | None:
    if isinstance(value, Handlers):
        return value
    of_worker = getattr(value, "_handlers", None)  # a Worker, which this module does not import
    return of_worker if isinstance(of_worker, Handlers) else None


def _module(name: str, folder: Path) -> ModuleType:
    with importing(START):
        module: ModuleType = _guarded(
            lambda: import_module(name), f"The module {name} cannot be imported", missing=name, folder=folder
        )
    return module


def _attribute(module: ModuleType, path: str, folder: Path) -> Any:
    value: Any = module
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            known = _handlers_of(module)
            own = folder.joinpath(*module.__name__.split(".")).with_suffix(".py")
            if own.exists() and not known and str(own) != getattr(module, "__file__", None):
                raise ConfigError(
                    f"The name {module.__name__} means another module than {own}: {_where(module)}.",
                    hint="Rename your module.",
                ) from None
            raise ConfigError(
                f"There is no {path} in the module {module.__name__} ({getattr(module, '__file__', None)}).",
                hint=f"It has: {', '.join(known)}" if known else _FORM,
            ) from None
    return value


def _where(module: ModuleType) -> str:
    if module.__name__.partition(".")[0] in sys.stdlib_module_names:
        return "that of Python's standard library"
    return f"that in {getattr(module, '__file__', None)}"


def _handlers_of(module: ModuleType) -> list[str]:
    """The names of all handlers in a module."""
    return [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, Handlers)]


def _refuse_handler(value: Any, target: str, module: ModuleType) -> None:
    """Refuses a single handler in place of a Handlers: it would be called without a job."""
    parameters = signature(value)
    try:
        if parameters is None or parameters.bind():
            return
    except TypeError:
        pass
    known = _handlers_of(module)
    raise ConfigError(
        f"{target} is called without arguments, and has the parameters {parameters!s:.200}: it is not {_KINDS}.",
        hint=f"Name the Handlers: {', '.join(known)}" if known else _FORM,
    )


def _guarded(call: Callable[[], Any], failure: str, missing: str | None = None, folder: Path | None = None) -> Any:
    """Calls code of the application, and reports its failures as the application's."""
    try:
        return call()
    except ModuleNotFoundError as error:
        if missing is not None and (missing == error.name or missing.startswith(f"{error.name}.")):
            hint = (
                _FORM
                if missing.endswith(".py") or "/" in missing
                else f"Searched: the installed modules, then {folder} (--app-dir names another folder)."
            )
            raise ConfigError(f"There is no module {missing!r:.100}.", hint=hint) from error
        raise _failed(failure, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(failure, error) from error


def _failed(failure: str, error: BaseException) -> ConfigError:
    place = place_of(error)
    text = (error.msg if isinstance(error, SyntaxError) else None) or str(error)  # whose own text has the line as well
    hint = error.hint if isinstance(error, HammerworkError) else None
    text = error.message if isinstance(error, HammerworkError) else text
    return ConfigError(f"{failure}: {type(error).__name__}: {text}{f' ({place})' if place else ''}", hint=hint)


def place_of(error: BaseException) -> str | None:
    """The file and line of the application that raised an error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    ours = Path(__file__).parent.parent.parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and ours not in Path(frame.filename).parents
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None
