"""When the model is asked, and what a copy of the schedule shares."""

import copy
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from codec.config import EncoderConfig
from codec.importance import ImportanceSchedule
from codec.types import FloatArray

PICTURE = np.zeros((40, 64, 3), np.uint8)


class CountingModel:
    """In place of MediaPipe: gives every picture a weight of its own, and cannot be copied."""

    def __init__(self) -> None:
        self.looks = 0
        self.closed = 0

    def __deepcopy__(self, memo: dict[int, object]) -> "CountingModel":
        raise AssertionError("the model was copied")

    def weights(self, rgb: npt.NDArray[np.uint8]) -> FloatArray:
        self.looks += 1
        return np.full((3, 4), self.looks, np.float32)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> CountingModel:
    counting = CountingModel()
    monkeypatch.setattr("codec.importance.schedule.ImportanceModel", lambda: counting)
    return counting


def schedule_for(effort: Literal["best", "live"], *, importance: bool = True) -> ImportanceSchedule:
    return ImportanceSchedule(EncoderConfig(64, 40, effort=effort, importance=importance))


def test_best_looks_at_every_picture(model: CountingModel) -> None:
    schedule = schedule_for("best")
    assert [schedule.look(PICTURE, picture)[0, 0] for picture in range(4)] == [1, 2, 3, 4]


def test_live_looks_at_every_sixth_and_after_a_gap(model: CountingModel) -> None:
    schedule = schedule_for("live")
    pictures = [0, 1, 5, 6, 7, 11, 20, 25, 26]
    assert [schedule.look(PICTURE, picture)[0, 0] for picture in pictures] == [1, 1, 1, 2, 2, 2, 3, 3, 4]


def test_without_importance_no_model_is_made(model: CountingModel) -> None:
    schedule = schedule_for("best", importance=False)
    assert schedule.weights is None
    assert np.array_equal(schedule.look(PICTURE, 0), np.ones((3, 4), np.float32))
    schedule.close()
    assert (model.looks, model.closed) == (0, 0)


def test_a_copy_remembers_and_shares_the_model(model: CountingModel) -> None:
    schedule = schedule_for("live")
    schedule.look(PICTURE, 0)
    before = copy.deepcopy(schedule)
    assert schedule.look(PICTURE, 6)[0, 0] == 2
    assert before.weights is not None
    assert before.weights[0, 0] == 1
    assert before.look(PICTURE, 6)[0, 0] == 3


def test_closing_twice_is_well_and_keeps_the_weights(model: CountingModel) -> None:
    schedule = schedule_for("best")
    schedule.look(PICTURE, 0)
    schedule.close()
    schedule.close()
    assert model.closed == 1
    assert schedule.look(PICTURE, 1)[0, 0] == 1
