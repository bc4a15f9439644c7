"""Receiver reports: round trips and malformed input."""

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import DatagramError
from server.reports import PatchProgress, Report, parse_report, serialize_report

numbers = st.integers(-1, 2**40)
patches = st.builds(PatchProgress, numbers, numbers, st.lists(st.integers(0, 255), max_size=20).map(tuple))
reports = st.builds(
    Report,
    st.integers(-1, 65535),
    numbers,
    numbers,
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.none() | patches,
    st.floats(allow_nan=False),
)


@given(reports)
def test_reports_round_trip(report: Report) -> None:
    assert parse_report(serialize_report(report)) == report


@pytest.mark.parametrize(
    ("number", "newest", "full"),
    [
        (-1, 70_000, -1),
        (4464, 70_000, 70_000),
        (70_000, 70_000, 70_000),
        (4400, 70_000, 69_936),
        (4470, 70_000, 70_006),  # ahead: a patch shows the state a moment before its frame is published
        (65_530, 65_540, 65_530),
        (4, 65_540, 65_540),
        (65_535, 131_072, 131_071),
        (0, 65_535, 65_536),
        (3, 3, 3),
        (0, -1, 0),
        (2**40 + 5, 9, 5),
        (60_000, 9, -1),  # no such frame yet
    ],
)
def test_numbers_are_unwrapped_against_the_newest_frame(number: int, newest: int, full: int) -> None:
    report = Report(5, number, number, 7, patch=PatchProgress(number, number, (1,))).unwrapped(newest)
    assert report == Report(5, full, full, 7, patch=PatchProgress(full, full, (1,)))
    assert Report(5, number).unwrapped(newest).patch is None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_or_refused(data: bytes) -> None:
    with contextlib.suppress(DatagramError):
        parse_report(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", 65536),
        ("epoch", True),
        ("confirmed", -2),
        ("newest", 1.5),
        ("mask", -1),
        ("mask", None),
        ("hash_bad", 1),
        ("patch", [1, 2]),
        ("patch", [1, 2, ["x"]]),
        ("t", "now"),
    ],
)
def test_bad_fields_are_refused(field: str, value: object) -> None:
    fields = msgpack.unpackb(serialize_report(Report()))
    with pytest.raises(DatagramError, match=field):
        parse_report(msgpack.packb(fields | {field: value}))


def test_truncation_at_every_length_is_refused() -> None:
    body = serialize_report(Report(1, 2, 3, 4, False, PatchProgress(1, 2, (3,)), 5.0))
    for length in range(len(body)):
        with pytest.raises(DatagramError):
            parse_report(body[:length])
