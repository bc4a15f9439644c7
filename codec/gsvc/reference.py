"""The gsvc fit as its formulas say it: NumPy, in doubles, one splat at a time."""

import math

import numpy as np

from codec.fit.reference_parts import DoubleArray, Look, cosine_rates, look_at
from codec.gsvc.fit import ADAM, AdamConstants, ChannelWeights, check_rows
from codec.gsvc.lattice import Lattice
from codec.types import FloatArray

__all__ = ["ReferenceGsvcFit", "reference_picture"]

TINY = 1e-12
LOW_LOG, HIGH_LOG, MAX_SHEAR, MARGIN_PX = -0.9, 4.6, 4.0, 16.0


class ReferenceGsvcFit:
    """A GsvcFitSession in NumPy."""

    def __init__(
        self,
        target: FloatArray,  # [3, H, W] Y, Cb, Cr in 1/255
        channel_weights: ChannelWeights = (1.0, 1.0, 1.0),
        adam: AdamConstants = ADAM,
        threads: int = 1,
    ) -> None:
        """Copy the picture; `threads` is here for the twin's sake."""
        self._target = target.astype(np.float64)
        self._weights = np.array(channel_weights)[:, None, None]
        self._adam = adam
        self.start(np.zeros((0, 8), np.float32))

    def start(self, rows: FloatArray) -> None:
        """Begin from these splats [N, 8], drawn as they are; Adam's moments are forgotten."""
        self._params = check_rows(rows).astype(np.float64)
        self.set_lattice(None)

    def set_lattice(
        self, lattice: Lattice | None, anchors: FloatArray | None = None, bias: float = 0.5, calm: float = 0.0
    ) -> None:
        """From now on draw values on a lattice about their anchors [N, 8] (default 0), or as they are."""
        self._lattice, self._bias, self._calm = lattice, bias, calm
        self._anchors = np.zeros_like(self._params) if anchors is None else anchors.astype(np.float64)
        self._first, self._second = np.zeros_like(self._params), np.zeros_like(self._params)
        self._steps = 0

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""
        loss = 0.0
        for now in cosine_rates(iterations, rate):
            loss = self._step(now)
        return loss

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8]."""
        loss, gradients = self._loss_and_gradients()
        return loss, gradients.astype(np.float32)

    def rows(self) -> FloatArray:
        """Return the splats now, in the order of `start`, not rounded."""
        return self._params.astype(np.float32)

    def drawn(self) -> FloatArray:
        """Return the splats as they are drawn."""
        return self._drawn().astype(np.float32)

    def _drawn(self) -> DoubleArray:
        if self._lattice is None:
            return self._params
        steps = self._lattice.steps()
        away = (self._params - self._anchors) / steps
        drawn: DoubleArray = self._anchors + np.copysign(np.floor(np.abs(away) + self._bias), away) * steps
        return drawn

    def _step(self, rate: float) -> float:
        """Do one iteration (Kingma and Ba 2015, with a rate and an epsilon for each parameter)."""
        loss, gradients = self._loss_and_gradients()
        mean, shape, color, beta1, beta2 = self._adam
        self._steps += 1
        self._first = beta1 * self._first + (1 - beta1) * gradients
        self._second = beta2 * self._second + (1 - beta2) * gradients**2
        first, second = self._first / (1 - beta1**self._steps), self._second / (1 - beta2**self._steps)
        epsilon = TINY if self._lattice is None else TINY + self._calm / self._lattice.steps()
        rates = np.tile([mean, mean, shape, shape, shape, color, color, color], (len(self._params), 1))
        rates[:, :2] *= np.exp((self._params[:, 2] + self._params[:, 4]) / 4)[:, None]  # sqrt(sigma)
        params = self._params - rate * rates * first / (np.sqrt(second) + epsilon)
        _, height, width = self._target.shape
        params[:, :2] = params[:, :2].clip(-MARGIN_PX, np.array([width, height]) + MARGIN_PX)
        params[:, [2, 4]] = params[:, [2, 4]].clip(LOW_LOG, HIGH_LOG)
        params[:, 3] = params[:, 3].clip(-MAX_SHEAR, MAX_SHEAR)
        self._params = params
        return loss

    def _loss_and_gradients(self) -> tuple[float, DoubleArray]:
        rows = self._drawn()
        _, height, width = self._target.shape
        error = _picture(rows, width, height) - self._target
        gradients = np.zeros_like(rows)
        for row, gradient in zip(rows, gradients, strict=True):
            view = _look(row, width, height)
            near = (self._weights * error)[:, view.rows, view.columns]
            by_w = np.einsum("c,cyx->yx", row[5:], near)
            by_u, by_v = -view.u * view.w * by_w, -view.v * view.w * by_w  # d w / d u = -u w
            p, k, r = math.exp(row[2]), row[3], math.exp(row[4])
            gradient[0] = (-by_u / p).sum()
            gradient[1] = (by_u * k / r - by_v / r).sum()
            gradient[2] = (-by_u * view.dx / p).sum()
            gradient[3] = (-by_u * view.v).sum()
            gradient[4] = (by_u * k * view.v - by_v * view.v).sum()
            gradient[5:] = (near * view.w).sum((1, 2))
        return float((self._weights * error**2).sum() / 2), gradients


def reference_picture(rows: FloatArray, width: int, height: int) -> DoubleArray:
    """Return the picture [3, H, W] of splats [N, 8] on black."""
    return _picture(check_rows(rows).astype(np.float64), width, height)


def _picture(rows: DoubleArray, width: int, height: int) -> DoubleArray:
    total = np.zeros((3, height, width))
    for row in rows:
        view = _look(row, width, height)
        total[:, view.rows, view.columns] += view.w * row[5:, None, None]
    return total


def _look(row: DoubleArray, width: int, height: int) -> Look:
    """Return a splat where it lies in a picture of the given size: u = dx / p - k dy / r, v = dy / r."""
    p, k, r = math.exp(row[2]), row[3], math.exp(row[4])
    return look_at(np.array([row[0], row[1], 1 / p, -k / r, 1 / r]), width, height)
