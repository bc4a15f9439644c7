"""How many messages a client may send: a bucket that fills with time."""

from server.errors import RequestError

__all__ = ["RateLimit"]


class RateLimit:
    """Allows `burst` messages at once and `rate_hz` a second in the long run. Pure: the time comes in."""

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._left = float(burst)
        self._last_ms: float | None = None

    def take(self, now_ms: float) -> None:
        """Count one message; raises RequestError with code `too-many`."""
        if self._last_ms is not None:
            self._left = min(self._burst, self._left + (now_ms - self._last_ms) / 1000 * self._rate_hz)
        self._last_ms = now_ms
        if self._left < 1:
            limit = f"at most {self._rate_hz:g} a second"
            raise RequestError("too-many", "too many messages", expected=limit, got=f"more than {self._burst} at once")
        self._left -= 1
