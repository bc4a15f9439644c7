"""The readable twin of the engine's search for a global light (SPEC 6.1, command 1; `engine_light.cpp`).

Block means of the state's picture are brought to the target's by one gain and an offset, with Tukey's weights worked
out again in each pass, so that what moves or is new counts for little. What is proposed then is the cheapest of a few
integer lights, by the drop in squared error over the blocks that fit and the bits of the command.
"""

import numpy as np
import numpy.typing as npt

from codec.engine.robust import PASSES, tukey_weights, upper_median
from codec.types import FloatArray, IntArray

__all__ = ["GAIN_UNIT", "fit_gain", "propose_light"]

GAIN_UNIT = 256  # of a gain, in one
_BLOCK_PX = 16
_ROW_STEP = 2  # of the rows that are looked at
_PRICE = 2.0  # on a light's bits: one that hardly pays is better left to a later, larger one
_LEAST_DEVIATION = 0.3  # 1/255
_TREMBLING = 1  # a gain so small comes and goes with flicker, and never pays
_GAIN_PRIOR = 20.0  # variance of luma below which a gain is not told from an offset

Doubles = npt.NDArray[np.float64]


def propose_light(
    picture: FloatArray, target: FloatArray, lambda_: float, chroma_weight: float, costs: dict[str, FloatArray]
) -> IntArray:
    """Return the light to try [4]: gain in 1/256, offsets in 1/255; all 0 where none should pay.

    picture, target: Y, Cb, Cr in 1/255, [3, H, W]; costs: bits of each symbol of each table.
    """
    lambda_ *= _PRICE
    shown, wished = picture[:, ::_ROW_STEP].astype(np.float64), target[:, ::_ROW_STEP].astype(np.float64)
    means, wanted = _block_means(shown[0]), _block_means(wished[0] - shown[0])
    gain, inliers = fit_gain(means.ravel(), wanted.ravel(), _block_sizes(shown[0]).ravel())
    block_rows = _BLOCK_PX // _ROW_STEP
    spread = inliers.reshape(means.shape).repeat(block_rows, axis=0).repeat(_BLOCK_PX, axis=1)
    by_plane = np.array([1.0, chroma_weight, chroma_weight])[:, None, None]
    weights = _ROW_STEP * by_plane * spread[: shown.shape[1], : shown.shape[2]]
    alone = GAIN_UNIT * float((weights * shown * (wished - shown)).sum() / max((weights * shown**2).sum(), 1.0))
    best, best_cost = np.zeros(4, np.int32), 0.0
    for tried in (0.0, gain, alone):
        light = np.array([np.clip(np.rint(tried), -255, 256), 0, 0, 0], np.int32)
        if abs(light[0]) == _TREMBLING:
            continue
        cost = _with_offsets(light, shown, wished, weights, lambda_, costs)
        if cost < best_cost:
            best, best_cost = light, cost
    return best


def fit_gain(means: Doubles, wanted: Doubles, pixels: Doubles) -> tuple[float, Doubles]:
    """Return the gain (1/256) that with an offset explains the changes wanted of the blocks' means, and their weights.

    means, wanted, pixels: [blocks]; Tukey's biweight about the median absolute residual.
    """
    gain, offset = 0.0, upper_median(wanted)
    weights = np.ones_like(means)
    for _ in range(PASSES):
        residuals = wanted - gain / GAIN_UNIT * means - offset
        weights = tukey_weights(residuals, _LEAST_DEVIATION)
        own = weights * pixels
        total = own.sum() + 1e-9
        x, y = (own * means).sum(), (own * wanted).sum()
        variance = (own * means**2).sum() - x * x / total + _GAIN_PRIOR * total
        slope = ((own * means * wanted).sum() - x * y / total) / variance
        gain, offset = GAIN_UNIT * float(slope), float((y - slope * x) / total)
    return gain, weights


def _with_offsets(
    light: IntArray, picture: Doubles, target: Doubles, weights: Doubles, lambda_: float, costs: dict[str, FloatArray]
) -> float:
    """Set the offsets that pay beside the gain light[0] in place; return the change of error plus lambda times bits."""
    error = picture * (1 + light[0] / GAIN_UNIT) - target
    before = (weights * (picture - target) ** 2).sum()
    for plane in range(3):
        left = -(weights[plane] * error[plane]).sum() / max(weights[plane].sum(), 1e-9)
        offset = int(np.clip(np.rint(left), -255, 255))
        gain = (weights[plane] * ((error[plane] + offset) ** 2 - error[plane] ** 2)).sum()
        bits = _value_bits(costs["light"], 1 + plane, offset) - _value_bits(costs["light"], 1 + plane, 0)
        if gain + lambda_ * bits < 0:
            light[1 + plane] = offset
            error[plane] += offset
    bits = float(costs["present"][0, 1] - costs["present"][0, 0])
    bits += sum(_value_bits(costs["light"], k, int(value)) for k, value in enumerate(light))
    return float((weights * error**2).sum() - before) + lambda_ * bits


def _value_bits(costs: FloatArray, context: int, value: int) -> float:
    """Return the bits of a value of an int table; those of an escape are a guess (`TableCost::value`)."""
    limit = costs.shape[1] // 2 - 1
    if abs(value) <= limit:
        return float(costs[context, value + limit])
    excess = 2 * (abs(value) - limit - 1) + (value < 0)
    return float(costs[context, -1]) + 3 + 2 * float(np.log2(excess + 1))


def _block_sums(plane: Doubles) -> Doubles:
    """Return the sums over blocks of a plane of every second row."""
    rows, columns = np.arange(0, plane.shape[0], _BLOCK_PX // _ROW_STEP), np.arange(0, plane.shape[1], _BLOCK_PX)
    sums: Doubles = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1)
    return sums


def _block_sizes(plane: Doubles) -> Doubles:
    """Return the pixels that each block has in a plane of every second row."""
    return _block_sums(np.ones_like(plane))


def _block_means(plane: Doubles) -> Doubles:
    """Return the means of the blocks."""
    means: Doubles = _block_sums(plane) / _block_sizes(plane)
    return means
