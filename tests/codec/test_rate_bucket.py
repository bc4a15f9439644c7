"""What a link takes: datagrams and their headers, the bucket, and two seconds at a time."""

import numpy as np
import pytest

from codec.rate_bucket import DATAGRAM_BYTES, PACKET_HEADER_BYTES, RateBucket, packets_of, sent_bits


@pytest.mark.parametrize(
    ("sizes", "packets"),
    [
        ([], 0),
        ([1], 1),
        ([1150], 1),
        ([1151], 2),
        ([600, 500, 50], 1),
        ([600, 600], 2),
        ([1150, 1], 2),
        ([2400, 900], 3),
        ([2400, 1100], 4),
    ],
)
def test_records_fill_datagrams_in_order(sizes: list[int], packets: int) -> None:
    assert packets_of(sizes) == packets
    assert sent_bits(sizes) == 8 * (sum(sizes) + 76 * packets)


def test_the_bucket_holds_200_ms_or_one_datagram() -> None:
    assert RateBucket(500_000).capacity_bits == 100_000
    assert RateBucket(30_000).capacity_bits == 8 * (DATAGRAM_BYTES + PACKET_HEADER_BYTES)


def test_the_bucket_leaks_at_the_bitrate() -> None:
    bucket = RateBucket(100_000)
    bucket.push(5.0, 15_000)
    assert bucket.level_bits(5.0) == 15_000
    assert bucket.room_bits(5.0) == 5_000
    assert bucket.level_bits(5.1) == pytest.approx(5_000)
    assert bucket.level_bits(6.0) == 0
    bucket.push(6.0, 30_000)
    assert bucket.room_bits(6.0) == -10_000


@pytest.mark.parametrize("bitrate_bps", [30_000, 40_000, 100_000, 1_000_000])
def test_whoever_keeps_to_the_room_keeps_to_every_two_seconds(bitrate_bps: int) -> None:
    """A sender that takes all it gets, at odd times."""
    bucket, rng = RateBucket(bitrate_bps), np.random.default_rng(1)
    time_s, sent = 0.0, []
    for _ in range(2000):
        time_s += float(rng.uniform(0.001, 0.08))
        bits = max(0.0, bucket.room_bits(time_s)) * float(rng.choice([0.0, 0.5, 1.0]))
        bucket.push(time_s, bits)
        assert bucket.level_bits(time_s) <= bucket.capacity_bits + 1e-6
        sent.append((time_s, bits))
    times, bits_sent = np.array(sent).T
    late = times >= times[0] + 1
    for start in times[late]:
        within = late & (times >= start) & (times <= start + 2)
        assert bits_sent[within].sum() <= 1.1 * 2 * bitrate_bps + 1e-6
