"""Pictures on their way in and out: colours and sizes are kept."""

import numpy as np
import numpy.typing as npt
import pytest
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from codec.media import frame_to_rgb, rgb_to_frame
from server.geometry import PictureSize
from server.publisher import Resampler
from server.tracks import Vp8Encoder

GREYS = range(0, 256, 15)
COLORS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (230, 190, 160), (17, 130, 240)]


def flat(color: tuple[int, int, int], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a picture of one colour."""
    return np.full((height, width, 3), color, np.uint8)


def resample(frame: VideoFrame, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a camera picture as an encoder gets it."""
    target = np.zeros((height, width, 3), np.uint8)
    Resampler(frame, PictureSize(width, height))(target)
    return target


@pytest.mark.parametrize("size", [(64, 48), (32, 24), (128, 96)])
def test_a_flat_camera_picture_keeps_its_colour_at_every_size(size: tuple[int, int]) -> None:
    errors = []
    for grey in GREYS:
        picture = resample(rgb_to_frame(flat((grey, grey, grey), 64, 48)), *size)
        assert picture.std() == 0
        errors.append(float(picture.mean()) - grey)
    assert abs(np.mean(errors)) < 0.2, "no darker, no lighter on average"
    assert np.abs(errors).max() <= 1
    for color in COLORS:
        picture = resample(rgb_to_frame(flat(color, 64, 48)), *size)
        assert np.abs(picture.astype(int) - color).max() <= 2


def test_a_full_range_camera_picture_keeps_its_colour() -> None:
    frame = VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
    frame.color_range = ColorRange.JPEG
    assert np.abs(resample(frame, 64, 48).astype(int) - 128).max() <= 1


def test_shrinking_averages() -> None:
    rows, columns = np.indices((96, 128))
    checks = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    picture = resample(rgb_to_frame(np.repeat(checks[:, :, None], 3, axis=2)), 32, 24)
    assert abs(float(picture[4:-4, 4:-4].mean()) - 127.5) < 3
    assert picture[4:-4, 4:-4].std() < 4


def test_viewers_see_the_colours_of_the_state() -> None:
    decoder = CodecContext.create("vp8", "r")
    assert isinstance(decoder, VideoCodecContext)
    encoder = Vp8Encoder(2000)
    errors = []
    for index, grey in enumerate(GREYS):
        (packet,) = encoder.encode(flat((grey, grey, grey), 64, 48), index * 3000, key=True)
        (frame,) = decoder.decode(packet)
        errors.append(float(frame_to_rgb(frame, 64, 48).mean()) - grey)
    assert abs(np.mean(errors)) < 0.4
    assert np.abs(errors).max() < 2


def test_viewers_get_another_size_when_the_picture_has_one() -> None:
    encoder = Vp8Encoder(500)
    assert len(encoder.encode(flat((90, 90, 90), 64, 48), 0, key=True)) == 1
    (packet,) = encoder.encode(flat((90, 90, 90), 48, 64), 3000, key=False)
    assert packet.is_keyframe
