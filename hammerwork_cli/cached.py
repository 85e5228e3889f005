"""An attribute that is computed when somebody first asks for it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class cached(Generic[Value]):  # noqa: N801  a decorator, beside property
    """What ``functools.cached_property`` is from Python 3.12 on: without a lock.

    Before, it holds one lock for all objects of the class while it computes. One connection that hung while it read the
    schema stopped all others, the heartbeat's among them, and a process that was forked meanwhile never got the lock.
    Threads that ask at once may compute twice.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute, self._name, self.__doc__ = compute, "", compute.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, _owner: type) -> Value:
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
