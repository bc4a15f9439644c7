"""The gsvc decoder: one packet a frame in, pictures out."""

import numpy as np
import numpy.typing as npt

from codec.errors import BitstreamError, StreamStateError
from codec.gsvc.lattice import Lattice, dequantize
from codec.gsvc.packet import KeyPacket, Models, PPacket, is_key, parse_key, parse_p
from codec.native import _native
from codec.render.output import Region, output_size, resolve_region
from codec.types import FloatArray, IntArray

__all__ = ["GsvcDecoder", "GsvcState", "apply_key", "apply_p", "draw"]

Picture = npt.NDArray[np.uint8]


class GsvcState:
    """What a decoder holds: splats on a lattice, and the tables in force."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.width_px = self.height_px = 0
        self.lattice = Lattice()
        self.fields: IntArray = np.zeros((0, 8), np.int32)  # [N, 8]
        self.models = Models()

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.width_px, self.height_px

    @property
    def rows(self) -> FloatArray:
        """The splats as floats [N, 8]."""
        return dequantize(self.fields, self.lattice)


def apply_key(state: GsvcState, packet: KeyPacket) -> None:
    """Replace everything but the tables."""
    state.width_px, state.height_px, state.lattice = packet.width_px, packet.height_px, packet.lattice
    state.fields = packet.fields


def apply_p(state: GsvcState, packet: PPacket) -> None:
    """Take splats away, change the others, add new ones at the end."""
    kept = np.delete(state.fields, packet.deaths, axis=0) + packet.changes
    state.fields = np.concatenate([kept, packet.births]).astype(np.int32)


def draw(rows: FloatArray, width_px: int, height_px: int, threads: int = 2) -> Picture:
    """Return the picture [H, W, 3], RGB, of splats [N, 8]."""
    return _native.to_rgb(_native.gsvc_render(rows, width_px, height_px, threads), threads)


class GsvcDecoder:
    """Holds one stream's state; packets must come in order and without a gap."""

    def __init__(self, threads: int = 2) -> None:
        """Start without a state: a key frame comes first."""
        self._state = GsvcState()
        self._threads = threads

    @property
    def state(self) -> GsvcState:
        """The state after the last frame; raises StreamStateError before the first."""
        if not self._state.width_px:
            raise StreamStateError("no frame has been decoded yet")
        return self._state

    def push(self, packet: bytes) -> None:
        """Apply one frame; raises BitstreamError for bytes that are none. Then only a key frame helps."""
        state = self._state
        if is_key(packet):
            apply_key(state, parse_key(packet, state.models))
            return
        if not state.width_px:
            raise BitstreamError("gsvc: expected a key frame first, got a P-frame")
        apply_p(state, parse_p(packet, state.models, len(state.fields), state.lattice, state.size_px))

    def decode(self, packet: bytes) -> Picture:
        """Apply one frame and return its picture [H, W, 3], RGB."""
        self.push(packet)
        return self.picture()

    def picture(self, scale: float = 1.0, region: Region | None = None) -> Picture:
        """Return the picture [H, W, 3], RGB, `scale` times as large, of a region or all.

        Raises ValueError for an empty or outside region, or a scale out of range.
        """
        state = self.state
        left, top, _, _ = resolve_region(state, region)
        width, height = output_size(state, scale, region)
        rows = state.rows
        if scale != 1 or region is not None:
            rows[:, :2] = (rows[:, :2] + 0.5 - (left, top)) * scale - 0.5
            rows[:, [2, 4]] += np.float32(np.log(scale))
        return draw(rows, width, height, self._threads)
