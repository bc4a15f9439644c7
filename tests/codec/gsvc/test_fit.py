"""The native gsvc fit against its NumPy twin, and the twin against finite differences."""

import numpy as np
import pytest

from codec.gsvc.fit import ADAM, GsvcFitSession, NativeGsvcFit
from codec.gsvc.lattice import Lattice
from codec.gsvc.reference import ReferenceGsvcFit, reference_picture
from codec.native import _native
from codec.types import FloatArray

WIDTH, HEIGHT = 53, 37


def random_target(seed: int) -> FloatArray:
    phase = np.random.default_rng(seed).random(3)[:, None, None] * 6
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(120 + 60 * np.sin(xs / 7 + phase) * np.cos(ys / 5), np.float32)


def random_rows(seed: int, count: int = 24) -> FloatArray:
    """Return splats of 2 to 6 px, some with their mean outside of the picture."""
    rng = np.random.default_rng(seed)
    means = rng.random((count, 2)) * [WIDTH + 8, HEIGHT + 8] - 4
    shapes = rng.normal([1.2, 0, 1.2], [0.4, 0.5, 0.4], (count, 3))
    return np.concatenate([means, shapes, rng.normal(20, 30, (count, 3))], 1).astype(np.float32)


def test_reference_gradients_match_finite_differences() -> None:
    rows = random_rows(2, 6)
    rows[:, [2, 4]] = 3.4  # so wide that none ends inside: finite differences must not cross a rim
    session = ReferenceGsvcFit(random_target(2), (1.0, 0.7, 0.4))
    session.start(rows)
    _, gradients = session.gradients()
    measured = np.zeros_like(gradients)
    for index in np.ndindex(*rows.shape):
        losses = []
        size = 1e-2 if index[1] < 5 else 1.0
        for sign in (1, -1):
            moved = rows.copy()
            moved[index] += np.float32(sign * size)
            session.start(moved)
            losses.append(session.gradients()[0])
        measured[index] = (losses[0] - losses[1]) / (2 * size)
    scale = np.abs(measured).max(0)
    np.testing.assert_allclose(gradients / scale, measured / scale, atol=2e-3)


@pytest.mark.parametrize("lattice", [None, Lattice(16, 32, 24, 24)])
def test_native_matches_the_reference(lattice: Lattice | None) -> None:
    target, rows = random_target(3), random_rows(3)
    anchors = random_rows(4)
    results = []
    for backend in (NativeGsvcFit, ReferenceGsvcFit):
        session: GsvcFitSession = backend(target, (1.0, 0.7, 0.4))
        session.start(rows)
        if lattice is not None:
            session.set_lattice(lattice, anchors, 0.2)
        results.append((*session.gradients(), session.drawn()))
    (loss, gradients, drawn), (loss_r, gradients_r, drawn_r) = results
    np.testing.assert_allclose(drawn, drawn_r, atol=1e-4)
    # measured: loss 3e-6, gradients 2e-4 of the largest of their kind (a rim pixel may fall to either side)
    assert loss == pytest.approx(loss_r, rel=1e-4)
    scale = np.abs(gradients_r).max(0)
    np.testing.assert_allclose(gradients / scale, gradients_r / scale, atol=3e-3)


@pytest.mark.parametrize("calm", [0.0, 300.0])
def test_native_steps_match_the_reference(calm: float) -> None:
    target, rows = random_target(5), random_rows(5)
    sessions: list[GsvcFitSession] = [NativeGsvcFit(target), ReferenceGsvcFit(target)]
    for session in sessions:
        session.start(rows)
        session.run(3, 0.2)
        session.set_lattice(Lattice(), session.rows(), 0.3, calm)
        session.run(3, 0.2)
    ours, theirs = (session.rows() for session in sessions)
    # Adam turns a tiny gradient's rounding into a step, so a few parameters may part
    tolerances = np.array([5e-3, 5e-3, 2e-3, 2e-3, 2e-3, 5e-2, 5e-2, 5e-2])
    assert (np.quantile(np.abs(ours - theirs), 0.9, axis=0) < tolerances).all()
    assert sessions[0].gradients()[0] == pytest.approx(sessions[1].gradients()[0], rel=1e-2)


def test_native_picture_matches_the_reference() -> None:
    rows = random_rows(6)
    picture = _native.gsvc_render(rows, WIDTH, HEIGHT, 2)
    assert np.quantile(np.abs(picture - reference_picture(rows, WIDTH, HEIGHT)), 0.999) < 0.02


def test_threads_do_not_change_a_bit() -> None:
    results = []
    for threads in (1, 3):
        session = NativeGsvcFit(random_target(7), threads=threads)
        session.start(random_rows(7, 700))
        session.run(5, 1.0)
        results.append((session.rows(), _native.gsvc_render(session.rows(), WIDTH, HEIGHT, threads)))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_a_fit_comes_close_to_its_target() -> None:
    session = NativeGsvcFit(random_target(8))
    session.start(random_rows(8, 60))
    before = session.gradients()[0]
    session.run(100, 1.0)
    assert session.gradients()[0] < before / 50


def test_bad_arguments_are_refused() -> None:
    session = NativeGsvcFit(random_target(9), adam=ADAM)
    with pytest.raises(ValueError, match=r"\[N, 8\]"):
        session.start(random_rows(9)[:, :7])
    endless = random_rows(9)
    endless[2, 3] = np.inf
    with pytest.raises(ValueError, match="finite"):
        session.start(endless)
    session.start(random_rows(9))
    with pytest.raises(ValueError, match="one for each splat"):
        session.set_lattice(Lattice(), random_rows(9, 3))
    with pytest.raises(ValueError, match="target"):
        NativeGsvcFit(random_target(9)[:2])


def test_no_splats_leave_black() -> None:
    session = NativeGsvcFit(random_target(10))
    session.start(random_rows(10, 0))
    session.run(2, 1.0)
    assert not _native.gsvc_render(session.rows(), WIDTH, HEIGHT, 1).any()
