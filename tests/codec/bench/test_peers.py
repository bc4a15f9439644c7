"""Ladders of quality, and datagrams."""

import pytest

from codec.bench.peers import Ladder, packets_of

LADDER = Ladder((50, 40, 30), coarsest=63, finest=5, step=4)


@pytest.mark.parametrize(
    ("luma_db", "following"),
    [
        ({50: 33.0, 40: 37.0, 30: 42.0}, None),
        ({50: 34.0, 40: 37.0, 30: 42.0}, 54),
        ({50: 34.0, 40: 37.0, 30: 42.0, 54: 33.9, 58: 33.8, 62: 33.7}, 63),
        ({50: 34.0, 40: 37.0, 30: 42.0, 63: 33.6}, None),
        ({50: 33.0, 40: 37.0, 30: 40.0}, 26),
        ({50: 34.0, 40: 37.0, 30: 40.0}, 54),
        ({50: 33.0, 40: 37.0, 30: 40.0, 5: 41.0}, None),
    ],
)
def test_goes_on_until_a_range_is_spanned_or_the_end_reached(
    luma_db: dict[float, float], following: float | None
) -> None:
    assert LADDER.next_quality(luma_db, 33.5, 41.5) == following


def test_rising_qualities() -> None:
    ladder = Ladder((10, 50, 90), coarsest=0, finest=100, step=6)
    assert ladder.next_quality({10: 33.0, 50: 37.0, 90: 42.0}, 32, 41) == 4
    assert ladder.next_quality({10: 31.0, 50: 37.0, 90: 40.0}, 32, 41) == 96
    assert ladder.next_quality({10: 31.0, 50: 37.0, 96: 40.0}, 32, 41) == 100


@pytest.mark.parametrize(("size", "packets"), [(0, 0), (1, 1), (1150, 1), (1151, 2), (11500, 10)])
def test_datagrams_of_a_frame(size: int, packets: int) -> None:
    assert packets_of(size) == packets
