"""Datagrams: round trips, limits, malformed input and bundling."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.datagram import (
    MAX_BODY_BYTES,
    MAX_DATAGRAM_BYTES,
    Bundler,
    Record,
    RecordKind,
    pack_datagram,
    parse_datagram,
)
from server.errors import DatagramError

records = st.lists(st.builds(Record, st.integers(0, 255), st.integers(0, 15), st.binary(max_size=200)), max_size=5)


@given(records)
def test_datagrams_round_trip(made: list[Record]) -> None:
    assert list(parse_datagram(pack_datagram(made))) == made


@given(st.binary(max_size=1300))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(DatagramError):
        assert pack_datagram(parse_datagram(data)) == data


@given(records.filter(lambda made: bool(made)), st.data())
def test_truncated_datagrams_are_refused_or_end_at_a_record(made: list[Record], data: st.DataObject) -> None:
    packed = pack_datagram(made)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with contextlib.suppress(DatagramError):
        assert list(parse_datagram(cut)) == made[: len(parse_datagram(cut))]


def test_header_layout_is_that_of_the_spec() -> None:
    assert pack_datagram([Record(7, RecordKind.FIGURES, bytes(0x123))])[:3] == bytes((7, 0x31, 0x23))


def test_largest_body_fits_and_one_byte_more_does_not() -> None:
    assert len(pack_datagram([Record(0, 1, bytes(MAX_BODY_BYTES))])) == MAX_DATAGRAM_BYTES
    with pytest.raises(ValueError, match="1150"):
        pack_datagram([Record(0, 1, bytes(MAX_BODY_BYTES + 1))])
    with pytest.raises(DatagramError, match="1150"):
        parse_datagram(bytes(MAX_DATAGRAM_BYTES + 1))


def test_records_within_five_milliseconds_share_a_datagram() -> None:
    bundler = Bundler(5.0)
    bundler.push(Record(0, 1, b"a"), 100.0)
    bundler.push(Record(1, 1, b"b"), 104.0)
    assert bundler.due_ms() == 105.0
    assert bundler.pull(104.9, 10) == []
    (datagram,) = bundler.pull(105.0, 10)
    assert [record.body for record in parse_datagram(datagram)] == [b"a", b"b"]
    assert bundler.due_ms() is None
    assert bundler.size_bytes == 0


def test_a_full_datagram_leaves_at_once_and_the_rest_stays_due() -> None:
    bundler = Bundler(5.0)
    for _ in range(3):
        bundler.push(Record(0, 1, bytes(1000)), 10.0)
    assert bundler.due_ms() == 10.0
    assert len(bundler.pull(10.0, 2)) == 2
    assert bundler.size_bytes == 1003
    assert len(bundler.pull(15.0, 2)) == 1


def test_dropping_names_the_streams() -> None:
    bundler = Bundler()
    for stream, kind in ((1, RecordKind.FRAME), (2, RecordKind.PATCH), (3, RecordKind.EPOCH)):
        bundler.push(Record(stream, kind, b"x"), 0.0)
    assert bundler.drop(frozenset({RecordKind.FRAME, RecordKind.PATCH})) == {1, 2}
    assert bundler.size_bytes == 4
    assert bundler.drop(frozenset(RecordKind), 9) == frozenset()
