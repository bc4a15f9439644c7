"""Coded size of a camera, and when it changes."""

from hypothesis import given
from hypothesis import strategies as st

from server.geometry import CameraSize, PictureSize, coded_size

sides = st.integers(1, 4096)


@given(sides, sides, st.integers(16, 1280))
def test_coded_sizes_are_even_and_bounded(width: int, height: int, long_side: int) -> None:
    size = coded_size(PictureSize(width, height), long_side)
    assert size.width_px % 2 == 0
    assert size.height_px % 2 == 0
    assert min(size.width_px, size.height_px) >= 16
    assert max(size.width_px, size.height_px) <= max(long_side + 1, 16)


def test_usual_cameras() -> None:
    assert coded_size(PictureSize(1280, 720), 640) == PictureSize(640, 360)
    assert coded_size(PictureSize(720, 1280), 640) == PictureSize(360, 640)
    assert coded_size(PictureSize(320, 180), 640) == PictureSize(320, 180)
    assert coded_size(PictureSize(4096, 2304), 640) == PictureSize(640, 360)
    assert coded_size(PictureSize(1, 1), 640) == PictureSize(16, 16)


def test_chromiums_ramp_changes_nothing_until_a_size_has_lasted() -> None:
    camera = CameraSize(640)
    large, middle, odd = PictureSize(640, 360), PictureSize(480, 270), PictureSize(427, 240)
    assert camera.coded(middle, 0.0) == middle
    assert camera.coded(large, 100.0) == middle
    assert camera.coded(odd, 2000.0) == middle
    assert camera.coded(large, 2100.0) == middle
    assert camera.coded(large, 5099.0) == middle
    assert camera.coded(large, 5100.0) == large


def test_going_back_forgets_the_other_size() -> None:
    camera = CameraSize(640)
    assert camera.coded(PictureSize(640, 360), 0.0) == PictureSize(640, 360)
    camera.coded(PictureSize(320, 180), 100.0)
    camera.coded(PictureSize(640, 360), 3000.0)
    assert camera.coded(PictureSize(320, 180), 3200.0) == PictureSize(640, 360)


def test_a_new_aspect_ratio_counts_at_once() -> None:
    camera = CameraSize(640)
    camera.coded(PictureSize(640, 360), 0.0)
    assert camera.coded(PictureSize(360, 640), 1.0) == PictureSize(360, 640)
    assert camera.coded(PictureSize(640, 480), 2.0) == PictureSize(640, 480)
