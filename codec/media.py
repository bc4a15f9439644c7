"""Clips in, pictures and clips out, through PyAV: RGB frames of one size, y4m, mp4 and png writers."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from codec.errors import MediaError

__all__ = [
    "Clip",
    "Mp4Writer",
    "PictureWriter",
    "PngWriter",
    "RgbPicture",
    "Y4mWriter",
    "frame_to_rgb",
    "luma",
    "open_clip",
    "open_writer",
    "rgb_to_frame",
    "rgb_to_ycbcr_limited",
]

RgbPicture = npt.NDArray[np.uint8]  # [height, width, 3]

# swscale's default rounding darkens luma by 1/255 on average (measured: 47 dB back to luma, 64 dB with these flags)
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_MAX_FPS_TERM = 65535
_FALLBACK_FPS = Fraction(25)

# ITU-R BT.601-7 section 2.5, for R, G, B of 0..255 and limited-range results
_YCBCR_601 = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32
) / np.float32(255)
_YCBCR_OFFSET = np.array([16, 128, 128], np.float32)


class Clip:
    """A video file as RGB pictures of one size, in order; iterate once, then close.

    The first picture is decoded when the clip is opened, so whatever is no video is refused before any work.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None, frames: int | None) -> None:
        """Open a clip; `size` is (width, height) in px to scale to exactly, `frames` the most to give.

        Raises MediaError when the file is no video, holds no picture, or cannot be read.
        """
        if frames is not None and frames < 1:
            raise MediaError(f"the number of frames must be at least 1, got {frames}")
        self._path = path
        self._container = _open_input(path)
        try:
            self._decoded = self._decode_frames()
            first = next(self._decoded, None)
            if first is None:
                raise MediaError(f"{path}: expected a clip with at least one picture, it holds none")
            self.width_px, self.height_px = size or _upright_size(first)
            stream = self._container.streams.video[0]
            self.fps = _bounded_fps(stream.guessed_rate or stream.average_rate)
            known = stream.frames or None
        except BaseException:
            self._container.close()
            raise
        self._first = first
        self._limit = frames
        # how many pictures will come, for progress bars; None where the container does not say
        self.expected_frames = min((n for n in (known, frames) if n), default=None)

    def __iter__(self) -> Iterator[RgbPicture]:
        """Give each picture as uint8 [height, width, 3]."""
        for index, frame in enumerate(chain((self._first,), self._decoded)):
            if index == self._limit:
                return
            yield frame_to_rgb(frame, self.width_px, self.height_px)

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def __enter__(self) -> Self:
        """Return the clip itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the clip."""
        self.close()

    def _decode_frames(self) -> Iterator[VideoFrame]:
        count = 0
        try:
            for frame in self._container.decode(video=0):
                yield frame
                count += 1
        except av.error.FFmpegError as error:
            raise MediaError(f"{self._path}: picture {count} cannot be decoded: {error.strerror}") from error


def open_clip(path: str | Path, size: tuple[int, int] | None = None, frames: int | None = None) -> Clip:
    """Open a clip, scaled to exactly `size` (width, height) px where given, at most `frames` pictures.

    Raises MediaError when the file is no video, holds no picture, or cannot be read.
    """
    return Clip(Path(path), size, frames)


def frame_to_rgb(frame: VideoFrame, width_px: int, height_px: int) -> RgbPicture:
    """Convert a decoded picture to upright RGB of exactly the given size, uint8 [height, width, 3]."""
    turned = frame.rotation % 180 == 90
    width, height = (height_px, width_px) if turned else (width_px, height_px)
    scaled = frame.reformat(
        width, height, format="rgb24", dst_color_range=ColorRange.JPEG, interpolation=int(_SCALING), threads=1
    )
    picture = np.asarray(scaled.to_ndarray(), np.uint8)
    if frame.rotation:
        picture = np.ascontiguousarray(np.rot90(picture, frame.rotation // 90))
    return picture


def rgb_to_frame(rgb: RgbPicture, pixel_format: str = "yuv420p") -> VideoFrame:
    """Convert RGB, uint8 [height, width, 3], to a BT.601 limited-range picture of a YCbCr pixel format."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(_checked(rgb)), format="rgb24")
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        interpolation=int(_SCALING),
        threads=1,
    )


def rgb_to_ycbcr_limited(rgb: RgbPicture) -> RgbPicture:
    """Convert RGB, uint8 [height, width, 3], to planes Y, Cb, Cr, uint8 [3, height, width], BT.601 limited range."""
    planes = np.einsum("ij,hwj->ihw", _YCBCR_601, _checked(rgb).astype(np.float32), optimize=True)
    planes += _YCBCR_OFFSET[:, None, None]
    return np.asarray(np.rint(planes).clip(0, 255), np.uint8)


def luma(rgb: RgbPicture) -> npt.NDArray[np.float32]:
    """Return full-range BT.601 luma 0..255 of RGB, float32 [height, width]: what quality is measured on."""
    return np.asarray(rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


class PictureWriter(Protocol):
    """Where decoded pictures go, one after another."""

    def write(self, rgb: RgbPicture) -> None:
        """Add one picture, uint8 [height, width, 3]."""

    def close(self) -> None:
        """Finish the file."""


class Y4mWriter:
    """Uncompressed 4:4:4 YCbCr of 8 bits, BT.601 limited range."""

    def __init__(self, path: Path, fps: Fraction) -> None:
        """Create the file; its header waits for the first picture's size."""
        self._file: BinaryIO = path.open("wb")
        self._fps = fps
        self._size: tuple[int, int] | None = None

    def write(self, rgb: RgbPicture) -> None:
        """Add one picture, uint8 [height, width, 3]; all must have one size."""
        height, width = rgb.shape[:2]
        if self._size is None:
            self._size = (width, height)
            rate = f"F{self._fps.numerator}:{self._fps.denominator}"
            self._file.write(f"YUV4MPEG2 W{width} H{height} {rate} Ip A1:1 C444 XCOLORRANGE=LIMITED\n".encode())
        elif self._size != (width, height):
            raise MediaError(f"y4m: expected pictures of {self._size[0]}x{self._size[1]}, got {width}x{height}")
        self._file.write(b"FRAME\n" + rgb_to_ycbcr_limited(rgb).tobytes())

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Mp4Writer:
    """H.264 in mp4, visually lossless; odd sizes as 4:4:4, since 4:2:0 needs even ones."""

    def __init__(self, path: Path, fps: Fraction) -> None:
        """Create the file; the encoder waits for the first picture's size."""
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "medium"})
        self._started = False

    def write(self, rgb: RgbPicture) -> None:
        """Add one picture, uint8 [height, width, 3]; all must have one size."""
        height, width = rgb.shape[:2]
        if not self._started:
            self._started = True
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        elif (self._stream.width, self._stream.height) != (width, height):
            expected = f"{self._stream.width}x{self._stream.height}"
            raise MediaError(f"mp4: expected pictures of {expected}, got {width}x{height}")
        self._container.mux(self._stream.encode(rgb_to_frame(rgb, self._stream.pix_fmt or "yuv420p")))

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        if self._started:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class PngWriter:
    """One picture, lossless."""

    def __init__(self, path: Path) -> None:
        """Remember where the picture goes."""
        self._path = path
        self._written = False

    def write(self, rgb: RgbPicture) -> None:
        """Write the picture, uint8 [height, width, 3]; there may be only one."""
        if self._written:
            raise MediaError("png: takes one picture, got a second")
        self._written = True
        height, width = _checked(rgb).shape[:2]
        encoder = av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
        encoder.time_base = Fraction(1, 25)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        self._path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))

    def close(self) -> None:
        """Do nothing: the picture is written already."""


def open_writer(path: str | Path, fps: Fraction, suffix: str | None = None) -> PictureWriter:
    """Create a writer by the name's ending (y4m, mp4 or png), or by `suffix` where the name has another.

    Raises MediaError for other endings and for places that cannot be written.
    """
    path = Path(path)
    ending = (suffix or path.suffix).lower()
    try:
        match ending:
            case ".y4m":
                return Y4mWriter(path, fps)
            case ".mp4":
                return Mp4Writer(path, fps)
            case ".png":
                return PngWriter(path)
    except OSError as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from error
    raise MediaError(f"{path}: expected a name that ends in .y4m, .mp4 or .png, got '{ending}'")


def _open_input(path: Path) -> InputContainer:
    try:
        container = av.open(str(path), "r")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path}: expected a video clip, cannot open it: {reason}") from error
    if not container.streams.video:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise MediaError(f"{path}: expected a video clip, it holds no video stream (it holds: {held})")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _upright_size(frame: VideoFrame) -> tuple[int, int]:
    turned = frame.rotation % 180 == 90
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def _bounded_fps(rate: Fraction | None) -> Fraction:
    """Return a rate whose terms fit 16 bits, 25 where the clip has none."""
    if rate is None or rate <= 0 or rate > _MAX_FPS_TERM:
        return _FALLBACK_FPS
    largest_denominator = min(_MAX_FPS_TERM, int(_MAX_FPS_TERM / rate))
    return Fraction(rate).limit_denominator(largest_denominator)


def _checked(rgb: RgbPicture) -> RgbPicture:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise MediaError(f"expected a picture uint8 [height, width, 3], got {rgb.dtype} {list(rgb.shape)}")
    return rgb
