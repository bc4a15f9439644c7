"""What values are predicted from, both directions side by side: base levels, key-frame splats, cell vectors.

Encoders turn values into residuals, decoders residuals into values (SPEC sections 5 and 6.1). Where values are known
at once the arithmetic is vectorised; where each depends on the one before it goes one by one; what key parts are
predicted from is native, with a scalar twin among the tests.
"""

from collections.abc import Callable, Sequence

import numpy as np

from codec.native import _native
from codec.quantize import KEY_BASE_LEVEL_HIGH, KEY_BASE_LEVEL_LOW, KEY_BASE_STEPS, clamp
from codec.types import CELL_LEVELS_PX, VECTOR_CELL_PX, BoolArray, CellLevel, EpochRecord, IntArray, ParsedCells

__all__ = [
    "KEY_SCALE_REFERENCE",
    "KEY_WEIGHTS",
    "base_colors_at",
    "base_levels",
    "base_residuals",
    "cell_residuals",
    "cell_vectors",
    "key_residuals",
    "key_values",
]

KEY_SCALE_REFERENCE = np.array([1, 4, 7, 10, 14], np.int32)  # l of each size class that residual 0 means
# [size class][dx^2 + dy^2] of a splat in the accumulators of the cells around it; tables.json holds them for JavaScript
KEY_WEIGHTS = (
    (256, 113, 50),
    (128, 82, 53),
    (64, 53, 44, 36, 30, 25, 21, 17, 14),
    (32, 30, 28, 26, 25, 23, 22, 20, 19, 18, 17, 15, 14, 14, 13, 12, 11, 10, 10),
    (16, 16, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12, 11, 11, 11, 11, 11, 10, 10, 10, 10, 10,
     9, 9, 9, 9, 9, 8, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6),
)  # fmt: skip
_FIRST_LEVEL = 512 // KEY_BASE_STEPS * np.array([1, 0, 0], np.int32)
_VECTOR_LOW, _VECTOR_HIGH = -2048, 2047


def base_residuals(levels: IntArray) -> IntArray:
    """Return the residuals [3, bh, bw] of base levels against the median of left, up and left + up - up-left."""
    predicted = np.empty_like(levels)
    predicted[:, 0, 0] = _FIRST_LEVEL
    predicted[:, 0, 1:] = levels[:, 0, :-1]
    predicted[:, 1:, 0] = levels[:, :-1, 0]
    left, up = levels[:, 1:, :-1], levels[:, :-1, 1:]
    predicted[:, 1:, 1:] = _median(left, up, left + up - levels[:, :-1, :-1])
    return levels - predicted


def base_levels(residuals: IntArray) -> IntArray:
    """Return the base levels [3, bh, bw] of residuals; levels saturate one by one."""
    planes = zip(residuals.tolist(), _FIRST_LEVEL, KEY_BASE_LEVEL_LOW, KEY_BASE_LEVEL_HIGH, strict=True)
    return np.array([_base_plane(rows, int(first), int(low), int(high)) for rows, first, low, high in planes], np.int32)


def _base_plane(residuals: list[list[int]], first: int, low: int, high: int) -> list[list[int]]:
    """Return one plane of base levels, raster order."""
    levels: list[list[int]] = []
    for row, line in enumerate(residuals):
        above = levels[row - 1] if row else []
        made: list[int] = []
        for column, residual in enumerate(line):
            if not above:
                predicted = made[-1] if column else first
            elif not column:
                predicted = above[0]
            else:
                left, up = made[-1], above[column]
                predicted = sorted((left, up, left + up - above[column - 1]))[1]
            made.append(min(max(predicted + residual, low), high))
        levels.append(made)
    return levels


def _median(a: IntArray, b: IntArray, c: IntArray) -> IntArray:
    """Return the elementwise median of three arrays."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def base_colors_at(epoch: EpochRecord, base: IntArray, x_px: IntArray, y_px: IntArray) -> IntArray:
    """Return the base's samples [n, 3] at places, not interpolated: those whose share of the picture holds them."""
    _, rows, columns = epoch.base_shape
    column = clamp(x_px * columns // epoch.width_px, 0, columns - 1)
    row = clamp(y_px * rows // epoch.height_px, 0, rows - 1)
    return base[:, row, column].T


def key_residuals(
    epoch: EpochRecord,
    base: IntArray,
    classes: IntArray,
    tile_rows: IntArray,
    splats: IntArray,
    known: IntArray | None = None,
) -> IntArray:
    """Return residuals [n, 5] of e1, e2, Y, Cb, Cr; all arrays in coded order, splats [n, 8] on the key lattice.

    known: [m, >= 8] splats that decoders have before these, whose values they are predicted from too.
    """
    return _native.key_residuals(
        *_key_context(epoch, base), _contiguous(classes), _contiguous(tile_rows), _contiguous(splats), _rows(known)
    )


def key_values(
    epoch: EpochRecord,
    base: IntArray,
    classes: IntArray,
    tile_rows: IntArray,
    fields: IntArray,
    residuals: IntArray,
    known: IntArray | None = None,
) -> IntArray:
    """Return splats [n, 8] in coded order, saturated.

    fields: [n, 3] x, y, s; residuals: [n, 5] of e1, e2, Y, Cb, Cr; base: [3, bh, bw] as it is when the part is applied;
    known: as of `key_residuals`.
    """
    return _native.key_values(
        *_key_context(epoch, base),
        _contiguous(classes),
        _contiguous(tile_rows),
        _contiguous(fields),
        _contiguous(residuals),
        _rows(known),
    )


def _key_context(
    epoch: EpochRecord, base: IntArray
) -> tuple[int, int, IntArray, tuple[int, int, int, int, int], tuple[tuple[int, ...], ...]]:
    """Return what the native predictions need beside splats: sizes, base, steps of e1, e2, Y, Cb, Cr, and weights."""
    steps = epoch.steps
    of_values = steps.key_shape, steps.key_shape, steps.key_luma, steps.key_chroma, steps.key_chroma
    return epoch.width_px, epoch.height_px, _contiguous(base), of_values, KEY_WEIGHTS


def _contiguous(values: IntArray) -> IntArray:
    """Return values as the native module takes them."""
    return np.ascontiguousarray(values, np.int32)


def _rows(known: IntArray | None) -> IntArray:
    """Return known splats [m, >= 8], none where there are none."""
    return np.zeros((0, 8), np.int32) if known is None else _contiguous(known)


_LevelResolver = Callable[[BoolArray, IntArray, IntArray], IntArray]


def _cell_levels(
    epoch: EpochRecord,
    previous: IntArray,
    levels: Sequence[tuple[BoolArray, IntArray]],
    resolve: _LevelResolver,
) -> tuple[list[IntArray], list[IntArray], IntArray]:
    """Go through the levels, coarse to fine, with the last frame's vectors and this frame's sums so far.

    levels: on [rows, columns] and what the resolver takes [rows, columns, 2]; returns what the resolver gave and
    the vectors of each level, and the sums [rows16, columns16, 2].
    """
    sums = np.zeros_like(previous)
    given: list[IntArray] = []
    vectors: list[IntArray] = []
    for cell_px, (on, values) in zip(CELL_LEVELS_PX, levels, strict=True):
        if not on.any():
            given.append(np.zeros_like(values))
            vectors.append(given[-1])
            continue
        rows, columns = on.shape
        center_y = np.minimum(np.arange(rows) * cell_px + cell_px // 2, epoch.height_px - 1) >> 4
        center_x = np.minimum(np.arange(columns) * cell_px + cell_px // 2, epoch.width_px - 1) >> 4
        temporal = (previous - sums)[center_y[:, None], center_x]
        given.append(resolve(on, temporal, values))
        vectors.append(values if resolve is _vectors_to_residuals else given[-1])
        factor = cell_px // VECTOR_CELL_PX
        grown = vectors[-1] if factor == 1 else vectors[-1].repeat(factor, axis=0).repeat(factor, axis=1)
        sums += grown[: sums.shape[0], : sums.shape[1]]
    return given, vectors, sums


def _vectors_to_residuals(on: BoolArray, temporal: IntArray, vectors: IntArray) -> IntArray:
    """Return residuals [rows, columns, 2] of one level's vectors, 0 where off; `vectors` must be 0 there too."""
    left, up = np.zeros_like(vectors), np.zeros_like(vectors)
    left[:, 1:], up[1:] = vectors[:, :-1], vectors[:-1]
    has_left, has_up = np.zeros_like(on), np.zeros_like(on)
    has_left[:, 1:], has_up[1:] = on[:, :-1], on[:-1]
    one = np.where(has_left[..., None], left, up)
    still = (temporal == 0).all(axis=-1, keepdims=True)
    predicted = np.where(still, one, (one + temporal) >> 1)
    predicted = np.where((has_left | has_up)[..., None], predicted, temporal)
    predicted = np.where((has_left & has_up)[..., None], _median(left, up, temporal), predicted)
    return np.where(on[..., None], vectors - predicted, 0).astype(np.int32)


def _residuals_to_vectors(on: BoolArray, temporal: IntArray, residuals: IntArray) -> IntArray:
    """Return the saturated vectors [rows, columns, 2] of one level, 0 where off; each from those before it."""
    vectors = np.zeros_like(residuals)
    rows, columns = on.nonzero()
    known: dict[tuple[int, int], tuple[int, int]] = {}
    cells = zip(rows.tolist(), columns.tolist(), temporal[on].tolist(), residuals[on].tolist(), strict=True)
    for row, column, (tx, ty), (rx, ry) in cells:
        left, up = known.get((row, column - 1)), known.get((row - 1, column))
        one = left or up
        if one is None:
            x, y = tx, ty
        elif left and up:
            x = sorted((left[0], up[0], tx))[1]
            y = sorted((left[1], up[1], ty))[1]
        elif tx == 0 and ty == 0:
            x, y = one
        else:
            x, y = (one[0] + tx) >> 1, (one[1] + ty) >> 1
        x = min(max(x + rx, _VECTOR_LOW), _VECTOR_HIGH)
        y = min(max(y + ry, _VECTOR_LOW), _VECTOR_HIGH)
        known[row, column] = x, y
    if known:
        vectors[rows, columns] = list(known.values())
    return vectors


def cell_residuals(epoch: EpochRecord, previous: IntArray, cells: Sequence[CellLevel]) -> list[IntArray]:
    """Return the residuals [rows, columns, 2] of each level's vectors, given the state's vectors before the frame."""
    masked = [np.where(level.on[..., None], level.vectors, 0).astype(np.int32) for level in cells]
    levels = [(level.on, vectors) for level, vectors in zip(cells, masked, strict=True)]
    return _cell_levels(epoch, previous, levels, _vectors_to_residuals)[0]


def cell_vectors(
    epoch: EpochRecord, previous: IntArray, cells: Sequence[ParsedCells]
) -> tuple[list[IntArray], IntArray]:
    """Return each level's vectors [rows, columns, 2], 0 where off, and their sums at the 16 px cells, not saturated."""
    levels = [(level.on, level.residuals) for level in cells]
    vectors, _, sums = _cell_levels(epoch, previous, levels, _residuals_to_vectors)
    return vectors, sums
