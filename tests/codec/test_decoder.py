"""The decoder's order of things and its errors."""

import numpy as np
import pytest

from codec.bitstream import make_patch, pack_epoch, parse_frame, serialize_key, serialize_p
from codec.decoder import Decoder
from codec.errors import BitstreamError, StreamStateError
from codec.render import output_size
from codec.state import apply_frame, state_hash
from codec.types import EpochRecord, SplatState
from tests.codec.random_states import keyed_state
from tests.vectors.generate import random_key, random_updates

EPOCH = EpochRecord(3, 96, 64, (30, 1), (6,))


def test_frames_midpoints_and_pictures() -> None:
    rng = np.random.default_rng(1)
    decoder = Decoder()
    decoder.push_epoch(pack_epoch(EPOCH))
    before = decoder.push_frame(serialize_key(EPOCH, 10, random_key(rng, EPOCH, 100)))
    midpoints = [decoder.midpoint]
    truth = before.copy()
    parts = serialize_p(before, 11, random_updates(rng, before, 50, 3), midpoint=True)
    apply_frame(truth, parse_frame(parts, EPOCH))
    after = decoder.push_frame(parts)
    assert state_hash(after) == state_hash(truth)
    assert state_hash(before) != state_hash(after), "a state that was handed out stays as it was"
    midpoints.append(decoder.midpoint)
    assert midpoints[0] is None
    assert decoder.midpoint is not None
    assert (decoder.midpoint.base == after.base).all()
    live = (before.splats[:, 8] == 1) & (after.splats[:, 8] == 1)
    mean = (before.splats[live] + after.splats[live]) >> 1
    assert (decoder.midpoint.splats[live] == mean).all()
    assert decoder.picture().shape == (64, 96, 3)
    width, height = output_size(EPOCH, 2.0, (8, 4, 40, 20))
    assert decoder.picture(2.0, (8, 4, 40, 20)).shape == (height, width, 3) == (40, 80, 3)


def test_a_patch_starts_a_decoder_in_the_middle() -> None:
    rng = np.random.default_rng(2)
    state = keyed_state(rng, EPOCH, 100)
    joined = Decoder()
    joined.push_epoch(pack_epoch(EPOCH))
    joined.push_patch(make_patch(state, None, -1, 400))
    assert state_hash(joined.state) == state_hash(state)
    parts = serialize_p(state, 1, random_updates(rng, state, 50, 3))
    apply_frame(state, parse_frame(parts, EPOCH))
    assert state_hash(joined.push_frame(parts)) == state_hash(state)
    assert joined.state.frame_number == 1


def test_a_key_frame_is_shown_before_all_of_it_is_there() -> None:
    rng = np.random.default_rng(7)
    decoder = Decoder()
    with pytest.raises(StreamStateError, match="epoch record"):
        decoder.preview([])
    decoder.push_epoch(pack_epoch(EPOCH))
    parts = serialize_key(EPOCH, 10, random_key(rng, EPOCH, 100), max_part_bytes=200)
    shown = [np.count_nonzero(decoder.preview(parts[:count]).splats[:, 8]) for count in range(1, len(parts) + 1)]
    assert 0 < shown[0] < 60
    assert shown == sorted(shown)
    assert shown[-1] == 100
    state = decoder.push_frame(parts)
    assert (decoder.preview(parts[::-1]).splats == state.splats).all()
    with pytest.raises(BitstreamError, match="a key frame"):
        decoder.preview(serialize_p(state, 11, random_updates(rng, state, 50, 3)))


def test_a_patch_goes_on_counting_where_the_state_was() -> None:
    rng = np.random.default_rng(6)
    decoder = Decoder()
    decoder.push_epoch(pack_epoch(EPOCH))
    state = decoder.push_frame(serialize_key(EPOCH, 4095, random_key(rng, EPOCH, 50))).copy()
    apply_frame(state, parse_frame(serialize_p(state, 4096, random_updates(rng, state, 50, 3)), EPOCH))
    last_changed = np.full(EPOCH.slots, 4096, np.int64)
    decoder.push_patch(make_patch(state, last_changed, 4095))
    assert decoder.state.frame_number == state.frame_number == 4096
    assert state_hash(decoder.state) == state_hash(state)


def test_bad_input_leaves_the_state_alone() -> None:
    rng = np.random.default_rng(3)
    decoder = Decoder()
    decoder.push_epoch(pack_epoch(EPOCH))
    key = serialize_key(EPOCH, 0, random_key(rng, EPOCH, 100))
    state = decoder.push_frame(key).copy()
    wrong_hash = serialize_p(state, 1, random_updates(rng, state, 50, 3), hash16=12345)
    patch = make_patch(state, None, -1, 300)
    for push, parts, message in (
        (decoder.push_frame, wrong_hash, "state hash is"),
        (decoder.push_frame, (), "at least 1 part"),
        (decoder.push_frame, (b"\x80\x90\x00",), "epoch 9, expected 3"),
        (decoder.push_patch, patch[1:], "expected all parts"),
        (decoder.push_patch, (), "expected all parts"),
    ):
        with pytest.raises(BitstreamError, match=message):
            push(parts)
        assert state_hash(decoder.state) == state_hash(state)


def test_things_come_in_order() -> None:
    rng = np.random.default_rng(4)
    decoder = Decoder()
    state = SplatState.empty(EPOCH)
    frame = serialize_p(state, 0, random_updates(rng, state, 5, 3))
    with pytest.raises(StreamStateError, match="no frame"):
        _ = decoder.state
    with pytest.raises(StreamStateError, match="epoch record comes before"):
        decoder.push_frame(frame)
    with pytest.raises(StreamStateError, match="epoch record comes before"):
        decoder.push_patch(make_patch(state, None, -1))
    decoder.push_epoch(pack_epoch(EPOCH))
    with pytest.raises(BitstreamError, match="key frame first"):
        decoder.push_frame(frame)
    since = make_patch(state, np.zeros(EPOCH.slots, np.int64), 0)
    with pytest.raises(BitstreamError, match="needs a state"):
        decoder.push_patch(since)


def test_a_new_epoch_waits_for_its_key_frame() -> None:
    rng = np.random.default_rng(5)
    decoder = Decoder()
    decoder.push_epoch(pack_epoch(EPOCH))
    decoder.push_frame(serialize_key(EPOCH, 70000, random_key(rng, EPOCH, 50)))
    assert decoder.state.frame_number == 70000 % 4096
    larger = EpochRecord(4, 200, 100, (30, 1), (8,))
    decoder.push_epoch(pack_epoch(larger))
    assert decoder.state.epoch == EPOCH
    decoder.push_frame(serialize_key(larger, 70001, random_key(rng, larger, 50)))
    assert decoder.state.epoch == larger
    assert decoder.state.frame_number == 70001 % 4096
