"""The planes of a key part, in their order (SPEC section 5); written once for encoding and decoding."""

import numpy as np

from codec.bitstream.entropy import PlaneCoder
from codec.errors import BitstreamError
from codec.prediction import KEY_SCALE_REFERENCE, base_levels, base_residuals
from codec.quantize import SIZE_CLASSES, size_class
from codec.slots import KEY_CELL_PX, cell_ranks
from codec.types import BLOCK_FILL, BoolArray, EpochRecord, IntArray, KeyLayout, ParsedKeyPart

__all__ = ["code_key_part", "empty_layout", "layout_key_part"]

_MIN_EXPONENT, _MAX_EXPONENT = 3, 6  # tiles of 8 to 64 px
_EMPTY_CLASS = 5  # coded instead of a tile exponent
_COUNT_ESCAPE = 10
_NEIGHBOUR_CLASSES = np.array([0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5], np.int32)  # by 2 up + upright + upleft
_COARSER_CLASSES = np.array([0, 1, 1, 2, 2, 2, 2, 3], np.int32)  # by splats of coarser classes in the 64 px cell


def _tile_entropy_bits(x: IntArray, y: IntArray, tile_count: int) -> float:
    """Return the bits of the splats' counts in tiles, columns x and rows y, as if each count cost its own entropy."""
    per_tile = np.bincount(np.bincount(y * (int(x.max()) + 1) + x))
    per_tile[0] = tile_count - per_tile[1:].sum()
    shares = per_tile[per_tile > 0] / tile_count
    return float(-tile_count * (shares * np.log2(shares)).sum())


def _best_exponent(x: IntArray, y: IntArray, part_px: int) -> int:
    """Return the tile exponent that codes these means (1/16 px) with the fewest bits in a part of so many px."""
    best, best_bits = _MAX_EXPONENT, float("inf")
    for exponent in range(_MIN_EXPONENT, _MAX_EXPONENT + 1):
        tile_count = max(part_px >> 2 * exponent, 1)
        bits = 2 * exponent * len(x) + _tile_entropy_bits(x >> 4 + exponent, y >> 4 + exponent, tile_count)
        if bits < best_bits:
            best, best_bits = exponent, bits
    return best


def layout_key_part(
    epoch: EpochRecord, first_cell: int, cells: int, first_block: int, splats: IntArray
) -> tuple[KeyLayout, IntArray, IntArray]:
    """Lay out the splats [n, 8] of a part: returns the layout without residuals, the coded order and the tile rows."""
    classes = size_class(splats[:, 2])
    exponents = np.full(SIZE_CLASSES, _EMPTY_CLASS, np.int32)
    counts = [np.zeros((0, 0), np.int32)] * SIZE_CLASSES
    orders: list[IntArray] = []
    for size in range(SIZE_CLASSES - 1, -1, -1):
        members = (classes == size).nonzero()[0].astype(np.int32)
        if not len(members):
            continue
        x, y = splats[members, 0], splats[members, 1]
        exponent = _best_exponent(x, y, cells * KEY_CELL_PX**2)
        exponents[size] = exponent - _MIN_EXPONENT
        rows, columns = _tile_grid(epoch, exponent)
        tile_y, tile_x = y >> 4 + exponent, x >> 4 + exponent
        per_tile = np.bincount(tile_y * columns + tile_x, minlength=rows * columns)
        counts[size] = per_tile.reshape(rows, columns).astype(np.int32)
        orders.append(members[np.lexsort((x, y, tile_x, tile_y))])
    order = np.concatenate([np.zeros(0, np.int32), *orders])
    coded, coded_classes = splats[order], classes[order]
    shifts = 4 + _MIN_EXPONENT + exponents[coded_classes]
    steps = np.array(epoch.steps.key_mean, np.int32)[coded_classes]
    places = (coded[:, :2] & ((1 << shifts) - 1)[:, None]) // steps[:, None]
    scales = coded[:, 2] // epoch.steps.key_scale - KEY_SCALE_REFERENCE[coded_classes]
    residuals = np.zeros((len(order), 5), np.int32)
    layout = KeyLayout(first_cell, cells, first_block, exponents, counts, places, scales, residuals)
    return layout, order, coded[:, 1] >> shifts


def empty_layout() -> KeyLayout:
    """Return a layout to decode into."""
    nothing = np.zeros((0, 2), np.int32)
    counts = [np.zeros((0, 0), np.int32)] * SIZE_CLASSES
    return KeyLayout(0, 0, 0, np.zeros(SIZE_CLASSES, np.int32), counts, nothing, nothing[:, 0], nothing)


def _tile_grid(epoch: EpochRecord, exponent: int) -> tuple[int, int]:
    """Return rows and columns of tiles of 2^exponent px that cover the picture."""
    return epoch.grid(1 << exponent)


def code_key_part(
    coder: PlaneCoder,
    epoch: EpochRecord,
    with_base: bool,
    layer: int,
    levels: IntArray | None,
    layout: KeyLayout,
) -> ParsedKeyPart:
    """Code a key part; `levels` [3, bh, bw] are the base's where it is coded, in part 0."""
    coded_levels = _code_base(coder, epoch, levels) if with_base else None
    heads = np.array([layout.first_cell, layout.cells, layout.first_block], np.int32)
    layout.first_cell, layout.cells, layout.first_block = coder.wide("indices", heads).tolist()
    capacity = _check_ranges(epoch, layer, layout)
    exponents = coder.uniform("key_tile", _EMPTY_CLASS + 1, layout.exponents[::-1])[::-1]
    if ((exponents > _MAX_EXPONENT - _MIN_EXPONENT) & (exponents != _EMPTY_CLASS)).any():
        raise BitstreamError(f"tile exponents must be 0..3 or 5, got {exponents.tolist()}")
    layout.exponents = exponents
    classes, tiles = _code_means(coder, epoch, layout, capacity)
    _code_values(coder, classes, layout)
    scales = (layout.scales + KEY_SCALE_REFERENCE[classes]) * epoch.steps.key_scale
    shifts = 4 + _MIN_EXPONENT + layout.exponents[classes]
    steps = np.array(epoch.steps.key_mean, np.int32)[classes]
    means = (tiles << shifts[:, None]) + layout.places * steps[:, None]
    fields = np.column_stack([means, scales]).astype(np.int32)
    return ParsedKeyPart(0, layer, coded_levels, layout.first_block, classes, tiles[:, 1], fields, layout.residuals)


def _code_base(coder: PlaneCoder, epoch: EpochRecord, levels: IntArray | None) -> IntArray:
    """Code the base's levels [3, bh, bw] plane by plane."""
    residuals = np.zeros(epoch.base_shape, np.int32) if levels is None else base_residuals(levels)
    for channel in range(3):
        plane = coder.ints("key_base", min(channel, 1), residuals[channel].reshape(-1))
        residuals[channel] = plane.reshape(epoch.base_shape[1:])
    return base_levels(residuals)


def _check_ranges(epoch: EpochRecord, layer: int, layout: KeyLayout) -> int:
    """Check cells and first block against the epoch; returns how many blocks there are for the splats."""
    grid_cells = cell_ranks(epoch.width_px, epoch.height_px).size
    if layout.first_cell + layout.cells > grid_cells:
        raise BitstreamError(
            f"cells {layout.first_cell}..{layout.first_cell + layout.cells} lie outside of the picture's {grid_cells}"
        )
    first, blocks = epoch.layer_range(layer)
    if not first <= layout.first_block <= first + blocks:
        raise BitstreamError(f"first block {layout.first_block} lies outside of the layer's {first}..{first + blocks}")
    return first + blocks - layout.first_block


def _code_means(coder: PlaneCoder, epoch: EpochRecord, layout: KeyLayout, capacity: int) -> tuple[IntArray, IntArray]:
    """Code counts and places class by class; returns each splat's class [n] and tile column and row [n, 2]."""
    ranks = cell_ranks(epoch.width_px, epoch.height_px)
    inside = (ranks >= layout.first_cell) & (ranks < layout.first_cell + layout.cells)
    coarser = np.zeros(ranks.shape, np.int32)
    all_classes, all_tiles, all_places = [], [], []
    start = 0
    for size in range(SIZE_CLASSES - 1, -1, -1):
        if layout.exponents[size] == _EMPTY_CLASS:
            continue
        exponent = _MIN_EXPONENT + int(layout.exponents[size])
        counts = layout.counts[size] if not coder.decodes else np.zeros(_tile_grid(epoch, exponent), np.int32)
        room = capacity * BLOCK_FILL - start
        _code_counts(coder, size, exponent, counts, inside, coarser, room)
        rows, columns = counts.nonzero()
        repeats = counts[rows, columns]
        tiles = np.column_stack([columns.repeat(repeats), rows.repeat(repeats)]).astype(np.int32)
        end = start + len(tiles)
        places = layout.places[start:end] if not coder.decodes else np.zeros((len(tiles), 2), np.int32)
        across = (16 << exponent) // epoch.steps.key_mean[size]
        all_places.append(np.column_stack([coder.uniform("key_places", across, places[:, axis]) for axis in (0, 1)]))
        all_classes.append(np.full(len(tiles), size, np.int32))
        all_tiles.append(tiles)
        cell = tiles >> 6 - exponent
        np.add.at(coarser, (cell[:, 1], cell[:, 0]), 1)
        start = end
    nothing = np.zeros((0, 2), np.int32)
    layout.places = np.concatenate([nothing, *all_places])
    return np.concatenate([nothing[:, 0], *all_classes]), np.concatenate([nothing, *all_tiles])


def _code_counts(
    coder: PlaneCoder, size: int, exponent: int, counts: IntArray, inside: BoolArray, coarser: IntArray, room: int
) -> None:
    """Code one class's counts, a row of tiles a plane; no more than `room` splats in all."""
    shift = 6 - exponent
    columns = np.arange(counts.shape[1]) >> shift
    coarser_contexts = 24 * size + _COARSER_CLASSES[np.minimum(coarser, 7)]
    if not coder.decodes and counts.max(initial=0) < _COUNT_ESCAPE and counts.sum() <= room:
        _code_known_counts(coder, counts, inside, coarser_contexts, shift)
        return
    above = np.zeros(counts.shape[1] + 2, np.int32)
    cell_rows = np.flatnonzero(inside.any(axis=1))
    rows = range(int(cell_rows[0]) << shift, int(cell_rows[-1]) + 1 << shift) if len(cell_rows) else range(0)
    for row, own in enumerate(counts[rows.start : rows.stop], rows.start):
        places = inside[row >> shift, columns].nonzero()[0]
        if len(places):
            near = 2 * above[places + 1] + above[places] + above[places + 2]
            contexts = coarser_contexts[row >> shift, columns[places]] + 4 * _NEIGHBOUR_CLASSES[np.minimum(near, 11)]
            own[places] = _code_count_row(coder, contexts, own[places])
            room -= int(own[places].sum(dtype=np.int64))
            if room < 0:
                raise BitstreamError("a key part holds more splats than its layer has room for")
        above[1:-1] = own


def _code_known_counts(
    coder: PlaneCoder, counts: IntArray, inside: BoolArray, coarser_contexts: IntArray, shift: int
) -> None:
    """Encode counts below the escape at once, in the planes that `_code_counts` makes row by row."""
    own = inside.repeat(1 << shift, axis=0).repeat(1 << shift, axis=1)[: counts.shape[0], : counts.shape[1]]
    rows, columns = (places.astype(np.int32) for places in own.nonzero())
    counted = np.zeros((counts.shape[0] + 1, counts.shape[1] + 2), np.int32)
    counted[1:, 1:-1][own] = counts[own]  # what lies outside counts as none
    near = 2 * counted[rows, columns + 1] + counted[rows, columns] + counted[rows, columns + 2]
    contexts = coarser_contexts[rows >> shift, columns >> shift] + 4 * _NEIGHBOUR_CLASSES[np.minimum(near, 11)]
    coder.planes("key_count", rows, contexts, counts[own])


def _code_count_row(coder: PlaneCoder, contexts: IntArray, counts: IntArray) -> IntArray:
    """Code one row of counts; from 10 on by an escape."""
    coded = coder.table("key_count", contexts, np.minimum(counts, _COUNT_ESCAPE))
    escapes = (coded == _COUNT_ESCAPE).nonzero()[0]
    if len(escapes):
        coded[escapes] += coder.wide("counts", np.maximum(counts[escapes] - _COUNT_ESCAPE, 0))
    return coded


def _code_values(coder: PlaneCoder, classes: IntArray, layout: KeyLayout) -> None:
    """Code scales and residuals of all splats, a plane for each field."""
    if coder.decodes:
        layout.scales = np.zeros(len(classes), np.int32)
        layout.residuals = np.zeros((len(classes), 5), np.int32)
    layout.scales = coder.ints("key_scale", classes, layout.scales)
    e1, e2, luma, cb, cr = layout.residuals.T
    e1 = coder.ints("key_e", classes, e1)
    e2 = coder.ints("key_e", 5 + 3 * classes + np.minimum(np.abs(e1), 2), e2)
    luma = coder.ints("key_luma", classes, luma)
    large = 3 * (classes > 1)
    cb = coder.ints("key_chroma", np.minimum(np.abs(luma), 2) + large, cb)
    cr = coder.ints("key_chroma", 6 + np.minimum(np.abs(cb), 2) + large, cr)
    layout.residuals = np.column_stack([e1, e2, luma, cb, cr])
