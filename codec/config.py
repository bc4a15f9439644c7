"""Configuration of an encoder: one frozen dataclass, each field with its unit and range."""

from dataclasses import dataclass
from typing import Literal

from codec.errors import ConfigError

__all__ = ["MAX_PICTURE_PX", "MAX_SPLATS", "Effort", "EncoderConfig"]

Effort = Literal["best", "live"]

MAX_PICTURE_PX = 4096
MAX_SPLATS = 16000


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is asked for.

    Raises ConfigError when a value is outside of its range.
    """

    width_px: int  # 1 .. 4096
    height_px: int  # 1 .. 4096
    fps: tuple[int, int] = (30, 1)  # frames per second as a fraction, both 1 .. 65535
    quality: float = 50.0  # 0 .. 100, used when bitrate_kbps is None
    bitrate_kbps: float | None = None  # kbit/s of the whole stream, > 0
    max_splats: int = MAX_SPLATS  # 1 .. 16000
    effort: Effort = "best"
    latency_ms: float = 30.0  # wall time of a live frame, > 0; up to twice as much where others take the cores
    importance: bool = True
    delay_frames: int = 0  # 0 or 1 pictures held back, so that one frame may stand for two (see codec/midpoint.py)
    threads: int = 2  # 1 .. 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field against its range."""
        for name in ("width_px", "height_px"):
            _check_range(name, getattr(self, name), 1, MAX_PICTURE_PX)
        for name, value in zip(("fps numerator", "fps denominator"), self.fps, strict=True):
            _check_range(name, value, 1, 65535)
        _check_range("quality", self.quality, 0, 100)
        if self.bitrate_kbps is not None and not 0 < self.bitrate_kbps < 1e6:
            raise ConfigError(f"bitrate_kbps must be above 0 and below 1000000, got {self.bitrate_kbps}")
        _check_range("max_splats", self.max_splats, 1, MAX_SPLATS)
        if self.effort not in ("best", "live"):
            raise ConfigError(f"effort must be 'best' or 'live', got {self.effort!r}")
        if not 0 < self.latency_ms <= 60000:
            raise ConfigError(f"latency_ms must be above 0 and at most 60000, got {self.latency_ms}")
        _check_range("delay_frames", self.delay_frames, 0, 1)
        _check_range("threads", self.threads, 1, 64)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError unless low <= value <= high."""
    if not low <= value <= high:
        raise ConfigError(f"{name} must be {low}..{high}, got {value}")
