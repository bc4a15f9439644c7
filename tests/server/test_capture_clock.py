"""Capture times through sender reports."""

import pytest

from server.capture_clock import CaptureClock


def test_without_a_report_the_arrival_counts() -> None:
    assert CaptureClock().capture_ms(123, 5000.0) == 5000.0


def test_the_offset_is_the_least_of_the_reports() -> None:
    clock = CaptureClock()
    clock.push_sender_report(100_000.0, 2**32 - 9000, 501_050.0)
    clock.push_sender_report(101_000.0, 81_000, 502_020.0)
    assert clock.capture_ms(81_000 + 2700, 502_100.0) == pytest.approx(502_050.0)
    assert clock.capture_ms(81_000 - 2700, 502_100.0) == pytest.approx(501_990.0)


def test_what_cannot_be_is_not_believed() -> None:
    clock = CaptureClock()
    clock.push_sender_report(0.0, 0, 1000.0)
    assert clock.capture_ms(90_000, 1500.0) == 1500.0, "later than its arrival"
    assert clock.capture_ms(2**32 - 900_000, 1500.0) == 1500.0, "ten seconds old"


def test_old_offsets_are_forgotten() -> None:
    clock = CaptureClock()
    for second in range(100):
        drifted = 1000.0 * second + (0.0 if second < 5 else 40.0)
        clock.push_sender_report(1000.0 * second, 90_000 * second, drifted)
    assert clock.capture_ms(90_000 * 99, 99_500.0) == pytest.approx(99_040.0)
