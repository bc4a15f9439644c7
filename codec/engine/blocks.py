"""The readable twin of the engine's search for motion by matching pixels (`engine_blocks.cpp`).

Blocks of 16 px look for the vector by which the state's picture comes nearest to the target: from where they were
last, from a full search on means of 4 px and from their neighbours' vectors, each followed by a descent to 1/4 px. Then
the vectors of all levels of cells (128, 64, 32, 16 px) are chosen together: a cell goes by what those above it add up
to, or adds a vector of its own where that saves more squared error than lambda times its bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from math import log2

import numpy as np

from codec.types import BoolArray, FloatArray, IntArray

__all__ = ["match_blocks"]

Vector = tuple[int, int]  # x, y in 1/4 px

_CELLS_PX = (128, 64, 32, 16)
_FINEST = 3
_BLOCK_PX = 16
_MARGIN_PX = 48
_STEPS = (8, 4, 2, 1)  # 1/4 px
_MOST_MOVES = 4
_MOST_CANDIDATES = 3
_ON_BITS = 4.0
_MARGINS = (1.0, 1.0, 1.5, 4.0)  # on a cell's bits, by level: what pixels say of the smallest, splats hardly follow
_COARSE_PX = 8  # window of the coarse search, in means of 4 px
_COARSE_REACH = 6  # likewise
_STILL: Vector = (0, 0)


def match_blocks(
    before: FloatArray, target: FloatArray, last: IntArray, calm: BoolArray, lambda_: float, costs: FloatArray
) -> list[IntArray]:
    """Return what the cells of each level add to the vectors of those above them, 1/4 px, int32 [rows, columns, 2].

    before, target: luma in 1/255, [H, W]; last: vectors of the last frame, [rows16, columns16, 2]; calm: blocks that
    stay where they are; costs: bits of the table of cells' vectors, [contexts, symbols].
    """
    return _Search(before, target, last, calm, lambda_, costs).run()


@dataclass
class _Search:
    before: FloatArray
    target: FloatArray
    last: IntArray
    calm: BoolArray
    lambda_: float
    costs: FloatArray
    found: dict[tuple[int, int], Vector] = field(default_factory=dict)
    candidates: dict[tuple[int, int, int], list[Vector]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.padded = np.pad(self.before, _MARGIN_PX, mode="edge").astype(np.float64)
        self.quarters = [_means_of_four(plane) for plane in (self.before, self.target)]
        self.padded_quarter = np.pad(self.quarters[0], _MARGIN_PX, mode="edge")
        self.error = cache(self._error)
        self.cell_cost = cache(self._cell_cost)

    def run(self) -> list[IntArray]:
        rows, columns = self.calm.shape
        blocks = [(row, column) for row in range(rows) for column in range(columns)]
        self.found = {at: self._find_alone(*at) for at in blocks}
        self.found = {at: self._find_beside(*at) for at in blocks}
        grids = [self._grid(level) for level in range(4)]
        for level in reversed(range(4)):
            for row, column in np.ndindex(grids[level]):
                self.candidates[level, row, column] = self._gather(level, row, column)
        added = [np.zeros((*grid, 2), np.int32) for grid in grids]
        for row, column in np.ndindex(grids[0]):
            self._settle(0, row, column, _STILL, added)
        return added

    def _grid(self, level: int) -> tuple[int, int]:
        height, width = self.target.shape
        return -(-height // _CELLS_PX[level]), -(-width // _CELLS_PX[level])

    def _children(self, level: int, row: int, column: int) -> Iterator[tuple[int, int]]:
        rows, columns = self._grid(level + 1)
        for r in range(2 * row, min(rows, 2 * row + 2)):
            for c in range(2 * column, min(columns, 2 * column + 2)):
                yield r, c

    def _error(self, row: int, column: int, v: Vector) -> float:
        """Return the squared error of a block whose picture has moved by v, bilinear between pixels."""
        wanted = self.target[row * _BLOCK_PX : (row + 1) * _BLOCK_PX, column * _BLOCK_PX : (column + 1) * _BLOCK_PX]
        height, width = wanted.shape
        top, left = _MARGIN_PX + row * _BLOCK_PX + (-v[1] >> 2), _MARGIN_PX + column * _BLOCK_PX + (-v[0] >> 2)
        fy, fx = (-v[1] & 3) / 4, (-v[0] & 3) / 4
        read = self.padded[top : top + height + 1, left : left + width + 1]
        across = (1 - fx) * read[:, :-1] + fx * read[:, 1:]
        moved = (1 - fy) * across[:-1] + fy * across[1:]
        return float(((moved - wanted) ** 2).sum())

    def _bounded(self, v: Vector, row: int, column: int) -> Vector:
        height, width = self.target.shape
        reach = _MARGIN_PX - 2

        def bound(value: int, at: int, size: int) -> int:
            return min(max(value, 4 * (at + _BLOCK_PX - size - reach)), 4 * (at + reach))

        return bound(v[0], column * _BLOCK_PX, width), bound(v[1], row * _BLOCK_PX, height)

    def _last_at(self, level: int, row: int, column: int) -> Vector:
        px = _CELLS_PX[level]
        height, width = self.target.shape
        at = min(row * px + px // 2, height - 1) // _BLOCK_PX, min(column * px + px // 2, width - 1) // _BLOCK_PX
        return int(self.last[at][0]), int(self.last[at][1])

    def _alone_cost(self, row: int, column: int, v: Vector) -> float:
        last = self._last_at(_FINEST, row, column)
        bits = min(_length(v[0]) + _length(v[1]), _length(v[0] - last[0]) + _length(v[1] - last[1]))
        return self.error(row, column, v) + self.lambda_ * bits

    def _better(self, row: int, column: int, best: Vector, tried: list[Vector]) -> Vector:
        for v in tried:
            inside = self._bounded(v, row, column)
            if self._alone_cost(row, column, inside) < self._alone_cost(row, column, best):
                best = inside
        return best

    def _descend(self, row: int, column: int, best: Vector) -> Vector:
        for step in _STEPS:
            for _ in range(_MOST_MOVES):
                x, y = center = best
                around = [(x + step, y), (x - step, y), (x, y + step), (x, y - step)]
                best = self._better(row, column, best, around)
                if best == center:
                    break
        return best

    def _coarse(self, row: int, column: int) -> Vector:
        """Return the vector of a 32 px cell by a full search on means of 4 px."""
        if all(self.calm[at] for at in self._children(2, row, column)):
            return _STILL
        y, x = row * _COARSE_PX, column * _COARSE_PX
        wanted = self.quarters[1][y : y + _COARSE_PX, x : x + _COARSE_PX]
        height, width = wanted.shape
        best, least = _STILL, np.inf
        for dy in range(-_COARSE_REACH, _COARSE_REACH + 1):
            for dx in range(-_COARSE_REACH, _COARSE_REACH + 1):
                top, left = _MARGIN_PX + y - dy, _MARGIN_PX + x - dx
                read = self.padded_quarter[top : top + height, left : left + width]
                cost = 16 * float(((read - wanted) ** 2).sum()) + self.lambda_ * (_length(dx) + _length(dy))
                if cost < least:
                    best, least = (16 * dx, 16 * dy), cost
        return best

    def _find_alone(self, row: int, column: int) -> Vector:
        if self.calm[row, column]:
            return _STILL
        starts = [self._last_at(_FINEST, row, column), self._coarse(row // 2, column // 2)]
        return self._descend(row, column, self._better(row, column, _STILL, starts))

    def _find_beside(self, row: int, column: int) -> Vector:
        if self.calm[row, column]:
            return _STILL
        rows, columns = self.calm.shape
        around = [
            self.found[r, c]
            for r in range(max(0, row - 1), min(rows, row + 2))
            for c in range(max(0, column - 1), min(columns, column + 2))
        ]
        alone = self.found[row, column]
        best = self._better(row, column, alone, around)
        return best if best == alone else self._descend(row, column, best)

    def _gather(self, level: int, row: int, column: int) -> list[Vector]:
        """Return the vectors that a cell may go by: its blocks' median, and those of cells below farthest from it."""
        across = _CELLS_PX[level] // _BLOCK_PX
        rows, columns = slice(row * across, (row + 1) * across), slice(column * across, (column + 1) * across)
        moving = np.argwhere(~self.calm[rows, columns])
        if not len(moving):
            return []
        vectors = [self.found[row * across + int(r), column * across + int(c)] for r, c in moving]
        x, y = (sorted(v[k] for v in vectors)[len(vectors) // 2] for k in range(2))
        chosen: list[Vector] = [(x, y)]
        if level == _FINEST:
            return chosen
        finer = [self.candidates[level + 1, r, c][:1] for r, c in self._children(level, row, column)]
        below = list(dict.fromkeys(v for first in finer for v in first))
        below.sort(key=lambda v: -abs(v[0] - x) - abs(v[1] - y))
        return list(dict.fromkeys(chosen + [v for v in below if v != (x, y)]))[:_MOST_CANDIDATES]

    def _vector_bits(self, level: int, row: int, column: int, parent: Vector, v: Vector) -> float:
        def bits(start: Vector) -> float:
            rx, ry = v[0] - start[0], v[1] - start[1]
            return _value_bits(self.costs[3 * level], rx) + _value_bits(self.costs[3 * level + 1 + (rx != 0)], ry)

        return _MARGINS[level] * (_ON_BITS + min(bits(parent), bits(self._last_at(level, row, column))))

    def _cost_by(self, level: int, row: int, column: int, v: Vector) -> float:
        """Return the least cost of a cell and all below it where the cell itself goes by v."""
        if level == _FINEST:
            return self.error(row, column, self._bounded(v, row, column))
        return sum(self.cell_cost(level + 1, r, c, v) for r, c in self._children(level, row, column))

    def _options(self, level: int, row: int, column: int, parent: Vector) -> list[tuple[float, Vector]]:
        """Return what a cell may go by where those above it add up to `parent`, with what each costs."""
        options = [(self._cost_by(level, row, column, parent), parent)]
        for v in self.candidates[level, row, column]:
            if v != parent:
                bits = self._vector_bits(level, row, column, parent, v)
                options.append((self._cost_by(level, row, column, v) + self.lambda_ * bits, v))
        return options

    def _cell_cost(self, level: int, row: int, column: int, parent: Vector) -> float:
        return min(cost for cost, _ in self._options(level, row, column, parent))

    def _settle(self, level: int, row: int, column: int, parent: Vector, added: list[IntArray]) -> None:
        _, taken = min(self._options(level, row, column, parent), key=lambda option: option[0])
        added[level][row, column] = taken[0] - parent[0], taken[1] - parent[1]
        if level < _FINEST:
            for r, c in self._children(level, row, column):
                self._settle(level + 1, r, c, taken, added)


def _length(v: int) -> float:
    """Return about how many bits a component takes."""
    return 2 * log2(1 + abs(v))


def _value_bits(row: FloatArray, value: int) -> float:
    """Return the bits of a signed value of an int table with 2 R + 2 symbols, the last an escape (SPEC section 4)."""
    reach = len(row) // 2 - 1
    if abs(value) <= reach:
        return float(row[value + reach])
    excess = 2 * (abs(value) - reach - 1) + (value < 0)
    return float(row[-1]) + 3 + 2 * log2(excess + 1)


def _means_of_four(plane: FloatArray) -> FloatArray:
    """Return the means of squares of 4 px, those at the edges as if the edge went on."""
    height, width = plane.shape
    whole = np.pad(plane, ((0, -height % 4), (0, -width % 4)), mode="edge").astype(np.float64)
    rows, columns = whole.shape
    return np.asarray(whole.reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3)))
