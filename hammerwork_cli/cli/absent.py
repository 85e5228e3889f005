"""What to use instead of what the command line of hammerwork (Rust) has and this one has not."""

import re

from hammerwork_cli.compat import ABSENT, ABSENT_EVERYWHERE, QUIET

_COMMAND = re.compile(r"No such command '(?P<name>[^']+)'")
_OPTION = re.compile(r"No such option: (?P<name>-\S+)")
_LACKING = re.compile(r"(?:Missing option|Invalid value for) '(?P<name>--[a-z-]+)'")
_QUIET_LAST = "Option '-q' requires an argument"


def instead(path: str, message: str) -> tuple[str, str] | None:
    """Returns a message and a hint for words that only hammerwork (Rust) understands.

    Args:
        path: of the command, such as ``hammerwork worker start``.
    """
    path = path.removeprefix("hammerwork").strip()
    found = _COMMAND.search(message) or _OPTION.search(message)
    if found is None:
        if (lacking := _LACKING.search(message)) and (other := ABSENT.get(f"{path} {lacking['name']}")):
            return other
        if _QUIET_LAST in message:
            return QUIET
        return ABSENT.get(path) if "Missing argument" in message else None
    name = found["name"].rstrip(".")
    return ABSENT.get(f"{path} {name}".strip()) or ABSENT_EVERYWHERE.get(name)
