"""The budget in work units: the same units do the same work, whatever the clock says and whichever thread does it."""

from dataclasses import replace

import numpy as np
import pytest

from codec.engine import PFrameEngine, PFrameFigures, PFramePlan
from codec.types import EpochRecord, FrameWork, PCommands
from tests.codec.random_pictures import random_state, random_target

EPOCH = EpochRecord(0, 192, 160, (30, 1), (16,))
PLAN = PFramePlan(60.0, sweeps=2)
RUNS = 3


def encode(threads: int, work: FrameWork | None, clock_s: float = 0.0) -> tuple[PCommands, PFrameFigures]:
    """Encode one fixed picture from one fixed state."""
    engine = PFrameEngine(EPOCH, threads)
    engine.load(random_state(EPOCH, 5, 300))
    engine.set_target(random_target(EPOCH, 5))
    flow = np.random.default_rng(5).normal(0, 1, (2, EPOCH.height_px, EPOCH.width_px)).astype(np.float32)
    ones = np.ones((EPOCH.height_px // 16, EPOCH.width_px // 16), np.float32)
    return engine.encode([flow], ones, replace(PLAN, work=work, clock_s=clock_s))


def as_bytes(commands: PCommands) -> bytes:
    """Return everything that commands hold."""
    arrays = [commands.update_slots, commands.update_deltas, commands.death_slots, commands.births]
    for level in commands.cells or ():
        arrays += [level.on.astype(np.int32), level.vectors, level.affine]
    return b"".join(array.tobytes() for array in arrays)


@pytest.fixture(scope="module")
def whole() -> PFrameFigures:
    """Return the figures of a frame without bounds."""
    return encode(1, None)[1]


def units_of(figures: PFrameFigures) -> int:
    """Return the units that a frame's work took at a price of one."""
    return sum(figures.steps)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_the_same_units_do_the_same_work(whole: PFrameFigures, threads: int, share: float) -> None:
    work = FrameWork(round(share * units_of(whole)))
    results = [encode(threads, work) for _ in range(RUNS)]
    assert len({as_bytes(commands) for commands, _ in results}) == 1
    assert len({figures.steps for _, figures in results}) == 1


def test_steps_do_not_depend_on_threads(whole: PFrameFigures) -> None:
    assert encode(3, None)[1].steps == whole.steps


def test_less_work_leaves_more_error_and_keeps_to_its_units(whole: PFrameFigures) -> None:
    errors = []
    for share in (0.05, 0.2, 0.5, 1.5):
        units = round(share * units_of(whole))
        figures = encode(1, FrameWork(units))[1]
        errors.append(figures.squared_error)
        assert units_of(figures) <= units + 0.1 * units_of(whole)  # jobs that have begun may end
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(whole.squared_error, rel=0.05)


def test_a_stage_that_costs_more_does_less(whole: PFrameFigures) -> None:
    units = units_of(whole)
    cheap, dear = (encode(1, FrameWork(units, (1, price, 1, 1)))[1] for price in (1, 8))
    assert dear.steps[1] < 0.5 * cheap.steps[1]


def test_what_the_clock_cut_off_is_done_again_without_it(whole: PFrameFigures) -> None:
    for clock_s in (1e-6, 3e-4, 1e-3, 3e-3):
        work = FrameWork(2 * units_of(whole))
        cut, figures = encode(2, work, clock_s)
        again = [encode(2, replace(work, cut=figures.cut)) for _ in range(RUNS)]
        assert {as_bytes(commands) for commands, _ in again} == {as_bytes(cut)}
        assert {other.cut for _, other in again} == {figures.cut}


def test_a_clock_that_has_struck_leaves_all_as_it_was() -> None:
    commands, figures = encode(2, FrameWork(1 << 40), 1e-9)
    assert figures.cut == 0
    assert figures.changed == 0
    assert commands.cells is None
    assert 0 < figures.unvisited <= 300
