"""Datagrams: lists of records, packed, parsed and bundled (SPEC section 9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from server.errors import DatagramError

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DATAGRAM_BYTES",
    "RECORD_HEADER_BYTES",
    "Bundler",
    "Record",
    "RecordKind",
    "pack_datagram",
    "parse_datagram",
]

MAX_DATAGRAM_BYTES = 1150
RECORD_HEADER_BYTES = 3
MAX_BODY_BYTES = MAX_DATAGRAM_BYTES - RECORD_HEADER_BYTES


class RecordKind(IntEnum):
    """Kinds of records; a receiver skips those it does not know."""

    EPOCH = 0
    FRAME = 1
    PATCH = 2
    FIGURES = 3
    REPORT = 4


@dataclass(frozen=True)
class Record:
    """One record of a datagram."""

    stream: int  # 0 .. 255
    kind: int  # 0 .. 15
    body: bytes  # at most 1147 bytes

    @property
    def size_bytes(self) -> int:
        """Size in a datagram, header included."""
        return RECORD_HEADER_BYTES + len(self.body)


def pack_datagram(records: Iterable[Record]) -> bytes:
    """Return the bytes of a datagram; raises ValueError when it would be too large."""
    data = bytearray()
    for record in records:
        if not 0 <= record.stream <= 255 or not 0 <= record.kind <= 15:
            raise ValueError(f"stream must be 0..255 and kind 0..15, got {record.stream} and {record.kind}")
        length = len(record.body)
        if len(data) + RECORD_HEADER_BYTES + length > MAX_DATAGRAM_BYTES:
            raise ValueError(f"datagram must be at most {MAX_DATAGRAM_BYTES} bytes")
        data += bytes((record.stream, record.kind << 4 | length >> 8, length & 255))
        data += record.body
    return bytes(data)


def parse_datagram(data: bytes) -> tuple[Record, ...]:
    """Return the records of a datagram, unknown kinds included; raises DatagramError."""
    if len(data) > MAX_DATAGRAM_BYTES:
        raise DatagramError("datagram too large", expected=f"at most {MAX_DATAGRAM_BYTES} bytes", got=str(len(data)))
    records = []
    at = 0
    while at < len(data):
        if len(data) - at < RECORD_HEADER_BYTES:
            raise DatagramError("record header truncated", expected="3 bytes", got=str(len(data) - at))
        kind = data[at + 1] >> 4
        length = (data[at + 1] & 15) << 8 | data[at + 2]
        body = data[at + RECORD_HEADER_BYTES : at + RECORD_HEADER_BYTES + length]
        if len(body) < length:
            raise DatagramError("record body truncated", expected=f"{length} bytes", got=str(len(body)))
        records.append(Record(data[at], kind, body))
        at += RECORD_HEADER_BYTES + length
    return tuple(records)


class Bundler:
    """Collects records that become ready within a few milliseconds into datagrams, in order.

    It holds what the caller lets it hold: `Subscriber` bounds it through `Congestion`.
    """

    def __init__(self, wait_ms: float = 5.0) -> None:
        self.wait_ms = wait_ms
        self._records: list[Record] = []
        self._size_bytes = 0
        self._since_ms = 0.0

    @property
    def size_bytes(self) -> int:
        """Bytes of all records that wait."""
        return self._size_bytes

    def push(self, record: Record, now_ms: float) -> None:
        """Add a record; raises ValueError when it fits into no datagram."""
        if record.size_bytes > MAX_DATAGRAM_BYTES:
            raise ValueError(f"record body must be at most {MAX_BODY_BYTES} bytes, got {len(record.body)}")
        if not self._records:
            self._since_ms = now_ms
        self._records.append(record)
        self._size_bytes += record.size_bytes

    def due_ms(self) -> float | None:
        """When the records that wait are to leave, None if there are none."""
        if not self._records:
            return None
        return self._since_ms if self._size_bytes >= MAX_DATAGRAM_BYTES else self._since_ms + self.wait_ms

    def pull(self, now_ms: float, limit: int) -> list[bytes]:
        """Return at most `limit` datagrams that are due; what is left stays due."""
        due_ms = self.due_ms()
        if due_ms is None or now_ms < due_ms:
            return []
        datagrams: list[bytes] = []
        used = 0
        while used < len(self._records) and len(datagrams) < limit:
            size_bytes, start = 0, used
            while used < len(self._records) and size_bytes + self._records[used].size_bytes <= MAX_DATAGRAM_BYTES:
                size_bytes += self._records[used].size_bytes
                used += 1
            datagrams.append(pack_datagram(self._records[start:used]))
            self._size_bytes -= size_bytes
        del self._records[:used]
        return datagrams

    def drop(self, kinds: frozenset[RecordKind], stream: int | None = None) -> frozenset[int]:
        """Forget waiting records of these kinds (of one stream, or of all) and return the streams they were of."""
        kept: list[Record] = []
        dropped: set[int] = set()
        for record in self._records:
            if record.kind in kinds and stream in (None, record.stream):
                dropped.add(record.stream)
            else:
                kept.append(record)
        self._records = kept
        self._size_bytes = sum(record.size_bytes for record in kept)
        return frozenset(dropped)
