"""P-frames: commands through bytes to the state, and what a decoder may be given."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream import frame_bits, parse_frame, parse_header, parse_part, serialize_p
from codec.bitstream.recording import RecordingEncoder
from codec.bitstream.tables import table_set_count
from codec.errors import BitstreamError, StreamStateError
from codec.prediction import cell_vectors
from codec.state import apply_frame, state_hash
from codec.types import EpochRecord, PCommands, SplatState
from tests.codec.random_states import equal, keyed_state, noise_state, random_commands, random_epoch
from tests.codec.twins import apply_p_part
from tests.vectors.generate import random_births, random_cells, random_key, random_updates

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_commands_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    epoch = random_epoch(rng)
    state = noise_state(rng, epoch)
    commands = random_commands(rng, state)
    (part,) = parse_frame(serialize_p(state, 7, commands, max_part_bytes=65535), epoch).p_parts
    for name in ("light", "base_delta", "affine"):
        said, parsed = getattr(commands, name), getattr(part, name)
        assert equal(said, parsed) or (parsed is None and not said.any())
    assert part.affine is None or part.affine_shape == commands.affine_shape
    assert equal(part.update_slots, commands.update_slots)
    assert equal(part.update_deltas, commands.update_deltas)
    assert equal(part.death_slots, commands.death_slots)
    assert equal(part.births[:, 1:], commands.births[:, 1:])
    for said_shift, parsed_shift in zip(commands.shifts, part.shifts, strict=True):
        empty = said_shift is None or not said_shift.shifts.any()
        assert equal(said_shift, parsed_shift) or (parsed_shift is None and empty)
    if part.cells is not None and commands.cells is not None:
        vectors, _ = cell_vectors(epoch, state.vectors, part.cells)
        for level, parsed_level, absolute in zip(commands.cells, part.cells, vectors, strict=True):
            assert equal(level.on, parsed_level.on)
            assert equal(np.where(level.on[..., None], level.vectors, 0), absolute)
            assert equal(np.where(level.on[..., None], level.affine, 0), parsed_level.affine)


@given(seeds, st.sampled_from([2, 60, 5000]), st.sampled_from([9, 400, 12000]))
@settings(max_examples=40, deadline=None)
def test_parsing_needs_no_state_and_applying_stands_any(seed: int, spread: int, limit: int) -> None:
    """The parse rule: any state gives the same symbols, and commands have the effect the scalar twin gives them."""
    rng = np.random.default_rng(seed)
    epoch = random_epoch(rng, max_blocks=5)
    state = noise_state(rng, epoch)
    parts = serialize_p(state, 1, random_commands(rng, state, spread, limit), max_part_bytes=20000)
    symbols = RecordingEncoder()
    symbols.begin_frame("p")
    frame = parse_frame(parts, epoch, symbols)
    for other in (SplatState.empty(epoch), noise_state(rng, epoch)):
        twin = other.copy()
        again = RecordingEncoder()
        again.begin_frame("p")
        assert equal(parse_frame(parts, epoch, again), frame)
        assert equal(symbols.recording("any").entries, again.recording("any").entries)
        apply_frame(other, frame)
        for part in frame.p_parts:
            apply_p_part(twin, part)
        assert equal(other.splats, twin.splats)
        assert equal(other.base, twin.base)
        assert equal(other.vectors, twin.vectors)


@given(seeds, st.integers(0, 2))
@settings(max_examples=15, deadline=None)
def test_no_other_table_set_makes_a_frame_shorter(seed: int, likely_set: int) -> None:
    rng = np.random.default_rng(seed)
    state = noise_state(rng, EpochRecord(1, 200, 130, (30, 1), (14,)))
    commands = random_updates(rng, state, 60, 2)
    (chosen,) = serialize_p(state, 9, commands, None, max_part_bytes=60000, likely_set=likely_set)
    for number in range(table_set_count()):
        (other,) = serialize_p(state, 9, commands, number, max_part_bytes=60000)
        assert parse_header(other).table_set == number
        assert len(chosen) <= 1.03 * len(other) + 2  # the set was chosen at the likely set's density
    split = serialize_p(state, 9, commands, None, max_part_bytes=150, likely_set=likely_set)
    assert {parse_header(part).table_set for part in split} == {parse_header(chosen).table_set}


def test_bulk_is_predicted_from_the_state_it_joins() -> None:
    rng = np.random.default_rng(11)
    epoch = EpochRecord(1, 200, 130, (30, 1), (20,))
    state = keyed_state(rng, epoch, 200)
    near = state.splats[state.splats[:, 8] == 1][::3, :8].copy()
    near[:, :2] = (near[:, :2] + 32) // 32 * 32 % (16 * 130) // 32 * 32
    sizes = []
    for before in (state, SplatState.empty(epoch)):
        parts = serialize_p(before, 1, PCommands(bulk=near, bulk_block=8), max_part_bytes=9000)
        after = before.copy()
        apply_frame(after, parse_frame(parts, epoch))
        kept = after.splats[(after.splats[:, 8] == 1) & (before.splats[:, 8] == 0)]
        assert sorted(kept[:, :8].tolist()) == sorted(near.tolist())
        sizes.append(len(parts[0]))
    assert sizes[0] < sizes[1]


def test_bulk_fills_the_slots_that_key_frames_fill_and_no_more() -> None:
    rng = np.random.default_rng(12)
    epoch = EpochRecord(1, 200, 130, (30, 1), (6,))
    state = keyed_state(rng, epoch, 100)
    parts = serialize_p(state, 1, PCommands(bulk=random_key(rng, epoch, 100).splats, bulk_block=2), max_part_bytes=9000)
    apply_frame(state, parse_frame(parts, epoch))
    live = state.splats[:, 8].reshape(-1, 32)
    assert live.sum(axis=1).tolist() == [26] * 6
    assert not live[:, 26:].any()
    before = state.splats.copy()
    apply_frame(state, parse_frame(parts, epoch))
    assert equal(state.splats, before)
    off = random_key(rng, epoch, 3).splats + 1
    with pytest.raises(StreamStateError, match="off the key lattice"):
        serialize_p(state, 2, PCommands(bulk=off))


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_split_frames_lead_to_the_same_state(seed: int) -> None:
    rng = np.random.default_rng(seed)
    epoch = EpochRecord(1, 200, 130, (30, 1), (14,))
    state = noise_state(rng, epoch)
    commands = random_updates(rng, state, 200, 2)
    commands.cells = random_cells(rng, epoch, 4, 0.2, 2)
    whole, split = (serialize_p(state, 9, commands, max_part_bytes=size) for size in (60000, 450))
    assert len(split) > 1
    assert max(map(len, split)) <= 450
    states = [state.copy(), state.copy()]
    apply_frame(states[0], parse_frame(whole, epoch))
    apply_frame(states[1], parse_frame([split[i] for i in rng.permutation(len(split))], epoch))
    assert equal(states[0].splats, states[1].splats)
    assert equal(states[0].vectors, states[1].vectors)


def test_births_of_a_split_frame_reach_their_blocks() -> None:
    rng = np.random.default_rng(3)
    epoch = EpochRecord(1, 200, 130, (30, 1), (14,))
    state = SplatState.empty(epoch)
    births = random_births(rng, epoch, 150, 9)
    for size in (60000, 200):
        after = state.copy()
        apply_frame(after, parse_frame(serialize_p(state, 1, PCommands(births=births), max_part_bytes=size), epoch))
        live = after.splats[:, 8].reshape(-1, 32) != 0
        assert live.sum(axis=1).tolist() == np.bincount(births[:, 0], minlength=14).tolist()
        first_of_block = [births[births[:, 0] == block][0] for block in range(14) if (births[:, 0] == block).any()]
        for birth in first_of_block:
            assert after.splats[32 * birth[0], :2].tolist() == (16 * birth[2:4]).tolist()


def test_layers_are_coded_apart() -> None:
    rng = np.random.default_rng(4)
    epoch = EpochRecord(1, 100, 80, (30, 1), (3, 4))
    state = noise_state(rng, epoch)
    commands = random_updates(rng, state, 100, 2)
    parts = serialize_p(state, 1, commands)
    assert [parse_header(part).layer for part in parts] == [0, 1]
    frame = parse_frame(parts, epoch)
    assert [(part.first_block, part.blocks) for part in frame.p_parts] == [(0, 3), (3, 4)]
    assert equal(np.concatenate([part.update_slots for part in frame.p_parts]), commands.update_slots)
    only_first = random_updates(rng, state, 50, 2, range(3))
    assert parse_header(serialize_p(state, 1, only_first)[0]).layer is None


def test_header_fields_come_back() -> None:
    state = SplatState.empty(EpochRecord(0x1234, 64, 64, (30, 1), (2,)))
    (part,) = serialize_p(state, 0x54321, PCommands(), hash16=0xBEEF, midpoint=True)
    frame = parse_frame([part], state.epoch)
    assert (frame.epoch, frame.number, frame.kind) == (0x4, 0x321, "p")
    assert (frame.hash16, frame.midpoint) == (0xBEEF, True)
    assert len(serialize_p(state, 1, PCommands())[0]) <= 5, "an empty frame is a header and two bytes at most"


def _typical() -> tuple[SplatState, bytes]:
    """Return a state and one frame with every command."""
    rng = np.random.default_rng(11)
    state = noise_state(rng, EpochRecord(5, 150, 110, (30, 1), (6,)))
    commands = random_updates(rng, state, 30, 2)
    commands.light = np.array([1, 2, 0, -1], np.int32)
    commands.affine = np.array([1, 2, 0, -1, 4, 4], np.int32)
    commands.cells = random_cells(rng, state.epoch, 4, 0.2, 2)
    commands.births = random_births(rng, state.epoch, 4, 9)
    (part,) = serialize_p(state, 1, commands, hash16=1)
    return state, part


def _accepted(state: SplatState, data: bytes) -> bool:
    """Return whether bytes are a frame; then it must apply too. Anything but BitstreamError fails the test."""
    try:
        frame = parse_frame([data], state.epoch)
    except BitstreamError:
        return False
    apply_frame(state.copy(), frame)
    return True


def test_truncated_at_every_length() -> None:
    state, part = _typical()
    results = [_accepted(state, part[:length]) for length in range(len(part))]
    assert not any(results[:5])


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_corrupted_bytes_are_refused_or_applied(seed: int) -> None:
    rng = np.random.default_rng(seed)
    state, part = _typical()
    damaged = bytearray(part)
    for _ in range(int(rng.integers(1, 6))):
        damaged[int(rng.integers(0, len(part)))] = int(rng.integers(0, 256))
    _accepted(state, bytes(damaged))


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_refused_or_applied(data: bytes) -> None:
    state = SplatState.empty(EpochRecord(5, 150, 110, (30, 1), (6, 3)))
    _accepted(state, bytes([data[0] & 0xF8, 5]) + data[1:] if data else data)


def test_trailing_bytes_change_nothing() -> None:
    state, part = _typical()
    assert equal(parse_frame([part + bytes(9)], state.epoch), parse_frame([part], state.epoch))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least 1 part"),
        ([b"\x80\x10"], "need 3 bytes, have 2"),
        ([b"\x88\x10\x00\x00"], "need 5 bytes, have 4"),
        ([b"\xa0\x10\x00\x00"], "need 5 bytes, have 4"),
        ([b"\x80\x20\x00"], "epoch 2, expected 1"),
        ([b"\x88\x10\x00\x02\x01"], "part 2 of a frame of 2"),
        ([b"\x88\x10\x00\x00\x00"], "at least 2 parts"),
        ([b"\x88\x10\x00\x00\x01"], "expected parts 0..1"),
        ([b"\xc0\x10\x00\x04"], "layer must be"),
        ([b"\xc0\x10\x00\x01"], "layer 1 of an epoch of 1"),
        ([b"\x88\x10\x00\x00\x01", b"\x88\x10\x01\x01\x01"], "different frames"),
        ([b"\x80\x10\x00" + bytes(65536)], "at most 65535 bytes"),
    ],
)
def test_wrong_headers_are_refused(parts: list[bytes], message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        parse_frame(parts, EpochRecord(1, 64, 64, (30, 1), (2,)))


def test_blocks_and_births_beyond_the_epoch_are_refused() -> None:
    rng = np.random.default_rng(6)
    large, small = (EpochRecord(1, 200, 130, (30, 1), (blocks,)) for blocks in (14, 3))
    state = SplatState.empty(large)
    split = serialize_p(state, 1, random_updates(rng, state, 300, 2), max_part_bytes=200)
    with pytest.raises(BitstreamError, match="outside of the layer's"):
        parse_frame(split, small)
    swapped = [split[1][:3] + b"\x02" + split[1][4:], split[2][:3] + b"\x01" + split[2][4:]]
    with pytest.raises(BitstreamError, match="those before it end at"):
        parse_frame([split[0], *swapped, *split[3:]], large)
    (many,) = serialize_p(state, 1, PCommands(births=random_births(rng, large, 200, 0)), max_part_bytes=65535)
    with pytest.raises(BitstreamError, match="200 births"):
        parse_frame([many], small)


def test_our_own_mistakes_are_named() -> None:
    rng = np.random.default_rng(7)
    epoch = EpochRecord(1, 150, 110, (30, 1), (6,))
    state = SplatState.empty(epoch)
    updates = random_updates(rng, state, 40, 2)
    birth = np.array([[5, 1, 0, 0, 0, 0, 0, 0, 0]], np.int32)
    for wrong, message in (
        (replace(updates, update_slots=updates.update_slots + 192), "slots must be"),
        (replace(updates, death_slots=updates.update_slots[:1]), "twice"),
        (replace(updates, update_deltas=updates.update_deltas[:3]), "deltas"),
        (PCommands(births=birth + 1), "birth out of range"),
        (PCommands(births=birth.repeat(33, axis=0)), "at most 32 births, got 33"),
        (PCommands(cells=random_cells(rng, epoch, 900, 0.9, 60)), "shared commands need"),
    ):
        with pytest.raises(StreamStateError, match=message):
            serialize_p(state, 1, wrong, max_part_bytes=200)


def test_bits_by_element_add_up_to_the_frame() -> None:
    state, part = _typical()
    bits = frame_bits([part], state.epoch)
    assert abs(sum(bits.values()) / 8 - (len(part) - 6)) <= 2
    assert {"cell_on", "slot_on", "pattern", "birth_x", "light", "affine"} <= set(bits)


def test_a_stream_of_frames_keeps_encoder_and_decoder_together() -> None:
    rng = np.random.default_rng(12)
    epoch = EpochRecord(1, 150, 110, (30, 1), (8,))
    state = keyed_state(rng, epoch, 150)
    decoded = state.copy()
    for number in range(1, 8):
        parts = serialize_p(state, number, random_commands(rng, state))
        apply_frame(state, parse_frame(parts, epoch))
        apply_frame(decoded, parse_frame([parse_part(part, epoch) and part for part in parts], epoch))
        assert state_hash(state) == state_hash(decoded)
        assert decoded.frame_number == number
