"""The race of the P-frame engines: same start, same pictures; the prototype's part where its source is at hand."""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from codec.bench.engine_race import race_engines
from codec.bench.prototype import PrototypeError
from codec.bench.prototype_engine import (
    SOURCE_NAME,
    EngineOptions,
    PrototypeEngine,
    load_engine,
    prototype_parameters,
)
from codec.bench.speed_tables import race_table
from codec.media import RgbPicture
from codec.quantize import dequantize_splats
from codec.render import render
from codec.types import EpochRecord, SplatState
from tests.codec.random_pictures import random_state

WIDTH, HEIGHT = 96, 64
PROTOTYPE = Path(__file__).parents[4] / "shared" / "experiments" / "splat"


def moving_pictures(count: int) -> list[RgbPicture]:
    """Return pictures whose middle moves over a still background, with a ripple that grows."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    pictures = []
    for index in range(count):
        middle = np.exp(-(((x - 40 - 1.5 * index) / 14) ** 2) - ((y - 32) / 12) ** 2)
        ripple = np.sin((x - 1.5 * index) / 4) * middle
        planes = [110 + 90 * middle + (30 + 8 * index) * ripple, 90 + 40 * np.sin(x / 17), 80 + 60 * np.cos(y / 13)]
        pictures.append(np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8))
    return pictures


def key_state(seed: int) -> SplatState:
    """Return a state of normalised splats."""
    state = random_state(EpochRecord(0, WIDTH, HEIGHT, (30, 1), (4,)), seed)
    state.splats[state.splats[:, 8] != 0, 8] = 1
    return state


def test_parameters_are_those_of_the_live_splats() -> None:
    state = key_state(3)
    live = state.splats[state.splats[:, 8] != 0]
    splats, parameters = dequantize_splats(live), prototype_parameters(state)
    assert parameters.shape == (len(live), 8)
    np.testing.assert_array_equal(parameters[:, :2], splats.means_px)
    np.testing.assert_array_equal(parameters[:, 5:], splats.colors)
    # det M = exp(-4 s) of the log-scale s, and det M = (a c)^2
    np.testing.assert_allclose(parameters[:, 2] + parameters[:, 4], -2 * splats.log_scale, atol=1e-5)


def test_refuses_what_cannot_be_compiled(tmp_path: Path) -> None:
    with pytest.raises(PrototypeError, match=r"expected the prototype's folder with engine\.cpp"):
        load_engine(tmp_path, tmp_path)
    (tmp_path / SOURCE_NAME).write_text("no C++")
    with pytest.raises(PrototypeError, match="does not compile"):
        load_engine(tmp_path, tmp_path)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Return the prototype's engine."""
    if not (PROTOTYPE / SOURCE_NAME).is_file():
        pytest.skip("the prototype's source is not beside the checkout")
    return load_engine(PROTOTYPE, tmp_path_factory.mktemp("prototype"))


@pytest.mark.timeout(900)  # compiles
def test_both_engines_start_from_the_same_picture(library: ctypes.CDLL) -> None:
    state = key_state(5)
    base = render(SplatState(state.epoch, np.zeros_like(state.splats), state.base, state.vectors), threads=1)
    engine = PrototypeEngine(library, state, base)
    engine.set_options(EngineOptions(100, 0.5, 0.5, 0.125, 6, 6, sweeps=3, births=12))
    engine.set_threads(1)
    # measured 0.02 of 0..255 where the exponentials differ; pixels at the rim of the cut-off alone may differ more
    difference = np.abs(engine.picture() - render(state, threads=1))
    assert np.median(difference) < 0.05
    assert np.quantile(difference, 0.98) < 0.5


@pytest.mark.timeout(900)  # compiles, where it runs alone
def test_races_on_a_short_clip(library: ctypes.CDLL) -> None:
    race = race_engines(moving_pictures(4), library, threads=1, qualities=(45.0, 60.0, 75.0))
    assert (race.width_px, race.height_px, race.frames, race.threads) == (WIDTH, HEIGHT, 3, 1)
    assert len(race.points) == 3
    for point in race.points:
        assert point.splats > 10
        assert min(point.ratio, point.cpu_ratio, point.ours.ms, point.prototype.ms) > 0
        assert point.matrices > 0
        assert point.packed_bits > 0.5 * point.ours.bits > 0
        # one goal at one lambda from one start: neither can be far from the other
        assert abs(point.ours.luma_db - point.prototype.luma_db) < 1.5
    assert [point.lambda_ for point in race.points] == sorted((p.lambda_ for p in race.points), reverse=True)
    assert max(point.ours.changed for point in race.points) > 0
    assert max(point.prototype.changed for point in race.points) > 0
    assert race.points[0].ours.luma_db < race.points[2].ours.luma_db
    assert race_table(race).row_count == 6
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        race_engines(moving_pictures(1), library, threads=1)
