"""The native renderer against its NumPy twin."""

import numpy as np
import pytest

from codec import render as default_backend
from codec.render import native, reference
from codec.types import FIELDS, EpochRecord, SplatState


def random_state(seed: int, width: int, height: int, splats: int) -> SplatState:
    """Return a state with every kind of splat there may be: extreme, thin, huge, dead, additive, off the picture."""
    rng = np.random.default_rng(seed)
    epoch = EpochRecord(1, width, height, (30, 1), (-(-splats // 32),))
    state = SplatState.empty(epoch)
    values = np.zeros((epoch.slots, FIELDS), np.int32)
    values[:, 0] = rng.integers(-2048, 16 * width + 2048, epoch.slots)
    values[:, 1] = rng.integers(-2048, 16 * height + 2048, epoch.slots)
    values[:, 2] = rng.integers(-32, 353, epoch.slots)
    values[:, 3:5] = rng.integers(-128, 129, (epoch.slots, 2))
    round_ones = rng.random(epoch.slots) < 0.5
    values[round_ones, 2] = rng.integers(20, 150, round_ones.sum())
    values[round_ones, 3:5] //= 4
    values[:, 5] = rng.integers(-1024, 2048, epoch.slots)
    values[:, 6:8] = rng.integers(-1024, 1024, (epoch.slots, 2))
    values[:, 8] = rng.integers(0, 3, epoch.slots)
    values[values[:, 8] == 0] = 0
    state.splats[:] = values
    state.base[0] = rng.integers(0, 1024, state.base.shape[1:])
    state.base[1:] = rng.integers(-512, 512, (2, *state.base.shape[1:]))
    return state


def assert_close(actual: np.ndarray, expected: np.ndarray, off_share: float = 1e-3) -> None:
    """Compare pictures: the rim of a splat may fall to either side in a few pixels, the rest differs by rounding."""
    difference = np.abs(actual.astype(np.float64) - expected)
    # measured: 0.02 at most away from rims, with colours of 500 and shapes at the ends of their ranges
    assert np.mean(difference > 0.06) <= off_share
    assert np.median(difference) < 2e-3


@pytest.mark.parametrize("size", [(160, 96), (97, 61), (1, 1), (5, 130)])
@pytest.mark.parametrize("threads", [1, 2])
def test_native_draws_what_the_reference_draws(size: tuple[int, int], threads: int) -> None:
    state = random_state(sum(size), *size, 90)
    assert_close(native.render(state, threads=threads), reference.render(state))


@pytest.mark.parametrize(
    ("scale", "region"), [(0.5, None), (2.0, (16, 9, 40, 33)), (1.37, (3, 0, 100, 50)), (0.01, None)]
)
def test_scale_and_region(scale: float, region: tuple[int, int, int, int] | None) -> None:
    state = random_state(3, 128, 72, 80)
    actual = native.render(state, scale, region)
    assert actual.shape[1:] == default_backend.output_size(state.epoch, scale, region)[::-1]
    assert_close(actual, reference.render(state, scale, region))


def test_a_region_is_that_part_of_the_whole() -> None:
    state = random_state(4, 128, 72, 80)
    whole = native.render(state)
    part = native.render(state, region=(21, 10, 50, 40))
    assert_close(part, whole[:, 10:50, 21:71])


def test_an_empty_state_is_its_base() -> None:
    state = SplatState.empty(EpochRecord(1, 64, 48, (30, 1), (1,)))
    state.base[0] = 400
    state.base[1] = -40
    picture = native.render(state)
    np.testing.assert_allclose(picture[0], 100, atol=1e-3)
    np.testing.assert_allclose(picture[1], -10, atol=1e-3)


def test_threads_do_not_change_a_bit() -> None:
    state = random_state(5, 200, 120, 200)
    np.testing.assert_array_equal(native.render(state, threads=1), native.render(state, threads=3))


def test_rgb_matches_the_reference() -> None:
    rng = np.random.default_rng(6)
    ycc = (rng.random((3, 37, 53), np.float32) * 300 - 20).astype(np.float32)
    ycc[1:] -= 130
    difference = native.to_rgb(ycc).astype(int) - reference.to_rgb(ycc)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 1e-3


def test_any_integers_at_all_can_be_drawn() -> None:
    state = random_state(8, 64, 48, 64)
    info = np.iinfo(np.int32)
    state.splats[:, :8] = np.random.default_rng(8).integers(info.min, info.max, (64, 8), np.int32)
    state.splats[:8, :2] = 500
    assert np.all(np.isfinite(native.render(state)))


def test_bad_arguments_are_refused() -> None:
    state = random_state(7, 64, 48, 32)
    with pytest.raises(ValueError, match="region"):
        native.render(state, region=(60, 0, 10, 10))
    with pytest.raises(ValueError, match="scale"):
        native.render(state, scale=0.0)
    with pytest.raises(ValueError, match="scale"):
        native.render(state, scale=1e6)
    with pytest.raises(ValueError, match="threads"):
        native.render(state, threads=0)
