"""The P-frame engine while a picture is still growing: a lead is there, the other splats come with later frames.

The engine inside holds the whole picture, those still to come in slots of its own after the state's: a reserve. Motion
and changes of the state's splats are decided as if all were there. The reserve itself goes with the flow and is swept
against the newest picture just before it is sent, so that what has become useless since the start is not sent at all.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from codec.bitstream.tables import cost_tables
from codec.engine.pframe import PFrameEngine, PFrameFigures, PFramePlan
from codec.native import _native
from codec.slots import KEY_CELL_PX, blocks_for, cell_ranks, deal_slots
from codec.state import free_slots
from codec.types import (
    BLOCK_SLOTS,
    KIND_DEAD,
    KIND_NORMALISED,
    BoolArray,
    EpochRecord,
    FloatArray,
    FrameWork,
    IntArray,
    PCommands,
    SplatState,
)

__all__ = ["GrowingEngine", "Growth"]

_WORK_SHARE = 0.4  # of a frame's work that is kept for growing; it may have what the rest leaves, too
_LEAST_SWEPT = 32  # splats of the reserve in each frame, whatever its work
_MOST_PASSES = 2  # of sweeps over what a frame sends
_LONGEST_S = 3.0  # that a picture grows: what has not been sent by then is given up
_SURVIVING = 0.62  # of a reserve, before any of it was swept
_SPLAT_BITS = 28.0  # of a new splat, likewise
_PART_BITS = 8500.0  # of a frame whose new splats come in one part with all else, headers left out
_ONE_PART_SHARE = 0.55  # of that: where other commands leave so much, a frame keeps to one part
_LEAST_TRIED = 20  # fewer new splats that do not fit into a frame wait for the next
_KEPT = 0.8  # of new splats that are tried again where a frame had no room for all


@dataclass(frozen=True)
class Growth:
    """What is still to come, and what is known of it."""

    reserve: IntArray  # [n, 9]
    surviving: float  # share of a reserve that sweeps leave
    splat_bits: float
    frames_left: int  # in which the picture may still grow


class GrowingEngine(PFrameEngine):
    """Brings new splats along with each frame, a range of 64 px cells along the Hilbert curve at a time.

    It is the range whose error is largest among those that the frame has bits for. When all have come, or too much time
    has passed, it goes on as a plain engine. After `encode` comes `store`, `place`, and `settle` if the frame is sent.
    """

    def __init__(
        self, epoch: EpochRecord, threads: int, pool: IntArray, lead: int, errors: FloatArray, max_splats: int
    ) -> None:
        """Make an engine for states of this epoch with `lead` splats at first; the pool [n, 9] is still to come.

        errors: squared error of the first picture in each 64 px cell, [rows, columns].
        """
        self._reserve_slots = BLOCK_SLOTS * -(-len(pool) // BLOCK_SLOTS)
        super().__init__(epoch, threads, reserve=self._reserve_slots)
        steps = epoch.steps
        self._reserve = _native.Reserve(
            self._engine,
            list(steps.key_mean),
            [steps.key_scale, steps.key_shape, steps.key_luma, steps.key_chroma],
            cost_tables(self.table_set),
        )
        self._max_splats = max_splats
        self._lead_blocks = blocks_for(lead)
        self._first_ranks = np.sort(self._ranks(pool))
        self._errors = np.zeros(errors.size)
        self._errors[cell_ranks(epoch.width_px, epoch.height_px)] = errors
        frames = max(1, round(_LONGEST_S * epoch.fps[0] / epoch.fps[1]))
        self._growth = Growth(pool, _SURVIVING, _SPLAT_BITS, frames)  # before the frame
        self._surviving, self._splat_bits = _SURVIVING, _SPLAT_BITS
        self._sent = np.zeros(0, np.int32)  # slots of the reserve that a frame's new splats are in
        self._placed = self._sent, self._sent  # those that found a slot of the state, and these slots
        self._before = SplatState.empty(epoch)

    @staticmethod
    def expected_splats(lead: int, pool: int) -> int:
        """Return how many splats a picture will have."""
        return lead + round(_SURVIVING * pool)

    @property
    def has_grown(self) -> bool:
        """Whether nothing is left to come."""
        return not len(self._growth.reserve)

    def growth(self) -> Growth:
        """Return what is still to come, to go back to."""
        return self._growth

    def go_back(self, growth: Growth) -> None:
        """Let what was still to come be still to come; load the state of that time, too."""
        self._growth = growth

    def load(self, state: SplatState) -> None:
        """Take a state over; what is still to come stays as it was before the last frame that was not settled."""
        self._before = state.copy()
        self._surviving, self._splat_bits = self._growth.surviving, self._growth.splat_bits
        reserve = np.zeros((self._reserve_slots, state.splats.shape[1]), np.int32)
        reserve[: len(self._growth.reserve)] = self._growth.reserve
        self._load(state, np.concatenate([state.splats, reserve]))

    def encode(
        self, flows: Sequence[FloatArray], lambda_map: FloatArray, plan: PFramePlan
    ) -> tuple[PCommands, PFrameFigures]:
        """Work out the commands of a frame, new splats included; see `PFrameEngine.encode`."""
        if self.has_grown:
            return super().encode(flows, lambda_map, plan)
        started = time.perf_counter()
        if flows:
            self._reserve.follow(flows[0])
        follow_ms = (time.perf_counter() - started) * 1000
        work = plan.work or FrameWork()
        moving = replace(work, units=ceil((1 - _WORK_SHARE) * work.units))
        moving_clock_s = (1 - _WORK_SHARE) * max(plan.clock_s - follow_ms / 1000, 0.0)
        plan = replace(plan, max_births=0, work=moving, clock_s=moving_clock_s)
        commands, figures = super().encode(flows, lambda_map, plan)
        started = time.perf_counter()
        spent = sum(steps * price for steps, price in zip(figures.steps, work.prices, strict=False))
        most_swept = max(_LEAST_SWEPT, int((work.units - spent) / work.prices[3])) if work.units else 1 << 30
        swept, swept_ms = self._grow(commands, lambda_map, plan, _room_bits(figures), most_swept)
        growth_ms = (time.perf_counter() - started) * 1000
        return commands, replace(
            figures,
            changed=figures.changed + len(commands.bulk),
            stages_ms=figures.stages_ms | {"follow": follow_ms, "growth": growth_ms},
            swept=swept,
            swept_ms=swept_ms,
        )

    def place(self, state: SplatState, commands: PCommands) -> None:
        """Bring a frame's new splats into the state as decoders do; those that find no slot wait."""
        order, _ = deal_slots(self._epoch, 0, commands.bulk)
        slots = free_slots(self._before, 0, commands.bulk_block)[: len(order)]
        order = order[: len(slots)]
        state.splats[slots, :8], state.splats[slots, 8] = commands.bulk[order], KIND_NORMALISED
        self._placed = self._sent[order], slots

    def settle(self, state: SplatState) -> None:
        """Take note that the frame is sent, which led to this state."""
        if self.has_grown:
            return
        self._reserve.move(*self._placed)
        self._before = state.copy()
        reserve = self._engine.splats()[self._epoch.slots :]
        reserve = reserve[reserve[:, 8] != KIND_DEAD]
        frames_left = self._growth.frames_left - 1
        room = self._max_splats - int(np.count_nonzero(state.splats[:, 8]))
        given_up = len(reserve) and (frames_left == 0 or room <= 0)
        self._growth = Growth(reserve[:0] if given_up else reserve, self._surviving, self._splat_bits, frames_left)
        if given_up:
            self.load(state)

    def bits_of(self, commands: PCommands) -> float:
        """Return about how many bits a frame's new splats take."""
        return self._splat_bits * len(commands.bulk)

    def hold_back(self, commands: PCommands) -> bool:
        """Keep some new splats of a frame that is too large for later; tells whether there were any."""
        count = len(commands.bulk)
        if not count:
            return False
        order, _ = deal_slots(self._epoch, 0, commands.bulk)
        kept = order[: int(_KEPT * count) if count > _LEAST_TRIED else 0]
        commands.bulk, self._sent = commands.bulk[kept], self._sent[kept]
        return True

    def _grow(
        self, commands: PCommands, lambda_map: FloatArray, plan: PFramePlan, room_bits: float, most_swept: int
    ) -> tuple[int, float]:
        """Sweep the splats of the best range of cells that the frame has bits for, and send what is left of them.

        Returns how many splats were swept, and the wall time of that in ms.
        """
        first = self._epoch.slots
        sent_bits = min(plan.growth_bits, room_bits)
        count = min(int(sent_bits / (self._surviving * self._splat_bits)), most_swept)
        splats = self._engine.splats()[first:]
        slots = splats[:, 8].nonzero()[0].astype(np.int32)
        slots = slots[self._choose(splats[slots], count)]
        passes = min(_MOST_PASSES, most_swept // max(len(slots), 1))
        started = time.perf_counter()
        bits = self._reserve.sweep(slots + np.int32(first), max(passes, 1), plan.growth_lambda, lambda_map)
        swept_ms = (time.perf_counter() - started) * 1000
        splats = self._engine.splats()[first:]
        left = slots[splats[slots, 8] != KIND_DEAD]
        self._surviving += 0.3 * (len(left) / max(len(slots), 1) - self._surviving)
        self._splat_bits += 0.3 * (bits / max(len(left), 1) - self._splat_bits) if len(left) else 0.0
        room = self._max_splats - int(np.count_nonzero(self._engine.splats()[:first, 8]))
        left = left[self._choose(splats[left], max(0, min(int(sent_bits / self._splat_bits), room)))]
        self._sent = left + np.int32(first)
        commands.bulk = splats[left, :8]
        if len(left):
            commands.bulk_block = self._block(int(self._ranks(commands.bulk).min()), len(left))
        return passes * len(slots), swept_ms

    def _ranks(self, splats: IntArray) -> IntArray:
        """Return the place of each splat's 64 px cell along the Hilbert curve, [n]."""
        ranks = cell_ranks(self._epoch.width_px, self._epoch.height_px)
        rows, columns = ranks.shape
        row = np.clip(splats[:, 1] // (16 * KEY_CELL_PX), 0, rows - 1)
        column = np.clip(splats[:, 0] // (16 * KEY_CELL_PX), 0, columns - 1)
        return ranks[row, column]

    def _choose(self, splats: IntArray, most: int) -> BoolArray:
        """Return which splats [n] to take, about so many: those of the range of cells with most error."""
        if not len(splats) or not most:
            return np.zeros(len(splats), np.bool_)
        ranks = self._ranks(splats)
        counts = np.bincount(ranks, minlength=self._errors.size)
        splats_before = np.concatenate([[0], np.cumsum(counts)])
        error_before = np.concatenate([[0.0], np.cumsum(self._errors * (counts > 0))])
        ends = np.searchsorted(splats_before, splats_before[:-1] + most, side="right") - 1
        ends = np.maximum(ends, np.arange(1, len(splats_before)))
        first = int(np.argmax(np.where(counts > 0, error_before[ends] - error_before[:-1], -1)))
        chosen: BoolArray = (ranks >= first) & (ranks < ends[first])
        if np.count_nonzero(chosen) > 1.1 * most:  # of one crowded cell the coarse ones come first
            order = np.argsort(np.where(chosen, -splats[:, 2], 1 << 20), kind="stable")
            chosen = np.zeros(len(ranks), np.bool_)
            chosen[order[:most]] = True
        return chosen

    def _block(self, rank: int, splats: int) -> int:
        """Return the block where splats from a rank on belong, so that all lie along the Hilbert curve in the end."""
        share = np.searchsorted(self._first_ranks, rank) / len(self._first_ranks)
        filled = blocks_for(round(_SURVIVING * len(self._first_ranks)))
        block = min(self._lead_blocks + int(share * filled), self._epoch.blocks - 1)
        while block and len(free_slots(self._before, 0, block)) < splats:
            block -= 1
        return block


def _room_bits(figures: PFrameFigures) -> float:
    """Return the bits that a frame's first part has for new splats beside all other commands, or those it must hold."""
    alone = _PART_BITS - figures.bits
    return alone if alone >= _ONE_PART_SHARE * _PART_BITS else max(_PART_BITS - figures.shared_bits, 0.0)
