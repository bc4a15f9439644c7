"""Key frames to parts: which splats go into which part, and its bytes (SPEC section 5)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codec.bitstream.entropy import PlaneDecoder, PlaneEncoder
from codec.bitstream.header import MAX_PART_BYTES, MAX_PARTS, FrameHeader, serialize_header
from codec.bitstream.key_syntax import code_key_part, empty_layout, layout_key_part
from codec.bitstream.tables import table_set_count
from codec.errors import StreamStateError
from codec.prediction import key_residuals
from codec.quantize import dequantize_base, key_steps, saturate_splats, size_class
from codec.slots import KEY_CELL_PX, blocks_for, cell_ranks
from codec.types import (
    EPOCH_MODULUS,
    NUMBER_MODULUS,
    BoolArray,
    EpochRecord,
    FloatArray,
    IntArray,
    KeyCommands,
    KeyLayout,
    ParsedKeyPart,
)

__all__ = ["check_lattice", "layout_splats", "parse_key_part", "serialize_key", "serialize_lead"]

_GUESSED_BITS = 34.0  # of a splat, before any part has been coded
_LEAST_BITS = 20.0  # of a splat: more than a part holds at these are not tried
_FILL = 0.96  # of a part that is aimed at when its size is guessed from another's
_LEAD_FILL = 0.985  # likewise, where there is one part only


def serialize_key(
    epoch: EpochRecord,
    number: int,
    commands: KeyCommands,
    table_set: int | None = 0,
    hash16: int | None = None,
    max_part_bytes: int = MAX_PART_BYTES,
    layers: IntArray | None = None,
) -> tuple[bytes, ...]:
    """Return the parts of a key frame.

    table_set: None takes the set that codes the frame with the fewest bits, as it is cut into parts by set 0.
    layers: [n] layer of each splat; without it all are in layer 0.
    Raises StreamStateError where splats are off the key lattice or do not fit into the epoch or the parts.
    """
    _check_commands(epoch, commands)
    layered = layers is not None and bool(layers.any())
    if layers is None or not layered:
        layers = np.zeros(len(commands.splats), np.int32)
    header = FrameHeader(
        "key",
        epoch.epoch % EPOCH_MODULUS,
        number % NUMBER_MODULUS,
        table_set or 0,
        hash16=hash16,
        has_hash=hash16 is not None,
    )
    room = max_part_bytes - header.size_bytes - 2 - layered
    pieces, set_bits = _pieces(epoch, commands, header.table_set, room, layers)
    if table_set is None and set_bits.argmin() != header.table_set:
        header = replace(header, table_set=int(set_bits.argmin()))
        pieces, _ = _pieces(epoch, commands, header.table_set, room, layers)
    if len(pieces) > MAX_PARTS:
        raise StreamStateError(f"a key frame has at most {MAX_PARTS} parts, this one needs {len(pieces)}")
    parts = []
    for part, (layer, stream) in enumerate(pieces):
        own = replace(header, part=part, parts=len(pieces), layer=layer if layered else None)
        parts.append(serialize_header(own if part == 0 else replace(own, hash16=None)) + stream)
    return tuple(parts)


def serialize_lead(
    epoch: EpochRecord, number: int, commands: KeyCommands, max_part_bytes: int = MAX_PART_BYTES
) -> tuple[bytes, BoolArray]:
    """Return a key frame of one part, of the base and the coarsest splats as far as they fit, and which these are [n].

    It is coded by the table set that takes the fewest bits. Raises StreamStateError as `serialize_key` does.
    """
    _check_commands(epoch, commands)
    header = FrameHeader("key", epoch.epoch % EPOCH_MODULUS, number % NUMBER_MODULUS, 0)
    room = max_part_bytes - header.size_bytes
    writer = _LayerWriter(epoch, 0, 0, room, commands.base_levels, np.zeros((0, 8), np.int32))
    order = np.argsort(-commands.splats[:, 2], kind="stable")
    count = len(order)
    while True:
        coder = writer.coded(commands.splats[order[:count]], with_base=True)
        table_set = coder.cheapest_set()
        stream = coder.finish(table_set)
        if len(stream) <= room:
            break
        if not count:
            raise StreamStateError(f"the base needs {len(stream)} bytes, a part has room for {room}")
        count = min(int(count * _LEAD_FILL * room / len(stream)), count - 1)
    kept = np.zeros(len(order), np.bool_)
    kept[order[:count]] = True
    return serialize_header(replace(header, table_set=table_set)) + stream, kept


def _pieces(
    epoch: EpochRecord, commands: KeyCommands, table_set: int, room: int, layers: IntArray
) -> tuple[list[tuple[int, bytes]], FloatArray]:
    """Return layer and stream of each part, and what all of them take by each table set, in bits [sets]."""
    pieces: list[tuple[int, bytes]] = []
    known = np.zeros((0, 8), np.int32)
    set_bits = np.zeros(table_set_count(), np.float32)
    for layer in range(int(layers.max(initial=0)) + 1):
        own = layers == layer
        writer = _LayerWriter(epoch, layer, table_set, room, commands.base_levels, known)
        splats = commands.splats[own]
        streams = writer.rest(splats) if layer else writer.all(splats, _lead_order(commands, own))
        for stream in streams:
            pieces.append((layer, stream))
            set_bits += writer.set_bits
        known = writer.known
    return pieces, set_bits


def _check_commands(epoch: EpochRecord, commands: KeyCommands) -> None:
    """Raise StreamStateError unless the commands are what a key frame can code."""
    splats = commands.splats
    if splats.ndim != 2 or splats.shape[1] != 8 or commands.base_levels.shape != epoch.base_shape:
        raise StreamStateError(
            f"expected splats [n, 8] and base levels {epoch.base_shape},"
            f" got {splats.shape} and {commands.base_levels.shape}"
        )
    check_lattice(epoch, splats)


def check_lattice(epoch: EpochRecord, splats: IntArray) -> None:
    """Raise StreamStateError unless splats [n, 8] are on the key lattice and inside of the grid of 64 px cells."""
    if not len(splats):
        return
    off_lattice = (splats % key_steps(epoch, size_class(splats[:, 2]))).any(axis=1)
    beyond = (saturate_splats(epoch, splats) != splats).any(axis=1)
    rows, columns = epoch.grid(KEY_CELL_PX)
    ends = np.array([columns, rows]) * 16 * KEY_CELL_PX
    beyond |= ((splats[:, :2] < 0) | (splats[:, :2] >= ends)).any(axis=1)
    if off_lattice.any() or beyond.any():
        worst = splats[(off_lattice | beyond).argmax()].tolist()
        raise StreamStateError(f"a splat is off the key lattice or beyond its ranges: {worst}")


def _lead_order(commands: KeyCommands, own: BoolArray) -> tuple[IntArray, int]:
    """Return a layer's splats by their claim on part 0, the coarse ones of the lead first, and how many have one."""
    splats = commands.splats[own]
    if commands.lead is None:
        return np.argsort(-splats[:, 2], kind="stable").astype(np.int32), len(splats)
    lead = commands.lead[own]
    return np.lexsort((-splats[:, 2], ~lead)).astype(np.int32), int(lead.sum())


class _LayerWriter:
    """Cuts one layer's splats into parts: the lead of the frame, then along the Hilbert curve of 64 px cells."""

    def __init__(
        self,
        epoch: EpochRecord,
        layer: int,
        table_set: int,
        room: int,
        base_levels: IntArray,
        known: IntArray,
    ) -> None:
        """Start at the layer's first block; `room`: bytes of a part's stream; `known`: [m, 8] splats of part 0."""
        self._epoch, self._layer, self._table_set, self._room = epoch, layer, table_set, room
        self._base_levels = base_levels
        self._base = dequantize_base(base_levels)
        self.known = known
        self.set_bits = np.zeros(table_set_count(), np.float32)  # of the last stream, by table set
        first, blocks = epoch.layer_range(layer)
        self._next_block, self._end_block = first, first + blocks

    def all(self, splats: IntArray, lead_order: tuple[IntArray, int]) -> Iterator[bytes]:
        """Yield the streams of layer 0: one where all fits into it, else first that of the lead."""
        if len(splats) * _LEAST_BITS < 8 * self._room:
            stream = self._encode(splats, with_base=True)
            if len(stream) <= self._room:
                yield stream
                return
        order, count = lead_order
        count = min(count, int(8 * self._room / _LEAST_BITS))
        while True:
            lead = splats[order[:count]]
            stream = self._encode(lead, with_base=True)
            if len(stream) <= self._room:
                break
            if not count:
                raise StreamStateError(f"the base needs {len(stream)} bytes, a part has room for {self._room}")
            count = min(int(count * _FILL * self._room / len(stream)), count - 1)
        yield stream
        self._next_block += blocks_for(count)
        self.known = lead
        yield from self.rest(splats[order[count:]])

    def rest(self, splats: IntArray) -> Iterator[bytes]:
        """Yield the streams of parts other than 0, in order."""
        rank = cell_ranks(self._epoch.width_px, self._epoch.height_px)[splats[:, 1] >> 10, splats[:, 0] >> 10]
        order = np.argsort(rank, kind="stable")
        splats, rank = splats[order], rank[order]
        start, count = 0, min(int(8 * _FILL * self._room / _GUESSED_BITS), len(splats))
        while start < len(splats):
            stream = self._encode(splats[start : start + count], with_base=False)
            if len(stream) <= self._room:
                yield stream
                self._next_block += blocks_for(count)
                start += count
                count = self._fitting(rank[start:], int(count * _FILL * self._room / max(len(stream), 1)))
            else:
                shrunk = min(int(count * _FILL * self._room / len(stream)), count - 1)
                if not shrunk:
                    raise StreamStateError(f"a splat needs {len(stream)} bytes, a part has room for {self._room}")
                count = self._fitting(rank[start:], shrunk)

    @staticmethod
    def _fitting(rank: IntArray, count: int) -> int:
        """Return about so many of the splats with these ranks, ending at a cell's end where that costs little."""
        count = max(count, 1)
        if count >= len(rank):
            return len(rank)
        whole_cells = int(np.searchsorted(rank, rank[count]))
        return whole_cells if 2 * whole_cells > count else count

    def _encode(self, splats: IntArray, with_base: bool) -> bytes:
        """Return the stream of a part with these splats."""
        coder = self.coded(splats, with_base)
        self.set_bits = coder.set_bits().astype(np.float32)
        return coder.finish()

    def coded(self, splats: IntArray, with_base: bool) -> PlaneEncoder:
        """Return a coder with all of a part with these splats."""
        if self._next_block + blocks_for(len(splats)) > self._end_block and len(splats):
            raise StreamStateError(
                f"{len(splats)} splats do not fit into blocks {self._next_block}..{self._end_block}"
                f" of layer {self._layer}"
            )
        layout = layout_splats(self._epoch, self._next_block, splats, self._base, self.known)
        coder = PlaneEncoder(self._table_set)
        levels = self._base_levels if with_base else None
        code_key_part(coder, self._epoch, with_base, self._layer, levels, layout)
        return coder


def layout_splats(epoch: EpochRecord, first_block: int, splats: IntArray, base: IntArray, known: IntArray) -> KeyLayout:
    """Lay splats [n, 8] of the key lattice out, residuals included; base and known as of `key_residuals`."""
    first_cell, cells = 0, 0
    if len(splats):
        rank = cell_ranks(epoch.width_px, epoch.height_px)[splats[:, 1] >> 10, splats[:, 0] >> 10]
        first_cell, cells = int(rank.min()), int(rank.max() - rank.min()) + 1
    layout, order, tile_rows = layout_key_part(epoch, first_cell, cells, first_block, splats)
    ordered = splats[order]
    classes = size_class(ordered[:, 2])
    layout.residuals = key_residuals(epoch, base, classes, tile_rows, ordered, known)
    return layout


def parse_key_part(decoder: PlaneDecoder, epoch: EpochRecord, header: FrameHeader) -> ParsedKeyPart:
    """Return what a key part's stream holds; raises BitstreamError."""
    layout = empty_layout()
    part = code_key_part(decoder, epoch, header.part == 0, header.layer or 0, None, layout)
    part.part = header.part
    return part
