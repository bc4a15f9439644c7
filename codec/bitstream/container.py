"""The file `.splatv`: epoch records, frames and patches one after another, and an index at the end (SPEC section 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from codec.bitstream.header import FIXED_BYTES, parse_header
from codec.bitstream.msgpack_fields import integer, integers, pack, unpack_map, unpack_prefix
from codec.errors import BitstreamError, StreamStateError

__all__ = [
    "PROFILE_GSVC",
    "PROFILE_SPLATS",
    "RECORD_EPOCH",
    "RECORD_FRAME",
    "RECORD_HEADER",
    "RECORD_PATCH",
    "Record",
    "SplatvIndex",
    "SplatvInfo",
    "SplatvReader",
    "SplatvWriter",
    "join_parts",
    "split_parts",
]

MAGIC = b"SPLV\x01\x0a\x1a\x00"
RECORD_HEADER, RECORD_EPOCH, RECORD_FRAME, RECORD_PATCH = range(4)
PROFILE_SPLATS, PROFILE_GSVC = "splats", "gsvc"
_TYPE_BITS = 2
_TAIL = b"SPLX"
_TAIL_BYTES = 8  # length of the footer record, then the tail's letters
MAX_RECORD_BYTES = 1 << 24
_MAX_VARINT_BYTES = 4
_GSVC_KEY = b"\0"  # first byte of a key frame
_MAX_PICTURES = 1 << 31


def _serialize_varint(value: int) -> bytes:
    """Return a whole number in 7 bits a byte, least first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def join_parts(parts: Sequence[bytes]) -> bytes:
    """Return the body of a frame's record: headers of later parts are left out but for their layers.

    Without parts it is empty: a picture that shows the state before it again.
    """
    if len(parts) <= 1:
        return parts[0] if parts else b""
    header = parse_header(parts[0])
    body = bytearray(parts[0][: header.size_bytes])
    for number, part in enumerate(parts):
        own = parse_header(part)
        stream = part[own.size_bytes :]
        body += len(stream).to_bytes(2, "big")
        if own.layer is not None and number:
            body.append(own.layer)
        body += stream
    return bytes(body)


def split_parts(body: bytes) -> tuple[bytes, ...]:
    """Return the parts of a frame from its record's body, which is not empty; raises BitstreamError."""
    header = parse_header(body)
    if header.parts == 1:
        return (body,)
    start, later = header.size_bytes, body[: FIXED_BYTES + 2]
    parts = []
    for number in range(header.parts):
        has_layer_byte = header.layer is not None and number > 0
        stream_start = start + 2 + has_layer_byte
        length = int.from_bytes(body[start : start + 2], "big")
        if stream_start + length > len(body):
            raise BitstreamError(f"frame record truncated: need {stream_start + length} bytes, have {len(body)}")
        stream = body[stream_start : stream_start + length]
        own = later[:FIXED_BYTES] + bytes([number]) + later[FIXED_BYTES + 1 :] + body[start + 2 : stream_start]
        parts.append((body[: header.size_bytes] if number == 0 else own) + stream)
        start = stream_start + length
    if start != len(body):
        raise BitstreamError(f"frame record has {len(body) - start} bytes too many")
    return tuple(parts)


@dataclass(frozen=True)
class SplatvInfo:
    """What a file's first record says."""

    fps: tuple[int, int]
    width_px: int
    height_px: int
    profile: str = PROFILE_SPLATS  # or PROFILE_GSVC: frames of SPEC section 10, neither epoch records nor patches

    def pictures_of(self, frame: bytes) -> int:
        """Return how many pictures a frame stands for, given its first part: with a midpoint two, else one.

        Nothing stands for one picture, too.
        """
        if self.profile == PROFILE_GSVC or not frame:
            return 1
        header = parse_header(frame)
        return 2 if header.midpoint and header.kind == "p" else 1


@dataclass
class SplatvIndex:
    """What a file's footer says: how many pictures, and where one can start."""

    pictures: int = 0
    # index of the key frame, offset of the epoch record (gsvc: of the key frame's own)
    epochs: list[tuple[int, int]] = field(default_factory=list)
    patches: list[tuple[int, int]] = field(default_factory=list)  # index of the state's picture that it holds, offset


@dataclass(frozen=True)
class Record:
    """One record of a file."""

    kind: int  # RECORD_...
    body: bytes
    offset: int


class SplatvWriter:
    """Writes a file record by record; close() adds the index."""

    def __init__(self, stream: BinaryIO, info: SplatvInfo) -> None:
        """Write the head of a file to a stream open for writing, at its start."""
        self._stream = stream
        self._info = info
        self._index = SplatvIndex()
        self._offset = 0
        self._closed = False
        self._write(MAGIC)
        head: dict[str, object] = {"fps": list(info.fps), "w": info.width_px, "h": info.height_px}
        if info.profile != PROFILE_SPLATS:
            head["profile"] = info.profile
        self._write_record(RECORD_HEADER, pack(head))

    @property
    def size_bytes(self) -> int:
        """Length of the file so far."""
        return self._offset

    def write_epoch(self, record: bytes) -> None:
        """Write an epoch record; its key frame comes next."""
        self._index.epochs.append((self._index.pictures, self._offset))
        self._write_record(RECORD_EPOCH, record)

    def write_frame(self, parts: Sequence[bytes], starts: bool = False) -> None:
        """Write a frame; `starts` says of one without an epoch record that decoding can start at it."""
        if starts:
            self._index.epochs.append((self._index.pictures, self._offset))
        self._write_record(RECORD_FRAME, join_parts(parts))
        self._index.pictures += self._info.pictures_of(parts[0] if parts else b"")

    def write_patch(self, parts: Sequence[bytes]) -> None:
        """Write a patch from nothing to the state after the frame written last."""
        if not self._index.pictures:
            raise StreamStateError("a patch needs a frame before it")
        self._index.patches.append((self._index.pictures - 1, self._offset))
        self._write_record(RECORD_PATCH, pack(list(parts)))

    def close(self) -> None:
        """Write the index, once; the stream stays open."""
        if self._closed:
            return
        self._closed = True
        index = self._index
        start = self._offset
        footer = {
            "pictures": index.pictures,
            "epochs": [list(entry) for entry in index.epochs],
            "patches": [list(entry) for entry in index.patches],
        }
        self._write_record(RECORD_HEADER, pack(footer))
        self._write((self._offset - start).to_bytes(4, "big") + _TAIL)

    def _write(self, data: bytes) -> None:
        """Write bytes and count them."""
        self._stream.write(data)
        self._offset += len(data)

    def _write_record(self, kind: int, body: bytes) -> None:
        """Write one record."""
        if len(body) > MAX_RECORD_BYTES:
            raise StreamStateError(f"a record has at most {MAX_RECORD_BYTES} bytes, got {len(body)}")
        self._write(_serialize_varint(len(body) << _TYPE_BITS | kind) + body)


class SplatvReader:
    """Reads a file; raises BitstreamError where it is none. Records are read as they are asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read head and index of a stream open for reading that can seek; without an index the file is scanned."""
        self._stream = stream
        self._size = stream.seek(0, 2)
        stream.seek(0)
        magic = stream.read(len(MAGIC))
        if magic != MAGIC:
            raise BitstreamError(f"not a .splatv file: expected {MAGIC!r}, got {magic!r}")
        head = self._read_record(len(MAGIC))
        if head is None or head[0].kind != RECORD_HEADER:
            raise BitstreamError("a .splatv file begins with a header record")
        self._first_offset = head[1]
        fields = unpack_map(head[0].body, "file header", MAX_RECORD_BYTES)
        numerator, denominator = integers(fields.get("fps"), range(2, 3), 1, 65535, "fps")
        width, height = (integer(fields.get(name), 1, 4096, name) for name in ("w", "h"))
        profile = fields.get("profile", PROFILE_SPLATS)
        if not isinstance(profile, str) or profile not in (PROFILE_SPLATS, PROFILE_GSVC):
            raise BitstreamError(f"file header: profile {profile!r} is not known here")
        self.info = SplatvInfo((numerator, denominator), width, height, profile)
        self.index = self._read_index() or self._scan()

    def records(self, offset: int | None = None) -> Iterator[Record]:
        """Yield epoch, frame and patch records from an offset of the index on; without one, from the start.

        A record that is cut off at the end raises BitstreamError.
        """
        place = self._first_offset if offset is None else offset
        while (found := self._read_record(place)) is not None:
            record, place = found
            if record.kind == RECORD_HEADER:
                return
            yield record

    def start_for(self, frame_index: int) -> tuple[Record, Record | None, int]:
        """Return where to start for a frame: its epoch record, a patch to apply to it (or none), the index of the frame
        that comes next after these; go on with `records` from the end of the later of the two.
        """
        epoch_index, epoch_offset = self.epoch_for(frame_index)
        epoch = self._record_at(epoch_offset, RECORD_EPOCH)
        patches = [entry for entry in self.index.patches if epoch_index <= entry[0] <= frame_index]
        if not patches:
            return epoch, None, epoch_index
        return epoch, self._record_at(patches[-1][1], RECORD_PATCH), patches[-1][0] + 1

    def epoch_for(self, frame_index: int) -> tuple[int, int]:
        """Return the entry of the index that a frame's epoch has: its key frame's index, the offset where it starts."""
        if not 0 <= frame_index < self.index.pictures:
            raise BitstreamError(f"frames are 0..{self.index.pictures - 1}, got {frame_index}")
        epochs = [entry for entry in self.index.epochs if entry[0] <= frame_index]
        if not epochs:
            raise BitstreamError(f"no epoch begins at or before frame {frame_index}")
        return epochs[-1]

    def end_of(self, record: Record) -> int:
        """Return the offset after a record."""
        return record.offset + len(_serialize_varint(len(record.body) << _TYPE_BITS | record.kind)) + len(record.body)

    @staticmethod
    def patch_parts(record: Record) -> tuple[bytes, ...]:
        """Return the parts of a patch record."""
        parts, _ = unpack_prefix(record.body, "patch record")
        if not isinstance(parts, list) or not parts or not all(isinstance(part, bytes) for part in parts):
            raise BitstreamError("a patch record is a list of parts")
        return tuple(parts)

    def _record_at(self, offset: int, kind: int) -> Record:
        """Return the record that the index says is at an offset."""
        found = self._read_record(offset)
        if found is None or found[0].kind != kind:
            raise BitstreamError(f"the index points to offset {offset}, where no record of type {kind} is")
        return found[0]

    def _read_record(self, offset: int) -> tuple[Record, int] | None:
        """Return the record at an offset and the offset after it, or None at the end of the file."""
        self._stream.seek(offset)
        value, length = 0, 0
        while True:
            byte = self._stream.read(1)
            if not byte:
                if length:
                    raise BitstreamError(f"file truncated in a record's length at offset {offset}")
                return None
            value |= (byte[0] & 0x7F) << 7 * length
            length += 1
            if byte[0] < 0x80:
                break
            if length == _MAX_VARINT_BYTES:
                raise BitstreamError(f"a record's length has at most {_MAX_VARINT_BYTES} bytes, at offset {offset}")
        size, kind = value >> _TYPE_BITS, value & ((1 << _TYPE_BITS) - 1)
        if size > MAX_RECORD_BYTES:
            raise BitstreamError(f"a record has at most {MAX_RECORD_BYTES} bytes, got {size} at offset {offset}")
        end = offset + length + size
        if end > self._size:
            raise BitstreamError(f"file truncated: a record ends at {end}, the file at {self._size}")
        return Record(kind, self._stream.read(size), offset), end

    def _read_index(self) -> SplatvIndex | None:
        """Return what the footer says, or None where there is none."""
        if self._size < self._first_offset + _TAIL_BYTES:
            return None
        self._stream.seek(self._size - _TAIL_BYTES)
        tail = self._stream.read(_TAIL_BYTES)
        start = self._size - _TAIL_BYTES - int.from_bytes(tail[:4], "big")
        if tail[4:] != _TAIL or start < self._first_offset:
            return None
        found = self._read_record(start)
        if found is None or found[0].kind != RECORD_HEADER:
            return None
        fields = unpack_map(found[0].body, "file index", MAX_RECORD_BYTES)
        pictures = integer(fields.get("pictures"), 0, _MAX_PICTURES, "pictures")
        return SplatvIndex(pictures, self._entries(fields, "epochs"), self._entries(fields, "patches"))

    def _entries(self, fields: dict[str, object], name: str) -> list[tuple[int, int]]:
        """Return one list of the index: frame index and offset."""
        entries = fields.get(name)
        if not isinstance(entries, list):
            raise BitstreamError(f"file index: expected a list of {name}, got {type(entries).__name__}")
        pairs = [integers(entry, range(2, 3), 0, max(self._size, _MAX_PICTURES), name) for entry in entries]
        return [(index, offset) for index, offset in pairs]

    def _scan(self) -> SplatvIndex:
        """Return the index of a file without footer; what is cut off at its end is left out."""
        index = SplatvIndex()
        try:
            for record in self.records():
                if record.kind == RECORD_EPOCH:
                    index.epochs.append((index.pictures, record.offset))
                elif record.kind == RECORD_FRAME:
                    if self.info.profile == PROFILE_GSVC and record.body[:1] == _GSVC_KEY:
                        index.epochs.append((index.pictures, record.offset))
                    index.pictures += self.info.pictures_of(record.body)
                elif index.pictures:
                    index.patches.append((index.pictures - 1, record.offset))
        except BitstreamError:
            return index
        return index
