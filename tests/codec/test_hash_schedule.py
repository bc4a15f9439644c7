"""When a frame carries the hash of its state."""

from typing import Literal

import pytest

from codec.config import EncoderConfig
from codec.hash_schedule import HashSchedule


def schedule_for(effort: Literal["best", "live"], fps: tuple[int, int]) -> HashSchedule:
    return HashSchedule(EncoderConfig(64, 48, fps=fps, effort=effort), now_s=100.0)


@pytest.mark.parametrize(("fps", "pictures"), [((30, 1), 30), ((30000, 1001), 30), ((1, 2), 1)])
def test_best_counts_pictures_whatever_the_clock_says(fps: tuple[int, int], pictures: int) -> None:
    schedule = schedule_for("best", fps)
    due = [picture for picture in range(1, 3 * pictures + 1) if schedule.due(picture, 100.0 + 7 * picture)]
    assert due == [pictures, 2 * pictures, 3 * pictures]


def test_a_picture_without_a_frame_only_delays_it() -> None:
    schedule = schedule_for("best", (10, 1))
    assert not schedule.due(9, 0.0)
    assert schedule.due(12, 0.0)
    assert not schedule.due(21, 0.0)
    assert schedule.due(22, 0.0)


def test_live_goes_by_the_clock() -> None:
    schedule = schedule_for("live", (30, 1))
    assert not schedule.due(60, 100.5)
    assert schedule.due(61, 101.0)
    assert not schedule.due(62, 101.75)
    assert schedule.due(63, 102.25)
    assert not schedule.due(64, 103.0)
