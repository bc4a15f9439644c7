"""When the way to a subscriber is blocked: hold and bundle, and after a while send one patch instead (wire.md)."""

from enum import Enum

__all__ = ["Congestion", "Way"]


class Way(Enum):
    """What to do with datagrams now."""

    OPEN = "open"
    HELD = "held"
    GIVEN_UP = "given up"  # what is held has become too old: a patch takes its place


class Congestion:
    """Judges the way to one subscriber by what is queued in the transport and how old the last report is."""

    MAX_QUEUED_BYTES = 16 * 1024  # above: blocked
    REPORT_SILENCE_MS = 3000.0  # reports come every 100 ms; none for so long: nothing gets through
    GIVE_UP_MS = 300.0

    def __init__(self, now_ms: float) -> None:
        self._blocked_since_ms: float | None = None
        self._reported_ms = now_ms

    def report_came(self, now_ms: float) -> None:
        """Note that the subscriber was heard."""
        self._reported_ms = now_ms

    def judge(self, queued_bytes: int, now_ms: float) -> Way:
        """Return what to do now, given the bytes that the transport has not sent yet."""
        silent = now_ms - self._reported_ms > self.REPORT_SILENCE_MS
        if queued_bytes <= self.MAX_QUEUED_BYTES and not silent:
            self._blocked_since_ms = None
            return Way.OPEN
        if self._blocked_since_ms is None:
            self._blocked_since_ms = now_ms
        return Way.GIVEN_UP if now_ms - self._blocked_since_ms >= self.GIVE_UP_MS else Way.HELD
