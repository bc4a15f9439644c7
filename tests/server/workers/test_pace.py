"""Time budget and frame-rate steps of a live encoder."""

import pytest

from server.workers.pace import FrameCost, Pace


def cost(wall_ms: float, cores_used: float = 2.0, left_out: float = 0.0) -> FrameCost:
    """Return the cost of a frame whose encoder worked all the time."""
    return FrameCost(wall_ms, wall_ms, wall_ms * cores_used, left_out)


class Machine:
    """A publisher's encoder on a machine that leaves it so many cores, in simulated time."""

    def __init__(self, work_cpu_ms: float) -> None:
        self.pace = Pace(2, 2, 30)
        self.work_cpu_ms = work_cpu_ms  # until a frame is finished
        self.now_ms = 0.0

    def run(self, cores: float, seconds: float, publishers: int = 1) -> list[FrameCost]:
        """Encode for a while and return the frames."""
        costs = []
        end_ms = self.now_ms + 1000 * seconds
        while self.now_ms < end_ms:
            budget_ms = self.pace.budget_ms()
            wall_ms = min(budget_ms, self.work_cpu_ms / cores)
            left_out = max(0.0, 1 - wall_ms * cores / self.work_cpu_ms)
            costs.append(FrameCost(wall_ms + 1, wall_ms, wall_ms * cores, left_out))
            self.pace.push_cost(costs[-1], publishers, self.now_ms)
            self.now_ms += max(wall_ms, 1000 / self.pace.fps)
        return costs


def test_the_budget_is_a_share_of_all_cores() -> None:
    assert Pace(2, 2, 30).budget_ms() == pytest.approx(0.6 * 33.3, rel=0.01)
    assert Pace(2, 1, 60).budget_ms() == pytest.approx(0.8 * 16.7, rel=0.01), "never most of the period"


def test_an_encoder_that_uses_one_core_may_take_longer() -> None:
    pace = Pace(2, 2, 30)
    before_ms = pace.budget_ms()
    for index in range(50):
        pace.push_cost(cost(20.0, 1.0), 1, index * 33.0)
    assert before_ms < pace.budget_ms() <= 0.8 * 33.4


def test_a_slow_rate_makes_no_frame_late() -> None:
    assert Pace(8, 1, 10).budget_ms() == pytest.approx(80.0)


def test_two_publishers_on_two_cores_get_one_core_each_at_half_rate_with_midpoints() -> None:
    pace = Pace(2, 2, 30)
    pace.push_cost(cost(10.0), 2, 0.0)
    assert (pace.fps, pace.midpoints) == (15, True)
    assert pace.budget_ms() == pytest.approx(0.6 * 66.7, rel=0.01)
    for index in range(300):
        pace.push_cost(cost(10.0), 1, 33.0 * index)
    assert (pace.fps, pace.midpoints) == (30, False), "alone again"


def test_four_cores_are_enough_for_two_publishers_at_full_rate() -> None:
    pace = Pace(4, 2, 30)
    pace.push_cost(cost(10.0), 2, 0.0)
    assert (pace.fps, pace.midpoints) == (30, False)


@pytest.mark.parametrize(("max_fps", "fps"), [(60, 30), (30, 15), (25, 12), (20, 10), (12, 10), (10, 10)])
def test_there_is_no_step_between_full_and_half_rate_where_there_is_a_half(max_fps: int, fps: int) -> None:
    pace = Pace(2, 2, max_fps)
    for index in range(70):
        pace.push_cost(cost(1001 / max_fps), 1, 33.0 * index)
    assert pace.fps == fps
    assert pace.midpoints == (2 * fps <= max_fps)


def test_many_publishers_step_down_at_once() -> None:
    pace = Pace(2, 2, 30)
    pace.push_cost(cost(10.0), 5, 0.0)
    assert pace.fps == 15
    assert pace.budget_ms() >= Pace.MIN_BUDGET_MS
    pace.push_cost(cost(10.0), 40, 1.0)
    assert pace.fps == 10


def test_frames_that_take_too_long_step_down_and_up_again() -> None:
    pace = Pace(2, 2, 30)
    now_ms = 0.0
    seen = []
    for cost_ms in [40.0] * 100 + [8.0] * 400:
        pace.push_cost(cost(cost_ms), 1, now_ms)
        now_ms += max(33.0, cost_ms)
        seen.append(pace.fps)
    assert seen[20] == 30, "not on the first slow frames"
    assert min(seen) == 15
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


def test_an_idle_machine_keeps_the_full_rate_even_if_frames_stay_unfinished() -> None:
    for cores in (1.0, 1.5, 2.0):
        machine = Machine(work_cpu_ms=200.0)
        machine.run(cores, 30)
        assert machine.pace.fps == 30


def test_a_starved_encoder_makes_fewer_and_better_frames() -> None:
    machine = Machine(work_cpu_ms=40.0)
    before = machine.run(0.5, 1.4)
    after = machine.run(0.5, 20)
    assert machine.pace.fps == 15
    assert after[-1].cpu_ms > 1.9 * before[-1].cpu_ms
    assert after[-1].wall_ms < 1000 / machine.pace.fps


def test_starvation_alone_never_goes_below_its_least_rate() -> None:
    machine = Machine(work_cpu_ms=200.0)
    machine.run(0.1, 60)
    assert machine.pace.fps == Pace.LEAST_STARVED_FPS


def test_frames_that_are_finished_need_no_slower_rate_however_little_cpu_there_is() -> None:
    machine = Machine(work_cpu_ms=4.0)
    machine.run(0.3, 30)
    assert machine.pace.fps == 30


@pytest.mark.parametrize("work_cpu_ms", [4.0, 40.0, 200.0])
def test_the_rate_recovers_when_the_machine_is_free_again(work_cpu_ms: float) -> None:
    machine = Machine(work_cpu_ms)
    machine.run(0.2, 30)
    machine.run(1.6, 60)
    assert machine.pace.fps == 30


def test_the_rate_is_steady_whatever_the_machine_leaves() -> None:
    for cores in (0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7):
        for publishers in (1, 2):
            machine = Machine(work_cpu_ms=40.0)
            machine.run(cores, 40, publishers)
            settled = machine.pace.fps
            for _ in range(30):
                machine.run(cores, 1, publishers)
                assert machine.pace.fps == settled, (cores, publishers)
