"""Parametric priors of the entropy tables: what is expected of each symbol before any stream has been seen."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from codec.bitstream.tables import TABLES, WIDE_NAMES, TableSpec

__all__ = ["Probabilities", "prior"]

Probabilities = npt.NDArray[np.float64]

# Probability of 1 by context, and the mean absolute value of int tables by context; a short list repeats its last.
_ONES: Final[dict[str, list[float]]] = {
    "present": [0.05, 0.03, 0.2, 0.7, 0.15, 0.15, 0.001, 0.001],
    "affine_shape": [0.3],
    "cell_on": [0.25, 0.4, 0.25, 0.5, 0.2, 0.4, 0.12, 0.3, 0.18, 0.4, 0.1, 0.3, 0.2, 0.4, 0.1, 0.3],
    "cell_any": [0.3, 0.55, 0.25, 0.5, 0.25, 0.5, 0.2, 0.45, 0.25, 0.5, 0.2, 0.45],
    "cell_affine_on": [0.3, 0.2, 0.1],
    "shift_on": [0.05, 0.3, 0.05, 0.3],
    "block_on": [0.5] * 4 + [0.3, 0.2, 0.35, 0.5, 0.6, 0.45, 0.6, 0.75, 0.85, 0.8, 0.87, 0.92],
    "slot_on": [0.1] * 6 + [0.07, 0.11, 0.15, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.02, 0.05, 0.1]
    + [0.2, 0.27, 0.35, 0.04, 0.1, 0.2],
    "birth_kind": [0.8],
}  # fmt: skip
_SPREADS: Final[dict[str, list[float]]] = {
    "key_base": [1.6, 0.6],
    "key_scale": [1.2, 1.2, 1.2, 1.2, 2.0],
    "key_e": [1.8] * 5 + [1.3, 1.6, 2.0] * 5,
    "key_luma": [3.0, 2.8, 2.5, 2.2, 2.0],
    "key_chroma": [0.5, 0.7, 1.0, 0.4, 0.6, 0.9, 0.4, 0.7, 1.3, 0.3, 0.6, 1.2],
    "light": [1.0],
    "base_delta": [0.15, 0.1],
    "affine": [3.0, 3.0, 3.0, 3.0, 3.0, 3.0],
    "cell_vector": [2.5, 1.5, 3.0, 2.0, 1.2, 2.5, 1.8, 1.1, 2.2, 1.6, 1.0, 2.0],
    "cell_affine": [1.2],
    "shift": [1.0, 1.5, 1.0, 1.0],
    "mean": [1.2, 1.4, 1.0],
    "shape": [0.8, 0.8, 0.8, 0.9, 0.8],
    "luma": [1.3],
    "chroma": [0.9, 1.1, 0.8],
    "birth_block": [1.0],
    "birth_luma": [2.5, 2.5],
    "birth_chroma": [1.0, 1.0, 0.6, 0.6],
}
_MEAN_COUNT = (0.02, 0.15, 0.4, 0.8, 1.5, 2.6)  # of splats in a tile, by the neighbours' class
_COARSER_FACTOR = (1.3, 1.0, 0.9, 0.8)
_WIDE_LENGTH: Final[dict[str, float]] = {  # where the prior of bit lengths has its peak
    "escape": 3, "counts": 2, "indices": 5, "patch_gap": 1, "patch_x": 9, "patch_y": 8, "patch_s": 6, "patch_e1": 5,
    "patch_e2": 5, "patch_luma": 8, "patch_cb": 6, "patch_cr": 6, "patch_base": 5, "patch_vectors": 0, "births": 0,
}  # fmt: skip


def prior(name: str) -> Probabilities:
    """Return the parametric prior [contexts, symbols] of a table."""
    spec = TABLES[name]
    rows = [_prior_row(name, spec, context) for context in range(spec.contexts)]
    table: Probabilities = np.array(rows, np.float64)
    table /= table.sum(axis=1, keepdims=True)
    return table


def _prior_row(name: str, spec: TableSpec, context: int) -> list[float]:
    """Return one context's prior, not normalised."""
    if name in _ONES:
        one = _ONES[name][min(context, len(_ONES[name]) - 1)]
        return [1 - one, one]
    if name in _SPREADS and spec.limit is not None:
        spread = _SPREADS[name][min(context, len(_SPREADS[name]) - 1)]
        return _two_sided(spec.limit, spread)
    if name == "key_count":
        mean = _MEAN_COUNT[context // 4 % 6] * _COARSER_FACTOR[context % 4]
        return [math.exp(-mean) * mean**n / math.factorial(n) + 1e-4 for n in range(spec.symbols)]
    if name == "wide":
        peak = _WIDE_LENGTH[WIDE_NAMES[context]]
        return [0.45 ** abs(length - peak) + 1e-4 for length in range(spec.symbols)]
    if name == "pattern":
        return [0.02 if p == 0 else 0.4 ** (p.bit_count() - 1) for p in range(spec.symbols)]
    if name == "density":
        return [0.15, 0.4, 0.3, 0.15]
    if name == "shift_pattern":
        return [0.01, 0.2, 0.5, 0.1, 0.1, 0.03, 0.05, 0.01]
    return [1.0] * spec.symbols


def _two_sided(limit: int, spread: float) -> list[float]:
    """Return a two-sided geometric distribution of mean absolute value `spread` over -R..R, and the escape's share."""
    ratio = math.sqrt(1 + 1 / spread**2) - 1 / spread  # E|v| = 2r / (1 - r^2)
    values = [ratio ** abs(v) for v in range(-limit, limit + 1)]
    return [*values, max(1e-4 * sum(values), 2 * ratio ** (limit + 1) / (1 - ratio))]
