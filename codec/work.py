"""Time to work units: what the engine does in a millisecond on this machine, as measured frame by frame."""

from codec.engine import PFrameFigures
from codec.types import FrameWork

__all__ = ["WorkCalibrator"]

UNITS_A_MS = 1_000_000_000  # a unit is a picosecond that the calibrator foresees


class WorkCalibrator:
    """Turns the wall time left for a frame into work units, priced as the last frames' stages took.

    Pure: times in, budgets out. A stage's price follows what was measured, faster upwards than down, so that a machine
    that slows down is believed at once and a lucky frame is not.
    """

    FIRST_PRICE = 1500.0  # units of a step with one thread, before anything was measured
    FIRST_OVERHEAD_MS = 1.0  # of a frame's passes over the whole picture, likewise
    SHARE = 0.9  # of the time left that units are bought for; the rest is for the last jobs and bad luck
    UP, DOWN = 0.4, 0.15  # weight of a new measurement above and below the average
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

    def work_for(self, left_ms: float, *, hashed: bool = False) -> FrameWork:
        """Return what may be done in so much wall time of the engine."""
        units = round(max(self.SHARE * left_ms - self._overhead_ms, self.LEAST_MS) * UNITS_A_MS)
        cells, sweeps, births, growth = (max(1, round(price)) for price in self._prices)
        return FrameWork(units, (cells, sweeps, births, growth), hashed=hashed)

    def note(self, figures: PFrameFigures) -> None:
        """Take what a frame's work took."""
        for stage, (steps, worked_ms) in enumerate(zip(figures.steps, figures.worked_ms, strict=True)):
            if steps >= self.LEAST_STEPS:
                self._prices[stage] = self._follow(self._prices[stage], worked_ms * UNITS_A_MS / steps)
        if figures.swept >= self.LEAST_SWEPT:
            self._prices[3] = self._follow(self._prices[3], figures.swept_ms * UNITS_A_MS / figures.swept)
        overhead_ms = sum(figures.stages_ms.values()) - sum(figures.worked_ms) - figures.swept_ms
        self._overhead_ms = self._follow(self._overhead_ms, overhead_ms)

    def _follow(self, average: float, measured: float) -> float:
        """Return the average with a new measurement in it."""
        weight = self.UP if measured > average else self.DOWN
        return average + weight * (min(measured, self.WORST * average) - average)
