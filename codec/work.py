"""Time to work units: what is left of a frame's time, and what the engine does in a millisecond on this machine."""

from dataclasses import dataclass

from codec.engine import PFrameFigures
from codec.types import FrameWork

__all__ = ["FrameClock", "WorkCalibrator"]

UNITS_A_MS = 1_000_000_000  # a unit is a picosecond that the calibrator foresees


@dataclass(frozen=True)
class FrameClock:
    """When a frame began, on the wall and in its process's CPU time, and the wall time that it may take.

    Time for which nothing of the process ran at all, since others had the cores, does not count, up to as much again as
    the frame may take: so a frame is not left half done for what another process did for a moment.
    """

    started_s: float
    cpu_started_s: float
    budget_s: float

    def left_s(self, now_s: float, cpu_now_s: float) -> float:
        """Return the time left for the engine, which may take twice as long where its jobs lose their cores."""
        wall_s = now_s - self.started_s
        lost_s = max(0.0, wall_s - (cpu_now_s - self.cpu_started_s))
        return min(self.budget_s - wall_s + lost_s, self.budget_s - wall_s / 2)


class WorkCalibrator:
    """Turns the wall time left for a frame into work units, priced as the last frames' stages took.

    Pure: times in, budgets out. A stage's price follows what was measured, faster upwards than down, so that a machine
    that slows down is believed at once and a lucky frame is not.
    """

    FIRST_PRICE = 1500.0  # units of a step with one thread, before anything was measured
    FIRST_OVERHEAD_MS = 1.0  # of a frame's passes over the whole picture, likewise
    SHARE = 0.87  # of the time left that units are bought for; the rest is for the last jobs and bad luck
    UP, DOWN = 0.4, 0.15  # weight of a new measurement above and below the average
    UP_LOST = 0.1  # in place of UP where others took LOST of the work's time: the next frame may have its cores back
    LOST = 0.1
    WORST = 2.0  # times the average that a measurement counts for at most: another process may have stalled one frame
    LEAST_STEPS = 20_000  # of a stage that says something about its price
    STEPS_A_SWEEP = 25_000  # of a new splat's sweep, before any was measured
    LEAST_SWEPT = 32  # new splats likewise
    LEAST_MS = 0.2  # of work that every frame gets

    def __init__(self, threads: int) -> None:
        """Start with a guess for so many threads."""
        step = self.FIRST_PRICE / min(threads, 2)
        self._prices = [step, step, step, self.STEPS_A_SWEEP * step]
        self._overhead_ms = self.FIRST_OVERHEAD_MS
        self._up = self.UP

    def work_for(self, left_ms: float, *, hashed: bool = False) -> FrameWork:
        """Return what may be done in so much wall time of the engine."""
        units = round(max(self.SHARE * left_ms - self._overhead_ms, self.LEAST_MS) * UNITS_A_MS)
        cells, sweeps, births, growth = (max(1, round(price)) for price in self._prices)
        return FrameWork(units, (cells, sweeps, births, growth), hashed=hashed)

    def note(self, figures: PFrameFigures) -> None:
        """Take what a frame's work took."""
        self._up = self.UP_LOST if figures.lost_ms > self.LOST * sum(figures.worked_ms) else self.UP
        for stage, (steps, worked_ms) in enumerate(zip(figures.steps, figures.worked_ms, strict=True)):
            if steps >= self.LEAST_STEPS:
                self._prices[stage] = self._follow(self._prices[stage], worked_ms * UNITS_A_MS / steps)
        if figures.swept >= self.LEAST_SWEPT:
            self._prices[3] = self._follow(self._prices[3], figures.swept_ms * UNITS_A_MS / figures.swept)
        overhead_ms = sum(figures.stages_ms.values()) - sum(figures.worked_ms) - figures.swept_ms
        self._overhead_ms = self._follow(self._overhead_ms, overhead_ms)

    def _follow(self, average: float, measured: float) -> float:
        """Return the average with a new measurement in it."""
        weight = self._up if measured > average else self.DOWN
        return average + weight * (min(measured, self.WORST * average) - average)
