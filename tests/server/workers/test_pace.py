"""Time budget and frame-rate steps of a live encoder."""

import pytest

from server.workers.pace import Pace


def test_the_budget_is_a_share_of_all_cores() -> None:
    assert Pace(2, 2, 30).budget_ms() == pytest.approx(0.6 * 33.3, rel=0.01)
    assert Pace(2, 1, 60).budget_ms() == pytest.approx(0.8 * 16.7, rel=0.01), "never most of the period"


def test_an_encoder_that_uses_one_core_may_take_longer() -> None:
    pace = Pace(2, 2, 30)
    before_ms = pace.budget_ms()
    for index in range(50):
        pace.push_cost(20.0, 1.0, 1, index * 33.0)
    assert before_ms < pace.budget_ms() <= 0.8 * 33.4


def test_a_slow_rate_makes_no_frame_late() -> None:
    assert Pace(8, 1, 10).budget_ms() == Pace.MAX_BUDGET_MS


def test_two_publishers_on_two_cores_get_one_core_each() -> None:
    pace = Pace(2, 2, 30)
    pace.push_cost(10.0, 2.0, 2, 0.0)
    assert pace.fps == 30
    assert pace.budget_ms() == pytest.approx(0.6 * 33.3, rel=0.01)


def test_many_publishers_step_down_at_once() -> None:
    pace = Pace(2, 2, 30)
    pace.push_cost(10.0, 2.0, 5, 0.0)
    assert pace.fps == 20
    assert pace.budget_ms() >= Pace.MIN_BUDGET_MS
    pace.push_cost(10.0, 2.0, 40, 1.0)
    assert pace.fps == 10


def test_frames_that_take_too_long_step_down_and_up_again() -> None:
    pace = Pace(2, 2, 30)
    now_ms = 0.0
    seen = []
    for cost_ms in [40.0] * 100 + [8.0] * 400:
        pace.push_cost(cost_ms, 2.0, 1, now_ms)
        now_ms += max(33.0, cost_ms)
        seen.append(pace.fps)
    assert seen[20] == 30, "not on the first slow frames"
    assert min(seen) == 20
    assert seen[-1] == 30


def test_frames_are_admitted_at_the_present_rate() -> None:
    pace = Pace(2, 2, 20)
    admitted = sum(pace.admit(index * 33.33) for index in range(300))
    assert admitted == pytest.approx(200, abs=2)
    pace = Pace(2, 2, 30)
    assert sum(pace.admit(index * 33.33 + index % 3 * 5) for index in range(100)) >= 99


def test_a_pause_is_not_caught_up_with() -> None:
    pace = Pace(2, 2, 30)
    pace.admit(0.0)
    assert sum(pace.admit(10_000.0 + index) for index in range(30)) <= 3


def test_a_slow_camera_setting_is_the_first_step() -> None:
    assert Pace(2, 2, 24).fps == 24
    assert Pace(2, 2, 12).fps == 12
