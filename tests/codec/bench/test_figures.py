"""Benchmark figures: spreads, quality and rate."""

from fractions import Fraction

import numpy as np
import pytest

from codec.bench.figures import luma_psnr_db, mean_luma_psnr_db, rate_kbps, spread


def test_spread_of_known_samples() -> None:
    figures = spread([float(value) for value in range(1, 101)])
    assert (figures.p50, figures.mean, figures.most) == (50.5, 50.5, 100.0)
    assert figures.p95 == pytest.approx(95.05)
    assert spread([]).p95 == 0


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    grey = np.full((8, 8, 3), 16, np.uint8)
    assert luma_psnr_db(black, grey) == pytest.approx(20 * np.log10(255 / 16), abs=1e-4)
    assert luma_psnr_db(grey, grey) == pytest.approx(100.0, abs=15)
    assert mean_luma_psnr_db([black, black], [grey, grey]) == pytest.approx(luma_psnr_db(black, grey))


def test_rate_counts_the_whole_stream() -> None:
    assert rate_kbps(30_000, 150, Fraction(30)) == pytest.approx(48.0)
