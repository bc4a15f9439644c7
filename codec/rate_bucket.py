"""What a link takes: a leaky bucket, and no more than a tenth above the bitrate over any two seconds.

Bits count as a call sends them: in datagrams, each with its network headers.
"""

from collections import deque
from collections.abc import Sequence

__all__ = ["DATAGRAM_BYTES", "PACKET_HEADER_BYTES", "RateBucket", "packets_of", "sent_bits"]

PACKET_HEADER_BYTES = 76  # IP, UDP, RTP, extensions, VP8 disguise and SRTP of one packet (wire.md)
DATAGRAM_BYTES = 1150


def packets_of(sizes_bytes: Sequence[int]) -> int:
    """Return the datagrams that carry records of these sizes, filled in order."""
    packets, room = 0, 0
    for size in sizes_bytes:
        if size > room:
            packets += -(-size // DATAGRAM_BYTES)
            room = -size % DATAGRAM_BYTES
        else:
            room -= size
    return packets


def sent_bits(sizes_bytes: Sequence[int]) -> int:
    """Return the bits that records of these sizes take on the way, headers of their datagrams included."""
    return 8 * (sum(sizes_bytes) + PACKET_HEADER_BYTES * packets_of(sizes_bytes))


class RateBucket:
    """Counts what is sent; pure: times in seconds in, bits out. Times must not go backwards.

    The bucket leaks at the bitrate and holds the larger of 200 ms and one datagram. Where one datagram is more than
    200 ms, two seconds could still hold a tenth too much, so what those seconds took is kept as well.
    """

    SECONDS = 0.2
    WINDOW_S = 2.0
    WINDOW_EXCESS = 1.1
    FREE_S = 1.0  # at the start, that no window looks at

    def __init__(self, bitrate_bps: float) -> None:
        """Start with an empty bucket; time begins when something is sent first."""
        self.bitrate_bps = bitrate_bps
        self.capacity_bits = max(self.SECONDS * bitrate_bps, 8.0 * (DATAGRAM_BYTES + PACKET_HEADER_BYTES))
        self._start_s: float | None = None
        self._level_bits = 0.0
        self._at_s = 0.0
        self._sent: deque[tuple[float, float]] = deque()  # time and bits of the last two seconds

    def level_bits(self, time_s: float) -> float:
        """Return what the bucket holds at a time."""
        return max(0.0, self._level_bits - self.bitrate_bps * max(0.0, time_s - self._at_s))

    def room_bits(self, time_s: float) -> float:
        """Return what may be sent at a time, headers included; negative after too much was."""
        while self._sent and self._sent[0][0] < time_s - self.WINDOW_S - 0.001:
            self._sent.popleft()
        window = self.WINDOW_EXCESS * self.WINDOW_S * self.bitrate_bps - sum(bits for _, bits in self._sent)
        return min(self.capacity_bits - self.level_bits(time_s), window)

    def push(self, time_s: float, bits: float) -> None:
        """Note what was sent at a time."""
        self._level_bits = self.level_bits(time_s) + bits
        self._at_s = max(self._at_s, time_s)
        if self._start_s is None:
            self._start_s = time_s
        if time_s - self._start_s >= self.FREE_S:
            self._sent.append((time_s, bits))
