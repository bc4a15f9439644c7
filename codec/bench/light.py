"""`splatcall bench light`: what a change of light and sensor noise cost in rate at equal quality, beside AV1 preset 10.

Each clip is coded as it is and with a change put on its pictures. A ramp of exposure goes from below to above the
clip's own light and, another time, back, so that the contrast it lends the picture cancels in the mean of both. Quality
is against the pictures that were coded; with noise it is against those without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from codec.bench.bd import BdRate, Curve, bd_rate, curve_of
from codec.bench.figures import mean_luma_psnr_db, rate_kbps
from codec.bench.libav_peers import LIBAV_PEERS
from codec.bench.peers import Peer
from codec.bench.rd_clips import find_clips, load_clip
from codec.bench.splat_peer import SplatPeer
from codec.config import Effort
from codec.media import RgbPicture

__all__ = ["CHANGES", "Cost", "LightOptions", "exposure_ramp", "measure_light", "sensor_noise", "white_balance_drift"]

_RAMP = 1.25  # of exposure, from its first picture to its last
_RAMP_S = 2.0
_DRIFT = 0.06  # of red against blue, both ways
_NOISE_DB = 30.0
_OURS = (20.0, 35.0, 50.0, 65.0, 80.0)
_OTHERS = (58.0, 51.0, 44.0, 37.0, 30.0)
_PLAIN = "plain"

Pictures = list[RgbPicture]


@dataclass(frozen=True)
class LightOptions:
    """What `measure_light` is asked for."""

    clips: Path  # a folder, or one clip
    frames: int = 75
    size: tuple[int, int] | None = (480, 360)  # to fit inside; None: each clip's own
    qualities: tuple[float, ...] = _OURS
    effort: Effort = "best"
    threads: int = 2
    peers: bool = True  # AV1 preset 10 too


@dataclass(frozen=True)
class Cost:
    """What one change costs one codec on one clip."""

    clip: str
    codec: str
    change: str
    rate: BdRate  # of the changed clip over the plain one's
    points: tuple[tuple[float, float, float], ...]  # quality setting, kbit/s, luma dB of the changed clip


def exposure_ramp(pictures: Sequence[RgbPicture], fps: Fraction, first: float, last: float) -> Pictures:
    """Return pictures whose light goes from `first` to `last` times their own over two seconds, and stays there."""
    frames = max(1, round(_RAMP_S * fps))
    gains = [first + (last - first) * min(index, frames) / frames for index in range(len(pictures))]
    return [_times(picture, (gain, gain, gain)) for picture, gain in zip(pictures, gains, strict=True)]


def white_balance_drift(pictures: Sequence[RgbPicture], fps: Fraction, most: float = _DRIFT) -> Pictures:
    """Return pictures that grow warmer over two seconds: red by a share of `most`, blue down by it."""
    frames = max(1, round(_RAMP_S * fps))
    shares = [most * min(index, frames) / frames for index in range(len(pictures))]
    return [_times(picture, (1 + share, 1.0, 1 - share)) for picture, share in zip(pictures, shares, strict=True)]


def sensor_noise(pictures: Sequence[RgbPicture], noise_db: float = _NOISE_DB, seed: int = 1) -> Pictures:
    """Return pictures with white Gaussian noise in each of R, G, B, new in every picture: PSNR `noise_db`."""
    rng = np.random.default_rng(seed)
    sigma = 255 / 10 ** (noise_db / 20)
    return [_rounded(picture + rng.normal(0, sigma, picture.shape)) for picture in pictures]


def _times(picture: RgbPicture, gains: tuple[float, float, float]) -> RgbPicture:
    return _rounded(picture * np.array(gains))


def _rounded(picture: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> RgbPicture:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


# by name: from pictures and rate to what is coded
CHANGES: dict[str, Callable[[Sequence[RgbPicture], Fraction], Pictures]] = {
    "exposure up": lambda pictures, fps: exposure_ramp(pictures, fps, _RAMP**-0.5, _RAMP**0.5),
    "exposure down": lambda pictures, fps: exposure_ramp(pictures, fps, _RAMP**0.5, _RAMP**-0.5),
    "white balance": white_balance_drift,
    "noise": lambda pictures, fps: sensor_noise(pictures),
}


def measure_light(options: LightOptions, report: Callable[[str], None]) -> list[Cost]:
    """Measure every clip. Raises MediaError for what is no clip."""
    ours = SplatPeer(
        effort=options.effort, importance=False, threads=options.threads, qualities=options.qualities, extend=False
    )
    coders: list[tuple[Peer, tuple[float, ...]]] = [(ours, options.qualities)]
    if options.peers:
        coders += [(peer, _OTHERS) for peer in LIBAV_PEERS["av1"] if peer.name == "av1-10"]
    costs = []
    for path in find_clips(options.clips):
        clip = load_clip(path, options.size, options.frames)
        changed = {name: change(clip.pictures, clip.fps) for name, change in CHANGES.items()}
        for peer, qualities in coders:
            report(f"{clip.name} {clip.size[0]}x{clip.size[1]}: {peer.name}")
            plain = _points(peer, qualities, clip.pictures, clip.pictures, clip.fps)
            for name, pictures in changed.items():
                shown = clip.pictures if name == "noise" else pictures
                points = _points(peer, qualities, pictures, shown, clip.fps)
                cost = Cost(clip.name, peer.name, name, _excess(plain, points), points)
                report(f"  {name}: {cost.rate.note or f'{cost.rate.percent:+.1f}%'}")
                costs.append(cost)
            costs.append(Cost(clip.name, peer.name, _PLAIN, BdRate(0.0, *_curve(plain).span), plain))
    return costs


Points = tuple[tuple[float, float, float], ...]


def _points(
    peer: Peer, qualities: Sequence[float], coded: Sequence[RgbPicture], wanted: Sequence[RgbPicture], fps: Fraction
) -> Points:
    """Return quality, kbit/s and luma dB against the pictures wanted."""
    points = []
    for quality in qualities:
        result = peer.encode(coded, fps, quality)
        kbps = rate_kbps(sum(result.sizes_bytes), len(coded), fps)
        points.append((quality, kbps, mean_luma_psnr_db(result.pictures, wanted)))
    return tuple(points)


def _curve(points: Points) -> Curve:
    return curve_of((kbps, quality_db) for _, kbps, quality_db in points)


def _excess(plain: Points, changed: Points) -> BdRate:
    """Return the Bjontegaard rate over all dB that both curves have."""
    one, other = _curve(plain), _curve(changed)
    low, high = max(one.span[0], other.span[0]), min(one.span[1], other.span[1])
    if low >= high:
        return BdRate(None, low, high, "the curves share no quality")
    return bd_rate(one, other, low, high)
