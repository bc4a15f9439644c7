"""The native fit against its NumPy twin, and the twin against finite differences."""

import numpy as np
import pytest

from codec.fit import FitSession, NativeFit, fit
from codec.fit.backend import pack_splats, unpack_splats
from codec.fit.reference import ReferenceFit, log_shape_of, whitening_of
from codec.types import FloatArray, SplatSet, Steps

WIDTH, HEIGHT = 53, 37


def random_picture(seed: int) -> tuple[FloatArray, FloatArray]:
    """Return a smooth target and a flat base."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    target = 120 + 60 * np.sin(xs / 7 + rng.random(3)[:, None, None] * 6) * np.cos(ys / 5)
    return target.astype(np.float32), np.full((3, HEIGHT, WIDTH), 110, np.float32)


def random_splats(seed: int, count: int = 24) -> SplatSet:
    rng = np.random.default_rng(seed)
    means = rng.random((count, 2)) * [WIDTH + 8, HEIGHT + 8] - 4
    shape = rng.normal([1.2, 0, 0], [0.5, 0.3, 0.3], (count, 3)).astype(np.float32)
    colors = rng.random((count, 3)) * 200
    floats = means.astype(np.float32), shape[:, 0], shape[:, 1], shape[:, 2], colors.astype(np.float32)
    return SplatSet(*floats, np.ones(count, np.uint8))


def weight_map(seed: int) -> FloatArray:
    return (0.2 + np.random.default_rng(seed).random((HEIGHT, WIDTH))).astype(np.float32)


def test_shapes_there_and_back() -> None:
    shape = np.random.default_rng(1).normal([1, 0, 0], [1, 0.8, 0.8], (200, 3))
    shape[0, 1:] = 0
    np.testing.assert_allclose(log_shape_of(whitening_of(shape)), shape, atol=1e-9)


def smooth_splats(seed: int) -> SplatSet:
    """Return splats so wide that none ends inside the picture: finite differences must not cross a rim."""
    splats = random_splats(seed, 6)
    splats.log_scale[:] = 3.4
    return splats


def test_reference_gradients_match_finite_differences() -> None:
    target, base = random_picture(2)
    session = ReferenceFit(target, base, weight_map(2), (1.0, 0.7, 0.4))
    session.start(smooth_splats(2))
    _, gradients = session.gradients()
    params = session.parameters()
    sizes = np.array([1e-3, 1e-3, 1e-6, 1e-6, 1e-6, 1e-2, 1e-2, 1e-2])
    measured = np.zeros_like(params)
    for index in np.ndindex(*params.shape):
        losses = []
        for sign in (1, -1):
            moved = params.copy()
            moved[index] += sign * sizes[index[1]]
            session.set_parameters(moved)
            losses.append(session.gradients()[0])
        measured[index] = (losses[0] - losses[1]) / (2 * sizes[index[1]])
    scale = np.abs(measured).max(0)
    np.testing.assert_allclose(gradients / scale, measured / scale, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lattice", [None, Steps()])
def test_native_gradients_match_the_reference(weighted: bool, lattice: Steps | None) -> None:
    target, base = random_picture(3)
    weight = weight_map(3) if weighted else None
    results = []
    for backend in (NativeFit, ReferenceFit):
        session: FitSession = backend(target, base, weight, (1.0, 0.7, 0.4))
        session.start(random_splats(3))
        session.set_lattice(lattice)
        results.append((*session.gradients(), session.picture()))
    (loss, gradients, picture), (loss_r, gradients_r, picture_r) = results
    # measured: loss 2e-6, gradients 1e-4 of the largest of their kind (a rim pixel may fall to either side)
    assert loss == pytest.approx(loss_r, rel=1e-4)
    scale = np.abs(gradients_r).max(0)
    np.testing.assert_allclose(gradients / scale, gradients_r / scale, atol=3e-3)
    assert np.quantile(np.abs(picture - picture_r), 0.999) < 0.02


@pytest.mark.parametrize("iterations", [1, 6])
def test_steps_by_every_second_row_match_the_reference(iterations: int) -> None:
    target, base = random_picture(4)
    sessions: list[FitSession] = [NativeFit(target, base, weight_map(4)), ReferenceFit(target, base, weight_map(4))]
    losses = []
    for session in sessions:
        session.start(random_splats(4))
        session.set_lead(np.arange(24) % 3 == 0, 1.5)
        losses.append(session.run_by_rows(iterations, 0.5))
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    ours, theirs = (session.splats() for session in sessions)
    for name, tolerance in (("means_px", 5e-3), ("log_scale", 2e-3), ("e1", 2e-3), ("e2", 2e-3), ("colors", 5e-2)):
        assert np.quantile(np.abs(getattr(ours, name) - getattr(theirs, name)), 0.97) < tolerance, name
    # afterwards all rows count again
    assert sessions[0].gradients()[0] == pytest.approx(sessions[1].gradients()[0], rel=2e-3)
    assert sessions[0].gradients()[0] > 1.5 * losses[0]


@pytest.mark.parametrize("lattice", [None, Steps()])
def test_native_steps_match_the_reference(lattice: Steps | None) -> None:
    target, base = random_picture(4)
    sessions: list[FitSession] = [NativeFit(target, base), ReferenceFit(target, base)]
    for session in sessions:
        session.start(random_splats(4))
        session.set_lattice(lattice)
        session.run(6, 0.5)
    ours, theirs = (session.splats() for session in sessions)
    # Adam turns a tiny gradient's rounding into a step, so a few parameters may part; measured: 1 in 500
    for name, tolerance in (("means_px", 5e-3), ("log_scale", 2e-3), ("e1", 2e-3), ("e2", 2e-3), ("colors", 5e-2)):
        difference = np.abs(getattr(ours, name) - getattr(theirs, name))
        assert np.quantile(difference, 0.9 if lattice else 0.97) < tolerance, name
    assert sessions[0].gradients()[0] == pytest.approx(sessions[1].gradients()[0], rel=2e-2 if lattice else 2e-3)


def test_the_lead_is_fitted_alone_too_and_as_the_reference_does() -> None:
    target, base = random_picture(10)
    lead = np.arange(24) % 3 == 0
    alone = []
    for weight in (0.0, 2.0):
        sessions: list[FitSession] = [NativeFit(target, base), ReferenceFit(target, base)]
        for session in sessions:
            session.start(random_splats(10))
            session.set_lead(lead, weight)
            session.run(6, 0.5)
        ours, theirs = (session.splats() for session in sessions)
        assert np.quantile(np.abs(ours.means_px - theirs.means_px), 0.97) < 5e-3
        rows = pack_splats(ours)[lead]
        only = NativeFit(target, base)
        only.start(unpack_splats(rows))
        alone.append(only.gradients()[0])
    assert alone[1] < 0.9 * alone[0]


def test_threads_do_not_change_a_bit() -> None:
    target, base = random_picture(5)
    results = [fit(random_splats(5, 700), base, target, None, 5, threads=threads) for threads in (1, 3)]
    np.testing.assert_array_equal(results[0].means_px, results[1].means_px)
    np.testing.assert_array_equal(results[0].colors, results[1].colors)


def test_a_fit_comes_close_to_its_target() -> None:
    target, base = random_picture(6)
    start = random_splats(6, 60)
    session = NativeFit(target, base)
    session.start(start)
    before = session.gradients()[0]
    session.run(80, 1.5)
    assert session.gradients()[0] < before / 15
    assert len(session.splats()) == 60


def test_the_lattice_leaves_the_splats_themselves_alone() -> None:
    target, base = random_picture(7)
    splats = random_splats(7)
    session = NativeFit(target, base)
    session.start(splats)
    plain = session.picture()
    session.set_lattice(Steps(key_luma=4 * 50, key_chroma=4 * 50))
    assert np.abs(session.picture() - plain).max() > 5
    np.testing.assert_array_equal(session.splats().colors, splats.colors)


def test_bad_arguments_are_refused() -> None:
    target, base = random_picture(8)
    with pytest.raises(ValueError, match="base"):
        NativeFit(target, base[:, :-1])
    with pytest.raises(ValueError, match="weight"):
        NativeFit(target, base, weight_map(8)[1:])
    endless = random_splats(8)
    endless.log_scale[2] = np.inf
    with pytest.raises(ValueError, match="finite"):
        NativeFit(target, base).start(endless)
    additive = random_splats(8)
    additive.kinds[3] = 2
    with pytest.raises(ValueError, match="normalised"):
        NativeFit(target, base).start(additive)


def test_no_splats_leave_the_base() -> None:
    target, base = random_picture(9)
    session = NativeFit(target, base)
    session.start(random_splats(9, 0))
    session.run(2, 1.0)
    np.testing.assert_allclose(session.picture(), base, rtol=1e-5)
