"""Hash, midpoint, numbers and single commands; whole frames are compared with a scalar twin in test_p_frame."""

import numpy as np
import pytest

from codec.bitstream import parse_frame, serialize_p
from codec.errors import StreamStateError
from codec.state import (
    affine_moved,
    apply_frame,
    base_changed,
    light_on_splats,
    midpoint_splats,
    shifted,
    state_hash,
    unwrap_number,
    updated,
)
from codec.types import EpochRecord, IntArray, PCommands, SplatState
from tests.codec.random_states import noise_state

EPOCH = EpochRecord(1, 100, 80, (30, 1), (2,))


def splat(x: int = 800, y: int = 640, luma: int = 400, kind: int = 1) -> IntArray:
    """Return one splat as [1, 9]."""
    return np.array([[x, y, 60, 10, -20, luma, 30, -30, kind]], np.int32)


def test_hash_is_that_of_the_spec_and_sees_every_value() -> None:
    state = noise_state(np.random.default_rng(1), EPOCH)
    values = [int(v) for array in (state.splats, state.base, state.vectors) for v in array.reshape(-1)]
    total = 0
    for index, value in enumerate(values):
        total += value % 2**32 * ((index * 2654435761 + 0x9E3779B9) % 2**32 | 1)
    total %= 2**32
    assert state_hash(state) == (total ^ total >> 16) & 0xFFFF
    for array in (state.splats, state.base, state.vectors):
        flat = array.reshape(-1)
        for index in (0, len(flat) - 1):
            before = state_hash(state)
            flat[index] += 1
            assert state_hash(state) != before


def test_midpoint_is_the_mean_of_slots_that_live_in_both() -> None:
    before = np.concatenate([splat(800), splat(800), splat(800), splat(800) * 0])
    after = np.concatenate([splat(803), splat(803) * 0, splat(803, kind=2), splat(803)])
    middle = midpoint_splats(before, after)
    assert middle[0].tolist() == splat(801)[0].tolist()
    assert middle[1:].tolist() == after[1:].tolist()


@pytest.mark.parametrize(
    ("number", "last", "expected"),
    [
        (5, -1, 5),
        (4095, -1, 4095),
        (5, 4, 5),
        (0, 4095, 4096),
        (4095, 4096, 4095),
        (3, 0x12FFFE, 0x130003),
        (65535, 65530, 65535),
    ],
)
def test_numbers_unwrap_to_the_nearest(number: int, last: int, expected: int) -> None:
    assert unwrap_number(number, last) == expected


def test_single_commands() -> None:
    light = np.array([128, 5, 1, -1], np.int32)
    assert light_on_splats(EPOCH, splat(), light)[0, 5:8].tolist() == [620, 49, -49]
    assert light_on_splats(EPOCH, splat(kind=2), light)[0, 5:8].tolist() == [600, 45, -45]
    zoom = np.array([409, 0, 0, 409, 8, -8], np.int32)
    assert affine_moved(EPOCH, splat(960, 640), zoom, True)[0, :3].tolist() == [960 + 15 + 16, 640 - 16, 66]
    turn = np.array([0, -2047, 2047, 0, 0, 0], np.int32)
    assert affine_moved(EPOCH, splat(), turn, True)[0, 3:5].tolist() == [10 + 20, -20 + 9]
    assert affine_moved(EPOCH, splat(), turn, False)[0, 2:5].tolist() == [60, 10, -20]
    base = np.full((3, 3, 4), 100, np.int32)
    assert base_changed(base, np.full_like(base, -13))[:, 0, 0].tolist() == [0, -4, -4]
    shifts = np.zeros((2, 2, 4), np.int32)
    shifts[0, 0] = [0, 2, -1, 1]
    assert shifted(EPOCH, splat(), 64, shifts)[0, 5:8].tolist() == [412, 24, -24]
    assert shifted(EPOCH, splat(x=1024), 64, shifts)[0, 5:8].tolist() == [400, 30, -30]
    deltas = np.array([[1, -1, 0, 0, 2, 1, 0, -1]], np.int32)
    assert updated(EPOCH, splat(), deltas)[0].tolist() == [808, 632, 60, 10, -4, 424, 30, -54, 1]
    assert not updated(EPOCH, splat() * 0, deltas).any()


def test_vectors_become_zero_without_cells_and_numbers_go_on() -> None:
    state = noise_state(np.random.default_rng(2), EPOCH)
    state.frame_number = 0x2FFFF
    apply_frame(state, parse_frame(serialize_p(state, 0x30000, PCommands()), EPOCH))
    assert not state.vectors.any()
    assert state.frame_number == 0x30000


def test_a_frame_of_another_epoch_is_our_mistake() -> None:
    state = SplatState.empty(EPOCH)
    frame = parse_frame(serialize_p(state, 1, PCommands()), EPOCH)
    with pytest.raises(StreamStateError, match="epoch"):
        apply_frame(SplatState.empty(EpochRecord(2, 100, 80, (30, 1), (2,))), frame)
