"""Bjontegaard rates: known answers, whole ranges, and curves that do not span."""

import bjontegaard
import pytest

from codec.bench.bd import Curve, bd_rate, curve_of, rate_at

QUALITY = (31.0, 33.5, 35.0, 37.5, 39.0, 41.5)
KBPS = (20.0, 31.0, 45.0, 80.0, 130.0, 300.0)
CURVE = Curve(QUALITY, KBPS)


def scaled(factor: float) -> Curve:
    return Curve(QUALITY, tuple(rate * factor for rate in KBPS))


@pytest.mark.parametrize(("factor", "percent"), [(1.0, 0.0), (2.0, 100.0), (0.5, -50.0)])
def test_of_scaled_curves(factor: float, percent: float) -> None:
    rate = bd_rate(CURVE, scaled(factor), 33, 38)
    assert rate.percent == pytest.approx(percent, abs=1e-9)
    assert (rate.low, rate.high, rate.note) == (33, 38, "")


def test_agrees_with_the_package_where_the_range_is_the_overlap() -> None:
    other = Curve((30.0, 34.0, 36.0, 41.0), (15.0, 33.0, 60.0, 210.0))
    expected = bjontegaard.bd_rate(
        KBPS, QUALITY, other.kbps, other.quality, method="pchip", require_matching_points=False, min_overlap=0
    )
    assert bd_rate(CURVE, other, 31, 41).percent == pytest.approx(expected, abs=1e-9)


def test_integrates_the_range_alone() -> None:
    quality = tuple(float(db) for db in range(30, 45))
    same = tuple(10 * 1.3**step for step in range(15))
    dearer_from_38 = tuple(rate * (2 if db >= 38 else 1) for db, rate in zip(quality, same, strict=True))
    anchor, test = Curve(quality, same), Curve(quality, dearer_from_38)
    assert bd_rate(anchor, test, 30, 36).percent == pytest.approx(0, abs=1e-9)
    assert bd_rate(anchor, test, 39, 44).percent == pytest.approx(100, abs=1e-9)


@pytest.mark.parametrize(
    ("anchor", "test", "said"),
    [
        (CURVE, Curve((34.0, 42.0), (50.0, 90.0)), "the tested codec spans 34.00 to 42.00"),
        (Curve((30.0, 37.9), (50.0, 90.0)), CURVE, "the anchor spans 30.00 to 37.90"),
        (Curve((), ()), CURVE, "the anchor has no points"),
    ],
)
def test_says_which_curve_does_not_span(anchor: Curve, test: Curve, said: str) -> None:
    rate = bd_rate(anchor, test, 33, 38)
    assert rate.percent is None
    assert rate.note == said


def test_no_curve_spans_an_unknown_range() -> None:
    assert bd_rate(CURVE, CURVE, float("nan"), float("nan")).percent is None


def test_a_curve_rises() -> None:
    curve = curve_of([(40, 36.0), (20, 33.0), (30, 32.5), (20, 32.0), (60, 36.0)])
    assert curve == Curve((33.0, 36.0), (20, 40))


def test_rate_at_a_quality() -> None:
    curve = Curve((30.0, 40.0), (10.0, 1000.0))
    assert rate_at(curve, 35) == pytest.approx(100)
    assert rate_at(curve, 41) is None
