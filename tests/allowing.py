"""A host that allows everything, for tests of what comes after that."""

from typing import Any

from hammerwork_cli.runtime.delivery.allowed import Allowed


class _Any(frozenset[Any]):
    def __contains__(self, _: object) -> bool:
        return True


ALL = Allowed(_Any(), _Any(), private_addresses=True, insecure=True)
