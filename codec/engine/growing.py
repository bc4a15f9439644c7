"""The P-frame engine while a picture is still growing: a lead is there, the other splats come with later frames.

The engine inside holds the whole picture, those still to come in slots of its own after the state's, so that motion and
changes are decided as if all were there. What is decided of those to come costs nothing and is kept for when they come.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codec.engine.key import KeyFrameFit
from codec.engine.pframe import PFrameEngine, PFrameFigures, PFramePlan
from codec.render import render
from codec.slots import KEY_CELL_PX, blocks_for, cell_ranks, deal_slots
from codec.state import free_slots
from codec.types import (
    BLOCK_SLOTS,
    KIND_NORMALISED,
    BoolArray,
    EpochRecord,
    FloatArray,
    FrameWork,
    IntArray,
    KeyCommands,
    PCommands,
    SplatState,
)

__all__ = ["GrowingEngine", "Growth", "fewer_at_first"]

_GROWTH_S = 0.4  # in which a picture grows where rate and time allow
_SWEPT_OVER_SENT = 4.0  # splats swept over those sent, where no work bounds it
_LEAST_SWEPT = 32
_STEPS_A_SWEEP = 20_000  # of the engine's counted work that one sweep of one splat is worth
_WORK_SHARE = 0.75  # of a frame's work that growing takes
_SURVIVING = 0.62  # of a pool, before any of it was swept
_SPLAT_BITS = 28.0  # of a new splat, likewise
_LEAST_TRIED = 20  # fewer new splats that do not fit into a frame wait for the next
_KEPT_AT_FIRST = 0.95  # of the lead, where it is too large for one part
_KEPT = 0.8  # of new splats that are tried again where a frame had no room for all


@dataclass(frozen=True)
class Growth:
    """What is still to come, and what is known of it."""

    pool: IntArray  # [n, 9]
    surviving: float  # share of a pool that sweeps leave
    splat_bits: float


def fewer_at_first(commands: KeyCommands, pool: IntArray) -> tuple[KeyCommands, IntArray]:
    """Move the finest splats of a key frame that is too large for one part to those still to come, [n, 9]."""
    order = np.argsort(-commands.splats[:, 2], kind="stable")
    kept = int(_KEPT_AT_FIRST * len(order))
    later = np.insert(commands.splats[order[kept:]], 8, KIND_NORMALISED, axis=1)
    return KeyCommands(commands.base_levels, commands.splats[order[:kept]]), np.concatenate([pool, later])


class GrowingEngine(PFrameEngine):
    """Brings new splats along with each frame, a range of 64 px cells along the Hilbert curve at a time.

    It is the range whose error is largest among those that the frame has bits for. Load the state after each frame.
    """

    def __init__(self, epoch: EpochRecord, threads: int, fit: KeyFrameFit, pool: IntArray, lead: int) -> None:
        """Make an engine for states of this epoch with `lead` splats at first; the pool [n, 9] is still to come."""
        self._state_epoch = epoch
        super().__init__(replace(epoch, layers=(epoch.blocks - -len(pool) // BLOCK_SLOTS + 1,)), threads)
        self._fit = fit
        self._pool = pool
        self._lead_blocks = blocks_for(lead)
        self._first_ranks = np.sort(self._ranks(pool))
        self._surviving = _SURVIVING
        self._splat_bits = _SPLAT_BITS
        frames = max(1.0, _GROWTH_S * epoch.fps[0] / epoch.fps[1])
        self._pace_bits = _SURVIVING * _SPLAT_BITS * len(pool) / frames
        self._before = self._after = SplatState.empty(epoch)
        self._rgb = np.zeros((0, 0, 3), np.uint8)
        self._luma = np.zeros((0, 0), np.float32)

    @staticmethod
    def expected_splats(lead: int, pool: int) -> int:
        """Return how many splats a picture will have."""
        return lead + round(_SURVIVING * pool)

    @property
    def has_grown(self) -> bool:
        """Whether nothing is left to come."""
        return not len(self._pool)

    def growth(self) -> Growth:
        """Return what is still to come, to go back to."""
        return Growth(self._pool.copy(), self._surviving, self._splat_bits)

    def go_back(self, growth: Growth) -> None:
        """Let what was still to come be still to come; load the state of that time, too."""
        self._pool, self._surviving, self._splat_bits = growth.pool, growth.surviving, growth.splat_bits

    def load(self, state: SplatState) -> None:
        """Take a state over; what is still to come stays as it is."""
        self._before = state.copy()
        super().load(self._whole(state))

    def set_target(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Set the frame to encode, [H, W, 3]."""
        self._rgb = rgb
        self._luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        super().set_target(rgb)

    def encode(
        self, flows: Sequence[FloatArray], lambda_map: FloatArray, plan: PFramePlan
    ) -> tuple[PCommands, PFrameFigures]:
        """Work out the commands of a frame, new splats included; see `PFrameEngine.encode`."""
        work = plan.work or FrameWork()
        moving = replace(work, units=round((1 - _WORK_SHARE) * work.units))
        # changes of those still to come take bits of the plan, too, but none of the frame
        crowd = 1 + len(self._pool) / max(1, int(np.count_nonzero(self._before.splats[:, 8])))
        plan = replace(
            plan, max_births=0, work=moving, clock_s=(1 - _WORK_SHARE) * plan.clock_s, bits=crowd * plan.bits
        )
        commands, figures = super().encode(flows, lambda_map, plan)
        started = time.perf_counter()
        whole = SplatState.empty(self._epoch)
        super().store(whole)
        slots = self._state_epoch.slots
        self._after = SplatState(self._state_epoch, whole.splats[:slots], whole.base, whole.vectors)
        self._pool = whole.splats[slots:][whole.splats[slots:, 8] != 0]
        known, dying = commands.update_slots < slots, commands.death_slots < slots
        commands.update_slots, commands.update_deltas = commands.update_slots[known], commands.update_deltas[known]
        commands.death_slots = commands.death_slots[dying]
        swept, swept_ms = self._grow(commands, lambda_map, replace(plan, work=work)) if len(self._pool) else (0, 0.0)
        changed = len(commands.update_slots) + len(commands.death_slots) + len(commands.bulk)
        (cells, sweeps, _), (cells_ms, sweeps_ms, _) = figures.steps, figures.worked_ms
        return commands, replace(
            figures,
            changed=changed,
            bits=figures.bits / crowd,
            stages_ms=figures.stages_ms | {"growth": (time.perf_counter() - started) * 1000},
            steps=(cells, sweeps, swept * _STEPS_A_SWEEP),  # growing takes the place of births
            worked_ms=(cells_ms, sweeps_ms, swept_ms),
        )

    def store(self, state: SplatState) -> None:
        """Write the state after the frame into one of its epoch, but for the new splats: `place` brings these."""
        state.splats[...] = self._after.splats
        state.base[...] = self._after.base
        state.vectors[...] = self._after.vectors

    def place(self, state: SplatState, commands: PCommands) -> None:
        """Bring a frame's new splats into the state as decoders do; those that find no slot are lost."""
        order, _ = deal_slots(self._state_epoch, 0, commands.bulk)
        slots = free_slots(self._before, 0, commands.bulk_block)[: len(order)]
        order = order[: len(slots)]
        state.splats[slots, :8], state.splats[slots, 8] = commands.bulk[order], KIND_NORMALISED

    def bits_of(self, commands: PCommands) -> float:
        """Return about how many bits a frame's new splats take."""
        return self._splat_bits * len(commands.bulk)

    def hold_back(self, commands: PCommands) -> bool:
        """Keep some new splats of a frame that is too large for later; tells whether there were any."""
        count = len(commands.bulk)
        if not count:
            return False
        order, _ = deal_slots(self._state_epoch, 0, commands.bulk)
        kept = int(_KEPT * count) if count > _LEAST_TRIED else 0
        back = np.insert(commands.bulk[order[kept:]], 8, KIND_NORMALISED, axis=1)
        self._pool = np.concatenate([self._pool, back])
        commands.bulk = commands.bulk[order[:kept]]
        return True

    def _whole(self, state: SplatState) -> SplatState:
        """Return a state of the engine's: the one given, and the pool after it."""
        whole = SplatState.empty(self._epoch)
        slots = self._state_epoch.slots
        whole.splats[:slots], whole.splats[slots : slots + len(self._pool)] = state.splats, self._pool
        whole.base[...], whole.vectors[...] = state.base, state.vectors
        return whole

    def _grow(self, commands: PCommands, lambda_map: FloatArray, plan: PFramePlan) -> tuple[int, float]:
        """Sweep the splats of a wide range of cells and send those of the best part of it.

        Returns how many splats were swept, and the wall time of that in ms.
        """
        errors = self._errors()
        sent_bits = min(plan.growth_bits, max(self._pace_bits, self._splat_bits))
        swept = self._choose(self._pool, errors, self._swept_bits(sent_bits, plan), self._surviving)
        made, bits, swept_ms = self._fit.grow(self._rgb, self._after, self._pool, swept, lambda_map, plan.growth_lambda)
        self._surviving += 0.3 * (len(made) / np.count_nonzero(swept) - self._surviving)
        self._splat_bits += 0.3 * (bits / max(len(made), 1) - self._splat_bits)
        rest, made = self._pool[~swept], np.insert(made, 8, KIND_NORMALISED, axis=1)
        sent = self._choose(made, errors, sent_bits, 1.0)
        room = self._fit.max_splats - int(np.count_nonzero(self._after.splats[:, 8]))
        if np.count_nonzero(sent) >= room:
            sent, rest, made = sent[sent][:room], rest[:0], made[sent][:room]
        self._pool = np.concatenate([rest, made[~sent]])
        if sent.any():
            commands.bulk = made[sent, :8]
            commands.bulk_block = self._block(int(self._ranks(made[sent]).min()), len(commands.bulk))
        return int(np.count_nonzero(swept)), swept_ms

    def _swept_bits(self, sent_bits: float, plan: PFramePlan) -> float:
        """Return the bits of the splats that a frame's work is enough to sweep."""
        if plan.work is None or plan.work.units == 0:
            return _SWEPT_OVER_SENT * sent_bits
        splats = _WORK_SHARE * plan.work.units / (_STEPS_A_SWEEP * plan.work.prices[2])
        return max(splats, _LEAST_SWEPT) * self._surviving * self._splat_bits

    def _errors(self) -> FloatArray:
        """Return the squared error of the luma that decoders see, summed over each 64 px cell [rows, columns]."""
        squared = (render(self._after, threads=self._threads)[0] - self._luma) ** 2
        rows, columns = (np.arange(0, size, KEY_CELL_PX) for size in squared.shape)
        return np.add.reduceat(np.add.reduceat(squared, rows, axis=0), columns, axis=1).astype(np.float32)

    def _ranks(self, splats: IntArray) -> IntArray:
        """Return the place of each splat's 64 px cell along the Hilbert curve, [n]."""
        ranks = cell_ranks(self._state_epoch.width_px, self._state_epoch.height_px)
        rows, columns = ranks.shape
        row = np.clip(splats[:, 1] // (16 * KEY_CELL_PX), 0, rows - 1)
        column = np.clip(splats[:, 0] // (16 * KEY_CELL_PX), 0, columns - 1)
        return ranks[row, column]

    def _choose(self, splats: IntArray, error: FloatArray, bits_in_all: float, surviving: float) -> BoolArray:
        """Return which splats [n] of a range of cells take about so many bits, if such a share of them survives."""
        if not len(splats):
            return np.zeros(0, np.bool_)
        ranks = self._ranks(splats)
        by_rank = np.zeros(error.size)
        by_rank[cell_ranks(self._state_epoch.width_px, self._state_epoch.height_px)] = error
        each = surviving * self._splat_bits
        counts = np.bincount(ranks, minlength=error.size)
        bits = np.concatenate([[0.0], np.cumsum(each * counts)])
        gains = np.concatenate([[0.0], np.cumsum(by_rank * (counts > 0))])
        ends = np.searchsorted(bits, bits[:-1] + bits_in_all, side="right") - 1
        ends = np.maximum(ends, np.arange(1, len(bits)))
        first = int(np.argmax(np.where(counts > 0, gains[ends] - gains[:-1], -1)))
        chosen: BoolArray = (ranks >= first) & (ranks < ends[first])
        most = max(1, int(1.1 * bits_in_all / each))
        if np.count_nonzero(chosen) > most:  # of one crowded cell the coarse ones come first
            order = np.argsort(np.where(chosen, -splats[:, 2], 1 << 20), kind="stable")
            chosen = np.zeros(len(ranks), np.bool_)
            chosen[order[:most]] = True
        return chosen

    def _block(self, rank: int, splats: int) -> int:
        """Return the block where splats from a rank on belong, so that all lie along the Hilbert curve in the end."""
        share = np.searchsorted(self._first_ranks, rank) / len(self._first_ranks)
        filled = blocks_for(round(_SURVIVING * len(self._first_ranks)))
        block = min(self._lead_blocks + int(share * filled), self._state_epoch.blocks - 1)
        while block and len(free_slots(self._before, 0, block)) < splats:
            block -= 1
        return block
