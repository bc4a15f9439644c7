"""Patches: absolute values that bring a state to that of a frame, part by part in any order (SPEC section 7)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codec.bitstream.entropy import PlaneCoder, PlaneDecoder, PlaneEncoder
from codec.bitstream.frame import MAX_PARSED_PART_BYTES
from codec.bitstream.header import MAX_PART_BYTES, MAX_PARTS
from codec.bitstream.msgpack_fields import integer, integers, pack, unpack_prefix
from codec.bitstream.tables import WIDE_NAMES
from codec.errors import BitstreamError, StreamStateError
from codec.quantize import saturate_base, saturate_splats, saturate_vectors
from codec.state import state_hash
from codec.types import FIELDS, EpochRecord, IntArray, SplatState

__all__ = ["ParsedPatchPart", "apply_patch_part", "make_patch", "parse_patch_part", "patch_heads"]

PATCH_VERSION = 1
_HEAD_FIELDS = 7
_KINDS = 3
_FIELD_LABELS = WIDE_NAMES[WIDE_NAMES.index("patch_x") : WIDE_NAMES.index("patch_cr") + 1]
_GUESSED_BITS = {"base": 5.0, "vectors": 1.0, "slots": 52.0}  # of an item, to size parts by
_FILL = 0.96


@dataclass
class ParsedPatchPart:
    """One part of a patch."""

    epoch: int
    since: int  # frame number modulo 65536, or -1
    number: int  # of the frame whose state the patch leads to, modulo 65536
    part: int
    parts: int
    hash16: int
    base_first: int
    base: IntArray  # [m] samples from base_first on, flattened
    vector_first: int
    vectors: IntArray  # [m] values from vector_first on, flattened
    slots: IntArray  # [n] ascending
    splats: IntArray  # [n, 9]


@dataclass
class _Content:
    """What the stream of a part codes; for decoding, empty."""

    base_first: int
    base: IntArray
    vector_first: int
    vectors: IntArray
    slots: IntArray
    splats: IntArray


def make_patch(
    state: SplatState,
    last_changed: npt.NDArray[np.int64] | None,
    since: int,
    max_part_bytes: int = MAX_PART_BYTES,
) -> tuple[bytes, ...]:
    """Return the parts of a patch from frame `since` (-1: from nothing) to the state.

    last_changed: [slots] number of the frame that changed each slot last; needed unless `since` is -1.
    """
    if since < 0:
        live = state.splats[:, 8].nonzero()[0]
        slots = live[np.argsort(-state.splats[live, 2], kind="stable")]
    elif last_changed is None or last_changed.shape != (state.epoch.slots,):
        raise StreamStateError(f"a patch from frame {since} needs last_changed of {state.epoch.slots} slots")
    else:
        slots = (last_changed > since).nonzero()[0]
    hash16 = state_hash(state)
    since = since & 0xFFFF if since >= 0 else -1
    head = [PATCH_VERSION, state.epoch.epoch, since, state.frame_number & 0xFFFF, MAX_PARTS - 1, MAX_PARTS, hash16]
    streams = _streams(state, slots.astype(np.int32), max_part_bytes - len(pack(head)))
    if len(streams) > MAX_PARTS:
        raise StreamStateError(f"a patch has at most {MAX_PARTS} parts, this one needs {len(streams)}")
    return tuple(pack([*head[:4], part, len(streams), hash16]) + stream for part, stream in enumerate(streams))


def _streams(state: SplatState, slots: IntArray, room: int) -> list[bytes]:
    """Return the streams of the parts: base, vectors, then slots in the given order, as many as fit in each."""
    sizes = {"base": state.base.size, "vectors": state.vectors.size, "slots": len(slots)}
    bits = np.concatenate([np.full(size, _GUESSED_BITS[name]) for name, size in sizes.items()])
    ends = np.cumsum(bits)
    scale, start, streams = _FILL, 0, list[bytes]()
    while start < len(ends):
        used = ends[start - 1] if start else 0.0
        stop = max(int(np.searchsorted(ends, used + scale * room * 8)), start + 1)
        stream = _encode(_content(state, slots, start, stop))
        if len(stream) > room:
            if stop == start + 1:
                raise StreamStateError(f"one value of a patch needs {len(stream)} bytes, a part has room for {room}")
            scale *= min(_FILL * room / len(stream), _FILL)
            continue
        streams.append(stream)
        start = stop
        scale = min(max(scale, _FILL * scale * room / max(len(stream), room // 4)), 2.0)
    return streams


def _content(state: SplatState, slots: IntArray, start: int, stop: int) -> _Content:
    """Return items start..stop of base, vectors and slots strung together."""
    base_end, vector_end = state.base.size, state.base.size + state.vectors.size
    base_first, base_stop = min(start, base_end), min(stop, base_end)
    vector_first = min(max(start, base_end), vector_end) - base_end
    vector_stop = min(max(stop, base_end), vector_end) - base_end
    own = np.sort(slots[max(start - vector_end, 0) : max(stop - vector_end, 0)])
    return _Content(
        base_first,
        state.base.reshape(-1)[base_first:base_stop],
        vector_first,
        state.vectors.reshape(-1)[vector_first:vector_stop],
        own,
        state.splats[own],
    )


def _encode(content: _Content) -> bytes:
    """Return the stream of a part."""
    coder = PlaneEncoder(0)
    heads = [content.base_first, len(content.base), content.vector_first, len(content.vectors), len(content.slots)]
    coder.wide("indices", np.array(heads, np.int32))
    _code_values(coder, content)
    return coder.finish()


def _code_values(coder: PlaneCoder, content: _Content) -> None:
    """Code what follows the counts; sums of decoded differences stay exact in 64 bits and saturate."""
    content.base = _code_differences(coder, "patch_base", content.base)
    content.vectors = coder.wides("patch_vectors", content.vectors)
    gaps = coder.wide("patch_gap", np.diff(content.slots, prepend=np.int32(-1)) - 1)
    content.slots = _narrowed(np.cumsum(gaps.astype(np.int64) + 1) - 1)
    content.splats = content.splats.copy()
    content.splats[:, 8] = coder.uniform("patch_kind", _KINDS, content.splats[:, 8])
    live = content.splats[:, 8].nonzero()[0]
    for column, label in enumerate(_FIELD_LABELS):
        content.splats[live, column] = _code_differences(coder, label, content.splats[live, column])


def _code_differences(coder: PlaneCoder, label: str, values: IntArray) -> IntArray:
    """Code values [n], each minus the one before."""
    differences = coder.wides(label, np.diff(values, prepend=np.int32(0)))
    return _narrowed(np.cumsum(differences, dtype=np.int64))


def _narrowed(values: npt.NDArray[np.int64]) -> IntArray:
    """Return values in 32 bits; those beyond are beyond every range anyway."""
    return np.clip(values, -(1 << 30), 1 << 30).astype(np.int32)


def parse_patch_part(data: bytes, epoch: EpochRecord, listener: PlaneCoder | None = None) -> ParsedPatchPart:
    """Return what a patch part holds; raises BitstreamError. A listener is told every symbol."""
    head, length = _parse_head(data)
    number, since, to, part, parts, hash16 = head
    if number != epoch.epoch:
        raise BitstreamError(f"patch of epoch {number}, expected {epoch.epoch}")
    decoder = PlaneDecoder(data[length:], 0, listener)
    base_first, base_count, vector_first, vector_count, slot_count = decoder.wide(
        "indices", np.zeros(5, np.int32)
    ).tolist()
    limits = int(np.prod(epoch.base_shape)), int(np.prod(epoch.vectors_shape)), epoch.slots
    ends = base_first + base_count, vector_first + vector_count, slot_count
    if any(end > limit for end, limit in zip(ends, limits, strict=True)):
        raise BitstreamError(f"patch: samples, vectors, slots end at {ends}, the epoch's at {limits}")
    room = [np.zeros(count, np.int32) for count in (base_count, vector_count)]
    content = _Content(
        base_first,
        room[0],
        vector_first,
        room[1],
        np.zeros(slot_count, np.int32),
        np.zeros((slot_count, FIELDS), np.int32),
    )
    _code_values(decoder, content)
    if slot_count and content.slots[-1] >= epoch.slots:
        raise BitstreamError(f"patch: slots must be below {epoch.slots}, got {content.slots[-1]}")
    content.splats[:, :8] = saturate_splats(epoch, content.splats[:, :8]) * (content.splats[:, 8:] != 0)
    return ParsedPatchPart(
        number, since, to, part, parts, hash16,
        base_first, content.base, vector_first, content.vectors, content.slots, content.splats,
    )  # fmt: skip


def _parse_head(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return epoch, since, number, part, parts, hash of a patch part, and the head's length."""
    if len(data) > MAX_PARSED_PART_BYTES:
        raise BitstreamError(f"a patch part has at most {MAX_PARSED_PART_BYTES} bytes, got {len(data)}")
    value, length = unpack_prefix(data[:64], "patch")
    fields = integers(value, range(_HEAD_FIELDS, _HEAD_FIELDS + 1), -1, 65535, "patch head")
    if fields[0] != PATCH_VERSION:
        raise BitstreamError(f"patch: expected version {PATCH_VERSION}, got {fields[0]}")
    integer(fields[5], 1, MAX_PARTS, "patch parts")
    integer(fields[4], 0, fields[5] - 1, "patch part")
    for place in (1, 3, 6):
        integer(fields[place], 0, 65535, "patch head")
    return fields[1:], length


def patch_heads(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Return epoch, since, number, part, parts and hash of a patch part without reading its stream."""
    epoch, since, number, part, parts, hash16 = _parse_head(data)[0]
    return epoch, since, number, part, parts, hash16


def apply_patch_part(state: SplatState, part: ParsedPatchPart) -> None:
    """Replace what a patch part names; the caller sets the frame number when the patch is complete."""
    base, vectors = state.base.reshape(-1), state.vectors.reshape(-1)
    base[part.base_first : part.base_first + len(part.base)] = part.base
    state.base[:] = saturate_base(state.base)
    vectors[part.vector_first : part.vector_first + len(part.vectors)] = part.vectors
    state.vectors[:] = saturate_vectors(state.vectors)
    state.splats[part.slots] = part.splats
