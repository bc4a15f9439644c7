"""States with splats of both kinds, and pictures made of others, for tests of the engine."""

import numpy as np
import numpy.typing as npt

from codec.render import reference, to_rgb
from codec.types import KIND_ADDITIVE, KIND_NORMALISED, EpochRecord, SplatState

__all__ = ["random_state", "random_target"]


def random_state(epoch: EpochRecord, seed: int, splats: int = 60) -> SplatState:
    """Return a state of an epoch with this many live splats of both kinds."""
    rng = np.random.default_rng(seed)
    state = SplatState.empty(epoch)
    state.base[0] = rng.integers(200, 800, state.base.shape[1:])
    state.base[1:] = rng.integers(-100, 100, (2, *state.base.shape[1:]))
    slots = rng.permutation(epoch.slots)[:splats]
    rows = np.column_stack(
        [
            rng.integers(-100, 16 * epoch.width_px + 100, splats),
            rng.integers(-100, 16 * epoch.height_px + 100, splats),
            rng.integers(10, 150, splats),
            rng.integers(-40, 40, splats),
            rng.integers(-40, 40, splats),
            rng.integers(0, 1020, splats),
            rng.integers(-200, 200, splats),
            rng.integers(-200, 200, splats),
            np.where(rng.random(splats) < 0.2, KIND_ADDITIVE, KIND_NORMALISED),
        ]
    )
    rows[rows[:, 8] == KIND_ADDITIVE, 5:8] //= 4
    state.splats[slots] = rows
    return state


def random_target(epoch: EpochRecord, seed: int) -> npt.NDArray[np.uint8]:
    """Return a smooth picture [H, W, 3] of an epoch's size."""
    return to_rgb(reference.render(random_state(epoch, seed + 1000, 40)))
