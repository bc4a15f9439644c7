"""The global affine: its fit against the twin, and maps that are taken, with and without shape."""

import numpy as np
import pytest

from codec.engine import PFramePlan
from codec.engine.affine import fit_affine
from codec.render import reference, to_rgb
from codec.state import affine_moved
from codec.types import KIND_ADDITIVE, FloatArray, IntArray, PCommands, SplatState
from tests.codec.engine.test_pframe import EPOCH, encode_frame, native_engine, random_state, random_target, slow_error


def flow_of(affine: IntArray, seed: int = 0, noise: float = 0.0) -> FloatArray:
    """Return the flow [2, 80, 96] of a map about the middle, with noise, and a square that goes its own way."""
    y, x = np.mgrid[0:80, 0:96] - np.array([40, 48])[:, None, None]
    a, b, c, d, tx, ty = affine.tolist()
    flow = np.stack([(a * x + b * y) / 4096 + tx / 8, (c * x + d * y) / 4096 + ty / 8])
    flow += np.random.default_rng(seed).normal(0, 1, flow.shape) * noise
    flow[:, 20:50, 30:60] += 5
    return flow.astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_fit_is_the_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flow = flow_of(np.append(rng.integers(-90, 90, 4), rng.integers(-30, 30, 2)), seed, 0.1)
    engine = native_engine(random_state(seed), random_target(seed))
    assert np.abs(np.array(engine.fit_affine(flow)) - fit_affine(flow)).max() <= 1


def test_outliers_do_not_bend_the_map() -> None:
    wanted = np.array([40, -60, 60, 40, 10, -12], np.int32)
    assert np.abs(fit_affine(flow_of(wanted, 1, 0.05)) - wanted).max() <= 4


def test_a_map_that_few_points_follow_is_none() -> None:
    assert not fit_affine(flow_of(np.array([40, -60, 60, 40, 10, -12], np.int32), 1, 0.5)).any()


def test_a_still_picture_has_no_map() -> None:
    assert not fit_affine(flow_of(np.zeros(6, np.int32))).any()


def encode_moved(state: SplatState, affine: IntArray, shape: bool) -> tuple[PCommands, float, SplatState]:
    """Encode a state's picture after a map, affine alone; return commands, what error is left, and the state."""
    moved = state.copy()
    live = state.splats[:, 8] > 0
    moved.splats[live] = affine_moved(EPOCH, state.splats[live], affine, shape)
    rgb = to_rgb(reference.render(moved))
    plan = PFramePlan(20.0, sweeps=0, max_births=0, light=False, cell_shift=False, affine=True)
    commands, figures, after = encode_frame(state, rgb, plan, flow_of(affine))
    return commands, figures.squared_error / slow_error(state, rgb), after


def test_a_turn_is_taken_and_leaves_the_decoders_state() -> None:
    state = random_state(31)
    state.splats[state.splats[:, 8] == KIND_ADDITIVE] = 0
    commands, left, after = encode_moved(state, np.array([60, -80, 80, 60, 12, -9], np.int32), False)
    assert commands.affine is not None
    assert left < 0.01
    live = state.splats[:, 8] > 0
    expected = affine_moved(EPOCH, state.splats[live], commands.affine, commands.affine_shape)
    if commands.cells is None:
        assert np.array_equal(after.splats[live], expected)


def test_a_zoom_takes_the_shapes_along() -> None:
    commands, left, _ = encode_moved(random_state(32), np.array([400, 0, 0, 400, 0, 0], np.int32), True)
    assert commands.affine is not None
    assert commands.affine_shape
    assert left < 0.05


def test_no_map_for_what_does_not_move() -> None:
    commands, _, _ = encode_moved(random_state(33), np.array([0, 0, 0, 0, 0, 0], np.int32), False)
    assert commands.affine is None
