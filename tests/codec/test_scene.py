"""Scene cuts: called for another scene, not for motion, exposure or noise."""

import numpy as np
import numpy.typing as npt

from codec.scene import SceneCutTest, shrink


def scene(seed: int, height: int = 180, width: int = 320) -> npt.NDArray[np.uint8]:
    """Return a smooth random picture."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[0:height, 0:width]
    picture = np.full((height, width), 120.0)
    for _ in range(12):
        y, x, size = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(10, 60)
        picture += rng.uniform(-90, 90) * np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * size**2))
    drawn: npt.NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return drawn


def is_cut(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> bool:
    """Return the verdict on the second of two frames."""
    test = SceneCutTest()
    assert not test.is_cut(before)
    return test.is_cut(after)


def test_another_scene_is_a_cut() -> None:
    assert is_cut(scene(1), scene(2))


def test_the_first_frame_is_no_cut() -> None:
    assert not SceneCutTest().is_cut(scene(1))


def test_motion_exposure_and_noise_are_no_cuts() -> None:
    picture = scene(3)
    rng = np.random.default_rng(0)
    assert not is_cut(picture, np.roll(picture, 12, axis=1))
    assert not is_cut(picture, np.clip(picture * 0.7 + 20, 0, 255).astype(np.uint8))
    assert not is_cut(picture, np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8))


def test_a_small_thing_on_a_flat_ground_is_no_cut() -> None:
    """A flat picture has so little variance that anything on it changes most of it."""
    before = np.full((180, 320), 100, np.uint8)
    after = np.full((180, 320), 125, np.uint8)
    before[40:90, 40:90] = 220
    after[60:110, 120:170] = 220
    assert not is_cut(before, after)


def test_a_new_size_is_no_cut() -> None:
    assert not is_cut(scene(1), scene(2, 90, 160))


def test_shrink_takes_means_of_squares() -> None:
    luma = np.arange(40 * 33, dtype=np.uint32).reshape(40, 33).astype(np.uint8)
    small = shrink(luma, 16)
    assert small.shape == (2, 2)
    assert small[1, 1] == luma[16:32, 16:32].mean(dtype=np.float32)
    assert shrink(luma[:5, :7]).shape == (1, 1)
    assert np.isclose(shrink(luma[:5, :7])[0, 0], luma[:5, :7].mean())
