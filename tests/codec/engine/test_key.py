"""The key frame's loop: what it deletes, what it may hold, and that its picture is that of its integers."""

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.frame import parse_frame, serialize_key
from codec.bitstream.tables import cost_tables
from codec.engine.key import SLOW_PLAN, KeyFrameFit, KeyPlan, base_means
from codec.native import _native
from codec.quantize import KEY_BASE_STEPS, key_steps, size_class
from codec.render import reference, render
from codec.state import apply_frame
from codec.types import EpochRecord, KeyCommands, SplatState

EPOCH = EpochRecord(0, 96, 80, (30, 1), (40,))
ONES = np.ones((5, 6), np.float32)
QUICK = KeyPlan(iterations=30, quantized_iterations=10, refit_iterations=10, sweeps=4)


def picture() -> npt.NDArray[np.uint8]:
    """Return a picture with smooth parts, an edge and texture, [80, 96, 3]."""
    rng = np.random.default_rng(1)
    ys, xs = np.mgrid[0:80, 0:96]
    luma = 90 + 60 * np.sin(xs / 17) + 40 * (ys > 40) + 12 * rng.standard_normal((80, 96)) * (xs > 60)
    rgb = np.stack([luma, luma * 0.8 + 20, 200 - luma], -1)
    drawn: npt.NDArray[np.uint8] = np.clip(rgb, 0, 255).astype(np.uint8)
    return drawn


def luma_psnr(commands: KeyCommands, rgb: npt.NDArray[np.uint8]) -> float:
    """Return the luma PSNR in dB of what a decoder shows of a key frame."""
    state = SplatState.empty(EPOCH)
    apply_frame(state, parse_frame(serialize_key(EPOCH, 0, commands), EPOCH))
    assert np.count_nonzero(state.splats[:, 8]) == len(commands.splats)
    error = np.clip(render(state)[0], 0, 255) - rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def fit(lambda_: float, plan: KeyPlan = QUICK, max_splats: int = 16000) -> KeyCommands:
    """Return the key frame of the picture."""
    return KeyFrameFit(EPOCH, max_splats, threads=2, seed=1).fit(picture(), ONES, ONES, lambda_, plan)


def test_lower_lambda_keeps_more_splats_and_shows_more() -> None:
    coarse, fine = fit(400.0), fit(40.0)
    assert len(coarse.splats) < len(fine.splats)
    assert 24 < luma_psnr(coarse, picture()) < luma_psnr(fine, picture()) - 0.7


def test_splats_lie_on_the_key_lattice() -> None:
    splats = fit(60.0).splats
    steps = key_steps(EPOCH, size_class(splats[:, 2]))
    assert np.all(splats % steps == 0)
    assert splats[:, 0].min() >= 0
    assert splats[:, 0].max() < 16 * 96


def test_no_more_splats_than_allowed() -> None:
    few = fit(20.0, max_splats=60)
    assert len(few.splats) <= 60
    assert luma_psnr(few, picture()) > 20


def engine_with(
    splats: npt.NDArray[np.int32], rgb: npt.NDArray[np.uint8], roles: list[int] | None = None, lead_weight: float = 0.0
) -> tuple["_native.KeyEngine", SplatState]:
    """Return an engine that holds these splats [n, 8] over a grey base, and the state they stand for."""
    state = SplatState.empty(EPOCH)
    state.base[0] = 512
    base = np.ascontiguousarray(reference.render(state), np.float32)
    engine = _native.KeyEngine(96, 80, 1.0, [8, 8, 16, 16, 32], [13, 8, 24, 20], cost_tables(0), 2)
    engine.set_target(rgb)
    rows = np.hstack([splats, np.ones((len(splats), 1), np.int32)])
    engine.load(rows, np.array(roles or [0] * len(splats), np.int32), state.base, base, lead_weight)
    return engine, state


def test_a_splat_that_shows_nothing_is_deleted() -> None:
    grey = np.full((80, 96, 3), 128, np.uint8)
    useless = np.array([[640, 640, 91, 0, 0, 504, 0, 0]], np.int32)
    engine, _ = engine_with(useless, grey)
    engine.sweep(100.0, ONES, changes=True, deletes=True)
    assert len(engine.splats()) == 0


def test_a_splat_that_earns_its_bits_stays() -> None:
    rgb = np.full((80, 96, 3), 128, np.uint8)
    rgb[30:50, 30:50] = 220
    useful = np.array([[640, 640, 78, 0, 0, 880, 0, 0]], np.int32)
    engine, _ = engine_with(useful, rgb)
    engine.sweep(100.0, ONES, changes=True, deletes=True)
    assert len(engine.splats()) == 1


def test_the_error_of_a_sweep_is_that_of_its_integers() -> None:
    rgb = picture()
    rng = np.random.default_rng(3)
    splats = np.column_stack(
        [
            rng.integers(0, 1500, 60),
            rng.integers(0, 1270, 60),
            rng.integers(20, 160, 60),
            rng.integers(-60, 60, (60, 2)),
            rng.integers(0, 1020, 60),
            rng.integers(-200, 200, (60, 2)),
        ]
    ).astype(np.int32)
    engine, state = engine_with(splats, rgb)
    for _ in range(3):
        engine.sweep(60.0, ONES, changes=True, deletes=True)
    kept = engine.splats()
    state.splats[: len(kept), :8] = kept[:, :8]
    state.splats[: len(kept), 8] = 1
    error = reference.render(state).astype(np.float64) - _native.to_ycc(rgb, 1)
    assert engine.squared_error() == pytest.approx(float(np.sum(error**2)), rel=1e-3)
    again, _ = engine_with(np.ascontiguousarray(kept[:, :8]), rgb)
    assert np.array_equal(again.splats(), kept)  # what is on the lattice stays as it is


def test_sweeps_lower_error_plus_lambda_times_bits() -> None:
    rng = np.random.default_rng(4)
    splats = np.column_stack(
        [
            rng.integers(0, 1500, 80),
            rng.integers(0, 1270, 80),
            np.full(80, 78),
            np.zeros((80, 2)),
            np.full(80, 512),
            np.zeros((80, 2)),
        ]
    ).astype(np.int32)
    engine, _ = engine_with(splats, picture())
    costs = []
    for _ in range(4):
        engine.sweep(50.0, ONES, changes=True, deletes=True)
        costs.append(engine.squared_error() + 50.0 * engine.bits())
    assert costs[-1] < costs[0]


def boxes() -> npt.NDArray[np.int32]:
    """Return three splats over the bright square that `test_roles` draws, two of them nearly the same."""
    return np.array(
        [[640, 640, 104, 0, 0, 880, 0, 0], [648, 640, 104, 0, 0, 880, 0, 0], [160, 160, 104, 0, 0, 512, 0, 0]], np.int32
    )


def test_fixed_splats_are_left_alone_and_free_ones_give_way_to_them() -> None:
    rgb = np.full((80, 96, 3), 128, np.uint8)
    rgb[30:50, 30:50] = 220
    for role in (2, 3):
        engine, _ = engine_with(boxes() + 1, rgb, [role, 0, role])
        engine.sweep(100.0, ONES, changes=True, deletes=True)
        assert len(engine.splats()) == 0
    engine, _ = engine_with(boxes(), rgb, [0, 0, 2])
    engine.sweep(100.0, ONES, changes=True, deletes=True)
    assert engine.splats()[:, 8].tolist() == [0]


def test_the_lead_stays_for_its_own_picture() -> None:
    rgb = np.full((80, 96, 3), 128, np.uint8)
    rgb[30:50, 30:50] = 220
    for weight, kept in ((0.0, 0), (1.0, 1)):
        engine, _ = engine_with(boxes()[:2], rgb, [2, 1], weight)
        engine.sweep(100.0, ONES, changes=True, deletes=True)
        assert engine.splats()[:, 8].tolist() == [1] * kept


def test_a_frame_in_parts_has_a_lead_that_shows_the_picture() -> None:
    epoch = EpochRecord(0, 320, 240, (30, 1), (80,))
    small = np.kron(picture(), np.ones((3, 4, 1), np.uint8))[:240, :320]
    weights = np.ones((15, 20), np.float32)
    commands = KeyFrameFit(epoch, 16000, 2, 1).fit(np.ascontiguousarray(small), weights, weights, 60.0, QUICK)
    assert commands.lead is not None
    parts = serialize_key(epoch, 0, commands)
    assert len(parts) > 1
    state = SplatState.empty(epoch)
    apply_frame(state, parse_frame(parts[:1], epoch, partial=True))
    error = np.clip(render(state)[0], 0, 255) - small.astype(np.float64) @ (0.299, 0.587, 0.114)
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 22


def test_base_means_are_means_of_cells() -> None:
    target = np.random.default_rng(5).random((3, 50, 70), np.float32)
    means = base_means(target, (3, 3, 4))
    assert means[1, 1, 2] == pytest.approx(target[1, 16:33, 35:52].mean(), rel=1e-5)
    assert base_means(target[:, :1, :1], (3, 3, 4)) == pytest.approx(np.broadcast_to(target[:, :1, :1], (3, 3, 4)))


def test_base_levels_are_the_quantised_means() -> None:
    commands = fit(100.0)
    means = base_means(_native.to_ycc(picture(), 1), EPOCH.base_shape)
    assert np.abs(commands.base_levels * KEY_BASE_STEPS[:, None, None] / 4 - means).max() <= 6.01


def test_the_slow_plan_codes_a_picture_in_fewer_bytes() -> None:
    rows = {}
    for name, plan in (("quick", QUICK), ("slow", SLOW_PLAN)):
        commands = fit(80.0, plan)
        rows[name] = (sum(map(len, serialize_key(EPOCH, 0, commands))), luma_psnr(commands, picture()))
    assert rows["slow"][0] < rows["quick"][0]
    assert rows["slow"][1] > rows["quick"][1]
