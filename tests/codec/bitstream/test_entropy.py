"""Planes through the coder and back, against a scalar decoder of the SPEC."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.bitstream.entropy import (
    MAX_INT,
    MAX_WIDE,
    CountingEncoder,
    PlaneCoder,
    PlaneDecoder,
    PlaneEncoder,
)
from codec.bitstream.tables import TABLES, table_set, table_set_count
from codec.errors import BitstreamError, StreamStateError
from codec.types import IntArray
from tests.codec.twins import ScalarRangeDecoder


def room(count: int) -> IntArray:
    """Return room to decode into."""
    return np.zeros(count, np.int32)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_planes_of_every_table_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.permutation(list(TABLES)).tolist()
    planes = []
    for name in names:
        count = int(rng.integers(0, 60))
        contexts = rng.integers(0, TABLES[name].contexts, count).astype(np.int32)
        planes.append((name, contexts, rng.integers(0, TABLES[name].symbols, count).astype(np.int32)))
    encoder = PlaneEncoder(0)
    for name, contexts, symbols in planes:
        encoder.table(name, contexts, symbols)
    decoder = PlaneDecoder(encoder.finish(), 0)
    for name, contexts, symbols in planes:
        assert (decoder.table(name, contexts, room(len(symbols))) == symbols).all()


def test_scalar_decoder_of_the_spec_reads_the_same_symbols() -> None:
    rng = np.random.default_rng(5)
    contexts = rng.integers(0, 4, 3000).astype(np.int32)
    symbols = rng.integers(0, 16, 3000).astype(np.int32)
    places = rng.integers(0, 641, 500).astype(np.int32)
    encoder = PlaneEncoder(0)
    encoder.table("pattern", contexts, symbols)
    encoder.uniform("place", 641, places)
    twin = ScalarRangeDecoder(encoder.finish())
    for context in range(4):
        counts = table_set(0)["pattern"][context].tolist()
        expected = symbols[contexts == context].tolist()
        assert [twin.decode(counts) for _ in expected] == expected
    edges = [k * 2**24 // 641 for k in range(642)]
    counts = [b - a for a, b in pairwise(edges)]
    assert [twin.decode(counts) for _ in places] == places.tolist()


@given(st.lists(st.integers(-MAX_INT, MAX_INT), max_size=50), st.lists(st.integers(0, MAX_WIDE), max_size=50))
@settings(max_examples=60, deadline=None)
def test_escapes_and_wide_values_come_back(signed: list[int], unsigned: list[int]) -> None:
    values, wide = np.array(signed, np.int32), np.array(unsigned, np.int32)
    encoder = PlaneEncoder(0)
    encoder.ints("mean", 1, values)
    encoder.wide("counts", wide)
    encoder.wides("patch_y", values)
    decoder = PlaneDecoder(encoder.finish(), 0)
    assert (decoder.ints("mean", 1, room(len(values))) == values).all()
    assert (decoder.wide("counts", room(len(wide))) == wide).all()
    assert (decoder.wides("patch_y", room(len(values))) == values).all()


@pytest.mark.parametrize("coder", [PlaneEncoder(0), CountingEncoder(0)])
def test_a_row_is_a_plane(coder: PlaneCoder) -> None:
    rng = np.random.default_rng(8)
    contexts, flags = rng.integers(0, 16, 100), rng.integers(0, 2, 100)
    assert coder.row("cell_on", contexts.tolist(), flags.tolist()) == flags.tolist()
    assert (coder.table("cell_on", contexts, flags.astype(np.int32)) == flags).all()
    if isinstance(coder, PlaneEncoder):
        decoder = PlaneDecoder(coder.finish(), 0)
        assert (decoder.table("cell_on", contexts, room(100)) == flags).all()
        assert decoder.row("cell_on", contexts.tolist(), [0] * 100) == flags.tolist()


def test_counted_bits_are_those_of_the_stream() -> None:
    rng = np.random.default_rng(2)
    encoder, counter = PlaneEncoder(0), CountingEncoder(0)
    for coder in (encoder, counter):
        coder.ints("luma", 0, np.rint(rng.normal(0, 3, 2000)).astype(np.int32))
        coder.wide("patch_gap", rng.integers(0, 9000, 300).astype(np.int32))
        coder.uniform("birth_x", 640, rng.integers(0, 640, 100).astype(np.int32))
        rng = np.random.default_rng(2)
    stream = encoder.finish()
    assert 0 <= 8 * len(stream) - counter.total_bits < 24
    assert {"luma", "wide patch_gap", "birth_x"} <= set(counter.bits)


def test_the_end_of_a_stream_costs_little() -> None:
    """Static tables, a thousand streams: the mean rounding up to bytes and the coder's end together."""
    rng = np.random.default_rng(4)
    over = []
    for _ in range(1000):
        symbols = rng.integers(0, 16, 60).astype(np.int32)
        encoder, counter = PlaneEncoder(0), CountingEncoder(0)
        for coder in (encoder, counter):
            coder.table("pattern", 1, symbols)
        over.append(8 * len(encoder.finish()) - counter.total_bits)
    assert np.mean(over) < 6
    assert min(over) > -16  # a stream that ends in zero bytes by luck is shorter: by 10 bits one in a thousand


def test_past_its_end_a_stream_holds_zeros() -> None:
    decoder = PlaneDecoder(b"", 0)
    zeros = PlaneDecoder(bytes(400), 0)
    contexts = np.arange(24, dtype=np.int32).repeat(20)
    assert (decoder.table("slot_on", contexts, room(480)) == zeros.table("slot_on", contexts, room(480))).all()


def test_what_no_encoder_makes_is_refused() -> None:
    with pytest.raises(BitstreamError, match="no symbol's interval"):
        PlaneDecoder(b"\xff" * 16, 0).table("present", 0, room(1))
    with pytest.raises(BitstreamError, match="no symbol's interval"):
        PlaneDecoder(b"\xff" * 16, 0).row("present", [0], [0])


def test_values_beyond_the_codes_are_our_mistake() -> None:
    with pytest.raises(StreamStateError, match="mean"):
        PlaneEncoder(0).ints("mean", 0, np.array([MAX_INT + 1], np.int32))
    with pytest.raises(StreamStateError, match="wide"):
        PlaneEncoder(0).wide("counts", np.array([-1], np.int32))


def test_the_cheapest_set_is_told_before_the_bytes_are_made() -> None:
    """What each set would take is what a counter by that set counts, and the stream of any set decodes by it."""
    rng = np.random.default_rng(9)
    contexts, flags = rng.integers(0, 24, (32, 40)).astype(np.int32), rng.integers(0, 2, (32, 40)).astype(np.int32)
    counters = [CountingEncoder(number) for number in range(table_set_count())]
    encoder = PlaneEncoder(0)
    for coder in (encoder, *counters):
        coder.planes("slot_on", np.arange(32, dtype=np.int32).repeat(40), contexts.reshape(-1), flags.reshape(-1))
        coder.row("cell_on", [3, 1, 3], [1, 0, 1])
        coder.wide("births", np.array([700], np.int32))
        coder.ints("mean", 1, np.array([4, -900, 0], np.int32))
    raw = [counter.bits["wide births"] + counter.bits["wide escape"] for counter in counters]
    tabled = encoder.set_bits()
    assert encoder.cheapest_set() == int(np.argmin(tabled))
    for number, counter in enumerate(counters):
        assert 0 <= counter.total_bits - tabled[number] < raw[number]  # equally likely bits are the same for all
        stream = encoder.finish(number)
        assert counter.total_bits <= 8 * len(stream) + 16
        decoder = PlaneDecoder(stream, number)
        for own, plane in zip(contexts, flags, strict=True):
            assert (decoder.table("slot_on", own, room(40)) == plane).all()
        assert decoder.row("cell_on", [3, 1, 3], [0] * 3) == [1, 0, 1]
        assert decoder.wide("births", room(1)).tolist() == [700]
        assert decoder.ints("mean", 1, room(3)).tolist() == [4, -900, 0]
    assert PlaneEncoder(0).finish() == b""


def test_what_is_coded_may_change_afterwards() -> None:
    """Streams are made at the end: the encoder must have its own copy."""
    symbols = np.array([1, 2, 3], np.int32)
    encoder = PlaneEncoder(0)
    encoder.table("pattern", 1, symbols)
    encoder.uniform("place", 100, symbols)
    symbols[:] = 0
    decoder = PlaneDecoder(encoder.finish(), 0)
    assert decoder.table("pattern", 1, room(3)).tolist() == [1, 2, 3]
    assert decoder.uniform("place", 100, room(3)).tolist() == [1, 2, 3]
