"""P-frames to parts: commands to what is coded, and how blocks are dealt to parts (SPEC sections 3 and 6)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from codec.bitstream.entropy import PlaneCoder, PlaneDecoder, PlaneEncoder
from codec.bitstream.header import MAX_PART_BYTES, MAX_PARTS, FrameHeader, serialize_header
from codec.bitstream.key_frame import check_lattice, layout_splats
from codec.bitstream.syntax import code_births, code_block_range, code_shared, code_updates, update_density
from codec.errors import StreamStateError
from codec.prediction import cell_residuals
from codec.slots import birth_block_guess
from codec.state import apply_shared, known_splats
from codec.types import (
    BLOCK_SLOTS,
    EPOCH_MODULUS,
    FIELDS,
    KIND_ADDITIVE,
    KIND_NORMALISED,
    NUMBER_MODULUS,
    EpochRecord,
    IntArray,
    ParsedCells,
    ParsedPPart,
    PCommands,
    ShiftLevel,
    SplatState,
)

__all__ = ["parse_p_part", "serialize_p"]

_FILL = 0.96  # of a part that is aimed at when its size is guessed
_UPDATE_BYTES, _BIRTH_BYTES, _BLOCK_BYTES = 2.5, 6.0, 0.3  # guesses, of a change, a birth, a block's flags


def serialize_p(
    state: SplatState,
    number: int,
    commands: PCommands,
    table_set: int | None = 0,
    hash16: int | None = None,
    midpoint: bool = False,
    max_part_bytes: int = MAX_PART_BYTES,
    likely_set: int = 0,
) -> tuple[bytes, ...]:
    """Return the parts of a P-frame; `state` is that before the frame and is not changed.

    table_set: None takes the set that codes the frame with the fewest bits; `likely_set` is then what choices between
    codes are made by before that is known, best that of the frame before.
    Raises StreamStateError where commands name what the epoch does not have, or the shared commands alone are
    larger than a part.
    """
    epoch = state.epoch
    _check_commands(epoch, commands)
    whole = _whole_part(state, commands)
    layers = _layers_in_use(epoch, commands)
    shared = PlaneEncoder(likely_set)  # no choice in it depends on the set
    code_shared(shared, epoch, whole)
    part = _for_blocks(epoch, whole, commands.births, *epoch.layer_range(layers[0]))
    coder = _coded(epoch, part, shared, likely_set if table_set is None else table_set, layers[0], False)
    if table_set is None:
        table_set = coder.cheapest_set()
        if table_set != likely_set and update_density(part, table_set) != update_density(part, likely_set):
            coder = _coded(epoch, part, shared, table_set, layers[0], False)
    header = FrameHeader(
        "p",
        epoch.epoch % EPOCH_MODULUS,
        number % NUMBER_MODULUS,
        table_set,
        midpoint,
        hash16=hash16,
        has_hash=hash16 is not None,
    )
    layered = layers != [0]
    bytes_of_all = None
    if len(layers) == 1:
        own = replace(header, layer=layers[0] if layered else None)
        stream = coder.finish(table_set)
        if own.size_bytes + len(stream) <= max_part_bytes:
            return (serialize_header(own) + stream,)
        bytes_of_all = len(stream)
    room = max_part_bytes - header.size_bytes - 2 - layered
    pieces = list(_split(epoch, whole, commands.births, shared.resumed(table_set), layers, room, bytes_of_all))
    if len(pieces) > MAX_PARTS:
        raise StreamStateError(f"a frame has at most {MAX_PARTS} parts, this one needs {len(pieces)}")
    parts = []
    for part_number, (layer, stream) in enumerate(pieces):
        own = replace(header, part=part_number, parts=len(pieces), layer=layer if layered else None)
        parts.append(serialize_header(own if part_number == 0 else replace(own, hash16=None)) + stream)
    return tuple(parts)


def _layers_in_use(epoch: EpochRecord, commands: PCommands) -> list[int]:
    """Return the layers a frame is about: 0 first, and those whose blocks it changes."""
    if len(epoch.layers) == 1:
        return [0]
    slots = np.concatenate([commands.update_slots, commands.death_slots])
    blocks = np.concatenate([slots // BLOCK_SLOTS, commands.births[:, 0]])
    edges = np.cumsum(epoch.layers)
    return sorted({0, *np.searchsorted(edges, blocks, side="right").tolist()})


def _check_commands(epoch: EpochRecord, commands: PCommands) -> None:
    """Raise StreamStateError unless slots and births exist in the epoch and no slot is named twice."""
    slots = np.concatenate([commands.update_slots, commands.death_slots])
    if len(slots) and not (slots.min() >= 0 and slots.max() < epoch.slots):
        raise StreamStateError(f"slots must be 0..{epoch.slots - 1}, got {slots.min()}..{slots.max()}")
    if len(np.unique(slots)) != len(slots):
        raise StreamStateError("a slot is updated or dies twice in one frame")
    if commands.update_deltas.shape != (len(commands.update_slots), 8):
        raise StreamStateError(f"expected {len(commands.update_slots)} x 8 deltas, got {commands.update_deltas.shape}")
    check_lattice(epoch, commands.bulk)
    births = commands.births
    if births.ndim != 2 or births.shape[1] != FIELDS:
        raise StreamStateError(f"expected births of shape [b, {FIELDS}], got {births.shape}")
    low = np.array([0, KIND_NORMALISED, 0, 0, 0], np.int32)
    high = np.array([epoch.blocks - 1, KIND_ADDITIVE, epoch.width_px - 1, epoch.height_px - 1, 7], np.int32)
    wrong = ((births[:, :5] < low) | (births[:, :5] > high)).any(axis=1)
    if not wrong.any() and (np.bincount(births[:, 0], minlength=1) > BLOCK_SLOTS).any():
        raise StreamStateError(f"a block takes at most {BLOCK_SLOTS} births, got {np.bincount(births[:, 0]).max()}")
    if wrong.any():
        raise StreamStateError(f"birth out of range (block, kind, x, y, size): {births[wrong.argmax(), :5].tolist()}")


def _unless_zero(values: IntArray | None) -> IntArray | None:
    """Return the values, or None where they would change nothing."""
    return None if values is None or not values.any() else values


def _whole_part(state: SplatState, commands: PCommands) -> ParsedPPart:
    """Return the commands as one part would code them, but for births; what changes nothing is left out."""
    cells = None
    if commands.cells is not None and any(level.on.any() for level in commands.cells):
        residuals = cell_residuals(state.epoch, state.vectors, commands.cells)
        coarse, middle, fine, finest = (
            ParsedCells(level.on.copy(), residual, np.where(level.on[..., None], level.affine, 0).astype(np.int32))
            for level, residual in zip(commands.cells, residuals, strict=True)
        )
        cells = coarse, middle, fine, finest
    shift64, shift32 = (
        ShiftLevel(level.shifts.copy()) if level is not None and level.shifts.any() else None
        for level in commands.shifts
    )
    changes = commands.update_deltas.any(axis=1)
    part = ParsedPPart(
        part=0,
        layer=0,
        light=_unless_zero(commands.light),
        base_delta=_unless_zero(commands.base_delta),
        affine=_unless_zero(commands.affine),
        affine_shape=commands.affine_shape,
        cells=cells,
        shifts=(shift64, shift32),
        update_slots=commands.update_slots[changes].astype(np.int32),
        update_deltas=commands.update_deltas[changes].astype(np.int32),
        death_slots=commands.death_slots.astype(np.int32),
    )
    if len(commands.bulk):
        after = state.copy()
        apply_shared(after, part)
        part.bulk_layout = layout_splats(
            state.epoch, commands.bulk_block, commands.bulk, after.base, known_splats(after, 0)
        )
    return part


def _for_blocks(epoch: EpochRecord, whole: ParsedPPart, births: IntArray, first: int, blocks: int) -> ParsedPPart:
    """Return the part with only the updates, deaths and births of a range of blocks."""
    low, high = first * BLOCK_SLOTS, (first + blocks) * BLOCK_SLOTS
    updates = (whole.update_slots >= low) & (whole.update_slots < high)
    deaths = (whole.death_slots >= low) & (whole.death_slots < high)
    own = births[(births[:, 0] >= first) & (births[:, 0] < first + blocks)].astype(np.int32)
    if len(own):
        guess = birth_block_guess(epoch, blocks, own[:, 2], own[:, 3])
        own[:, 0] = (own[:, 0] - first - guess + blocks // 2) % blocks - blocks // 2
    return replace(
        whole,
        first_block=first,
        blocks=blocks,
        update_slots=whole.update_slots[updates],
        update_deltas=whole.update_deltas[updates],
        death_slots=whole.death_slots[deaths],
        births=own,
    )


def _coded(
    epoch: EpochRecord, part: ParsedPPart, shared: PlaneEncoder, table_set: int, layer: int, split: bool
) -> PlaneEncoder:
    """Return a coder with all of a part, whose shared commands are coded already; the part is used up."""
    coder = PlaneEncoder(table_set) if part.part else shared.resumed(table_set)
    _code_own(coder, epoch, part, table_set, epoch.layer_range(layer), split)
    return coder


def _code_own(
    coder: PlaneCoder, epoch: EpochRecord, part: ParsedPPart, table_set: int, layer: tuple[int, int], split: bool
) -> None:
    """Code what comes after a part's shared commands, in the order of SPEC section 6."""
    code_block_range(coder, part, layer, split)
    code_updates(coder, part, table_set)
    code_births(coder, epoch, part)


def _guessed_bytes(
    epoch: EpochRecord, whole: ParsedPPart, births: IntArray, shared: PlaneEncoder, bytes_of_all: int | None
) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the size of the shared commands and a guess of what each block's changes take, to cut parts by."""
    shared_bytes = len(shared.finish())
    changed = np.concatenate([whole.update_slots, whole.death_slots]) // BLOCK_SLOTS
    blocks = (np.bincount(changed, minlength=epoch.blocks) * _UPDATE_BYTES + _BLOCK_BYTES).astype(np.float64)
    blocks += np.bincount(births[:, 0], minlength=epoch.blocks) * _BIRTH_BYTES
    if bytes_of_all is not None:
        blocks *= max(bytes_of_all - shared_bytes, 1) / blocks.sum()
    return shared_bytes, blocks


def _split(
    epoch: EpochRecord,
    whole: ParsedPPart,
    births: IntArray,
    shared: PlaneEncoder,
    layers: list[int],
    room: int,
    bytes_of_all: int | None,
) -> Iterator[tuple[int, bytes]]:
    """Yield layer and stream of the parts of a split frame: shared commands first, then ranges of blocks."""
    used, guessed = _guessed_bytes(epoch, whole, births, shared, bytes_of_all)
    part_number = 0
    for layer in layers:
        start, blocks = epoch.layer_range(layer)
        end = start + blocks
        while start < end or part_number == 0:
            least = int(part_number > 0)
            count = max(int(np.searchsorted(guessed[start:end].cumsum(), _FILL * room - used)), least)
            while True:
                part = replace(_for_blocks(epoch, whole, births, start, count), part=part_number)
                stream = _coded(epoch, part, shared, shared.table_set, layer, True).finish()
                if len(stream) <= room:
                    break
                if count == least:
                    what = "one block's changes" if part_number else "the shared commands"
                    raise StreamStateError(f"{what} need {len(stream)} bytes, a part has room for {room}")
                count = max(min(int(count * _FILL * room / len(stream)), count - 1), least)
            yield layer, stream
            part_number, start, used = part_number + 1, start + count, 0


def parse_p_part(decoder: PlaneDecoder, epoch: EpochRecord, header: FrameHeader) -> ParsedPPart:
    """Return what a P part's stream holds; raises BitstreamError."""
    layer = header.layer or 0
    part = ParsedPPart(header.part, layer)
    if part.part == 0:
        code_shared(decoder, epoch, part)
    _code_own(decoder, epoch, part, header.table_set, epoch.layer_range(layer), header.parts > 1)
    return part
