"""The fit as its formulas say it: NumPy, in doubles, one splat at a time."""

import numpy as np

from codec.fit.backend import lattice_steps, pack_splats, unpack_splats
from codec.fit.reference_parts import DoubleArray, cosine_rates, look_at
from codec.types import BoolArray, FloatArray, SplatSet, Steps

__all__ = ["ReferenceFit", "log_shape_of", "whitening_of"]

EPS_BASE = 0.05
MEAN_RATE, SHAPE_RATE, COLOR_RATE = 0.25, 0.1, 3.4  # px over sqrt(sigma), 1/px times sigma, 1/255
SMOOTH_BETAS, LATTICE_BETAS, TINY = (0.75, 0.7), (0.0, 0.93), 1e-12
NARROWEST, WIDEST, MAX_SHEAR = 1.5, 1 / 60, 4.0  # of a and c in 1/px, of b / c
CLASS_ENDS = np.array([48, 92, 137, 181]) / 64  # log-scales (SPEC 5)


def whitening_of(shape: DoubleArray) -> DoubleArray:
    """Return a, b, c [N, 3] of log-scale, e1, e2 [N, 3]: M = A^T A of SPEC 1.1."""
    s, e1, e2 = shape.T
    r = np.hypot(e1, e2)
    shear = np.where(r == 0, 2.0, np.sinh(2 * r) / np.where(r == 0, 1.0, r))
    m00, m01 = np.exp(-2 * s) * (np.cosh(2 * r) - shear * e1), -np.exp(-2 * s) * shear * e2
    a = np.sqrt(m00)
    return np.stack([a, m01 / a, np.exp(-2 * s) / a], 1)


def log_shape_of(whitening: DoubleArray) -> DoubleArray:
    """Return log-scale, e1, e2 [N, 3] of a, b, c [N, 3]: the inverse of whitening_of."""
    a, b, c = whitening.T
    p, q = (a * a - b * b - c * c) / 2, a * b
    deviator = np.maximum(np.hypot(p, q), 1e-300)
    r = np.arcsinh(deviator / (a * c)) / 2
    return np.stack([-np.log(a * c) / 2, -p / deviator * r, -q / deviator * r], 1)


class ReferenceFit:
    """A FitSession in NumPy."""

    def __init__(
        self,
        target: FloatArray,  # [3, H, W] Y, Cb, Cr in 1/255
        base: FloatArray,  # [3, H, W]
        weight: FloatArray | None = None,  # [H, W]
        channel_weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        threads: int = 1,
    ) -> None:
        """Copy the picture; `threads` is here for the twin's sake."""
        self._target, self._base = target.astype(np.float64), base.astype(np.float64)
        pixel_weight = np.ones(target.shape[1:]) if weight is None else weight.astype(np.float64)
        self._weight = pixel_weight * np.array(channel_weights)[:, None, None]
        self._lattice: Steps | None = None
        self._params: DoubleArray = np.zeros((0, 8))
        self._first: DoubleArray = np.zeros((0, 8))
        self._second: DoubleArray = np.zeros((0, 8))
        self._steps = 0
        self._lead: tuple[BoolArray, float] | None = None

    def start(self, splats: SplatSet) -> None:
        """Begin from these splats; Adam's moments are forgotten."""
        rows = pack_splats(splats).astype(np.float64)
        self._params = np.concatenate([rows[:, :2], whitening_of(rows[:, 2:5]), rows[:, 5:]], 1)
        self._forget_moments()
        self._lead = None

    def set_lead(self, lead: BoolArray, weight: float) -> None:
        """From now on let the picture of the splats flagged in `lead` [N] alone count too; `start` ends it."""
        self._lead = lead, weight

    def set_lattice(self, steps: Steps | None) -> None:
        """From now on draw splats as a key frame would code them, or as they are; Adam's moments are forgotten."""
        self._lattice = steps
        self._forget_moments()

    def parameters(self) -> DoubleArray:
        """Return x, y, a, b, c, Y, Cb, Cr [N, 8], not rounded."""
        return self._params.copy()

    def set_parameters(self, params: DoubleArray) -> None:
        """Replace the parameters and keep the moments (for finite differences)."""
        self._params = params.copy()

    def run(self, iterations: int, rate: float) -> float:
        """Iterate with a cosine schedule from `rate` to 0; return the loss before the last iteration."""
        loss = 0.0
        for now in cosine_rates(iterations, rate):
            loss = self.step(now)
        return loss

    def run_by_rows(self, iterations: int, rate: float) -> float:
        """As `run`, each iteration by the even or the odd rows of the picture alone, in turn."""
        loss, whole = 0.0, self._weight
        for k, now in enumerate(cosine_rates(iterations, rate)):
            self._weight = whole * (np.arange(whole.shape[1]) % 2 == k % 2)[:, None]
            loss = self.step(now)
        self._weight = whole
        return loss

    def step(self, rate: float) -> float:
        """Do one iteration (Kingma and Ba 2015, with a rate for each parameter); return the loss before it."""
        loss, gradients = self._loss_and_gradients(self._drawn())
        if self._lead is not None:
            lead, weight = self._lead
            gradients[lead] += weight * self._loss_and_gradients(self._drawn()[lead])[1]
        self._steps += 1
        beta1, beta2 = SMOOTH_BETAS if self._lattice is None else LATTICE_BETAS
        self._first = beta1 * self._first + (1 - beta1) * gradients
        self._second = beta2 * self._second + (1 - beta2) * gradients**2
        first, second = self._first / (1 - beta1**self._steps), self._second / (1 - beta2**self._steps)
        narrow = np.sqrt(self._params[:, 2] * self._params[:, 4])  # 1 / sigma
        rates = np.stack(
            [MEAN_RATE / np.sqrt(narrow)] * 2 + [SHAPE_RATE * narrow] * 3 + [np.full_like(narrow, COLOR_RATE)] * 3, 1
        )
        params = self._params - rate * rates * first / (np.sqrt(second) + TINY)
        params[:, 2] = np.clip(params[:, 2], WIDEST, NARROWEST)
        params[:, 4] = np.clip(params[:, 4], WIDEST, NARROWEST)
        params[:, 3] = np.clip(params[:, 3], -MAX_SHEAR * params[:, 4], MAX_SHEAR * params[:, 4])
        self._params = params
        return loss

    def gradients(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradients [N, 8] by x, y, a, b, c, Y, Cb, Cr."""
        loss, gradients = self._loss_and_gradients(self._drawn())
        return loss, gradients.astype(np.float32)

    def splats(self) -> SplatSet:
        """Return the splats now, in the order of `start`."""
        p = self._params
        return unpack_splats(np.concatenate([p[:, :2], log_shape_of(p[:, 2:5]), p[:, 5:]], 1).astype(np.float32))

    def picture(self) -> FloatArray:
        """Return the splats drawn: float32 [3, H, W]."""
        return self._draw(self._drawn())[0].astype(np.float32)

    def _forget_moments(self) -> None:
        self._first, self._second = np.zeros_like(self._params), np.zeros_like(self._params)
        self._steps = 0

    def _drawn(self) -> DoubleArray:
        if self._lattice is None:
            return self._params
        p = self._params.copy()
        *mean, scale, shape, luma, chroma = lattice_steps(self._lattice)
        logs = np.round(log_shape_of(p[:, 2:5]) / [scale, shape, shape]) * [scale, shape, shape]
        logs = np.clip(logs, [-0.5, -2, -2], [5.5, 2, 2])
        steps = np.array(mean)[np.searchsorted(CLASS_ENDS, logs[:, 0])][:, None]
        p[:, :2] = np.round(p[:, :2] / steps) * steps
        p[:, 2:5] = whitening_of(logs)
        p[:, 5:] = np.round(p[:, 5:] / [luma, chroma, chroma]) * [luma, chroma, chroma]
        return p

    def _draw(self, p: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        """Return the picture [3, H, W] and its divisor [H, W]."""
        height, width = self._target.shape[1:]
        total, divisor = EPS_BASE * self._base, np.full((height, width), EPS_BASE)
        for splat in p:
            view = look_at(splat, width, height)
            total[:, view.rows, view.columns] += view.w * splat[5:, None, None]
            divisor[view.rows, view.columns] += view.w
        return total / divisor, divisor

    def _loss_and_gradients(self, p: DoubleArray) -> tuple[float, DoubleArray]:
        """Return the loss of splats as they are drawn [n, 8], and its gradients."""
        picture, divisor = self._draw(p)
        height, width = divisor.shape
        error = picture - self._target
        pull = self._weight * error / divisor  # dL / d (sum of w * color)
        against = (pull * picture).sum(0)  # -dL / d (sum of w)
        gradients = np.zeros_like(p)
        for splat, gradient in zip(p, gradients, strict=True):
            view = look_at(splat, width, height)
            near = pull[:, view.rows, view.columns]
            by_w = np.einsum("c,cyx->yx", splat[5:], near) - against[view.rows, view.columns]
            by_u, by_v = -view.u * view.w * by_w, -view.v * view.w * by_w  # d w / d u = -u w
            _, _, a, b, c = splat[:5]
            geometry = -a * by_u, -b * by_u - c * by_v, view.dx * by_u, view.dy * by_u, view.dy * by_v
            gradient[:5] = [values.sum() for values in geometry]
            gradient[5:] = (near * view.w).sum((1, 2))
        return float((self._weight * error**2).sum() / 2), gradients
