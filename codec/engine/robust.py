"""What the twins' robust fits share: Tukey's weights, worked out again in each pass (`engine_robust.hpp`)."""

import numpy as np
import numpy.typing as npt

__all__ = ["PASSES", "tukey_weights", "upper_median"]

PASSES = 8  # of a fit
_TUKEY = 4.685  # residual, in deviations, from which it counts for nothing
_MAD_TO_DEVIATION = 1.4826

Doubles = npt.NDArray[np.float64]


def upper_median(values: Doubles) -> float:
    """Return the middle of values [n], of an even number the upper one."""
    return float(np.sort(values)[len(values) // 2])


def tukey_weights(residuals: Doubles, least_deviation: float) -> Doubles:
    """Return Tukey's biweights of residuals [n], by the deviation that their median size implies."""
    reach = _TUKEY * max(_MAD_TO_DEVIATION * upper_median(np.abs(residuals)), least_deviation)
    weights: Doubles = np.clip(1 - (residuals / reach) ** 2, 0, None) ** 2
    return weights
