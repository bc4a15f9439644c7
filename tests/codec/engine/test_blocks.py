"""Motion by matching pixels: the native search against its twin, shifts found, and what frames do with them."""

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.tables import cost_tables
from codec.engine import PFrameEngine, PFramePlan
from codec.engine.blocks import match_blocks
from codec.render import reference, render, to_rgb
from codec.types import BoolArray, FloatArray, FrameWork, IntArray, SplatState
from tests.codec.engine.test_pframe import (
    EPOCH,
    encode_frame,
    live_slots,
    native_engine,
    random_state,
    random_target,
    slow_error,
    ycc_of,
)

CALM = np.zeros((5, 6), np.bool_)


def shifted(state: SplatState, x_px: float, y_px: float, rows: slice = slice(None)) -> npt.NDArray[np.uint8]:
    """Return a state's picture with the splats of some pixel rows moved."""
    after = state.copy()
    live = live_slots(state)
    inside = live[np.isin(state.splats[live, 1] // 16, np.arange(EPOCH.height_px)[rows])]
    after.splats[inside, :2] += np.array([16 * x_px, 16 * y_px], np.int32)
    return to_rgb(reference.render(after))


def twin(state: SplatState, rgb: npt.NDArray[np.uint8], calm: BoolArray, lambda_: float) -> list[IntArray]:
    """Return what the readable twin finds."""
    before = reference.render(state)[0].astype(np.float32)
    target: FloatArray = ycc_of(rgb)[0].astype(np.float32)
    return match_blocks(before, target, state.vectors, calm, lambda_, cost_tables(0)["cell_vector"])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_search_is_the_twins(seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    state = random_state(seed, 90)
    state.vectors[:] = rng.integers(-20, 21, state.vectors.shape)
    rgb = shifted(state, rng.uniform(-9, 9), rng.uniform(-9, 9), slice(0, 48))
    calm = rng.uniform(size=CALM.shape) < 0.2
    lambda_ = float(rng.uniform(5, 200))
    found = native_engine(state, rgb, threads).match_blocks(lambda_, calm.ravel().tolist())
    for level, expected in zip(found, twin(state, rgb, calm, lambda_), strict=True):
        np.testing.assert_array_equal(level, expected)


def test_one_shift_is_one_vector_of_the_coarsest_cell() -> None:
    state = random_state(3, 120)
    levels = native_engine(state, shifted(state, 5, -3)).match_blocks(20.0, CALM.ravel().tolist())
    np.testing.assert_array_equal(levels[0], [[[20, -12]]])


def test_calm_blocks_take_no_part() -> None:
    state = random_state(3, 120)
    levels = native_engine(state, shifted(state, 5, -3)).match_blocks(20.0, [True] * CALM.size)
    assert not any(level.any() for level in levels)


def test_wrong_number_of_calm_blocks_is_refused() -> None:
    state = random_state(3)
    with pytest.raises(ValueError, match="calm blocks: expected 30, got 7"):
        native_engine(state, random_target(1)).match_blocks(20.0, [False] * 7)


def test_colour_model_is_exact() -> None:
    """The change of the error that the model predicts for a colour is that of an exact trial."""
    state, rgb = random_state(5), random_target(5)
    engine, rng = native_engine(state, rgb), np.random.default_rng(5)
    for slot in live_slots(state)[:20]:
        matrix, *gradient = engine.color_model(int(slot))
        after = state.splats[slot].copy()
        by = rng.integers(-40, 41, 3)
        after[5:8] += by.astype(np.int32)
        predicted = sum(
            w * d / 4 * (2 * g + d / 4 * matrix) for w, d, g in zip((1, 0.5, 0.5), by, gradient, strict=True)
        )
        assert engine.trial(int(slot), after.tolist()) == pytest.approx(predicted, rel=1e-3, abs=1.0)


@pytest.fixture(params=[0, 50_000_000])
def units(request: pytest.FixtureRequest) -> int:
    """Work units of a frame: enough for exact trials of its cells, and too few."""
    return int(request.param)


def encode_quickly(state: SplatState, rgb: npt.NDArray[np.uint8], units: int) -> SplatState:
    """Return the state after one quick frame."""
    work = FrameWork(units, (100, 100, 100, 100))
    plan = PFramePlan(10.0, sweeps=1, max_births=0, light=False, affine=False, quick=True, work=work)
    return encode_frame(state, rgb, plan)[2]


def test_a_quick_frame_follows_motion(units: int) -> None:
    state = random_state(6, 120)
    rgb = shifted(state, 6, 4)
    after = encode_quickly(state, rgb, units)
    assert slow_error(after, rgb) < 0.1 * slow_error(state, rgb)
    assert np.median(after.vectors, axis=(0, 1)).tolist() == [24, 16]


def test_motion_that_does_not_pay_is_taken_back(units: int) -> None:
    """A quick frame never leaves the picture worse than it was, whatever the pixels suggest."""
    for seed in range(4):
        state, rgb = random_state(seed, 40), random_target(seed + 10)
        after = encode_quickly(state, rgb, units)
        assert slow_error(after, rgb) <= slow_error(state, rgb)


def test_quick_picture_is_that_of_its_state() -> None:
    state = random_state(7, 90)
    engine = PFrameEngine(EPOCH, 1)
    engine.load(state)
    for step in range(3):
        engine.set_target(shifted(state, step, 2 * step))
        engine.encode([], np.ones((5, 6), np.float32), PFramePlan(10.0, quick=True))
    engine.store(state)
    shown = np.clip(np.rint(render(state)[0]), 0, 255)
    assert np.abs(engine.luma().astype(np.float64) - shown).max() <= 1
