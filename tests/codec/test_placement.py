"""The content-aware start of a fit."""

import numpy as np
import pytest

from codec.placement import place
from codec.types import FloatArray


def half_detailed_picture(width: int = 160, height: int = 96) -> FloatArray:
    """Return a picture whose left half is flat and whose right half is a fine pattern."""
    ys, xs = np.mgrid[:height, :width]
    pattern = 60 * np.sin(xs / 2.0) * np.sin(ys / 2.3) * (xs >= width // 2)
    return np.stack([120 + pattern, np.zeros_like(pattern), 10 + 0 * pattern]).astype(np.float32)


def test_it_gives_the_count_and_sane_splats() -> None:
    target = half_detailed_picture()
    splats = place(target, None, 400, seed=1)
    assert 0.97 * 400 <= len(splats) <= 400
    assert np.all(splats.means_px >= 0)
    assert np.all(splats.means_px <= [159, 95])
    assert np.all(splats.kinds == 1)
    assert np.all(np.abs(splats.log_scale) < 5)
    assert np.all(np.hypot(splats.e1, splats.e2) < 2.5)
    np.testing.assert_allclose(splats.colors[:, 2], 10, atol=1e-2)


def test_detail_draws_splats_and_makes_them_smaller() -> None:
    splats = place(half_detailed_picture(), None, 400)
    right = splats.means_px[:, 0] >= 80
    assert right.mean() > 0.7
    assert splats.log_scale[right].mean() < splats.log_scale[~right].mean() - 0.3


def test_importance_draws_splats() -> None:
    flat = np.full((3, 96, 160), 100, np.float32)
    importance = np.full((6, 10), 0.1, np.float32)
    importance[:, :5] = 1
    splats = place(flat, importance, 300)
    assert (splats.means_px[:, 0] < 80).mean() > 0.6


def test_the_same_arguments_give_the_same_splats() -> None:
    target = half_detailed_picture()
    first, again = place(target, None, 300, seed=7, threads=1), place(target, None, 300, seed=7, threads=3)
    np.testing.assert_array_equal(first.means_px, again.means_px)
    np.testing.assert_array_equal(first.log_scale, again.log_scale)
    other = place(target, None, 300, seed=8)
    assert len(other) != len(first) or np.any(other.means_px != first.means_px)


def test_superpixels_follow_an_edge() -> None:
    target = np.zeros((3, 64, 64), np.float32)
    target[0, :, 32:] = 200
    splats = place(target, None, 60)
    luma = splats.colors[:, 0]
    assert np.mean((luma < 2) | (luma > 198)) > 0.95


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 200), (17, 3), (200, 5)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    width, height = size
    splats = place(np.full((3, height, width), 50, np.float32), None, 40)
    assert len(splats) <= 40
    assert np.all(np.isfinite(splats.means_px))
    np.testing.assert_allclose(splats.colors, 50, atol=1e-3)


def test_bad_arguments_are_refused() -> None:
    target = half_detailed_picture()
    with pytest.raises(ValueError, match="importance"):
        place(target, np.ones((5, 10), np.float32), 10)
    with pytest.raises(ValueError, match="0 to 1"):
        place(target, np.full((6, 10), np.nan, np.float32), 10)
    with pytest.raises(ValueError, match="count"):
        place(target, None, -1)
    with pytest.raises(ValueError, match="target"):
        place(target[:2], None, 10)
