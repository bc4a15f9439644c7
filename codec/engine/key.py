"""Key frames: content-aware start, Adam, quantised, then the closed loop with exact deletion."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codec.bitstream.tables import cost_tables
from codec.fit import NativeFit
from codec.fit.backend import pack_splats, unpack_splats
from codec.native import _native
from codec.placement import place
from codec.quantize import KEY_BASE_STEPS, dequantize_splats, quantize_base, quantize_key
from codec.render import render
from codec.types import KIND_NORMALISED, EpochRecord, FloatArray, IntArray, KeyCommands, SplatSet, SplatState

__all__ = ["KeyFrameFit", "KeyPlan", "base_means"]

_CHROMA_WEIGHT = 1.0  # of squared error in Cb and Cr against Y
_PX_PER_SPLAT = 75.0  # of a start at lambda 100; deletion keeps a third to a half
_LAMBDA_REFERENCE = 100.0
_START_EXPONENT = 0.35  # how the start grows as lambda falls
_LEAST_SPLATS = 24
_LEAD_SPLATS = 250  # of a start whose picture alone counts too: so many fit into part 0 with the base
_LEAST_WITH_LEAD = 700  # splats at the start: those of smaller frames fit into a part or two
_LEAD = 1  # role of a splat in the lead, see engine_key.hpp
_RATE, _RATE_LATE = 1.5, 0.5  # of Adam: from the start; on the lattice and on survivors
_REFIT_AFTER = 2  # index of the sweep before the refit
_PRESSURE_STEP, _MOST_PRESSURE = 1.15, 1e4  # on lambda, to bring the splats down to the number allowed


@dataclass(frozen=True)
class KeyPlan:
    """How much work one key frame may take."""

    iterations: int = 150  # of Adam from the start
    quantized_iterations: int = 40  # the last of them, with the quantiser in the forward pass
    refit_iterations: int = 40  # of Adam on the survivors, after the third sweep
    sweeps: int = 10
    start_factor: float = 1.0  # on the number of splats at the start
    lead_weight: float = 0.01  # of the error of the lead's picture alone, part 0 of a frame in parts; 0: no lead


class KeyFrameFit:
    """Fits one picture with splats on the key lattice."""

    def __init__(self, epoch: EpochRecord, max_splats: int, threads: int, seed: int, table_set: int = 0) -> None:
        """Make a fit for pictures of this epoch's size; its blocks do not matter here."""
        steps = epoch.steps
        self._epoch = epoch
        self._max_splats = max_splats
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
        self.stages_ms: dict[str, float] = {}

    def fit(
        self, rgb: npt.NDArray[np.uint8], importance: FloatArray, lambda_map: FloatArray, lambda_: float, plan: KeyPlan
    ) -> KeyCommands:
        """Return the key frame of a picture [H, W, 3].

        importance: weight of each 16 px block, for the start; lambda_map: factor on lambda, both [rows, columns].
        """
        self.stages_ms = {}
        started = time.perf_counter()
        target = _native.to_ycc(rgb, self._threads)
        levels = quantize_base(base_means(target, self._epoch.base_shape))
        samples = levels * KEY_BASE_STEPS[:, None, None]
        base = self._base_picture(samples)
        splats, roles = self._start(target, importance, lambda_, plan)
        started = self._lap("place", started)
        session = NativeFit(target, base, threads=self._threads)
        session.start(splats)
        session.set_lead(roles == _LEAD, plan.lead_weight)
        session.run(plan.iterations - plan.quantized_iterations, _RATE)
        session.set_lattice(self._epoch.steps)
        session.run(plan.quantized_iterations, _RATE_LATE)
        started = self._lap("fit", started)
        self._engine.set_target(rgb)
        self._load(session, roles, samples, base, plan)
        kept = self._sweep(session, samples, base, lambda_map, lambda_, plan)
        self._lap("sweeps", started)
        lead = kept[:, 8] == _LEAD
        return KeyCommands(levels, kept[:, :8].copy(), lead if lead.any() else None)

    def _start(
        self, target: FloatArray, importance: FloatArray, lambda_: float, plan: KeyPlan
    ) -> tuple[SplatSet, IntArray]:
        """Return where the splats start, and their roles [n]: a lead spread over the picture, and the others."""
        count = self._start_count(lambda_, plan)
        lead_count = _LEAD_SPLATS if plan.lead_weight > 0 and count >= _LEAST_WITH_LEAD else 0
        splats = place(target, importance, count, self._seed)
        roles = np.zeros(len(splats), np.int32)
        if lead_count:
            lead = place(target, importance, lead_count, self._seed)
            roles = np.concatenate([roles, np.full(len(lead), _LEAD, np.int32)])
            splats = unpack_splats(np.vstack([pack_splats(splats), pack_splats(lead)]))
        return splats, roles

    def _load(self, session: NativeFit, roles: IntArray, samples: IntArray, base: FloatArray, plan: KeyPlan) -> None:
        """Give the engine the splats of the fit."""
        lattice = quantize_key(self._epoch, session.splats())
        kinds = np.full((len(lattice), 1), KIND_NORMALISED, np.int32)
        self._engine.load(np.hstack([lattice, kinds]), roles, samples, base, plan.lead_weight)

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
        return int(min(max(count, _LEAST_SPLATS), 1.5 * self._max_splats, pixels))

    def _sweep(
        self,
        session: NativeFit,
        samples: IntArray,
        base: FloatArray,
        lambda_map: FloatArray,
        lambda_: float,
        plan: KeyPlan,
    ) -> IntArray:
        """Sweep with deletion, the last time without; refit the survivors once. Returns what is left, [n, 9]."""
        for index in range(plan.sweeps):
            self._engine.sweep(lambda_, lambda_map, changes=True, deletes=index < plan.sweeps - 1)
            if index == _REFIT_AFTER and plan.refit_iterations:
                kept = self._engine.splats()
                roles = np.ascontiguousarray(kept[:, 8])
                session.start(_as_splats(kept[:, :8]))
                session.set_lead(roles == _LEAD, plan.lead_weight)
                session.set_lattice(None)
                session.run(plan.refit_iterations, _RATE_LATE)
                self._load(session, roles, samples, base, plan)
        return self._thinned(lambda_map, lambda_)

    def _thinned(self, lambda_map: FloatArray, lambda_: float) -> IntArray:
        """Return the splats, at most as many as are allowed: those that earn least for their bits go first."""
        kept = self._engine.splats()
        if len(kept) <= self._max_splats:
            return kept
        pressure = 1.0
        while len(kept) > self._max_splats and pressure < _MOST_PRESSURE:
            pressure *= _PRESSURE_STEP
            self._engine.sweep(pressure * lambda_, lambda_map, changes=False, deletes=True)
            kept = self._engine.splats()
        self._engine.sweep(lambda_, lambda_map, changes=True, deletes=False)
        return self._engine.splats()[: self._max_splats]

    def _base_picture(self, samples: IntArray) -> FloatArray:
        """Return the base as a picture [3, H, W]."""
        state = SplatState.empty(self._epoch)
        state.base[...] = samples
        return render(state, threads=self._threads)


def _as_splats(lattice: IntArray) -> SplatSet:
    """Return splats of a key lattice [n, 8] as floats."""
    kinds = np.full((len(lattice), 1), KIND_NORMALISED, np.int32)
    return dequantize_splats(np.hstack([lattice, kinds]))


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
    total = np.zeros((3, height + 1, width + 1))
    total[:, 1:, 1:] = np.cumsum(np.cumsum(target, axis=1, dtype=np.float64), axis=2)
    sums = (
        total[:, bottom][:, :, right]
        - total[:, top][:, :, right]
        - total[:, bottom][:, :, left]
        + total[:, top][:, :, left]
    )
    areas = np.outer(bottom - top, right - left)
    return (sums / areas).astype(np.float32)
