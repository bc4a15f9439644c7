"""Small msgpack messages from outside: unpacked within limits, fields checked by type and range."""

from collections.abc import Mapping, Sequence

import msgpack

from codec.errors import BitstreamError

__all__ = ["integer", "integers", "pack", "unpack_map", "unpack_prefix"]


def pack(message: Mapping[str, object] | Sequence[object]) -> bytes:
    """Return a message as msgpack."""
    packed: bytes = msgpack.packb(message)
    return packed


def unpack_prefix(data: bytes, what: str) -> tuple[object, int]:
    """Return the first msgpack value of some bytes, and its length; raises BitstreamError."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), strict_map_key=False)
    unpacker.feed(data)
    try:  # TypeError: a map whose key cannot be one
        value: object = unpacker.unpack()
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise BitstreamError(f"{what}: not msgpack ({type(error).__name__})") from error
    return value, int(unpacker.tell())


def unpack_map(data: bytes, what: str, max_bytes: int) -> dict[str, object]:
    """Return a msgpack map that takes all of the bytes; raises BitstreamError. Keys that are no text are left out."""
    if len(data) > max_bytes:
        raise BitstreamError(f"{what}: at most {max_bytes} bytes, got {len(data)}")
    value, length = unpack_prefix(data, what)
    if length != len(data) or not isinstance(value, dict):
        raise BitstreamError(f"{what}: expected one map in {len(data)} bytes, got {type(value).__name__} in {length}")
    return {key: item for key, item in value.items() if isinstance(key, str)}


def integer(value: object, low: int, high: int, what: str) -> int:
    """Return a whole number of low..high; raises BitstreamError."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BitstreamError(f"{what}: expected a whole number of {low}..{high}, got {_short(value)}")
    return value


def integers(value: object, lengths: range, low: int, high: int, what: str) -> tuple[int, ...]:
    """Return a list of whole numbers of low..high; raises BitstreamError unless its length is one of those given."""
    if not isinstance(value, list) or len(value) not in lengths:
        raise BitstreamError(f"{what}: expected a list of {lengths[0]}..{lengths[-1]} numbers, got {_short(value)}")
    return tuple(integer(item, low, high, what) for item in value)


def _short(value: object) -> str:
    """Return a value for a message, cut."""
    return repr(value)[:40]
