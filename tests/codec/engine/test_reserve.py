"""The reserve of a P-engine: its canvas against the reference renderer, and what it must not do."""

import numpy as np
import numpy.typing as npt
import pytest

from codec.bitstream.tables import cost_tables
from codec.engine.pframe import CHROMA_WEIGHT
from codec.native import _native
from codec.quantize import dequantize_splats, quantize_key
from codec.render import reference
from codec.slots import cell_ranks
from codec.types import EpochRecord, IntArray, SplatState
from tests.codec import random_pictures

EPOCH = EpochRecord(0, 96, 80, (30, 1), (4,))
WHOLE = EpochRecord(0, 96, 80, (30, 1), (8,))  # with the reserve's slots after the state's
KEY_STEPS = [8, 8, 16, 16, 32], [13, 8, 24, 20]
ONES = np.ones((5, 6), np.float32)

Rgb = npt.NDArray[np.uint8]


def random_whole(seed: int) -> SplatState:
    """Return a state and a reserve of small normalised splats, in the slots of both."""
    state = random_pictures.random_state(WHOLE, seed, 120)
    reserve = state.splats[EPOCH.slots :]
    reserve[reserve[:, 8] != 0, 2] = 40
    reserve[reserve[:, 8] != 0, 8] = 1
    return state


def picture_of(whole: SplatState, shift_px: int = 0) -> Rgb:
    """Return the picture of all splats, shifted to the right."""
    ycc = np.roll(reference.render(whole), shift_px, axis=2)
    red, blue = ycc[0] + 1.402 * ycc[2], ycc[0] + 1.772 * ycc[1]
    green = (ycc[0] - 0.299 * red - 0.114 * blue) / 0.587
    drawn: Rgb = np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)
    return drawn


def engines(whole: SplatState, rgb: Rgb, threads: int = 1) -> tuple["_native.PEngine", "_native.Reserve"]:
    """Return the bare native engine with its reserve, loaded."""
    ranks = cell_ranks(EPOCH.width_px, EPOCH.height_px).ravel().tolist()
    slots, reserve = EPOCH.slots, WHOLE.slots - EPOCH.slots
    engine = _native.PEngine(96, 80, slots, CHROMA_WEIGHT, [8, 8, 24, 24], cost_tables(0), ranks, threads, reserve)
    base = SplatState(WHOLE, np.zeros_like(whole.splats), whole.base, whole.vectors)
    engine.load(whole.splats, whole.vectors, whole.base, reference.render(base).astype(np.float32))
    engine.set_target(rgb)
    return engine, _native.Reserve(engine, *KEY_STEPS, cost_tables(0))


def reserve_slots(engine: "_native.PEngine") -> IntArray:
    """Return the slots of the reserve that hold a splat."""
    live = np.flatnonzero(engine.splats()[EPOCH.slots :, 8]) + EPOCH.slots
    return live.astype(np.int32)


def assert_canvas_shows_the_splats(engine: "_native.PEngine", whole: SplatState) -> None:
    """Check the picture inside against one drawn from nothing."""
    drawn = SplatState(WHOLE, engine.splats(), whole.base, whole.vectors)
    assert np.abs(engine.picture() - reference.render(drawn)).max() < 0.05


def flow_right(px: float) -> npt.NDArray[np.float32]:
    """Return a flow [2, H, W] to the right."""
    return np.stack([np.full((80, 96), px, np.float32), np.zeros((80, 96), np.float32)])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_reserve_follows_what_moves(threads: int) -> None:
    whole = random_whole(1)
    engine, reserve = engines(whole, picture_of(whole, 4), threads)
    before, error = engine.splats(), engine.squared_error()
    moved = reserve.follow(flow_right(4.0))
    after = engine.splats()
    assert np.array_equal(after[: EPOCH.slots], before[: EPOCH.slots])
    assert np.count_nonzero(after[:, 0] == before[:, 0] + 64) == moved > len(reserve_slots(engine)) / 2
    assert np.array_equal(np.delete(after, 0, axis=1), np.delete(before, 0, axis=1))
    assert_canvas_shows_the_splats(engine, whole)
    assert engine.squared_error() < error


def test_the_reserve_follows_no_flow_that_is_wrong() -> None:
    whole = random_whole(2)
    engine, reserve = engines(whole, picture_of(whole))
    before, error = engine.splats(), engine.squared_error()
    reserve.follow(flow_right(-9.0))
    assert engine.squared_error() <= 1.0001 * error
    assert np.array_equal(engine.splats()[: EPOCH.slots], before[: EPOCH.slots])
    assert_canvas_shows_the_splats(engine, whole)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_sweep_pays_for_what_it_changes(passes: int) -> None:
    """What is left lies on the key lattice, and error + lambda x bits is no more than without what went."""
    whole = random_whole(3)
    engine, reserve = engines(whole, random_pictures.random_target(EPOCH, 3))
    slots = reserve_slots(engine)[::2]
    before, cost_without = engine.splats(), []
    for slot in slots:
        cost_without.append(engine.trial(int(slot), None))
    bits = reserve.sweep(slots, passes, 50.0, ONES)
    after = engine.splats()
    untouched = np.setdiff1d(np.arange(WHOLE.slots), slots)
    assert np.array_equal(after[untouched], before[untouched])
    left = after[slots][after[slots, 8] != 0]
    assert 0 < len(left) < len(slots)
    assert 15 * len(left) < bits < 45 * len(left)
    assert np.array_equal(quantize_key(EPOCH, dequantize_splats(left)), left[:, :8])
    assert_canvas_shows_the_splats(engine, whole)
    for slot in slots[after[slots, 8] != 0]:
        assert engine.trial(int(slot), None) > 0


def test_moving_to_slots_of_the_state_shows_the_same() -> None:
    whole = random_whole(4)
    engine, reserve = engines(whole, picture_of(whole))
    before, error, picture = engine.splats(), engine.squared_error(), engine.picture()
    slots = reserve_slots(engine)[:5]
    dead = np.flatnonzero(before[: EPOCH.slots, 8] == 0).astype(np.int32)[:5]
    reserve.move(slots, dead)
    after = engine.splats()
    assert np.array_equal(after[dead], before[slots])
    assert not after[slots].any()
    assert engine.squared_error() == error
    assert np.array_equal(engine.picture(), picture)
    assert_canvas_shows_the_splats(engine, whole)


def test_slots_of_another_kind_are_refused() -> None:
    whole = random_whole(5)
    engine, reserve = engines(whole, picture_of(whole))
    own = np.flatnonzero(whole.splats[: EPOCH.slots, 8]).astype(np.int32)[:1]
    slots = reserve_slots(engine)[:1]
    with pytest.raises(ValueError, match=r"expected a live one of 128\.\.256"):
        reserve.sweep(own, 1, 50.0, ONES)
    with pytest.raises(ValueError, match=r"expected a dead one of 0\.\.128"):
        reserve.move(slots, own)
    with pytest.raises(ValueError, match="slots to move to"):
        reserve.move(slots, np.zeros(0, np.int32))
