"""When a picture was captured, in the server's milliseconds: RTP time through the publisher's sender reports.

A sender report pairs the publisher's wall clock with RTP time (RFC 3550 section 6.4.1). The offset between the
publisher's clock and ours is taken as the least of (arrival - wall clock) over the last reports: the true offset
plus the least one-way delay. So a capture time is late by that delay and by nothing else.
"""

__all__ = ["CaptureClock"]


class CaptureClock:
    """Maps RTP timestamps of one video line to server milliseconds."""

    WINDOW_MS = 30_000.0
    MAX_AGE_MS = 5_000.0  # a capture time older than this is not believed

    def __init__(self, clock_rate: int = 90_000) -> None:
        self._ticks_per_ms = clock_rate / 1000
        self._reference: tuple[float, int] | None = None  # publisher's wall clock in ms, RTP timestamp
        self._least_ms = [float("inf"), float("inf")]  # offset of the window before and of this one
        self._began_ms = float("-inf")

    def push_sender_report(self, wall_ms: float, rtp_timestamp: int, arrival_ms: float) -> None:
        """Take one sender report."""
        self._reference = (wall_ms, rtp_timestamp)
        if arrival_ms - self._began_ms > self.WINDOW_MS:
            self._least_ms = [self._least_ms[1], float("inf")]
            self._began_ms = arrival_ms
        self._least_ms[1] = min(self._least_ms[1], arrival_ms - wall_ms)

    def capture_ms(self, rtp_timestamp: int, arrival_ms: float) -> float:
        """Return when the picture of this RTP timestamp was captured; its arrival while nothing better is known."""
        if self._reference is None:
            return arrival_ms
        wall_ms, reference = self._reference
        ticks = (rtp_timestamp - reference + 0x80000000) % 0x100000000 - 0x80000000
        captured_ms = wall_ms + ticks / self._ticks_per_ms + min(self._least_ms)
        return captured_ms if arrival_ms - self.MAX_AGE_MS <= captured_ms <= arrival_ms else arrival_ms
