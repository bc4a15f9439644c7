"""What the twins' robust fits share."""

import numpy as np
import pytest

from codec.engine.robust import tukey_weights, upper_median


@pytest.mark.parametrize(("values", "median"), [([3.0], 3.0), ([5.0, 1.0, 3.0], 3.0), ([4.0, 1.0, 3.0, 2.0], 3.0)])
def test_the_upper_median(values: list[float], median: float) -> None:
    assert upper_median(np.array(values)) == median


def test_weights_fall_to_nothing_at_the_reach() -> None:
    residuals = np.array([0.0, -1.0, 1.0, 1.0, 6.9, 6.95, -50.0])  # deviation 1.4826, reach 6.946
    weights = tukey_weights(residuals, 0.1)
    assert weights[0] == 1
    assert weights[1] == weights[2] == pytest.approx((1 - (1 / (4.685 * 1.4826)) ** 2) ** 2)
    assert 0 < weights[4] < 1e-3
    assert list(weights[5:]) == [0, 0]


def test_a_close_fit_does_not_call_its_own_noise_outliers() -> None:
    residuals = np.array([0.0, 0.0, 0.0, 0.2])
    assert tukey_weights(residuals, 0.1)[3] == pytest.approx((1 - (0.2 / 0.4685) ** 2) ** 2)
