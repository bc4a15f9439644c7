"""Random states and frames for the codec's tests, and comparison of what was parsed."""

from dataclasses import fields, is_dataclass

import numpy as np

from codec.bitstream import parse_frame, serialize_key
from codec.quantize import field_high, field_low, saturate_base
from codec.state import apply_frame
from codec.types import EpochRecord, PCommands, SplatState
from tests.vectors.generate import (
    Random,
    integers,
    random_births,
    random_cells,
    random_key,
    random_shifts,
    random_updates,
)

__all__ = ["equal", "keyed_state", "noise_state", "random_commands", "random_epoch"]


def random_epoch(rng: Random, max_blocks: int = 12) -> EpochRecord:
    """Return an epoch of some small size."""
    width, height = (int(rng.integers(1, 300)) for _ in range(2))
    return EpochRecord(int(rng.integers(0, 65536)), width, height, (30, 1), (int(rng.integers(1, max_blocks + 1)),), 48)


def keyed_state(rng: Random, epoch: EpochRecord, splats: int) -> SplatState:
    """Return the state after a random key frame."""
    state = SplatState.empty(epoch)
    apply_frame(state, parse_frame(serialize_key(epoch, 0, random_key(rng, epoch, splats)), epoch))
    return state


def noise_state(rng: Random, epoch: EpochRecord) -> SplatState:
    """Return a state of random values in their ranges, in which any slot may be dead."""
    state = SplatState.empty(epoch)
    state.splats[:, :8] = rng.integers(field_low(), field_high(epoch) + 1, (epoch.slots, 8))
    state.splats[:, 8] = rng.integers(0, 3, epoch.slots)
    state.splats[state.splats[:, 8] == 0] = 0
    state.base[:] = saturate_base(integers(rng, -600, 1100, *epoch.base_shape))
    state.vectors[:] = integers(rng, -300, 300, *epoch.vectors_shape)
    state.frame_number = int(rng.integers(0, 1 << 20))
    return state


def random_commands(rng: Random, state: SplatState, spread: float = 2.0, limit: int = 9) -> PCommands:
    """Return commands of which each may be there or not."""
    epoch = state.epoch
    commands = PCommands()
    if rng.random() < 0.8:
        commands = random_updates(rng, state, int(rng.integers(0, epoch.slots + 1)), spread)
        np.clip(commands.update_deltas, -16383, 16383, out=commands.update_deltas)
    if rng.random() < 0.4:
        commands.light = integers(rng, -limit, limit, 4)
    if rng.random() < 0.4:
        commands.base_delta = integers(rng, -limit, limit, *epoch.base_shape)
    if rng.random() < 0.4:
        commands.affine = integers(rng, -limit, limit, 6)
        commands.affine_shape = bool(rng.integers(0, 2))
    if rng.random() < 0.7:
        commands.cells = random_cells(rng, epoch, spread, float(rng.random()), min(limit, 200))
    if rng.random() < 0.5:
        commands.shifts = random_shifts(rng, epoch, limit)
    if rng.random() < 0.5:
        commands.births = random_births(rng, epoch, int(rng.integers(0, min(40, epoch.slots))), limit)
    if rng.random() < 0.5:
        commands.bulk_block = int(rng.integers(0, epoch.blocks))
        most = min(60, 26 * (epoch.layer_range(0)[1] - commands.bulk_block))
        commands.bulk = random_key(rng, epoch, int(rng.integers(0, max(most, 0) + 1))).splats
    return commands


def equal(a: object, b: object) -> bool:
    """Return whether two values, of dataclasses and arrays perhaps, are the same."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a) and type(a) is type(b):
        return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)
