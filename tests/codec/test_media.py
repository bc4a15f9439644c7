"""Clips: sizes, colours, what is refused, and writers whose files are read back."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from codec.errors import MediaError
from codec.media import (
    RgbPicture,
    frame_to_rgb,
    luma,
    open_clip,
    open_writer,
    rgb_to_frame,
    rgb_to_ycbcr_limited,
)


def smooth_picture(width: int, height: int, shift: float = 0.0) -> RgbPicture:
    """Return a picture whose chroma survives 4:2:0, uint8 [height, width, 3]."""
    x = np.linspace(0, 2, width)[None, :] + shift
    y = np.linspace(0, 2, height)[:, None]
    planes = [127 + 90 * np.sin(x + 2 * y), 127 + 60 * np.cos(2 * x - y), 127 + 70 * np.sin(x * y + 1)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def write_clip(path: Path, width: int, height: int, frames: int, fps: Fraction = Fraction(25)) -> list[RgbPicture]:
    """Write a clip and return its pictures."""
    pictures = [smooth_picture(width, height, 0.1 * index) for index in range(frames)]
    writer = open_writer(path, fps)
    for picture in pictures:
        writer.write(picture)
    writer.close()
    return pictures


def psnr_db(a: RgbPicture, b: RgbPicture) -> float:
    """Return luma PSNR."""
    return float(10 * np.log10(255**2 / max(float(np.mean((luma(a) - luma(b)) ** 2)), 1e-9)))


@pytest.mark.parametrize(("name", "least_db"), [("clip.mp4", 40.0), ("clip.y4m", 48.0)])
def test_written_clip_reads_back(tmp_path: Path, name: str, least_db: float) -> None:
    pictures = write_clip(tmp_path / name, 64, 48, 5, Fraction(30000, 1001))
    with open_clip(tmp_path / name) as clip:
        assert (clip.width_px, clip.height_px, clip.fps) == (64, 48, Fraction(30000, 1001))
        read = list(clip)
    assert len(read) == 5
    assert min(psnr_db(a, b) for a, b in zip(pictures, read, strict=True)) > least_db


def test_luma_comes_back_without_bias(tmp_path: Path) -> None:
    (picture,) = write_clip(tmp_path / "clip.y4m", 160, 120, 1)
    with open_clip(tmp_path / "clip.y4m") as clip:
        (read,) = clip
    assert abs(float(np.mean(luma(read) - luma(picture)))) < 0.2


def test_scales_to_exactly_the_size(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 64, 48, 3)
    with open_clip(tmp_path / "clip.mp4", size=(37, 91), frames=2) as clip:
        assert clip.expected_frames == 2
        assert [picture.shape for picture in clip] == [(91, 37, 3)] * 2


def test_raw_h264_is_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 64, 48, 4)
    with av.open(str(tmp_path / "clip.mp4")) as source, av.open(str(tmp_path / "clip.264"), "w", format="h264") as raw:
        stream = raw.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                raw.mux(packet)
    with open_clip(tmp_path / "clip.264") as clip:
        assert len(list(clip)) == 4
        assert clip.fps > 0


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 16), (16, 17)])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.y4m"])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    write_clip(tmp_path / name, *size, 2)
    with open_clip(tmp_path / name) as clip:
        assert (clip.width_px, clip.height_px) == size
        assert len(list(clip)) == 2


def test_png_is_lossless(tmp_path: Path) -> None:
    (picture,) = write_clip(tmp_path / "one.png", 33, 21, 1)
    with open_clip(tmp_path / "one.png") as clip:
        assert np.array_equal(next(iter(clip)), picture)


def test_png_takes_one_picture(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="takes one picture"):
        write_clip(tmp_path / "one.png", 8, 8, 2)


def test_ycbcr_limited_range_of_known_colours() -> None:
    rgb = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]]], np.uint8)
    expected = [[16, 128, 128], [235, 128, 128], [81, 90, 240], [41, 240, 110]]
    assert rgb_to_ycbcr_limited(rgb)[:, 0].T.tolist() == expected


def test_frame_round_trip_keeps_grey() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    back = frame_to_rgb(rgb_to_frame(grey, "yuv444p"), 16, 16)
    assert int(np.abs(back.astype(int) - grey).max()) <= 1


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none\.mp4: expected a video clip, cannot open it: No such file"):
        open_clip(tmp_path / "none.mp4")


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 100, bytes(range(256)) * 40])
def test_bytes_that_are_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="expected a"):
        open_clip(tmp_path / "clip.mp4")


def test_sound_without_pictures(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(MediaError, match=r"holds no video stream \(it holds: audio\)"):
        open_clip(tmp_path / "sound.wav")


def test_clip_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.y4m").write_bytes(b"YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C444\n")
    with pytest.raises(MediaError, match="expected a clip with at least one picture"):
        open_clip(tmp_path / "empty.y4m")


def test_zero_frames_asked_for(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.y4m", 16, 16, 1)
    with pytest.raises(MediaError, match="at least 1, got 0"):
        open_clip(tmp_path / "clip.y4m", frames=0)


def test_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "clip.y4m", Fraction(25))
    writer.write(smooth_picture(16, 16))
    with pytest.raises(MediaError, match="expected pictures of 16x16, got 8x16"):
        writer.write(smooth_picture(8, 16))
    writer.close()


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.y4m, \.mp4 or \.png, got '\.avi'"):
        open_writer(tmp_path / "clip.avi", Fraction(25))
