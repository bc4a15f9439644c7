"""How long a live encoder may take for a frame, and at which frame rate (architecture.md, "Time is a budget")."""

from collections import deque
from statistics import median

__all__ = ["Pace"]


class Pace:
    """Time budget and frame-rate steps of one publisher. Pure: costs and the time in, budget and admission out."""

    STEPS_FPS = (30, 20, 15, 10)
    SHARE = 0.6  # of all cores; the rest is for the server itself and the system
    MAX_BUDGET_MS = 50.0  # however slow the step: delay is worth more than the last bit of quality
    MAX_PERIOD_SHARE = 0.8  # of the frame period, so that pictures and frames also have time to travel
    MIN_BUDGET_MS = 10.0  # wall time; where a step gives less, the next slower one is taken
    TOO_SLOW = 1.0  # of the frame period: median cost above it steps down
    FAST_ENOUGH = 0.9  # of the faster step's period: foreseen cost below it steps up
    COSTS = 20  # frames looked at
    HOLD_DOWN_MS = 1500.0  # between a change and a step down
    HOLD_UP_MS = 5000.0

    def __init__(self, cores: int, threads: int, max_fps: int) -> None:
        self._cores = cores
        self._threads = threads
        self._steps = [max_fps, *(fps for fps in self.STEPS_FPS if fps < max_fps)]
        self._step = 0
        self._costs: deque[float] = deque(maxlen=self.COSTS)
        self._publishers = 1
        self._cores_used = float(threads)  # by the encoder while it works, as measured
        self._changed_ms: float | None = None
        self._due_ms: float | None = None

    @property
    def fps(self) -> int:
        """Present frame rate."""
        return self._steps[self._step]

    def budget_ms(self) -> float:
        """Return the wall time that one frame may take now."""
        return self._budget_ms(self._step)

    def admit(self, now_ms: float) -> bool:
        """Tell whether a picture that came now is to be encoded at the present frame rate."""
        period_ms = 1000 / self.fps
        if self._due_ms is not None and now_ms < self._due_ms - 0.3 * period_ms:
            return False
        self._due_ms = now_ms if self._due_ms is None else max(self._due_ms, now_ms - period_ms)
        self._due_ms += period_ms
        return True

    def push_cost(self, wall_ms: float, cores_used: float, publishers: int, now_ms: float) -> None:
        """Note what a frame took and how many cores its encoder used, and change the step where that is due."""
        self._costs.append(wall_ms)
        self._cores_used += 0.1 * (min(max(cores_used, 1.0), self._threads) - self._cores_used)
        if self._changed_ms is None:
            self._changed_ms = now_ms
        if publishers != self._publishers:
            self._publishers = publishers
            self._go(self._least_step(), now_ms)
            return
        if len(self._costs) < self.COSTS // 2:
            return
        cost_ms = median(self._costs)
        since_ms = now_ms - self._changed_ms
        if cost_ms > self.TOO_SLOW * 1000 / self.fps and since_ms >= self.HOLD_DOWN_MS:
            self._go(min(self._step + 1, len(self._steps) - 1), now_ms)
        elif self._step > self._least_step() and since_ms >= self.HOLD_UP_MS:
            foreseen_ms = cost_ms / self._budget_ms(self._step) * self._budget_ms(self._step - 1)
            if foreseen_ms <= self.FAST_ENOUGH * 1000 / self._steps[self._step - 1]:
                self._go(self._step - 1, now_ms)

    def _budget_ms(self, step: int) -> float:
        """Wall time for one frame at a step: a share of all cores, divided among publishers and over cores used."""
        period_ms = 1000 / self._steps[step]
        cpu_ms = self.SHARE * self._cores * period_ms / self._publishers
        wall_ms = cpu_ms / max(1.0, min(self._cores_used, self._cores / self._publishers))
        return min(self.MAX_BUDGET_MS, self.MAX_PERIOD_SHARE * period_ms, wall_ms)

    def _least_step(self) -> int:
        """Return the fastest step whose budget is worth anything."""
        steps = range(len(self._steps))
        return next((step for step in steps if self._budget_ms(step) >= self.MIN_BUDGET_MS), len(self._steps) - 1)

    def _go(self, step: int, now_ms: float) -> None:
        """Take another step, never faster than the budget allows."""
        step = max(step, self._least_step())
        if step != self._step:
            self._costs.clear()
        self._step = step
        self._changed_ms = now_ms
