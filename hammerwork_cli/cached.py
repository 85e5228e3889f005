"""An attribute that is computed on first use."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class cached(Generic[Value]):  # noqa: N801  a decorator, beside property
    """``functools.cached_property`` of Python 3.12, which has no lock.

    The older ones hold one lock for all objects of the class while they compute. A connection that hung while it read
    the schema blocked all other connections, that of the heartbeat too, and a forked process never got the lock.
    Without the lock, threads that read an attribute at the same time may both compute it.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute, self._name, self.__doc__ = compute, "", compute.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, _owner: type) -> Value:
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
