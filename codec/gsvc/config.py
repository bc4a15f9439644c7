"""What a gsvc encoder is asked for: quality or a number of splats, effort; and what each effort does."""

from dataclasses import dataclass, replace
from typing import Literal

from codec.config import MAX_PICTURE_PX
from codec.errors import ConfigError

__all__ = ["MAX_GSVC_SPLATS", "GsvcConfig", "GsvcEffort", "GsvcSchedule", "splats_for"]

GsvcEffort = Literal["fast", "default", "slow"]

MAX_GSVC_SPLATS = 60000
_COARSEST_PX, _FINEST_PX = 300.0, 12.0  # pixels a splat at quality 0 and 100


@dataclass(frozen=True)
class GsvcSchedule:
    """How long and how a frame is learned."""

    key_iterations: int
    p_iterations: int
    key_rate: float = 1.0  # times Adam's own steps, at the start of a cosine
    lattice_share: float = 0.3  # of a key frame's iterations that draw what will be coded, as all of a P-frame's do
    lattice_rate: float = 0.1
    p_rate: float = 0.05
    bias: float = 0.2  # of P-frames: a change is coded from 1 - bias of a step on
    # of P-frames: what moving a parameter by a step must promise to save, in the key frame's squared error a splat
    calm: float = 0.0
    key_surplus: float = 0.75  # of the splats: learned in a key frame besides and pruned again
    augmented: float = 0.01  # of the splats: added at random to a P-frame before it is learned, as many pruned
    key_loss_factor: float = 2.0  # a P-frame whose loss is so much above the last frame's becomes a key frame


SCHEDULES: dict[GsvcEffort, GsvcSchedule] = {
    "fast": GsvcSchedule(300, 40),
    "default": GsvcSchedule(1000, 120),
    "slow": GsvcSchedule(5000, 500),
}


@dataclass(frozen=True)
class GsvcConfig:
    """What a gsvc encoder is asked for. Raises ConfigError when a value is out of its range."""

    width_px: int  # 1 .. 4096
    height_px: int  # 1 .. 4096
    quality: float = 50.0  # 0 .. 100, used when splats is None
    splats: int | None = None  # 1 .. 60000
    effort: GsvcEffort = "default"
    threads: int = 2  # 1 .. 64
    seed: int = 0
    rate_aware: bool = False  # learn P-frames with an eye on their bits, which the paper's scheme does not

    def __post_init__(self) -> None:
        """Check every field against its range."""
        if not 0 <= self.quality <= 100:
            raise ConfigError(f"quality must be 0..100, got {self.quality}")
        for name, value, high in (
            ("width_px", self.width_px, MAX_PICTURE_PX),
            ("height_px", self.height_px, MAX_PICTURE_PX),
            ("splats", self.target_splats, MAX_GSVC_SPLATS),
            ("threads", self.threads, 64),
        ):
            if not 1 <= value <= high:
                raise ConfigError(f"{name} must be 1..{high}, got {value}")
        if self.effort not in SCHEDULES:
            raise ConfigError(f"effort must be one of {', '.join(SCHEDULES)}, got {self.effort!r}")

    @property
    def target_splats(self) -> int:
        """Splats that a frame keeps."""
        return splats_for(self.quality, self.width_px, self.height_px) if self.splats is None else self.splats

    @property
    def schedule(self) -> GsvcSchedule:
        """How long and how a frame is learned."""
        schedule = SCHEDULES[self.effort]
        return replace(schedule, p_rate=0.1, bias=0.1, calm=1.0) if self.rate_aware else schedule


def splats_for(quality: float, width_px: int, height_px: int) -> int:
    """Return the number of splats for a quality of 0..100: one for 300 to 12 px, in equal ratios."""
    px_a_splat: float = _COARSEST_PX * (_FINEST_PX / _COARSEST_PX) ** (quality / 100)
    return min(MAX_GSVC_SPLATS, max(1, round(width_px * height_px / px_a_splat)))
