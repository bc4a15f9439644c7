"""The search for a global light: against its twin, robust to what moves, and worth its bits."""

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.tables import cost_tables
from codec.engine import PFramePlan
from codec.engine.light import GAIN_UNIT, fit_gain, propose_light
from codec.engine.pframe import CHROMA_WEIGHT
from codec.render import reference, to_rgb
from codec.state import light_on_base, light_on_splats
from codec.types import IntArray, SplatState
from tests.codec.engine.test_pframe import encode_frame, native_engine, random_state, slow_error, ycc_of


def lit(state: SplatState, light: list[int]) -> SplatState:
    """Return a state after a light command."""
    after = state.copy()
    live = after.splats[:, 8] > 0
    after.splats[live] = light_on_splats(state.epoch, after.splats[live], np.array(light, np.int32))
    after.base[:] = light_on_base(state.base, np.array(light, np.int32))
    return after


def target_under(state: SplatState, light: list[int], seed: int) -> npt.NDArray[np.uint8]:
    """Return the state's picture under a light, with noise and with a bright square put in."""
    rgb = to_rgb(reference.render(lit(state, light))).astype(np.float64)
    rgb[16:48, 16:48] = 250
    return np.clip(np.rint(rgb + np.random.default_rng(seed).normal(0, 3, rgb.shape)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_proposal_is_the_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = random_state(seed)
    rgb = target_under(state, [int(rng.integers(-40, 40)), *rng.integers(-9, 9, 3).tolist()], seed)
    lambda_ = float(rng.uniform(1, 200))
    found = native_engine(state, rgb).propose_light(lambda_)
    expected = propose_light(
        reference.render(state), ycc_of(rgb).astype(np.float32), lambda_, CHROMA_WEIGHT, cost_tables(0)
    )
    assert found == expected.tolist()


def test_gain_is_found_beside_outliers() -> None:
    rng = np.random.default_rng(1)
    means = rng.uniform(20, 230, 200)
    wanted = 0.1 * means - 4 + rng.normal(0, 0.3, 200)
    wanted[:60] += 50
    gain, weights = fit_gain(means, wanted, np.full(200, 256.0))
    assert gain == pytest.approx(0.1 * GAIN_UNIT, abs=0.3)
    assert weights[:60].max() == 0
    assert weights[60:].mean() > 0.7


def encode_light(
    state: SplatState, rgb: npt.NDArray[np.uint8], light: bool = True
) -> tuple[IntArray | None, SplatState]:
    """Return the light that a frame takes, at a lambda at which nothing else pays much, and the state it leaves."""
    commands, _, after = encode_frame(state, rgb, PFramePlan(20.0, light=light))
    return commands.light, after


def test_a_light_is_taken_and_its_state_is_the_decoders() -> None:
    state = random_state(21)
    rgb = to_rgb(reference.render(lit(state, [20, 3, 0, -2])))
    plan = PFramePlan(50.0, sweeps=0, max_births=0, cell_shift=False)  # light alone
    commands, _, after = encode_frame(state, rgb, plan)
    assert commands.light is not None
    assert abs(int(commands.light[0]) - 20) <= 5
    expected = lit(state, commands.light.tolist())
    assert np.array_equal(after.splats, expected.splats)
    assert np.array_equal(after.base, expected.base)


def test_a_constant_light_needs_nothing() -> None:
    state = random_state(22)
    light, _ = encode_light(state, target_under(state, [0, 0, 0, 0], 22))
    assert light is None


def test_light_can_be_left_out() -> None:
    state = random_state(23)
    light, after = encode_light(state, to_rgb(reference.render(lit(state, [40, 0, 0, 0]))), light=False)
    assert light is None
    assert np.array_equal(after.base, state.base)


def test_where_work_is_bounded_the_picture_is_made_lighter_as_it_is() -> None:
    state = random_state(24)
    rgb = to_rgb(reference.render(lit(state, [20, 3, 0, -2])))
    plan = PFramePlan(50.0, sweeps=0, max_births=0, cell_shift=False, affine=False, screen=True)
    commands, figures, after = encode_frame(state, rgb, plan)
    assert commands.light is not None
    expected = lit(state, commands.light.tolist())
    assert np.array_equal(after.splats, expected.splats)
    assert np.array_equal(after.base, expected.base)
    pixels = rgb.shape[0] * rgb.shape[1]
    assert figures.squared_error / pixels == pytest.approx(slow_error(expected, rgb) / pixels, rel=5e-3)
