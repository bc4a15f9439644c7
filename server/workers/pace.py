"""How long a live encoder may take for a frame, and at which frame rate (architecture.md, "Time is a budget")."""

from collections import deque
from dataclasses import dataclass
from statistics import median

__all__ = ["FrameCost", "Pace"]


@dataclass(frozen=True)
class FrameCost:
    """What one P-frame took."""

    wall_ms: float  # from the picture's departure to the worker to the frame's return
    encode_ms: float  # wall time of the encoder alone
    cpu_ms: float  # of all its threads
    left_out: float  # share of the splats that the budget kept it from looking at, 0 .. 1


class Pace:
    """Time budget and frame-rate steps of one publisher. Pure: costs and the time in, budget and admission out.

    A step down follows when frames take longer than their period, and when other processes leave the encoder so little
    CPU time within its budget that its frames stay unfinished: then fewer frames get more time each. At half the full
    rate and below, receivers are asked for the midpoint before each frame, so that they show twice as many pictures;
    there are no steps between full and half rate, and publishers who have no more than a core each begin at half.
    """

    STEPS_FPS = (30, 20, 15, 12, 10)
    LEAST_STARVED_FPS = 12  # slower only for frames that take longer than their period
    SHARE = 0.6  # of all cores; the rest is for the server itself and the system
    MAX_PERIOD_SHARE = 0.8  # of the frame period, so that pictures and frames also have time to travel
    MIN_BUDGET_MS = 10.0  # wall time; where a step gives less, the next slower one is taken
    TOO_SLOW = 1.0  # of the frame period: median cost above it steps down
    FAST_ENOUGH = 0.9  # of the faster step's period: foreseen cost below it steps up
    ENOUGH_CPU_MS = 25.0  # of one frame: with so much, no slower step is taken for better frames
    ENOUGH_SHARE = 0.6  # of the CPU time that a frame would get on an idle machine; the same
    UNFINISHED = 0.1  # of the splats left out
    MIN_CORES_USED = 0.25  # however starved: a budget grows no further
    COSTS = 20  # frames looked at
    HOLD_DOWN_MS = 1500.0  # between a change and a step down
    HOLD_UP_MS = 5000.0

    def __init__(self, cores: int, threads: int, max_fps: int) -> None:
        self._cores = cores
        self._threads = threads
        slower = [fps for fps in self.STEPS_FPS if fps < max_fps]
        self._steps = [max_fps, *([fps for fps in slower if 2 * fps <= max_fps] or slower)]
        self._step = 0
        self._costs: deque[FrameCost] = deque(maxlen=self.COSTS)
        self._publishers = 1
        self._cores_used = float(threads)  # by the encoder while it works, as measured
        self._changed_ms: float | None = None
        self._due_ms: float | None = None

    @property
    def fps(self) -> int:
        """Present frame rate."""
        return self._steps[self._step]

    @property
    def midpoints(self) -> bool:
        """Whether frames are so far apart that receivers are to show midpoints between them."""
        return self._has_midpoints(self._step)

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

    def push_cost(self, cost: FrameCost, publishers: int, now_ms: float) -> None:
        """Note what a frame took, and change the step where that is due."""
        self._costs.append(cost)
        cores_used = cost.cpu_ms / max(cost.encode_ms, 0.1)
        self._cores_used += 0.1 * (min(max(cores_used, self.MIN_CORES_USED), self._threads) - self._cores_used)
        if self._changed_ms is None:
            self._changed_ms = now_ms
        if publishers != self._publishers:
            self._publishers = publishers
            self._go(self._least_step(), now_ms)
            return
        if len(self._costs) < self.COSTS // 2:
            return
        since_ms = now_ms - self._changed_ms
        if since_ms >= self.HOLD_DOWN_MS and self._steps_down():
            self._go(min(self._step + 1, len(self._steps) - 1), now_ms)
        elif since_ms >= self.HOLD_UP_MS and self._step > self._least_step() and self._steps_up():
            self._go(self._step - 1, now_ms)

    def _steps_down(self) -> bool:
        """Tell whether frames are late, or starved where a slower step would help."""
        if median(cost.wall_ms for cost in self._costs) > self.TOO_SLOW * 1000 / self.fps:
            return True
        slower_fps = self._steps[min(self._step + 1, len(self._steps) - 1)]
        return slower_fps >= self.LEAST_STARVED_FPS and self._is_starved(self._step)

    def _steps_up(self) -> bool:
        """Tell whether frames would neither be late nor starved at the next faster step."""
        faster = self._step - 1
        longer = self._budget_ms(faster) / self._budget_ms(self._step)
        foreseen_ms = longer * median(cost.wall_ms for cost in self._costs)
        in_time = foreseen_ms <= self.FAST_ENOUGH * 1000 / self._steps[faster]
        return in_time and not self._is_starved(faster)

    def _is_starved(self, step: int) -> bool:
        """Tell whether frames at a step stay, or would stay, unfinished for want of CPU time."""
        shorter = self._budget_ms(step) / median(max(cost.encode_ms, 0.1) for cost in self._costs)
        finished = median(cost.left_out for cost in self._costs) <= self.UNFINISHED
        if finished and (step == self._step or shorter >= 1):
            return False
        cpu_ms = min(1.0, shorter) * median(cost.cpu_ms for cost in self._costs)
        return cpu_ms < min(self.ENOUGH_CPU_MS, self.ENOUGH_SHARE * self._cpu_ms(step))

    def _cpu_ms(self, step: int) -> float:
        """CPU time for one frame at a step: a share of all cores, divided among publishers."""
        return self.SHARE * self._cores * 1000 / self._steps[step] / self._publishers

    def _budget_ms(self, step: int) -> float:
        """Wall time for one frame at a step: its CPU time over the cores that the encoder gets."""
        cores_used = max(self.MIN_CORES_USED, min(self._cores_used, max(1.0, self._cores / self._publishers)))
        return min(self.MAX_PERIOD_SHARE * 1000 / self._steps[step], self._cpu_ms(step) / cores_used)

    def _has_midpoints(self, step: int) -> bool:
        """Tell whether a step is at half the full rate or below."""
        return 2 * self._steps[step] <= self._steps[0]

    def _least_step(self) -> int:
        """Return the fastest step whose budget is worth anything; publishers who share cores begin at half rate."""
        last = len(self._steps) - 1
        first = int(1 < self._publishers >= self._cores and self._has_midpoints(min(1, last)))
        return next((step for step in range(first, last) if self._budget_ms(step) >= self.MIN_BUDGET_MS), last)

    def _go(self, step: int, now_ms: float) -> None:
        """Take another step, never faster than the budget allows."""
        step = max(step, self._least_step())
        if step != self._step:
            self._costs.clear()
        self._step = step
        self._changed_ms = now_ms
