"""Flow finds a shift, and declines pictures too small for it."""

import numpy as np
import pytest

from codec.motion import FlowEstimator


def test_flow_finds_a_shift() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (24, 32)).astype(np.float32)
    picture = np.kron(coarse, np.ones((8, 8), np.float32))
    for _ in range(3):
        picture = (
            picture
            + np.roll(picture, 2, 0)
            + np.roll(picture, 2, 1)
            + np.roll(picture, -2, 0)
            + np.roll(picture, -2, 1)
        ) / 5
    before = picture.astype(np.uint8)
    after = np.roll(before, (2, 4), axis=(0, 1))
    flow = FlowEstimator().flow(before, after)
    assert flow is not None
    assert flow.shape == (2, 192, 256)
    assert flow.dtype == np.float32
    inner = flow[:, 40:-40, 40:-40]
    assert np.median(inner[0]) == pytest.approx(4, abs=0.5)
    assert np.median(inner[1]) == pytest.approx(2, abs=0.5)


def test_small_pictures_have_no_flow() -> None:
    small = np.zeros((20, 64), np.uint8)
    assert FlowEstimator().flow(small, small) is None
