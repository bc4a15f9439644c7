"""Where splats live: Hilbert order of 64 px cells, slots of a key frame, blocks of births (SPEC sections 1.3, 5, 6)."""

from functools import lru_cache

import numpy as np

from codec.types import BLOCK_FILL, BLOCK_SLOTS, EpochRecord, IntArray

__all__ = ["KEY_CELL_PX", "birth_block_guess", "blocks_for", "cell_order", "cell_ranks", "deal_slots", "hilbert"]

KEY_CELL_PX = 64
_CELL_SHIFT = 10  # from 1/16 px to 64 px cells
_PX_IN_CELL_BITS = 6


def hilbert(bits: int, columns: IntArray, rows: IntArray) -> IntArray:
    """Return the index of places [...] along the Hilbert curve of a 2^bits square (Wikipedia's xy2d)."""
    x, y = columns.astype(np.int32), rows.astype(np.int32)
    index = np.zeros_like(x)
    top = (1 << bits) - 1
    for bit in range(bits - 1, -1, -1):
        rx, ry = x >> bit & 1, y >> bit & 1
        index += (3 * rx ^ ry) << 2 * bit
        flip, swap = (ry == 0) & (rx == 1), ry == 0
        x, y = np.where(flip, top - x, x), np.where(flip, top - y, y)
        x, y = np.where(swap, y, x), np.where(swap, x, y)
    return index


@lru_cache(maxsize=64)
def cell_order(width_px: int, height_px: int) -> IntArray:
    """Return the raster numbers [cells] of the picture's 64 px cells in Hilbert order."""
    rows, columns = -(-height_px // KEY_CELL_PX), -(-width_px // KEY_CELL_PX)
    bits = (max(rows, columns) - 1).bit_length()
    grid_rows, grid_columns = np.divmod(np.arange(rows * columns, dtype=np.int32), np.int32(columns))
    order = np.argsort(hilbert(bits, grid_columns, grid_rows), kind="stable").astype(np.int32)
    order.setflags(write=False)
    return order


@lru_cache(maxsize=64)
def cell_ranks(width_px: int, height_px: int) -> IntArray:
    """Return each 64 px cell's place in Hilbert order, [rows, columns]."""
    order = cell_order(width_px, height_px)
    ranks = np.empty((-(-height_px // KEY_CELL_PX), -(-width_px // KEY_CELL_PX)), np.int32)
    ranks.reshape(-1)[order] = np.arange(len(order), dtype=np.int32)
    ranks.setflags(write=False)
    return ranks


def blocks_for(splats: int) -> int:
    """Return how many blocks a part of a key frame with so many splats takes."""
    return -(-splats // BLOCK_FILL)


def deal_slots(epoch: EpochRecord, first_block: int, splats: IntArray) -> tuple[IntArray, IntArray]:
    """Return the order [n] in which a key part's splats take slots, and these slots [n].

    splats: [n, >= 8] state values; x and y inside of the grid of 64 px cells.
    """
    x, y = splats[:, 0], splats[:, 1]
    rank = cell_ranks(epoch.width_px, epoch.height_px)[y >> _CELL_SHIFT, x >> _CELL_SHIFT]
    mask = KEY_CELL_PX - 1
    inner = hilbert(_PX_IN_CELL_BITS, x >> 4 & mask, y >> 4 & mask)
    place = rank << 2 * _PX_IN_CELL_BITS | inner
    order = np.lexsort((*(splats[:, column] for column in range(7, -1, -1)), place)).astype(np.int32)
    block, slot = np.divmod(np.arange(len(splats), dtype=np.int32), np.int32(BLOCK_FILL))
    return order, (first_block + block) * BLOCK_SLOTS + slot


def birth_block_guess(epoch: EpochRecord, blocks: int, x_px: IntArray, y_px: IntArray) -> IntArray:
    """Return the guessed block [n] of births, counted from the first of a part's blocks."""
    ranks = cell_ranks(epoch.width_px, epoch.height_px)
    return ranks[y_px // KEY_CELL_PX, x_px // KEY_CELL_PX] * blocks // ranks.size
