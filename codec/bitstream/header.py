"""The header of a frame part (SPEC section 3)."""

from dataclasses import dataclass

from codec.bitstream.tables import table_set_count
from codec.errors import BitstreamError
from codec.types import EPOCH_MODULUS, NUMBER_MODULUS

__all__ = [
    "FIXED_BYTES",
    "MAX_LAYERS",
    "MAX_PARTS",
    "MAX_PART_BYTES",
    "FrameHeader",
    "parse_header",
    "serialize_header",
]

MAX_PART_BYTES = 1147  # of a part that travels: a datagram less the head of its record
MAX_PARTS = 256
MAX_LAYERS = 4
FIXED_BYTES = 3  # before the part number
_P_BIT, _LAYERED_BIT, _HASH_BIT, _MIDPOINT_BIT, _SPLIT_BIT, _TABLE_SET_MASK = 0x80, 0x40, 0x20, 0x10, 0x08, 0x07


@dataclass(frozen=True)
class FrameHeader:
    """What stands before a part's stream."""

    kind: str  # "key" or "p"
    epoch: int  # modulo 16
    number: int  # modulo 4096
    table_set: int = 0
    midpoint: bool = False
    part: int = 0
    parts: int = 1
    layer: int | None = None  # None: the frame has no layers
    hash16: int | None = None  # part 0 only
    has_hash: bool = False

    @property
    def size_bytes(self) -> int:
        """Length of the header in bytes."""
        return FIXED_BYTES + 2 * (self.parts > 1) + (self.layer is not None) + 2 * (self.hash16 is not None)


def serialize_header(header: FrameHeader) -> bytes:
    """Return the bytes of a header."""
    flags = _P_BIT * (header.kind == "p") | _LAYERED_BIT * (header.layer is not None) | header.table_set
    flags |= _HASH_BIT * header.has_hash | _MIDPOINT_BIT * header.midpoint | _SPLIT_BIT * (header.parts > 1)
    identity = header.epoch % EPOCH_MODULUS * NUMBER_MODULUS + header.number % NUMBER_MODULUS
    made = bytes([flags]) + identity.to_bytes(2, "big")
    if header.parts > 1:
        made += bytes([header.part, header.parts - 1])
    if header.layer is not None:
        made += bytes([header.layer])
    if header.hash16 is not None:
        made += header.hash16.to_bytes(2, "big")
    return made


def parse_header(part: bytes) -> FrameHeader:
    """Read the header of a part; raises BitstreamError where it is truncated or names what does not exist."""
    if len(part) < FIXED_BYTES:
        raise BitstreamError(f"frame truncated: need {FIXED_BYTES} bytes, have {len(part)}")
    flags = part[0]
    split, layered, has_hash = bool(flags & _SPLIT_BIT), bool(flags & _LAYERED_BIT), bool(flags & _HASH_BIT)
    need = FIXED_BYTES + 2 * split + layered
    if len(part) < need:
        raise BitstreamError(f"frame truncated: need {need} bytes, have {len(part)}")
    number, parts = (part[3], part[4] + 1) if split else (0, 1)
    if number >= parts:
        raise BitstreamError(f"part {number} of a frame of {parts} parts")
    if split and parts == 1:
        raise BitstreamError("a split frame has at least 2 parts, got 1")
    layer = part[need - 1] if layered else None
    if layer is not None and layer >= MAX_LAYERS:
        raise BitstreamError(f"layer must be 0..{MAX_LAYERS - 1}, got {layer}")
    hash16 = None
    if has_hash and number == 0:
        if len(part) < need + 2:
            raise BitstreamError(f"frame truncated: need {need + 2} bytes, have {len(part)}")
        hash16 = int.from_bytes(part[need : need + 2], "big")
    table_set = flags & _TABLE_SET_MASK
    if table_set >= table_set_count():
        raise BitstreamError(f"table set must be 0..{table_set_count() - 1}, got {table_set}")
    identity = int.from_bytes(part[1:3], "big")
    return FrameHeader(
        kind="p" if flags & _P_BIT else "key",
        epoch=identity // NUMBER_MODULUS,
        number=identity % NUMBER_MODULUS,
        table_set=table_set,
        midpoint=bool(flags & _MIDPOINT_BIT),
        part=number,
        parts=parts,
        layer=layer,
        hash16=hash16,
        has_hash=has_hash,
    )
