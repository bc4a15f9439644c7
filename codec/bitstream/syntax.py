"""The planes of a P part, in their order (SPEC section 6); written once for encoding and decoding.

A coder takes the values of a plane and returns them. When it decodes, it looks at the shape only and returns what
the stream holds: so every function here takes a part that is filled or one with room, and leaves it filled.
"""

import numpy as np

from codec.bitstream.entropy import Contexts, PlaneCoder
from codec.bitstream.key_syntax import code_key_part, empty_layout
from codec.bitstream.tables import cost_tables
from codec.errors import BitstreamError
from codec.types import (
    BLOCK_FILL,
    BLOCK_SLOTS,
    CELL_LEVELS_PX,
    FIELDS,
    KIND_NORMALISED,
    SHIFT_LEVELS_PX,
    BoolArray,
    EpochRecord,
    FloatArray,
    IntArray,
    ParsedCells,
    ParsedPPart,
    ShiftLevel,
)

__all__ = ["code_births", "code_block_range", "code_shared", "code_updates", "update_density"]

_PRESENT_FLAGS, _RESERVED_FLAGS = 8, 1
_MEAN_BIT, _SHAPE_BIT, _LUMA_BIT, _CHROMA_BIT = 8, 4, 2, 1
_DENSITIES = 4
_SLOT_MEMORY = 4  # slots before this one that its flag's context looks at
_BIRTH_SIZES = 8


def _zeros(*shape: int) -> IntArray:
    """Return room for decoded values."""
    return np.zeros(shape, np.int32)


def code_shared(coder: PlaneCoder, epoch: EpochRecord, part: ParsedPPart) -> None:
    """Code the commands of part 0: those that touch the whole state, and new splats in bulk."""
    commands = (part.light, part.base_delta, part.affine, part.cells, *part.shifts, part.bulk_layout)
    flags = np.array([command is not None for command in commands] + [False] * _RESERVED_FLAGS, np.int32)
    flags = coder.table("present", np.arange(_PRESENT_FLAGS), flags)
    if flags[-_RESERVED_FLAGS:].any():
        raise BitstreamError(f"reserved flags must be 0, got {flags[-_RESERVED_FLAGS:].tolist()}")
    has_light, has_base, has_affine, has_cells, *has_shifts, has_bulk = (
        bool(flag) for flag in flags[:-_RESERVED_FLAGS]
    )
    if has_light:
        part.light = coder.ints("light", np.arange(4), _zeros(4) if part.light is None else part.light)
    if has_base:
        delta = _zeros(*epoch.base_shape) if part.base_delta is None else part.base_delta
        contexts = np.repeat([0, 1, 1], delta[0].size)
        part.base_delta = coder.ints("base_delta", contexts, delta.reshape(-1)).reshape(epoch.base_shape)
    if has_affine:
        part.affine = coder.ints("affine", np.arange(6), _zeros(6) if part.affine is None else part.affine)
        part.affine_shape = bool(coder.table("affine_shape", 0, np.array([part.affine_shape], np.int32))[0])
    if has_cells:
        part.cells = _code_cells(coder, epoch, part.cells)
    shifts = [
        _code_shift_level(coder, epoch, level, shift) if has else None
        for level, (has, shift) in enumerate(zip(has_shifts, part.shifts, strict=True))
    ]
    part.shifts = shifts[0], shifts[1]
    if has_bulk:
        part.bulk = code_key_part(coder, epoch, False, part.layer, None, part.bulk_layout or empty_layout())


def _code_cells(
    coder: PlaneCoder, epoch: EpochRecord, cells: tuple[ParsedCells, ...] | None
) -> tuple[ParsedCells, ParsedCells, ParsedCells, ParsedCells]:
    """Code four levels of cells, coarse to fine."""
    grids = [epoch.grid(cell_px) for cell_px in CELL_LEVELS_PX]
    if cells is None:
        cells = tuple(ParsedCells(np.zeros(grid, np.bool_), _zeros(*grid, 2), _zeros(*grid, 4)) for grid in grids)
    below = _any_below([level.on for level in cells])
    parents = np.ones(grids[0], np.bool_), np.zeros(grids[0], np.bool_)
    for level, parsed in enumerate(cells):
        _code_cell_flags(coder, level, parsed.on, below[level], *parents)
        if parsed.on.any():
            _code_cell_values(coder, level, parsed)
        if level < len(cells) - 1:
            parents = _children(below[level], grids[level + 1]), _children(parsed.on, grids[level + 1])
    return cells[0], cells[1], cells[2], cells[3]


def _any_below(on: list[BoolArray]) -> list[BoolArray]:
    """Return for each level which cells have an on cell at finer levels."""
    below = [np.zeros_like(on[-1])]
    for coarse, fine in zip(on[-2::-1], on[:0:-1], strict=True):
        padded = np.zeros((2 * coarse.shape[0], 2 * coarse.shape[1]), np.bool_)
        padded[: fine.shape[0], : fine.shape[1]] = fine | below[0]
        quads = padded[0::2] | padded[1::2]
        below.insert(0, quads[:, 0::2] | quads[:, 1::2])
    return below


def _children(flags: BoolArray, grid: tuple[int, int]) -> BoolArray:
    """Return a level's flags as seen by the cells of the next finer level."""
    return flags.repeat(2, axis=0).repeat(2, axis=1)[: grid[0], : grid[1]]


def _code_cell_flags(
    coder: PlaneCoder, level: int, on: BoolArray, below: BoolArray, coded: BoolArray, parent_on: BoolArray
) -> None:
    """Code one level's `on` and `below` flags row by row; only cells where `coded` is set have them."""
    columns = coded.shape[1]
    first, with_any = 4 * level, level < len(CELL_LEVELS_PX) - 1
    coded_rows, parents = coded.tolist(), (2 * parent_on).tolist()
    on_rows, below_rows = on.tolist(), below.tolist()
    up_on = up_any = [0] * columns
    for row, flags in enumerate(coded_rows):
        places = [column for column, flag in enumerate(flags) if flag]
        on_row, any_row = on_rows[row], below_rows[row]
        own_on, own_any = [0] * columns, [0] * columns
        if places:
            parent = parents[row]
            contexts = [first + parent[c] + up_on[c] for c in places]
            made = coder.row("cell_on", contexts, [on_row[c] for c in places])
            for c, flag in zip(places, made, strict=True):
                own_on[c] = flag
            if with_any:
                contexts = [first + 2 * own_on[c] + up_any[c] for c in places]
                made = coder.row("cell_any", contexts, [any_row[c] for c in places])
                for c, flag in zip(places, made, strict=True):
                    own_any[c] = flag
        on_rows[row], below_rows[row] = own_on, own_any
        up_on, up_any = own_on, own_any
    if coder.decodes:
        on[:], below[:] = on_rows, below_rows


def _code_cell_values(coder: PlaneCoder, level: int, cells: ParsedCells) -> None:
    """Code one level's vector residuals and affine terms over its on cells."""
    rows, columns = cells.on.nonzero()
    residuals = cells.residuals[rows, columns]
    residuals[:, 0] = coder.ints("cell_vector", 3 * level, residuals[:, 0])
    contexts = 3 * level + 1 + (residuals[:, 0] != 0)
    residuals[:, 1] = coder.ints("cell_vector", contexts, residuals[:, 1])
    cells.residuals[rows, columns] = residuals
    if level == len(CELL_LEVELS_PX) - 1:
        return
    affine = cells.affine[rows, columns]
    with_terms: IntArray = np.any(affine, axis=1).astype(np.int32)
    has = coder.table("cell_affine_on", level, with_terms).astype(np.bool_)
    if has.any():
        terms = affine[has]
        contexts = np.tile(np.arange(4), len(terms))
        affine[has] = coder.ints("cell_affine", contexts, terms.reshape(-1)).reshape(-1, 4)
        cells.affine[rows, columns] = affine


def _code_shift_level(coder: PlaneCoder, epoch: EpochRecord, level: int, shift: ShiftLevel | None) -> ShiftLevel:
    """Code one level of colour shifts: 0 the 64 px cells, 1 the 32 px cells."""
    grid = epoch.grid(SHIFT_LEVELS_PX[level])
    shifts = _zeros(*grid, 4) if shift is None else shift.shifts
    on: BoolArray = np.any(shifts, axis=2)
    up_on = [0] * grid[1]
    for row in range(grid[0]):
        up_on = coder.row("shift_on", [2 * level + int(up) for up in up_on], on[row].tolist())
        on[row] = up_on
    values = shifts[on]
    has_gain, has_luma, has_chroma = values[:, 0] != 0, values[:, 1] != 0, (values[:, 2:] != 0).any(axis=1)
    pattern = coder.table("shift_pattern", level, (4 * has_gain + 2 * has_luma + has_chroma).astype(np.int32))
    for column, bit in enumerate((4, 2, 1, 1)):
        places = (pattern & bit).nonzero()[0]
        values[places, column] = coder.ints("shift", column, values[places, column])
    shifts[on] = values
    return ShiftLevel(shifts)


def code_block_range(coder: PlaneCoder, part: ParsedPPart, layer: tuple[int, int], split: bool) -> None:
    """Code which blocks a part is about; an unsplit frame is about all of the layer (first block, blocks)."""
    first, blocks = layer
    if split:
        part.first_block, part.blocks = coder.wide(
            "indices", np.array([part.first_block, part.blocks], np.int32)
        ).tolist()
        if part.first_block < first or part.first_block + part.blocks > first + blocks:
            raise BitstreamError(
                f"blocks {part.first_block}..{part.first_block + part.blocks} lie outside of"
                f" the layer's {first}..{first + blocks}"
            )
    else:
        part.first_block, part.blocks = first, blocks


def code_updates(coder: PlaneCoder, part: ParsedPPart, table_set: int) -> None:
    """Code which slots change and how."""
    patterns = _update_patterns(part)
    slots = np.concatenate([part.update_slots, part.death_slots])
    order = np.argsort(slots, kind="stable")
    slots, patterns = slots[order], patterns[order]
    flags = _slot_flags(part)
    density = _best_density(flags, cost_tables(table_set)) if len(slots) else 0
    density = int(coder.table("density", 0, np.array([density], np.int32))[0])
    if not density:
        return
    blocks = _code_block_flags(coder, density, flags.max(axis=1)).nonzero()[0]
    flags[blocks] = _code_slot_flags(coder, density, flags[blocks])
    if coder.decodes:
        slots = (flags.reshape(-1).nonzero()[0] + part.first_block * BLOCK_SLOTS).astype(np.int32)
    patterns = coder.table("pattern", density, patterns if len(patterns) else _zeros(len(slots)))
    lives = patterns != 0
    deltas = part.update_deltas if not coder.decodes else _zeros(int(lives.sum()), 8)
    part.update_slots, part.death_slots = slots[lives], slots[~lives]
    part.update_deltas = _code_deltas(coder, patterns[lives], deltas)


def update_density(part: ParsedPPart, table_set: int) -> int:
    """Return the density that an encoder codes a part's updates with: the one choice that it makes by the table set."""
    any_changes = len(part.update_slots) or len(part.death_slots)
    return _best_density(_slot_flags(part), cost_tables(table_set)) if any_changes else 0


def _slot_flags(part: ParsedPPart) -> IntArray:
    """Return which slots of a part's blocks change, [blocks, 32]."""
    flags = _zeros(part.blocks, BLOCK_SLOTS)
    first = part.first_block * BLOCK_SLOTS
    flags.reshape(-1)[part.update_slots - first] = 1
    flags.reshape(-1)[part.death_slots - first] = 1
    return flags


def _update_patterns(part: ParsedPPart) -> IntArray:
    """Return the pattern of each update and then of each death."""
    deltas = part.update_deltas != 0
    pattern = (
        _MEAN_BIT * deltas[:, :2].any(axis=1)
        + _SHAPE_BIT * deltas[:, 2:5].any(axis=1)
        + _LUMA_BIT * deltas[:, 5]
        + _CHROMA_BIT * deltas[:, 6:].any(axis=1)
    )
    return np.concatenate([pattern, np.zeros(len(part.death_slots))]).astype(np.int32)


def _block_neighbours(flags: IntArray) -> IntArray:
    """Return for each odd block how many of its two neighbours are on."""
    right = np.zeros(len(flags[1::2]), np.int32)
    after = flags[2::2]
    right[: len(after)] = after
    return flags[0::2][: len(right)] + right


def _code_block_flags(coder: PlaneCoder, density: int, flags: IntArray) -> IntArray:
    """Code which blocks have a change: even ones, then odd ones in the context of their neighbours."""
    flags[0::2] = coder.table("block_on", 4 * density, flags[0::2])
    flags[1::2] = coder.table("block_on", 4 * density + 1 + _block_neighbours(flags), flags[1::2])
    return flags


def _slot_contexts(flags: IntArray) -> IntArray:
    """Return the contexts [32, blocks], at density 0, of known slot flags [32, blocks]."""
    padded = np.zeros((BLOCK_SLOTS + _SLOT_MEMORY, flags.shape[1]), np.int32)
    padded[_SLOT_MEMORY:] = flags
    recent = padded[:BLOCK_SLOTS].copy()
    for lag in range(1, _SLOT_MEMORY):
        recent += padded[lag : BLOCK_SLOTS + lag]
    contexts: IntArray = np.minimum(recent, 2)
    contexts[BLOCK_FILL:] += 3
    return contexts


def _code_slot_flags(coder: PlaneCoder, density: int, flags: IntArray) -> IntArray:
    """Code the slots [blocks, 32] of the on blocks: slot 0 of all blocks, then slot 1, ..."""
    columns = np.ascontiguousarray(flags.T)
    if not coder.decodes:
        contexts = (_slot_contexts(columns) + 6 * density).reshape(-1)
        coder.planes(
            "slot_on", np.arange(BLOCK_SLOTS, dtype=np.int32).repeat(len(flags)), contexts, columns.reshape(-1)
        )
        return flags
    recent = _zeros(len(flags))
    for slot in range(BLOCK_SLOTS):
        contexts = np.minimum(recent, 2) + (6 * density + 3 * (slot >= BLOCK_FILL))
        columns[slot] = coder.table("slot_on", contexts, columns[slot])
        recent += columns[slot]
        if slot >= _SLOT_MEMORY:
            recent -= columns[slot - _SLOT_MEMORY]
    return columns.T


def _best_density(flags: IntArray, costs: dict[str, FloatArray]) -> int:
    """Return the density 1..3 whose tables code the flags [blocks, 32] with the fewest bits."""
    block_flags: IntArray = flags.max(axis=1)
    on = block_flags != 0
    odd_contexts = 1 + _block_neighbours(block_flags)
    block_counts = np.bincount(2 * odd_contexts + block_flags[1::2], minlength=8)
    block_counts[:2] = np.bincount(block_flags[0::2], minlength=2)
    columns = np.ascontiguousarray(flags[on].T)
    slot_counts = np.bincount((2 * _slot_contexts(columns) + columns).reshape(-1), minlength=12)
    bits = [
        costs["density"][0, d]
        + block_counts @ costs["block_on"][4 * d : 4 * d + 4].reshape(-1)
        + slot_counts @ costs["slot_on"][6 * d : 6 * d + 6].reshape(-1)
        for d in range(1, _DENSITIES)
    ]
    return 1 + int(np.argmin(bits))


def _code_deltas(coder: PlaneCoder, patterns: IntArray, deltas: IntArray) -> IntArray:
    """Code the deltas [n, 8] of updates with these patterns [n]."""
    deltas = deltas.copy()

    def code(name: str, column: int, places: IntArray, contexts: Contexts) -> None:
        deltas[places, column] = coder.ints(name, contexts, deltas[places, column])

    places = (patterns & _MEAN_BIT).nonzero()[0].astype(np.int32)
    code("mean", 0, places, 0)
    code("mean", 1, places, 1 + (deltas[places, 0] != 0).astype(np.int32))
    places = (patterns & _SHAPE_BIT).nonzero()[0].astype(np.int32)
    code("shape", 2, places, 0)
    code("shape", 3, places, 1 + (deltas[places, 2] != 0).astype(np.int32))
    changed = (deltas[places, 2] != 0) | (deltas[places, 3] != 0)
    code("shape", 4, places, 3 + changed.astype(np.int32))
    places = (patterns & _LUMA_BIT).nonzero()[0].astype(np.int32)
    code("luma", 5, places, 0)
    places = (patterns & _CHROMA_BIT).nonzero()[0].astype(np.int32)
    code("chroma", 6, places, 0)
    code("chroma", 7, places, 1 + (deltas[places, 6] != 0).astype(np.int32))
    return deltas


def code_births(coder: PlaneCoder, epoch: EpochRecord, part: ParsedPPart) -> None:
    """Code the births of a part."""
    count = int(coder.wide("births", np.array([len(part.births)], np.int32))[0])
    if not count:
        return
    if count > part.blocks * BLOCK_SLOTS:
        raise BitstreamError(f"{count} births into {part.blocks} blocks of {BLOCK_SLOTS} slots")
    births = _zeros(count, FIELDS) if coder.decodes else part.births.copy()
    kinds = coder.table("birth_kind", 0, births[:, 1] - KIND_NORMALISED)
    births[:, 1] = kinds + KIND_NORMALISED
    births[:, 2] = coder.uniform("birth_x", epoch.width_px, births[:, 2])
    births[:, 3] = coder.uniform("birth_y", epoch.height_px, births[:, 3])
    births[:, 0] = coder.ints("birth_block", 0, births[:, 0])
    births[:, 4] = coder.table("birth_size", kinds, births[:, 4])
    births[:, 5] = coder.ints("birth_luma", kinds, births[:, 5])
    births[:, 6] = coder.ints("birth_chroma", 2 * kinds, births[:, 6])
    births[:, 7] = coder.ints("birth_chroma", 2 * kinds + 1, births[:, 7])
    part.births = births
