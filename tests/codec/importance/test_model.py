"""MediaPipe's models on a portrait, and what happens without them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from codec.importance import ImportanceModel, ImportanceUnavailable
from codec.importance.models import MODELS, intact


@pytest.fixture(scope="module")
def portrait() -> npt.NDArray[np.uint8]:
    """Return a woman before a flag, 512x512: her face is about (175..275, 65..195) px."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="module")
def model() -> Iterator[ImportanceModel]:
    if not all(intact(model) for model in MODELS):
        pytest.skip("models not fetched: python -m codec.importance.fetch")
    with ImportanceModel(required=True) as model:
        yield model


def test_eyes_then_face_then_person_then_rest(model: ImportanceModel, portrait: npt.NDArray[np.uint8]) -> None:
    weights = model.weights(portrait)
    assert weights.shape == (32, 32)
    face, shoulder, corner = weights[6:10, 12:16], weights[22:28, 8:16], weights[:4, :4]
    assert face.min() > 0.45
    assert face.max() == 1
    assert 0.2 < shoulder.mean() < 0.4
    assert corner.mean() < 0.18


def test_odd_sizes(model: ImportanceModel, portrait: npt.NDArray[np.uint8]) -> None:
    for height, width in ((1, 1), (17, 300), (301, 40)):
        weights = model.weights(np.ascontiguousarray(portrait[:height, :width]))
        assert weights.shape == (-(-height // 16), -(-width // 16))


def test_a_picture_of_another_kind_is_refused(model: ImportanceModel) -> None:
    with pytest.raises(ValueError, match="uint8"):
        model.weights(np.zeros((8, 8, 4), np.uint8))


def test_closing_twice_is_well() -> None:
    if not all(intact(model) for model in MODELS):
        pytest.skip("models not fetched: python -m codec.importance.fetch")
    with ImportanceModel(required=True) as model:
        model.close()
        assert not model.available


def test_missing_models_turn_it_off_or_raise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ImportanceUnavailable, match=r"codec\.importance\.fetch"):
        ImportanceModel(required=True, models=tmp_path)
    with caplog.at_level(logging.WARNING):
        model = ImportanceModel(models=tmp_path)
    assert "importance is off" in caplog.text
    assert not model.available
    np.testing.assert_array_equal(model.weights(np.zeros((20, 40, 3), np.uint8)), np.ones((2, 3), np.float32))
