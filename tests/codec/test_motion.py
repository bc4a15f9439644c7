"""Flow finds a shift, at both efforts, and declines pictures too small for it."""

from typing import Literal

import numpy as np
import pytest

from codec.motion import FlowEstimator


@pytest.mark.parametrize("effort", ["best", "live"])
def test_flow_finds_a_shift(effort: Literal["best", "live"]) -> None:
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
    flow = FlowEstimator(effort).flow(before, after)
    assert flow is not None
    assert flow.shape == (2, 192, 256)
    assert flow.dtype == np.float32
    inner = flow[:, 40:-40, 40:-40]
    assert np.median(inner[0]) == pytest.approx(4, abs=0.5)
    assert np.median(inner[1]) == pytest.approx(2, abs=0.5)


def test_small_pictures_have_no_flow() -> None:
    small = np.zeros((20, 64), np.uint8)
    assert FlowEstimator("best").flow(small, small) is None
    assert FlowEstimator("live").flow(np.zeros((40, 64), np.uint8), np.zeros((40, 64), np.uint8)) is None
