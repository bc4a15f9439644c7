"""Floats to integers and back; every range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.quantize import (
    dequantize_base,
    dequantize_splats,
    field_high,
    field_low,
    key_steps,
    quantize_base,
    quantize_key,
    quantize_splats,
    saturate_splats,
    size_class,
)
from codec.types import EpochRecord, SplatSet, Steps
from tests.codec.random_states import noise_state

EPOCH = EpochRecord(1, 100, 80, (30, 1), (4,), 48, Steps(key_mean=(1, 2, 8, 16, 128)))


def wild_splats(seed: int, count: int = 200) -> SplatSet:
    """Return splats in and far beyond their ranges."""
    rng = np.random.default_rng(seed)
    return SplatSet(
        means_px=rng.normal(50, 120, (count, 2)).astype(np.float32),
        log_scale=rng.normal(1, 3, count).astype(np.float32),
        e1=rng.normal(0, 2, count).astype(np.float32),
        e2=rng.normal(0, 2, count).astype(np.float32),
        colors=rng.normal(0, 400, (count, 3)).astype(np.float32),
        kinds=rng.integers(0, 3, count).astype(np.uint8),
    )


def test_state_values_come_back_from_floats() -> None:
    state = noise_state(np.random.default_rng(1), EPOCH)
    assert (quantize_splats(EPOCH, dequantize_splats(state.splats)) == state.splats).all()
    with pytest.raises(ValueError, match=r"\[N, 9\]"):
        dequantize_splats(state.splats[:, :8])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_key_values_lie_on_the_lattice_and_inside(seed: int) -> None:
    splats = wild_splats(seed)
    values = quantize_key(EPOCH, splats)
    steps = key_steps(EPOCH, size_class(values[:, 2]))
    assert not (values % steps).any()
    assert (saturate_splats(EPOCH, values) == values).all()
    assert (values[:, :2] >= 0).all()
    assert (values[:, :2] < [1600, 1280]).all()
    fine = quantize_splats(EPOCH, splats)[:, :8]
    inside = ((fine[:, :2] >= 0) & (fine[:, :2] < np.array([1600, 1280]) - steps[:, :2])).all(axis=1)
    assert (np.abs(values - fine)[inside][:, :2] <= steps[inside][:, :2] // 2 + 1).all()
    assert (np.abs(values - fine)[:, 2:] <= steps[:, 2:]).all()


def test_base_levels_are_the_nearest() -> None:
    samples = np.linspace(-300, 300, 90, dtype=np.float32).reshape(3, 5, 6)
    base = dequantize_base(quantize_base(samples))
    limits = np.array([[0, 1023], [-512, 511], [-512, 511]])
    wanted = np.clip(samples * 4, limits[:, :1, None], limits[:, 1:, None])
    assert (np.abs(base - wanted) <= np.array([16, 24, 24])[:, None, None]).all()


def test_classes_change_above_their_thresholds() -> None:
    scales = np.array([-32, 48, 49, 92, 93, 137, 138, 181, 182, 352], np.int32)
    assert size_class(scales).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_limits_are_those_of_the_spec() -> None:
    assert field_low().tolist() == [-2048, -2048, -32, -128, -128, -1024, -1024, -1024]
    assert field_high(EPOCH).tolist() == [1600 + 2047, 1280 + 2047, 352, 128, 128, 2047, 1023, 1023]
