"""What a team does to the payloads and results of chosen queues before they are stored: compression, an envelope."""

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.payloads import OWN_KEYS
from hammerwork_cli.errors import HammerworkError, UsageError

CODEC_KEY, DATA_KEY = "_codec", "data"
MOST_UNPACKED = 1 << 28
_KEYS = frozenset({CODEC_KEY, DATA_KEY}) | OWN_KEYS


class CodecError(HammerworkError):
    """A payload or a result cannot be decoded here, or not be encoded."""

    code = "codec"


@runtime_checkable
class Codec(Protocol):
    """Encodes the payloads and results of queues, as JSON in UTF-8, and decodes them.

    It works while a transaction is open, in any thread, so it should ask no other server. An error that it raises fails
    the attempt, or the call that enqueues.
    """

    @property
    def name(self) -> str:
        """Its name, which is stored beside what it has encoded."""
        ...

    def encode(self, data: bytes, /) -> bytes | None:
        """What is stored, in base64; ``None`` stores the JSON as it is.

        Args:
            data: JSON in UTF-8.
        """
        ...

    def decode(self, data: bytes, /) -> bytes:
        """The JSON in UTF-8 that was encoded.

        Args:
            data: what :meth:`encode` returned.

        Raises:
            Exception: it cannot be decoded; whoever reads the payload or the result gets a :class:`CodecError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Compressed:
    """A :class:`Codec` that compresses with zlib what becomes shorter by it.

    Args:
        level: 1 (fast) to 9 (small).

    Raises:
        UsageError: no such level.
    """

    level: int = 6

    def __post_init__(self) -> None:
        fields.whole_number(self.level, "level", 1, 9)

    @property
    def name(self) -> str:
        """See :class:`Codec`."""
        return "zlib"

    def encode(self, data: bytes, /) -> bytes | None:
        """See :class:`Codec`."""
        packed = zlib.compress(data, self.level)
        return packed if len(packed) * 4 // 3 + len(f'{{"{CODEC_KEY}":"zlib","data":"=="}}') < len(data) else None

    def decode(self, data: bytes, /) -> bytes:
        """See :class:`Codec`."""
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(data, MOST_UNPACKED)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise ValueError(f"it is cut, or longer than {MOST_UNPACKED >> 20} MiB")
        return unpacked


class Codecs:
    """Codecs by their queues. The first one of a queue encodes, and all of them decode, whatever the queue.

    Args:
        by_queue: queue -> a codec, or several.

    Raises:
        UsageError: one is not a codec, or shares its name with another one.
    """

    def __init__(self, by_queue: Mapping[str, Codec | Sequence[Codec]]) -> None:
        self.by_queue: dict[str, tuple[Codec, ...]] = {}
        self._by_name: dict[str, Codec] = {}
        if not isinstance(by_queue, Mapping):
            raise UsageError(f"codecs must be {{queue: codec}}, not {by_queue!r:.60}.")
        for queue, given in by_queue.items():
            fields.queue(queue)
            several = tuple(given) if isinstance(given, list | tuple) else (given,)
            self.by_queue[queue] = tuple(self._checked(codec) for codec in several)

    def _checked(self, codec: Any) -> Codec:
        if isinstance(codec, type) or not isinstance(codec, Codec):
            raise UsageError(f"A codec has a name, encode and decode: {codec!r:.60} has not.")
        name = fields.text(codec.name, "The name of a codec")
        if not 0 < len(name) <= LONGEST_NAME:
            raise UsageError(f"The name of a codec must have 1 to {LONGEST_NAME} characters.")
        if self._by_name.setdefault(name, codec) != codec:
            raise UsageError(f"Two codecs have the name {name!r:.60}.")
        return codec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Codecs) and self.by_queue == other.by_queue

    def __hash__(self) -> int:
        return hash(tuple(self._by_name))

    def including(self, others: "Codecs | None") -> Self:
        """These, and those of others for further queues."""
        return self if others is None else type(self)({**others.by_queue, **self.by_queue})

    def encoded(self, text: str, queue: str) -> str:
        """The JSON text to store for that of a payload or a result.

        Raises:
            CodecError: the codec of the queue raised, or returned something else than bytes.
        """
        codec = next(iter(self.by_queue.get(queue, ())), None)
        if codec is None or (CODEC_KEY in text and _parsed(text) is not None):
            return text
        own: dict[str, Any] = {}
        inner = text
        if any(key in text for key in OWN_KEYS) and isinstance(whole := json.loads(text), dict):
            own = {key: whole.pop(key) for key in OWN_KEYS if key in whole}
            inner = _dumped(whole)
        data = _called(codec, "encode", codec.encode, inner.encode())
        return (
            text if data is None else _dumped({CODEC_KEY: codec.name, DATA_KEY: base64.b64encode(data).decode(), **own})
        )

    def codec(self, name: str) -> Codec | None:
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)


def may_be_coded(text: str) -> bool:
    """Whether stored JSON text may be what a codec made; quick, for most text is not."""
    return CODEC_KEY in text


def decoded(text: str, codecs: Codecs | None) -> str:
    """The JSON text of a payload or a result for what is stored.

    Raises:
        CodecError: there is no codec of that name here, or it raised.
    """
    stored = _parsed(text) if may_be_coded(text) else None
    if stored is None:
        return text
    name = stored[CODEC_KEY]
    codec = None if codecs is None else codecs.codec(name)
    if codec is None:
        raise _missing(name, codecs)
    try:
        data = base64.b64decode(stored[DATA_KEY], validate=True)
    except (binascii.Error, ValueError):
        raise CodecError(f"What the codec {name!r:.60} made is malformed: the row was changed.") from None
    plain = _called(codec, "decode", codec.decode, data) or b""
    try:
        whole = json.loads(plain)
        inner = plain.decode()
    except (ValueError, RecursionError):
        raise CodecError(f"What the codec {name!r:.60} decoded is not JSON.") from None
    own = {key: value for key, value in stored.items() if key in OWN_KEYS}
    return _dumped({**whole, **own}) if own and isinstance(whole, dict) else inner


def unreadable(value: Any) -> CodecError | None:
    """The error of whoever reads a JSON value that is what a codec made."""
    is_coded = isinstance(value, dict) and CODEC_KEY in value and _is_coded(value)
    return _missing(value[CODEC_KEY], None) if is_coded else None


def _missing(name: str, codecs: Codecs | None) -> CodecError:
    known = ", ".join(codecs.names) if codecs else "none"
    return CodecError(
        f"The codec {name!r:.60} is missing here, by which this was encoded. Known: {known:.200}.",
        hint='Pass it: Queue(url, codecs={"queue": codec}) or, for workers, app.codec("queue", codec).',
    )


def _called(codec: Codec, verb: str, call: Callable[[bytes], bytes | None], data: bytes) -> bytes | None:
    try:
        made = call(data)
    except Exception as error:
        raise CodecError(f"The codec {codec.name!r:.60} cannot {verb}: {type(error).__name__}: {error}") from error
    if made is not None and not isinstance(made, bytes):
        raise CodecError(f"The codec {codec.name!r:.60} must {verb} to bytes, not to {type(made).__name__}.")
    return made


def _parsed(text: str) -> dict[str, Any] | None:
    """What a codec made; ``None`` for other JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_coded(value) else None


def _is_coded(value: dict[str, Any]) -> bool:
    return value.keys() <= _KEYS and isinstance(value.get(CODEC_KEY), str) and isinstance(value.get(DATA_KEY), str)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
