"""Predictions, both directions; the values themselves are compared with scalar twins in the bitstream's tests."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.prediction import base_levels, base_residuals, cell_residuals, cell_vectors
from codec.types import ParsedCells
from tests.codec.random_states import noise_state, random_epoch
from tests.vectors.generate import integers, random_cells


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_base_levels_come_back_from_residuals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (int(rng.integers(1, 20)) for _ in range(2))
    levels = np.stack([integers(rng, 0, 32, rows, columns), *(integers(rng, -11, 11, rows, columns) for _ in range(2))])
    assert (base_levels(base_residuals(levels)) == levels).all()
    wild = base_levels(integers(rng, -16383, 16383, 3, rows, columns))
    assert wild.min() >= -11
    assert wild.max() <= 32


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_cell_vectors_come_back_from_residuals(seed: int) -> None:
    """The encoder's way is vectorised, the decoder's goes cell by cell: they must agree on every prediction."""
    rng = np.random.default_rng(seed)
    epoch = random_epoch(rng)
    state = noise_state(rng, epoch)
    state.vectors[rng.random(state.vectors.shape[:2]) < 0.5] = 0
    cells = random_cells(rng, epoch, 40, 0.6, 0)
    residuals = cell_residuals(epoch, state.vectors, cells)
    parsed = [ParsedCells(level.on, own, level.affine) for level, own in zip(cells, residuals, strict=True)]
    vectors, sums = cell_vectors(epoch, state.vectors, parsed)
    for level, own in zip(cells, vectors, strict=True):
        assert (own == np.where(level.on[..., None], level.vectors, 0)).all()
    y, x = sums.shape[0] - 1, sums.shape[1] - 1
    expected = sum(own[y * 16 // px, x * 16 // px] for own, px in zip(vectors, (128, 64, 32, 16), strict=True))
    assert (sums[y, x] == expected).all()
