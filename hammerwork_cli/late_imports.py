"""Puts off what a library imports for features that a short command does not use."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def late(*names: str) -> Iterator[None]:
    """Gives whoever imports these modules stand-ins for them, which import them on first use.

    It has no effect while there are other threads, which may import the modules for themselves.
    """
    alone = threading.active_count() == 1
    fresh = [_LateModule(name) for name in names if alone and name not in sys.modules]
    sys.modules |= {module.__name__: module for module in fresh}
    try:
        yield
    finally:
        for module in fresh:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


def state_versions(*packages: str) -> None:
    """Answers packages that ask for their own version while they are imported.

    They would import ``importlib.metadata``, and with it the modules of mail and of zip files.
    """
    from pathlib import Path

    for package in packages:
        spec = None if package in sys.modules else PathFinder.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        start, end, beside = f"{package}-", ".dist-info", []
        with suppress(OSError):
            # Path.glob() would compile an expression for each package, and try it on all others.
            beside = os.listdir(Path(spec.origin).parents[1])  # noqa: PTH208
        found = [name for name in beside if name.startswith(start) and name.endswith(end)]
        if len(found) == 1:
            module = sys.modules[f"{package}.version"] = _LateModule(f"{package}.version")
            module.__dict__["__version__"] = found[0].removeprefix(start).removesuffix(end)


class _LateModule(ModuleType):
    """Stands in for a module."""

    def __getattr__(self, name: str) -> Any:
        # The import system asks for a __spec__ and a __path__.
        if name.startswith("__"):
            raise AttributeError(name)
        is_importing = sys.modules.get(self.__name__) is self
        return _LateName(self.__name__, name) if is_importing else getattr(import_module(self.__name__), name)


class _LateName:
    """What ``from module import name`` gets: a function or class, to call and to ask for its attributes."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _found(self) -> Any:
        if isinstance(sys.modules.get(self._module), _LateModule):
            del sys.modules[self._module]
        return getattr(import_module(self._module), self._name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._found()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[Any, ...]:
        return (self._found(),)
