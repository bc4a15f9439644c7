"""Weights of blocks from faces and masks, without MediaPipe."""

import numpy as np
import pytest

from codec.importance.weights import FACE, FEATURE, PERSON, REST, Face, block_means, block_weights, lambda_map_of


def test_nothing_seen_is_the_rest() -> None:
    weights = block_weights([], None, 100, 50)
    assert weights.shape == (4, 7)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, REST)


def test_a_person_counts_more_and_a_face_most() -> None:
    person = np.zeros((36, 64), np.float32)
    person[:, 32:] = 1
    weights = block_weights([Face((0.6, 0.2, 0.2, 0.3))], person, 640, 352)
    np.testing.assert_allclose(weights[:, :18], REST)
    assert weights[-1, -1] == pytest.approx(PERSON)
    assert weights[7, 28] == pytest.approx(FACE)
    assert weights.max() <= FACE


def test_eyes_and_mouth_count_most() -> None:
    face = Face((0.3, 0.2, 0.3, 0.5), ((0.38, 0.38), (0.52, 0.38)), ((0.45, 0.6),))
    weights = block_weights([face], None, 640, 352)
    for x, y in (*face.eyes, *face.mouths):
        assert weights[int(y * 352 / 16), int(x * 640 / 16)] == FEATURE
    assert weights[7, 18] == pytest.approx(FACE), "between the eyes and the mouth"
    plain = block_weights([Face(face.box)], None, 640, 352)
    assert plain.max() == pytest.approx(FACE)
    assert 0.01 < np.mean(weights > plain) < 0.1


@pytest.mark.parametrize(
    "face", [(0.5, 0.5, 0.0, 0.1), (0.2, 0.2, -1.0, -1.0), (5.0, 5.0, 1.0, 1.0), (-3.0, 0.0, 9.0, 9.0)]
)
def test_any_box_will_do(face: tuple[float, float, float, float]) -> None:
    weights = block_weights([Face(face, ((0.4, 0.4),), ((0.5, 0.9),))], None, 33, 17)
    assert weights.shape == (2, 3)
    assert np.all((weights >= REST) & (weights <= FEATURE))


@pytest.mark.parametrize(("shape", "grid"), [((5, 7), (1, 1)), ((3, 2), (7, 9)), ((144, 256), (23, 40))])
def test_block_means_of_a_constant(shape: tuple[int, int], grid: tuple[int, int]) -> None:
    means = block_means(np.full(shape, 0.3, np.float32), *grid)
    assert means.shape == grid
    np.testing.assert_allclose(means, 0.3, rtol=1e-6)


def test_block_means_are_means() -> None:
    mask = np.random.default_rng(1).random((32, 48)).astype(np.float32)
    np.testing.assert_allclose(block_means(mask, 2, 3), mask.reshape(2, 16, 3, 16).mean((1, 3)), rtol=1e-5)


def test_lambda_falls_where_it_matters() -> None:
    weights = np.full((4, 4), REST, np.float32)
    np.testing.assert_allclose(lambda_map_of(weights), 1, rtol=1e-6)
    weights[1, 1] = FACE
    factors = lambda_map_of(weights)
    assert factors[1, 1] < 0.75 < 1 < factors[0, 0]
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-6)
