"""The P-frame engine behind typed calls: a state and a picture in, commands out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from codec.bitstream.tables import cost_tables
from codec.native import _native
from codec.render import render
from codec.slots import cell_ranks
from codec.types import CellLevel, EpochRecord, FloatArray, FrameWork, IntArray, PCommands, ShiftLevel, SplatState

__all__ = ["CHROMA_WEIGHT", "EngineHabits", "PFrameEngine", "PFrameFigures", "PFramePlan"]

Value = TypeVar("Value")

CHROMA_WEIGHT = 0.5  # of squared error in Cb and Cr against Y, in P-frames

_WORK_STAGES = ("cells", "sweeps", "births")
_SHARE_OF_DENSITY = (0.01, 0.05)  # changed splats a slot: below the first, density 1; below the second, 2; else 3


@dataclass(frozen=True)
class PFramePlan:
    """How much work one P-frame may take."""

    lambda_: float  # squared error (0..255 scale) that one bit must save
    sweeps: int = 8
    max_births: int = 24
    light: bool = True
    affine: bool = True
    cell_affine: bool = True
    cell_shift: bool = True
    work: FrameWork | None = None  # bounds in work units; None: none
    # Time after which the engine starts no more work, whatever its units, 0: none. What its jobs lose to other
    # processes is added, up to as much again.
    clock_s: float = 0.0
    growth_bits: float = 7200.0  # that new splats may take where a picture is still growing
    growth_lambda: float = 120.0  # likewise, in place of lambda_
    bits: float = 0.0  # that the frame's commands may take, about; 0: no limit
    screen: bool = False  # look only where the error has risen since the last frame, most first
    quick: bool = False  # motion by matching pixels, not flows; colours before all else; fewer and coarser trials


@dataclass(frozen=True)
class PFrameFigures:
    """What the engine did."""

    changed: int  # splats updated, born or dead
    unvisited: int  # splats the budget left out
    trials: int
    matrices: int
    squared_error: float
    stages_ms: dict[str, float]
    steps: tuple[int, int, int]  # of counted work in cells, sweeps and births
    worked_ms: tuple[float, float, float]  # wall time of it
    cut: int  # job from which on nothing started, -1: none
    bits: float = 0.0  # of all commands, as the engine counts them
    shared_bits: float = 0.0  # of those that must be in a frame's first part
    swept: int = 0  # new splats swept, once for each time, while the picture grows
    swept_ms: float = 0.0  # wall time of that
    lost_ms: float = 0.0  # wall time that other processes took from the engine's jobs


@dataclass(frozen=True)
class EngineHabits:
    """What an engine goes by that no state holds."""

    table_set: int
    last_set: int
    share_changed: float


class PFrameEngine:
    """Holds the picture of one state and moves both on, frame by frame. Not for two threads at once."""

    def __init__(self, epoch: EpochRecord, threads: int, table_set: int = 0, reserve: int = 0) -> None:
        """Make an engine for states of this epoch; load() one before encode(). reserve: slots after the state's own."""
        steps = epoch.steps
        self.table_set = table_set  # whose costs decisions go by
        self._last_set = table_set  # that of the last frame
        self._epoch = epoch
        self._threads = threads
        self._share_changed = 0.02
        self._engine = _native.PEngine(
            epoch.width_px,
            epoch.height_px,
            epoch.slots,
            CHROMA_WEIGHT,
            [steps.mean, steps.shape, steps.luma, steps.chroma],
            cost_tables(table_set),
            cell_ranks(epoch.width_px, epoch.height_px).ravel().tolist(),
            threads,
            reserve,
        )

    def load(self, state: SplatState) -> None:
        """Take a state over, as after a key frame or from another encoder."""
        self._load(state, state.splats)

    def set_target(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Set the frame to encode, [H, W, 3]."""
        self._engine.set_target(rgb)

    def luma(self) -> npt.NDArray[np.uint8]:
        """Return the luma of the state's picture, [H, W]."""
        return self._engine.luma()

    def encode(
        self, flows: Sequence[FloatArray], lambda_map: FloatArray, plan: PFramePlan
    ) -> tuple[PCommands, PFrameFigures]:
        """Work out the commands that bring the state nearer to the target; the state inside moves on with them.

        flows: px, float32 [2, H, W] each; lambda_map: factor on lambda for each 16 px block, float32 [rows, columns].
        """
        work = plan.work or FrameWork()
        found, measured = self._engine.encode(
            list(flows),
            lambda_map,
            plan.lambda_,
            sweeps=plan.sweeps,
            max_births=plan.max_births,
            density=self._density(),
            light=plan.light,
            affine=plan.affine,
            cell_affine=plan.cell_affine,
            cell_shift=plan.cell_shift,
            screen=plan.screen,
            quick=plan.quick,
            units=work.units,
            prices=list(work.prices[: len(_WORK_STAGES)]),
            cut=work.cut,
            clock_s=plan.clock_s,
            bits=plan.bits,
        )
        commands = _commands(found)
        updated = len(commands.update_slots) + len(commands.death_slots)
        self._share_changed = 0.5 * self._share_changed + 0.5 * updated / self._epoch.slots
        figures = PFrameFigures(
            changed=updated + len(commands.births),
            unvisited=int(measured["unvisited"]),
            trials=int(measured["trials"]),
            matrices=int(measured["matrices"]),
            squared_error=measured["squared_error"],
            stages_ms={name: measured[f"{name}_ms"] for name in ("render", "light", "affine", *_WORK_STAGES)},
            steps=_of_stages(int(measured[f"{name}_steps"]) for name in _WORK_STAGES),
            worked_ms=_of_stages(measured[f"{name}_worked_ms"] for name in _WORK_STAGES),
            cut=int(measured["cut"]),
            lost_ms=measured["lost_ms"],
            bits=measured["bits"],
            shared_bits=measured["shared_bits"],
        )
        return commands, figures

    def store(self, state: SplatState) -> None:
        """Write the splats, base and vectors that the engine holds now into a state of its epoch."""
        state.splats[...] = self._engine.splats()[: len(state.splats)]
        state.base[...] = self._engine.samples().reshape(state.base.shape)
        state.vectors[...] = self._engine.vectors()

    def follow_tables(self, table_set: int) -> None:
        """Take note of the set that a frame was coded by; one that two frames in a row take is what costs go by."""
        if table_set == self._last_set:
            self._go_by(table_set)
        self._last_set = table_set

    def habits(self) -> EngineHabits:
        """Return what the engine goes by, to go back to."""
        return EngineHabits(self.table_set, self._last_set, self._share_changed)

    def take_up(self, habits: EngineHabits) -> None:
        """Go by what it once went by; the state of that moment is to be loaded, too."""
        self._go_by(habits.table_set)
        self._last_set, self._share_changed = habits.last_set, habits.share_changed

    def _go_by(self, table_set: int) -> None:
        """Take the costs of a table set for decisions."""
        if table_set != self.table_set:
            self._engine.set_costs(cost_tables(table_set))
            self.table_set = table_set

    def _load(self, state: SplatState, splats: IntArray) -> None:
        """Take a state over with these splats [slots + reserve, 9] in place of its own."""
        base_only = SplatState(state.epoch, np.zeros_like(state.splats), state.base, state.vectors)
        base = render(base_only, threads=self._threads)
        self._engine.load(splats, state.vectors, state.base, base)

    def _density(self) -> int:
        """Return the context that costs of updates assume, from how many changed lately."""
        return 1 + sum(self._share_changed >= share for share in _SHARE_OF_DENSITY)


def _commands(found: dict[str, object]) -> PCommands:
    """Return the engine's dictionary as commands; empty levels are left out."""
    levels = [CellLevel(on != 0, vectors, affine) for on, vectors, affine in found["cells"]]  # type: ignore[attr-defined]
    any_on = any(bool(level.on.any()) for level in levels)
    shifts = [None if shift is None else ShiftLevel(shift) for shift in found["shifts"]]  # type: ignore[attr-defined]
    return PCommands(
        light=None if found["light"] is None else _ints(found["light"]),
        affine=None if found["affine"] is None else _ints(found["affine"]),
        affine_shape=bool(found["affine_shape"]),
        cells=(levels[0], levels[1], levels[2], levels[3]) if any_on else None,
        shifts=(shifts[0], shifts[1]),
        update_slots=_ints(found["update_slots"]),
        update_deltas=_ints(found["update_deltas"]),
        death_slots=_ints(found["death_slots"]),
        births=_ints(found["births"]),
    )


def _of_stages(values: Iterable[Value]) -> tuple[Value, Value, Value]:
    """Return one value for each stage of the work."""
    cells, sweeps, births = values
    return cells, sweeps, births


def _ints(values: object) -> npt.NDArray[np.int32]:
    """Return an array of the engine as int32."""
    return np.asarray(values, np.int32)
