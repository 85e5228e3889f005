"""Fits messages into text columns."""

import re

LONGEST = 60_000
"""Most bytes of a message. MySQL's TEXT has room for 65,535."""
_BASIC_PLANE = {"utf8mb3", "utf8"}
"""Names of MySQL's UTF-8 with at most three bytes per character, for which Python has no codec."""
_CODECS = {"latin1": "cp1252"}
"""MySQL's name of a character set -> Python's name, where Python uses MySQL's name for another one."""
_BEYOND = "[\U00010000-\U0010ffff]"
_MARK = b"\n...\n"


def cut(text: str, most: int = LONGEST) -> str:
    """Cuts the middle out of a message of more than ``most`` bytes."""
    data = text.encode()
    if len(data) <= most:
        return text
    half = (most - len(_MARK)) // 2
    return (data[:half] + _MARK + data[-half:]).decode("utf-8", "ignore")


def written_out(text: str, charset: str) -> str:
    """Escapes the characters that a server's character set lacks, as Python would, and cuts the message."""
    if text.isascii():
        return text
    if charset in _BASIC_PLANE:
        return cut(re.sub(_BEYOND, lambda sign: f"\\U{ord(sign[0]):08x}", text))
    codec = _CODECS.get(charset, charset.replace("WIN", "cp"))
    try:
        data = text.encode(codec, "backslashreplace")
    except LookupError:
        codec, data = "ascii", text.encode("ascii", "backslashreplace")
    return cut(data.decode(codec))
