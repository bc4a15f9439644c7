"""The NumPy pass that speed is compared with does the same work as the kernels."""

import numpy as np

from codec.bench.iteration import measure_iteration, numpy_pass
from codec.fit.native import NativeFit
from codec.types import SplatSet


def random_splats(count: int, width: int, height: int) -> SplatSet:
    """Return splats of all shapes, some across the picture's edge."""
    random = np.random.default_rng(7)
    return SplatSet(
        (random.random((count, 2)) * [width + 8, height + 8] - 4).astype(np.float32),
        random.uniform(0.3, 2.2, count).astype(np.float32),
        random.uniform(-0.6, 0.6, count).astype(np.float32),
        random.uniform(-0.6, 0.6, count).astype(np.float32),
        random.uniform(-60, 200, (count, 3)).astype(np.float32),
        np.ones(count, np.uint8),
    )


def test_numpy_pass_agrees_with_the_kernels() -> None:
    random = np.random.default_rng(3)
    target = random.uniform(0, 255, (3, 40, 56)).astype(np.float32)
    base = random.uniform(0, 255, (3, 40, 56)).astype(np.float32)
    splats = random_splats(60, 56, 40)
    session = NativeFit(target, base)
    session.start(splats)
    loss, gradients = session.gradients()
    expected_loss, expected = numpy_pass(splats, base, target)
    assert abs(loss / expected_loss - 1) < 1e-4
    # measured 1e-3 of the largest: the kernels' exponential is an approximation
    assert np.all(np.abs(gradients - expected).max(0) < 5e-3 * np.abs(expected).max(0))


def test_measures_without_a_prototype() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (32, 48, 3), np.uint8)
    figures = measure_iteration(picture, 40, None)
    assert [entry.threads for entry in figures] == [1, 2]
    assert all(0 < entry.native_ms < entry.numpy_ms and entry.prototype_ms is None for entry in figures)
