"""Measures of decoded pictures: closed forms on synthetic pictures."""

from fractions import Fraction

import numpy as np
import pytest

from codec.bench.figures import luma_psnr_db
from codec.bench.metrics import METRICS, Source, measure, psnr_db, xpsnr_db
from codec.media import RgbPicture, luma


def source_of(pictures: list[RgbPicture], weights: np.ndarray | None) -> Source:
    repeated = None if weights is None else [weights.astype(np.float32)] * len(pictures)
    return Source(pictures, [luma(picture) for picture in pictures], repeated, Fraction(25))


@pytest.fixture
def pictures() -> list[RgbPicture]:
    random = np.random.default_rng(1)
    return [random.integers(40, 200, (46, 56, 3), np.uint8) for _ in range(3)]


def test_equal_pictures_are_perfect(pictures: list[RgbPicture]) -> None:
    values = measure(pictures, source_of(pictures, np.ones((3, 4))), METRICS)
    assert set(values) == set(METRICS)
    assert values["luma_db"] == values["rgb_db"] == values["weighted_luma_db"] == [100.0] * 3
    assert values["ms_ssim"] == pytest.approx([1.0] * 3, abs=1e-6)
    assert min(values["xpsnr_db"]) > 90


def test_a_constant_error_has_its_own_psnr(pictures: list[RgbPicture]) -> None:
    shown = [picture + np.uint8(5) for picture in pictures]
    values = measure(shown, source_of(pictures, np.ones((3, 4))), METRICS)
    for metric in ("luma_db", "rgb_db", "weighted_luma_db"):
        assert values[metric] == pytest.approx([psnr_db(25)] * 3, abs=1e-3)
    assert values["luma_db"][0] == pytest.approx(luma_psnr_db(shown[0], pictures[0]), abs=1e-6)


def test_weights_pick_the_blocks_that_matter(pictures: list[RgbPicture]) -> None:
    weights = np.full((3, 4), 0.25)
    weights[1, 2] = 1.0
    shown = [picture.copy() for picture in pictures]
    for picture in shown:
        picture[16:32, 32:48] += np.uint8(8)  # exactly that block
    total = 0.25 * (46 * 56 - 256) + 256
    values = measure(shown, source_of(pictures, weights), ["weighted_luma_db"])
    assert values["weighted_luma_db"] == pytest.approx([psnr_db(64 * 256 / total)] * 3, abs=1e-3)


def test_xpsnr_weighs_by_the_source() -> None:
    """The same noise is seen on a flat source and masked by a busy one."""
    random = np.random.default_rng(2)
    flat = [np.full((48, 64, 3), 100, np.uint8)] * 3
    busy = [random.integers(0, 255, (48, 64, 3), np.uint8).clip(20, 235).astype(np.uint8) for _ in range(3)]
    noise = random.integers(-9, 10, (48, 64, 1))
    values = [
        measure([(picture + noise).astype(np.uint8) for picture in source], source_of(source, None), ["xpsnr_db"])
        for source in (flat, busy)
    ]
    assert values[0]["xpsnr_db"][2] < values[1]["xpsnr_db"][2] - 5


def test_leaves_out_what_has_no_weights(pictures: list[RgbPicture]) -> None:
    assert set(measure(pictures, source_of(pictures, None), ["luma_db", "weighted_luma_db"])) == {"luma_db"}


def test_xpsnr_refuses_tiny_pictures() -> None:
    tiny = [np.zeros((40, 50), np.float32)]
    with pytest.raises(ValueError, match="at least 2048 px, got 50x40"):
        xpsnr_db(tiny, tiny, Fraction(25))
