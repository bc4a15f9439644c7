"""The Hilbert curve and what is dealt along it."""

import numpy as np
import pytest

from codec.slots import birth_block_guess, blocks_for, cell_order, cell_ranks, hilbert
from codec.types import EpochRecord
from tests.codec import twins


@pytest.mark.parametrize("bits", [0, 1, 2, 5])
def test_the_curve_is_that_of_the_twin_and_visits_neighbours(bits: int) -> None:
    y, x = (axis.reshape(-1).astype(np.int32) for axis in np.mgrid[: 1 << bits, : 1 << bits])
    index = hilbert(bits, x, y)
    assert index.tolist() == [twins.hilbert(bits, int(a), int(b)) for a, b in zip(x, y, strict=True)]
    order = np.argsort(index)
    assert (np.sort(index) == np.arange(len(index))).all()
    steps = np.abs(np.diff(x[order])) + np.abs(np.diff(y[order]))
    assert (steps == 1).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 65), (640, 360), (4096, 2304)])
def test_ranks_number_the_cells(width: int, height: int) -> None:
    ranks = cell_ranks(width, height)
    assert ranks.shape == (-(-height // 64), -(-width // 64))
    assert sorted(ranks.reshape(-1).tolist()) == list(range(ranks.size))
    assert (ranks.reshape(-1)[cell_order(width, height)] == np.arange(ranks.size)).all()


def test_blocks_are_filled_to_leave_room() -> None:
    assert [blocks_for(n) for n in (0, 1, 26, 27)] == [0, 1, 1, 2]


def test_guesses_stay_inside_of_the_range() -> None:
    epoch = EpochRecord(1, 300, 200, (30, 1), (40,))
    rng = np.random.default_rng(1)
    x, y = (rng.integers(0, size, 500).astype(np.int32) for size in (300, 200))
    for blocks in (1, 7, 40):
        guess = birth_block_guess(epoch, blocks, x, y)
        assert guess.min() == 0
        assert guess.max() <= blocks - 1
