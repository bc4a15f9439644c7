"""The calibrator of work units, on a machine of known speed."""

from dataclasses import replace

import numpy as np
import pytest

from codec.engine import PFrameFigures
from codec.work import UNITS_A_MS, FrameClock, WorkCalibrator


def figures_of(
    steps: tuple[int, int, int], prices_ns: tuple[float, float, float], overhead_ms: float, swept: int = 0
) -> PFrameFigures:
    """Return what a frame of so many steps tells on a machine where a step takes so long, and a sweep 20 us."""
    cells, sweeps, births = (count * price / 1e6 for count, price in zip(steps, prices_ns, strict=True))
    swept_ms = 0.02 * swept
    stages = {"cells": cells, "sweeps": sweeps, "births": births, "render": overhead_ms, "growth": swept_ms}
    return PFrameFigures(0, 0, 0, 0, 0.0, stages, steps, (cells, sweeps, births), -1, swept=swept, swept_ms=swept_ms)


def test_time_lost_to_other_processes_is_given_back_up_to_as_much_again() -> None:
    clock = FrameClock(100.0, 7.0, 0.030)
    assert clock.left_s(100.010, 7.010) == pytest.approx(0.020)
    assert clock.left_s(100.010, 7.018) == pytest.approx(0.020), "with two threads at work nothing is lost"
    assert clock.left_s(100.014, 7.010) == pytest.approx(0.020), "four milliseconds were others'"
    assert clock.left_s(100.080, 7.005) == pytest.approx(-0.010), "twice the budget is over"
    for wall_s in np.linspace(0, 0.1, 50):
        left_s = clock.left_s(100 + wall_s, 7 + 0.3 * wall_s)
        assert wall_s + 2 * left_s <= 0.060 + 1e-9, "nor does the engine take longer, whatever it loses"


def test_a_frame_that_others_disturbed_says_less_about_prices() -> None:
    quiet, disturbed = WorkCalibrator(2), WorkCalibrator(2)
    usual = figures_of((1_000_000, 1_000_000, 1_000_000), (1.0, 1.0, 1.0), 1.0)
    slow = figures_of((1_000_000, 1_000_000, 1_000_000), (2.0, 2.0, 2.0), 1.0)
    for _ in range(60):
        quiet.note(usual)
        disturbed.note(usual)
    before = quiet.work_for(20.0).prices[0]
    quiet.note(slow)
    disturbed.note(replace(slow, lost_ms=3.0))
    assert quiet.work_for(20.0).prices[0] == pytest.approx((1 + WorkCalibrator.UP) * before, rel=0.01)
    assert disturbed.work_for(20.0).prices[0] == pytest.approx((1 + WorkCalibrator.UP_LOST) * before, rel=0.01)
    for _ in range(60):
        disturbed.note(replace(slow, lost_ms=3.0))
    assert disturbed.work_for(20.0).prices[0] == pytest.approx(2 * before, rel=0.05), "what lasts is believed"


def test_units_follow_the_machine() -> None:
    calibrator, rng = WorkCalibrator(2), np.random.default_rng(1)
    for _ in range(60):
        steps = tuple(int(count) for count in rng.integers(50_000, 5_000_000, 3))
        noise = rng.uniform(0.9, 1.1)
        calibrator.note(figures_of((steps[0], steps[1], steps[2]), (0.6 * noise, 1.5 * noise, 3.0 * noise), 2.0, 300))
    work = calibrator.work_for(20.0)
    assert np.array(work.prices) / 1000 == pytest.approx([0.6, 1.5, 3.0, 20_000], rel=0.1)
    assert work.units / UNITS_A_MS == pytest.approx(calibrator.SHARE * 20 - 2, rel=0.03)
    assert work.cut == -1


def test_a_slow_machine_is_believed_sooner_than_a_fast_one() -> None:
    steps = (1_000_000, 1_000_000, 1_000_000)
    prices = []
    for speed in (1.6, 1 / 1.6):
        calibrator = WorkCalibrator(2)
        before = calibrator.work_for(10.0).prices[0]
        calibrator.note(figures_of(steps, (speed * before / 1000,) * 3, 1.0))
        prices.append(abs(calibrator.work_for(10.0).prices[0] - before) / before)
    assert prices[0] > 2 * prices[1]


def test_a_stall_of_one_frame_does_not_starve_the_next() -> None:
    calibrator = WorkCalibrator(2)
    before = calibrator.work_for(10.0).prices
    calibrator.note(figures_of((1_000_000,) * 3, (500.0,) * 3, 300.0))
    after = calibrator.work_for(10.0)
    assert max(after.prices) < 1.5 * max(before)
    assert after.units > 0.7 * 0.9 * 10 * UNITS_A_MS


def test_hardly_any_work_says_nothing_about_its_price() -> None:
    calibrator = WorkCalibrator(2)
    before = calibrator.work_for(10.0).prices
    calibrator.note(figures_of((10, 0, 19_000), (900.0,) * 3, 1.0, 20))
    assert calibrator.work_for(10.0).prices == before


def test_every_frame_gets_some_work() -> None:
    assert WorkCalibrator(1).work_for(0.0).units > 0
