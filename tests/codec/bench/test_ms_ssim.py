"""MS-SSIM: one scale against scikit-image, the scales' product, and pictures that are too small for all of them."""

import numpy as np
import numpy.typing as npt
import pytest
from skimage.metrics import structural_similarity

from codec.bench.ms_ssim import MS_SSIM_WEIGHTS, ms_ssim

Plane = npt.NDArray[np.float32]


def planes(height: int, width: int, noise: float = 8) -> tuple[Plane, Plane]:
    random = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    source = 120 + 60 * np.sin(x / 7 + y / 11) + random.normal(0, 6, (height, width))
    shown = source + random.normal(0, noise, source.shape)
    return shown.clip(0, 255).astype(np.float32), source.clip(0, 255).astype(np.float32)


def ssim(shown: Plane, source: Plane) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            source.astype(float),
            shown.astype(float),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
    )


def test_one_scale_is_ssim() -> None:
    shown, source = planes(60, 83)
    assert ms_ssim(shown, source, (1.0,)) == pytest.approx(ssim(shown, source), abs=1e-6)


def test_equal_pictures_are_1_and_more_noise_is_less_similar() -> None:
    _, source = planes(200, 180)
    values = [ms_ssim(planes(200, 180, noise)[0], source) for noise in (2, 8, 30)]
    assert ms_ssim(source, source) == pytest.approx(1, abs=1e-6)
    assert sorted(values, reverse=True) == values


def test_the_last_scale_alone_has_luminance() -> None:
    """A shift of brightness hurts by the coarsest scale's weight only; its own term is known in closed form."""
    source = np.full((192, 192), 100, np.float32)
    luminance = (2 * 100 * 120 + 6.5025) / (100**2 + 120**2 + 6.5025)
    assert ms_ssim(source + np.float32(20), source) == pytest.approx(luminance ** MS_SSIM_WEIGHTS[-1], abs=1e-6)


def test_small_pictures_use_the_scales_that_fit() -> None:
    shown, source = planes(144, 176)
    four = np.asarray(MS_SSIM_WEIGHTS[:4]) * sum(MS_SSIM_WEIGHTS) / sum(MS_SSIM_WEIGHTS[:4])
    assert ms_ssim(shown, source) == pytest.approx(ms_ssim(shown, source, tuple(four)), abs=1e-9)


def test_refuses_what_no_window_fits() -> None:
    with pytest.raises(ValueError, match="at least 11x11"):
        ms_ssim(np.zeros((10, 40), np.float32), np.zeros((10, 40), np.float32))
