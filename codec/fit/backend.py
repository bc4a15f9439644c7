"""What every fit backend offers, and the constants that make the backends one.

The loss is the sum over pixels of `weight * sum_c channel_weights[c] * (picture_c - target_c)^2 / 2`, the picture that
of SPEC 1.1 with kind 1 alone. Adam runs on x, y px, the whitening a, b, c (1/px, M = A^T A, A = [[a, b], [0, c]]) and
Y, Cb, Cr.
"""

from typing import Protocol

import numpy as np

from codec.types import KIND_NORMALISED, BoolArray, FloatArray, SplatSet, Steps

__all__ = ["FitSession", "lattice_steps", "pack_splats", "unpack_splats"]

PARAMETERS = 8  # x, y, log-scale, e1, e2, Y, Cb, Cr outside; x, y, a, b, c, Y, Cb, Cr inside


class FitSession(Protocol):
    """A picture to fit and the splats as they stand. Calls must not overlap."""

    def start(self, splats: SplatSet) -> None:
        """Begin from these splats; Adam's moments are forgotten."""

    def set_lattice(self, steps: Steps | None) -> None:
        """From now on draw splats as a key frame would code them (gradients pass straight through), or as they are.

        Adam's moments are forgotten.
        """

    def set_lead(self, lead: BoolArray, weight: float) -> None:
        """From now on let the picture of the splats flagged in `lead` [N] alone count too, `weight` times as much.

        The loss of `run` and `step` and what `gradients` returns leave it out; `start` ends it.
        """

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""

    def run_by_rows(self, iterations: int, rate: float) -> float:
        """As `run`, each iteration by the even or the odd rows of the picture alone, in turn."""

    def step(self, rate: float) -> float:
        """Do one iteration; return the loss before it."""

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr."""

    def splats(self) -> SplatSet:
        """Return the splats now, in the order of `start`, not rounded to any lattice."""

    def picture(self) -> FloatArray:
        """Return the splats drawn: float32 [3, H, W]."""


def pack_splats(splats: SplatSet) -> FloatArray:
    """Return [N, 8] rows x, y, log-scale, e1, e2, Y, Cb, Cr.

    Raises ValueError if a splat is not finite, or not of the normalised kind: additive ones have no place in a fit.
    """
    if np.any(splats.kinds != KIND_NORMALISED):
        raise ValueError("splats: expected the normalised kind alone")
    shape = np.stack([splats.log_scale, splats.e1, splats.e2], 1)
    rows = np.ascontiguousarray(np.concatenate([splats.means_px, shape, splats.colors], 1), np.float32)
    if not np.all(np.isfinite(rows)):
        raise ValueError("splats: expected finite values")
    return rows


def unpack_splats(rows: FloatArray) -> SplatSet:
    """Return the splats of [N, 8] rows x, y, log-scale, e1, e2, Y, Cb, Cr."""
    if rows.ndim != 2 or rows.shape[1] != PARAMETERS:
        raise ValueError(f"rows: expected [N, {PARAMETERS}], got {list(rows.shape)}")
    shape = rows[:, 2].copy(), rows[:, 3].copy(), rows[:, 4].copy()
    return SplatSet(rows[:, :2].copy(), *shape, rows[:, 5:].copy(), np.full(len(rows), KIND_NORMALISED, np.uint8))


def lattice_steps(steps: Steps) -> tuple[float, float, float, float, float, float, float, float, float]:
    """Return a key frame's steps in natural units: the mean's by size class, scale, shape, luma, chroma (SPEC 1)."""
    m0, m1, m2, m3, m4 = (step / 16 for step in steps.key_mean)
    return m0, m1, m2, m3, m4, steps.key_scale / 64, steps.key_shape / 64, steps.key_luma / 4, steps.key_chroma / 4
