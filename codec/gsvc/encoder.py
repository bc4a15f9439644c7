"""The gsvc encoder, after Wang et al., "GSVC: Efficient Video Representation and Compression Through 2D Gaussian
Splatting" (arXiv 2501.12060): key frames learned from random splats, P-frames from the last frame's decoded ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codec.errors import ConfigError
from codec.gsvc.config import GsvcConfig, GsvcEffort, GsvcSchedule
from codec.gsvc.decoder import GsvcState, apply_key, apply_p, draw
from codec.gsvc.fit import NativeGsvcFit
from codec.gsvc.lattice import Lattice, dequantize, quantize
from codec.gsvc.packet import KeyPacket, PPacket, serialize_key, serialize_p
from codec.gsvc.population import least_contributing, random_splats
from codec.native import _native
from codec.types import FloatArray, IntArray

__all__ = ["GsvcEncoder", "GsvcFigures", "fit_still"]

Picture = npt.NDArray[np.uint8]

# full-range BT.601 of R, G, B, as SPEC 1.1 undoes it
_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)


@dataclass(frozen=True)
class GsvcFigures:
    """What the encoder says of its last frame."""

    kind: str  # "key" or "p"
    splats: int
    changed: int  # splats of a P-frame that changed, came or went
    loss: float  # mean squared error of a pixel in Y, Cb, Cr together


class GsvcEncoder:
    """Encodes a clip picture by picture, each to one packet. Deterministic for a seed, whatever the threads."""

    def __init__(self, config: GsvcConfig, lattice: Lattice | None = None) -> None:
        """Start a stream; its first frame is a key frame."""
        self._config = config
        self._lattice = lattice or Lattice()
        self._rng = np.random.default_rng(config.seed)
        self._state = GsvcState()
        self._key_error = 0.0  # squared error a splat of the last key frame
        self.figures: GsvcFigures | None = None  # of the last frame

    def encode(self, rgb: Picture) -> bytes:
        """Encode a picture [H, W, 3]; raises ConfigError unless it is uint8 of the configured size."""
        config = self._config
        if rgb.dtype != np.uint8 or rgb.shape != (config.height_px, config.width_px, 3):
            expected = f"uint8 [{config.height_px}, {config.width_px}, 3]"
            raise ConfigError(f"expected a picture {expected}, got {rgb.dtype} {list(rgb.shape)}")
        target = np.ascontiguousarray((rgb.astype(np.float32) @ _YCBCR.T).transpose(2, 0, 1))
        fit = NativeGsvcFit(target, threads=config.threads)
        if self.figures is None:
            return self._encode_key(fit, target)
        packet, loss = self._learn_p(fit, target)
        if loss > config.schedule.key_loss_factor * self.figures.loss + 1:
            return self._encode_key(fit, target)
        state = self._state
        data = serialize_p(packet, state.models, state.lattice, state.size_px)
        apply_p(state, packet)
        moved = int(packet.changes.any(1).sum()) + len(packet.deaths) + len(packet.births)
        self.figures = GsvcFigures("p", len(state.fields), moved, loss)
        return data

    def reconstruction(self) -> Picture:
        """Return what a decoder shows after the last packet: [H, W, 3], RGB."""
        return draw(self._state.rows, self._config.width_px, self._config.height_px, self._config.threads)

    def _encode_key(self, fit: NativeGsvcFit, target: FloatArray) -> bytes:
        config, schedule, lattice = self._config, self._config.schedule, self._lattice
        size = config.width_px, config.height_px
        splats = config.target_splats
        surplus = round(schedule.key_surplus * splats)
        spacing_px = (config.width_px * config.height_px / splats) ** 0.5
        smooth, on_lattice = _split(schedule.key_iterations, schedule)
        fit.start(random_splats(target, splats + surplus, spacing_px, self._rng))
        # pruned early, so that the others have the time to take over
        fit.run(smooth // 4, schedule.key_rate)
        rows = fit.rows()
        fit.start(np.delete(rows, least_contributing(rows, surplus, *size), axis=0))
        fit.run(smooth - smooth // 4, schedule.key_rate)
        fit.set_lattice(lattice)
        fit.run(on_lattice, schedule.lattice_rate)
        fields = _sorted(quantize(fit.drawn(), lattice, *size))
        packet = KeyPacket(*size, lattice, fields)
        data = serialize_key(packet, self._state.models)
        apply_key(self._state, packet)
        loss = self._loss(fit, dequantize(fields, lattice))
        self._key_error = loss * config.width_px * config.height_px / splats
        self.figures = GsvcFigures("key", len(fields), len(fields), loss)
        return data

    def _learn_p(self, fit: NativeGsvcFit, target: FloatArray) -> tuple[PPacket, float]:
        """Return what changes from the last frame, and the loss then."""
        config, schedule, state = self._config, self._config.schedule, self._state
        size = config.width_px, config.height_px
        old = state.rows
        splats = config.target_splats
        spacing_px = (config.width_px * config.height_px / splats) ** 0.5
        missing = target - _native.gsvc_render(old, *size, config.threads)
        added = random_splats(missing, round(schedule.augmented * splats), spacing_px, self._rng)
        start = np.concatenate([old, added])
        first, calm = schedule.p_iterations // 2, schedule.calm * self._key_error
        fit.start(start)
        fit.set_lattice(state.lattice, start, schedule.bias, calm)
        fit.run(first, schedule.p_rate)
        rows = fit.rows()
        pruned = least_contributing(rows, len(rows) - splats, *size)
        kept = np.delete(np.arange(len(rows)), pruned)
        fit.start(rows[kept])
        fit.set_lattice(state.lattice, start[kept], schedule.bias, calm)
        fit.run(schedule.p_iterations - first, schedule.p_rate)
        fields = quantize(fit.drawn(), state.lattice, *size)
        stay = kept < len(old)
        births = _sorted(fields[~stay])
        deaths = pruned[pruned < len(old)].astype(np.int32)
        packet = PPacket(deaths, fields[stay] - state.fields[kept[stay]], births)
        return packet, self._loss(fit, dequantize(np.concatenate([fields[stay], births]), state.lattice))

    def _loss(self, fit: NativeGsvcFit, rows: FloatArray) -> float:
        """Return the mean squared error of a pixel with these splats."""
        fit.start(rows)
        return 2 * fit.gradients()[0] / (self._config.width_px * self._config.height_px)


def fit_still(
    rgb: Picture, splats: int, effort: GsvcEffort = "default", threads: int = 2, seed: int = 0
) -> tuple[bytes, Picture]:
    """Return a picture [H, W, 3] as one key frame of so many splats, and what it decodes to."""
    height_px, width_px = rgb.shape[:2]
    encoder = GsvcEncoder(GsvcConfig(width_px, height_px, splats=splats, effort=effort, threads=threads, seed=seed))
    return encoder.encode(rgb), encoder.reconstruction()


def _split(iterations: int, schedule: GsvcSchedule) -> tuple[int, int]:
    """Return how many iterations draw splats as they are and how many on the lattice."""
    on_lattice = round(schedule.lattice_share * iterations)
    return iterations - on_lattice, on_lattice


def _sorted(fields: IntArray) -> IntArray:
    """Return fields [N, 8] in the order of a packet."""
    return fields[np.lexsort((fields[:, 0], fields[:, 1]))]
