"""The server's clock: milliseconds since 1970 that never run backwards."""

import time

__all__ = ["now_ms"]

_BASE_S = time.time() - time.monotonic()


def now_ms() -> float:
    """Return the server's time: the wall clock at start-up, carried on by the monotonic one."""
    return (_BASE_S + time.monotonic()) * 1000
