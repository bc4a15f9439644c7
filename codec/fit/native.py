"""The C++ fit: one pass over the picture an iteration, threads over its columns, GIL released."""

import numpy as np

from codec.fit.backend import lattice_steps, pack_splats, unpack_splats
from codec.native import _native
from codec.types import BoolArray, FloatArray, SplatSet, Steps

__all__ = ["NativeFit", "fit"]

ChannelWeights = tuple[float, float, float]


class NativeFit:
    """A FitSession on the processor. Its results do not depend on the number of threads."""

    def __init__(
        self,
        target: FloatArray,  # [3, H, W] Y, Cb, Cr in 1/255
        base: FloatArray,  # [3, H, W]
        weight: FloatArray | None = None,  # [H, W]
        channel_weights: ChannelWeights = (1.0, 1.0, 1.0),
        threads: int = 2,
    ) -> None:
        """Copy the picture. Raises ValueError if the shapes disagree or threads is not in 1..64."""
        weights = None if weight is None else np.ascontiguousarray(weight, np.float32)
        pictures = np.ascontiguousarray(target, np.float32), np.ascontiguousarray(base, np.float32)
        self._fit = _native.Fit(*pictures, weights, channel_weights, threads)

    def start(self, splats: SplatSet) -> None:
        """Begin from these splats; Adam's moments are forgotten. Raises ValueError for additive ones."""
        self._fit.set_splats(pack_splats(splats))

    def set_lattice(self, steps: Steps | None) -> None:
        """From now on draw splats as a key frame would code them, or as they are; Adam's moments are forgotten."""
        self._fit.set_lattice(None if steps is None else lattice_steps(steps))

    def set_lead(self, lead: BoolArray, weight: float) -> None:
        """From now on let the picture of the splats flagged in `lead` [N] alone count too, `weight` times as much.

        `start` ends it. Raises ValueError for another number of flags or a negative weight.
        """
        if weight > 0 and lead.any():
            self._fit.set_lead(np.ascontiguousarray(lead, np.uint8), weight)

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""
        return self._fit.run(iterations, rate)

    def run_by_rows(self, iterations: int, rate: float) -> float:
        """As `run`, each iteration by the even or the odd rows of the picture alone, in turn: a third less time."""
        return self._fit.run_by_rows(iterations, rate)

    def step(self, rate: float) -> float:
        """Do one iteration; return the loss before it."""
        return self._fit.step(rate)

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr."""
        return self._fit.gradients()

    def splats(self) -> SplatSet:
        """Return the splats now, in the order of `start`."""
        return unpack_splats(self._fit.splats())

    def picture(self) -> FloatArray:
        """Return the splats drawn: float32 [3, H, W]."""
        return self._fit.picture()


def fit(
    splats: SplatSet,
    base: FloatArray,
    target: FloatArray,
    weight: FloatArray | None,
    iterations: int,
    rate: float = 1.5,
    channel_weights: ChannelWeights = (1.0, 1.0, 1.0),
    lattice: Steps | None = None,
    threads: int = 2,
) -> SplatSet:
    """Return the splats after `iterations` of Adam, drawn on the key lattice of `lattice` if given."""
    session = NativeFit(target, base, weight, channel_weights, threads)
    session.start(splats)
    session.set_lattice(lattice)
    session.run(iterations, rate)
    return session.splats()
