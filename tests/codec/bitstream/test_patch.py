"""Patches: exact states from any order of parts, and what a decoder may be given."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream import apply_patch_part, make_patch, parse_frame, parse_patch_part, patch_heads, serialize_p
from codec.bitstream.msgpack_fields import pack
from codec.errors import BitstreamError, StreamStateError
from codec.state import apply_frame, state_hash
from codec.types import EpochRecord, SplatState
from tests.codec.random_states import equal, keyed_state, noise_state, random_commands, random_epoch

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from([1147, 200]))
@settings(max_examples=25, deadline=None)
def test_a_join_patch_makes_the_state_from_nothing(seed: int, max_part_bytes: int) -> None:
    rng = np.random.default_rng(seed)
    epoch = random_epoch(rng)
    state = noise_state(rng, epoch)
    try:
        parts = make_patch(state, None, -1, max_part_bytes)
    except StreamStateError:
        assert max_part_bytes == 200
        return
    assert max(map(len, parts)) <= max_part_bytes
    joined = SplatState.empty(epoch)
    for place in rng.permutation(len(parts)):
        part = parse_patch_part(parts[place], epoch)
        assert (part.part, part.parts, part.since) == (place, len(parts), -1)
        assert part.number == state.frame_number & 0xFFFF
        apply_patch_part(joined, part)
    assert equal(joined.splats, state.splats)
    assert equal(joined.base, state.base)
    assert equal(joined.vectors, state.vectors)
    assert part.hash16 == state_hash(joined)


def test_coarsest_splats_come_first() -> None:
    state = noise_state(np.random.default_rng(1), EpochRecord(1, 150, 110, (30, 1), (12,)))
    scales = [parse_patch_part(part, state.epoch).splats[:, 2] for part in make_patch(state, None, -1)]
    scales = [own for own in scales if len(own)]
    assert len(scales) > 3
    for coarser, finer in pairwise(scales):
        assert coarser.min() >= finer.max()


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_a_patch_repairs_any_state_since_its_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    epoch = EpochRecord(2, 150, 110, (30, 1), (9,))
    state = keyed_state(rng, epoch, 120)
    last_changed = np.where(state.splats[:, 8] != 0, 0, -1).astype(np.int64)
    history = [state.copy()]
    for number in range(1, 6):
        before = state.splats.copy()
        apply_frame(state, parse_frame(serialize_p(state, number, random_commands(rng, state)), epoch))
        last_changed[(state.splats != before).any(axis=1)] = number
        history.append(state.copy())
    parts = make_patch(state, last_changed, 2, 400)
    assert {patch_heads(part)[:3] for part in parts} == {(2, 2, 5)}
    for old in history[2:]:
        repaired = old.copy()
        for place in rng.permutation(len(parts)):
            apply_patch_part(repaired, parse_patch_part(parts[place], epoch))
        assert state_hash(repaired) == state_hash(state)
        assert equal(repaired.splats, state.splats)


def test_a_patch_since_a_frame_needs_to_know_what_changed() -> None:
    state = SplatState.empty(EpochRecord(2, 150, 110, (30, 1), (9,)))
    with pytest.raises(StreamStateError, match="needs last_changed of 288 slots"):
        make_patch(state, None, 4)


def _part() -> tuple[EpochRecord, bytes]:
    """Return an epoch and a typical part."""
    epoch = EpochRecord(2, 150, 110, (30, 1), (9,))
    return epoch, make_patch(keyed_state(np.random.default_rng(3), epoch, 120), None, -1)[0]


def _accepted(epoch: EpochRecord, data: bytes) -> bool:
    """Return whether bytes are a patch part; then it must apply too."""
    try:
        part = parse_patch_part(data, epoch)
    except BitstreamError:
        return False
    state = SplatState.empty(epoch)
    apply_patch_part(state, part)
    assert not state.splats[state.splats[:, 8] == 0].any()
    return True


def test_truncated_at_every_length() -> None:
    epoch, part = _part()
    assert _accepted(epoch, part)
    results = [_accepted(epoch, part[:length]) for length in range(len(part))]
    assert not any(results[:8])


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_corrupted_bytes_are_refused_or_applied(seed: int) -> None:
    rng = np.random.default_rng(seed)
    epoch, part = _part()
    damaged = bytearray(part)
    for _ in range(int(rng.integers(1, 5))):
        damaged[int(rng.integers(0, len(part)))] = int(rng.integers(0, 256))
    _accepted(epoch, bytes(damaged))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ([2, 2, -1, 5, 0, 1, 0], "version 1, got 2"),
        ([1, 3, -1, 5, 0, 1, 0], "epoch 3, expected 2"),
        ([1, 2, -1, 5, 1, 1, 0], "patch part"),
        ([1, 2, -1, 5, 0, 257, 0], "patch parts"),
        ([1, 2, -1, 5, 0, 1], "list of 7"),
        ([1, 2, -2, 5, 0, 1, 0], "whole number of -1"),
        ([1, 2, -1, 5, 0, 1, "x"], "whole number"),
        ({"v": 1}, "expected a list"),
    ],
)
def test_wrong_heads_are_refused(head: list[object], message: str) -> None:
    epoch, part = _part()
    stream = part[len(pack([1, 2, -1, 0, 0, 1, 65535])) :]
    with pytest.raises(BitstreamError, match=message):
        parse_patch_part(pack(head) + stream, epoch)


def test_what_the_epoch_does_not_have_is_refused() -> None:
    epoch, part = _part()
    for small in (EpochRecord(2, 150, 110, (30, 1), (2,)), EpochRecord(2, 40, 30, (30, 1), (9,))):
        with pytest.raises(BitstreamError, match=r"the epoch's at|slots must be below"):
            parse_patch_part(part, small)
    with pytest.raises(BitstreamError, match="at most 65535"):
        parse_patch_part(part + bytes(65535), epoch)
