"""The gsvc fit by C++: Adam on additive splats, threads over the picture's columns, GIL released."""

from typing import Protocol

import numpy as np

from codec.gsvc.lattice import PARAMETERS, Lattice
from codec.native import _native
from codec.types import FloatArray

__all__ = ["ADAM", "GsvcFitSession", "NativeGsvcFit", "check_rows"]

AdamConstants = tuple[float, float, float, float, float]
ChannelWeights = tuple[float, float, float]

# Steps at rate 1 of means (px over sqrt(sigma)), of ln p, k, ln r, of colours (1/255); then Adam's two memories. Short
# memories: there is no noise to average away. Against (0.25, 0.1, 3.4, 0.9, 0.99): +4 dB after 150 iterations (akiyo).
ADAM: AdamConstants = (1.0, 0.2, 10.0, 0.85, 0.8)


class GsvcFitSession(Protocol):
    """A picture to fit and the splats as they stand, rows of lattice.py. Calls must not overlap."""

    def start(self, rows: FloatArray) -> None:
        """Begin from these splats [N, 8], drawn as they are; Adam's moments are forgotten."""

    def set_lattice(
        self, lattice: Lattice | None, anchors: FloatArray | None = None, bias: float = 0.5, calm: float = 0.0
    ) -> None:
        """From now on draw values a whole number of steps from their anchors [N, 8] (default 0), or as they are.

        A value is rounded away from its anchor from a fraction of 1 - bias of a step on; gradients pass straight
        through. Adam hardly moves what would lower the loss by less than `calm` a step. Its moments are forgotten.
        """

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8]."""

    def rows(self) -> FloatArray:
        """Return the splats now, in the order of `start`, not rounded."""

    def drawn(self) -> FloatArray:
        """Return the splats as they are drawn."""


class NativeGsvcFit:
    """A GsvcFitSession on the processor. Its results do not depend on the number of threads."""

    def __init__(
        self,
        target: FloatArray,  # [3, H, W] Y, Cb, Cr in 1/255
        channel_weights: ChannelWeights = (1.0, 1.0, 1.0),
        adam: AdamConstants = ADAM,
        threads: int = 2,
    ) -> None:
        """Copy the picture. Raises ValueError if its shape is wrong or threads is not in 1..64."""
        self._fit = _native.GsvcFit(np.ascontiguousarray(target, np.float32), channel_weights, adam, threads)

    def start(self, rows: FloatArray) -> None:
        """Begin from these splats [N, 8], drawn as they are; raises ValueError unless they are finite."""
        self._fit.set_splats(check_rows(rows))

    def set_lattice(
        self, lattice: Lattice | None, anchors: FloatArray | None = None, bias: float = 0.5, calm: float = 0.0
    ) -> None:
        """From now on draw values on a lattice about their anchors [N, 8] (default 0), or as they are."""
        steps = None if lattice is None else (*lattice.natural, bias, calm)
        self._fit.set_lattice(steps, None if anchors is None else check_rows(anchors))

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""
        return self._fit.run(iterations, rate)

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8]."""
        return self._fit.gradients()

    def rows(self) -> FloatArray:
        """Return the splats now, in the order of `start`, not rounded."""
        return self._fit.splats()

    def drawn(self) -> FloatArray:
        """Return the splats as they are drawn."""
        return self._fit.drawn()


def check_rows(rows: FloatArray) -> FloatArray:
    """Return rows [N, 8] as C-contiguous float32; raises ValueError for another shape or values that are not finite."""
    if rows.ndim != 2 or rows.shape[1] != PARAMETERS:
        raise ValueError(f"splats: expected [N, {PARAMETERS}], got {list(rows.shape)}")
    checked = np.ascontiguousarray(rows, np.float32)
    if not np.all(np.isfinite(checked)):
        raise ValueError("splats: expected finite values")
    return checked
