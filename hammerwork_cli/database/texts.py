"""Messages as text columns hold them."""

import re

LONGEST = 60_000
"""Bytes of a message. MySQL's TEXT holds 65,535."""
_BASIC_PLANE = {"utf8mb3", "utf8"}
"""MySQL's UTF-8 of at most three bytes, which Python has no codec for."""
_CODECS = {"latin1": "cp1252"}
"""A server's name of a character set -> Python's, where that knows another one by the name: this is MySQL's."""
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_MARK = b"\n...\n"


def cut(text: str) -> str:
    """A message of at most :data:`LONGEST` bytes: its beginning and its end."""
    data = text.encode()
    if len(data) <= LONGEST:
        return text
    half = (LONGEST - len(_MARK)) // 2
    return (data[:half] + _MARK + data[-half:]).decode("utf-8", "ignore")


def written_out(text: str, charset: str) -> str:
    """A message in which the characters that a server's character set lacks are written out, as Python would."""
    if text.isascii():
        return text
    if charset in _BASIC_PLANE:
        return cut(_BEYOND.sub(lambda sign: f"\\U{ord(sign[0]):08x}", text))
    codec = _CODECS.get(charset, charset.replace("WIN", "cp"))
    try:
        data = text.encode(codec, "backslashreplace")
    except LookupError:
        codec, data = "ascii", text.encode("ascii", "backslashreplace")
    return cut(data.decode(codec))
