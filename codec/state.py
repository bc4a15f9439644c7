"""Commands applied to the integer state, its hash and its midpoint (SPEC sections 1 and 6.1).

Every command has a defined effect on any state: values saturate, dead slots stay as they are. The functions for single
commands are pure; `apply_frame` puts them together and changes a state in place.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from codec.errors import StreamStateError
from codec.prediction import base_colors_at, cell_vectors, key_values
from codec.quantize import (
    BIRTH_SCALES,
    clamp,
    dequantize_base,
    field_high,
    field_low,
    saturate_base,
    saturate_splats,
    saturate_vectors,
)
from codec.slots import birth_block_guess, deal_slots
from codec.types import (
    BLOCK_FILL,
    BLOCK_SLOTS,
    CELL_LEVELS_PX,
    EPOCH_MODULUS,
    FIELDS,
    KIND_ADDITIVE,
    KIND_DEAD,
    KIND_NORMALISED,
    NUMBER_MODULUS,
    SHIFT_LEVELS_PX,
    EpochRecord,
    IntArray,
    KeyCommands,
    ParsedFrame,
    ParsedKeyPart,
    ParsedPPart,
    SplatState,
)

__all__ = [
    "affine_moved",
    "apply_frame",
    "apply_shared",
    "base_changed",
    "births_placed",
    "bulk_placed",
    "cells_moved",
    "free_slots",
    "known_splats",
    "light_on_base",
    "light_on_splats",
    "midpoint_splats",
    "shifted",
    "state_hash",
    "state_of_part",
    "unwrap_number",
    "updated",
]

_GAIN_LIMITS = -63, 64  # of a cell's luma gain, in 1/64
_LIGHT_GAIN_LIMITS = -255, 256  # of the picture's gain, in 1/256
_OFFSET_LIMIT = 255
_DELTA_LIMIT = 4095  # of updates, base deltas and birth colours, in steps
_AFFINE_LIMIT = 2047
_BASE_DELTA_STEP = 8
_SHIFT_STEP = 6
_CELL_REACH = 8192  # in 1/16 px, farthest from its centre that a cell's affine terms count


def unwrap_number(number: int, last: int) -> int:
    """Return the frame number that equals `number` modulo 4096 and lies nearest to the last one (-1: none yet)."""
    if last < 0:
        return number % NUMBER_MODULUS
    half = NUMBER_MODULUS // 2
    return last + (number - last + half) % NUMBER_MODULUS - half


@lru_cache(maxsize=16)
def _hash_factors(length: int) -> npt.NDArray[np.uint32]:
    """Return the odd factor of each of a state's values."""
    index = np.arange(length, dtype=np.uint32)
    return (index * np.uint32(2654435761) + np.uint32(0x9E3779B9)) | np.uint32(1)


def state_hash(state: SplatState) -> int:
    """Return the 16-bit hash of splats, base and vectors."""
    values = np.concatenate([state.splats.ravel(), state.base.ravel(), state.vectors.ravel()]).view(np.uint32)
    total = int(np.add.reduce(values * _hash_factors(len(values)), dtype=np.uint32))
    return (total ^ total >> 16) & 0xFFFF


def midpoint_splats(before: IntArray, after: IntArray) -> IntArray:
    """Return splats [slots, 9] half way between two states: the mean of slots that live in both with equal kind."""
    both = (before[:, 8] == after[:, 8]) & (after[:, 8] != KIND_DEAD)
    middle = after.copy()
    middle[both, :8] = (before[both, :8] + after[both, :8]) >> 1
    return middle


def apply_frame(state: SplatState, frame: ParsedFrame) -> None:
    """Apply a parsed frame in place; its parts were checked against the state's epoch when they were parsed."""
    if frame.epoch != state.epoch.epoch % EPOCH_MODULUS:
        raise StreamStateError(f"frame of epoch {frame.epoch} (mod 16), state of epoch {state.epoch.epoch}")
    if frame.kind == "key":
        state.splats[:], state.base[:], state.vectors[:] = 0, 0, 0
        known = _apply_key_part(state, frame.key_parts[0], None)
        for key_part in frame.key_parts[1:]:
            _apply_key_part(state, key_part, known)
    for part in frame.p_parts:
        _apply_p_part(state, part)
    state.frame_number = unwrap_number(frame.number, state.frame_number)


def _apply_key_part(state: SplatState, part: ParsedKeyPart, known: IntArray | None) -> IntArray:
    """Set the base and the slots a key part brings, predicted from the known splats too; returns its own, [n, 8]."""
    epoch = state.epoch
    if part.base_levels is not None:
        state.base[:] = dequantize_base(part.base_levels)
    fields = key_values(epoch, state.base, part.classes, part.tile_rows, part.fields, part.residuals, known)
    order, slots = deal_slots(epoch, part.first_block, fields)
    state.splats[slots, :8] = fields[order]
    state.splats[slots, 8] = KIND_NORMALISED
    return fields


def state_of_part(epoch: EpochRecord, number: int, key: KeyCommands) -> SplatState:
    """Return the state after a key frame of one part with these splats, as decoders come to."""
    state = SplatState.empty(epoch)
    state.base[:] = dequantize_base(key.base_levels)
    order, slots = deal_slots(epoch, 0, key.splats)
    state.splats[slots, :8], state.splats[slots, 8] = key.splats[order], KIND_NORMALISED
    state.frame_number = number
    return state


def _apply_p_part(state: SplatState, part: ParsedPPart) -> None:
    """Apply one part: what is shared and new splats in bulk (part 0 only), updates, deaths, births."""
    splats = state.splats
    if part.part == 0:
        apply_shared(state, part)
    if part.bulk is not None:
        slots, grown = bulk_placed(state, part.bulk)
        splats[slots, :8], splats[slots, 8] = grown, KIND_NORMALISED
    if len(part.update_slots):
        splats[part.update_slots] = updated(state.epoch, splats[part.update_slots], part.update_deltas)
    splats[part.death_slots] = 0
    if len(part.births):
        slots, born = births_placed(state, part)
        splats[slots] = born


def known_splats(state: SplatState, layer: int) -> IntArray:
    """Return the live splats [m, 9] of the normalised kind in layers 0 to `layer`: others are predicted from them."""
    first, blocks = state.epoch.layer_range(layer)
    splats = state.splats[: (first + blocks) * BLOCK_SLOTS]
    return np.asarray(splats[splats[:, 8] == KIND_NORMALISED], np.int32)


def bulk_placed(state: SplatState, part: ParsedKeyPart) -> tuple[IntArray, IntArray]:
    """Return the slots [n] that new splats find, dead ones that key frames fill, and their values [n, 8]."""
    epoch = state.epoch
    known = known_splats(state, part.layer)
    fields = key_values(epoch, state.base, part.classes, part.tile_rows, part.fields, part.residuals, known)
    order, _ = deal_slots(epoch, part.first_block, fields)
    free = free_slots(state, part.layer, part.first_block)[: len(order)]
    return free, fields[order[: len(free)]]


def free_slots(state: SplatState, layer: int, first_block: int) -> IntArray:
    """Return the slots [m] that new splats may take: dead ones among those that key frames fill, from a block on."""
    first, blocks = state.epoch.layer_range(layer)
    slots = np.arange(first_block * BLOCK_SLOTS, (first + blocks) * BLOCK_SLOTS, dtype=np.int32)
    free: IntArray = slots[(slots % BLOCK_SLOTS < BLOCK_FILL) & (state.splats[slots, 8] == KIND_DEAD)]
    return free


def apply_shared(state: SplatState, part: ParsedPPart) -> None:
    """Apply light, base deltas, affine, cells and shifts in place."""
    epoch = state.epoch
    live = state.splats[:, 8].nonzero()[0]
    splats = state.splats[live]
    if part.light is not None:
        splats, state.base[:] = light_on_splats(epoch, splats, part.light), light_on_base(state.base, part.light)
    if part.base_delta is not None:
        state.base[:] = base_changed(state.base, part.base_delta)
    if part.affine is not None:
        splats = affine_moved(epoch, splats, part.affine, part.affine_shape)
    if part.cells is None:
        state.vectors[:] = 0
    else:
        vectors, sums = cell_vectors(epoch, state.vectors, part.cells)
        x, y = splats[:, 0].copy(), splats[:, 1].copy()
        for cell_px, cells, moved_by in zip(CELL_LEVELS_PX, part.cells, vectors, strict=True):
            if cells.on.any():
                x, y = cells_moved(epoch, x, y, cell_px, moved_by, cells.affine)
        splats[:, 0], splats[:, 1] = x, y
        state.vectors[:] = saturate_vectors(sums)
    for cell_px, shift in zip(SHIFT_LEVELS_PX, part.shifts, strict=True):
        if shift is not None:
            splats = shifted(epoch, splats, cell_px, shift.shifts)
    state.splats[live] = splats


def _with_fields(epoch: EpochRecord, splats: IntArray, fields: IntArray) -> IntArray:
    """Return splats [n, 9] with saturated fields [n, 8] and the kinds they had."""
    return np.column_stack([saturate_splats(epoch, fields), splats[:, 8]])


def light_on_splats(epoch: EpochRecord, splats: IntArray, light: IntArray) -> IntArray:
    """Return live splats [n, 9] after a light command [4]; offsets leave additive ones alone."""
    gain = clamp(light[:1], *_LIGHT_GAIN_LIMITS)
    offsets = 4 * clamp(light[1:], -_OFFSET_LIMIT, _OFFSET_LIMIT)
    fields = splats[:, :8].copy()
    fields[:, 5:8] += gain * fields[:, 5:8] + 128 >> 8
    fields[:, 5:8] += offsets * (splats[:, 8:] == KIND_NORMALISED)
    return _with_fields(epoch, splats, fields)


def light_on_base(base: IntArray, light: IntArray) -> IntArray:
    """Return the base [3, bh, bw] after a light command [4]."""
    lit = base + 4 * clamp(light[1:], -_OFFSET_LIMIT, _OFFSET_LIMIT)[:, None, None]
    lit += clamp(light[:1], *_LIGHT_GAIN_LIMITS) * base + 128 >> 8
    return saturate_base(lit)


def base_changed(base: IntArray, deltas: IntArray) -> IntArray:
    """Return the base [3, bh, bw] after deltas [3, bh, bw] in 2/255."""
    return saturate_base(base + _BASE_DELTA_STEP * clamp(deltas, -_DELTA_LIMIT, _DELTA_LIMIT))


def affine_moved(epoch: EpochRecord, splats: IntArray, affine: IntArray, with_shape: bool) -> IntArray:
    """Return live splats [n, 9] after a global affine [6] about the picture's middle."""
    a, b, c, d = (int(term) for term in clamp(affine[:4], -_AFFINE_LIMIT, _AFFINE_LIMIT))
    tx, ty = (int(term) for term in clamp(affine[4:], -_AFFINE_LIMIT - 1, _AFFINE_LIMIT))
    fields = splats[:, :8].copy()
    dx = splats[:, 0] - 8 * epoch.width_px
    dy = splats[:, 1] - 8 * epoch.height_px
    fields[:, 0] += (a * dx + b * dy >> 12) + 2 * tx
    fields[:, 1] += (c * dx + d * dy >> 12) + 2 * ty
    if with_shape:
        turn = c - b
        fields[:, 2] += a + d >> 7
        fields[:, 3] += -(turn * splats[:, 4] >> 12)
        fields[:, 4] += turn * splats[:, 3] >> 12
    return _with_fields(epoch, splats, fields)


def _cells_of(epoch: EpochRecord, x: IntArray, y: IntArray, cell_px: int) -> tuple[IntArray, IntArray]:
    """Return the row and column [n] of the cells that means are in."""
    shift = cell_px.bit_length() - 1
    rows = clamp(y >> 4, 0, epoch.height_px - 1) >> shift
    columns = clamp(x >> 4, 0, epoch.width_px - 1) >> shift
    return rows, columns


def cells_moved(
    epoch: EpochRecord, x: IntArray, y: IntArray, cell_px: int, vectors: IntArray, affine: IntArray
) -> tuple[IntArray, IntArray]:
    """Return means x, y [n] of live splats after a level of cells: vectors [rows, columns, 2], affine [.., .., 4]."""
    rows, columns = _cells_of(epoch, x, y, cell_px)
    moves = 4 * vectors[rows, columns]
    moved_x, moved_y = x + moves[:, 0], y + moves[:, 1]
    if affine.any():
        dx = clamp(x - 16 * (columns * cell_px + cell_px // 2), -_CELL_REACH, _CELL_REACH - 1)
        dy = clamp(y - 16 * (rows * cell_px + cell_px // 2), -_CELL_REACH, _CELL_REACH - 1)
        a, b, c, d = clamp(affine, _GAIN_LIMITS[0], -_GAIN_LIMITS[0])[rows, columns].T
        moved_x += a * dx + b * dy >> 6
        moved_y += c * dx + d * dy >> 6
    low, high = field_low(), field_high(epoch)
    return clamp(moved_x, int(low[0]), int(high[0])), clamp(moved_y, int(low[1]), int(high[1]))


def shifted(epoch: EpochRecord, splats: IntArray, cell_px: int, shifts: IntArray) -> IntArray:
    """Return live splats [n, 9] after shifts [rows, columns, 4] of one level; additive ones take the gain only."""
    own = shifts[_cells_of(epoch, splats[:, 0], splats[:, 1], cell_px)]
    offsets = _SHIFT_STEP * clamp(own[:, 1:], -_OFFSET_LIMIT, _OFFSET_LIMIT)
    fields = splats[:, :8].copy()
    fields[:, 5] += clamp(own[:, 0], *_GAIN_LIMITS) * fields[:, 5] >> 6
    fields[:, 5:8] += offsets * (splats[:, 8:] == KIND_NORMALISED)
    return _with_fields(epoch, splats, fields)


def updated(epoch: EpochRecord, splats: IntArray, deltas: IntArray) -> IntArray:
    """Return splats [n, 9] after deltas [n, 8] in steps; dead ones stay as they are."""
    steps = epoch.steps
    shape, chroma = steps.shape, steps.chroma
    sizes = np.array([steps.mean, steps.mean, shape, shape, shape, steps.luma, chroma, chroma], np.int32)
    moved = splats[:, :8] + clamp(deltas, -_DELTA_LIMIT, _DELTA_LIMIT) * sizes
    return np.where(splats[:, 8:] == KIND_DEAD, splats, _with_fields(epoch, splats, moved))


def births_placed(state: SplatState, part: ParsedPPart) -> tuple[IntArray, IntArray]:
    """Return the slots [n] of a part's births and their values [n, 9]; those into full blocks are left out."""
    epoch, births = state.epoch, part.births
    x_px, y_px = births[:, 2], births[:, 3]
    guess = birth_block_guess(epoch, part.blocks, x_px, y_px)
    blocks = (part.first_block + (guess + births[:, 0]) % part.blocks).tolist()
    free: dict[int, list[int]] = {}
    slots = np.full(len(births), -1, np.int32)
    for birth, block in enumerate(blocks):
        if block not in free:
            kinds = state.splats[block * BLOCK_SLOTS : (block + 1) * BLOCK_SLOTS, 8]
            free[block] = (kinds == KIND_DEAD).nonzero()[0][::-1].tolist()
        if free[block]:
            slots[birth] = block * BLOCK_SLOTS + free[block].pop()
    born = np.zeros((len(births), FIELDS), np.int32)
    born[:, 0], born[:, 1] = 16 * x_px, 16 * y_px
    born[:, 2] = BIRTH_SCALES[births[:, 4]]
    steps = np.array([epoch.steps.luma, epoch.steps.chroma, epoch.steps.chroma], np.int32)
    born[:, 5:8] = clamp(births[:, 5:8], -_DELTA_LIMIT, _DELTA_LIMIT) * steps
    kinds = births[:, 1]
    born[:, 5:8] += base_colors_at(epoch, state.base, x_px, y_px) * (kinds[:, None] != KIND_ADDITIVE)
    born[:, :8] = saturate_splats(epoch, born[:, :8])
    born[:, 8] = kinds
    return slots[slots >= 0], born[slots >= 0]
