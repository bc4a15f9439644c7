"""Slow twins of the bitstream's vectorised parts: SPEC word for word, one splat and one symbol at a time."""

from collections.abc import Sequence

from codec.errors import BitstreamError
from codec.prediction import KEY_WEIGHTS
from codec.types import CELL_LEVELS_PX, SHIFT_LEVELS_PX, EpochRecord, IntArray, ParsedPPart, SplatState

Splat = list[int]


class ScalarRangeDecoder:
    """The decoder of SPEC section 4 in whole numbers of any size."""

    def __init__(self, stream: bytes) -> None:
        """Start at the beginning of a stream."""
        self.words = [int.from_bytes(stream[i : i + 4].ljust(4, b"\0"), "big") for i in range(0, len(stream), 4)]
        self.lower, self.range = 0, (1 << 64) - 1
        self.point = self._word() << 32
        self.point |= self._word()

    def _word(self) -> int:
        """Take the next word; zeros after the end."""
        return self.words.pop(0) if self.words else 0

    def decode(self, counts: Sequence[int]) -> int:
        """Decode one symbol of a table of counts."""
        scale = self.range >> 24
        q = (self.point - self.lower) % (1 << 64) // scale
        if q >= 1 << 24:
            raise BitstreamError("no interval")
        symbol, left = 0, 0
        while q >= left + counts[symbol]:
            left += counts[symbol]
            symbol += 1
        self.lower = (self.lower + scale * left) % (1 << 64)
        self.range = scale * counts[symbol]
        if self.range < 1 << 32:
            self.lower = (self.lower << 32) % (1 << 64)
            self.range <<= 32
            self.point = (self.point << 32) % (1 << 64) | self._word()
        return symbol


def hilbert(bits: int, x: int, y: int) -> int:
    """Wikipedia's xy2d on a 2^bits square."""
    side, index = 1 << bits, 0
    s = side >> 1
    while s > 0:
        rx, ry = int((x & s) > 0), int((y & s) > 0)
        index += s * s * ((3 * rx) ^ ry)
        if ry == 0:
            if rx == 1:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        s >>= 1
    return index


def clamp(value: int, low: int, high: int) -> int:
    """Limit a value."""
    return max(low, min(high, value))


def rdiv(a: int, b: int) -> int:
    """Division rounded to nearest."""
    return (2 * a + b) // (2 * b)


def saturated(epoch: EpochRecord, splat: Splat) -> Splat:
    """Each field within its range."""
    highs = (16 * epoch.width_px + 2047, 16 * epoch.height_px + 2047, 352, 128, 128, 2047, 1023, 1023)
    lows = (-2048, -2048, -32, -128, -128, -1024, -1024, -1024)
    limited = [clamp(value, low, high) for value, low, high in zip(splat[:8], lows, highs, strict=True)]
    return limited + splat[8:]


def base_color(epoch: EpochRecord, base: IntArray, x_px: int, y_px: int) -> list[int]:
    """The base's sample at a place."""
    _, rows, columns = epoch.base_shape
    row = clamp(y_px * rows // epoch.height_px, 0, rows - 1)
    column = clamp(x_px * columns // epoch.width_px, 0, columns - 1)
    return [int(base[c, row, column]) for c in range(3)]


def key_values(
    epoch: EpochRecord,
    base: IntArray,
    classes: IntArray,
    tile_rows: IntArray,
    fields: IntArray,
    residuals: IntArray,
    known: Sequence[Splat] = (),
) -> list[Splat]:
    """Values of a key part's splats, one by one, with a dictionary of accumulators that start with the known ones."""
    rows, columns = -(-epoch.height_px // 8), -(-epoch.width_px // 8)
    sums: dict[tuple[int, int], list[int]] = {}
    steps = epoch.steps
    made: list[Splat] = []
    batch: list[tuple[int, int, int, Splat]] = []

    def add_batch() -> None:
        for k, row, column, splat in batch:
            reach = (1, 1, 2, 3, 5)[k]
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 <= row + dy < rows and 0 <= column + dx < columns:
                        w = KEY_WEIGHTS[k][dx * dx + dy * dy]
                        cell = sums.setdefault((row + dy, column + dx), [0] * 6)
                        for channel, value in enumerate((1, *splat[5:8], *splat[3:5])):
                            cell[channel] += w * value
        batch.clear()

    for splat in known:
        k = sum(splat[2] > threshold for threshold in (48, 92, 137, 181))
        batch.append((k, clamp(splat[1] >> 7, 0, rows - 1), clamp(splat[0] >> 7, 0, columns - 1), splat))
    add_batch()
    for i, (x, y, s) in enumerate(fields.tolist()):
        k = int(classes[i])
        if i and (classes[i - 1] != k or tile_rows[i - 1] != tile_rows[i]):
            add_batch()
        row, column = clamp(y >> 7, 0, rows - 1), clamp(x >> 7, 0, columns - 1)
        total, *colors, e1, e2 = sums.get((row, column), [0] * 6)
        w0 = 26 >> k
        near = base_color(epoch, base, x >> 4, y >> 4)
        shapes = [(7 * e) // (10 * (total + w0)) for e in (e1, e2)]
        predicted = shapes + [(c + w0 * b) // (total + w0) for c, b in zip(colors, near, strict=True)]
        own_steps = (steps.key_shape, steps.key_shape, steps.key_luma, steps.key_chroma, steps.key_chroma)
        values = [
            step * (rdiv(p, step) + r) for step, p, r in zip(own_steps, predicted, residuals[i].tolist(), strict=True)
        ]
        made.append(saturated(epoch, [x, y, s, *values]))
        batch.append((k, row, column, made[-1]))
    return made


def apply_p_part(state: SplatState, part: ParsedPPart) -> None:
    """SPEC section 6.1, in place, splat by splat."""
    epoch = state.epoch
    splats = state.splats.tolist()
    if part.part == 0:
        _light_and_base(state, splats, part)
        _affine(epoch, splats, part)
        _cells(state, splats, part)
        _shifts(epoch, splats, part)
        _bulk(state, splats, part)
    _updates(epoch, splats, part)
    _births(state, splats, part)
    state.splats[:] = splats


def _light_and_base(state: SplatState, splats: list[Splat], part: ParsedPPart) -> None:
    """Steps 1 and 2."""
    lows, highs = (0, -512, -512), (1023, 511, 511)
    deltas = None if part.base_delta is None else part.base_delta
    if part.light is not None:
        gain = clamp(int(part.light[0]), -255, 256)
        offsets = [4 * clamp(int(o), -255, 255) for o in part.light[1:]]
        for i, splat in enumerate(splats):
            if splat[8]:
                for c in range(3):
                    splat[5 + c] += (gain * splat[5 + c] + 128 >> 8) + (offsets[c] if splat[8] == 1 else 0)
                splats[i] = saturated(state.epoch, splat)
    for c in range(3):
        for index, sample in enumerate(state.base[c].reshape(-1).tolist()):
            if part.light is not None:
                sample = clamp(sample + (gain * sample + 128 >> 8) + offsets[c], lows[c], highs[c])
            if deltas is not None:
                delta = clamp(int(deltas[c].reshape(-1)[index]), -4095, 4095)
                sample = clamp(sample + 8 * delta, lows[c], highs[c])
            state.base[c].reshape(-1)[index] = sample


def _shine(splat: Splat, gain: int, offsets: Sequence[int]) -> None:
    """A shift's gain and offsets on one splat."""
    splat[5] += gain * splat[5] >> 6
    if splat[8] == 1:
        for c in range(3):
            splat[5 + c] += offsets[c]


def _affine(epoch: EpochRecord, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 3."""
    if part.affine is None:
        return
    a, b, c, d = (clamp(int(v), -2047, 2047) for v in part.affine[:4])
    tx, ty = (clamp(int(v), -2048, 2047) for v in part.affine[4:])
    for i, (x, y, s, e1, e2, *rest) in enumerate(splats):
        if rest[-1] == 0:
            continue
        dx, dy = x - 8 * epoch.width_px, y - 8 * epoch.height_px
        moved = [x + ((a * dx + b * dy) >> 12) + 2 * tx, y + ((c * dx + d * dy) >> 12) + 2 * ty, s, e1, e2]
        if part.affine_shape:
            moved[2:] = [s + ((a + d) >> 7), e1 - (((c - b) * e2) >> 12), e2 + (((c - b) * e1) >> 12)]
        splats[i] = saturated(epoch, moved + rest)


def _cell_of(epoch: EpochRecord, splat: Splat, cell_px: int) -> tuple[int, int]:
    """Row and column of a splat's cell."""
    row = clamp(splat[1] >> 4, 0, epoch.height_px - 1) // cell_px
    return row, clamp(splat[0] >> 4, 0, epoch.width_px - 1) // cell_px


def _cells(state: SplatState, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 4."""
    epoch = state.epoch
    sums = [[[0, 0] for _ in row] for row in state.vectors.tolist()]
    for cell_px, cells in zip(CELL_LEVELS_PX, part.cells or (), strict=False):
        vectors: dict[tuple[int, int], list[int]] = {}
        for row, column in zip(*(axis.tolist() for axis in cells.on.nonzero()), strict=True):
            y = min(row * cell_px + cell_px // 2, epoch.height_px - 1) >> 4
            x = min(column * cell_px + cell_px // 2, epoch.width_px - 1) >> 4
            t = [int(state.vectors[y, x, c]) - sums[y][x][c] for c in range(2)]
            known = [vectors[place] for place in ((row, column - 1), (row - 1, column)) if place in vectors]
            if not known:
                predicted = t
            elif len(known) == 2:
                predicted = [sorted((known[0][c], known[1][c], t[c]))[1] for c in range(2)]
            else:
                predicted = known[0] if t == [0, 0] else [(known[0][c] + t[c]) >> 1 for c in range(2)]
            residual = cells.residuals[row, column].tolist()
            vectors[row, column] = [clamp(predicted[c] + residual[c], -2048, 2047) for c in range(2)]
        for i, splat in enumerate(splats):
            place = _cell_of(epoch, splat, cell_px)
            if not splat[8] or place not in vectors:
                continue
            row, column = place
            a, b, c, d = (clamp(int(term), -63, 63) for term in cells.affine[row, column])
            dx = clamp(splat[0] - 16 * (column * cell_px + cell_px // 2), -8192, 8191)
            dy = clamp(splat[1] - 16 * (row * cell_px + cell_px // 2), -8192, 8191)
            vx, vy = vectors[place]
            x = splat[0] + 4 * vx + ((a * dx + b * dy) >> 6)
            y = splat[1] + 4 * vy + ((c * dx + d * dy) >> 6)
            splats[i] = saturated(epoch, [x, y, *splat[2:]])
        for y, line in enumerate(sums):
            for x, total in enumerate(line):
                place = min(16 * y + 8, epoch.height_px - 1) // cell_px, min(16 * x + 8, epoch.width_px - 1) // cell_px
                for c in range(2):
                    total[c] += vectors.get(place, (0, 0))[c]
    state.vectors[:] = [[[clamp(v, -4096, 4095) for v in total] for total in line] for line in sums]


def _shifts(epoch: EpochRecord, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 5."""
    for cell_px, level in zip(SHIFT_LEVELS_PX, part.shifts, strict=True):
        if level is None:
            continue
        for i, splat in enumerate(splats):
            if splat[8]:
                gain, *offsets = level.shifts[_cell_of(epoch, splat, cell_px)].tolist()
                _shine(splat, clamp(gain, -63, 64), [6 * clamp(o, -255, 255) for o in offsets])
                splats[i] = saturated(epoch, splat)


def _bulk(state: SplatState, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 6."""
    if part.bulk is None:
        return
    epoch, bulk = state.epoch, part.bulk
    end = 32 * sum(epoch.layers[: part.layer + 1])
    known = [splat for splat in splats[:end] if splat[8] == 1]
    made = key_values(epoch, state.base, bulk.classes, bulk.tile_rows, bulk.fields, bulk.residuals, known)
    rank, bits = _cell_ranks(epoch), 6

    def place(splat: Splat) -> tuple[int, ...]:
        x, y = splat[0] >> 4, splat[1] >> 4
        return rank[y // 64, x // 64], hilbert(bits, x % 64, y % 64), *splat

    free = [slot for slot in range(32 * bulk.first_block, end) if slot % 32 < 26 and splats[slot][8] == 0]
    for slot, splat in zip(free, sorted(made, key=place), strict=False):
        splats[slot] = [*splat, 1]


def _cell_ranks(epoch: EpochRecord) -> dict[tuple[int, int], int]:
    """Ranks of the 64 px cells by row and column."""
    rows, columns = -(-epoch.height_px // 64), -(-epoch.width_px // 64)
    bits = 0
    while 1 << bits < max(rows, columns):
        bits += 1
    cells = sorted((hilbert(bits, c, r), r, c) for r in range(rows) for c in range(columns))
    return {(r, c): place for place, (_, r, c) in enumerate(cells)}


def _updates(epoch: EpochRecord, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 7."""
    e = epoch.steps
    steps = (e.mean, e.mean, e.shape, e.shape, e.shape, e.luma, e.chroma, e.chroma)
    for slot, deltas in zip(part.update_slots.tolist(), part.update_deltas.tolist(), strict=True):
        splat = splats[slot]
        if splat[8]:
            moved = [v + clamp(d, -4095, 4095) * t for v, d, t in zip(splat[:8], deltas, steps, strict=True)]
            splats[slot] = saturated(epoch, moved + splat[8:])
    for slot in part.death_slots.tolist():
        splats[slot] = [0] * 9


def _births(state: SplatState, splats: list[Splat], part: ParsedPPart) -> None:
    """Step 8."""
    epoch = state.epoch
    rank = _cell_ranks(epoch)
    for delta, kind, x, y, size, *color, _ in part.births.tolist():
        guess = rank[y // 64, x // 64] * part.blocks // len(rank)
        block = part.first_block + (guess + delta) % part.blocks
        free = [slot for slot in range(32 * block, 32 * block + 32) if splats[slot][8] == 0]
        if not free:
            continue
        steps = (epoch.steps.luma, epoch.steps.chroma, epoch.steps.chroma)
        near = base_color(epoch, state.base, x, y) if kind == 1 else [0, 0, 0]
        colors = [n + clamp(d, -4095, 4095) * t for n, d, t in zip(near, color, steps, strict=True)]
        scale = (-14, 17, 47, 78, 109, 141, 171, 201)[size]
        splats[free[0]] = saturated(epoch, [16 * x, 16 * y, scale, 0, 0, *colors, kind])
