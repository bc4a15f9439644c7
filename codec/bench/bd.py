"""Bjontegaard rates over a whole range of quality: how much more one codec spends than another for the same picture.

Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001; the curves between the
points are the package `bjontegaard`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from codec.errors import MediaError

__all__ = ["BdRate", "Curve", "bd_rate", "curve_of", "rate_at"]

_METHOD = "pchip"  # monotone between points, as rate over quality is
_LEAST_POINTS = 2


@dataclass(frozen=True)
class Curve:
    """Rate over quality; both rise from point to point."""

    quality: tuple[float, ...]
    kbps: tuple[float, ...]

    @property
    def span(self) -> tuple[float, float]:
        """Return the lowest and the highest quality; an empty range where there are no points."""
        return (self.quality[0], self.quality[-1]) if self.quality else (float("inf"), float("-inf"))

    def spans(self, low: float, high: float) -> bool:
        """Return whether the curve covers low to high."""
        return len(self.quality) >= _LEAST_POINTS and self.span[0] <= low < high <= self.span[1]


@dataclass(frozen=True)
class BdRate:
    """A Bjontegaard rate, or why there is none."""

    percent: float | None  # rate of the tested codec over the anchor's at equal quality, -50 for half
    low: float
    high: float
    note: str = ""


def curve_of(points: Iterable[tuple[float, float]]) -> Curve:
    """Make a curve of (kbit/s, quality); points that spend more than another for no more quality are dropped."""
    best: list[tuple[float, float]] = []
    for kbps, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or quality > best[-1][1] + 1e-9:
            if best and kbps == best[-1][0]:
                continue
            best.append((kbps, quality))
    return Curve(tuple(quality for _, quality in best), tuple(kbps for kbps, _ in best))


def bd_rate(anchor: Curve, test: Curve, low: float, high: float) -> BdRate:
    """Compare two curves over low to high, all of it; a curve that does not cover it is named in the note.

    Raises MediaError where the package `bjontegaard` is missing.
    """
    short = [
        f"{who} spans {curve.span[0]:.2f} to {curve.span[1]:.2f}" if curve.quality else f"{who} has no points"
        for who, curve in (("the anchor", anchor), ("the tested codec", test))
        if not curve.spans(low, high)
    ]
    if short:
        return BdRate(None, low, high, "; ".join(short))
    try:
        import bjontegaard
    except ImportError as error:
        raise MediaError("bench rd needs more packages: pip install 'splatcall[bench]'") from error
    _, of_anchor, of_test = bjontegaard.bd_rate(
        anchor.kbps,
        anchor.quality,
        test.kbps,
        test.quality,
        method=_METHOD,
        require_matching_points=False,
        interpolators=True,
        min_overlap=0,
    )
    # the package integrates where the curves overlap; its interpolators (log10 of rate over quality) take any range
    excess = (of_test.integrate(low, high) - of_anchor.integrate(low, high)) / (high - low)
    return BdRate(float((10**excess - 1) * 100), low, high)


def rate_at(curve: Curve, quality: float) -> float | None:
    """Return the kbit/s that a curve needs for a quality, None outside of its span; linear in the log of rate."""
    if not curve.quality or not curve.span[0] <= quality <= curve.span[1]:
        return None
    return float(np.exp(np.interp(quality, curve.quality, np.log(curve.kbps))))
