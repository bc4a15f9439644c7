"""Key frames: content-aware start, Adam, quantised, then the closed loop with exact deletion."""

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codec.bitstream.tables import cost_tables
from codec.fit import NativeFit
from codec.fit.backend import pack_splats, unpack_splats
from codec.native import _native
from codec.placement import place
from codec.quantize import KEY_BASE_STEPS, dequantize_splats, quantize_base, quantize_key
from codec.render import render
from codec.slots import KEY_CELL_PX
from codec.types import KIND_NORMALISED, EpochRecord, FloatArray, IntArray, KeyCommands, SplatSet, SplatState

__all__ = ["BEST_PLAN", "SLOW_PLAN", "START_PLAN", "KeyFrameFit", "KeyPlan", "base_means"]

_CHROMA_WEIGHT = 0.6  # of squared error in Cb and Cr against Y
_PX_PER_SPLAT = 75.0  # of a start at lambda 100; deletion keeps a third to a half
_LAMBDA_REFERENCE = 100.0
_START_EXPONENT = 0.35  # how the start grows as lambda falls
_LEAST_SPLATS = 24
_LEAD_SPLATS = 250  # of a start whose picture alone counts too: so many fit into part 0 with the base
_SPLATS_A_LEAD = 6  # others for each splat of the lead, at least
_LEAST_WITH_LEAD = 700  # splats at the start: those of smaller frames fit into a part or two
_LEAD, _PENDING = 1, 3  # roles of splats, see engine_key.hpp
_RATE, _RATE_LATE = 1.5, 0.5  # of Adam: from the start; on the lattice
_PRESSURE_STEP, _MOST_PRESSURE = 1.15, 1e4  # on lambda, to bring the splats down to the number allowed


@dataclass(frozen=True)
class KeyPlan:
    """How much work one key frame may take."""

    iterations: int = 150  # of Adam from the start
    quantized_iterations: int = 40  # the last of them, with the quantiser in the forward pass
    refit_iterations: int = 40  # of Adam on the survivors
    refit_after: tuple[int, ...] = (2,)  # indices of the sweeps before each refit
    refit_rate: float = 0.5  # of Adam in it
    sweeps: int = 10
    start_factor: float = 1.0  # on the number of splats at the start
    lead_weight: float = 0.01  # of the error of the lead's picture alone, part 0 of a frame in parts; 0: no lead
    hasty: bool = False  # each iteration by every second row of the picture, the lead placed on a halved one


# Of the first frame where time is plenty: what is drawn well at first lasts while the scene is calm.
BEST_PLAN = KeyPlan(
    iterations=100,
    quantized_iterations=0,
    refit_after=(1, 2, 3, 4, 6, 8, 10, 13),
    refit_rate=0.8,
    sweeps=18,
    start_factor=1.6,
)
# Of still pictures: more splats at the start, and refits; no lead, which costs bits and serves a lossy link alone.
SLOW_PLAN = KeyPlan(
    iterations=250,
    refit_after=(1, 2, 3, 4, 6, 8, 10, 12, 14, 17),
    refit_rate=0.8,
    sweeps=24,
    start_factor=3.5,
    lead_weight=0.0,
)
_SWEEPS_OF_SMALL = 4  # over pictures too small for a lead
# Of a live start, by `begin`.
START_PLAN = KeyPlan(
    iterations=60, quantized_iterations=0, refit_iterations=0, sweeps=1, start_factor=0.8, lead_weight=0.02, hasty=True
)


class KeyFrameFit:
    """Fits one picture with splats on the key lattice."""

    def __init__(self, epoch: EpochRecord, max_splats: int, threads: int, seed: int, table_set: int = 0) -> None:
        """Make a fit for pictures of this epoch's size; its blocks do not matter here."""
        steps = epoch.steps
        self._epoch = epoch
        self.max_splats = max_splats
        self._threads = threads
        self._seed = seed
        self._engine = _native.KeyEngine(
            epoch.width_px,
            epoch.height_px,
            _CHROMA_WEIGHT,
            list(steps.key_mean),
            [steps.key_scale, steps.key_shape, steps.key_luma, steps.key_chroma],
            cost_tables(table_set),
            threads,
        )
        self._samples = np.zeros((0, 0, 0), np.int32)
        self._base = np.zeros((3, 0, 0), np.float32)
        self.stages_ms: dict[str, float] = {}

    def fit(
        self, rgb: npt.NDArray[np.uint8], importance: FloatArray, lambda_map: FloatArray, lambda_: float, plan: KeyPlan
    ) -> KeyCommands:
        """Return the key frame of a picture [H, W, 3].

        importance: weight of each 16 px block, for the start; lambda_map: factor on lambda, both [rows, columns].
        """
        levels, session, roles = self._fitted(rgb, importance, lambda_, plan)
        started = time.perf_counter()
        self._load(session, roles, plan)
        kept = self._sweep(session, lambda_map, lambda_, plan)
        self._lap("sweeps", started)
        lead = kept[:, 8] == _LEAD
        return KeyCommands(levels, kept[:, :8].copy(), lead if lead.any() else None)

    def begin(
        self, rgb: npt.NDArray[np.uint8], importance: FloatArray, lambda_map: FloatArray, lambda_: float, plan: KeyPlan
    ) -> tuple[KeyCommands, IntArray]:
        """Return a key frame of the lead alone, and the splats [n, 9] that are to follow.

        The lead is swept `plan.sweeps` times with the others in place. A picture too small for a lead comes whole.
        """
        levels, session, roles = self._fitted(rgb, importance, lambda_, plan)
        started = time.perf_counter()
        lead = roles == _LEAD
        self._load(session, np.where(lead | ~lead.any(), roles, _PENDING).astype(np.int32), plan)
        for _ in range(plan.sweeps if lead.any() else _SWEEPS_OF_SMALL):
            self._engine.sweep(lambda_, lambda_map, changes=True, deletes=True)
        kept = self._engine.splats()[: self.max_splats, :8].copy()
        self._lap("sweeps", started)
        pool = _as_rows(quantize_key(self._epoch, session.splats()))[~lead & lead.any()]
        return KeyCommands(levels, kept), pool

    def lead_errors(self) -> FloatArray:
        """Return the squared error of the picture that `begin` made in each 64 px cell, [rows, columns]."""
        rows, columns = self._epoch.grid(KEY_CELL_PX)
        errors = self._engine.lead_errors(KEY_CELL_PX)
        return errors.reshape(rows, columns) if len(errors) else np.zeros((rows, columns), np.float32)

    def _fitted(
        self, rgb: npt.NDArray[np.uint8], importance: FloatArray, lambda_: float, plan: KeyPlan
    ) -> tuple[IntArray, NativeFit, IntArray]:
        """Return the base's levels, the fit after all iterations and the splats' roles [n]; set the engine's target."""
        self.stages_ms = {}
        started = time.perf_counter()
        target = _native.to_ycc(rgb, self._threads)
        levels = quantize_base(base_means(target, self._epoch.base_shape))
        self._set_base(levels * KEY_BASE_STEPS[:, None, None])
        splats, roles = self._start(target, importance, lambda_, plan)
        started = self._lap("place", started)
        session = NativeFit(target, self._base, threads=self._threads)
        session.start(splats)
        session.set_lead(roles == _LEAD, plan.lead_weight)
        run = session.run_by_rows if plan.hasty else session.run
        run(plan.iterations - plan.quantized_iterations, _RATE)
        session.set_lattice(self._epoch.steps)
        session.run(plan.quantized_iterations, _RATE_LATE)
        self._lap("fit", started)
        self._engine.set_target(rgb)
        return levels, session, roles

    def _start(
        self, target: FloatArray, importance: FloatArray, lambda_: float, plan: KeyPlan
    ) -> tuple[SplatSet, IntArray]:
        """Return where the splats start, and their roles [n]: a lead spread over the picture, and the others."""
        count = self._start_count(lambda_, plan)
        lead_count = min(_LEAD_SPLATS, count // _SPLATS_A_LEAD) if plan.lead_weight > 0 else 0
        if count < _LEAST_WITH_LEAD:
            lead_count = 0
        splats = place(target, importance, count, self._seed)
        roles = np.zeros(len(splats), np.int32)
        if lead_count:
            lead = self._placed_lead(target, importance, lead_count, plan)
            roles = np.concatenate([roles, np.full(len(lead), _LEAD, np.int32)])
            splats = unpack_splats(np.vstack([pack_splats(splats), pack_splats(lead)]))
        return splats, roles

    def _placed_lead(self, target: FloatArray, importance: FloatArray, count: int, plan: KeyPlan) -> SplatSet:
        """Return where the lead starts: its splats are so large that half as many px either way tell as much."""
        if not plan.hasty:
            return place(target, importance, count, self._seed)
        _, height, width = target.shape
        even = target[:, : height // 2 * 2, : width // 2 * 2]
        halved = even[:, ::2] + even[:, 1::2]
        halved = (halved[..., ::2] + halved[..., 1::2]) * np.float32(0.25)
        rows, columns = -(-halved.shape[1] // 16), -(-halved.shape[2] // 16)
        lead = place(halved, importance[: 2 * rows : 2, : 2 * columns : 2], count, self._seed)
        return replace(lead, means_px=2 * lead.means_px + 0.5, log_scale=lead.log_scale + np.float32(np.log(2)))

    def _load(self, session: NativeFit, roles: IntArray, plan: KeyPlan) -> None:
        """Give the engine the splats of the fit."""
        rows = _as_rows(quantize_key(self._epoch, session.splats()))
        self._engine.load(rows, roles, self._samples, self._base, plan.lead_weight)

    def _set_base(self, samples: IntArray) -> None:
        """Take base samples [3, bh, bw] and draw them, unless they are those there already."""
        if not np.array_equal(samples, self._samples):
            self._samples = samples.copy()
            self._base = self._base_picture(samples)

    def _lap(self, stage: str, started: float) -> float:
        """Note a stage's time; returns now."""
        now = time.perf_counter()
        self.stages_ms[stage] = (now - started) * 1000
        return now

    def _start_count(self, lambda_: float, plan: KeyPlan) -> int:
        """Return how many splats to start from: more where lambda will let more stay."""
        pixels = self._epoch.width_px * self._epoch.height_px
        share = (_LAMBDA_REFERENCE / lambda_) ** _START_EXPONENT
        count = plan.start_factor * share * pixels / _PX_PER_SPLAT
        return int(min(max(count, _LEAST_SPLATS), 1.5 * self.max_splats, pixels))

    def _sweep(
        self,
        session: NativeFit,
        lambda_map: FloatArray,
        lambda_: float,
        plan: KeyPlan,
    ) -> IntArray:
        """Sweep with deletion, the last time without; refit the survivors in between. Returns what is left, [n, 9]."""
        for index in range(plan.sweeps):
            self._engine.sweep(lambda_, lambda_map, changes=True, deletes=index < plan.sweeps - 1)
            if index in plan.refit_after and plan.refit_iterations:
                kept = self._engine.splats()
                roles = np.ascontiguousarray(kept[:, 8])
                session.start(_as_splats(kept[:, :8]))
                session.set_lead(roles == _LEAD, plan.lead_weight)
                session.set_lattice(None)
                session.run(plan.refit_iterations, plan.refit_rate)
                self._load(session, roles, plan)
        return self._thinned(lambda_map, lambda_)

    def _thinned(self, lambda_map: FloatArray, lambda_: float) -> IntArray:
        """Return the splats, at most as many as are allowed: those that earn least for their bits go first."""
        kept = self._engine.splats()
        if len(kept) <= self.max_splats:
            return kept
        pressure = 1.0
        while len(kept) > self.max_splats and pressure < _MOST_PRESSURE:
            pressure *= _PRESSURE_STEP
            self._engine.sweep(pressure * lambda_, lambda_map, changes=False, deletes=True)
            kept = self._engine.splats()
        self._engine.sweep(lambda_, lambda_map, changes=True, deletes=False)
        return self._engine.splats()[: self.max_splats]

    def _base_picture(self, samples: IntArray) -> FloatArray:
        """Return the base as a picture [3, H, W]."""
        state = SplatState.empty(self._epoch)
        state.base[...] = samples
        return render(state, threads=self._threads)


def _as_rows(lattice: IntArray) -> IntArray:
    """Return splats [n, 8] with their kind, [n, 9]."""
    return np.hstack([lattice, np.full((len(lattice), 1), KIND_NORMALISED, np.int32)])


def _as_splats(lattice: IntArray) -> SplatSet:
    """Return splats of a key lattice [n, 8] as floats."""
    return dequantize_splats(_as_rows(lattice))


def base_means(target: FloatArray, base_shape: tuple[int, int, int]) -> FloatArray:
    """Return the means of a picture [3, H, W] over the base's cells, float32 [3, bh, bw].

    Cell k of n spans px k*size//n to (k+1)*size//n, at least one.
    """
    _, rows, columns = base_shape
    _, height, width = target.shape

    def edges(size: int, cells: int) -> tuple[IntArray, IntArray]:
        first = np.minimum(np.arange(cells) * size // cells, size - 1)
        last = np.maximum((np.arange(cells) + 1) * size // cells, first + 1)
        return first.astype(np.int32), last.astype(np.int32)

    (top, bottom), (left, right) = edges(height, rows), edges(width, columns)
    sums = np.add.reduceat(np.add.reduceat(target, left, axis=2), top, axis=1, dtype=np.float64)
    areas = np.outer(bottom - top, right - left)
    return (sums / areas).astype(np.float32)
