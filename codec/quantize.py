"""Float splats to integer state and back, and every range a value saturates to (SPEC section 1)."""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from codec.types import FIELDS, EpochRecord, FloatArray, IntArray, SplatSet

__all__ = [
    "BIRTH_SCALES",
    "KEY_BASE_LEVEL_HIGH",
    "KEY_BASE_LEVEL_LOW",
    "KEY_BASE_STEPS",
    "SIZE_CLASSES",
    "clamp",
    "dequantize_base",
    "dequantize_splats",
    "field_high",
    "field_low",
    "key_steps",
    "quantize_base",
    "quantize_key",
    "quantize_splats",
    "saturate_base",
    "saturate_splats",
    "saturate_vectors",
    "size_class",
]

MEAN_UNITS: Final = 16  # of a state's x, y in one px
SHAPE_UNITS: Final = 64  # of s, e1, e2 in one
COLOR_UNITS: Final = 4  # of Y, Cb, Cr in 1/255
MEAN_MARGIN: Final = 2048  # in 1/16 px, how far a mean may lie outside of the picture

SIZE_CLASSES: Final = 5
_CLASS_THRESHOLDS: Final = np.array([48, 92, 137, 181], np.int32)
BIRTH_SCALES: Final = np.array([-14, 17, 47, 78, 109, 141, 171, 201], np.int32)  # s of a birth's sizes

KEY_BASE_STEPS: Final = np.array([32, 48, 48], np.int32)  # 8/255 and 12/255
KEY_BASE_LEVEL_LOW: Final = np.array([0, -11, -11], np.int32)
KEY_BASE_LEVEL_HIGH: Final = np.array([32, 11, 11], np.int32)
_BASE_LOW: Final = np.array([0, -512, -512], np.int32)
_BASE_HIGH: Final = np.array([1023, 511, 511], np.int32)
_VECTOR_LOW, _VECTOR_HIGH = -4096, 4095


def clamp(values: IntArray, low: int | IntArray, high: int | IntArray) -> IntArray:
    """Return the values limited to low..high."""
    return np.minimum(np.maximum(values, low), high).astype(np.int32, copy=False)


def field_low() -> IntArray:
    """Return the least value of each of the 8 fields x .. Cr."""
    return _field_limits(1, 1)[0]


def field_high(epoch: EpochRecord) -> IntArray:
    """Return the greatest value of each of the 8 fields x .. Cr."""
    return _field_limits(epoch.width_px, epoch.height_px)[1]


@lru_cache(maxsize=16)
def _field_limits(width_px: int, height_px: int) -> tuple[IntArray, IntArray]:
    """Return least and greatest value of the 8 fields x .. Cr, made once for each size of picture."""
    low = np.array([-MEAN_MARGIN, -MEAN_MARGIN, -32, -128, -128, -1024, -1024, -1024], np.int32)
    ends = [MEAN_UNITS * size + MEAN_MARGIN - 1 for size in (width_px, height_px)]
    high = np.array([*ends, 352, 128, 128, 2047, 1023, 1023], np.int32)
    return low, high


def saturate_splats(epoch: EpochRecord, fields: IntArray) -> IntArray:
    """Return fields [n, 8] within their ranges."""
    return clamp(fields, *_field_limits(epoch.width_px, epoch.height_px))


def saturate_base(base: IntArray) -> IntArray:
    """Return base samples [3, bh, bw] within their ranges."""
    return clamp(base, _BASE_LOW[:, None, None], _BASE_HIGH[:, None, None])


def saturate_vectors(vectors: IntArray) -> IntArray:
    """Return the state's vectors within their range."""
    return clamp(vectors, _VECTOR_LOW, _VECTOR_HIGH)


def size_class(scales: IntArray) -> IntArray:
    """Return the size class 0..4 of log-scales s."""
    return np.searchsorted(_CLASS_THRESHOLDS, scales, side="left").astype(np.int32)


def key_steps(epoch: EpochRecord, classes: IntArray) -> IntArray:
    """Return the key frame's steps [n, 8] of splats of these size classes [n]."""
    steps = epoch.steps
    mean = np.array(steps.key_mean, np.int32)[classes]
    rest = (steps.key_scale, steps.key_shape, steps.key_shape, steps.key_luma, steps.key_chroma, steps.key_chroma)
    return np.column_stack([mean, mean, *(np.full_like(mean, step) for step in rest)])


def _to_units(splats: SplatSet) -> npt.NDArray[np.float64]:
    """Return fields [N, 8] in the state's units, not rounded."""
    columns = [
        *(splats.means_px.T * MEAN_UNITS),
        splats.log_scale * SHAPE_UNITS,
        splats.e1 * SHAPE_UNITS,
        splats.e2 * SHAPE_UNITS,
        *(splats.colors.T * COLOR_UNITS),
    ]
    return np.column_stack(columns).astype(np.float64)


def quantize_splats(epoch: EpochRecord, splats: SplatSet) -> IntArray:
    """Return the nearest state values [N, 9]."""
    fields = saturate_splats(epoch, np.rint(_to_units(splats)).astype(np.int32))
    return np.column_stack([fields, splats.kinds.astype(np.int32)])


def dequantize_splats(splats: IntArray) -> SplatSet:
    """Return state values [N, 9] as floats in natural units."""
    if splats.ndim != 2 or splats.shape[1] != FIELDS:
        raise ValueError(f"expected splats of shape [N, {FIELDS}], got {splats.shape}")
    values = splats.astype(np.float32)
    shapes = values[:, 2:5] / np.float32(SHAPE_UNITS)
    return SplatSet(
        means_px=values[:, 0:2] / np.float32(MEAN_UNITS),
        log_scale=shapes[:, 0],
        e1=shapes[:, 1],
        e2=shapes[:, 2],
        colors=values[:, 5:8] / np.float32(COLOR_UNITS),
        kinds=splats[:, 8].astype(np.uint8),
    )


def quantize_key(epoch: EpochRecord, splats: SplatSet) -> IntArray:
    """Return the nearest values [N, 8] a key frame can code: multiples of its steps, means inside of the picture.

    The scale is rounded first: its size class decides the step of the mean.
    """
    units = _to_units(splats)
    step = epoch.steps.key_scale
    low, high = field_low(), field_high(epoch)
    scales = np.rint(np.clip(units[:, 2], low[2], high[2]) / step)
    scales = np.clip(scales, -(-low[2] // step), high[2] // step).astype(np.int32) * step
    steps = key_steps(epoch, size_class(scales))
    levels = np.rint(units / steps)
    least = np.broadcast_to(-(-low // steps), steps.shape).copy()
    most = np.broadcast_to(high // steps, steps.shape).copy()
    least[:, :2] = 0
    most[:, :2] = (MEAN_UNITS * np.array([epoch.width_px, epoch.height_px]) - 1) // steps[:, :2]
    lattice = np.clip(levels, least, most).astype(np.int32) * steps
    lattice[:, 2] = scales
    return lattice.astype(np.int32)


def quantize_base(samples: FloatArray) -> IntArray:
    """Return the nearest key-frame levels [3, bh, bw] of base samples (Y 0..255, Cb and Cr around 0)."""
    levels = np.rint(samples * COLOR_UNITS / KEY_BASE_STEPS[:, None, None]).astype(np.int32)
    return clamp(levels, KEY_BASE_LEVEL_LOW[:, None, None], KEY_BASE_LEVEL_HIGH[:, None, None])


def dequantize_base(levels: IntArray) -> IntArray:
    """Return the state's base samples [3, bh, bw] of key-frame levels."""
    return saturate_base(levels * KEY_BASE_STEPS[:, None, None])
