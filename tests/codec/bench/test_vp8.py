"""The VP8 peer: a stream at about the rate asked for, decoded to the same pictures."""

from fractions import Fraction

import numpy as np

from codec.bench.vp8 import encode_vp8


def test_encodes_and_decodes_the_clip() -> None:
    x, y = np.meshgrid(np.arange(96), np.arange(64))
    pictures = [
        np.stack([127 + 100 * np.sin((x + 2 * shift) / 9 + y / 7)] * 3, axis=-1).astype(np.uint8) for shift in range(12)
    ]
    figures = encode_vp8(pictures, Fraction(30), kbps=400, threads=2)
    assert (figures.width_px, figures.height_px, figures.frames) == (96, 64, 12)
    assert figures.luma_db > 28
    assert 0 < figures.kbps < 2000
    assert 0 < figures.p_wall_ms.p50 <= figures.p_wall_ms.p95
