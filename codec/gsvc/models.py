"""Static tables that a frame brings along in two or four bytes each: a spike at the centre, geometric sides."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codec.bitstream.counted import CountedDecoder, CountedEncoder
from codec.bitstream.tables import TOTAL_COUNT, CountArray
from codec.types import IntArray

__all__ = ["LIMIT", "Coder", "SpikeModel", "code_gaps", "code_values", "fit_model", "value_bits"]

Coder = CountedEncoder | CountedDecoder

LIMIT = 127  # values farther from the centre are escaped
_ESCAPE_COUNT = TOTAL_COUNT >> 12
_MAX_CENTRE = 1 << 14
_MAX_ESCAPED = (1 << 23) - 1


@dataclass(frozen=True)
class SpikeModel:
    """Probabilities of whole numbers."""

    spike: int = 0  # the centre's share is (2 spike + 1) / 512; 0 .. 255
    decay: int = 0  # each side falls by decay / 256 a step; 0 .. 255
    centre: int = 0

    def counts(self) -> CountArray:
        """Return integer counts [2 LIMIT + 2] of centre - LIMIT .. centre + LIMIT and an escape; they sum to 2^24."""
        return _counts(self.spike, self.decay)


_HALVING = SpikeModel(128, 128)  # gaps from 0 up; half of its table is never used, for a bit at most


@lru_cache(maxsize=4096)
def _counts(spike: int, decay: int) -> CountArray:
    """Return the counts of a model; in whole numbers throughout, so that they are the same everywhere."""
    centre = (2 * spike + 1) * (TOTAL_COUNT >> 9)
    side = (TOTAL_COUNT - _ESCAPE_COUNT - centre) // 2
    weights, weight = [], 1 << 24
    for _ in range(LIMIT):
        weights.append(weight)
        weight = weight * decay >> 8
    total = sum(weights)
    counts = [1 + weight * (side - LIMIT) // total for weight in weights]
    counts[0] += side - sum(counts)
    centre = TOTAL_COUNT - _ESCAPE_COUNT - 2 * side
    return np.array([*reversed(counts), centre, *counts, _ESCAPE_COUNT], np.int64)


def fit_model(values: IntArray, centred: bool = False) -> SpikeModel:
    """Return the model that suits values [n]; its centre is 0, or their median if `centred`."""
    if not len(values):
        return SpikeModel()
    centre = int(np.clip(np.median(values), -_MAX_CENTRE, _MAX_CENTRE)) if centred else 0
    away = np.abs(values - centre)
    sides = away[away > 0]
    share = 1 - len(sides) / len(values)
    decay = 256 * (1 - 1 / float(sides.mean())) if len(sides) else 0
    return SpikeModel(int(np.clip(256 * share, 0, 255)), int(np.clip(np.rint(decay), 0, 255)), centre)


def value_bits(model: SpikeModel, values: IntArray) -> float:
    """Return about how many bits values [n] take; an escape counts 24."""
    costs = -np.log2(model.counts() / TOTAL_COUNT)
    away = values - model.centre
    outside = np.abs(away) > LIMIT
    return float(costs[np.where(outside, 2 * LIMIT + 1, away + LIMIT)].sum()) + 24.0 * int(outside.sum())


def code_values(coder: Coder, model: SpikeModel, values: IntArray) -> IntArray:
    """Encode values [n], or decode as many, and return them."""
    if not len(values):
        return values
    symbols = values - model.centre + LIMIT
    symbols = np.where((symbols < 0) | (symbols > 2 * LIMIT), 2 * LIMIT + 1, symbols).astype(np.int32)
    symbols = coder.counted(model.counts(), symbols)
    escaped = symbols == 2 * LIMIT + 1
    coded = (symbols - LIMIT + model.centre).astype(np.int32)
    if escaped.any():
        coded[escaped] = _code_escapes(coder, values[escaped])
    return coded


def code_gaps(coder: Coder, gaps: IntArray, mean: int) -> IntArray:
    """Encode gaps [n] of at least 0 whose mean is known to both sides, or decode as many, and return them."""
    if not len(gaps):
        return gaps
    low_bits = min(12, max(0, mean.bit_length() - 1))
    upper = np.maximum(code_values(coder, _HALVING, gaps >> low_bits), 0)
    return upper << low_bits | coder.uniform(1 << low_bits, gaps & ((1 << low_bits) - 1))


def _code_escapes(coder: Coder, values: IntArray) -> IntArray:
    """Code values [n] of 24 bits with a sign each."""
    folded = np.clip(values, -_MAX_ESCAPED, _MAX_ESCAPED) + _MAX_ESCAPED + 1
    upper = coder.uniform(1 << 12, folded >> 12)
    return (upper << 12 | coder.uniform(1 << 12, folded & 4095)) - _MAX_ESCAPED - 1
