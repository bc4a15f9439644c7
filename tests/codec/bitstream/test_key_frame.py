"""Key frames: splats through bytes to slots, and what a decoder may be given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream import frame_bits, parse_frame, parse_header, serialize_key
from codec.bitstream.frame import serialize_lead
from codec.bitstream.key_syntax import layout_key_part
from codec.bitstream.tables import table_set_count
from codec.errors import BitstreamError, StreamStateError
from codec.prediction import key_residuals, key_values
from codec.quantize import dequantize_base, size_class
from codec.slots import blocks_for
from codec.state import apply_frame, state_hash, state_of_part
from codec.types import EpochRecord, KeyCommands, SplatState, Steps
from tests.codec import twins
from tests.codec.random_states import equal, noise_state, random_epoch
from tests.vectors.generate import integers, random_key

seeds = st.integers(0, 2**32 - 1)
EPOCH = EpochRecord(1, 200, 130, (30, 1), (16,))


def sorted_splats(state: SplatState) -> list[list[int]]:
    """Return the live splats' fields, sorted."""
    return sorted(state.splats[state.splats[:, 8] == 1, :8].tolist())


@given(seeds, st.sampled_from([0, 1, 20, 250]), st.sampled_from([60000, 1147, 260]))
@settings(max_examples=40, deadline=None)
def test_splats_and_base_come_back(seed: int, splats: int, max_part_bytes: int) -> None:
    rng = np.random.default_rng(seed)
    epoch = random_epoch(rng, 1)
    epoch = EpochRecord(3, epoch.width_px, epoch.height_px, (30, 1), (blocks_for(splats) + 40,), 64)
    commands = random_key(rng, epoch, splats)
    parts = serialize_key(epoch, 5, commands, max_part_bytes=max_part_bytes)
    assert max(map(len, parts)) <= max_part_bytes
    frame = parse_frame([parts[i] for i in rng.permutation(len(parts))], epoch)
    for state in (SplatState.empty(epoch), noise_state(rng, epoch)):
        apply_frame(state, frame)
        assert sorted_splats(state) == sorted(commands.splats.tolist())
        assert equal(state.base, dequantize_base(commands.base_levels))
        assert not state.vectors.any()
        assert state.frame_number % 4096 == 5


def test_no_other_table_set_makes_a_key_frame_shorter() -> None:
    rng = np.random.default_rng(9)
    commands = random_key(rng, EPOCH, 250)
    for max_part_bytes in (9000, 400):
        chosen = serialize_key(EPOCH, 5, commands, None, max_part_bytes=max_part_bytes)
        sizes = []
        for number in range(table_set_count()):
            parts = serialize_key(EPOCH, 5, commands, number, max_part_bytes=max_part_bytes)
            assert {parse_header(part).table_set for part in parts} == {number}
            sizes.append(sum(map(len, parts)))
        assert sum(map(len, chosen)) <= 1.005 * min(sizes) + 10, "parts may be cut at other places"


def test_slots_are_dealt_along_the_curve_whatever_the_order() -> None:
    rng = np.random.default_rng(1)
    commands = random_key(rng, EPOCH, 300)
    states = []
    for _ in range(2):
        states.append(SplatState.empty(EPOCH))
        commands = KeyCommands(commands.base_levels, commands.splats[rng.permutation(300)])
        apply_frame(states[-1], parse_frame(serialize_key(EPOCH, 0, commands, max_part_bytes=9000), EPOCH))
    assert equal(states[0].splats, states[1].splats)
    live = states[0].splats[:, 8].reshape(-1, 32)
    assert live.sum(axis=1).tolist() == [26] * 11 + [14] + [0] * 4
    assert not live[:, 26:].any()

    def place(splat: list[int]) -> tuple[int, ...]:
        x, y = splat[0] >> 4, splat[1] >> 4
        return twins.hilbert(2, x // 64, y // 64), twins.hilbert(6, x % 64, y % 64), *splat

    in_order = states[0].splats[states[0].splats[:, 8] == 1].tolist()
    assert in_order == sorted(in_order, key=place)


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_values_are_those_of_the_scalar_twin(seed: int) -> None:
    """On any base: that of another state changes the values, never the symbols."""
    rng = np.random.default_rng(seed)
    steps = Steps(key_mean=(1, 2, 4, 64, 128), key_scale=11, key_shape=5, key_luma=17, key_chroma=9)
    epoch = EpochRecord(1, 150, 90, (30, 1), (16,), 32, steps)
    (part,) = parse_frame(serialize_key(epoch, 0, random_key(rng, epoch, 120), max_part_bytes=9000), epoch).key_parts
    base = noise_state(rng, epoch).base
    residuals = part.residuals * integers(rng, 1, 200, 1, 5)
    arguments = epoch, base, part.classes, part.tile_rows, part.fields, residuals
    assert key_values(*arguments).tolist() == twins.key_values(*arguments)
    known = noise_state(rng, epoch).splats[:40]
    assert key_values(*arguments, known).tolist() == twins.key_values(*arguments, known.tolist())


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_residuals_of_known_splats_give_the_values_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    commands = random_key(rng, EPOCH, 200)
    base = dequantize_base(commands.base_levels)
    _, order, rows = layout_key_part(EPOCH, 0, 12, 0, commands.splats[50:])
    ordered, known = commands.splats[50:][order], commands.splats[:50]
    classes = size_class(ordered[:, 2])
    residuals = key_residuals(EPOCH, base, classes, rows, ordered, known)
    assert equal(key_values(EPOCH, base, classes, rows, ordered[:, :3], residuals, known), ordered)
    assert (residuals != key_residuals(EPOCH, base, classes, rows, ordered)).any()


def test_part_0_holds_the_lead_and_shows_alone() -> None:
    rng = np.random.default_rng(8)
    commands = random_key(rng, EPOCH, 200)
    lead = np.arange(200) % 5 == 0
    parts = serialize_key(EPOCH, 0, KeyCommands(commands.base_levels, commands.splats, lead), max_part_bytes=300)
    assert len(parts) > 2
    assert max(map(len, parts)) <= 300
    for came in (parts[:1], (parts[2], parts[0])):
        state = SplatState.empty(EPOCH)
        apply_frame(state, parse_frame(came, EPOCH, partial=True))
        shown = sorted_splats(state)
        expected = sorted(commands.splats[lead].tolist())
        assert shown == expected if len(came) == 1 else all(splat in shown for splat in expected)
        assert equal(state.base, dequantize_base(commands.base_levels))
    with pytest.raises(BitstreamError, match="expected parts"):
        parse_frame(parts[1:], EPOCH, partial=True)
    with pytest.raises(BitstreamError, match="expected parts"):
        parse_frame(parts[:2], EPOCH)


def test_a_lead_too_large_for_part_0_loses_its_finest() -> None:
    rng = np.random.default_rng(9)
    commands = random_key(rng, EPOCH, 300)
    for lead in (None, np.ones(300, np.bool_)):
        parts = serialize_key(EPOCH, 0, KeyCommands(commands.base_levels, commands.splats, lead), max_part_bytes=400)
        first = SplatState.empty(EPOCH)
        apply_frame(first, parse_frame(parts[:1], EPOCH, partial=True))
        kept = first.splats[first.splats[:, 8] == 1, 2]
        assert 30 < len(kept) < 150
        assert kept.min() >= np.sort(commands.splats[:, 2])[-len(kept)]


@pytest.mark.parametrize(("splats", "max_part_bytes"), [(20, 1147), (250, 1147), (250, 400)])
def test_a_lead_fills_one_part_with_the_coarsest_splats(splats: int, max_part_bytes: int) -> None:
    commands = random_key(np.random.default_rng(5), EPOCH, splats)
    part, kept = serialize_lead(EPOCH, 7, commands, max_part_bytes)
    assert len(part) <= max_part_bytes
    if not kept.all():
        assert len(part) > 0.9 * max_part_bytes
        assert commands.splats[kept, 2].min() >= commands.splats[~kept, 2].max()
    lead = KeyCommands(commands.base_levels, commands.splats[kept])
    decoded, direct = SplatState.empty(EPOCH), state_of_part(EPOCH, 7, lead)
    decoded.frame_number = 6
    apply_frame(decoded, parse_frame([part], EPOCH))
    assert equal(decoded.splats, direct.splats)
    assert equal(decoded.base, direct.base)
    assert decoded.frame_number == direct.frame_number == 7
    sizes = [len(serialize_key(EPOCH, 7, lead, number, max_part_bytes=9000)[0]) for number in range(table_set_count())]
    assert len(part) == min(sizes)


def test_a_base_too_large_for_a_lead_is_refused() -> None:
    with pytest.raises(StreamStateError, match="the base needs"):
        serialize_lead(EPOCH, 0, random_key(np.random.default_rng(5), EPOCH, 3), 8)


def test_layers_get_their_own_parts() -> None:
    rng = np.random.default_rng(2)
    epoch = EpochRecord(1, 150, 90, (30, 1), (5, 6))
    commands = random_key(rng, epoch, 120)
    layers = (np.arange(120) % 2).astype(np.int32)
    parts = serialize_key(epoch, 0, commands, layers=layers)
    assert [parse_header(part).layer for part in parts] == [0, 1]
    state = SplatState.empty(epoch)
    apply_frame(state, parse_frame(parts, epoch))
    assert state.splats[: 5 * 32, 8].sum() == state.splats[5 * 32 :, 8].sum() == 60


def test_hash_travels_in_part_0_only() -> None:
    rng = np.random.default_rng(2)
    commands = random_key(rng, EPOCH, 200)
    state = SplatState.empty(EPOCH)
    apply_frame(state, parse_frame(serialize_key(EPOCH, 0, commands, max_part_bytes=400), EPOCH))
    parts = serialize_key(EPOCH, 0, commands, hash16=state_hash(state), max_part_bytes=400)
    headers = [parse_header(part) for part in parts]
    assert [header.hash16 for header in headers] == [state_hash(state)] + [None] * (len(parts) - 1)
    assert parse_frame(parts, EPOCH).hash16 == state_hash(state)


def accepted(data: bytes) -> bool:
    """Return whether bytes are a frame; then it must apply too. Anything but BitstreamError fails the test."""
    try:
        frame = parse_frame([data], EPOCH)
    except BitstreamError:
        return False
    apply_frame(SplatState.empty(EPOCH), frame)
    return True


def test_truncated_and_corrupted_frames() -> None:
    rng = np.random.default_rng(3)
    (part,) = serialize_key(EPOCH, 0, random_key(rng, EPOCH, 60), max_part_bytes=9000)
    assert accepted(part)
    assert not any(accepted(part[:length]) for length in range(3))
    for length in range(3, len(part), 3):
        accepted(part[:length])
    for _ in range(150):
        damaged = bytearray(part)
        for place in rng.integers(2, len(part), 2):
            damaged[int(place)] = int(rng.integers(0, 256))
        accepted(bytes(damaged))


def test_more_than_the_epoch_holds_is_refused() -> None:
    rng = np.random.default_rng(4)
    (part,) = serialize_key(EPOCH, 0, random_key(rng, EPOCH, 400), max_part_bytes=9000)
    small = EpochRecord(1, 200, 130, (30, 1), (15,))
    with pytest.raises(BitstreamError, match="more splats than"):
        parse_frame([part], small)
    with pytest.raises(BitstreamError, match="outside of the picture's"):
        parse_frame([part], EpochRecord(1, 130, 130, (30, 1), (16,), 43))
    parts = serialize_key(EPOCH, 0, random_key(rng, EPOCH, 200), max_part_bytes=400)
    swapped = [parts[0], parts[1][:3] + b"\x02" + parts[1][4:], parts[2][:3] + b"\x01" + parts[2][4:], *parts[3:]]
    with pytest.raises(BitstreamError, match="those before it end at"):
        parse_frame(swapped, EPOCH)


def test_our_own_mistakes_are_named() -> None:
    rng = np.random.default_rng(5)
    commands = random_key(rng, EPOCH, 300)
    with pytest.raises(StreamStateError, match="do not fit"):
        serialize_key(EpochRecord(1, 200, 130, (30, 1), (11,)), 0, commands, max_part_bytes=9000)
    with pytest.raises(StreamStateError, match="off the key lattice"):
        serialize_key(EPOCH, 0, KeyCommands(commands.base_levels, commands.splats + 1))
    with pytest.raises(StreamStateError, match="expected splats"):
        serialize_key(EPOCH, 0, KeyCommands(commands.base_levels[:, :2], commands.splats))
    with pytest.raises(StreamStateError, match="the base needs"):
        serialize_key(EPOCH, 0, commands, max_part_bytes=20)


def test_bits_by_element_add_up_to_the_frame() -> None:
    rng = np.random.default_rng(6)
    parts = serialize_key(EPOCH, 0, random_key(rng, EPOCH, 300))
    bits = frame_bits(parts, EPOCH)
    assert abs(sum(bits.values()) / 8 - sum(len(part) - 6 for part in parts)) <= 2 * len(parts)
    assert {"key_base", "key_count", "key_places", "key_luma", "key_chroma"} <= set(bits)
