"""Quality and bitrate to lambda: the squared error (0..255 scale) that one bit must save."""

from dataclasses import dataclass
from math import log

__all__ = ["BitrateControl", "LambdaPair", "lambda_of_quality", "rhythm_factor"]

_QUALITY_MID = 50.0
_LAMBDA_MID = 120.0  # key-frame lambda at quality 50
_QUALITY_PER_HALVING = 11.5
_P_OVER_KEY = 2.5
_LOWEST_QUALITY, _HIGHEST_QUALITY = 0.0, 90.0

_RHYTHM_PERIOD = 4
_RHYTHM_GOOD, _RHYTHM_OTHER = 0.6, 1.5


@dataclass(frozen=True)
class LambdaPair:
    """Lambda of key frames and of P-frames."""

    key: float
    p: float


def lambda_of_quality(quality: float) -> LambdaPair:
    """Return the lambdas of a quality 0..100; each 11.5 points halve them."""
    key = _LAMBDA_MID * 2.0 ** ((_QUALITY_MID - quality) / _QUALITY_PER_HALVING)
    return LambdaPair(key, _P_OVER_KEY * key)


def rhythm_factor(frames_since_key: int, calm: bool) -> float:
    """Return the factor on a P-frame's lambda: on a calm scene every 4th frame is coded better, the others cheaper.

    State persists, so what a good frame buys lasts until it is worn out.
    """
    if not calm:
        return 1.0
    return _RHYTHM_GOOD if frames_since_key % _RHYTHM_PERIOD == 0 else _RHYTHM_OTHER


class BitrateControl:
    """Follows a bitrate by moving the quality: a leaky bucket of one second, corrected in small steps.

    A key frame's bits are a debt that the following seconds pay back.
    """

    _STEP = 1.5  # quality points a frame at most
    _GAIN = 0.6  # quality points a frame for a bucket that is full or empty by one frame's share
    _DEBT_S = 2.0  # over which a key frame is paid back
    _KEY_SHARE_S = 0.8  # of the bitrate that the first key frame may take
    _KEY_BITS_PER_PX = 0.26  # of a key frame at quality 50 ...
    _KEY_BITS_EXPONENT = 0.045  # ... and its growth with quality, natural log per point

    def __init__(self, bitrate_kbps: float, fps: float, width_px: int, height_px: int) -> None:
        """Start with an empty bucket and the quality whose key frame should fit."""
        self._frame_bits = bitrate_kbps * 1000 / fps
        self._fps = fps
        self._bucket_bits = 0.0
        self._debt_bits = 0.0
        key_bits = bitrate_kbps * 1000 * self._KEY_SHARE_S
        self.quality = self._quality_of_key(key_bits, width_px * height_px)

    def _quality_of_key(self, bits: float, pixels: int) -> float:
        """Return the quality whose key frame takes about this many bits."""
        points = log(bits / (self._KEY_BITS_PER_PX * pixels)) / self._KEY_BITS_EXPONENT
        return min(max(_QUALITY_MID + points, _LOWEST_QUALITY), _HIGHEST_QUALITY)

    def add_frame(self, bits: float, *, key: bool) -> None:
        """Take the size of the frame just coded and set the quality of the next."""
        if key:
            self._debt_bits += bits
            bits = 0.0
        pay = min(self._debt_bits, self._debt_bits / (self._DEBT_S * self._fps) + 0.1 * self._frame_bits)
        self._debt_bits -= pay
        self._bucket_bits += bits + pay - self._frame_bits
        self._bucket_bits = max(self._bucket_bits, -self._fps * self._frame_bits)
        error = self._bucket_bits / (4 * self._frame_bits) + (bits + pay - self._frame_bits) / self._frame_bits
        change = -min(max(self._GAIN * error, -self._STEP), self._STEP)
        self.quality = min(max(self.quality + change, _LOWEST_QUALITY), _HIGHEST_QUALITY)
