"""Rate limits."""

import pytest

from server.errors import RequestError
from server.rate_limit import RateLimit


def test_a_burst_passes_and_more_does_not_until_time_goes_by() -> None:
    limit = RateLimit(10.0, 5)
    for _ in range(5):
        limit.take(1000.0)
    with pytest.raises(RequestError, match="too many"):
        limit.take(1000.0)
    limit.take(1100.0)
    with pytest.raises(RequestError):
        limit.take(1150.0)
    for _ in range(5):
        limit.take(9000.0)
